/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the tree of exeat/tree.h of a list of prefixes. Pure. */
#ifndef EXEAT_AGENT_GATE_TREE_H
#define EXEAT_AGENT_GATE_TREE_H

#include "exeat/tree.h"
#include "exeat/util.h"

struct gate_prefix {
	struct ex_tree_addr ip; /* 0 behind the prefix */
	uint32_t klass;         /* up to EX_CLASS_MAX; 0 = none */
	uint8_t len;            /* 0..128 */
};

struct gate_prefix gate_prefix_make(const struct ex_ip *ip, uint8_t len, uint32_t klass);
int gate_prefix_cmp(const void *a, const void *b); /* outer before inner; not by class */

struct gate_tree {
	union ex_tree_cell *cells;
	uint32_t n, cap;
	uint32_t root; /* a ref; nodes are numbered from the first cell on */
};

/* v is sorted, and has no prefix twice. 0 or -ENOMEM. */
EX_MUST_CHECK int gate_tree_make(const struct gate_prefix *v, size_t n, struct gate_tree *ret);
void gate_tree_done(struct gate_tree *t);

/* The first cell will be the one of this number. */
void gate_tree_move(struct gate_tree *t, uint32_t at);

/* Of a node: how many answers it has, where one of them is, and how many cells it takes. */
uint32_t gate_node_answers(const struct ex_tree_node *node);
uint32_t *gate_node_answer(union ex_tree_cell *first, uint32_t i);
uint32_t gate_node_cells(uint32_t answers);

#endif
