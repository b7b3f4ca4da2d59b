/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map of the gate. Sizes are defaults: user space sets them before load. */
#ifndef EXEAT_DATAPATH_MAPS_H
#define EXEAT_DATAPATH_MAPS_H

#include "dests.bpf.h"

#define EVENTS_ROOM (256 * 1024) /* bytes; a power of two */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EX_IF_BUCKETS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ex_if_bucket);
} ex_interfaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EX_ENTRIES);
	/* what is mapped begins with a page, and so an entry with a cache line */
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct ex_endpoint);
} ex_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ex_rule_key);
	__type(value, struct ex_counted_rule);
} ex_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ex_name_key);
	__type(value, struct ex_name);
} ex_names SEC(".maps");

/* One table an endpoint, so that none can use up the room of another. Key: ex_endpoint.slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, EX_ENDPOINTS_MAX);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(max_entries, 16384);
			__uint(map_flags, BPF_F_NO_PREALLOC);
			__uint(key_size, sizeof(struct ex_flow_key));
			__uint(value_size, sizeof(struct ex_flow_state));
		});
} ex_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EX_ENDPOINTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} ex_gateways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EX_ENDPOINTS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ex_port_state);
} ex_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, EX_ENDPOINTS_MAX *EX_WORKERS_MAX *EX_SOCK_MAX);
	__type(key, __u32);
	__type(value, __u64);
} ex_socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EX_R_MAX);
	__type(key, __u32);
	__type(value, struct ex_count);
} ex_reasons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct ex_count);
} ex_rule_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ex_state);
} ex_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * EX_ENDPOINTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct ex_set);
} ex_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ex_binding_key);
	__type(value, struct ex_binding);
} ex_bindings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_ROOM);
} ex_events SEC(".maps");

/* Keys are copied to the stack: before Linux 6.2 a key could not be part of a subprogram's pkt. */

/* The entry of the interface now; 0 when it has none. Asked once for a packet. */
INLINE __u32 find_entry(__u32 ifindex)
{
	__u32 key = ifindex % EX_IF_BUCKETS, i;
	const struct ex_if_bucket *bucket = bpf_map_lookup_elem(&ex_interfaces, &key);
	__u64 word;

	if (!bucket)
		return 0;
#pragma unroll
	for (i = 0; i < EX_IF_WORDS; i++) {
		word = *(const volatile __u64 *)&bucket->words[i];
		if ((__u32)word == ifindex)
			return word >> 32;
	}
	return 0;
}

INLINE const struct ex_endpoint *entry_read(__u32 entry)
{
	return entry ? bpf_map_lookup_elem(&ex_endpoints, &entry) : NULL;
}

INLINE const struct ex_endpoint *find_endpoint(const struct pkt *p)
{
	return entry_read(p->entry);
}

INLINE struct ex_port_state *find_port(const struct pkt *p)
{
	__u32 key = p->slot;

	return bpf_map_lookup_elem(&ex_ports, &key);
}

/* One token, when there is one: `burst` at most, one more every `period` nanoseconds. */
INLINE bool bucket_take(struct ex_port_bucket *b, __u64 now, __u64 period, __u64 burst)
{
	__s64 gained = now - b->filled; /* negative: another CPU has seen a later tick */
	__u64 tokens = b->tokens;

	if (gained > 0) {
		tokens += gained;
		b->filled = now;
	}
	if (tokens > period * burst)
		tokens = period * burst;
	b->tokens = tokens < period ? tokens : tokens - period;
	return tokens >= period;
}

INLINE void *find_flows(const struct pkt *p)
{
	__u32 key = p->slot;

	return bpf_map_lookup_elem(&ex_flows, &key);
}

#endif
