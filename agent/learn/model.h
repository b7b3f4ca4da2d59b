/* SPDX-License-Identifier: Apache-2.0 */
/* What a workload did, out of the lines of an audit log (docs/audit.md). */
#ifndef EXEAT_AGENT_LEARN_MODEL_H
#define EXEAT_AGENT_LEARN_MODEL_H

#include "agent/learn/path.h"

#define EX_LEARN_TIME 32 /* "2026-11-22T17:00:00.123Z" */

enum ex_learn_kind {
	EX_LEARN_HTTPS, /* requests inside TLS that was read */
	EX_LEARN_HTTP,  /* in plain text */
	EX_LEARN_TLS,   /* by its server name; not read */
	EX_LEARN_FLOW,  /* by address or name, and port */
};

#define EX_LEARN_PROGRAM      64
#define EX_LEARN_PROGRAMS_MAX 8

struct ex_learn_program {
	char name[EX_LEARN_PROGRAM]; /* of whatever bytes: it is written escaped */
	uint64_t count;
};

/* One destination and port. */
struct ex_learn_use {
	enum ex_learn_kind kind;
	char name[254];   /* canonical; "": by address */
	char address[46]; /* the last one */
	char proto[8];    /* "tcp", "udp" */
	uint16_t port;
	uint64_t count;
	char first[EX_LEARN_TIME], last[EX_LEARN_TIME];
	struct ex_learn_paths paths;
	struct ex_learn_program programs[EX_LEARN_PROGRAMS_MAX];
	size_t n_programs;
};

/* A name that was asked for; used: something went there. */
struct ex_learn_name {
	char name[254];
	uint64_t count;
	char first[EX_LEARN_TIME];
	bool used;
};

/* What was denied even so. */
struct ex_learn_denial {
	char text[512]; /* escaped */
	uint64_t count;
};

struct ex_learn_answer { /* an address of a DNS answer */
	char address[46];
	size_t name; /* index of the name it was given for last */
};

/* Whose a flow is, by the end of it that is the workload's. */
struct ex_learn_flow {
	char src[46];
	char proto[8];
	uint16_t sport;
	char program[EX_LEARN_PROGRAM];
};

#define EX_LEARN_FLOWS_MAX   4096 /* the last ones */
#define EX_LEARN_USES_MAX    4096
#define EX_LEARN_NAMES_MAX   4096
#define EX_LEARN_ANSWERS_MAX 16384
#define EX_LEARN_DENIALS_MAX 256
#define EX_LEARN_PATHS_MAX   16384 /* kinds of requests, of all destinations */

struct ex_learn { /* some megabytes: not for the stack */
	struct ex_learn_use uses[EX_LEARN_USES_MAX];
	struct ex_learn_name names[EX_LEARN_NAMES_MAX];
	struct ex_learn_answer answers[EX_LEARN_ANSWERS_MAX];
	struct ex_learn_denial denials[EX_LEARN_DENIALS_MAX];
	struct ex_learn_flow flows[EX_LEARN_FLOWS_MAX]; /* a ring */
	size_t n_uses, n_names, n_answers, n_denials, n_paths;
	size_t n_flows; /* ever */
	uint64_t records, lost;
	uint64_t odd; /* records of what cannot stand in a policy, or is too much for it */
	char first[EX_LEARN_TIME], last[EX_LEARN_TIME];
};

/* One line. 0, -ENOMEM, or -EBADMSG when it is no record. */
EX_MUST_CHECK int ex_learn_line(struct ex_learn *l, struct ex_span line);

/* All lines are in: merges and sorts, and leaves out what no rule can say. */
EX_MUST_CHECK int ex_learn_finish(struct ex_learn *l);
void ex_learn_done(struct ex_learn *l);

#endif
