/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gateway namespace of an endpoint: a veth to a namespace in which the proxy's sockets are, as
 * a bump in the workload's wire.
 *
 *   steered:   from_workload -> gateway veth -> hand_over -> the proxy's socket
 *   answers:   the proxy's socket -> from_gateway -> to_workload -> the workload
 *   upstream:  the proxy's socket, with the workload's address -> from_gateway -> from_workload,
 *              judged and booked as a flow of the proxy -> on, as if the workload had sent it
 *   back:      to_workload, which knows the flow -> gateway veth -> hand_over -> the proxy's socket
 *
 * from_gateway only tells the two apart, by address; it judges nothing. hand_over believes nothing
 * either: what does not belong to a flow in the table, or has no socket of its own, ends there.
 */
#ifndef EXEAT_DATAPATH_GATEWAY_H
#define EXEAT_DATAPATH_GATEWAY_H

#include "clock.bpf.h"
#include "related.bpf.h"
#include "steer.bpf.h"
#include "verdict.bpf.h"

/* The addresses alone: the packet is parsed when it is judged. */
INLINE bool gateway_addresses(struct __sk_buff *skb, struct pkt *p)
{
	__be16 proto;

	if (skb->vlan_present || !READ(skb, offsetof(struct ethhdr, h_proto), proto))
		return false;
	p->is6 = proto == bpf_htons(ETH_P_IPV6);
	if (p->is6) {
		struct ipv6hdr ip;

		if (!READ(skb, ETH_HLEN, ip))
			return false;
		addr_set6(&p->src, &ip.saddr);
		addr_set6(&p->dst, &ip.daddr);
	} else {
		struct iphdr ip;

		if (proto != bpf_htons(ETH_P_IP) || !READ(skb, ETH_HLEN, ip))
			return false;
		addr_set4(&p->src, ip.saddr);
		addr_set4(&p->dst, ip.daddr);
	}
	return true;
}

/* Onto the endpoint's interface, in through it or out of it, with the MACs of the workload's link.
 */
INLINE int gateway_join(struct __sk_buff *skb, __u32 ifindex, const struct ex_endpoint *ep,
			bool upstream)
{
	struct {
		__u8 to[ETH_ALEN], from[ETH_ALEN];
	} __attribute__((aligned(2))) link;

	mac_copy(link.to, upstream ? ep->gw_mac : ep->mac);
	mac_copy(link.from, upstream ? ep->mac : ep->gw_mac);
	if (bpf_skb_store_bytes(skb, 0, &link, sizeof(link), 0))
		return TC_ACT_SHOT;
	mark_set(skb, gateway_mark);
	return bpf_redirect(ifindex, end_flags(ep->flags, upstream ? END_FAR : END_WORKLOAD));
}

/* A stack talks of itself to groups whenever a link comes up: counted, and no news. */
INLINE bool gateway_chatter(struct __sk_buff *skb)
{
	__be16 first;

	return READ(skb, 0, first) && (first & bpf_htons(0x0100));
}

INLINE int gateway_deny(struct __sk_buff *skb, struct pkt *p, enum ex_reason reason)
{
	count(&ex_reasons, reason, p->len);
	if (gateway_chatter(skb))
		return TC_ACT_SHOT;
	/*
	 * The proxy has closed, and its stack remembers nothing of that (wiring_gateway.c). A far
	 * end that goes on is told, by the way it came, as the workload is: or it would send again
	 * for minutes, and answer the next connection from that port for the old one. Nobody was
	 * denied anything: no news.
	 */
	if (reason == EX_R_NO_FLOW && p->part == EX_PART_UPSTREAM && p->proto == IPPROTO_TCP) {
		p->part = EX_PART_FLOW;
		p->may_refuse = p->outbound = true;
	} else {
		event_send(p, EX_EV_DENY, reason, 0, 0);
	}
	return refuse(skb, p);
}

INLINE void gateway_pkt(struct __sk_buff *skb, struct pkt *p, __u32 ifindex)
{
	__builtin_memset(p, 0, sizeof(*p)); /* padding too: the subprograms read all of it */
	p->now = clock_read();
	p->ifindex = ifindex;
	p->entry = find_entry(ifindex);
	p->slot = SLOT_NONE;
	p->len = skb->len;
}

