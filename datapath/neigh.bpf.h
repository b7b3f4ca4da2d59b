/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ARP and neighbour discovery. On a link of its own, the workload and its next hop may find each
 * other, nothing more. On a bridge it may ask for any neighbour, and look whether its own addresses
 * are free, but speak for nobody but itself: sender addresses, MACs and what it claims are its own.
 * It hears what is about itself, and what others say about themselves: two workloads that may not
 * speak with each other could do so in what such messages leave free. Router discovery and
 * redirects are denied.
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

#define ND_SOLICIT     135
#define ND_ADVERT      136
#define ND_SOURCE_LINK 1
#define ND_TARGET_LINK 2
#define ND_NONCE       14
#define ND_HOP_LIMIT   255 /* RFC 4861 7.1: proves that nobody forwarded it */

INLINE bool four_eq(const __u8 *four, const struct ex_ip *ip)
{
	return four[0] == ip->b[12] && four[1] == ip->b[13] && four[2] == ip->b[14] &&
	       four[3] == ip->b[15] && ip->b[10] == 0xff;
}

INLINE bool link_local(const union addr *a)
{
	return a->w[0] == bpf_htonl(0xfe800000) && a->w[1] == 0;
}

/* Does the sender speak as itself, to what it may speak to? */
INLINE bool arp_point_to_point(const struct pkt *p, const struct ex_endpoint *ep,
			       const struct arp4 *arp)
{
	const struct ex_ip *from = p->outbound ? &ep->ip4 : &ep->gw4;
	const struct ex_ip *to = p->outbound ? &ep->gw4 : &ep->ip4;

	return mac_eq(arp->sha, p->outbound ? ep->mac : ep->gw_mac) && four_eq(arp->spa, from) &&
	       four_eq(arp->tpa, to);
}

INLINE bool own_four(const __u8 *four, const struct ex_endpoint *ep)
{
	union addr a = {};

	a.w[2] = bpf_htonl(0xffff);
	__builtin_memcpy(&a.b[12], four, 4);
	return address_own(&a, false, ep);
}

static const __u8 nobody[ETH_ALEN] __attribute__((aligned(2)));
static const __u8 everybody[ETH_ALEN]
	__attribute__((aligned(2))) = { 255, 255, 255, 255, 255, 255 };

/* Asked for, answered, or told where somebody is. */
INLINE bool arp_heard(const struct ex_endpoint *ep, const struct arp4 *arp)
{
	if (__builtin_memcmp(arp->spa, arp->tpa, 4) == 0)
		return true;
	return own_four(arp->tpa, ep) &&
	       (arp->op == bpf_htons(ARP_REQUEST) || mac_eq(arp->tha, ep->mac));
}

INLINE bool arp_bridged(const struct pkt *p, const struct ex_endpoint *ep, const struct arp4 *arp)
{
	bool request = arp->op == bpf_htons(ARP_REQUEST);

	if (!p->outbound)
		return arp_heard(ep, arp);
	if (!mac_eq(arp->sha, ep->mac) || (request && !mac_eq(arp->tha, nobody)))
		return false;
	if (!request && own_four(arp->tpa, ep) && !mac_eq(arp->tha, ep->mac) &&
	    !mac_eq(arp->tha, everybody) && !mac_eq(arp->tha, nobody))
		return false;
	if (own_four(arp->spa, ep))
		return true;
	/* RFC 5227: is this address of mine free? */
	return request && !arp->spa[0] && !arp->spa[1] && !arp->spa[2] && !arp->spa[3] &&
	       own_four(arp->tpa, ep);
}

/* A bridge hands on to all what is for a MAC that it does not know. */
INLINE bool heard_at(struct __sk_buff *skb, const struct pkt *p, const struct ex_endpoint *ep,
		     const __u8 *group)
{
	__u8 to[ETH_ALEN] __attribute__((aligned(2)));

	if (p->outbound || !(p->flags & EX_EP_BRIDGED))
		return true;
	return bpf_skb_load_bytes(skb, 0, to, sizeof(to)) == 0 &&
	       mac_eq(to, p->group ? group : ep->mac);
}

