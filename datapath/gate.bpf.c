/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel gate: two TC programs on the host end of a workload's veth. What the workload sends
 * comes in at the ingress hook; what is sent to it goes out through the egress hook.
 *
 * A packet of the workload is judged in this order, and the first "no" is the reason:
 *
 *   1. the interface has an endpoint with a policy
 *   2. link layer: no VLAN tag, the workload's own MAC, to the next hop
 *   3. ARP and neighbour discovery with the next hop: done here
 *   4. IPv4 or IPv6 and its transport header parse to the last bit
 *   5. the source is the workload's own address
 *   6. the destination may be on the wire
 *   7. a live flow: judged when it began, and again when the policy has changed
 *   8. else the policy: CIDR deny, then allow, then steer, then default deny
 *   9. steered (or carried by the proxy): the socket is there
 *  10. the flow is remembered
 *
 * Towards the workload only members of its flows pass. All state is in maps; with all of user space
 * dead the gate judges on.
 */
#include "neigh.bpf.h"
#include "related.bpf.h"
#include "steer.bpf.h"
#include "verdict.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* struct ethhdr, in words that need no byte to be picked out */
struct link {
	__be16 dest[3], source[3];
	__be16 proto;
};

/* Step 2. Sets *ethertype. */
INLINE enum ex_reason check_link(struct __sk_buff *skb, struct pkt *p, const struct ex_endpoint *ep,
				 __u16 *ethertype)
{
	struct link link;

	if (skb->vlan_present)
		return EX_R_VLAN;
	if (!READ(skb, 0, link))
		return EX_R_MALFORMED;
	*ethertype = bpf_ntohs(link.proto);
	if (*ethertype == ETH_P_8021Q || *ethertype == ETH_P_8021AD || *ethertype == ETH_P_QINQ1)
		return EX_R_VLAN;
	p->group = link.dest[0] & bpf_htons(0x0100);
	if (!p->outbound)
		return EX_R_ALLOWED;
	if (!mac_eq(link.source, ep->mac))
		return EX_R_SOURCE_MAC;
	return p->group || mac_eq(link.dest, ep->gw_mac) ? EX_R_ALLOWED : EX_R_NEIGHBOUR;
}

/* Steps 5 and 6. */
INLINE enum ex_reason check_addresses(struct pkt *p, const struct ex_endpoint *ep)
{
	const union addr *own = p->outbound ? &p->src : &p->dst;

	if (!addr_eq(own, p->is6 ? &ep->ip6 : &ep->ip4))
		return p->outbound ? EX_R_SOURCE_ADDRESS : EX_R_NO_FLOW;
	/* only ARP and solicitations have any business at a group address */
	if (p->group || !address_judge(p) || addr_eq(pkt_remote(p), &own->ip))
		return EX_R_MARTIAN;
	p->may_refuse = true;
	return EX_R_ALLOWED;
}

INLINE void book(struct ex_flow_state *flow, struct pkt *p)
{
	if (flow_touch(flow, p))
		event_send(p, EX_EV_END, EX_R_ALLOWED, flow->packets, flow->bytes);
}

/* Step 10. */
INLINE enum ex_reason remember(void *flows, struct pkt *p, const struct ex_flow_key *key,
			       struct ex_flow_state *flow)
{
	enum ex_reason reason;

	if (p->fragment) {
		reason = fragment_first(p);
		if (reason != EX_R_ALLOWED)
			return reason;
	}
	if (proto_is_icmp(p->proto) && !icmp_is_query(p))
		return EX_R_ALLOWED; /* nothing answers it */
	if (flow) {
		book(flow, p);
		return EX_R_ALLOWED;
	}
	if (!flow_create(flows, p, key))
		return EX_R_TABLE_FULL;
	event_send(p, EX_EV_NEW, EX_R_ALLOWED, 0, 0);
	return EX_R_ALLOWED;
}

