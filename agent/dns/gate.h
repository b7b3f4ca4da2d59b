/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS gate: one per endpoint. Judges each question by name, forwards allowed A/AAAA questions,
 * checks the answer, has the addresses written to the kernel map, and only then answers. Transport
 * free: the caller brings datagrams and TCP messages and takes replies.
 */
#ifndef EXEAT_AGENT_DNS_GATE_H
#define EXEAT_AGENT_DNS_GATE_H

#include "agent/core/loop.h"
#include "agent/dns/message.h"
#include "policy/ruleset.h"

struct ex_dns_gate;
struct ex_names;
struct ex_resolver;

struct ex_dns_learn {
	struct ex_span name; /* canonical */
	uint32_t ttl;        /* seconds */
	const struct ex_ip *addrs;
	size_t n_addrs;
};

struct ex_dns_verdict {                         /* for the audit record */
	const struct ex_dns_question *question; /* NULL when it could not be parsed */
	struct ex_decision decision;
	const struct ex_dns_answer *answer; /* NULL when none was given, or it did not come yet */
};

struct ex_dns_gate_ops {
	/*
	 * Have the kernel gate accept these addresses, then call done(done_arg, err) once, now or
	 * later, also when the gate was freed meanwhile. *l is good during the call only. On err,
	 * and when done does not come in time, the answer becomes SERVFAIL.
	 */
	void (*learn)(void *arg, const struct ex_dns_learn *l,
		      void (*done)(void *done_arg, int err), void *done_arg);
	/*
	 * Have the kernel gate accept for longer what was learned and is still known. Soon is soon
	 * enough, and when it fails the same is learned again in time. *l as above.
	 */
	void (*extend)(void *arg, const struct ex_dns_learn *l);
	void (*audit)(void *arg, const void *client, const struct ex_dns_verdict *v);
	void *arg;
};

EX_MUST_CHECK int ex_dns_gate_new(struct ex_loop *loop, struct ex_ruleset *rs,
				  struct ex_resolver *resolver, struct ex_names *names,
				  const struct ex_dns_gate_ops *ops, struct ex_dns_gate **ret);
/*
 * Pending replies are dropped, fn is not called; what was asked is audited all the same, since the
 * resolver may have heard of it. Allowed in fn. Free it before its resolver.
 */
void ex_dns_gate_free(struct ex_dns_gate *g);

/*
 * Another policy from now on, also for questions in flight: their answers are judged by it. What
 * was learned stays in ex_names, which says what is, not what is allowed.
 */
void ex_dns_gate_swap(struct ex_dns_gate *g, struct ex_ruleset *rs);

/* What was answered is asked for anew: by another resolver it may be another answer. */
void ex_dns_gate_clear(struct ex_dns_gate *g);

/*
 * One question. fn is called exactly once, now or later, with the reply (len 0: say nothing) unless
 * the gate is freed first. A UDP reply is at most as long as the client's EDNS size allows, and
 * never longer than EX_DNS_UDP_MAX. Bounded: beyond the bound the reply is SERVFAIL. client is only
 * handed to audit(); it must live until fn was called.
 */
void ex_dns_gate_query(struct ex_dns_gate *g, const void *client, const void *msg, size_t len,
		       bool tcp, void (*fn)(void *arg, const void *reply, size_t len), void *arg);

#endif
