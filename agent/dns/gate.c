// SPDX-License-Identifier: Apache-2.0
/*
 * Life of a question: parse -> limits -> judge the name -> judge the type -> join or start a lookup
 * -> parse and judge the answer -> have its addresses learned -> reply to everybody who waits.
 *
 * A lookup belongs to the gate until its last waiter has been served. One that is being learned
 * when its gate goes lives on without it until done() comes.
 */
#include <errno.h>
#include <stdio.h>

#include "agent/dns/budget.h"
#include "agent/dns/gate.h"
#include "agent/dns/names.h"
#include "agent/dns/resolver.h"
#include "agent/dns/wire.h"

enum {
	LOOKUPS_MAX = 128,
	WAITERS_MAX = 512,
	TTL_MIN = 5,
	TTL_MAX = 300,
	TTL_GRACE = 60, /* a client may use an answer a little longer than it should */
	LEARN_MS = 3000,
	REPLY_MAX = 8192, /* question, chain, addresses and OPT at their bounds need less */
};

enum { /* RFC 8914 */
       EDE_OTHER = 0,
       EDE_NOT_READY = 14,
       EDE_BLOCKED = 15,
       EDE_FILTERED = 17,
       EDE_NETWORK = 23,
};

enum lookup_state {
	LOOKUP_RESOLVING,
	LOOKUP_LEARNING,
	LOOKUP_SERVING, /* its waiters get their replies */
	LOOKUP_DONE,    /* stays only until done() comes: then its memory is ours again */
};

struct waiter {
	struct waiter *next;
	const void *client;
	bool tcp;
	void (*fn)(void *arg, const void *reply, size_t len);
	void *arg;
	struct ex_dns_question question;
};

struct lookup {
	struct lookup *next;
	struct ex_dns_gate *gate; /* NULL: the gate is gone */
	enum lookup_state state;
	bool learn_called; /* done() is still to come: the memory is not ours alone */
	struct ex_resolve *resolve;
	struct ex_timer timer;
	struct waiter *waiters, **last;
	uint16_t type;
	size_t name_len;
	char name[EX_DNS_NAME_MAX + 1];
	struct ex_decision decision;
	struct ex_dns_answer answer;
};

struct ex_dns_gate {
	struct ex_loop *loop;
	struct ex_ruleset *rs;
	struct ex_resolver *resolver;
	struct ex_names *names;
	struct ex_dns_gate_ops ops;
	struct lookup *lookups;
	size_t n_lookups, n_waiters;
	unsigned depth; /* callbacks of the caller on the stack */
	bool dead;      /* freed while depth > 0 */
	struct ex_dns_budget budget;
};

static struct ex_decision deny(enum ex_reason reason, uint32_t rule)
{
	return (struct ex_decision){ EX_V_DENY, reason, rule };
}

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

static void release(struct ex_dns_gate *g);

static void call_out(struct ex_dns_gate *g, const struct waiter *w,
		     const struct ex_dns_verdict *verdict, const void *reply, size_t len)
{
	g->depth++;
	if (g->ops.audit)
		g->ops.audit(g->ops.arg, w->client, verdict);
	if (!g->dead)
		w->fn(w->arg, reply, len);
	g->depth--;
	if (g->dead && g->depth == 0)
		release(g);
}

/* The gate may be gone when this returns, unless the caller holds depth. */
static void reply(struct ex_dns_gate *g, const struct waiter *w, struct ex_decision d,
		  const struct ex_dns_answer *a)
{
	const struct ex_dns_question *q = &w->question;
	struct ex_dns_verdict verdict = { q->type ? q : NULL, d, a };
	uint8_t buf[REPLY_MAX];
	size_t cap = sizeof(buf), len;
	char text[160];
	bool denied = d.verdict != EX_V_ALLOW;

	if (!w->tcp) {
		cap = q->udp_size < EX_DNS_UDP_MAX ? q->udp_size : EX_DNS_UDP_MAX;
		if (cap < EX_DNS_UDP_MIN)
			cap = EX_DNS_UDP_MIN;
	}
	if (denied)
		snprintf(text, sizeof(text), "exeat: %s: %s", ex_reason_word(d.reason),
			 ex_reason_text(d.reason));
	len = ex_dns_build_reply(q, a, ede_of(d.reason), denied ? text : NULL, buf, cap);
	call_out(g, w, &verdict, buf, len);
}