/* Steps 7 to 10 for a packet of the workload. */
INLINE enum ex_reason judge_outbound(struct __sk_buff *skb, void *flows, struct pkt *p)
{
	struct ex_flow_key key = flow_key(p);
	struct ex_flow_state *flow;
	enum ex_reason reason;
	bool opens;

	if (p->fragment == FRAGMENT_LATER)
		return fragment_later(p);
	if (proto_is_icmp(p->proto) && icmp_is_error(p) && error_related(skb, p) == EX_R_ALLOWED)
		return EX_R_ALLOWED;
	flow = flow_find(flows, p, &key);
	opens = packet_opens(p, flow);
	if (opens) {
		policy_judge(p, p->key_port);
	} else {
		if (!flow || (p->proto == IPPROTO_TCP && !tcp_may_leave(flow, p->tcp_flags)))
			return EX_R_NO_FLOW;
		reason = flow_rejudge(flows, p, &key, flow);
		if (reason != EX_R_ALLOWED)
			return reason;
	}
	if (p->rule.verdict == EX_V_STEER) {
		if (p->fragment) /* the socket would be lost when the stack puts it together */
			return EX_R_FRAGMENT;
		reason = steer(skb, p, opens);
		if (reason != EX_R_ALLOWED)
			return reason;
		if (flow)
			flow->worker = p->worker;
	} else if (p->rule.verdict != EX_V_ALLOW) {
		return p->rule.reason;
	}
	if (opens && p->proto == IPPROTO_TCP)
		flow = NULL; /* what had the tuple before is over */
	return remember(flows, p, &key, flow);
}

INLINE enum ex_reason judge_inbound(struct __sk_buff *skb, void *flows, struct pkt *p)
{
	struct ex_flow_key key = flow_key(p);
	struct ex_flow_state *flow;
	enum ex_reason reason;

	if (p->fragment == FRAGMENT_LATER)
		return fragment_later(p);
	if (proto_is_icmp(p->proto) && icmp_is_error(p))
		return error_related(skb, p);
	flow = flow_find(flows, p, &key);
	if (!flow || (proto_is_icmp(p->proto) && !icmp_is_reply(p)))
		return EX_R_NO_FLOW;
	if (p->proto == IPPROTO_TCP && !tcp_may_enter(flow, p->tcp_flags))
		return EX_R_NO_FLOW;
	reason = flow_rejudge(flows, p, &key, flow);
	if (reason == EX_R_ALLOWED && p->fragment)
		reason = fragment_first(p);
	if (reason == EX_R_ALLOWED)
		book(flow, p);
	return reason;
}

INLINE enum ex_reason judge(struct __sk_buff *skb, struct pkt *p)
{
	const struct ex_endpoint *ep = find_endpoint(p);
	enum ex_reason reason;
	__u16 ethertype = 0;
	void *flows;

	if (!ep || !ep->policy)
		return EX_R_NO_ENDPOINT;
	p->slot = ep->slot;
	flows = find_flows(p);
	if (!flows)
		return EX_R_NO_ENDPOINT;
	p->policy = ep->policy;
	p->generation = ep->generation;
	p->flags = ep->flags;
	p->workers = ep->workers;
	reason = check_link(skb, p, ep, &ethertype);
	if (reason != EX_R_ALLOWED)
		return reason;
	if (ethertype == ETH_P_ARP)
		return neigh_arp(skb, p);
	reason = parse(skb, p, ethertype);
	if (reason != EX_R_ALLOWED)
		return reason;
	if (nd_is(p))
		return neigh_nd(skb, p);
	reason = check_addresses(p, ep);
	if (reason != EX_R_ALLOWED)
		return reason;
	return p->outbound ? judge_outbound(skb, flows, p) : judge_inbound(skb, flows, p);
}

INLINE int gate(struct __sk_buff *skb, bool outbound)
{
	struct pkt p;

	if (refuse_is_own(skb))
		return TC_ACT_OK;
	__builtin_memset(&p, 0, sizeof(p)); /* padding too: the subprograms read all of it */
	p.now = bpf_ktime_get_coarse_ns();
	p.ifindex = skb->ifindex;
	p.len = skb->len;
	p.outbound = outbound;
	return verdict_exit(skb, &p, judge(skb, &p));
}

SEC("tc")
int from_workload(struct __sk_buff *skb)
{
	return gate(skb, true);
}

SEC("tc")
int to_workload(struct __sk_buff *skb)
{
	return gate(skb, false);
}
