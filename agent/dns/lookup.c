/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookups: one per question in flight, however many wait for it. The answer is parsed and judged,
 * its addresses are learned by both gates, and only then does anybody hear of it.
 *
 * A lookup lives until its last waiter has been served and, if it was given to learn(), until
 * done() has come: it outlives its gate if it must.
 */
#include "agent/dns/gate_priv.h"

enum {
	LOOKUPS_MAX = 128,
	WAITERS_MAX = 512,
	TTL_MIN = 5,
	TTL_MAX = 300,
	TTL_GRACE = 60, /* a client may use an answer a little longer than it should */
	/* What is known for the answer's TTL and so long beyond it nobody has to wait for; when it
	 * is not known for so much longer, it will be, soon. */
	TTL_SURE = 10,
	TTL_ENOUGH = 45,
	LEARN_MS = 3000,
};

enum lookup_state {
	LOOKUP_RESOLVING,
	LOOKUP_LEARNING,
	LOOKUP_SERVING, /* its waiters get their replies */
	LOOKUP_DONE,    /* stays only until done() comes: then its memory is ours again */
};

struct ex_dns_lookup {
	struct ex_dns_lookup *next, **link; /* in its bucket */
	struct ex_dns_gate *gate;           /* NULL: the gate is gone */
	enum lookup_state state;
	bool learn_called; /* done() is still to come: the memory is not ours alone */
	struct ex_resolve *resolve;
	struct ex_timer timer;
	struct ex_dns_waiter *waiters, **last;
	struct ex_dns_waiter
		first; /* who asked first: name and type count, also when it was served */
	struct ex_decision decision;
	struct ex_dns_answer *answer; /* while learning */
	uint64_t learn_at;            /* ms: its addresses are known from here on */
	uint32_t learn_ttl;
};

/* ---- life ---- */

static const struct ex_dns_question *question_of(const struct ex_dns_lookup *l)
{
	return &l->first.question;
}

static void free_waiter(struct ex_dns_lookup *l, struct ex_dns_waiter *w)
{
	if (w != &l->first)
		free(w);
}

static struct ex_dns_waiter *take_waiter(struct ex_dns_lookup *l)
{
	struct ex_dns_waiter *w = l->waiters;

	if (!w)
		return NULL;
	l->waiters = w->next;
	if (!l->waiters)
		l->last = &l->waiters;
	l->gate->n_waiters--;
	return w;
}

static bool is_still_allowed(const struct ex_dns_lookup *l)
{
	return l->decision.verdict == EX_V_ALLOW;
}

/* They get no reply, but what they asked for is on its way. */
static void drop_waiters(struct ex_dns_lookup *l)
{
	const struct ex_dns_gate_ops *ops = &l->gate->ops;
	struct ex_dns_verdict v = { .decision = l->decision };
	struct ex_dns_waiter *w;

	if (!is_still_allowed(l))
		v.decision = ex_dns_deny(EX_R_POLICY_CHANGED, l->decision.rule);
	while ((w = take_waiter(l)) != NULL) {
		v.question = &w->question;
		if (ops->audit)
			ops->audit(ops->arg, w->client, &v);
		free_waiter(l, w);
	}
}

/* Good enough: at most LOOKUPS_MAX of one gate are in one bucket. */
static struct ex_dns_lookup **bucket_of(struct ex_dns_gate *g, const struct ex_dns_question *q)
{
	uint64_t h = q->type;

	for (size_t i = 0; i < q->name_len; i++)
		h = h * 31 + (uint8_t)q->name[i];
	return &g->lookups[h % EX_DNS_LOOKUP_BUCKETS];
}

static void put_in_bucket(struct ex_dns_lookup *l, struct ex_dns_lookup **bucket)
{
	l->next = *bucket;
	l->link = bucket;
	if (l->next)
		l->next->link = &l->next;
	*bucket = l;
}

static void free_lookup(struct ex_dns_lookup *l)
{
	*l->link = l->next;
	if (l->next)
		l->next->link = l->link;
	if (l->resolve)
		ex_resolver_cancel(l->resolve);
	ex_timer_stop(l->gate->loop, &l->timer);
	drop_waiters(l);
	l->gate->n_lookups--;
	l->gate = NULL;
	free(EX_TAKE_PTR(l->answer));
	if (!l->learn_called)
		free(l);
}

void ex_dns_lookup_free_all(struct ex_dns_gate *g)
{
	for (size_t i = 0; i < EX_DNS_LOOKUP_BUCKETS; i++)
		while (g->lookups[i])
			free_lookup(g->lookups[i]);
}

/* Everybody who waits gets the same verdict, each in a reply to their own question. */
static void finish(struct ex_dns_lookup *l, struct ex_decision d, const struct ex_dns_answer *a)
{
	struct ex_dns_gate *g = l->gate;
	struct ex_dns_waiter *w;

	l->state = LOOKUP_SERVING;
	ex_timer_stop(g->loop, &l->timer);
	ex_dns_gate_hold(g);
	while (!g->dead && (w = take_waiter(l)) != NULL) {
		ex_dns_gate_reply(g, w, d, a);
		free_waiter(l, w);
	}
	l->state = LOOKUP_DONE;
	if (!l->learn_called)
		free_lookup(l);
	ex_dns_gate_let_go(g);
}

