/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The prefilter: on an uplink, before the kernel has spent anything on a packet, drops what comes
 * from a denied prefix. It only ever takes away: what it lets pass is judged like everything else,
 * so what it cannot read above the network header (a further tag, ARP, another protocol) passes.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <xdp/xdp_helpers.h>

#include "address.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TAGS_MAX 2 /* 802.1Q, 802.1ad around it */

/* Changed prefix by prefix while it is read, by whoever finds it on the device: the kernel's trie.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ex_source_key);
	__type(value, __u32);
} ex_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EX_PREFILTER_COUNTS);
	__type(key, __u32);
	__type(value, struct ex_count);
} ex_prefiltered SEC(".maps");

/* Among other programs of a dispatcher: first, and only a pass goes on to the next. */
struct {
	__uint(priority, 5);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(ex_prefilter);

struct tag {
	__be16 tci, next;
};

INLINE bool source_denied(const union addr *ip)
{
	struct ex_source_key key __attribute__((aligned(8))) = { .prefixlen = 128 };

	__builtin_memcpy(&key.ip, ip, sizeof(key.ip));
	return bpf_map_lookup_elem(&ex_sources, &key) != NULL;
}

/* Skips tags; *at is the network header then. */
INLINE __u16 network_type(const void **at, const void *end)
{
	const struct ethhdr *eth = *at;
	const struct tag *tag;
	__u16 type;
	int i;

	if ((const void *)(eth + 1) > end)
		return 0;
	type = bpf_ntohs(eth->h_proto);
	tag = (const struct tag *)(eth + 1);
#pragma unroll
	for (i = 0; i < TAGS_MAX; i++) {
		if (type != ETH_P_8021Q && type != ETH_P_8021AD)
			break;
		if ((const void *)(tag + 1) > end)
			return 0;
		type = bpf_ntohs(tag->next);
		tag++;
	}
	*at = tag;
	return type;
}

INLINE enum ex_prefilter_count judge(const void *at, const void *end)
{
	__u16 type = network_type(&at, end);
	const struct iphdr *ip4 = at;
	const struct ipv6hdr *ip6 = at;
	union addr source, hidden;
	__be32 four;

	if (type == ETH_P_IP) {
		if ((const void *)(ip4 + 1) > end)
			return EX_PREFILTER_MALFORMED;
		addr_set4(&source, ip4->saddr);
	} else if (type == ETH_P_IPV6) {
		if ((const void *)(ip6 + 1) > end)
			return EX_PREFILTER_MALFORMED;
		__builtin_memcpy(&source, &ip6->saddr, sizeof(source));
		if (address_embedded4(&source, &four)) {
			addr_set4(&hidden, four);
			if (source_denied(&hidden))
				return EX_PREFILTER_DENIED;
		}
	} else {
		return EX_PREFILTER_PASSED;
	}
	return source_denied(&source) ? EX_PREFILTER_DENIED : EX_PREFILTER_PASSED;
}

SEC("xdp")
int ex_prefilter(struct xdp_md *ctx)
{
	const void *data = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;
	__u32 key = judge(data, end);
	struct ex_count *c = bpf_map_lookup_elem(&ex_prefiltered, &key);

	if (c) {
		c->packets++;
		c->bytes += end - data;
	}
	return key == EX_PREFILTER_PASSED ? XDP_PASS : XDP_DROP;
}
