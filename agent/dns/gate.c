/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of a question: parse -> limits -> judge the name -> judge the type -> cache -> what the name
 * may still say -> wait for the answer (lookup.c) -> reply.
 */
#include <stdio.h>

#include "agent/dns/gate_priv.h"

enum {
	REPLY_MAX = 8192, /* question, chain, addresses and OPT at their bounds need less */
	EDNS_OF_GLIBC = 1200,
};

enum { /* RFC 8914 */
       EDE_OTHER = 0,
       EDE_NOT_READY = 14,
       EDE_BLOCKED = 15,
       EDE_FILTERED = 17,
       EDE_NETWORK = 23,
};

/* ---- replies ---- */

static uint16_t ede_of(enum ex_reason reason)
{
	if (reason == EX_R_DNS_ANSWER_DENIED)
		return EDE_FILTERED;
	if (reason == EX_R_DNS_UPSTREAM)
		return EDE_NETWORK;
	if (reason == EX_R_LIMIT || reason == EX_R_INTERNAL)
		return EDE_NOT_READY;
	return reason == EX_R_DNS_MALFORMED ? EDE_OTHER : EDE_BLOCKED;
}

/* No EDNS, or that of glibc ("options edns0"), which takes 1200 bytes as nobody else does. */
static bool is_libc(const struct ex_dns_question *q)
{
	return !q->edns || q->udp_size == EDNS_OF_GLIBC;
}

/*
 * A libc cannot be told why, and REFUSED does not end its wait: musl takes it for silence and sits
 * out its timeout, glibc tries no other name of its search list. NXDOMAIN and "no such data" do,
 * and are as true: for this workload there is none.
 */
static uint8_t final_rcode(const struct ex_dns_question *q, enum ex_reason reason, uint8_t rcode)
{
	if (rcode != EX_DNS_REFUSED || !is_libc(q) || q->type == 0)
		return rcode;
	if (reason == EX_R_DNS_TYPE_DENIED || reason == EX_R_DNS_ANSWER_DENIED)
		return EX_DNS_NOERROR;
	return EX_DNS_NXDOMAIN;
}

static void call_out(struct ex_dns_gate *g, const struct ex_dns_waiter *w,
		     const struct ex_dns_verdict *verdict, const void *reply, size_t len)
{
	ex_dns_gate_hold(g);
	if (g->ops.audit)
		g->ops.audit(g->ops.arg, w->client, verdict);
	if (!g->dead)
		w->fn(w->arg, reply, len);
	ex_dns_gate_let_go(g);
}

void ex_dns_gate_reply(struct ex_dns_gate *g, const struct ex_dns_waiter *w, struct ex_decision d,
		       const struct ex_dns_answer *a)
{
	const struct ex_dns_question *q = &w->question;
	struct ex_dns_verdict verdict = { q->type ? q : NULL, d, a };
	struct ex_dns_answer denial EX_UNSET;
	uint8_t buf[REPLY_MAX] EX_UNSET;
	size_t cap = sizeof(buf), len;
	char text[160], *why = NULL;

	if (!w->tcp)
		cap = q->udp_size < EX_DNS_UDP_MAX ? q->udp_size : EX_DNS_UDP_MAX;
	if (d.verdict != EX_V_ALLOW) {
		ex_dns_answer_init(&denial, final_rcode(q, d.reason, a->rcode));
		verdict.answer = a = &denial;
		snprintf(text, sizeof(text), "exeat: %s: %s", ex_reason_word(d.reason),
			 ex_reason_text(d.reason));
		why = text;
	}
	len = ex_dns_build_reply(q, a, ede_of(d.reason), why, buf, cap);
	call_out(g, w, &verdict, buf, len);
}

static void reply_rcode(struct ex_dns_gate *g, const struct ex_dns_waiter *w, struct ex_decision d,
			uint8_t rcode)
{
	struct ex_dns_answer a EX_UNSET;

	ex_dns_answer_init(&a, rcode);
	ex_dns_gate_reply(g, w, d, &a);
}

/* ---- questions ---- */

/* The next shorter head of the name ("a.b", then "a"); false when there is none. */
static bool cut_label(struct ex_span *head)
{
	const char *dot = memrchr(head->ptr, '.', head->len);

	if (!dot)
		return false;
	head->len = (size_t)(dot - head->ptr);
	return true;
}

/*
 * Is this an allowed name with something appended? Then a resolver is trying its search list; it
 * goes on to the name itself after NXDOMAIN, but may give up after REFUSED.
 */
static bool is_search_attempt(struct ex_dns_gate *g, struct ex_span name)
{
	while (cut_label(&name) && ex_dns_budget_judge(&g->budget, ex_loop_now(g->loop)))
		if (ex_judge_dns(g->rs, name).verdict == EX_V_ALLOW)
			return true;
	return false;
}

static void refuse_name(struct ex_dns_gate *g, const struct ex_dns_waiter *w, struct ex_decision d)
{
	bool search = is_search_attempt(g, ex_dns_name_of(&w->question));

	d.verdict = EX_V_DENY;
	if (d.reason == EX_R_UNSPEC || d.reason == EX_R_ALLOWED)
		d.reason = EX_R_DNS_NAME_DENIED;
	reply_rcode(g, w, d, search ? EX_DNS_NXDOMAIN : EX_DNS_REFUSED);
}

/* Names make room for others: an answer is given again only while the gates know its addresses. */
static bool is_known(const struct ex_dns_gate *g, struct ex_span name,
		     const struct ex_dns_answer *a, uint64_t now)
{
	for (size_t i = 0; i < a->n_addrs; i++)
		if (ex_names_until(g->names, &a->addrs[i], name, 0) <= now)
			return false;
	return true;
}

