/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The destinations of a ruleset. They are kept as prefixes; what the kernel reads is a tree of them
 * (tree.c, cells.c), which is made anew when they change: all of them are what they were, or what
 * they are now.
 */
#include <errno.h>

#include "agent/gate/gate_internal.h"

static int prefix_of(const struct gate_set *set, const struct ex_dest_entry *e,
		     struct gate_prefix *ret)
{
	if (e->prefix > 128 || e->klass > set->classes)
		return -EINVAL;
	*ret = gate_prefix_make(&e->ip, e->prefix, e->klass ? set->base + e->klass : 0);
	return 0;
}

static bool has_room(const struct ex_gate *gate, size_t n)
{
	return gate->n_prefixes <= gate->prefixes_max && n <= gate->prefixes_max - gate->n_prefixes;
}

static void hold(struct ex_gate *gate, struct gate_set *set, size_t n)
{
	gate->n_prefixes += n - set->held;
	set->held = n;
}

/* -EINVAL: one is there twice. */
static int order(struct gate_prefix *v, size_t n)
{
	bool sorted = true;

	for (size_t i = 1; i < n && sorted; i++)
		sorted = gate_prefix_cmp(&v[i - 1], &v[i]) < 0;
	if (sorted)
		return 0;
	qsort(v, n, sizeof(*v), gate_prefix_cmp);
	for (size_t i = 1; i < n; i++)
		if (gate_prefix_cmp(&v[i - 1], &v[i]) == 0)
			return -EINVAL;
	return 0;
}

/* The tree of what is kept, besides the one that packets read. On error nothing has a class. */
static int tree_write(struct ex_gate *gate, struct gate_set *set)
{
	struct gate_tree tree;
	int r = gate_tree_make(set->prefixes, set->n_prefixes, &tree);

	set->root = 0;
	set->region = NULL;
	if (r)
		return r;
	r = gate_region_put(gate, &tree, &set->region);
	if (!r)
		set->root = tree.root;
	gate_tree_done(&tree);
	return r;
}

int gate_dests_make(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t)
{
	int r = 0;

	if (!has_room(gate, t->n_dests))
		return -ENOSPC;
	set->prefixes = calloc(t->n_dests ? t->n_dests : 1, sizeof(*set->prefixes));
	if (!set->prefixes)
		return -ENOMEM;
	set->cap_prefixes = set->n_prefixes = t->n_dests;
	hold(gate, set, t->n_dests);
	for (size_t i = 0; !r && i < t->n_dests; i++)
		r = prefix_of(set, &t->dests[i], &set->prefixes[i]);
	if (!r)
		r = order(set->prefixes, set->n_prefixes);
	return r ? r : tree_write(gate, set);
}

/* True when it is there; *ret is where it is, or belongs. */
static bool prefix_find(const struct gate_set *set, const struct gate_prefix *p, size_t *ret)
{
	size_t from = 0, to = set->n_prefixes;
	int order = 1;

	while (from < to && order) {
		*ret = from + (to - from) / 2;
		order = gate_prefix_cmp(p, &set->prefixes[*ret]);
		if (order < 0)
			to = *ret;
		else if (order > 0)
			from = *ret + 1;
	}
	if (order)
		*ret = from;
	return !order;
}

static int prefix_put(struct ex_gate *gate, struct gate_set *set, const struct gate_prefix *p)
{
	size_t at, cap = set->cap_prefixes * 2 + 16;
	struct gate_prefix *v;

	if (prefix_find(set, p, &at)) {
		set->prefixes[at] = *p;
		return 0;
	}
	if (!has_room(gate, 1))
		return -ENOSPC;
	if (set->n_prefixes == set->cap_prefixes) {
		v = reallocarray(set->prefixes, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		set->prefixes = v;
		set->cap_prefixes = cap;
	}
	v = &set->prefixes[at];
	memmove(v + 1, v, (set->n_prefixes - at) * sizeof(*v));
	*v = *p;
	hold(gate, set, ++set->n_prefixes);
	return 0;
}

/* Without it the address is of the class around it. */
static void prefix_drop(struct ex_gate *gate, struct gate_set *set, const struct gate_prefix *p)
{
	struct gate_prefix *v;
	size_t at;

	if (!prefix_find(set, p, &at))
		return;
	v = &set->prefixes[at];
	memmove(v, v + 1, (set->n_prefixes - at - 1) * sizeof(*v));
	hold(gate, set, --set->n_prefixes);
}

void gate_dests_drop(struct ex_gate *gate, struct gate_set *set, const struct ex_dest_entry *v,
		     size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct gate_prefix p = gate_prefix_make(&v[i].ip, v[i].prefix, 0);

		prefix_drop(gate, set, &p);
	}
}

/* The first error is told of at the end. */
int gate_dests_put(struct ex_gate *gate, struct gate_set *set, const struct ex_dest_entry *v,
		   size_t n)
{
	struct gate_prefix p;
	int err = 0;

	for (size_t i = 0; i < n; i++) {
		int r = prefix_of(set, &v[i], &p);

		if (!r)
			r = prefix_put(gate, set, &p);
		if (!err)
			err = r;
	}
	return err;
}

int gate_dests_write(struct ex_gate *gate, struct gate_set *set, struct gate_set **ret_old)
{
	struct gate_set *old = calloc(1, sizeof(*old));

	*ret_old = old;
	if (old) {
		old->region = set->region;
		return tree_write(gate, set);
	}
	set->root = 0; /* nothing, rather than what may be gone; the old tree stays in the map */
	set->region = NULL;
	return -ENOMEM;
}

int gate_dests_adopt(struct ex_gate *gate, struct gate_set *set, uint32_t root)
{
	int r = gate_region_adopt(gate, root, &set->region);

	if (r)
		return r;
	set->root = root;
	hold(gate, set, set->region ? set->region->n : 0); /* about as many */
	return 0;
}

void gate_dests_remove(struct ex_gate *gate, struct gate_set *set)
{
	gate_region_free(gate, set->region);
	set->region = NULL;
	hold(gate, set, 0);
}
