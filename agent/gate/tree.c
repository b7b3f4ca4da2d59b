/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the leaves up: what is below a node is made before it, so that all that is known of a node
 * is known when it is written, and a tree is one piece that ends with its root.
 *
 * No more than 2n - 1 cells for n prefixes: a node has two or more things in it (nodes below it, or
 * prefixes that end there), or just the one prefix that ends there, and a cell holds what becomes
 * of three of them, each further one what becomes of eight.
 */
#include "agent/gate/tree.h"

#include <errno.h>

#define SLOTS (1u << EX_TREE_BITS)

static struct ex_tree_addr addr_cut(struct ex_tree_addr ip, uint32_t len)
{
	if (len < 64)
		return (struct ex_tree_addr){ len ? ip.high & ~0ull << (64 - len) : 0, 0 };
	ip.low &= len == 64 ? 0 : ~0ull << (128 - len);
	return ip;
}

struct gate_prefix gate_prefix_make(const struct ex_ip *ip, uint8_t len, uint32_t klass)
{
	struct ex_tree_addr a = { 0, 0 };

	for (int i = 0; i < 8; i++) {
		a.high = a.high << 8 | ip->b[i];
		a.low = a.low << 8 | ip->b[8 + i];
	}
	return (struct gate_prefix){ addr_cut(a, len), klass, len };
}

int gate_prefix_cmp(const void *a, const void *b)
{
	const struct gate_prefix *x = a, *y = b;

	if (x->ip.high != y->ip.high)
		return x->ip.high < y->ip.high ? -1 : 1;
	if (x->ip.low != y->ip.low)
		return x->ip.low < y->ip.low ? -1 : 1;
	return x->len - y->len;
}

/* How many bits two addresses have in common. */
static uint32_t addr_common(struct ex_tree_addr a, struct ex_tree_addr b)
{
	if (a.high != b.high)
		return (uint32_t)__builtin_clzll(a.high ^ b.high);
	return a.low == b.low ? 128 : 64 + (uint32_t)__builtin_clzll(a.low ^ b.low);
}

/* ---- nodes ---- */

uint32_t gate_node_answers(const struct ex_tree_node *node)
{
	uint32_t runs = (uint32_t)__builtin_popcountll(node->starts);

	return runs <= node->mask ? runs : node->mask + 1u;
}

uint32_t *gate_node_answer(union ex_tree_cell *first, uint32_t i)
{
	uint32_t word = (uint32_t)EX_TREE_FIRST + i;

	return &first[word / EX_TREE_WORDS].w[word % EX_TREE_WORDS];
}

uint32_t gate_node_cells(uint32_t answers)
{
	return (uint32_t)((EX_TREE_FIRST + answers + EX_TREE_WORDS - 1) / EX_TREE_WORDS);
}

static int cells_reserve(struct gate_tree *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : 64;
	union ex_tree_cell *v;

	if (t->n + EX_TREE_CELLS <= t->cap)
		return 0;
	if (cap > EX_TREE_NODE / 2)
		return -ENOMEM;
	v = reallocarray(t->cells, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	t->cells = v;
	t->cap = cap;
	return 0;
}

/* How many answers there are: 1, 2, or 3 for more. */
static int count_answers(const uint32_t refs[static SLOTS])
{
	uint32_t other = refs[0];

	for (uint32_t v = 1; v < SLOTS; v++) {
		if (other == refs[0])
			other = refs[v];
		else if (refs[v] != refs[0] && refs[v] != other)
			return 3;
	}
	return other == refs[0] ? 1 : 2;
}

static int node_add(struct gate_tree *t, const struct ex_tree_node *head,
		    const uint32_t refs[static SLOTS], uint32_t *ret)
{
	union ex_tree_cell *first;
	uint32_t run = 0;
	int r = cells_reserve(t);

	if (r)
		return r;
	first = &t->cells[t->n];
	memset(first, 0, EX_TREE_CELLS * sizeof(*first));
	first->node = *head;
	first->node.mask = count_answers(refs) > 2 ? SLOTS - 1 : 1;
	for (uint32_t v = 0; v < SLOTS; v++) {
		if (v && refs[v] == refs[v - 1])
			continue;
		first->node.starts |= 1ull << v;
		*gate_node_answer(first, run++ & first->node.mask) = refs[v];
	}
	*ret = EX_TREE_NODE | t->n;
	t->n += gate_node_cells(gate_node_answers(&first->node));
	return 0;
}

/* ---- the tree ---- */

/* Where a node for these begins: at what they do not have in common, or where the first one ends.
 */
static uint32_t node_at(const struct gate_prefix *v, size_t n)
{
	uint32_t at = addr_common(v[0].ip, v[n - 1].ip);

	for (size_t i = 0; i < n; i++)
		if (v[i].len <= at)
			at = v[i].len - 1u;
	return at;
}

/*
 * The answer for all addresses of a block of `from` bits, of which these prefixes, longer than
 * that, are a part; the others have the class `around`.
 */
static int subtree(struct gate_tree *t, const struct gate_prefix *v, size_t n, uint32_t from,
		   uint32_t around, uint32_t *ret)
{
	struct ex_tree_node head = { .outside = around };
	uint32_t refs[SLOTS], end, first, i;
	size_t many;
	int r;

	*ret = around;
	if (!n)
		return 0;
	head.at = (uint16_t)node_at(v, n);
	head.ip = addr_cut(v[0].ip, head.at);
	end = head.at + EX_TREE_BITS;
	for (i = 0; i < SLOTS; i++)
		refs[i] = around;
	for (; n; v += many, n -= many) {
		first = ex_tree_bits(v->ip, head.at);
		many = 1;
		if (v->len <= end) { /* ends here; what is inside of it comes later */
			for (i = 0; i < 1u << (end - v->len); i++)
				refs[first + i] = v->klass;
			continue;
		}
		while (many < n && ex_tree_bits(v[many].ip, head.at) == first)
			many++;
		r = subtree(t, v, many, end, refs[first], &refs[first]);
		if (r)
			return r;
	}
	*ret = refs[0];
	if (count_answers(refs) == 1 && (head.at == from || refs[0] == around))
		return 0;
	return node_add(t, &head, refs, ret);
}

int gate_tree_make(const struct gate_prefix *v, size_t n, struct gate_tree *ret)
{
	uint32_t around = 0;
	int r;

	*ret = (struct gate_tree){ 0 };
	if (n && !v->len) {
		around = v->klass;
		v++;
		n--;
	}
	r = subtree(ret, v, n, 0, around, &ret->root);
	if (r)
		gate_tree_done(ret);
	return r;
}

void gate_tree_done(struct gate_tree *t)
{
	free(t->cells);
	*t = (struct gate_tree){ 0 };
}

void gate_tree_move(struct gate_tree *t, uint32_t at)
{
	for (uint32_t i = 0; i < t->n;) {
		union ex_tree_cell *first = &t->cells[i];
		uint32_t n = gate_node_answers(&first->node);

		for (uint32_t k = 0; k < n; k++)
			if (*gate_node_answer(first, k) & EX_TREE_NODE)
				*gate_node_answer(first, k) += at;
		i += gate_node_cells(n);
	}
	if (t->root & EX_TREE_NODE)
		t->root += at;
}
