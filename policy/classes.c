/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From marks to classes: one walk over the sorted prefixes, outer before inner, with a stack of
 * those we are inside of. On the way down marks switch peers on and off, on the way up they are
 * undone; at each prefix the set of peers that are on is looked up among the classes made so far.
 */
#include "policy/model.h"

#include <errno.h>

#include "exeat/hash.h"

#define CLASSES_MAX 1000000
#define MEMBERS_MAX 16000000 /* of all classes: 64 MB */

struct walker {
	struct ex_ruleset *rs;
	struct ex_arena *arena;
	int32_t (*count)[EX_ADDR_KINDS]; /* per peer, per kind: how many marks hold */
	uint32_t *active;                /* peers with any count, ascending */
	size_t n_active;
	uint32_t *members; /* scratch: those that hold for the kind at hand */
	size_t n_members;
	size_t n_members_all; /* of every class so far */
	EX_VEC(struct ex_class) classes;
	uint32_t *table; /* hash of class ids; 0 = free */
	size_t table_size;
};

/* A prefix that we are inside of, and the marks [from, to) that stand at it. */
struct level {
	struct ex_prefix prefix;
	size_t from, to;
	uint32_t node;
	uint8_t kinds;
};

int ex_marks_add(struct ex_marks *m, const struct ex_prefix *prefix, uint32_t peer, unsigned kinds,
		 int delta)
{
	struct ex_mark *slot;

	slot = EX_VEC_ADD(m);
	if (!slot)
		return -ENOMEM;
	*slot = (struct ex_mark){ *prefix, peer, (uint8_t)kinds, (int8_t)delta, false };
	return 0;
}

static int mark_cmp(const void *a, const void *b)
{
	const struct ex_mark *x = a, *y = b;
	bool x4 = ex_prefix_is4(&x->prefix), y4 = ex_prefix_is4(&y->prefix);
	int r;

	if (x4 != y4)
		return x4 ? -1 : 1;
	r = ex_prefix_cmp(&x->prefix, &y->prefix);
	if (r)
		return r;
	return x->peer < y->peer ? -1 : x->peer > y->peer;
}

static size_t find_active(const struct walker *w, uint32_t peer)
{
	size_t lo = 0, hi = w->n_active;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->active[mid] < peer)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_on(const struct walker *w, uint32_t peer, unsigned kinds)
{
	for (unsigned k = 0; k < EX_ADDR_KINDS; k++) {
		if ((kinds & (1u << k)) && w->count[peer][k] > 0)
			return true;
	}
	return false;
}

static void apply_mark(struct walker *w, const struct ex_mark *m, int sign)
{
	const unsigned all = (1u << EX_ADDR_KINDS) - 1;
	bool was = is_on(w, m->peer, all), now;
	size_t at;

	for (unsigned k = 0; k < EX_ADDR_KINDS; k++) {
		if (m->kinds & (1u << k))
			w->count[m->peer][k] += sign * m->delta;
	}
	now = is_on(w, m->peer, all);
	if (was == now)
		return;
	at = find_active(w, m->peer);
	if (now) {
		memmove(w->active + at + 1, w->active + at,
			(w->n_active - at) * sizeof(*w->active));
		w->active[at] = m->peer;
		w->n_active++;
	} else {
		w->n_active--;
		memmove(w->active + at, w->active + at + 1,
			(w->n_active - at) * sizeof(*w->active));
	}
}

static size_t hash_set(const uint32_t *v, size_t n, unsigned flags)
{
	uint64_t h = EX_HASH_START ^ flags;

	for (size_t i = 0; i < n; i++)
		h = ex_hash_step(h, v[i]);
	return (size_t)(h ^ (h >> 29));
}

static bool same_class(const struct ex_class *c, const struct walker *w, bool closed, bool host)
{
	return c->closed == closed && c->host == host && c->n_peers == w->n_members &&
	       (w->n_members == 0 ||
		memcmp(c->peers, w->members, w->n_members * sizeof(*w->members)) == 0);
}

static int grow_table(struct walker *w)
{
	size_t size = w->table_size ? w->table_size * 2 : 1024;
	uint32_t *table = calloc(size, sizeof(*table));

	if (!table)
		return -ENOMEM;
	for (uint32_t id = 1; id < w->classes.n; id++) {
		const struct ex_class *c = &w->classes.v[id];
		size_t h = hash_set(c->peers, c->n_peers, c->closed + c->host) & (size - 1);

		while (table[h])
			h = (h + 1) & (size - 1);
		table[h] = id;
	}
	free(w->table);
	w->table = table;
	w->table_size = size;
	return 0;
}

static int new_class(struct walker *w, bool closed, bool host, uint32_t *ret)
{
	uint32_t *peers = ex_arena_alloc(w->arena, w->n_members, sizeof(*peers));
	struct ex_class *c;

	if (!peers)
		return -ENOMEM;
	w->n_members_all += w->n_members;
	if (w->classes.n > CLASSES_MAX || w->n_members_all > MEMBERS_MAX)
		return -E2BIG;
	c = EX_VEC_ADD(&w->classes);
	if (!c)
		return -ENOMEM;
	if (w->n_members)
		memcpy(peers, w->members, w->n_members * sizeof(*peers));
	*c = (struct ex_class){
		.peers = peers, .n_peers = w->n_members, .closed = closed, .host = host
	};
	*ret = (uint32_t)(w->classes.n - 1);
	return 0;
}

