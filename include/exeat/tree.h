/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Destinations of a ruleset: which class an address has, by longest prefix. A tree that is written
 * as a whole, and never changed where a packet may read it.
 *
 * A node looks at six bits of an address, and what has the same answer side by side is one run:
 * bit v of `starts` says that the answer for v is another one than for v - 1. The answers of the
 * runs follow; each is a ref: a class, or one more node. Where there are only two they take turns,
 * and are there once. Bits that all addresses below a node have in common are not looked at one
 * after the other: `at` leaps over them, and whoever differs there has the class `outside`.
 *
 * A node is 1 to 5 cells, one after the other; a cell is a cache line. n prefixes need less than 2n
 * cells, and no way to an address is longer than 22 nodes.
 */
#ifndef EXEAT_TREE_H
#define EXEAT_TREE_H

#include <linux/types.h>

#define EX_TREE_BITS  6
#define EX_TREE_DEPTH 22         /* 128 bits, by six */
#define EX_TREE_NODE  (1u << 31) /* of a ref: the rest is the number of a node's first cell */
#define EX_TREE_CELLS 5          /* of a node, at most */

#define EX_CLASS_MAX (EX_TREE_NODE - 1)

/* In host order, so that bits are taken by shifts. */
struct ex_tree_addr {
	__u64 high, low;
};

struct ex_tree_node {
	struct ex_tree_addr ip; /* of what is below it; 0 from `at` on */
	__u64 starts;           /* bit 0 is always set */
	__u16 at;               /* 0..127; bits behind the address are 0 */
	__u16 mask;             /* of the number of a run: 1 when two answers take turns, else 63 */
	__u32 outside;
	__u32 answers[8]; /* go on in the cells behind this one */
};

union ex_tree_cell {
	struct ex_tree_node node;
	__u32 w[16];
};

#define EX_TREE_WORDS (sizeof(union ex_tree_cell) / sizeof(__u32))
#define EX_TREE_FIRST (__builtin_offsetof(struct ex_tree_node, answers) / sizeof(__u32))

/* Has the address all the bits that a node at `at` takes for granted? */
static inline int ex_tree_inside(const struct ex_tree_node *node, struct ex_tree_addr ip)
{
	__u64 high = ip.high ^ node->ip.high, low = ip.low ^ node->ip.low;

	if (node->at < 64)
		return !(high >> 1 >> (63 - node->at));
	return !high && !(low >> 1 >> (127 - node->at));
}

static inline __u32 ex_tree_bits(struct ex_tree_addr ip, __u32 at)
{
	__u64 from = at < 64 ? ip.high << at | ip.low >> 1 >> (63 - at) : ip.low << (at - 64);

	return from >> (64 - EX_TREE_BITS);
}

/* Which word, from the beginning of the node, has the answer for an address inside of it. */
static inline __u32 ex_tree_word(const struct ex_tree_node *node, struct ex_tree_addr ip)
{
	__u64 upto = node->starts << (63 - ex_tree_bits(ip, node->at));

	return EX_TREE_FIRST + ((__builtin_popcountll(upto) - 1) & node->mask);
}

_Static_assert(sizeof(union ex_tree_cell) == 64, "ABI");

#endif