/* Ingress of the host end of a gateway's veth. */
SEC("tc")
int from_gateway(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	const __u32 *ifindex = bpf_map_lookup_elem(&ex_gateways, &key);
	const struct ex_endpoint *ep;
	struct pkt p;

	gateway_pkt(skb, &p, ifindex ? *ifindex : 0);
	ep = find_endpoint(&p);
	if (!ep || !gateway_mark || !(ep->flags & EX_EP_GATEWAY) || ep->gateway != skb->ifindex)
		return gateway_deny(skb, &p, EX_R_NO_ENDPOINT);
	p.slot = ep->slot;
	if (gateway_addresses(skb, &p)) {
		if (address_own(&p.src, p.is6, ep))
			return gateway_join(skb, p.ifindex, ep, true);
		if (address_own(&p.dst, p.is6, ep))
			return gateway_join(skb, p.ifindex, ep, false);
	}
	return gateway_deny(skb, &p, EX_R_GATEWAY);
}

/* A steered flow of the workload. A reset may end a flow that is out of the table already. */
INLINE enum ex_reason hand_to_listener(struct __sk_buff *skb, void *flows, struct pkt *p)
{
	struct ex_flow_key key = flow_key(p);
	const struct ex_flow_state *flow = flow_find(flows, p, &key);
	__u32 which;

	p->may_refuse = true;
	if (p->proto == IPPROTO_TCP && (p->tcp_flags & TCP_CONTROL) != TCP_SYN) {
		if (!(p->tcp_flags & TCP_RST) && (!flow || flow->verdict != EX_V_STEER))
			return EX_R_GATEWAY;
		return steer_connected(skb, p) ? EX_R_ALLOWED : EX_R_NO_FLOW;
	}
	if (!flow || flow->verdict != EX_V_STEER)
		return EX_R_GATEWAY;
	p->rule.kind = flow->kind;
	which = steer_socket(p);
	if (which == SOCK_NONE)
		return EX_R_UNSUPPORTED;
	return steer_assign(skb, p, flow->worker % EX_WORKERS_MAX, which);
}

/* What the far end says on a flow of the proxy. */
INLINE enum ex_reason hand_back(struct __sk_buff *skb, void *flows, struct pkt *p)
{
	struct ex_flow_key key;

	if (proto_is_icmp(p->proto) && icmp_is_error(p))
		return error_related(skb, p);
	p->part = EX_PART_UPSTREAM;
	key = flow_key(p);
	if (!(p->tcp_flags & TCP_RST) && !flow_find(flows, p, &key))
		return EX_R_GATEWAY;
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return EX_R_GATEWAY;
	return steer_connected(skb, p) ? EX_R_ALLOWED : EX_R_NO_FLOW;
}

INLINE enum ex_reason hand(struct __sk_buff *skb, struct pkt *p)
{
	const struct ex_endpoint *ep = find_endpoint(p);
	enum ex_reason reason;
	__be16 proto = 0;
	void *flows;
	__u8 number;

	if (!ep)
		return EX_R_NO_ENDPOINT;
	p->slot = ep->slot;
	if (!ep->policy || !(ep->flags & EX_EP_GATEWAY))
		return EX_R_NO_ENDPOINT;
	p->generation = ep->generation;
	p->flags = ep->flags & ~EX_EP_SHARED; /* of this interface the workload is outside */
	flows = find_flows(p);
	if (!flows || skb->vlan_present)
		return EX_R_GATEWAY;
	if (!READ(skb, offsetof(struct ethhdr, h_proto), proto))
		return EX_R_MALFORMED;
	reason = parse(skb, p, bpf_ntohs(proto));
	if (reason != EX_R_ALLOWED)
		return reason;
	if (p->fragment)
		return EX_R_FRAGMENT;
	number = address_own(&p->src, p->is6, ep);
	p->outbound = number;
	if (!number)
		number = address_own(&p->dst, p->is6, ep);
	if (!number)
		return EX_R_GATEWAY;
	p->own = number - 1;
	return p->outbound ? hand_to_listener(skb, flows, p) : hand_back(skb, flows, p);
}

/*
 * Ingress of the gateway namespace's end, which has the ifindex of the endpoint. What gets here was
 * counted when it was judged, so what passes is not counted again.
 */
SEC("tc")
int hand_over(struct __sk_buff *skb)
{
	enum ex_reason reason;
	struct pkt p;

	gateway_pkt(skb, &p, skb->ifindex);
	reason = hand(skb, &p);
	if (reason != EX_R_ALLOWED)
		return gateway_deny(skb, &p, reason);
	return TC_ACT_OK;
}

#endif
