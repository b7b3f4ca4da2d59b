/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c evaluated beforehand. Per class and protocol the ports fall into segments in which the
 * answer is the same; the segments become the fewest port prefixes that say so under longest-prefix
 * lookup.
 */
#include "policy/emit_class.h"

#include <errno.h>
#include <netinet/in.h>

struct segment {
	uint32_t lo; /* up to the next one's */
	struct ex_rule value;
};

/* A term and a range of ports in which it holds. */
struct span {
	uint32_t lo, hi;
	size_t order; /* of the term in the class */
	const struct ex_term *term;
};

struct emitter {
	const struct ex_ruleset *rs;
	const struct ex_class *c;
	struct ex_rule_sink *out;
	uint32_t klass;
	uint8_t proto;
	EX_VEC(struct span) spans;
	EX_VEC(uint32_t) cuts;
	bool named; /* some term is about this protocol in particular */
	struct segment *seg;
	size_t n_seg;
	int err;
};

static struct ex_rule to_value(const struct ex_merge *m)
{
	struct ex_rule v = { .verdict = (uint8_t)m->verdict, .rule = m->rule };

	if (m->verdict == EX_V_STEER)
		v.kind = (uint8_t)m->kind;
	if (m->verdict == EX_V_DENY)
		v.reason = (uint16_t)m->reason;
	/* What audit mode would have denied; where it steers the proxy finds out by itself. */
	if (m->verdict == EX_V_ALLOW && (m->would || m->reason != EX_R_ALLOWED)) {
		v.reason = (uint16_t)(m->would ? EX_R_POLICY_DENY : m->reason);
		v.rule = m->would ? m->would : m->rule;
	}
	return v;
}

/* What the merged terms come to: the entry, or zeroes for none. */
static struct ex_rule finish_value(const struct emitter *e, struct ex_merge *m, uint8_t proto,
				   uint16_t port)
{
	/* What a name says nothing about is left to the static class. */
	if (m->verdict == EX_V_INVALID && e->out->names)
		return (struct ex_rule){ 0 };
	ex_merge_finish(m, e->rs, e->c, proto, port);
	/* Default deny is silence, so that a name may add to it. */
	if (m->verdict == EX_V_DENY && m->reason == EX_R_DEFAULT_DENY)
		return (struct ex_rule){ 0 };
	return to_value(m);
}

static bool same_value(const struct ex_rule *a, const struct ex_rule *b)
{
	return a->verdict == b->verdict && a->kind == b->kind && a->reason == b->reason &&
	       a->rule == b->rule;
}

static void put(struct emitter *e, unsigned prefix, uint16_t port, struct ex_rule value)
{
	struct ex_rule_entry *slot = EX_VEC_ADD(&e->out->rules);

	if (!slot) {
		e->err = -ENOMEM;
		return;
	}
	if (value.verdict == EX_V_INVALID)
		value = (struct ex_rule){ .verdict = EX_V_DENY, .reason = EX_R_DEFAULT_DENY };
	*slot = (struct ex_rule_entry){ .klass = e->klass,
					.prefix = (uint8_t)prefix,
					.proto = prefix ? e->proto : 0,
					.port = port,
					.value = value };
}

static size_t segment_of(const struct emitter *e, uint32_t port)
{
	size_t lo = 0, hi = e->n_seg;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->seg[mid].lo <= port)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* The ports that share the first `bits` bits with `port`; depth is at most 16. */
static void emit_ports(struct emitter *e, unsigned bits, uint32_t port, struct ex_rule outer)
{
	uint32_t size = 1u << (16 - bits);
	size_t first = segment_of(e, port), last = segment_of(e, port + size - 1);
	bool same = true;

	for (size_t i = first + 1; i <= last && same; i++)
		same = same_value(&e->seg[first].value, &e->seg[i].value);
	if (!same) {
		emit_ports(e, bits + 1, port, outer);
		emit_ports(e, bits + 1, port + size / 2, outer);
		return;
	}
	if (!same_value(&e->seg[first].value, &outer))
		put(e, 16 + bits, (uint16_t)port, e->seg[first].value);
}

