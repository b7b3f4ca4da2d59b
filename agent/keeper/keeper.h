/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged side of one endpoint's proxy. It starts the proxy process, answers it (ipc.h),
 * judges anew everything it asks for, and owns what the two gates of the endpoint must agree on:
 * the ruleset in force, the names the workload has learned, and the classes made of them.
 *
 * It runs on a loop it is given: `exeat run` has one keeper, the agent one for each endpoint.
 * Nothing here blocks on the proxy; a proxy that breaks the protocol is killed. While no proxy
 * lives, its sockets are closed, and the kernel gate denies what it would steer.
 *
 *   ex_keeper_new()      sockets are made, the proxy starts (in the background)
 *   ex_keeper_publish()  the kernel gate gets sockets and ruleset; then, by the caller,
 *                        ex_gate_attach(), and links up once ops->ready was called
 *   ex_keeper_swap()     another ruleset, at any time later
 *   ex_keeper_free()     the proxy is killed and reaped; the endpoint stays closed in the gate
 */
#ifndef EXEAT_AGENT_KEEPER_H
#define EXEAT_AGENT_KEEPER_H

#include "agent/audit/audit.h"
#include "agent/core/loop.h"
#include "agent/dns/resolver.h"
#include "agent/keeper/dial.h"

struct ex_ca;
struct ex_gate;
struct ex_keeper;
struct ex_tables;

/* May be called from within any ex_keeper_*() but ex_keeper_free(), and from the loop. A callback
 * does not free the keeper (queue an ex_defer for it). */
struct ex_keeper_ops {
	/* Every proxy process of the endpoint accepts flows; again after each restart. */
	void (*ready)(void *arg);
	/* A proxy is gone: "ended", "sent what it must not", … Its flows are denied until ready. */
	void (*lost)(void *arg, const char *why);
	/* A record of either gate, checked and limited. Its rule is one of rs. */
	void (*record)(void *arg, const struct ex_ruleset *rs, const struct ex_audit_record *rec);
	/* ex_keeper_swap() is in force in both gates (err 0), or the proxy was restarted under the
	 * new ruleset because it did not follow (err < 0). May be NULL. */
	void (*swapped)(void *arg, int err);
};

struct ex_keeper_config { /* copied; what it points to is borrowed until ex_keeper_free() */
	struct ex_loop *loop;
	struct ex_gateway gw;
	struct ex_ca *ca; /* signs leaves; NULL = not yet, see ex_keeper_set_ca() */
	ex_dial_fn dial;  /* to the workload's servers */
	const struct ex_resolver_server *servers; /* asked from the outer namespace */
	size_t n_servers;
	struct ex_span roots;            /* PEM: what upstream certificates are verified against */
	const struct ex_tables *ingress; /* what others may open; NULL = nothing. See gate.h */
	uid_t uid;                       /* of the proxy: the endpoint's own, nobody else's */
	bool restart;                    /* a lost proxy is started again, with growing pauses */
	const struct ex_keeper_ops *ops;
	void *arg;
};

/*
 * rs: a reference is taken. bundle: the sealed description it was compiled from, which the proxy
 * compiles again (agent/proxy/bundle.h); duplicated.
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
 * Puts another ruleset in force: at once for what the keeper judges and in the kernel gate, then in
 * the proxy, which ends what is not allowed any more. On error everything stays as it was.
 */
EX_MUST_CHECK int ex_keeper_swap(struct ex_keeper *k, struct ex_ruleset *rs, int bundle);

/* An event of the kernel gate about this endpoint: becomes a record when it is worth one. */
void ex_keeper_take_event(struct ex_keeper *k, const struct ex_event *ev);

/* Takes what a proxy has sent already: before a last look at the records. */
void ex_keeper_drain(struct ex_keeper *k);

bool ex_keeper_is_ready(const struct ex_keeper *k);
struct ex_ruleset *ex_keeper_ruleset(const struct ex_keeper *k); /* in force; borrowed */

#endif