static void fail(struct ex_dns_lookup *l, enum ex_reason reason)
{
	bool denied = reason == EX_R_DNS_ANSWER_DENIED || reason == EX_R_POLICY_CHANGED;
	struct ex_dns_answer a EX_UNSET;

	ex_dns_answer_init(&a, denied ? EX_DNS_REFUSED : EX_DNS_SERVFAIL);
	finish(l, ex_dns_deny(reason, l->decision.rule), &a);
}

/* Whoever waits gets what the policy says when they get it. */
void ex_dns_lookup_judge_again(struct ex_dns_gate *g)
{
	for (size_t i = 0; i < EX_DNS_LOOKUP_BUCKETS; i++)
		for (struct ex_dns_lookup *l = g->lookups[i]; l; l = l->next)
			l->decision = ex_dns_judge(g->rs, question_of(l));
}

static void succeed(struct ex_dns_lookup *l, const struct ex_dns_answer *a)
{
	struct ex_dns_gate *g = l->gate;

	if (!is_still_allowed(l)) {
		fail(l, EX_R_POLICY_CHANGED);
		return;
	}
	ex_dns_cache_put(&g->cache, question_of(l), a, ex_loop_now(g->loop));
	finish(l, l->decision, a);
}

/* ---- learning ---- */

/* Only what the kernel gate has is known here. False: no memory. */
static bool add_names(const struct ex_dns_lookup *l)
{
	for (size_t i = 0; i < l->answer->n_addrs; i++)
		if (ex_names_add(l->gate->names, &l->answer->addrs[i],
				 ex_dns_name_of(question_of(l)), l->learn_at,
				 l->learn_ttl * 1000ull) < 0)
			return false;
	return true;
}

static void on_learned(void *arg, int err)
{
	struct ex_dns_lookup *l = arg;

	l->learn_called = false;
	if (!l->gate)
		free(l);
	else if (l->state == LOOKUP_DONE) /* too late: the timer has answered */
		free_lookup(l);
	else if (l->state != LOOKUP_LEARNING)
		return; /* too late, and finish() is still at it */
	else if (err || !add_names(l))
		fail(l, EX_R_INTERNAL);
	else
		succeed(l, l->answer);
}

static void on_learn_timeout(struct ex_timer *t)
{
	fail(ex_container_of(t, struct ex_dns_lookup, timer), EX_R_INTERNAL);
}

/*
 * Leaves in the answer only what the workload may have. False: nothing is left, and *by is the rule
 * that wants it so, or 0.
 */
static bool filter_addresses(const struct ex_dns_lookup *l, struct ex_dns_answer *a, uint32_t *by)
{
	const struct ex_dns_gate *g = l->gate;
	size_t kept = 0, were = a->n_addrs;

	for (size_t i = 0; i < a->n_addrs; i++) {
		const struct ex_ip *ip = &a->addrs[i];
		struct ex_decision d = ex_judge_answer(g->rs, ip);

		*by = d.rule;
		/* IPv4 in an AAAA record has no honest use */
		if ((question_of(l)->type == EX_DNS_AAAA && ex_ip_is4(ip)) ||
		    d.verdict != EX_V_ALLOW)
			continue;
		a->addrs[kept++] = *ip;
	}
	a->n_addrs = kept;
	return kept > 0 || were == 0;
}

/*
 * For how long the gates know all of the answer. What was known before another policy does not
 * count: they may have forgotten it then.
 */
static uint64_t known_until(const struct ex_dns_lookup *l, const struct ex_dns_answer *a)
{
	const struct ex_dns_gate *g = l->gate;
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < a->n_addrs; i++) {
		uint64_t until = ex_names_until(g->names, &a->addrs[i],
						ex_dns_name_of(question_of(l)), g->swapped);

		first = until < first ? until : first;
	}
	return first;
}

/* The used part of an answer is a small part of it. */
static struct ex_dns_answer *keep_answer(const struct ex_dns_answer *a)
{
	struct ex_dns_answer *kept = malloc(sizeof(*kept));
	size_t data = 0;

	if (!kept)
		return NULL;
	for (size_t i = 0; i < a->n_records; i++)
		data += a->record_len[i];
	kept->rcode = a->rcode;
	kept->ttl = a->ttl;
	kept->n_chain = a->n_chain;
	kept->n_addrs = a->n_addrs;
	kept->n_records = a->n_records;
	memcpy(kept->chain, a->chain, a->n_chain * sizeof(a->chain[0]));
	memcpy(kept->addrs, a->addrs, a->n_addrs * sizeof(a->addrs[0]));
	memcpy(kept->record_len, a->record_len, a->n_records * sizeof(a->record_len[0]));
	memcpy(kept->records, a->records, data);
	return kept;
}

