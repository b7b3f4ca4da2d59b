/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate under any order of events: questions, answers, failures, learning now, later and never,
 * timeouts, cancelled clients, another policy, and its end in the middle of all that. The input is
 * a list of events; resolver, loop and policy are fakes. Every question is answered once or dropped
 * with its gate, and an answer never holds what was not learned.
 */
#include <errno.h>

#include "agent/dns/gate.h"
#include "agent/dns/names.h"
#include "agent/dns/resolver.h"
#include "agent/dns/wire.h"
#include "tests/fuzz/fuzz.h"

/* few, so that there are often too few */
enum { SLOTS = 12, TIMERS = 6, ADDRS = 12, ASKED = 64 };

/* ---- fakes ---- */

struct ex_resolve {
	bool used, cancelled;
	void (*fn)(void *arg, int err, const void *msg, size_t len);
	void *arg;
	char name[EX_DNS_NAME_MAX + 1];
	uint16_t type;
};

struct learning {
	void (*done)(void *arg, int err);
	void *arg;
	struct ex_ip addrs[4];
	size_t n_addrs;
};

static struct {
	uint64_t now;
	struct ex_timer *timers[TIMERS];
	struct ex_resolve resolves[SLOTS];
	struct learning learnings[SLOTS];
	bool learn_at_once, nothing_allowed, free_in_reply;
	struct ex_dns_gate *gate;
	bool waiting[ASKED]; /* questions without a reply */
	struct ex_ip learned[256];
	size_t n_learned, asked, audited;
} w;

uint64_t ex_loop_now(const struct ex_loop *loop)
{
	(void)loop;
	return w.now;
}

int ex_timer_start(struct ex_loop *loop, struct ex_timer *t, uint64_t ms)
{
	(void)loop;
	for (size_t i = 0; i < TIMERS; i++) {
		if (w.timers[i])
			continue;
		w.timers[i] = t;
		t->at = w.now + ms;
		return 0;
	}
	return -ENOMEM;
}

void ex_timer_stop(struct ex_loop *loop, struct ex_timer *t)
{
	(void)loop;
	for (size_t i = 0; i < TIMERS; i++)
		if (w.timers[i] == t)
			w.timers[i] = NULL;
	t->at = 0;
}

int ex_resolver_query(struct ex_resolver *r, const char *name, uint16_t type,
		      void (*fn)(void *arg, int err, const void *msg, size_t len), void *arg,
		      struct ex_resolve **ret)
{
	(void)r;
	for (size_t i = 0; i < SLOTS; i++) {
		struct ex_resolve *q = &w.resolves[i];

		if (q->used)
			continue;
		*q = (struct ex_resolve){ .used = true, .fn = fn, .arg = arg, .type = type };
		memcpy(q->name, name, strlen(name) + 1);
		*ret = q;
		return 0;
	}
	return -EBUSY;
}

void ex_resolver_cancel(struct ex_resolve *q)
{
	CHECK(q->used && !q->cancelled);
	q->cancelled = true;
}

struct ex_ruleset *ex_ruleset_ref(struct ex_ruleset *rs)
{
	return rs;
}

struct ex_ruleset *ex_ruleset_unref(struct ex_ruleset *rs)
{
	(void)rs;
	return NULL;
}

/* "a…" is allowed as it is, "w…" with any letters behind. */
struct ex_decision ex_judge_dns(const struct ex_ruleset *rs, struct ex_span name)
{
	bool ok = !w.nothing_allowed && name.len > 0 &&
		  (name.ptr[0] == 'w' || (name.ptr[0] == 'a' && name.len == 1));

	(void)rs;
	return (struct ex_decision){ ok ? EX_V_ALLOW : EX_V_DENY,
				     ok ? EX_R_ALLOWED : EX_R_DNS_NAME_DENIED, 0 };
}

