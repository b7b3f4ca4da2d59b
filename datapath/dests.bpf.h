/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one table of prefixes: destinations of every policy, and what the prefilter drops. */
#ifndef EXEAT_DATAPATH_DESTS_H
#define EXEAT_DATAPATH_DESTS_H

#include "pkt.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ex_dest_key);
	__type(value, struct ex_dest);
} ex_dests SEC(".maps");

#endif
