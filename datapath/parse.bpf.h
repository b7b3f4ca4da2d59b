/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From bytes to struct pkt. What is not understood to the last bit is denied: every function
 * returns EX_R_ALLOWED to go on, or the reason to stop.
 */
#ifndef EXEAT_DATAPATH_PARSE_H
#define EXEAT_DATAPATH_PARSE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "address.bpf.h"
#include "offload.bpf.h"

/* <linux/icmp.h> pulls in libc. Numbers of RFC 792 and RFC 4443. */
#define ICMP_ECHOREPLY        0
#define ICMP_DEST_UNREACH     3
#define ICMP_ECHO             8
#define ICMP_TIME_EXCEEDED    11
#define ICMP_PARAMETERPROB    12
#define ICMP_TIMESTAMP        13
#define ICMP_PKT_FILTERED     13 /* code of DEST_UNREACH */
#define ICMPV6_DEST_UNREACH   1
#define ICMPV6_PARAMPROB      4
#define ICMPV6_ADM_PROHIBITED 1 /* code of DEST_UNREACH */
#define ICMPV6_ECHO_REQUEST   128
#define ICMPV6_ECHO_REPLY     129
#define MLD_REPORT            131
#define MLD_DONE              132
#define MLD2_REPORT           143
#define IGMP_REPORT           0x12
#define IGMP2_REPORT          0x16
#define IGMP_LEAVE            0x17
#define IGMP3_REPORT          0x22

#define EXT_MOBILITY 135
#define EXT_HIP      139
#define EXT_SHIM6    140
#define EXT_TEST1    253
#define EXT_TEST2    254

#define ETH_FRAME_MIN 60 /* shorter frames are padded up to this (without FCS) */
#define EXT_CHAIN_MAX 4  /* extension headers looked at; senders use one, two at most */
#define EXT_BYTES_MAX 64 /* of one extension header; the options in use fit in 8 to 24 */

#define IP_RESERVED 0x8000
#define IP_MF       0x2000
#define IP_OFFSET   0x1fff

#define TCP_FIN     0x01
#define TCP_SYN     0x02
#define TCP_RST     0x04
#define TCP_ACK     0x10
#define TCP_CONTROL (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)

/* Where the transport header stands in nearly every packet. */
#define L4_OF_IP4 (ETH_HLEN + sizeof(struct iphdr))
#define L4_OF_IP6 (ETH_HLEN + sizeof(struct ipv6hdr))

#define READ_L4(skb, p, var)                                                                       \
	((p)->l4 == L4_OF_IP4   ? READ((skb), L4_OF_IP4, (var))                                    \
	 : (p)->l4 == L4_OF_IP6 ? READ((skb), L4_OF_IP6, (var))                                    \
				: bpf_skb_load_bytes((skb), (p)->l4, &(var), sizeof(var)) == 0)

struct ports {
	__be16 src, dst;
};

INLINE void addr_set6(union addr *a, const struct in6_addr *ip)
{
	int i;

#pragma unroll
	for (i = 0; i < 4; i++)
		a->w[i] = ip->s6_addr32[i];
}

/* The IP packet must fill the frame, padding of a minimal frame aside. */
INLINE bool frame_fits(const struct pkt *p)
{
	return p->end <= p->len && (p->end == p->len || p->len <= ETH_FRAME_MIN);
}

/*
 * Fragments of UDP and ICMP, whose eight bytes of header no later fragment can overlap. TCP needs
 * none (path MTU discovery), and a TCP header cut in two is an attack (RFC 3128). A packet of one
 * fragment is a whole packet in disguise.
 */
INLINE enum ex_reason parse_fragment(struct pkt *p, __u16 offset, bool more, __u32 id)
{
	__u32 size = p->end - p->l4;

	if (p->proto != IPPROTO_UDP && p->proto != IPPROTO_ICMP && p->proto != IPPROTO_ICMPV6)
		return EX_R_FRAGMENT;
	if (!offset && !more)
		return EX_R_FRAGMENT;
	if (!size || (more && size % 8) || offset * 8 + size > 65535)
		return EX_R_MALFORMED;
	p->fragment = offset ? FRAGMENT_LATER : FRAGMENT_FIRST;
	p->frag_id = id;
	return EX_R_ALLOWED;
}

/*
 * Every stack tells of its multicast groups, again and again: no group is open to a workload, and
 * no news that it asks. A query, which only routers have any business with, is none of these.
 */
INLINE bool is_group_report4(struct __sk_buff *skb, const struct pkt *p)
{
	__u8 type;

	return p->proto == IPPROTO_IGMP && p->outbound && p->group &&
	       bpf_ntohl(p->dst.w[3]) >> 8 == 0xe00000 &&
	       bpf_skb_load_bytes(skb, p->l4, &type, 1) == 0 &&
	       (type == IGMP_REPORT || type == IGMP2_REPORT || type == IGMP_LEAVE ||
		type == IGMP3_REPORT);
}

