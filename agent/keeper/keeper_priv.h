/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the keeper share. Nobody else includes this. */
#ifndef EXEAT_AGENT_KEEPER_PRIV_H
#define EXEAT_AGENT_KEEPER_PRIV_H

#include "agent/core/ipc.h"
#include "agent/dns/names.h"
#include "agent/gate/gate.h"
#include "agent/keeper/keeper.h"

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

/* One proxy process. */
struct ex_worker {
	struct ex_keeper *keeper;
	pid_t pid;                /* 0 = none */
	int pidfd;                /* readable when it has ended */
	int ipc;                  /* requests */
	int resolvers;            /* requests for sockets to the resolvers */
	int sockets[EX_SOCK_MAX]; /* until the kernel gate has them */
	struct ex_watch on_end, on_ipc, on_resolvers;
	uint8_t spki[EX_IPC_SPKI_MAX];
	size_t spki_len;
	bool ready;
};

struct ex_keeper {
	struct ex_keeper_config cfg;
	struct ex_ruleset *rs;
	int bundle; /* what rs was compiled from */
	struct ex_names *names;
	struct ex_name_classes *classes;
	struct ex_gate *gate; /* NULL until published */
	uint32_t ifindex;
	struct ex_endpoint ep;
	struct ex_worker worker;
	struct ex_record_bucket buckets[EX_RECORD_KINDS];
	uint32_t left_out; /* records that found the bucket empty */
};

/* ---- worker.c ---- */

void ex_worker_init(struct ex_worker *w, struct ex_keeper *k);
EX_MUST_CHECK int ex_worker_start(struct ex_worker *w);

/* Kills and waits for it. */
void ex_worker_stop(struct ex_worker *w);

/* Gives its sockets to the kernel gate, and gives them up: they die with the proxy. */
EX_MUST_CHECK int ex_worker_publish(struct ex_worker *w);

void ex_worker_drain(struct ex_worker *w);

/* ---- requests.c: one message; negative: the proxy broke the protocol ---- */

EX_MUST_CHECK int ex_worker_take(struct ex_worker *w, const union ex_ipc_message *msg);
EX_MUST_CHECK int ex_worker_take_resolver(struct ex_worker *w, const union ex_ipc_message *msg);

/* ---- records.c ---- */

/* Writes the records of the proxy, when they are records; negative as above. */
EX_MUST_CHECK int ex_keeper_take_records(struct ex_keeper *k, const struct ex_ipc_audit *msg);

/* Says how many records were left out, when some were. */
void ex_keeper_record_left_out(struct ex_keeper *k);

#endif