/* ---- the ports of one protocol, swept from low to high ---- */

static int cmp_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int cmp_span(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int add_cut(struct emitter *e, uint32_t at)
{
	uint32_t *slot;

	if (at > 65535)
		return 0;
	slot = EX_VEC_ADD(&e->cuts);
	if (!slot)
		return -ENOMEM;
	*slot = at;
	return 0;
}

static int add_range(struct emitter *e, const struct ex_term *t, size_t order, uint32_t lo,
		     uint32_t hi, bool holds)
{
	struct span *slot;
	int r = add_cut(e, lo);

	if (r == 0)
		r = add_cut(e, hi + 1);
	if (r < 0 || !holds)
		return r;
	slot = EX_VEC_ADD(&e->spans);
	if (!slot)
		return -ENOMEM;
	*slot = (struct span){ lo, hi, order, t };
	return 0;
}

/* holds: the peer is of the class; else only the places where its terms begin and end matter. */
static int add_peer(struct emitter *e, const struct ex_rpeer *peer, size_t *order, bool holds)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < peer->n_terms; k++) {
		const struct ex_term *t = &peer->terms[k];

		*order += 1;
		/* toFQDNs without ports steers TCP and allows the rest */
		e->named |= !t->ports && t->fqdn && e->proto == IPPROTO_TCP;
		if (!t->ports)
			r = add_range(e, t, *order, 0, 65535, holds);
		for (size_t j = 0; r == 0 && t->ports && j < t->ports->n; j++) {
			const struct ex_portset *s = &t->ports->v[j];

			if (s->any_proto) {
				r = add_range(e, t, *order, 0, 65535, holds);
			} else if (s->proto == e->proto) {
				e->named = true;
				r = add_range(e, t, *order, s->lo, s->hi, holds);
			}
		}
	}
	return r;
}

static int collect(struct emitter *e)
{
	const struct ex_ruleset *rs = e->rs;
	size_t order = 0;
	int r = add_cut(e, 0);

	for (size_t i = 0; r == 0 && i < e->c->n_peers; i++)
		r = add_peer(e, &rs->peers[e->c->peers[i]], &order, true);
	/* see ex_merge_finish(): names matter where nothing else matches, and where they deny */
	for (size_t i = 0; r == 0 && rs->default_allow && i < rs->n_name_peers; i++)
		r = add_peer(e, &rs->peers[rs->name_peers[i]], &order, false);
	for (size_t i = 0; r == 0 && i < rs->n_name_denies; i++)
		r = add_peer(e, &rs->peers[rs->name_denies[i]], &order, false);
	return r;
}

/* Keeps active what still holds at `at` and lets in what begins there, in the order of terms. */
static size_t advance(const struct emitter *e, const struct span **active, size_t n, size_t *next,
		      uint32_t at)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (active[i]->hi >= at)
			active[kept++] = active[i];
	}
	for (; *next < e->spans.n && e->spans.v[*next].lo <= at; *next += 1) {
		size_t i = kept++;

		for (; i > 0 && active[i - 1]->order > e->spans.v[*next].order; i--)
			active[i] = active[i - 1];
		active[i] = &e->spans.v[*next];
	}
	return kept;
}

static void sweep(struct emitter *e, const struct span **active)
{
	size_t n = 0, next = 0;

	for (size_t i = 0; i < e->cuts.n; i++) {
		uint32_t at = e->cuts.v[i];
		struct ex_merge m = { 0 };

		if (i && at == e->cuts.v[i - 1])
			continue;
		n = advance(e, active, n, &next, at);
		for (size_t k = 0; k < n; k++)
			ex_merge_term(&m, e->rs, active[k]->term, e->proto);
		e->seg[e->n_seg].lo = at;
		e->seg[e->n_seg++].value = finish_value(e, &m, e->proto, (uint16_t)at);
	}
}