/* Types beside addresses: TXT and SRV. */
struct ex_decision ex_judge_dns_type(const struct ex_ruleset *rs, struct ex_span name,
				     uint16_t type)
{
	struct ex_decision d = ex_judge_dns(rs, name);

	if (d.verdict == EX_V_ALLOW && type != 16 && type != 33)
		d = (struct ex_decision){ EX_V_DENY, EX_R_DNS_TYPE_DENIED, d.rule };
	return d;
}

struct ex_decision ex_judge_answer(const struct ex_ruleset *rs, const struct ex_ip *ip)
{
	bool ok = ip->b[15] != 0;

	(void)rs;
	return (struct ex_decision){ ok ? EX_V_ALLOW : EX_V_DENY, EX_R_RESERVED_DENY, 0 };
}

/* ---- what the gate calls ---- */

/* What could not be learned must not be in an answer. */
static void end_learning(const struct learning *l, int err)
{
	if (w.n_learned + l->n_addrs > EX_ARRAY_SIZE(w.learned))
		err = -ENOSPC;
	for (size_t i = 0; i < l->n_addrs && err == 0; i++)
		w.learned[w.n_learned++] = l->addrs[i];
	l->done(l->arg, err);
}

static void learn(void *arg, const struct ex_dns_learn *l, void (*done)(void *arg, int err),
		  void *done_arg)
{
	struct learning new = { .done = done, .arg = done_arg };

	(void)arg;
	CHECK(l->n_addrs > 0 && l->ttl > 0 && l->name.len > 0 && !w.nothing_allowed);
	for (size_t i = 0; i < l->n_addrs; i++) {
		CHECK(l->addrs[i].b[15] != 0);
		if (i < EX_ARRAY_SIZE(new.addrs))
			new.addrs[new.n_addrs++] = l->addrs[i];
	}
	for (size_t i = 0; i < SLOTS && !w.learn_at_once; i++) {
		if (w.learnings[i].done)
			continue;
		w.learnings[i] = new;
		return;
	}
	end_learning(&new, 0);
}

static bool was_learned(const struct ex_ip *ip)
{
	for (size_t i = 0; i < w.n_learned; i++)
		if (ex_ip_eq(&w.learned[i], ip))
			return true;
	return false;
}

static void extend(void *arg, const struct ex_dns_learn *l)
{
	(void)arg;
	CHECK(l->n_addrs > 0 && l->ttl > 0 && l->name.len > 0 && !w.nothing_allowed);
	for (size_t i = 0; i < l->n_addrs; i++)
		CHECK(was_learned(&l->addrs[i]));
}

static void audit(void *arg, const void *client, const struct ex_dns_verdict *v)
{
	(void)arg;
	(void)client;
	CHECK(v->question && v->decision.reason != EX_R_UNSPEC);
	w.audited++;
}

static void on_reply(void *arg, const void *reply, size_t len)
{
	bool *waiting = arg;
	struct ex_dns_answer a;
	struct ex_dns_cursor c = { reply, len, EX_DNS_HEADER, true };
	char name[EX_DNS_NAME_MAX + 1];

	CHECK(*waiting);
	*waiting = false;
	if (len > EX_DNS_HEADER && ex_dns_read_name(&c, false, NULL, name) &&
	    ex_dns_read16(&c) == EX_DNS_A) {
		CHECK(ex_dns_parse_answer(reply, len, ex_span_str(name), EX_DNS_A, &a) == 0);
		for (size_t i = 0; i < a.n_addrs; i++)
			CHECK(was_learned(&a.addrs[i]));
	}
	if (w.free_in_reply) {
		ex_dns_gate_free(w.gate);
		w.gate = NULL;
	}
}

/* ---- events ---- */

