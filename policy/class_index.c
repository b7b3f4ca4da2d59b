/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terms of a class by protocol and port, so that a judgement does not grow with the rules that
 * are about other ports. Terms of few ports are filed under each of them; what is about many ports
 * is tried one by one. Both lists are in the order of terms, and are read as one.
 */
#include "policy/model.h"

#include <errno.h>
#include <netinet/in.h>

#define SMALL_CLASS 16      /* peers; below, trying is as fast */
#define NARROW      16      /* ports of a term that are filed one by one */
#define REFS_MAX    4000000 /* of all classes; the ones behind stay without an index */

struct port_entry {
	uint8_t proto;
	uint16_t port;
	uint32_t first, n; /* in refs */
	uint32_t next;     /* index + 1 */
};

struct ex_class_index {
	uint32_t *buckets;
	size_t mask;
	struct port_entry *entries;
	struct ex_term_ref *refs, *wide;
	size_t n_wide;
	uint32_t first_allow;
};

static size_t bucket_of(const struct ex_class_index *ix, uint8_t proto, uint16_t port)
{
	uint32_t h = ((uint32_t)proto << 16 | port) * 0x9e3779b1u;

	return (h ^ (h >> 15)) & ix->mask;
}

static const struct port_entry *find_entry(const struct ex_class_index *ix, uint8_t proto,
					   uint16_t port)
{
	uint32_t i = ix->buckets[bucket_of(ix, proto, port)];

	for (; i; i = ix->entries[i - 1].next) {
		if (ix->entries[i - 1].proto == proto && ix->entries[i - 1].port == port)
			return &ix->entries[i - 1];
	}
	return NULL;
}

/* ---- asking ---- */

void ex_class_find(const struct ex_class *c, uint8_t proto, uint16_t port, struct ex_term_iter *it)
{
	const struct ex_class_index *ix = c->index;
	const struct port_entry *e;

	*it = (struct ex_term_iter){ .c = c, .proto = proto, .port = port };
	if (!ix)
		return;
	e = find_entry(ix, proto, port);
	if (e) {
		it->exact = ix->refs + e->first;
		it->exact_end = it->exact + e->n;
	}
	it->wide = ix->wide;
	it->wide_end = ix->wide + ix->n_wide;
}

static bool is_before(const struct ex_term_ref *a, const struct ex_term_ref *b)
{
	return a->peer != b->peer ? a->peer < b->peer : a->term < b->term;
}

static const struct ex_term *next_indexed(const struct ex_ruleset *rs, struct ex_term_iter *it)
{
	while (it->exact < it->exact_end || it->wide < it->wide_end) {
		bool exact = it->wide == it->wide_end ||
			     (it->exact < it->exact_end && is_before(it->exact, it->wide));
		const struct ex_term_ref *ref = exact ? it->exact++ : it->wide++;
		const struct ex_term *t = &rs->peers[ref->peer].terms[ref->term];

		it->of = &rs->peers[ref->peer];
		if (exact || ex_ports_has(t->ports, it->proto, it->port))
			return t;
	}
	return NULL;
}

const struct ex_term *ex_class_next(const struct ex_ruleset *rs, struct ex_term_iter *it)
{
	if (it->c->index)
		return next_indexed(rs, it);
	while (it->peer < it->c->n_peers) {
		const struct ex_rpeer *peer = &rs->peers[it->c->peers[it->peer]];
		const struct ex_term *t;

		if (it->term == peer->n_terms) {
			it->peer++;
			it->term = 0;
			continue;
		}
		t = &peer->terms[it->term++];
		it->of = peer;
		if (ex_ports_has(t->ports, it->proto, it->port))
			return t;
	}
	return NULL;
}

uint32_t ex_class_first_allow(const struct ex_ruleset *rs, const struct ex_class *c)
{
	if (c->index)
		return c->index->first_allow;
	for (size_t i = 0; i < c->n_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[c->peers[i]];

		for (size_t k = 0; k < peer->n_terms; k++) {
			if (!peer->terms[k].deny)
				return peer->terms[k].rule;
		}
	}
	return 0;
}

/* ---- making ---- */

struct filed {
	uint8_t proto;
	uint16_t port;
	struct ex_term_ref ref;
};

struct builder {
	EX_VEC(struct filed) filed;
	EX_VEC(struct ex_term_ref) wide;
	size_t total; /* of all classes */
};

static bool is_narrow(const struct ex_term *t)
{
	size_t n = 0;

	if (!t->ports)
		return false;
	for (size_t i = 0; i < t->ports->n; i++) {
		const struct ex_portset *s = &t->ports->v[i];

		if (s->any_proto || s->hi - s->lo >= NARROW)
			return false;
		n += (size_t)(s->hi - s->lo) + 1;
	}
	return n <= NARROW;
}