static void reply_rcode(struct ex_dns_gate *g, const struct waiter *w, struct ex_decision d,
			uint8_t rcode)
{
	struct ex_dns_answer a = { .rcode = rcode };

	reply(g, w, d, &a);
}

/* ---- lookups ---- */

static void drop_waiters(struct lookup *l)
{
	while (l->waiters) {
		struct waiter *w = l->waiters;

		l->waiters = w->next;
		if (l->gate)
			l->gate->n_waiters--;
		free(w);
	}
	l->last = &l->waiters;
}

static void unlink_lookup(struct lookup *l)
{
	struct lookup **p = &l->gate->lookups;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	l->gate->n_lookups--;
	l->gate = NULL;
}

static void free_lookup(struct lookup *l)
{
	if (l->gate) {
		if (l->resolve)
			ex_resolver_cancel(l->resolve);
		ex_timer_stop(l->gate->loop, &l->timer);
		drop_waiters(l);
		unlink_lookup(l);
	}
	if (!l->learn_called)
		free(l);
}

/* Everybody who waits gets the same verdict, each in a reply to their own question. */
static void finish(struct lookup *l, struct ex_decision d, uint8_t rcode)
{
	struct ex_dns_gate *g = l->gate;
	struct waiter *w;

	l->state = LOOKUP_SERVING;
	ex_timer_stop(g->loop, &l->timer);
	if (d.verdict != EX_V_ALLOW)
		l->answer = (struct ex_dns_answer){ .rcode = rcode };
	g->depth++;
	while (!g->dead && (w = l->waiters) != NULL) {
		l->waiters = w->next;
		g->n_waiters--;
		reply(g, w, d, &l->answer);
		free(w);
	}
	l->state = LOOKUP_DONE;
	if (!l->learn_called)
		free_lookup(l);
	g->depth--;
	if (g->dead && g->depth == 0)
		release(g);
}

static void on_learned(void *arg, int err)
{
	struct lookup *l = arg;

	l->learn_called = false;
	if (!l->gate)
		free(l);
	else if (l->state == LOOKUP_DONE) /* too late: the timer has answered */
		free_lookup(l);
	else if (l->state != LOOKUP_LEARNING)
		return; /* too late, and finish() is still at it */
	else if (err)
		finish(l, deny(EX_R_INTERNAL, l->decision.rule), EX_DNS_SERVFAIL);
	else
		finish(l, l->decision, l->answer.rcode);
}

static void on_learn_timeout(struct ex_timer *t)
{
	struct lookup *l = ex_container_of(t, struct lookup, timer);

	finish(l, deny(EX_R_INTERNAL, l->decision.rule), EX_DNS_SERVFAIL);
}

/*
 * Leaves in the answer only what the workload may have and the name table has taken: an address
 * that could not be used later is not handed out. Returns why nothing is left, or EX_R_ALLOWED.
 */
static enum ex_reason filter_addresses(struct lookup *l, uint32_t ttl)
{
	const struct ex_dns_gate *g = l->gate;
	struct ex_dns_answer *a = &l->answer;
	struct ex_span name = { l->name, l->name_len };
	enum ex_reason why = EX_R_ALLOWED;
	size_t kept = 0;

	for (size_t i = 0; i < a->n_addrs; i++) {
		const struct ex_ip *ip = &a->addrs[i];

		/* IPv4 in an AAAA record has no honest use */
		if ((l->type == EX_DNS_AAAA && ex_ip_is4(ip)) ||
		    ex_judge_answer(g->rs, ip).verdict != EX_V_ALLOW) {
			why = EX_R_DNS_ANSWER_DENIED;
			continue;
		}
		if (ex_names_add(g->names, ip, name, ex_loop_now(g->loop), ttl * 1000ull) < 0) {
			why = why == EX_R_ALLOWED ? EX_R_LIMIT : why;
			continue;
		}
		a->addrs[kept++] = *ip;
	}
	a->n_addrs = kept;
	return kept > 0 ? EX_R_ALLOWED : why;
}