static int make_segments(struct emitter *e)
{
	EX_AUTO_FREE const struct span **active = calloc(e->spans.n + 1, sizeof(const void *));

	e->seg = calloc(e->cuts.n, sizeof(*e->seg));
	if (!e->seg || !active)
		return -ENOMEM;
	qsort(e->cuts.v, e->cuts.n, sizeof(*e->cuts.v), cmp_u32);
	if (e->spans.n)
		qsort(e->spans.v, e->spans.n, sizeof(*e->spans.v), cmp_span);
	e->n_seg = 0;
	sweep(e, active);
	return 0;
}

static int emit_proto(struct emitter *e, uint8_t proto, struct ex_rule outer)
{
	int r;

	e->proto = proto;
	e->named = false;
	e->cuts.n = e->spans.n = 0;
	r = collect(e);
	if (r == 0 && e->named) {
		r = make_segments(e);
		if (r == 0)
			emit_ports(e, 0, 0, outer);
		free(e->seg);
		e->seg = NULL;
	}
	return r < 0 ? r : e->err;
}

/* What holds for every protocol: 255 is reserved, so no policy names it. */
static struct ex_rule base_value(const struct emitter *e)
{
	struct ex_merge m = { 0 };

	ex_merge_class(&m, e->rs, e->c, 255, 0);
	return finish_value(e, &m, 255, 0);
}

/* Every protocol that a policy can name. */
static const uint8_t port_protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP,
				       IPPROTO_ICMPV6 };

int ex_emit_class(const struct ex_ruleset *rs, const struct ex_class *c, uint32_t klass,
		  struct ex_rule_sink *out)
{
	struct emitter e = { .rs = rs, .c = c, .out = out, .klass = klass };
	struct ex_rule base = base_value(&e);
	int r = 0;

	if (base.verdict != EX_V_INVALID)
		put(&e, 0, 0, base);
	for (size_t i = 0; r == 0 && e.err == 0 && i < EX_ARRAY_SIZE(port_protos); i++)
		r = emit_proto(&e, port_protos[i], base);
	free(e.cuts.v);
	free(e.spans.v);
	return r < 0 ? r : e.err;
}

/* ---- the whole ruleset ---- */

struct dest_vec {
	struct ex_dest_entry *v;
	size_t n, cap;
};

static int put_dest(struct dest_vec *d, const struct ex_prefix *p, uint32_t klass)
{
	struct ex_dest_entry *slot = EX_VEC_ADD(d);

	if (!slot)
		return -ENOMEM;
	*slot = (struct ex_dest_entry){ p->ip, p->len, klass };
	return 0;
}

/* A prefix of the same class as the one around it says nothing new. */
static int emit_tree(const struct ex_dest_tree *tree, struct dest_vec *out)
{
	for (size_t i = 0; i < tree->n; i++) {
		const struct ex_dest_node *n = &tree->v[i];
		int r;

		if (n->up != EX_NO_NODE && tree->v[n->up].klass == n->klass)
			continue;
		r = put_dest(out, &n->prefix, n->klass);
		if (r < 0)
			return r;
	}
	return 0;
}

int ex_emit(const struct ex_ruleset *rs, struct ex_tables *ret)
{
	struct ex_rule_sink rules = { .names = false };
	struct dest_vec dests = { 0 };
	int r = 0;

	for (uint32_t k = 1; r == 0 && k < rs->n_classes; k++)
		r = ex_emit_class(rs, &rs->classes[k], k, &rules);
	if (r == 0)
		r = emit_tree(&rs->tree4, &dests);
	if (r == 0)
		r = emit_tree(&rs->tree6, &dests);
	if (r < 0) {
		free(rules.rules.v);
		free(dests.v);
		return r;
	}
	*ret = (struct ex_tables){ dests.v, dests.n, rules.rules.v, rules.rules.n,
				   ex_class_room(rs) };
	return 0;
}

void ex_tables_done(struct ex_tables *t)
{
	free(t->dests);
	free(t->rules);
	*t = (struct ex_tables){ 0 };
}