INLINE bool is_group_report6(const struct pkt *p, __u8 type)
{
	return p->outbound && p->group && p->is6 && p->dst.b[0] == 0xff && p->dst.b[1] == 0x02 &&
	       (type == MLD_REPORT || type == MLD_DONE || type == MLD2_REPORT);
}

INLINE enum ex_reason parse_ip4(struct __sk_buff *skb, struct pkt *p)
{
	struct iphdr ip;
	__u16 frag;

	if (!READ(skb, ETH_HLEN, ip))
		return EX_R_MALFORMED;
	if (ip.version != 4 || ip.ihl < 5)
		return EX_R_MALFORMED;
	addr_set4(&p->src, ip.saddr);
	addr_set4(&p->dst, ip.daddr);
	p->proto = ip.protocol;
	p->l4 = ETH_HLEN + ip.ihl * 4;
	p->end = ETH_HLEN + bpf_ntohs(ip.tot_len);
	if (p->end < p->l4 || !frame_fits(p))
		return EX_R_MALFORMED;
	if (is_group_report4(skb, p))
		return EX_R_GROUP_REPORT;
	if (ip.ihl != 5)
		return EX_R_IP_OPTIONS;
	frag = bpf_ntohs(ip.frag_off);
	if (frag & IP_RESERVED)
		return EX_R_MALFORMED;
	if (frag & (IP_MF | IP_OFFSET))
		return parse_fragment(p, frag & IP_OFFSET, frag & IP_MF, bpf_ntohs(ip.id));
	return EX_R_ALLOWED;
}

/* The rest of IANA's list of extension headers; AH and ESP aside. */
INLINE bool ext_refused(__u8 next)
{
	return next == IPPROTO_ROUTING || next == IPPROTO_NONE || next == EXT_MOBILITY ||
	       next == EXT_HIP || next == EXT_SHIM6 || next == EXT_TEST1 || next == EXT_TEST2;
}

INLINE enum ex_reason parse_fragment6(struct __sk_buff *skb, struct pkt *p)
{
	struct {
		__u8 next, reserved;
		__be16 offset;
		__be32 id;
	} frag;
	__u16 offset;

	if (bpf_skb_load_bytes(skb, p->l4, &frag, sizeof(frag)))
		return EX_R_MALFORMED;
	p->l4 += sizeof(frag);
	if (p->l4 > p->end)
		return EX_R_MALFORMED;
	p->proto = frag.next;
	offset = bpf_ntohs(frag.offset);
	return parse_fragment(p, offset >> 3, offset & 1, bpf_ntohl(frag.id));
}

/*
 * Walks to the upper-layer header. Hop-by-hop stands first or nowhere (RFC 8200 4.1). Routing
 * headers send a packet elsewhere than its destination says and are refused, as is everything that
 * is not known here. AH and ESP end the walk: a rule may name them as protocols.
 */
INLINE enum ex_reason parse_ext(struct __sk_buff *skb, struct pkt *p, __u8 next)
{
	struct ipv6_opt_hdr ext;
	__u32 size;
	int i;

#pragma unroll
	for (i = 0; i < EXT_CHAIN_MAX; i++) {
		if (next == IPPROTO_FRAGMENT)
			return parse_fragment6(skb, p);
		if (ext_refused(next) || (next == IPPROTO_HOPOPTS && i > 0))
			return EX_R_EXT_HEADER;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS) {
			p->proto = next;
			return EX_R_ALLOWED;
		}
		if (bpf_skb_load_bytes(skb, p->l4, &ext, sizeof(ext)))
			return EX_R_MALFORMED;
		size = (ext.hdrlen + 1) * 8;
		if (size > EXT_BYTES_MAX)
			return EX_R_EXT_HEADER;
		p->l4 += size;
		if (p->l4 > p->end)
			return EX_R_MALFORMED;
		next = ext.nexthdr;
	}
	return EX_R_EXT_HEADER;
}

INLINE enum ex_reason parse_ip6(struct __sk_buff *skb, struct pkt *p)
{
	struct ipv6hdr ip;

	p->is6 = true;
	if (!READ(skb, ETH_HLEN, ip))
		return EX_R_MALFORMED;
	if (ip.version != 6)
		return EX_R_MALFORMED;
	addr_set6(&p->src, &ip.saddr);
	addr_set6(&p->dst, &ip.daddr);
	p->l4 = ETH_HLEN + sizeof(ip);
	p->end = p->l4 + bpf_ntohs(ip.payload_len);
	if (!frame_fits(p))
		return EX_R_MALFORMED;
	if (ip.nexthdr != IPPROTO_TCP && ip.nexthdr != IPPROTO_UDP && !take_headers(skb))
		return EX_R_MALFORMED;
	return parse_ext(skb, p, ip.nexthdr);
}

/* Opens (SYN), answers (SYN ACK), carries (ACK), ends (FIN ACK, RST, RST ACK); nothing else. */
INLINE bool tcp_flags_valid(__u8 flags)
{
	switch (flags & TCP_CONTROL) {
	case TCP_SYN:
	case TCP_SYN | TCP_ACK:
	case TCP_ACK:
	case TCP_FIN | TCP_ACK:
	case TCP_RST:
	case TCP_RST | TCP_ACK:
		return true;
	}
	return false;
}