static void learn(struct lookup *l, uint32_t ttl)
{
	struct ex_dns_gate *g = l->gate;
	struct ex_dns_learn what = {
		{ l->name, l->name_len }, ttl, l->answer.addrs, l->answer.n_addrs
	};

	l->timer.fn = on_learn_timeout;
	if (ex_timer_start(g->loop, &l->timer, LEARN_MS) < 0) {
		finish(l, deny(EX_R_INTERNAL, l->decision.rule), EX_DNS_SERVFAIL);
		return;
	}
	l->state = LOOKUP_LEARNING;
	l->learn_called = true;
	g->ops.learn(g->ops.arg, &what, on_learned, l); /* l may be gone from here on */
}

static void on_answer(void *arg, int err, const void *msg, size_t len)
{
	struct lookup *l = arg;
	struct ex_dns_answer *a = &l->answer;
	enum ex_reason why;

	l->resolve = NULL;
	if (err == 0)
		err = ex_dns_parse_answer(msg, len, (struct ex_span){ l->name, l->name_len },
					  l->type, a);
	if (err < 0 || (a->rcode != EX_DNS_NOERROR && a->rcode != EX_DNS_NXDOMAIN)) {
		finish(l, deny(EX_R_DNS_UPSTREAM, l->decision.rule), EX_DNS_SERVFAIL);
		return;
	}
	a->ttl = a->ttl < TTL_MIN ? TTL_MIN : a->ttl > TTL_MAX ? TTL_MAX : a->ttl;
	why = filter_addresses(l, a->ttl + TTL_GRACE);
	if (why != EX_R_ALLOWED)
		finish(l, deny(why, l->decision.rule),
		       why == EX_R_LIMIT ? EX_DNS_SERVFAIL : EX_DNS_REFUSED);
	else if (a->n_addrs > 0)
		learn(l, a->ttl + TTL_GRACE);
	else
		finish(l, l->decision, a->rcode);
}

static struct lookup *find_lookup(const struct ex_dns_gate *g, const struct ex_dns_question *q)
{
	for (struct lookup *l = g->lookups; l; l = l->next)
		if (l->state <= LOOKUP_LEARNING && l->type == q->type &&
		    l->name_len == q->name_len && memcmp(l->name, q->name, q->name_len) == 0)
			return l;
	return NULL;
}

static struct lookup *start_lookup(struct ex_dns_gate *g, const struct ex_dns_question *q,
				   struct ex_decision d)
{
	struct lookup *l;

	if (g->n_lookups >= LOOKUPS_MAX)
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->gate = g;
	l->last = &l->waiters;
	l->type = q->type;
	l->decision = d;
	l->name_len = q->name_len;
	memcpy(l->name, q->name, q->name_len + 1);
	if (ex_resolver_query(g->resolver, l->name, l->type, on_answer, l, &l->resolve) < 0) {
		free(l);
		return NULL;
	}
	l->next = g->lookups;
	g->lookups = l;
	g->n_lookups++;
	return l;
}

/* ---- questions ---- */

static struct ex_span cut_labels(struct ex_span name, size_t *from)
{
	const char *dot = memchr(name.ptr + *from, '.', name.len - *from);

	if (!dot)
		return (struct ex_span){ NULL, 0 };
	*from = (size_t)(dot - name.ptr) + 1;
	return (struct ex_span){ name.ptr, *from - 1 };
}

/*
 * Is this an allowed name with something appended? Then a resolver is trying its search list; it
 * goes on to the name itself after NXDOMAIN, but musl and glibc may give up after REFUSED.
 */
static bool is_search_attempt(const struct ex_ruleset *rs, struct ex_span name)
{
	struct ex_span part;
	size_t from = 0;

	while ((part = cut_labels(name, &from)).ptr)
		if (ex_judge_dns(rs, part).verdict == EX_V_ALLOW)
			return true;
	return false;
}