/* What has a bound for some time only is not refused: who asks again may have it. */
static void fail_allowed(struct ex_dns_gate *g, const struct ex_dns_waiter *w, uint32_t rule,
			 int err)
{
	bool limit = err == -EBUSY || err == -ENOMEM || err == -E2BIG;

	reply_rcode(g, w, ex_dns_deny(limit ? EX_R_LIMIT : EX_R_DNS_UPSTREAM, rule),
		    err == -E2BIG ? EX_DNS_REFUSED : EX_DNS_SERVFAIL);
}

static void answer_allowed(struct ex_dns_gate *g, const struct ex_dns_waiter *w,
			   struct ex_decision d)
{
	const struct ex_dns_question *q = &w->question;
	uint64_t now = ex_loop_now(g->loop);
	struct ex_dns_answer a EX_UNSET;
	int r;

	if (ex_dns_cache_get(&g->cache, q, now, &a) && is_known(g, ex_dns_name_of(q), &a, now)) {
		ex_dns_gate_reply(g, w, d, &a);
		return;
	}
	r = ex_dns_budget_name(&g->budget, g->rs, ex_dns_name_of(q), now);
	if (r == 0)
		r = ex_dns_lookup_join(g, w, d);
	if (r < 0)
		fail_allowed(g, w, d.rule, r);
}

static bool is_service_binding(uint16_t type)
{
	return type == EX_DNS_HTTPS || type == EX_DNS_SVCB;
}

/* Of addresses, and of how to use them, the name alone decides. */
struct ex_decision ex_dns_judge(const struct ex_ruleset *rs, const struct ex_dns_question *q)
{
	if (q->type == EX_DNS_A || q->type == EX_DNS_AAAA || is_service_binding(q->type))
		return ex_judge_dns(rs, ex_dns_name_of(q));
	return ex_judge_dns_type(rs, ex_dns_name_of(q), q->type);
}

static void judge(struct ex_dns_gate *g, const struct ex_dns_waiter *w)
{
	struct ex_decision d = ex_dns_judge(g->rs, &w->question);

	if (d.verdict == EX_V_ALLOW && is_service_binding(w->question.type))
		/* no keys for an encrypted ClientHello, no address hints; clients go on with A */
		reply_rcode(g, w, d, EX_DNS_NOERROR);
	else if (d.verdict == EX_V_ALLOW)
		answer_allowed(g, w, d);
	else if (d.reason == EX_R_DNS_TYPE_DENIED)
		reply_rcode(g, w, d, EX_DNS_REFUSED);
	else
		refuse_name(g, w, d);
}

void ex_dns_gate_query(struct ex_dns_gate *g, const void *client, const void *msg, size_t len,
		       bool tcp, void (*fn)(void *arg, const void *reply, size_t len), void *arg)
{
	struct ex_dns_waiter w = { .client = client, .tcp = tcp, .fn = fn, .arg = arg };
	int r = ex_dns_parse_query(msg, len, &w.question);

	if (r < 0) {
		struct ex_dns_verdict v = { NULL, ex_dns_deny(EX_R_DNS_MALFORMED, 0), NULL };

		call_out(g, &w, &v, NULL, 0);
	} else if (!ex_dns_budget_question(&g->budget, ex_loop_now(g->loop))) {
		reply_rcode(g, &w, ex_dns_deny(EX_R_LIMIT, 0), EX_DNS_SERVFAIL);
	} else if (r > 0) {
		reply_rcode(g, &w, ex_dns_deny(EX_R_DNS_MALFORMED, 0), (uint8_t)r);
	} else {
		judge(g, &w);
	}
}

/* ---- life ---- */

int ex_dns_gate_new(struct ex_loop *loop, struct ex_ruleset *rs, struct ex_resolver *resolver,
		    struct ex_names *names, const struct ex_dns_gate_ops *ops,
		    struct ex_dns_gate **ret)
{
	struct ex_dns_gate *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	r = ex_dns_budget_init(&g->budget);
	if (r == 0)
		r = ex_dns_cache_init(&g->cache);
	if (r < 0) {
		free(g);
		return r;
	}
	g->loop = loop;
	g->rs = ex_ruleset_ref(rs);
	g->resolver = resolver;
	g->names = names;
	g->ops = *ops;
	*ret = g;
	return 0;
}

void ex_dns_gate_swap(struct ex_dns_gate *g, struct ex_ruleset *rs)
{
	struct ex_ruleset *old = g->rs;

	g->rs = ex_ruleset_ref(rs);
	g->swapped = ex_loop_now(g->loop) + 1;
	ex_ruleset_unref(old);
	ex_dns_lookup_judge_again(g);
	ex_dns_cache_clear(&g->cache); /* its addresses were judged by the old one */
	ex_dns_budget_recount(&g->budget);
}

void ex_dns_gate_clear(struct ex_dns_gate *g)
{
	ex_dns_cache_clear(&g->cache);
}

void ex_dns_gate_hold(struct ex_dns_gate *g)
{
	g->depth++;
}

void ex_dns_gate_let_go(struct ex_dns_gate *g)
{
	if (--g->depth > 0 || !g->dead)
		return;
	ex_dns_lookup_free_all(g);
	ex_dns_cache_clear(&g->cache);
	ex_ruleset_unref(g->rs);
	free(g);
}

void ex_dns_gate_free(struct ex_dns_gate *g)
{
	if (!g)
		return;
	ex_dns_gate_hold(g);
	g->dead = true;
	ex_dns_gate_let_go(g);
}