static void ask(uint8_t what, bool edns)
{
	uint8_t m[64] = { 0, what, 1, 0, 0, 1 };
	size_t len = EX_DNS_HEADER;
	bool *waiting = NULL;

	for (size_t i = 0; i < ASKED && !waiting; i++)
		waiting = w.waiting[i] ? NULL : &w.waiting[i];
	if (!waiting)
		return;
	if (what & 1) { /* some names below a wildcard */
		m[len++] = 2;
		m[len++] = 'w';
		m[len++] = (uint8_t)('a' + (what >> 3) % 26);
	} else {
		m[len++] = 1;
		m[len++] = what & 2 ? 'a' : 'z';
	}
	memcpy(m + len, "\0\0\1\0\1", 5);
	if (what & 4)
		m[len + 2] = EX_DNS_AAAA;
	len += 5;
	if (edns) {
		m[11] = 1;
		memcpy(m + len, "\0\0\x29\4\xd0\0\0\0\0\0\0", 11);
		len += 11;
	}
	*waiting = true;
	w.asked++;
	ex_dns_gate_query(w.gate, NULL, m, len, what & 8, on_reply, waiting);
}

static void answer(uint8_t which, uint8_t how)
{
	struct ex_resolve *q = &w.resolves[which % SLOTS], was;
	struct ex_dns_question question = { .type = q->type };
	struct ex_dns_answer a = { .ttl = how, .rcode = how & 64 ? EX_DNS_NXDOMAIN : 0 };
	uint8_t buf[512];
	size_t len;

	if (!q->used)
		return;
	was = *q;
	q->used = false;
	if (was.cancelled)
		return;
	for (size_t i = 0; i < (how & 3u) && !(how & 64); i++) {
		a.addrs[i] = ex_ip_from4((uint8_t[]){ 1, 2, which, (uint8_t)((how >> 2 & 3) + i) });
		if (q->type == EX_DNS_AAAA)
			a.addrs[i].b[0] = 0x20;
		a.n_addrs++;
	}
	memcpy(question.name_sent, was.name, sizeof(was.name));
	len = ex_dns_build_reply(&question, &a, 0, NULL, buf, sizeof(buf));
	if (how & 128)
		was.fn(was.arg, -ETIMEDOUT, NULL, 0);
	else
		was.fn(was.arg, 0, buf, how & 32 ? len - 1 : len);
}

static void learned(uint8_t which, int err)
{
	struct learning l = w.learnings[which % SLOTS];

	w.learnings[which % SLOTS] = (struct learning){ 0 };
	if (l.done)
		end_learning(&l, err);
}

static void fire_timers(void)
{
	for (size_t i = 0; i < TIMERS && w.gate; i++) {
		struct ex_timer *t = w.timers[i];

		if (!t || t->at > w.now)
			continue;
		w.timers[i] = NULL;
		t->at = 0;
		t->fn(t);
	}
}

static void event(uint8_t op, uint8_t arg)
{
	switch (op % 10) {
	case 0:
	case 1:
		ask(arg, op & 16);
		break;
	case 2:
	case 3:
		answer(op >> 4, arg);
		break;
	case 4:
		learned(op >> 4, arg & 1 ? -ENOSPC : 0);
		break;
	case 5:
		w.now += arg * 100u;
		fire_timers();
		break;
	case 6:
		ex_dns_gate_clear(w.gate);
		break;
	case 7:
		w.nothing_allowed = arg & 1;
		ex_dns_gate_swap(w.gate, NULL);
		break;
	case 8:
		w.learn_at_once = arg & 1;
		break;
	case 9:
		w.free_in_reply = arg > 250;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ex_dns_gate_ops ops = { .learn = learn, .extend = extend, .audit = audit };
	struct ex_names *names;

	memset(&w, 0, sizeof(w));
	CHECK(ex_names_new(ADDRS, &names) == 0);
	CHECK(ex_dns_gate_new(NULL, NULL, NULL, names, &ops, &w.gate) == 0);
	for (size_t i = 0; i + 1 < size && w.gate; i += 2)
		event(data[i], data[i + 1]);
	ex_dns_gate_free(w.gate);
	w.gate = NULL;
	CHECK(w.audited == w.asked); /* also what was not answered */
	for (size_t i = 0; i < TIMERS; i++)
		CHECK(!w.timers[i]);
	for (size_t i = 0; i < SLOTS; i++) {
		CHECK(!w.resolves[i].used || w.resolves[i].cancelled);
		learned((uint8_t)i, 0); /* late: only memory is left to give back */
	}
	ex_names_free(names);
	return 0;
}
