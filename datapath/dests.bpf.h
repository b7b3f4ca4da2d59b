/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The class of an address: see exeat/tree.h for the tree. */
#ifndef EXEAT_DATAPATH_DESTS_H
#define EXEAT_DATAPATH_DESTS_H

#include "exeat/tree.h"
#include "pkt.bpf.h"

/* The trees of every ruleset, in one array, which user space replaces by a bigger one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(max_entries, 1);
			__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
			__uint(key_size, sizeof(__u32));
			__uint(value_size, sizeof(union ex_tree_cell));
		});
} ex_dests SEC(".maps");

/* From `ref`, the root, down. 0, the class of nothing, also when the tree is not in order. */
SUBPROG __u32 dest_class(__u64 high, __u64 low, __u32 ref)
{
	const struct ex_tree_addr ip = { high, low };
	const union ex_tree_cell *cell;
	__u32 key = 0, word, i;
	void *cells = bpf_map_lookup_elem(&ex_dests, &key);

	if (!cells)
		return 0;
	for (i = 0; i < EX_TREE_DEPTH && (ref & EX_TREE_NODE); i++) {
		key = ref & ~EX_TREE_NODE;
		cell = bpf_map_lookup_elem(cells, &key);
		if (!cell)
			return 0;
		if (!ex_tree_inside(&cell->node, ip))
			return cell->node.outside;
		word = ex_tree_word(&cell->node, ip);
		if (word >= EX_TREE_WORDS) {
			key += word / EX_TREE_WORDS;
			cell = bpf_map_lookup_elem(cells, &key);
			if (!cell)
				return 0;
		}
		ref = cell->w[word % EX_TREE_WORDS];
	}
	return ref & EX_TREE_NODE ? 0 : ref;
}

#endif