INLINE enum ex_reason arp_check(struct __sk_buff *skb, const struct pkt *p,
				const struct ex_endpoint *ep)
{
	struct arp4 arp;

	if (!take_headers(skb) || bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)) ||
	    !offload_harmless(skb, p) ||
	    (p->len > ETH_HLEN + sizeof(arp) && p->len > ETH_FRAME_MIN))
		return EX_R_MALFORMED;
	if (arp.hrd != bpf_htons(ARP_ETHERNET) || arp.pro != bpf_htons(ETH_P_IP) ||
	    arp.hln != ETH_ALEN || arp.pln != 4)
		return EX_R_MALFORMED;
	if ((arp.op != bpf_htons(ARP_REQUEST) && arp.op != bpf_htons(ARP_REPLY)) ||
	    !heard_at(skb, p, ep, everybody))
		return EX_R_NEIGHBOUR;
	/* the padding of a minimal frame is not for a workload to read */
	if (p->len > ETH_HLEN + sizeof(arp) && bpf_skb_change_tail(skb, ETH_HLEN + sizeof(arp), 0))
		return EX_R_MALFORMED;
	if (p->flags & EX_EP_BRIDGED ? arp_bridged(p, ep, &arp) : arp_point_to_point(p, ep, &arp))
		return EX_R_ALLOWED;
	return EX_R_NEIGHBOUR;
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
INLINE enum ex_reason nd_point_to_point(const struct pkt *p, const struct ex_endpoint *ep,
					const struct nd *nd)
{
	const struct ex_ip *own = p->outbound ? &ep->ip6 : &ep->gw6;
	const struct ex_ip *other = p->outbound ? &ep->gw6 : &ep->ip6;

	if (!addr_eq(&p->src, own) && !link_local(&p->src))
		return EX_R_SOURCE_ADDRESS;
	if (!addr_eq(&p->dst, other) && !link_local(&p->dst) &&
	    !(nd->type == ND_SOLICIT && solicited_node(&p->dst, other)))
		return EX_R_NEIGHBOUR;
	if (nd->type == ND_SOLICIT)
		return addr_eq(&nd->target, other) ? EX_R_ALLOWED : EX_R_NEIGHBOUR;
	if (addr_eq(&nd->target, own) ||
	    (link_local(&nd->target) && nd->target.q[1] == p->src.q[1]))
		return EX_R_ALLOWED;
	return EX_R_NEIGHBOUR;
}

INLINE bool nd_own(const union addr *a, const struct ex_endpoint *ep)
{
	return address_own(a, true, ep) || (link_local(a) && addr_eq(a, &ep->ll6));
}

/*
 * A router would carry a solicitation for, or to, an address that is not on the link wherever the
 * sender likes: on the link is what shares a /64 with one of the workload's own addresses.
 */
INLINE bool nd_on_link(const union addr *a, const struct ex_endpoint *ep)
{
	const __u64 *ip6 = (const __u64 *)&ep->ip6;
	int i;

	if (link_local(a) || addr_eq(a, &ep->gw6) || (ip6[0] && a->q[0] == ip6[0]))
		return true;
#pragma unroll
	for (i = 0; i < EX_EP_MORE; i++) {
		const __u64 *more = (const __u64 *)&ep->more[i];

		if (more[0] && a->q[0] == more[0])
			return true;
	}
	return false;
}

INLINE bool all_nodes(const union addr *a)
{
	return a->w[0] == bpf_htonl(0xff020000) && !a->w[1] && !a->w[2] && a->w[3] == bpf_htonl(1);
}

