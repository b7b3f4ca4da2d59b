/* SPDX-License-Identifier: Apache-2.0 */
/* What a workload did, out of the lines of an audit log (docs/audit.md). */
#ifndef EXEAT_AGENT_LEARN_MODEL_H
#define EXEAT_AGENT_LEARN_MODEL_H

#include "agent/learn/path.h"

enum ex_learn_kind {
	EX_LEARN_HTTPS, /* requests inside TLS that was read */
	EX_LEARN_HTTP,  /* in plain text */
	EX_LEARN_TLS,   /* by its server name; not read */
	EX_LEARN_FLOW,  /* by address or name, and port */
};

/* One destination and port. */
struct ex_learn_use {
	enum ex_learn_kind kind;
	char *name;    /* canonical; NULL: by address */
	char *address; /* the last one */
	char *proto;   /* "tcp", "udp" */
	uint16_t port;
	uint64_t count;
	char *first, *last; /* times */
	struct ex_learn_paths paths;
};

/* A name that was asked for; used: something went there. */
struct ex_learn_name {
	char *name;
	uint64_t count;
	char *first;
	bool used;
};

/* What was denied even so. */
struct ex_learn_denial {
	char *text; /* escaped */
	uint64_t count;
};

struct ex_learn {
	struct ex_learn_use *uses;
	size_t n_uses;
	struct ex_learn_name *names;
	size_t n_names;
	struct ex_learn_denial *denials;
	size_t n_denials;
	uint64_t records, lost, odd; /* odd: what cannot stand in a policy */
	char *first, *last;
	struct { /* addresses of DNS answers */
		char *address;
		size_t name; /* index */
	} * answers;
	size_t n_answers;
};

/* One line. 0, -ENOMEM, or -EBADMSG when it is no record. */
EX_MUST_CHECK int ex_learn_line(struct ex_learn *l, struct ex_span line);

/* All lines are in: merges and sorts. */
EX_MUST_CHECK int ex_learn_finish(struct ex_learn *l);
void ex_learn_done(struct ex_learn *l);

#endif