static struct ex_dns_learn what_to_learn(const struct ex_dns_lookup *l,
					 const struct ex_dns_answer *a)
{
	return (struct ex_dns_learn){ .name = ex_dns_name_of(question_of(l)),
				      .ttl = a->ttl + TTL_GRACE,
				      .addrs = a->addrs,
				      .n_addrs = a->n_addrs };
}

static void learn(struct ex_dns_lookup *l, const struct ex_dns_answer *a)
{
	struct ex_dns_gate *g = l->gate;
	struct ex_dns_learn what;

	l->answer = keep_answer(a);
	l->timer.fn = on_learn_timeout;
	if (!l->answer || ex_timer_start(g->loop, &l->timer, LEARN_MS) < 0) {
		fail(l, EX_R_INTERNAL);
		return;
	}
	what = what_to_learn(l, l->answer);
	l->learn_at = ex_loop_now(g->loop);
	l->learn_ttl = what.ttl;
	l->state = LOOKUP_LEARNING;
	l->learn_called = true;
	g->ops.learn(g->ops.arg, &what, on_learned, l); /* l may be gone from here on */
}

/* The gates are asked only when they must, before the answer is given: a name that is in use stays
 * known without anybody's waiting, however short its TTL is. */
static void learn_or_succeed(struct ex_dns_lookup *l, const struct ex_dns_answer *a)
{
	struct ex_dns_gate *g = l->gate;
	uint64_t until = known_until(l, a), end = ex_loop_now(g->loop) + a->ttl * 1000ull;
	struct ex_dns_learn what = what_to_learn(l, a);

	if (until < end + TTL_SURE * 1000ull) {
		learn(l, a);
		return;
	}
	if (until < end + TTL_ENOUGH * 1000ull)
		g->ops.extend(g->ops.arg, &what);
	succeed(l, a);
}

/* ---- resolving ---- */

static void on_answer(void *arg, int err, const void *msg, size_t len)
{
	struct ex_dns_lookup *l = arg;
	struct ex_dns_answer a EX_UNSET;
	uint32_t by = 0;

	l->resolve = NULL;
	ex_dns_answer_init(&a, EX_DNS_SERVFAIL);
	if (err == 0)
		err = ex_dns_parse_answer(msg, len, ex_dns_name_of(question_of(l)),
					  question_of(l)->type, &a);
	if (err < 0 || (a.rcode != EX_DNS_NOERROR && a.rcode != EX_DNS_NXDOMAIN)) {
		fail(l, EX_R_DNS_UPSTREAM);
		return;
	}
	if (!is_still_allowed(l)) {
		fail(l, EX_R_POLICY_CHANGED);
		return;
	}
	a.ttl = a.ttl < TTL_MIN ? TTL_MIN : a.ttl > TTL_MAX ? TTL_MAX : a.ttl;
	if (!filter_addresses(l, &a, &by)) {
		l->decision.rule = by;
		fail(l, EX_R_DNS_ANSWER_DENIED);
	} else if (a.n_addrs == 0) {
		succeed(l, &a);
	} else {
		learn_or_succeed(l, &a);
	}
}

static struct ex_dns_lookup *find_lookup(struct ex_dns_lookup *first,
					 const struct ex_dns_question *q)
{
	for (struct ex_dns_lookup *l = first; l; l = l->next)
		if (l->state <= LOOKUP_LEARNING && question_of(l)->type == q->type &&
		    ex_span_eq(ex_dns_name_of(question_of(l)), ex_dns_name_of(q)))
			return l;
	return NULL;
}

/* For w, who is not among those who wait yet. */
static int start_lookup(struct ex_dns_gate *g, const struct ex_dns_waiter *w, struct ex_decision d,
			struct ex_dns_lookup **bucket, struct ex_dns_lookup **ret)
{
	const struct ex_dns_question *q = &w->question;
	struct ex_dns_lookup *l;
	int r;

	if (g->n_lookups >= LOOKUPS_MAX || !ex_dns_budget_forward(&g->budget, ex_loop_now(g->loop)))
		return -EBUSY;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->gate = g;
	l->last = &l->waiters;
	l->first = *w;
	l->decision = d;
	r = ex_resolver_query(g->resolver, q->name, q->type, on_answer, l, &l->resolve);
	if (r < 0) {
		free(l);
		return r;
	}
	put_in_bucket(l, bucket);
	g->n_lookups++;
	*ret = l;
	return 0;
}

int ex_dns_lookup_join(struct ex_dns_gate *g, const struct ex_dns_waiter *w, struct ex_decision d)
{
	struct ex_dns_lookup **bucket = bucket_of(g, &w->question);
	struct ex_dns_lookup *l = find_lookup(*bucket, &w->question);
	struct ex_dns_waiter *mine;
	int r;

	if (g->n_waiters >= WAITERS_MAX)
		return -EBUSY;
	if (l) {
		mine = malloc(sizeof(*mine));
		if (!mine)
			return -ENOMEM;
		*mine = *w;
	} else {
		r = start_lookup(g, w, d, bucket, &l);
		if (r < 0)
			return r;
		mine = &l->first;
	}
	mine->next = NULL;
	*l->last = mine;
	l->last = &mine->next;
	g->n_waiters++;
	return 0;
}