INLINE enum ex_reason nd_bridged(const struct pkt *p, const struct ex_endpoint *ep,
				 const struct nd *nd)
{
	bool mine = nd_own(&nd->target, ep);

	if (!p->outbound && nd->type == ND_ADVERT)
		return nd_own(&p->dst, ep) || all_nodes(&p->dst) ? EX_R_ALLOWED : EX_R_NEIGHBOUR;
	if (!p->outbound)
		return mine && (addr_eq(&p->dst, &nd->target.ip) ||
				solicited_node(&p->dst, &nd->target.ip))
			       ? EX_R_ALLOWED
			       : EX_R_NEIGHBOUR;
	if (nd->type == ND_SOLICIT && !p->src.q[0] && !p->src.q[1]) /* RFC 4862 5.4 */
		return mine && solicited_node(&p->dst, &nd->target.ip) ? EX_R_ALLOWED
								       : EX_R_NEIGHBOUR;
	if (!nd_own(&p->src, ep))
		return EX_R_SOURCE_ADDRESS;
	if (nd->type == ND_ADVERT)
		return mine && (nd_on_link(&p->dst, ep) || all_nodes(&p->dst)) ? EX_R_ALLOWED
									       : EX_R_NEIGHBOUR;
	if (nd_on_link(&nd->target, ep) &&
	    (addr_eq(&p->dst, &nd->target.ip) || solicited_node(&p->dst, &nd->target.ip)))
		return EX_R_ALLOWED;
	return EX_R_NEIGHBOUR;
}

/* What is of no use to whom it is for, and so would be of use to others, is zero. */
INLINE bool nd_reserved(struct __sk_buff *skb, const struct pkt *p, const struct nd *nd)
{
	__be32 first, used = nd->type == ND_ADVERT ? bpf_htonl(0xe0000000) : 0;

	if (!p->outbound)
		return true;
	return !(nd->flags & ~used) && bpf_skb_load_bytes(skb, ETH_HLEN, &first, 4) == 0 &&
	       first == bpf_htonl(6u << 28); /* no traffic class, no flow label */
}

INLINE bool nd_heard_at(struct __sk_buff *skb, const struct pkt *p, const struct ex_endpoint *ep)
{
	__u8 group[ETH_ALEN] __attribute__((aligned(2))) = { 0x33, 0x33 };

	__builtin_memcpy(group + 2, &p->dst.w[3], 4);
	return heard_at(skb, p, ep, group);
}

INLINE enum ex_reason nd_check(struct __sk_buff *skb, const struct pkt *p,
			       const struct ex_endpoint *ep)
{
	bool bridged = p->flags & EX_EP_BRIDGED;
	struct nd_option option;
	enum ex_reason reason;
	struct nd nd;
	__u8 hops;

	if (p->l4 != ETH_HLEN + sizeof(struct ipv6hdr) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, hop_limit), &hops, 1) ||
	    hops != ND_HOP_LIMIT)
		return EX_R_NEIGHBOUR;
	if (p->end < p->l4 + sizeof(nd) || bpf_skb_load_bytes(skb, p->l4, &nd, sizeof(nd)) ||
	    nd.code || (nd.type != ND_SOLICIT && nd.type != ND_ADVERT) ||
	    !nd_reserved(skb, p, &nd) || !nd_heard_at(skb, p, ep))
		return EX_R_NEIGHBOUR;
	reason = bridged ? nd_bridged(p, ep, &nd) : nd_point_to_point(p, ep, &nd);
	if (reason != EX_R_ALLOWED || p->end == p->l4 + sizeof(nd) || (bridged && !p->outbound))
		return reason;
	/* one link-layer address option, and it is the sender's own; in DAD a nonce (RFC 7527) */
	if (p->end != p->l4 + sizeof(nd) + sizeof(option) ||
	    bpf_skb_load_bytes(skb, p->l4 + sizeof(nd), &option, sizeof(option)))
		return EX_R_NEIGHBOUR;
	if (option.len != 1)
		return EX_R_NEIGHBOUR;
	if (!p->src.q[0] && !p->src.q[1])
		return option.type == ND_NONCE ? EX_R_ALLOWED : EX_R_NEIGHBOUR;
	if (option.type != (nd.type == ND_SOLICIT ? ND_SOURCE_LINK : ND_TARGET_LINK) ||
	    !mac_eq(option.mac, p->outbound ? ep->mac : ep->gw_mac))
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
