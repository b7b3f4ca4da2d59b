/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tells a denied program at once: a RST for TCP, ICMP "administratively prohibited" for the rest,
 * sent back out of the interface that the packet came from. When a new policy ends a live TCP
 * connection, its far end (the proxy, or the server) is told as well.
 *
 * Never in answer to a RST, an ICMP error, a fragment, a forged source or a group address, and
 * never faster than the endpoint's token bucket allows.
 */
#ifndef EXEAT_DATAPATH_REFUSE_H
#define EXEAT_DATAPATH_REFUSE_H

#include "answer.bpf.h"
#include "maps.bpf.h"

#define REFUSE_PERIOD 1000000ull /* ns a token: 1000 a second ... */
#define REFUSE_BURST  200        /* ... and so many at once */

/*
 * Random numbers. What bears the first is the gate's own answer, and passes its hooks; what bears
 * the second comes from a gateway namespace. The third goes with both, for packets that leave
 * through an interface of the host: the veth clears marks between namespaces, so that a workload
 * cannot set one (but by a program in the kernel, which is more than a workload may have), but a
 * macvlan does not, and 32 bits can be tried out.
 */
const volatile __u32 refuse_mark = 0;
const volatile __u32 gateway_mark = 0;
const volatile __u32 mark_check = 0;

INLINE void mark_set(struct __sk_buff *skb, __u32 mark)
{
	skb->mark = mark;
	skb->priority = mark_check;
}

/* The mark of a packet that bears one, which is taken off; else 0. */
SUBPROG __u32 mark_take(struct __sk_buff *skb, bool outbound)
{
	__u32 mark = skb->mark;
	const struct ex_endpoint *ep;

	if (!gateway_mark || (mark != refuse_mark && mark != gateway_mark))
		return 0;
	ep = entry_read(find_entry(skb->ifindex));
	if (!ep || (outbound && (ep->flags & EX_EP_SHARED) && skb->priority != mark_check))
		return 0;
	skb->mark = 0;
	skb->priority = 0;
	return mark;
}

INLINE bool refuse_wanted(const struct pkt *p)
{
	__u8 type = p->key_port >> 8;

	if (!p->may_refuse || (p->flags & EX_EP_SILENT) || p->fragment == FRAGMENT_LATER)
		return false;
	if (p->revoked)
		return p->proto == IPPROTO_TCP;
	if (!p->outbound)
		return false;
	if (p->proto == IPPROTO_TCP)
		return !(p->tcp_flags & TCP_RST);
	if (p->part)
		return false;         /* hand_over() lets nothing else in that is of no flow */
	if (p->proto == IPPROTO_ICMP) /* RFC 1122 3.2.2: queries only */
		return type == ICMP_ECHO || type == ICMP_TIMESTAMP;
	if (p->proto == IPPROTO_ICMPV6) /* RFC 4443 2.4 (e) */
		return type == ICMPV6_ECHO_REQUEST;
	return true;
}

/* Who is at the ends of a flow. */
enum end {
	END_WORKLOAD,
	END_FAR,     /* as if the workload had sent it */
	END_GATEWAY, /* out of the gateway's interface */
};

/*
 * How to get to an end. Through the endpoint's interface the workload is outside and all else is
 * inside; for an interface of the host it is the other way round.
 */
INLINE __u64 end_flags(__u32 flags, enum end end)
{
	enum end inside = flags & EX_EP_SHARED ? END_WORKLOAD : END_FAR;

	return end == inside ? BPF_F_INGRESS : 0;
}

INLINE enum end end_of(const struct pkt *p, bool sender)
{
	if (p->part == EX_PART_UPSTREAM)
		return p->outbound == sender ? END_GATEWAY : END_FAR;
	if (p->outbound == sender)
		return END_WORKLOAD;
	return p->proxied ? END_GATEWAY : END_FAR;
}

/* Where the stack of the gateway namespace takes it for its own. */
INLINE long gateway_link(struct __sk_buff *skb, const struct ex_endpoint *ep)
{
	return bpf_skb_store_bytes(skb, 0, ep->gate_mac, ETH_ALEN, 0);
}

INLINE void refuse_clone(struct __sk_buff *skb, const struct pkt *p, const struct ex_endpoint *ep,
			 enum end end)
{
	if (end == END_GATEWAY ? gateway_link(skb, ep) != 0
			       : p->part && bpf_skb_store_bytes(skb, 0, p->mac, ETH_ALEN, 0))
		return;
	bpf_clone_redirect(skb, end == END_GATEWAY ? p->gateway : p->ifindex,
			   end_flags(p->flags, end));
}

INLINE int refuse_send(struct __sk_buff *skb, const struct pkt *p, const struct ex_endpoint *ep,
		       enum end end)
{
	if (end != END_GATEWAY)
		return bpf_redirect(p->ifindex, end_flags(p->flags, end));
	if (gateway_link(skb, ep))
		return TC_ACT_SHOT;
	return bpf_redirect(p->gateway, 0);
}

INLINE int refuse_tcp(struct __sk_buff *skb, const struct pkt *p, const struct ex_endpoint *ep)
{
	struct ethhdr eth;
	struct tcphdr in;

	if (bpf_skb_load_bytes(skb, p->l4, &in, sizeof(in)) ||
	    bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
		return TC_ACT_SHOT;
	mark_set(skb, refuse_mark);
	if (p->revoked && answer_rst(skb, p, &in, ANSWER_ON) == 0)
		refuse_clone(skb, p, ep, end_of(p, false));
	if (in.rst || bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0) ||
	    answer_rst(skb, p, &in, ANSWER_BACK))
		return TC_ACT_SHOT;
	return refuse_send(skb, p, ep, end_of(p, true));
}

/* TC_ACT_REDIRECT with the answer on its way, or TC_ACT_SHOT. */
SUBPROG int refuse(struct __sk_buff *skb, struct pkt *p)
{
	const struct ex_endpoint *ep;
	struct ex_port_state *port;

	if (!p || !refuse_wanted(p))
		return TC_ACT_SHOT;
	port = find_port(p);
	if (!port || !bucket_take(&port->refusals, p->now, REFUSE_PERIOD, REFUSE_BURST))
		return TC_ACT_SHOT;
	ep = find_endpoint(p);
	if (!ep)
		return TC_ACT_SHOT;
	if (p->proto == IPPROTO_TCP)
		return refuse_tcp(skb, p, ep);
	if (answer_icmp(skb, p, ep))
		return TC_ACT_SHOT;
	mark_set(skb, refuse_mark);
	return bpf_redirect(p->ifindex, end_flags(p->flags, END_WORKLOAD));
}

#endif
