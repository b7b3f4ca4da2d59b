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

struct emitter {
	const struct ex_ruleset *rs;
	const struct ex_class *c;
	struct ex_rule_sink *out;
	uint32_t klass;
	uint8_t proto;
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
	return v;
}

static struct ex_rule value_at(const struct emitter *e, uint8_t proto, uint16_t port)
{
	struct ex_merge m = { 0 };

	ex_merge_class(&m, e->rs, e->c, proto, port);
	/* What a name says nothing about is left to the static class. */
	if (m.verdict == EX_V_INVALID && e->out->names)
		return (struct ex_rule){ 0 };
	ex_merge_finish(&m, e->rs, e->c->closed, proto, port);
	/* Default deny is silence, so that a name may add to it. */
	if (m.verdict == EX_V_DENY && m.reason == EX_R_DEFAULT_DENY)
		return (struct ex_rule){ 0 };
	return to_value(&m);
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

static int cmp_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

struct cuts {
	uint32_t *v;
	size_t n, cap;
};

static int add_cut(struct cuts *cuts, uint32_t at)
{
	uint32_t *slot;

	if (at > 65535)
		return 0;
	slot = EX_VEC_ADD(cuts);
	if (!slot)
		return -ENOMEM;
	*slot = at;
	return 0;
}

/* Where the answer may change for this protocol because of one peer; is it named at all? */
static int collect_peer_cuts(const struct emitter *e, const struct ex_rpeer *peer,
			     struct cuts *cuts, bool *named)
{
	int r = 0;

	for (size_t k = 0; k < peer->n_terms; k++) {
		const struct ex_ports *p = peer->terms[k].ports;

		/* toFQDNs without ports steers TCP and allows the rest */
		*named |= !p && peer->terms[k].fqdn && e->proto == IPPROTO_TCP;
		for (size_t j = 0; r == 0 && p && j < p->n; j++) {
			if (p->v[j].any_proto || p->v[j].proto != e->proto)
				continue;
			*named = true;
			r = add_cut(cuts, p->v[j].lo);
			if (r == 0)
				r = add_cut(cuts, p->v[j].hi + 1u);
		}
	}
	return r;
}

static int collect_cuts(const struct emitter *e, struct cuts *cuts, bool *named)
{
	const struct ex_ruleset *rs = e->rs;
	int r = add_cut(cuts, 0);

	for (size_t i = 0; r == 0 && i < e->c->n_peers; i++)
		r = collect_peer_cuts(e, &rs->peers[e->c->peers[i]], cuts, named);
	/* see ex_merge_finish(): names matter where nothing else matches, and where they deny */
	for (size_t i = 0; r == 0 && rs->default_allow && i < rs->n_name_peers; i++)
		r = collect_peer_cuts(e, &rs->peers[rs->name_peers[i]], cuts, named);
	for (size_t i = 0; r == 0 && i < rs->n_name_denies; i++)
		r = collect_peer_cuts(e, &rs->peers[rs->name_denies[i]], cuts, named);
	return r;
}

static int make_segments(struct emitter *e, struct cuts *cuts)
{
	e->seg = calloc(cuts->n, sizeof(*e->seg));
	if (!e->seg)
		return -ENOMEM;
	qsort(cuts->v, cuts->n, sizeof(*cuts->v), cmp_u32);
	e->n_seg = 0;
	for (size_t i = 0; i < cuts->n; i++) {
		if (i && cuts->v[i] == cuts->v[i - 1])
			continue;
		e->seg[e->n_seg].lo = cuts->v[i];
		e->seg[e->n_seg++].value = value_at(e, e->proto, (uint16_t)cuts->v[i]);
	}
	return 0;
}

static int emit_proto(struct emitter *e, uint8_t proto, struct ex_rule outer)
{
	struct cuts cuts = { 0 };
	bool named = false;
	int r;

	e->proto = proto;
	r = collect_cuts(e, &cuts, &named);
	if (r == 0 && named) {
		r = make_segments(e, &cuts);
		if (r == 0)
			emit_ports(e, 0, 0, outer);
		free(e->seg);
		e->seg = NULL;
	}
	free(cuts.v);
	return r < 0 ? r : e->err;
}

/* Every protocol that a policy can name. */
static const uint8_t port_protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP,
				       IPPROTO_ICMPV6 };

int ex_emit_class(const struct ex_ruleset *rs, const struct ex_class *c, uint32_t klass,
		  struct ex_rule_sink *out)
{
	struct emitter e = { .rs = rs, .c = c, .out = out, .klass = klass };
	/* 255 is reserved: no policy names it, so it shows what holds for every protocol */
	struct ex_rule base = value_at(&e, 255, 0);
	int r = 0;

	if (base.verdict != EX_V_INVALID)
		put(&e, 0, 0, base);
	for (size_t i = 0; r == 0 && e.err == 0 && i < EX_ARRAY_SIZE(port_protos); i++)
		r = emit_proto(&e, port_protos[i], base);
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
				   (uint32_t)rs->n_classes - 1 };
	return 0;
}

void ex_tables_done(struct ex_tables *t)
{
	free(t->dests);
	free(t->rules);
	*t = (struct ex_tables){ 0 };
}