INLINE enum ex_reason parse_tcp(struct __sk_buff *skb, struct pkt *p)
{
	struct {
		struct ports ports;
		__be32 seq, ack;
		__u8 offset, flags;
		__be16 window;
	} tcp;
	__u32 size;

	if (!READ_L4(skb, p, tcp))
		return EX_R_MALFORMED;
	size = (tcp.offset >> 4) * 4;
	if (size < sizeof(struct tcphdr) || p->l4 + size > p->end)
		return EX_R_MALFORMED;
	if (!tcp.ports.src || !tcp.ports.dst)
		return EX_R_MALFORMED;
	p->sport = tcp.ports.src;
	p->dport = tcp.ports.dst;
	p->key_port = bpf_ntohs(tcp.ports.dst);
	p->tcp_flags = tcp.flags;
	return tcp_flags_valid(tcp.flags) ? EX_R_ALLOWED : EX_R_TCP_FLAGS;
}

INLINE enum ex_reason parse_udp(struct __sk_buff *skb, struct pkt *p)
{
	struct udphdr udp;
	__u32 size;

	if (p->l4 + sizeof(udp) > p->end || !READ_L4(skb, p, udp))
		return EX_R_MALFORMED;
	size = bpf_ntohs(udp.len);
	if (!udp.source || !udp.dest)
		return EX_R_MALFORMED;
	if (p->fragment ? size <= p->end - p->l4 : size != p->end - p->l4)
		return EX_R_MALFORMED;
	p->sport = udp.source;
	p->dport = udp.dest;
	p->key_port = bpf_ntohs(udp.dest);
	return EX_R_ALLOWED;
}

INLINE enum ex_reason parse_sctp(struct __sk_buff *skb, struct pkt *p)
{
	struct ports ports;

	/* common header and one chunk header */
	if (p->l4 + 16 > p->end || !READ_L4(skb, p, ports))
		return EX_R_MALFORMED;
	if (!ports.src || !ports.dst)
		return EX_R_MALFORMED;
	p->sport = ports.src;
	p->dport = ports.dst;
	p->key_port = bpf_ntohs(ports.dst);
	return EX_R_ALLOWED;
}

INLINE bool proto_is_icmp(__u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

INLINE bool icmp_is_query(const struct pkt *p)
{
	return p->key_port == (p->is6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO) << 8;
}

INLINE bool icmp_is_reply(const struct pkt *p)
{
	return p->key_port == (p->is6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY) << 8;
}

INLINE bool icmp_is_error(const struct pkt *p)
{
	__u8 type = p->key_port >> 8;

	if (p->is6)
		return type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB;
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETERPROB;
}

/* ICMP and ICMPv6 share the first eight bytes: type, code, checksum, identifier, sequence. */
INLINE enum ex_reason parse_icmp(struct __sk_buff *skb, struct pkt *p)
{
	struct {
		__u8 type, code;
		__be16 sum, id, seq;
	} icmp;

	/* ICMP of the other family means nothing to a receiver, or something to a sloppy one */
	if (p->is6 != (p->proto == IPPROTO_ICMPV6))
		return EX_R_MALFORMED;
	if (!take_headers(skb)) /* also what an error quotes */
		return EX_R_MALFORMED;
	if (p->l4 + sizeof(icmp) > p->end || !READ_L4(skb, p, icmp))
		return EX_R_MALFORMED;
	p->key_port = icmp.type << 8 | icmp.code;
	p->sport = icmp.id;
	if (is_group_report6(p, icmp.type))
		return EX_R_GROUP_REPORT;
	if (p->fragment && !icmp_is_query(p) && !icmp_is_reply(p))
		return EX_R_FRAGMENT;
	return EX_R_ALLOWED;
}

INLINE enum ex_reason parse_transport(struct __sk_buff *skb, struct pkt *p)
{
	if (p->fragment == FRAGMENT_LATER)
		return EX_R_ALLOWED; /* nothing here to read: its first fragment decides */
	switch (p->proto) {
	case IPPROTO_TCP:
		return parse_tcp(skb, p);
	case IPPROTO_UDP:
		return parse_udp(skb, p);
	case IPPROTO_SCTP:
		return parse_sctp(skb, p);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return parse_icmp(skb, p);
	}
	return EX_R_ALLOWED;
}

SUBPROG enum ex_reason parse(struct __sk_buff *skb, struct pkt *p, __u32 ethertype)
{
	enum ex_reason reason;

	if (!p)
		return EX_R_INTERNAL;
	if (offload_list(skb))
		return EX_R_MALFORMED;
	if (ethertype == ETH_P_IP)
		reason = parse_ip4(skb, p);
	else if (ethertype == ETH_P_IPV6)
		reason = parse_ip6(skb, p);
	else
		return EX_R_ETHERTYPE;
	if (reason == EX_R_ALLOWED)
		reason = parse_transport(skb, p);
	if (reason == EX_R_ALLOWED && !offload_harmless(skb, p))
		return EX_R_MALFORMED;
	return reason;
}

#endif
