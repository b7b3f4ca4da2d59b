/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ARP and neighbour discovery: the workload and its next hop may find each other, nothing more.
 * Router discovery, redirects, duplicate address detection and questions about anybody else are
 * denied.
 */
#ifndef EXEAT_DATAPATH_NEIGH_H
#define EXEAT_DATAPATH_NEIGH_H

#include "maps.bpf.h"
#include "parse.bpf.h"

#define ARP_ETHERNET 1
#define ARP_REQUEST  1
#define ARP_REPLY    2

struct arp4 {
	__be16 hrd, pro;
	__u8 hln, pln;
	__be16 op;
	__u8 sha[ETH_ALEN];
	__u8 spa[4];
	__u8 tha[ETH_ALEN];
	__u8 tpa[4];
} __attribute__((packed));

struct nd {
	__u8 type, code;
	__be16 sum;
	__u32 flags;
	union addr target;
};

struct nd_option {
	__u8 type, len;
	__u8 mac[ETH_ALEN];
};

#define ND_SOLICIT   135
#define ND_ADVERT    136
#define ND_HOP_LIMIT 255 /* RFC 4861 7.1: proves that nobody forwarded it */

/* Both aligned to 2. */
INLINE bool mac_eq(const void *a, const void *b)
{
	const __u16 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

INLINE bool four_eq(const __u8 *four, const struct ex_ip *ip)
{
	return four[0] == ip->b[12] && four[1] == ip->b[13] && four[2] == ip->b[14] &&
	       four[3] == ip->b[15] && ip->b[10] == 0xff;
}

INLINE enum ex_reason arp_check(struct __sk_buff *skb, const struct pkt *p,
				const struct ex_endpoint *ep)
{
	const struct ex_ip *from = p->outbound ? &ep->ip4 : &ep->gw4;
	const struct ex_ip *to = p->outbound ? &ep->gw4 : &ep->ip4;
	const void *mac = p->outbound ? ep->mac : ep->gw_mac;
	struct arp4 arp;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)) ||
	    (p->len > ETH_HLEN + sizeof(arp) && p->len > ETH_FRAME_MIN))
		return EX_R_MALFORMED;
	if (arp.hrd != bpf_htons(ARP_ETHERNET) || arp.pro != bpf_htons(ETH_P_IP) ||
	    arp.hln != ETH_ALEN || arp.pln != 4)
		return EX_R_MALFORMED;
	if (arp.op != bpf_htons(ARP_REQUEST) && arp.op != bpf_htons(ARP_REPLY))
		return EX_R_NEIGHBOUR;
	if (!mac_eq(arp.sha, mac) || !four_eq(arp.spa, from) || !four_eq(arp.tpa, to))
		return EX_R_NEIGHBOUR;
	return EX_R_ALLOWED;
}

INLINE bool link_local(const union addr *a)
{
	return a->w[0] == bpf_htonl(0xfe800000) && a->w[1] == 0;
}

/* ff02::1:ffXX:XXXX of ip, RFC 4291 2.7.1 */
INLINE bool solicited_node(const union addr *a, const struct ex_ip *ip)
{
	return a->w[0] == bpf_htonl(0xff020000) && a->w[1] == 0 && a->w[2] == bpf_htonl(1) &&
	       a->b[12] == 0xff && a->b[13] == ip->b[13] && a->b[14] == ip->b[14] &&
	       a->b[15] == ip->b[15];
}

INLINE bool nd_is(const struct pkt *p)
{
	return p->proto == IPPROTO_ICMPV6 && p->key_port >> 8 >= 133 && p->key_port >> 8 <= 137;
}

/*
 * Sender and target: a solicitation asks for the other end, an advertisement speaks for oneself.
 * The link-local address of the sender may stand for its global one: the kernel probes with it.
 */
INLINE enum ex_reason nd_check(struct __sk_buff *skb, const struct pkt *p,
			       const struct ex_endpoint *ep)
{
	const struct ex_ip *own = p->outbound ? &ep->ip6 : &ep->gw6;
	const struct ex_ip *other = p->outbound ? &ep->gw6 : &ep->ip6;
	const __u8 *mac = p->outbound ? ep->mac : ep->gw_mac;
	struct nd_option option;
	struct nd nd;
	__u8 hops;

	if (p->l4 != ETH_HLEN + sizeof(struct ipv6hdr) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, hop_limit), &hops, 1) ||
	    hops != ND_HOP_LIMIT)
		return EX_R_NEIGHBOUR;
	if (p->end < p->l4 + sizeof(nd) || bpf_skb_load_bytes(skb, p->l4, &nd, sizeof(nd)) ||
	    nd.code)
		return EX_R_NEIGHBOUR;
	if (!addr_eq(&p->src, own) && !link_local(&p->src))
		return EX_R_SOURCE_ADDRESS;
	if (!addr_eq(&p->dst, other) && !link_local(&p->dst) &&
	    !(nd.type == ND_SOLICIT && solicited_node(&p->dst, other)))
		return EX_R_NEIGHBOUR;
	if (nd.type == ND_SOLICIT ? !addr_eq(&nd.target, other)
				  : nd.type != ND_ADVERT || (!addr_eq(&nd.target, own) &&
							     !(link_local(&nd.target) &&
							       nd.target.q[1] == p->src.q[1])))
		return EX_R_NEIGHBOUR;
	if (p->end == p->l4 + sizeof(nd))
		return EX_R_ALLOWED;
	/* one link-layer address option, and it is the sender's own */
	if (p->end != p->l4 + sizeof(nd) + sizeof(option) ||
	    bpf_skb_load_bytes(skb, p->l4 + sizeof(nd), &option, sizeof(option)))
		return EX_R_NEIGHBOUR;
	if (option.type != (nd.type == ND_SOLICIT ? 1 : 2) || option.len != 1 ||
	    !mac_eq(option.mac, mac))
		return EX_R_NEIGHBOUR;
	return EX_R_ALLOWED;
}

SUBPROG enum ex_reason neigh_arp(struct __sk_buff *skb, struct pkt *p)
{
	const struct ex_endpoint *ep = p ? find_endpoint(p) : NULL;

	return ep ? arp_check(skb, p, ep) : EX_R_NO_ENDPOINT;
}

SUBPROG enum ex_reason neigh_nd(struct __sk_buff *skb, struct pkt *p)
{
	const struct ex_endpoint *ep = p ? find_endpoint(p) : NULL;

	return ep ? nd_check(skb, p, ep) : EX_R_NO_ENDPOINT;
}

#endif
