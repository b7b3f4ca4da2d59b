/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the keeper share. Nobody else includes this. */
#ifndef EXEAT_AGENT_KEEPER_PRIV_H
#define EXEAT_AGENT_KEEPER_PRIV_H

#include "agent/audit/limit.h"
#include "agent/core/bucket.h"
#include "agent/core/ring.h"
#include "agent/dns/names.h"
#include "agent/gate/gate.h"
#include "agent/keeper/keeper.h"
#include "agent/proxy/messages.h"
#include "agent/proxy/start.h"

/* What a proxy asks for, as it is limited. */
enum ex_ask_kind {
	EX_ASK_DIAL,
	EX_ASK_MINT,
	EX_ASK_SIGN,
	EX_ASK_LEARN,
	EX_ASK_UDP,
	EX_ASK_OTHER,
	EX_ASK_KINDS,
};

/* One proxy process. */
struct ex_worker {
	struct ex_keeper *keeper;
	uint32_t index;
	pid_t pid;                /* 0 = none */
	int pidfd;                /* readable when it has ended */
	int ipc;                  /* requests */
	int resolvers;            /* requests for sockets to the resolvers */
	int sockets[EX_SOCK_MAX]; /* until the kernel gate has them */
	struct ex_watch on_end, on_ipc, on_resolvers;
	int ring_fd;
	struct ex_ring ring; /* its records; there until it is dead and they are all taken */
	struct ex_timer drain;
	unsigned drain_ms; /* to the next time */
	struct ex_bucket asked[EX_ASK_KINDS];
	struct ex_timer unheard; /* it has asked for too much */
	uint8_t spki[EX_SPKI_MAX];
	size_t spki_len;
	bool ready;
	struct ex_ruleset *rs;    /* it judges by: its records bear the rules of this one */
	struct ex_ruleset *next;  /* sent, and not followed yet; else NULL */
	uint32_t next_id;         /* of the last one sent; 0 is the one it began with */
	struct ex_timer late;     /* it is not ready, or has not followed */
	uint64_t turn, next_turn; /* of the keeper, when these were in force */
	struct ex_timer again;
	bool follows;      /* handover.c: another program has sent it a ruleset */
	bool start_again;  /* whatever the configuration says */
	uint64_t started;  /* ms: when last */
	uint32_t pause_ms; /* before the next start */
};

struct ex_keeper {
	struct ex_keeper_config cfg;
	struct ex_ruleset *rs;
	int bundle;                          /* what rs was compiled from */
	uint8_t secret[EX_PROXY_SECRET_LEN]; /* its workers' */
	struct ex_names *names;
	struct ex_timer look; /* at names that have ended */
	uint64_t look_at;     /* 0: not needed */
	uint64_t looked;      /* what ended later is new */
	uint64_t late_until;  /* names that are over count still, for who is spoken with: */
	struct ex_ip *busy;   /* ascending */
	size_t n_busy;
	struct ex_timer forget;
	struct ex_ipc_forgotten forgotten; /* to be told to the workers */
	uint64_t names_out;
	struct ex_name_classes *classes;
	struct ex_signer *signer; /* keys of client certificates, of rs */
	struct ex_gate *gate;     /* NULL until published */
	uint32_t ifindex;
	struct ex_endpoint ep;
	struct ex_worker workers[EX_WORKERS_MAX];
	unsigned n_workers;
	uint64_t turn, owed_turn; /* of rs; of the last one that workers have to follow at once */
	struct ex_timer moved;    /* until they hear of others, while moving */
	bool moving;
	bool swapping; /* ops->swapped is owed */
	int swap_err;
	struct ex_audit_limit limit; /* of records */
};

/* A connection lives on the binding it began with, and may dial a little later. */
#define EX_KEEPER_DIAL_LATER_MS 180000 /* idle time and head of a request */

/*
 * Names that have expired stay with the connections that began while they held. When another policy
 * is put in force the kernel gate asks about these anew, so for a little while it is told of late
 * names, too, of addresses that there are flows with.
 */
#define EX_KEEPER_LATE_MS  3600000
#define EX_KEEPER_GRACE_MS 300000

#define EX_KEEPER_FOLLOW_MS 5000 /* compiling, and ending what is to end */

static inline bool ex_worker_is_alive(const struct ex_worker *w)
{
	return w->ipc >= 0;
}

/* ---- keeper.c ---- */

/* Without a policy, and no worker started. */
EX_MUST_CHECK int ex_keeper_alloc(const struct ex_keeper_config *config, struct ex_keeper **ret);

/* rs is in force. bundle is taken. */
void ex_keeper_take_ruleset(struct ex_keeper *k, struct ex_ruleset *rs, int bundle);
/* Every worker follows, and ops->swapped is owed. */
void ex_keeper_follow_all(struct ex_keeper *k);

/* ---- move.c ---- */

