/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tells a denied program at once: a RST for TCP, ICMP "administratively prohibited" for the rest.
 * The denied packet itself is rewritten and sent back out of the interface it came from.
 *
 * Never in answer to a RST, an ICMP error, a fragment, a forged source or a group address, and
 * never faster than the endpoint's token bucket allows.
 */
#ifndef EXEAT_DATAPATH_REFUSE_H
#define EXEAT_DATAPATH_REFUSE_H

#include "maps.bpf.h"
#include "parse.bpf.h"

#define REFUSE_PERIOD 1000000ull /* ns a token: 1000 a second ... */
#define REFUSE_BURST  200        /* ... and so many at once */

#define QUOTE_MAX  96 /* bytes of the denied packet that an ICMP error carries */
#define QUOTE_MIN  28 /* IPv4 header and eight bytes */
#define REFUSE_TTL 64

/* A random number per load: what bears it on the way out is our own refusal. */
const volatile __u32 refuse_mark = 0;

/* One token, when there is one: `burst` at most, one more every `period` nanoseconds. */
INLINE bool bucket_take(struct bucket *b, __u64 now, __u64 period, __u64 burst)
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

INLINE __u16 csum_fold(__s64 sum)
{
	__u32 s = sum;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return ~s;
}

/* Sum of the pseudo-header of a packet from p->dst, or from `from`, to p->src. */
INLINE __s64 csum_pseudo(const struct pkt *p, const union addr *from, __u8 proto, __u32 len)
{
	struct {
		__be32 len, proto;
	} tail = { bpf_htonl(len), bpf_htonl(proto) };
	__s64 sum = bpf_csum_diff(NULL, 0, (__be32 *)&tail, sizeof(tail), 0);

	if (!p->is6) {
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&from->w[3], 4, sum);
		return bpf_csum_diff(NULL, 0, (__be32 *)&p->src.w[3], 4, sum);
	}
	sum = bpf_csum_diff(NULL, 0, (__be32 *)from, sizeof(*from), sum);
	return bpf_csum_diff(NULL, 0, (__be32 *)&p->src, sizeof(p->src), sum);
}

/* Ethernet and IP header of the answer, `from` to the workload; payload bytes follow. */
INLINE int refuse_headers(struct __sk_buff *skb, const struct pkt *p, const struct ex_endpoint *ep,
			  const union addr *from, __u8 proto, __u32 payload)
{
	struct ethhdr eth, back;
	int r;

	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
		return -1;
	__builtin_memcpy(back.h_dest, eth.h_source, ETH_ALEN);
	__builtin_memcpy(back.h_source, ep->gw_mac, ETH_ALEN);
	back.h_proto = eth.h_proto;
	r = bpf_skb_store_bytes(skb, 0, &back, sizeof(back), 0);
	if (p->is6) {
		struct ipv6hdr ip = {
			.version = 6,
			.payload_len = bpf_htons(payload),
			.nexthdr = proto,
			.hop_limit = REFUSE_TTL,
		};
		__builtin_memcpy(&ip.saddr, from, sizeof(ip.saddr));
		__builtin_memcpy(&ip.daddr, &p->src, sizeof(ip.daddr));
		return r | bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0);
	}
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(sizeof(ip) + payload),
		.frag_off = bpf_htons(0x4000),
		.ttl = REFUSE_TTL,
		.protocol = proto,
		.saddr = from->w[3],
		.daddr = p->src.w[3],
	};
	ip.check = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
	return r | bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0);
}

