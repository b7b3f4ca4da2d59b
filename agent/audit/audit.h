/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit records: one per verdict. The record is fixed-size and pointer-free, because the
 * unprivileged proxy sends it to the privileged parent, which validates it, adds what only it knows
 * (wall clock, run, policy and rule text) and writes one line. Texts are NUL-terminated, cut at
 * their size, and may hold any byte: escaping is the writer's work, at the last moment.
 *
 * Never in a record: header values, bodies, query values, credentials.
 */
#ifndef EXEAT_AGENT_AUDIT_AUDIT_H
#define EXEAT_AGENT_AUDIT_AUDIT_H

#include "policy/ruleset.h"

enum ex_audit_app {
	EX_AUDIT_L4 = 0, /* a flow: the kernel gate, or carried unread */
	EX_AUDIT_DNS = 1,
	EX_AUDIT_TLS = 2,  /* judged by the ClientHello */
	EX_AUDIT_HTTP = 3, /* judged by the request */
};

#define EX_AUDIT_IPS_MAX 8

enum ex_audit_gate { EX_AUDIT_KERNEL = 0, EX_AUDIT_PROXY = 1 };

/* Fits one message of 4 KiB; the size is checked below. */
struct ex_audit_record {
	uint8_t app;     /* enum ex_audit_app */
	uint8_t gate;    /* enum ex_audit_gate */
	uint8_t verdict; /* EX_V_ALLOW or EX_V_DENY; anything else is written as deny */
	uint8_t proto;   /* IPPROTO_* */
	uint16_t reason; /* enum ex_reason */
	uint16_t status; /* HTTP status, DNS RCODE + 1, or 0 */
	uint32_t rule;   /* rule id, 0 = none */
	uint32_t count;  /* how many alike this line stands for; 0 = 1 */
	struct ex_ip src, dst;
	uint16_t sport, dport; /* host order; ICMP: dport is type << 8 | code */
	uint16_t qtype;        /* DNS: the type asked for; 0 = unknown */
	uint8_t http;          /* HTTP: version times ten (10, 11, 20); 0 = unknown */
	uint8_t n_ips;         /* DNS: addresses of the answer, as far as they fit */
	uint8_t ingress;       /* not 0: opened by the other side, or on its way to the workload */
	uint32_t ttl;          /* DNS: of the answer, seconds */
	struct ex_ip ips[EX_AUDIT_IPS_MAX];
	char name[254]; /* DNS: the question; else the name the address was learned under */
	char sni[254];
	char host[254];
	char method[24];
	char path[1024]; /* query values removed before it gets here; the writer makes sure */
	char detail[96]; /* our words */
};

_Static_assert(sizeof(struct ex_audit_record) < 4096 - 64, "one message");

struct ex_event;

/* What an event of the kernel gate says; what it steers is allowed, as far as it knows. */
struct ex_audit_record ex_audit_of_event(const struct ex_event *ev);

/* Cuts at size - 1, always terminates. */
void ex_audit_set(char *dst, size_t size, struct ex_span text);

/*
 * The path as it may be written down, at most size - 1 bytes: "?key=value&x" becomes "?key=*&x",
 * and whatever does not look like a parameter's name becomes "*" too. Redacting twice changes
 * nothing.
 */
void ex_audit_set_path(char *dst, size_t size, struct ex_span path);

struct ex_audit;
struct ex_audit_file;

struct ex_audit_options {
	int fd; /* log file opened O_APPEND; -1 = none. The process ignores SIGPIPE */
	struct ex_audit_file *file; /* instead of fd: a chained log (file.h), shared, not owned */
	bool json;                  /* format of fd: JSON lines, else text lines */
	int terminal;          /* where short lines about denials go, usually 2; -1 = nowhere */
	const char *run;       /* identifies this run or endpoint in every record */
	struct ex_ruleset *rs; /* names rules; a reference is taken */
};

#define EX_AUDIT_RUN_MAX 320 /* a name of a namespace and one of a pod in it */

EX_MUST_CHECK int ex_audit_new(const struct ex_audit_options *options, struct ex_audit **ret);
void ex_audit_free(struct ex_audit *a);

/* Rules are named by this ruleset from now on. */
void ex_audit_use(struct ex_audit *a, struct ex_ruleset *rs);

/*
 * Writes the record; never blocks and never fails the caller: what cannot be written is counted as
 * lost, and the loss is recorded as soon as a line can be written again. rec may come from the
 * unprivileged side: nothing in it is trusted.
 */
void ex_audit_write(struct ex_audit *a, const struct ex_audit_record *rec);

/* In between records are only collected, and written together: they come all at once. */
void ex_audit_hold(struct ex_audit *a);
void ex_audit_release(struct ex_audit *a);

/* A line of another type (docs/audit.md), a JSON object; not to a log of text. The same. */
void ex_audit_note(struct ex_audit *a, struct ex_span json);

/*
 * At exit: counts by verdict, the most frequent denials with reason and what to add to allow them,
 * on the terminal; and the closing record of the log.
 */
void ex_audit_summary(struct ex_audit *a);

#endif
