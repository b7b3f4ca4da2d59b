/* SPDX-License-Identifier: Apache-2.0 */
/* What gate.c (questions and replies) and lookup.c (answers) share. Private to the two. */
#ifndef EXEAT_AGENT_DNS_GATE_PRIV_H
#define EXEAT_AGENT_DNS_GATE_PRIV_H

#include "agent/dns/budget.h"
#include "agent/dns/cache.h"
#include "agent/dns/gate.h"
#include "agent/dns/names.h"
#include "agent/dns/resolver.h"
#include "agent/dns/wire.h"

/* Somebody who is owed a reply. */
struct ex_dns_waiter {
	struct ex_dns_waiter *next;
	const void *client;
	bool tcp;
	void (*fn)(void *arg, const void *reply, size_t len);
	void *arg;
	struct ex_dns_question question;
};

struct ex_dns_lookup;

enum { EX_DNS_LOOKUP_BUCKETS = 64 };

struct ex_dns_gate {
	struct ex_loop *loop;
	struct ex_ruleset *rs;
	struct ex_resolver *resolver;
	struct ex_names *names;
	uint64_t swapped; /* ms: what was told earlier was told under another policy */
	struct ex_dns_gate_ops ops;
	struct ex_dns_lookup *lookups[EX_DNS_LOOKUP_BUCKETS];
	size_t n_lookups, n_waiters;
	unsigned depth; /* callbacks of the caller on the stack */
	bool dead;      /* freed while depth > 0 */
	struct ex_dns_budget budget;
	struct ex_dns_cache cache;
};

static inline struct ex_span ex_dns_name_of(const struct ex_dns_question *q)
{
	return (struct ex_span){ q->name, q->name_len };
}

static inline struct ex_decision ex_dns_deny(enum ex_reason reason, uint32_t rule)
{
	return (struct ex_decision){ EX_V_DENY, reason, rule };
}

/* What the policy says of the question. */
struct ex_decision ex_dns_judge(const struct ex_ruleset *rs, const struct ex_dns_question *q);

/* Audits and replies. The gate may be gone when it returns, unless it is held. */
void ex_dns_gate_reply(struct ex_dns_gate *g, const struct ex_dns_waiter *w, struct ex_decision d,
		       const struct ex_dns_answer *a);

/* Between the two the gate stays, even when a callback frees it: then it is dead. */
void ex_dns_gate_hold(struct ex_dns_gate *g);
void ex_dns_gate_let_go(struct ex_dns_gate *g);

/* Makes w (copied) wait for the answer to its question. -EBUSY at a bound, or another error. */
EX_MUST_CHECK int ex_dns_lookup_join(struct ex_dns_gate *g, const struct ex_dns_waiter *w,
				     struct ex_decision d);
/* The ruleset is another one: what is under way stands under its rules. */
void ex_dns_lookup_judge_again(struct ex_dns_gate *g);
void ex_dns_lookup_free_all(struct ex_dns_gate *g);

#endif