/* The class of the peers that are on for an address of these kinds. */
static int intern_class(struct walker *w, unsigned kinds, uint32_t *ret)
{
	bool closed = kinds != EX_ADDR_WORLD;
	bool host = kinds & (EX_ADDR_HOST | EX_ADDR_DNS);
	size_t h;
	int r;

	w->n_members = 0;
	for (size_t i = 0; i < w->n_active; i++) {
		if (is_on(w, w->active[i], kinds))
			w->members[w->n_members++] = w->active[i];
	}
	if (w->classes.n * 2 >= w->table_size) {
		r = grow_table(w);
		if (r < 0)
			return r;
	}
	h = hash_set(w->members, w->n_members, closed + host) & (w->table_size - 1);
	for (; w->table[h]; h = (h + 1) & (w->table_size - 1)) {
		if (same_class(&w->classes.v[w->table[h]], w, closed, host)) {
			*ret = w->table[h];
			return 0;
		}
	}
	r = new_class(w, closed, host, ret);
	if (r == 0)
		w->table[h] = *ret;
	return r;
}

static void leave_level(struct walker *w, const struct ex_mark *marks, const struct level *l)
{
	for (size_t i = l->from; i < l->to; i++) {
		if (marks[i].peer != EX_NO_PEER)
			apply_mark(w, &marks[i], -1);
	}
}

/* Enters the prefix whose marks begin at `from`; l->kinds holds what the outer one is. */
static int enter_level(struct walker *w, const struct ex_mark *marks, size_t n, struct level *l,
		       uint32_t *ret_class)
{
	unsigned own = 0;

	for (l->to = l->from; l->to < n; l->to++) {
		const struct ex_mark *m = &marks[l->to];

		if (ex_prefix_cmp(&m->prefix, &l->prefix) != 0)
			break;
		if (m->peer == EX_NO_PEER)
			own |= m->kinds;
		else
			apply_mark(w, m, 1);
	}
	/* The DNS gate's address is that and nothing else, even where it is the host's too. */
	if (own & EX_ADDR_DNS)
		own = EX_ADDR_DNS;
	if (own)
		l->kinds = (uint8_t)own;
	return intern_class(w, l->kinds, ret_class);
}

static int walk_family(struct walker *w, const struct ex_mark *marks, size_t n,
		       struct ex_dest_tree *tree)
{
	struct level stack[130]; /* at most one level per prefix length */
	size_t depth = 0;
	int r;

	tree->v = ex_arena_alloc(w->arena, n, sizeof(*tree->v));
	if (!tree->v)
		return -ENOMEM;
	for (size_t i = 0; i < n; i = stack[depth - 1].to) {
		struct ex_dest_node *node = &tree->v[tree->n];
		struct level *l;

		while (depth && !ex_prefix_covers(&stack[depth - 1].prefix, &marks[i].prefix))
			leave_level(w, marks, &stack[--depth]);
		l = &stack[depth];
		*l = (struct level){ .prefix = marks[i].prefix,
				     .from = i,
				     .node = (uint32_t)tree->n };
		l->kinds = depth ? stack[depth - 1].kinds : EX_ADDR_WORLD;
		node->prefix = l->prefix;
		node->up = depth ? stack[depth - 1].node : EX_NO_NODE;
		r = enter_level(w, marks, n, l, &node->klass);
		if (r < 0)
			return r;
		tree->n++;
		depth++;
	}
	while (depth)
		leave_level(w, marks, &stack[--depth]);
	return 0;
}

/* [0], which is nobody's, and those that have a number already. */
static int begin_classes(struct walker *w)
{
	const struct ex_ruleset *rs = w->rs;
	struct ex_class *none = EX_VEC_ADD(&w->classes);
	int r = none ? 0 : -ENOMEM;

	if (none)
		none->closed = none->host = true;
	for (size_t i = 1; r == 0 && i < rs->n_classes; i++) {
		const struct ex_class *c = &rs->classes[i];
		uint32_t id;

		w->n_members = c->n_peers;
		if (c->n_peers)
			memcpy(w->members, c->peers, c->n_peers * sizeof(*c->peers));
		r = new_class(w, c->closed, c->host, &id);
	}
	while (r == 0 && w->classes.n * 2 >= w->table_size)
		r = grow_table(w);
	return r;
}

static int walk_all(struct walker *w, struct ex_marks *marks)
{
	struct ex_ruleset *rs = w->rs;
	size_t n4 = 0;
	int r = begin_classes(w);

	if (r < 0)
		return r;
	qsort(marks->v, marks->n, sizeof(*marks->v), mark_cmp);
	while (n4 < marks->n && ex_prefix_is4(&marks->v[n4].prefix))
		n4++;
	r = walk_family(w, marks->v, n4, &rs->tree4);
	if (r == 0)
		r = walk_family(w, marks->v + n4, marks->n - n4, &rs->tree6);
	if (r < 0)
		return r;
	rs->classes = ex_arena_alloc(w->arena, w->classes.n, sizeof(*rs->classes));
	if (!rs->classes)
		return -ENOMEM;
	memcpy(rs->classes, w->classes.v, w->classes.n * sizeof(*rs->classes));
	rs->n_classes = w->classes.n;
	return 0;
}

int ex_classes_build(struct ex_ruleset *rs, struct ex_marks *marks)
{
	struct walker w = { .rs = rs, .arena = &rs->arena };
	size_t n = rs->n_peers + 1;
	int r = -ENOMEM;

	w.count = calloc(n, sizeof(*w.count));
	w.active = calloc(n, sizeof(*w.active));
	w.members = calloc(n, sizeof(*w.members));
	if (w.count && w.active && w.members)
		r = walk_all(&w, marks);
	free(w.count);
	free(w.active);
	free(w.members);
	free(w.classes.v);
	free(w.table);
	return r;
}
