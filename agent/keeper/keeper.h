/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged side of one endpoint's proxy. It starts the proxy process, answers it
 * (proxy/messages.h), judges anew everything it asks for, and owns what the two gates of the
 * endpoint must agree on: the ruleset in force, the names the workload has learned, and the classes
 * made of them.
 *
 * It runs on a loop it is given: `exeat run` has one keeper, the agent one for each endpoint.
 * Nothing here blocks on the proxy, but for ex_keeper_finish(); a proxy that breaks the protocol is
 * killed. While no proxy lives, its sockets are closed, and the kernel gate denies what it would
 * steer.
 *
 *   ex_keeper_new()      sockets are made, the proxy starts (in the background)
 *   ex_keeper_publish()  the kernel gate gets sockets and ruleset; then, by the caller,
 *                        ex_gate_attach(), and links up once ops->ready was called
 *   ex_keeper_swap()     another ruleset, at any time later
 *   ex_keeper_stop()     the proxy is killed and reaped; the endpoint stays closed in the gate
 *   ex_keeper_free()     the same; what was not recorded by then is lost
 *
 * The proxy may be several processes, its workers, among which the kernel gate spreads the flows.
 * Each has its own sockets and says for itself what it wants; names that one has learned are told
 * to the others before the workload hears of them. One that is lost takes its connections along and
 * no others.
 */
#ifndef EXEAT_AGENT_KEEPER_H
#define EXEAT_AGENT_KEEPER_H

#include "agent/audit/audit.h"
#include "agent/core/loop.h"
#include "agent/dns/resolvers.h"
#include "agent/keeper/dial.h"

struct ex_ca;
struct ex_gate;
struct ex_keeper;
struct ex_names_pool;
struct ex_tables;

/* May be called from within any ex_keeper_*() but ex_keeper_free(), and from the loop. A callback
 * does not free the keeper (queue an ex_defer for it). */
struct ex_keeper_ops {
	/* Every worker accepts flows; again after each restart. */
	void (*ready)(void *arg);
	/* A worker is gone: "ended", "sent what it must not", … Its flows have ended. */
	void (*lost)(void *arg, const char *why);
	/* A record of either gate, checked and limited. Its rule is one of rs. */
	void (*record)(void *arg, const struct ex_ruleset *rs, const struct ex_audit_record *rec);
	/* Many of them follow at once; or that were all. May be NULL. */
	void (*records)(void *arg, bool begin);
	/*
	 * The last ex_keeper_swap() is in force in every worker: err 0, or what the last one said
	 * that could not follow and was killed. May be NULL.
	 */
	void (*swapped)(void *arg, int err);
};

#define EX_KEEPER_PAUSE_MS     250 /* before a lost worker is started again; doubled each time */
#define EX_KEEPER_PAUSE_MAX_MS 30000

#define EX_KEEPER_NAMES_MAX 16384 /* names of addresses, of one workload */

struct ex_keeper_config { /* copied; what it points to is borrowed until ex_keeper_free() */
	struct ex_loop *loop;
	struct ex_gateway gw;
	struct ex_ca *ca; /* signs leaves; NULL = not yet, see ex_keeper_set_ca() */
	ex_dial_fn dial;  /* to the workload's servers */
	const struct ex_resolvers *resolvers; /* asked from the outer namespace */
	int roots; /* what upstream certificates are verified against: tls/roots.h */
	/* What others may open; NULL = nothing. Looked up whenever something is published. */
	const struct ex_tables *const *ingress;
	/* Names that are learned are kept there too, under ifindex, and taken from there at the
	 * start: so they outlive this process. NULL = they do not. */
	struct ex_gate *names_kept;
	uint32_t ifindex;
	/* Room for names that keepers share, none having more than a third. NULL: not shared. */
	struct ex_names_pool *names_pool;
	struct ex_span unread; /* proxy/unread.h; ptr NULL = nothing is learned */
	uid_t uid;             /* of the proxy: the endpoint's own, nobody else's */
	unsigned workers;      /* 1..EX_WORKERS_MAX; 0 = 1 */
	bool restart;          /* a lost worker is started again, after growing pauses */
	const struct ex_keeper_ops *ops;
	void *arg;
};

