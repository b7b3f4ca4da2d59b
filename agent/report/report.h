/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent tells the outside of itself: metrics and health over HTTP, and alerts to a
 * webhook. A process of its own does it, without privileges and as its own user (process.c):
 * libmicrohttpd and libcurl read what others send, and wait for whom they like, and the gates
 * notice nothing of either. The agent hands it texts and never waits for it; it is started again
 * when it ends.
 */
#ifndef EXEAT_AGENT_REPORT_REPORT_H
#define EXEAT_AGENT_REPORT_REPORT_H

#include "agent/audit/audit.h"
#include "agent/core/loop.h"

struct ex_expo;
struct ex_report;

struct ex_report_config {   /* copied */
	const char *listen; /* "ADDR:PORT", "[ADDR]:PORT" or a path of a unix socket; NULL = none */
	const char *webhook;        /* http(s) URL; NULL = none */
	const char *webhook_ca;     /* roots instead of the system's; a file; NULL */
	const char *webhook_token;  /* file: sent as "Authorization: Bearer ..."; NULL */
	const char *webhook_secret; /* file: key of the signature of the body; NULL */
	unsigned interval_ms;       /* between two posts; 0 = 1000 */
	uid_t uid;                  /* of the process; 0 = keeps ours */
};

struct ex_report_ops {
	/* Writes the metrics, as they are now. */
	void (*metrics)(void *arg, struct ex_expo *x);
	/* False with a cause in why when the agent is not well. */
	bool (*health)(void *arg, char *why, size_t cap);
};

/*
 * Starts the process, and starts it again whenever it ends or cannot begin (an address in use, a
 * file that is not there; the cause is logged): what it tells is not worth a gate. Negative errno
 * for want of memory only.
 */
EX_MUST_CHECK int ex_report_new(struct ex_loop *loop, const struct ex_report_config *config,
				const struct ex_report_ops *ops, void *arg, struct ex_report **ret);
void ex_report_free(struct ex_report *r); /* accepts NULL; ends the process */

/* Is a webhook there, and would this record be an alert? Cheap; asked for every record. */
bool ex_report_wants(const struct ex_report *r, const struct ex_audit_record *rec);

/* One JSON object. Dropped, and counted, when the process does not keep up. */
void ex_report_alert(struct ex_report *r, struct ex_span json);

/* exeat_alerts_* families. */
void ex_report_metrics(const struct ex_report *r, struct ex_expo *x);

/* `exeat report`, which only exeat itself can start. */
int ex_cmd_report(int argc, char **argv);

#endif
