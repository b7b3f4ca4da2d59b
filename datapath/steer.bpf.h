/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hands a flow to the proxy: a TCP SYN, and every UDP datagram, is assigned to the listening socket
 * of its kind. Later segments find the accepted socket in the stack by themselves; the gate only
 * makes sure that there is one, because a segment without a socket must not wander on.
 */
#ifndef EXEAT_DATAPATH_STEER_H
#define EXEAT_DATAPATH_STEER_H

#include "maps.bpf.h"
#include "parse.bpf.h"

#define SOCK_NONE EX_SOCK_MAX

INLINE __u32 steer_socket(const struct pkt *p)
{
	__u32 six = p->is6 ? 1 : 0;

	if (p->proto == IPPROTO_TCP && p->rule.kind == EX_KIND_TCP)
		return EX_SOCK_TCP4 + six;
	if (p->proto == IPPROTO_TCP && p->rule.kind == EX_KIND_DNS)
		return EX_SOCK_DNS_TCP4 + six;
	if (p->proto == IPPROTO_UDP && p->rule.kind == EX_KIND_DNS)
		return EX_SOCK_DNS_UDP4 + six;
	if (p->proto == IPPROTO_UDP && p->rule.kind == EX_KIND_UDP)
		return EX_SOCK_UDP4 + six;
	return SOCK_NONE;
}

/* In this namespace the socket gets the packet; behind a gateway it only has to be there. */
INLINE enum ex_reason steer_assign(struct __sk_buff *skb, const struct pkt *p, __u32 worker,
				   __u32 which)
{
	__u32 key = (p->slot * EX_WORKERS_MAX + worker) * EX_SOCK_MAX + which;
	struct bpf_sock *sk = bpf_map_lookup_elem(&ex_socks, &key);
	long r = 0;

	if (!sk)
		return EX_R_NO_PROXY;
	if (!p->proxied)
		r = bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	return r ? EX_R_NO_PROXY : EX_R_ALLOWED;
}

/* Spreads flows over workers; who wants a certain worker may well find a port that leads there. */
INLINE __u32 steer_hash(const struct pkt *p)
{
	__u32 h = p->dst.w[3] ^ p->dst.w[2] ^ p->dst.w[1] ^ ((__u32)p->sport << 16 | p->dport);

	/* every bit of the port reaches the low bits, by which a worker is chosen */
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	return h ^ h >> 16;
}

/* To the worker that has the flow, or for a new flow the one of its tuple; else to any that lives.
 */
INLINE enum ex_reason steer_worker(struct __sk_buff *skb, struct pkt *p, bool fresh, __u32 which)
{
	__u32 workers = p->workers, i, worker;

	if (workers > EX_WORKERS_MAX)
		workers = EX_WORKERS_MAX;
	if (!workers)
		return EX_R_NO_PROXY;
	worker = (fresh ? steer_hash(p) : p->worker) % workers;
	for (i = 0; i < EX_WORKERS_MAX && i < workers; i++) {
		if (steer_assign(skb, p, worker, which) == EX_R_ALLOWED) {
			p->worker = worker;
			return EX_R_ALLOWED;
		}
		if (++worker >= workers)
			worker = 0;
	}
	return EX_R_NO_PROXY;
}

/* Does the stack have a socket of this very connection (not a listener that fits by port)? */
INLINE bool steer_connected(struct __sk_buff *skb, const struct pkt *p)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size, state, port;
	struct bpf_sock *sk;

	if (p->is6) {
		__builtin_memcpy(tuple.ipv6.saddr, &p->src, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, &p->dst, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = p->sport;
		tuple.ipv6.dport = p->dport;
		size = sizeof(tuple.ipv6);
	} else {
		tuple.ipv4.saddr = p->src.w[3];
		tuple.ipv4.daddr = p->dst.w[3];
		tuple.ipv4.sport = p->sport;
		tuple.ipv4.dport = p->dport;
		size = sizeof(tuple.ipv4);
	}
	if (p->proto == IPPROTO_UDP) {
		sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
		if (!sk)
			return false;
		port = sk->dst_port;
		bpf_sk_release(sk);
		return port != 0;
	}
	sk = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	state = sk->state;
	bpf_sk_release(sk);
	return state != BPF_TCP_LISTEN && state != BPF_TCP_CLOSE;
}

/* opens: the first packet of a flow, or one that is sent again before there was an answer. */
SUBPROG enum ex_reason steer(struct __sk_buff *skb, struct pkt *p, bool opens)
{
	__u32 which;

	if (!p)
		return EX_R_INTERNAL;
	which = steer_socket(p);
	if (which == SOCK_NONE)
		return EX_R_UNSUPPORTED;
	p->proxied = p->flags & EX_EP_GATEWAY;
	if (p->proxied) {
		/* hand_over() sees to what is not a first packet */
		if (!opens && p->proto == IPPROTO_TCP && (p->tcp_flags & TCP_CONTROL) != TCP_SYN)
			return EX_R_ALLOWED;
	} else if (p->proto == IPPROTO_TCP) {
		if (!opens && steer_connected(skb, p))
			return EX_R_ALLOWED;
		if ((p->tcp_flags & TCP_CONTROL) != TCP_SYN)
			return EX_R_NO_FLOW;
	}
	return steer_worker(skb, p, opens, which);
}

#endif