/*
 * rs: a reference is taken. bundle: what it was compiled from, which the proxy compiles again
 * (agent/proxy/bundle.h); duplicated.
 */
EX_MUST_CHECK int ex_keeper_new(const struct ex_keeper_config *config, struct ex_ruleset *rs,
				int bundle, struct ex_keeper **ret);
void ex_keeper_free(struct ex_keeper *k);

/* Before ops->ready can come. */
void ex_keeper_set_ca(struct ex_keeper *k, struct ex_ca *ca);

/*
 * Puts sockets and ruleset into the kernel gate for the endpoint at ifindex, and keeps them right
 * from then on. ep: policy and generation are set by the gate. Call again to change ep.
 */
EX_MUST_CHECK int ex_keeper_publish(struct ex_keeper *k, struct ex_gate *gate, uint32_t ifindex,
				    const struct ex_endpoint *ep);

/*
 * Puts another ruleset in force: at once in the kernel gate and for what the keeper judges, then in
 * the workers, which end what is not allowed any more. On error everything stays as it was. Drain
 * the events of the kernel gate first: they bear rules of the old one. A worker that does not
 * follow in time is killed, and started again whatever config says.
 */
EX_MUST_CHECK int ex_keeper_swap(struct ex_keeper *k, struct ex_ruleset *rs, int bundle);

/*
 * The same policy with other endpoints (ex_repeer()): into the kernel gate as the little that it
 * changes, see ex_gate_update(). Where it is about what the workers carry it is a swap for them;
 * else they hear of it a little later, and nobody has to wait for that. bundle: as ever; -1 =
 * -EINVAL. On error the kernel gate may have a part of it: ex_keeper_swap() makes it whole.
 */
struct ex_delta;
EX_MUST_CHECK int ex_keeper_move(struct ex_keeper *k, struct ex_ruleset *rs, int bundle,
				 const struct ex_delta *egress, const struct ex_delta *ingress);

/*
 * The keeper goes on in another program of the same process (execve(2)): its state is appended, and
 * what it needs of descriptors stays open over the exec. Then nothing but the exec may follow.
 */
struct ex_pack;
void ex_keeper_hand_over(struct ex_keeper *k, struct ex_pack *p);

/*
 * The same keeper there, with the same number of workers; ex_keeper_publish() comes next. On error
 * its workers are ended, and what they wrote is told.
 */
struct ex_unpack;
EX_MUST_CHECK int ex_keeper_adopt(const struct ex_keeper_config *config, struct ex_unpack *u,
				  struct ex_keeper **ret);
/* Nobody needs it any more: its workers are ended, and what they wrote is told. */
void ex_keeper_end_handed(const struct ex_keeper_config *config, struct ex_unpack *u);
/* The same where nobody is to be told. */
void ex_keeper_abandon(struct ex_unpack *u);

/* Its workers ask other resolvers from now on: those that the configuration's are by now. */
void ex_keeper_tell_resolvers(struct ex_keeper *k);

/* An event of the kernel gate about this endpoint: becomes a record when it is worth one. */
void ex_keeper_take_event(struct ex_keeper *k, const struct ex_event *ev);

/*
 * The workload is gone: the workers end what they are at, and what they have judged is recorded. A
 * worker that does not end is waited for, but not for longer than that.
 */
void ex_keeper_finish(struct ex_keeper *k, unsigned ms);

/* The workers are killed; what they have judged is recorded. Then ex_keeper_free() is all it is
 * for.
 */
void ex_keeper_stop(struct ex_keeper *k);

/* Every worker accepts flows. */
bool ex_keeper_is_ready(const struct ex_keeper *k);
/* And all of them have followed the last swap. */
bool ex_keeper_is_settled(const struct ex_keeper *k);
struct ex_ruleset *ex_keeper_ruleset(const struct ex_keeper *k); /* in force; borrowed */

/* Names of addresses that are known now, and how many live ones had to make room so far. */
struct ex_keeper_names {
	size_t known;
	uint64_t out;
};
struct ex_keeper_names ex_keeper_count_names(const struct ex_keeper *k);

#endif
