/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One packet as the gate understands it. Parsed once; every later phase reads this, not the bytes.
 */
#ifndef EXEAT_DATAPATH_PKT_H
#define EXEAT_DATAPATH_PKT_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "exeat/abi.h"

#define INLINE static __always_inline

/* Nothing is read ahead of what was read before. */
INLINE void read_fence(void)
{
#ifdef __TARGET_ARCH_x86
	barrier(); /* it never is */
#else
	int full = 0;

	__sync_lock_test_and_set(&full, 1);
#endif
}

/*
 * A part that the verifier proves once, for any packet, instead of again on every path that leads
 * to it. Its struct pkt arrives as plain bytes: what it needs of the endpoint it looks up by
 * itself.
 */
#define SUBPROG __attribute__((noinline))

/* Aligned view of an address; the ABI's form is bytes only. */
union addr {
	struct ex_ip ip;
	__u8 b[16];
	__u32 w[4];
	__u64 q[2];
};

/* What a rule said. Zeroed = EX_V_INVALID = denied. */
struct judgement {
	__u8 verdict; /* enum ex_verdict */
	__u8 kind;    /* enum ex_kind */
	__u16 reason; /* enum ex_reason; of an ALLOW: ALLOWED, or what audit mode holds back */
	__u32 rule;
	__u32 counter; /* of the rule */
};

enum fragment {
	FRAGMENT_NONE = 0, /* a whole packet */
	FRAGMENT_FIRST,    /* has the transport header */
	FRAGMENT_LATER,
};

#define SLOT_NONE EX_ENDPOINTS_MAX /* in no table */

struct pkt {
	union addr src, dst;
	union addr judged; /* the destination, or the IPv4 address that it embeds */
	__u64 now;
	__u32 ifindex;
	__u32 entry;                     /* of the endpoint, which stays as it is; 0 = none */
	__u32 slot;                      /* of the endpoint's tables; SLOT_NONE */
	__u32 policy, generation, flags; /* read once, so that one packet sees one ruleset */
	__u32 ingress, gateway;          /* the same */
	__u32 dests, ingress_dests;      /* the same */
	__u32 len;                       /* of the frame */
	__u32 l4;                        /* offset of the transport header */
	__u32 end;                       /* offset behind the IP packet */
	__be16 sport, dport;             /* ICMP: identifier / 0 */
	__u16 key_port;                  /* host order, as rules are keyed: ICMP type << 8 | code */
	__u8 proto;                      /* 0 = not read */
	__u8 tcp_flags;
	bool outbound; /* from the workload, or from the proxy in its name */
	bool is6;
	bool group;    /* the frame went to a group address */
	bool embeds;   /* judged differs from dst */
	__u8 fragment; /* enum fragment */
	bool audited;  /* of a live flow that only audit mode allows since the policy has changed */
	__u32 frag_id;
	__u8 workers;    /* of the endpoint's proxy */
	__u8 worker;     /* which of them has the flow */
	__u8 own;        /* number of the workload's address */
	__u8 part;       /* EX_PART_FLOW, or EX_PART_UPSTREAM: of a flow of the proxy */
	bool answer;     /* from the proxy in its gateway namespace to the workload */
	bool inward;     /* of a flow that the far end opened */
	bool proxied;    /* of a flow that goes to the gateway namespace */
	bool taken;      /* a steered flow has the tuple of this packet from outside */
	__u8 mac[6];     /* of the next hop of a flow of the proxy */
	bool revoked;    /* of a live flow that the policy no longer allows */
	bool may_refuse; /* the source is proved and the destination is unicast */
	struct judgement rule;
};

/* Link, IPv6, extension headers (see parse.bpf.h), ICMP and the headers that an error quotes. */
#define HEADERS_MAX 448

/*
 * A packet socket with a ring (PACKET_TX_RING) sends pages that its process has mapped, and may
 * write to while they are judged and after. So what is judged is made linear first, which copies
 * it. False: no memory.
 */
INLINE bool take_headers(struct __sk_buff *skb)
{
	return bpf_skb_pull_data(skb, skb->len < HEADERS_MAX ? skb->len : HEADERS_MAX) == 0;
}

/*
 * Copies what is at a constant offset of the frame into var; false when the frame is shorter.
 * Directly where the bytes are linear, which they nearly always are; a frame crafted through
 * AF_PACKET may hold no more than its Ethernet header there.
 */
#define READ(skb, offset, var)                                                                     \
	({                                                                                         \
		const void *data_ = (const void *)(long)(skb)->data + (offset);                    \
		const void *end_ = (const void *)(long)(skb)->data_end;                            \
		bool ok_ = data_ + sizeof(var) <= end_;                                            \
		if (ok_)                                                                           \
			(var) = *(const __typeof__(var) *)data_;                                   \
		else                                                                               \
			ok_ = take_headers(skb) &&                                                 \
			      bpf_skb_load_bytes((skb), (offset), &(var), sizeof(var)) == 0;       \
		ok_;                                                                               \
	})

INLINE bool addr_eq(const union addr *a, const struct ex_ip *b)
{
	const __u64 *q = (const __u64 *)b;

	return a->q[0] == q[0] && a->q[1] == q[1];
}

/* Wide copies: the ABI's byte arrays would be copied byte by byte. to is aligned to 8. */
INLINE void addr_copy(void *to, const union addr *from)
{
	__u64 *q = to;

	q[0] = from->q[0];
	q[1] = from->q[1];
}

/* All aligned to 2. */
INLINE bool mac_eq(const void *a, const void *b)
{
	const __u16 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

INLINE void mac_copy(void *to, const void *from)
{
	const __u16 *x = from;
	__u16 *y = to;

	y[0] = x[0];
	y[1] = x[1];
	y[2] = x[2];
}

INLINE void addr_set4(union addr *a, __be32 four)
{
	a->q[0] = 0;
	a->w[2] = bpf_htonl(0xffff);
	a->w[3] = four;
}

INLINE const union addr *pkt_remote(const struct pkt *p)
{
	return p->outbound ? &p->dst : &p->src;
}

#endif
