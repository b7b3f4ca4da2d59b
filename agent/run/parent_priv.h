/* SPDX-License-Identifier: Apache-2.0 */
/* What parent.c, requests.c and intake.c share. Nobody else includes this. */
#ifndef EXEAT_AGENT_RUN_PARENT_PRIV_H
#define EXEAT_AGENT_RUN_PARENT_PRIV_H

#include "agent/core/ipc.h"
#include "agent/core/loop.h"
#include "agent/run/parent.h"

/* Records of the proxy, as they are limited. */
enum ex_record_kind {
	EX_RECORD_DENY,
	EX_RECORD_ALLOW,   /* of flows and names */
	EX_RECORD_REQUEST, /* of requests, which cost the workload a server's answer each */
	EX_RECORD_KINDS,
};

struct ex_record_bucket {
	uint64_t filled; /* ms: when last */
	uint32_t tokens;
};

struct ex_parent {
	struct ex_parent_config cfg;
	struct ex_loop *loop;
	struct ex_watch ipc, resolvers, events, signals;
	int signal_fd;
	struct ex_names *names;
	struct ex_name_classes *classes;
	uint8_t spki[EX_IPC_SPKI_MAX];
	size_t spki_len;
	bool ready;
	struct ex_record_bucket buckets[EX_RECORD_KINDS];
	uint32_t left_out; /* records that found the bucket empty */
	bool proxy_gone;
	bool child_gone;
};

/* requests.c: deals with one message; negative: the proxy broke the protocol. */
EX_MUST_CHECK int ex_parent_take(struct ex_parent *p, const union ex_ipc_message *msg);

/* requests.c: a request for a socket to a resolver; as above. */
EX_MUST_CHECK int ex_parent_take_resolver(struct ex_parent *p, const union ex_ipc_message *msg);

/* intake.c: writes a record of the proxy, when it is one; negative as above. */
EX_MUST_CHECK int ex_parent_record(struct ex_parent *p, const struct ex_audit_record *rec);

/* intake.c: says how many records were left out, when some were. */
void ex_parent_record_left_out(struct ex_parent *p);

#endif