static void wait_for_answer(struct ex_dns_gate *g, const struct waiter *w, struct ex_decision d)
{
	struct lookup *l = find_lookup(g, &w->question);
	struct waiter *mine = NULL;

	if (g->n_waiters < WAITERS_MAX)
		mine = malloc(sizeof(*mine));
	if (mine && !l)
		l = start_lookup(g, &w->question, d);
	if (!mine || !l) {
		free(mine);
		reply_rcode(g, w, deny(EX_R_LIMIT, d.rule), EX_DNS_SERVFAIL);
		return;
	}
	*mine = *w;
	mine->next = NULL;
	*l->last = mine;
	l->last = &mine->next;
	g->n_waiters++;
}

static void judge(struct ex_dns_gate *g, const struct waiter *w)
{
	const struct ex_dns_question *q = &w->question;
	struct ex_span name = { q->name, q->name_len };
	struct ex_decision d = ex_judge_dns(g->rs, name);

	if (d.verdict != EX_V_ALLOW) {
		d.verdict = EX_V_DENY;
		if (d.reason == EX_R_UNSPEC || d.reason == EX_R_ALLOWED)
			d.reason = EX_R_DNS_NAME_DENIED;
		reply_rcode(g, w, d,
			    is_search_attempt(g->rs, name) ? EX_DNS_NXDOMAIN : EX_DNS_REFUSED);
	} else if (q->type == EX_DNS_HTTPS || q->type == EX_DNS_SVCB) {
		/* no keys for an encrypted ClientHello, no address hints; clients go on with A */
		reply_rcode(g, w, d, EX_DNS_NOERROR);
	} else if (q->type != EX_DNS_A && q->type != EX_DNS_AAAA) {
		reply_rcode(g, w, deny(EX_R_DNS_TYPE_DENIED, d.rule), EX_DNS_REFUSED);
	} else if (!ex_dns_budget_name(&g->budget, g->rs, name, ex_loop_now(g->loop))) {
		reply_rcode(g, w, deny(EX_R_LIMIT, d.rule), EX_DNS_REFUSED);
	} else {
		wait_for_answer(g, w, d);
	}
}

void ex_dns_gate_query(struct ex_dns_gate *g, const void *client, const void *msg, size_t len,
		       bool tcp, void (*fn)(void *arg, const void *reply, size_t len), void *arg)
{
	struct waiter w = { .client = client, .tcp = tcp, .fn = fn, .arg = arg };
	int r = ex_dns_parse_query(msg, len, &w.question);

	if (r < 0) {
		struct ex_dns_verdict v = { NULL, deny(EX_R_DNS_MALFORMED, 0), NULL };

		call_out(g, &w, &v, NULL, 0);
	} else if (!ex_dns_budget_question(&g->budget, ex_loop_now(g->loop))) {
		reply_rcode(g, &w, deny(EX_R_LIMIT, 0), EX_DNS_SERVFAIL);
	} else if (r > 0) {
		reply_rcode(g, &w, deny(EX_R_DNS_MALFORMED, 0), (uint8_t)r);
	} else {
		judge(g, &w);
	}
}

void ex_dns_gate_cancel(struct ex_dns_gate *g, void *arg)
{
	for (struct lookup *l = g->lookups; l; l = l->next) {
		for (struct waiter **p = &l->waiters; *p;) {
			struct waiter *w = *p;

			if (w->arg != arg) {
				p = &w->next;
				continue;
			}
			*p = w->next;
			if (!*p)
				l->last = p;
			g->n_waiters--;
			free(w);
		}
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
	r = ex_dns_budget_init(&g->budget, ex_loop_now(loop));
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

static void release(struct ex_dns_gate *g)
{
	while (g->lookups)
		free_lookup(g->lookups);
	ex_ruleset_unref(g->rs);
	free(g);
}

void ex_dns_gate_free(struct ex_dns_gate *g)
{
	if (!g)
		return;
	g->dead = true;
	if (g->depth == 0)
		release(g);
}
