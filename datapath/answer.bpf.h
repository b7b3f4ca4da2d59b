/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Turns a denied packet into the gate's answer to it, in place: RST, or ICMP "administratively
 * prohibited". Functions return 0, or -1 when the packet is in no state to be sent.
 */
#ifndef EXEAT_DATAPATH_ANSWER_H
#define EXEAT_DATAPATH_ANSWER_H

#include "parse.bpf.h"

#define QUOTE_MAX  96 /* bytes of the denied packet that an ICMP error carries */
#define QUOTE_MIN  28 /* IPv4 header and eight bytes */
#define ANSWER_TTL 64

/* Back to the sender of the packet, or on to where it was going. */
enum answer_way { ANSWER_BACK, ANSWER_ON };

INLINE __u16 csum_fold(__s64 sum)
{
	__u32 s = sum;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return ~s;
}

INLINE __s64 csum_pseudo(const union addr *from, const union addr *to, bool is6, __u8 proto,
			 __u32 len)
{
	struct {
		__be32 len, proto;
	} tail = { bpf_htonl(len), bpf_htonl(proto) };
	__s64 sum = bpf_csum_diff(NULL, 0, (__be32 *)&tail, sizeof(tail), 0);

	if (!is6) {
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&from->w[3], 4, sum);
		return bpf_csum_diff(NULL, 0, (__be32 *)&to->w[3], 4, sum);
	}
	sum = bpf_csum_diff(NULL, 0, (__be32 *)from, sizeof(*from), sum);
	return bpf_csum_diff(NULL, 0, (__be32 *)to, sizeof(*to), sum);
}

INLINE int answer_link(struct __sk_buff *skb)
{
	struct ethhdr eth, back;

	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
		return -1;
	__builtin_memcpy(back.h_dest, eth.h_source, ETH_ALEN);
	__builtin_memcpy(back.h_source, eth.h_dest, ETH_ALEN);
	back.h_proto = eth.h_proto;
	return bpf_skb_store_bytes(skb, 0, &back, sizeof(back), 0);
}

INLINE int answer_ip(struct __sk_buff *skb, const union addr *from, const union addr *to, bool is6,
		     __u8 proto, __u32 payload)
{
	if (is6) {
		struct ipv6hdr ip = {
			.version = 6,
			.payload_len = bpf_htons(payload),
			.nexthdr = proto,
			.hop_limit = ANSWER_TTL,
		};
		__builtin_memcpy(&ip.saddr, from, sizeof(ip.saddr));
		__builtin_memcpy(&ip.daddr, to, sizeof(ip.daddr));
		return bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0);
	}
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(sizeof(ip) + payload),
		.frag_off = bpf_htons(0x4000),
		.ttl = ANSWER_TTL,
		.protocol = proto,
		.saddr = from->w[3],
		.daddr = to->w[3],
	};
	ip.check = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0);
}

INLINE __u32 answer_l4(const struct pkt *p)
{
	return p->is6 ? L4_OF_IP6 : L4_OF_IP4;
}

/* RFC 9293 3.5.2: the number that the sender expects, or an acknowledgement of all it sent. */
INLINE void rst_back(struct tcphdr *rst, const struct pkt *p, const struct tcphdr *in)
{
	rst->source = in->dest;
	rst->dest = in->source;
	if (in->ack) {
		rst->seq = in->ack_seq;
		return;
	}
	rst->ack = 1;
	rst->ack_seq =
		bpf_htonl(bpf_ntohl(in->seq) + in->syn + in->fin + p->end - p->l4 - in->doff * 4);
}

/* In place of what the sender said at this number. */
INLINE void rst_on(struct tcphdr *rst, const struct tcphdr *in)
{
	rst->source = in->source;
	rst->dest = in->dest;
	rst->seq = in->seq;
	rst->ack = in->ack;
	rst->ack_seq = in->ack_seq;
}

/* in: the header of the packet as it came, for skb may be an answer by now. */
INLINE int answer_rst(struct __sk_buff *skb, const struct pkt *p, const struct tcphdr *in,
		      enum answer_way way)
{
	const union addr *from = way == ANSWER_BACK ? &p->dst : &p->src;
	const union addr *to = way == ANSWER_BACK ? &p->src : &p->dst;
	struct tcphdr rst = { .doff = sizeof(rst) / 4, .rst = 1 };
	__u32 l4 = answer_l4(p), at;
	__s64 sum;

	if (way == ANSWER_BACK)
		rst_back(&rst, p, in);
	else
		rst_on(&rst, in);
	sum = csum_pseudo(from, to, p->is6, IPPROTO_TCP, sizeof(rst));
	/* what is left to the device stays so: it makes it of this */
	rst.check = offload_place(skb, &at)
			    ? ~csum_fold(sum)
			    : csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&rst, sizeof(rst), sum));
	if (bpf_skb_change_tail(skb, l4 + sizeof(rst), 0))
		return -1;
	if (way == ANSWER_BACK && answer_link(skb))
		return -1;
	if (answer_ip(skb, from, to, p->is6, IPPROTO_TCP, sizeof(rst)))
		return -1;
	return bpf_skb_store_bytes(skb, l4, &rst, sizeof(rst), 0);
}

/* The source is the next hop, as it would be from a router; the target when there is none known. */
INLINE int answer_icmp(struct __sk_buff *skb, const struct pkt *p, const struct ex_endpoint *ep)
{
	struct {
		__u8 type, code;
		__u16 sum;
		__u32 unused;
		__u8 quote[QUOTE_MAX];
	} icmp = {
		.type = p->is6 ? ICMPV6_DEST_UNREACH : ICMP_DEST_UNREACH,
		.code = p->is6 ? ICMPV6_ADM_PROHIBITED : ICMP_PKT_FILTERED,
	};
	__u8 proto = p->is6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	__u32 l4 = answer_l4(p), quote = p->end - ETH_HLEN;
	union addr from;
	__s64 sum;

	from.ip = p->is6 ? ep->gw6 : ep->gw4;
	if (!from.q[0] && !from.q[1])
		from = p->dst;
	if (quote > QUOTE_MAX)
		quote = QUOTE_MAX;
	if (quote < QUOTE_MIN || bpf_skb_load_bytes(skb, ETH_HLEN, icmp.quote, quote))
		return -1;
	sum = p->is6 ? csum_pseudo(&from, &p->src, true, proto, 8 + quote) : 0;
	/* the unused rest of the quote is zero and adds nothing */
	icmp.sum = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&icmp, sizeof(icmp), sum));
	if (bpf_skb_change_tail(skb, l4 + 8 + quote, 0))
		return -1;
	if (answer_link(skb) || answer_ip(skb, &from, &p->src, p->is6, proto, 8 + quote))
		return -1;
	return bpf_skb_store_bytes(skb, l4, &icmp, 8 + quote, 0);
}

#endif