/* Whoever has not heard of it. */
void ex_keeper_tell_all(struct ex_keeper *k);
void ex_keeper_on_moved(struct ex_timer *t);

/* ---- worker.c ---- */

void ex_worker_init(struct ex_worker *w, struct ex_keeper *k, uint32_t index);
EX_MUST_CHECK int ex_worker_start(struct ex_worker *w);

/* Listens to a process that is there. */
EX_MUST_CHECK int ex_worker_watch(struct ex_worker *w);

/* Kills and waits for it. */
void ex_worker_stop(struct ex_worker *w);

/* Gives its sockets to the kernel gate, and gives them up: they die with the proxy. */
EX_MUST_CHECK int ex_worker_publish(struct ex_worker *w);

void ex_worker_finish(struct ex_worker *w, uint64_t until); /* CLOCK_MONOTONIC ms */

/* It is killed; why goes to ops->lost. */
void ex_worker_lose(struct ex_worker *w, const char *why);

/* ---- swap.c ---- */

/* All of it into the kernel gate, with the names that are known. Nothing else changes. */
EX_MUST_CHECK int ex_keeper_publish_policy(struct ex_keeper *k, struct ex_ruleset *rs,
					   struct ex_name_classes *classes);

/* Sends the ruleset in force, unless it has it or is busy with another. */
void ex_worker_follow(struct ex_worker *w);

/* Tells it the resolvers that there are. */
void ex_worker_tell_resolvers(struct ex_worker *w);

/* Its answer; negative: the proxy broke the protocol. */
EX_MUST_CHECK int ex_worker_followed(struct ex_worker *w, const struct ex_ipc_done *msg);

/* It is gone, or has followed: is that all? */
void ex_keeper_look_settled(struct ex_keeper *k);

/* ---- names.c ---- */

EX_MUST_CHECK int ex_keeper_names_open(struct ex_keeper *k);
void ex_keeper_names_close(struct ex_keeper *k);

/* Takes those that outlived the process before. */
EX_MUST_CHECK int ex_keeper_names_recall(struct ex_keeper *k);

/* Another ruleset is in force: names it does not want go. */
void ex_keeper_names_swap(struct ex_keeper *k);

/* Which addresses late names count for, when a policy is put in force now; then, that it was. */
EX_MUST_CHECK int ex_keeper_names_look_busy(struct ex_keeper *k);
bool ex_keeper_names_is_busy(const struct ex_keeper *k, const struct ex_ip *ip);
void ex_keeper_names_late(struct ex_keeper *k);

/* The classes of the addresses are in the kernel gate before anyone hears of them. */
EX_MUST_CHECK int ex_keeper_learn(struct ex_keeper *k, const struct ex_ipc_learn *msg);

/* Bit by bit, which of these names are known still, and are for longer now. */
uint64_t ex_keeper_extend(struct ex_keeper *k, const struct ex_ipc_extend *msg);
void ex_keeper_tell_extended(const struct ex_worker *teller, const struct ex_ipc_extend *msg,
			     uint64_t which);

/* What the workload is about to hear, every worker knows: the flow may go to any of them. */
void ex_keeper_tell_known(const struct ex_worker *teller, const struct ex_ipc_learn *msg);

/* ---- sign.c ---- */

/* With the keys of rs. */
EX_MUST_CHECK int ex_keeper_signer_new(const struct ex_ruleset *rs, struct ex_signer **ret);
/* Negative: the proxy does not read its answers. */
EX_MUST_CHECK int ex_worker_sign(struct ex_worker *w, const struct ex_ipc_sign *msg);
void ex_keeper_pack_keys(const struct ex_keeper *k, struct ex_pack *p);
EX_MUST_CHECK int ex_keeper_unpack_keys(struct ex_unpack *u, struct ex_keeper *k);

/* ---- requests.c: one message; negative: the proxy broke the protocol ---- */

EX_MUST_CHECK int ex_worker_take(struct ex_worker *w, const union ex_ipc_message *msg);
EX_MUST_CHECK int ex_worker_take_resolver(struct ex_worker *w, const union ex_ipc_message *msg);

/* ---- rates.c ---- */

/* What it asks for is counted. False: it is not heard for a while. */
bool ex_worker_spend(struct ex_worker *w, const union ex_ipc_message *msg);
void ex_worker_hear(struct ex_worker *w);

/* ---- drain.c ---- */

/* Writes down the records that are there; negative as above. */
EX_MUST_CHECK int ex_worker_drain(struct ex_worker *w);
void ex_worker_on_drain(struct ex_timer *t);

/* ---- records.c ---- */

/* Writes a record of the proxy down, when it is one; negative as above. */
EX_MUST_CHECK int ex_worker_take_record(struct ex_worker *w, const struct ex_ruleset *rs,
					const struct ex_audit_record *rec);

void ex_keeper_tell_left_out(struct ex_audit_limit *l, const struct ex_audit_record *rec);

#endif