INLINE __u32 ip_size(const struct pkt *p)
{
	return p->is6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* RFC 9293 3.5.2: the number that the sender expects, or an acknowledgement of all it sent. */
INLINE int refuse_tcp(struct __sk_buff *skb, const struct pkt *p, const struct ex_endpoint *ep)
{
	struct tcphdr in, rst = {};
	__u32 l4 = ETH_HLEN + ip_size(p);

	if (bpf_skb_load_bytes(skb, p->l4, &in, sizeof(in)))
		return -1;
	rst.source = p->dport;
	rst.dest = p->sport;
	rst.doff = sizeof(rst) / 4;
	rst.rst = 1;
	if (in.ack) {
		rst.seq = in.ack_seq;
	} else {
		rst.ack = 1;
		rst.ack_seq = bpf_htonl(bpf_ntohl(in.seq) + in.syn + in.fin + p->end - p->l4 -
					in.doff * 4);
	}
	rst.check = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&rst, sizeof(rst),
					    csum_pseudo(p, &p->dst, IPPROTO_TCP, sizeof(rst))));
	if (bpf_skb_change_tail(skb, l4 + sizeof(rst), 0))
		return -1;
	if (refuse_headers(skb, p, ep, &p->dst, IPPROTO_TCP, sizeof(rst)))
		return -1;
	return bpf_skb_store_bytes(skb, l4, &rst, sizeof(rst), 0);
}

/* The source is the next hop, as it would be from a router; the target when there is none known. */
INLINE int refuse_icmp(struct __sk_buff *skb, const struct pkt *p, const struct ex_endpoint *ep)
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
	__u32 l4 = ETH_HLEN + ip_size(p), quote = p->end - ETH_HLEN;
	union addr from;
	__s64 sum;

	from.ip = p->is6 ? ep->gw6 : ep->gw4;
	if (!from.q[0] && !from.q[1])
		from = p->dst;
	if (quote > QUOTE_MAX)
		quote = QUOTE_MAX;
	if (quote < QUOTE_MIN || bpf_skb_load_bytes(skb, ETH_HLEN, icmp.quote, quote))
		return -1;
	sum = p->is6 ? csum_pseudo(p, &from, proto, 8 + quote) : 0;
	/* the unused rest of the quote is zero and adds nothing */
	icmp.sum = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&icmp, sizeof(icmp), sum));
	if (bpf_skb_change_tail(skb, l4 + 8 + quote, 0))
		return -1;
	if (refuse_headers(skb, p, ep, &from, proto, 8 + quote))
		return -1;
	return bpf_skb_store_bytes(skb, l4, &icmp, 8 + quote, 0);
}

INLINE bool refuse_wanted(const struct pkt *p)
{
	__u8 type = p->key_port >> 8;

	if (!p->outbound || !p->may_refuse || (p->flags & EX_EP_SILENT) ||
	    p->fragment == FRAGMENT_LATER)
		return false;
	if (p->proto == IPPROTO_TCP)
		return !(p->tcp_flags & TCP_RST);
	if (p->proto == IPPROTO_ICMP) /* RFC 1122 3.2.2: queries only */
		return type == ICMP_ECHO || type == ICMP_TIMESTAMP;
	if (p->proto == IPPROTO_ICMPV6) /* RFC 4443 2.4 (e) */
		return type == ICMPV6_ECHO_REQUEST;
	return true;
}

/* TC_ACT_REDIRECT with the answer on its way, or TC_ACT_SHOT. */
SUBPROG int refuse(struct __sk_buff *skb, struct pkt *p)
{
	const struct ex_endpoint *ep;
	struct port_state *port;

	if (!p || !refuse_wanted(p))
		return TC_ACT_SHOT;
	ep = bpf_map_lookup_elem(&ex_endpoints, &p->ifindex);
	port = bpf_map_lookup_elem(&ex_ports, &p->ifindex);
	if (!ep || !port || !bucket_take(&port->refusals, p->now, REFUSE_PERIOD, REFUSE_BURST))
		return TC_ACT_SHOT;
	if (p->proto == IPPROTO_TCP ? refuse_tcp(skb, p, ep) : refuse_icmp(skb, p, ep))
		return TC_ACT_SHOT;
	skb->mark = refuse_mark;
	return bpf_redirect(skb->ifindex, 0);
}

#endif
