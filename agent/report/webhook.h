/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts to a webhook: in batches, not too often, again with growing pauses when it fails. The only
 * user of libcurl. What waits is bounded; what finds no room, or is given up after many tries, is
 * counted, and the next body that gets through tells how many.
 */
#ifndef EXEAT_AGENT_REPORT_WEBHOOK_H
#define EXEAT_AGENT_REPORT_WEBHOOK_H

#include "agent/report/wire.h"

struct ex_webhook;

struct ex_webhook_config { /* borrowed for as long as the webhook */
	const char *url, *node;
	struct ex_span ca;     /* PEM; may be empty for http */
	struct ex_span token;  /* empty: none */
	struct ex_span secret; /* empty: no signature */
	unsigned interval_ms;
};

/* http or https, a host, maybe a port and a path; nobody's name and password. */
bool ex_webhook_is_url(const char *text);

EX_MUST_CHECK int ex_webhook_new(const struct ex_webhook_config *config, struct ex_webhook **ret);

void ex_webhook_free(struct ex_webhook *w); /* accepts NULL */

void ex_webhook_add(struct ex_webhook *w, struct ex_span json);

/* Does what is due, and waits for fd to be readable, for the server or for the next try. */
void ex_webhook_wait(struct ex_webhook *w, int fd);

/*
 * A batch was given up because the server's name was not to be found. What names are looked up by
 * is a copy from the start: a process that is started anew may know better.
 */
bool ex_webhook_is_stale(const struct ex_webhook *w);

const struct ex_report_stats *ex_webhook_stats(const struct ex_webhook *w);

#endif