static int file_term(struct builder *b, const struct ex_term *t, struct ex_term_ref ref)
{
	if (!is_narrow(t)) {
		struct ex_term_ref *slot = EX_VEC_ADD(&b->wide);

		if (!slot)
			return -ENOMEM;
		*slot = ref;
		return 0;
	}
	for (size_t i = 0; i < t->ports->n; i++) {
		const struct ex_portset *s = &t->ports->v[i];

		for (uint32_t port = s->lo; port <= s->hi; port++) {
			struct filed *slot = EX_VEC_ADD(&b->filed);

			if (!slot)
				return -ENOMEM;
			*slot = (struct filed){ s->proto, (uint16_t)port, ref };
		}
	}
	return 0;
}

static int cmp_filed(const void *a, const void *b)
{
	const struct filed *x = a, *y = b;

	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->ref.peer != y->ref.peer)
		return x->ref.peer < y->ref.peer ? -1 : 1;
	return x->ref.term < y->ref.term ? -1 : x->ref.term > y->ref.term;
}

/* A port that a term has twice is filed once. */
static void fill(struct ex_class_index *ix, const struct filed *v, size_t n)
{
	uint32_t n_entries = 0, n_refs = 0;

	for (size_t i = 0; i < n; i++) {
		struct port_entry *e = n_entries ? &ix->entries[n_entries - 1] : NULL;
		uint32_t *bucket;

		if (i && cmp_filed(&v[i - 1], &v[i]) == 0)
			continue;
		if (!e || e->proto != v[i].proto || e->port != v[i].port) {
			bucket = &ix->buckets[bucket_of(ix, v[i].proto, v[i].port)];
			e = &ix->entries[n_entries++];
			*e = (struct port_entry){ .proto = v[i].proto,
						  .port = v[i].port,
						  .first = n_refs,
						  .next = *bucket };
			*bucket = n_entries;
		}
		ix->refs[n_refs++] = v[i].ref;
		e->n++;
	}
}

static struct ex_class_index *make_index(struct ex_ruleset *rs, const struct ex_class *c,
					 struct builder *b)
{
	struct ex_class_index *ix = ex_arena_alloc(&rs->arena, 1, sizeof(*ix));

	if (!ix)
		return NULL;
	ix->mask = 15;
	while (ix->mask + 1 < b->filed.n * 2)
		ix->mask = ix->mask * 2 + 1;
	ix->buckets = ex_arena_alloc(&rs->arena, ix->mask + 1, sizeof(*ix->buckets));
	ix->entries = ex_arena_alloc(&rs->arena, b->filed.n, sizeof(*ix->entries));
	ix->refs = ex_arena_alloc(&rs->arena, b->filed.n, sizeof(*ix->refs));
	ix->wide = ex_arena_alloc(&rs->arena, b->wide.n, sizeof(*ix->wide));
	if (!ix->buckets || !ix->entries || !ix->refs || !ix->wide)
		return NULL;
	ix->first_allow = ex_class_first_allow(rs, c);
	ix->n_wide = b->wide.n;
	if (b->wide.n)
		memcpy(ix->wide, b->wide.v, b->wide.n * sizeof(*ix->wide));
	if (b->filed.n)
		qsort(b->filed.v, b->filed.n, sizeof(*b->filed.v), cmp_filed);
	fill(ix, b->filed.v, b->filed.n);
	return ix;
}

static int index_class(struct ex_ruleset *rs, struct ex_class *c, struct builder *b)
{
	int r = 0;

	b->filed.n = b->wide.n = 0;
	for (size_t i = 0; r == 0 && i < c->n_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[c->peers[i]];

		for (size_t k = 0; r == 0 && k < peer->n_terms; k++)
			r = file_term(b, &peer->terms[k],
				      (struct ex_term_ref){ c->peers[i], (uint32_t)k });
	}
	b->total += b->filed.n + b->wide.n;
	if (r < 0 || b->total > REFS_MAX)
		return r;
	c->index = make_index(rs, c, b);
	return c->index ? 0 : -ENOMEM;
}

int ex_class_indexes_build(struct ex_ruleset *rs)
{
	struct builder b = { .total = 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && b.total <= REFS_MAX && i < rs->n_classes; i++) {
		if (rs->classes[i].n_peers > SMALL_CLASS)
			r = index_class(rs, &rs->classes[i], &b);
	}
	free(b.filed.v);
	free(b.wide.v);
	return r;
}
