/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel gate: two TC programs on the host end of a workload's veth. What the workload sends
 * comes in at the ingress hook; what is sent to it goes out through the egress hook.
 *
 * A packet of the workload is judged in this order, and the first "no" is the reason:
 *
 *   1. the interface has an endpoint with a policy whose time is not over
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
 * Towards the workload only members of its flows pass, and what opens a flow that the policy of its
 * ingress allows. All state is in maps; with all of user space dead the gate judges on.
 *
 * Where the proxy's sockets are behind a gateway namespace, see gateway.bpf.h.
 */
#include "neigh.bpf.h"
#include "outbound.bpf.h"
#include "inbound.bpf.h"

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
	if (p->group || (p->flags & EX_EP_BRIDGED) || mac_eq(link.dest, ep->gw_mac))
		return EX_R_ALLOWED;
	return EX_R_NEIGHBOUR;
}

/* Steps 5 and 6. */
INLINE enum ex_reason check_addresses(struct pkt *p, const struct ex_endpoint *ep)
{
	const union addr *own = p->outbound ? &p->src : &p->dst;
	__u8 number = address_own(own, p->is6, ep);

	if (!number)
		return p->outbound ? EX_R_SOURCE_ADDRESS : EX_R_NO_FLOW;
	p->own = number - 1;
	/* only ARP and solicitations have any business at a group address */
	if (p->group || !address_judge(p) || addr_eq(pkt_remote(p), &own->ip))
		return EX_R_MARTIAN;
	p->may_refuse = true;
	return EX_R_ALLOWED;
}

INLINE enum ex_reason judge(struct __sk_buff *skb, struct pkt *p)
{
	const struct ex_endpoint *ep = find_endpoint(p);
	enum ex_reason reason;
	__u16 ethertype = 0;
	void *flows;

	if (!ep)
		return EX_R_NO_ENDPOINT;
	p->slot = ep->slot;
	p->generation = ep->generation;
	if (!ep->policy || p->now >= ep->until)
		return EX_R_NO_ENDPOINT;
	flows = find_flows(p);
	if (!flows)
		return EX_R_NO_ENDPOINT;
	p->policy = ep->policy;
	p->dests = ep->dests;
	p->flags = ep->flags;
	p->workers = ep->workers;
	p->ingress = ep->ingress;
	p->ingress_dests = ep->ingress_dests;
	p->gateway = ep->gateway;
	reason = check_link(skb, p, ep, &ethertype);
	if (reason != EX_R_ALLOWED)
		return reason;
	if (ethertype == ETH_P_ARP)
		return neigh_arp(skb, p);
	reason = parse(skb, p, ethertype);
	if (reason != EX_R_ALLOWED)
		return reason;
	if (nd_is(p))
		return p->part || p->answer ? EX_R_GATEWAY : neigh_nd(skb, p);
	reason = check_addresses(p, ep);
	if (reason != EX_R_ALLOWED)
		return reason;
	return p->outbound ? judge_outbound(skb, flows, p) : judge_inbound(skb, flows, p);
}

/*
 * What the workload sends up the host's stack bears this, where what does not is dropped behind the
 * hook (agent/gate/stamp.c); 0: nobody looks. A veth takes a stamp off, so a workload has none.
 */
const volatile __u32 stamp = 0;

INLINE int go_on(struct __sk_buff *skb, bool outbound)
{
	if (stamp && outbound)
		skb->priority = stamp;
	return TC_ACT_OK;
}

INLINE int gate(struct __sk_buff *skb, bool outbound)
{
	bool gateway = false;
	struct pkt p;
	int act;

	if (skb->mark) {
		__u32 mark = mark_take(skb, outbound);

		if (mark && mark == refuse_mark)
			return go_on(skb, outbound);
		gateway = mark;
	}
	gateway_pkt(skb, &p, skb->ifindex);
	p.outbound = outbound;
	p.answer = gateway && !outbound;
	p.part = gateway && outbound ? EX_PART_UPSTREAM : EX_PART_FLOW;
	act = verdict_exit(skb, &p, judge(skb, &p));
	return act == TC_ACT_OK ? go_on(skb, outbound) : act;
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
