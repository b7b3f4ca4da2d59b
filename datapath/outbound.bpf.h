/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Steps 7 to 10 for a packet of the workload, or of the proxy in the workload's name. */
#ifndef EXEAT_DATAPATH_OUTBOUND_H
#define EXEAT_DATAPATH_OUTBOUND_H

#include "gateway.bpf.h"
#include "sweep.bpf.h"

INLINE void book(struct ex_flow_state *flow, struct pkt *p)
{
	if (flow_touch(flow, p))
		event_send(p, EX_EV_END, flow->reason, flow->sent.packets + flow->received.packets,
			   flow->sent.bytes + flow->received.bytes);
	if (p->audited)
		event_send(p, EX_EV_AUDIT, p->rule.reason, 0, 0);
}

/* Step 10. */
INLINE enum ex_reason remember(struct pkt *p, struct ex_flow_state *flow)
{
	if (p->fragment && !flow_add(p, true))
		return EX_R_TABLE_FULL;
	if (flow) {
		book(flow, p);
		return EX_R_ALLOWED;
	}
	if (proto_is_icmp(p->proto) && !icmp_is_query(p)) { /* nothing answers it */
		if (p->rule.reason != EX_R_ALLOWED)
			event_send(p, EX_EV_AUDIT, p->rule.reason, 0, 0);
		return EX_R_ALLOWED;
	}
	if (!flow_add(p, false))
		return EX_R_TABLE_FULL;
	event_send(p, EX_EV_NEW, p->rule.reason, 0, 0);
	return EX_R_ALLOWED;
}

/*
 * A flow that passes and one of the proxy must not have the same tuple: what comes back could
 * belong to either. A steered flow is never seen outside.
 */
SUBPROG int flow_collides(struct pkt *p)
{
	struct ex_flow_state *other;
	struct ex_flow_key key;
	void *flows;

	if (!p)
		return 1;
	flows = find_flows(p);
	if (!flows)
		return 1;
	key = flow_key(p);
	key.part = p->part == EX_PART_FLOW ? EX_PART_UPSTREAM : EX_PART_FLOW;
	other = flow_find(flows, p, &key);
	if (!other || (p->part && other->verdict == EX_V_STEER))
		return 0;
	if (other->phase != EX_FLOW_CLOSED)
		return 1;
	flow_end(other, p);
	return 0;
}

/* ---- which next hop the workload has for an address, for the proxy to use it too ---- */

struct link_place {
	const struct ex_endpoint *ep;
	void *flows;
	struct ex_flow_key key __attribute__((aligned(8)));
};

/* Where it is kept; false when there is nowhere. */
INLINE bool link_find(const struct pkt *p, struct link_place *at)
{
	at->ep = find_endpoint(p);
	at->flows = find_flows(p);
	at->key = (struct ex_flow_key){ .proto = IPPROTO_TCP, .part = EX_PART_LINK };
	addr_copy(&at->key.remote, &p->dst);
	return at->ep && at->flows;
}

/* Neighbours only: everything else is behind the usual next hop. */
SUBPROG int link_learn(struct __sk_buff *skb, struct pkt *p)
{
	struct ex_flow_state link = { .phase = EX_FLOW_LIVE }, *known;
	struct link_place at;

	if (!p || !link_find(p, &at) || bpf_skb_load_bytes(skb, 0, link.mac, sizeof(link.mac)))
		return 0;
	if (mac_eq(link.mac, at.ep->gw_mac)) {
		known = flow_find(at.flows, p, &at.key);
		if (known)
			flow_end(known, p);
		return 0;
	}
	link.seen = p->now;
	flow_put(at.flows, &at.key, &link); /* full: the next hop will do */
	return 0;
}

SUBPROG int link_recall(struct pkt *p)
{
	const struct ex_flow_state *link;
	struct link_place at;

	if (!p || !link_find(p, &at))
		return 0;
	link = flow_find(at.flows, p, &at.key);
	mac_copy(p->mac, link ? link->mac : at.ep->gw_mac);
	return 0;
}

/* Step 9, and what it takes that an answer finds the way back. */
INLINE enum ex_reason prepare(struct __sk_buff *skb, struct pkt *p, struct ex_flow_state *flow,
			      bool opens)
{
	bool gateway = p->flags & EX_EP_GATEWAY;
	enum ex_reason reason;

	if (p->rule.verdict == EX_V_STEER && !p->part) {
		if (p->fragment) /* the socket would be lost when the stack puts it together */
			return EX_R_FRAGMENT;
		reason = steer(skb, p, opens);
		if (reason != EX_R_ALLOWED)
			return reason;
		if (flow)
			flow->worker = p->worker;
		if (opens && gateway && (p->flags & EX_EP_BRIDGED))
			link_learn(skb, p);
		return EX_R_ALLOWED;
	}
	if (p->rule.verdict != EX_V_ALLOW && p->rule.verdict != EX_V_STEER)
		return p->rule.reason;
	if (!opens || !gateway)
		return EX_R_ALLOWED;
	if (flow_collides(p))
		return EX_R_FLOW_COLLISION;
	if (p->part)
		link_recall(p);
	return EX_R_ALLOWED;
}

INLINE enum ex_reason judge_outbound(struct __sk_buff *skb, void *flows, struct pkt *p)
{
	struct ex_flow_key key = flow_key(p);
	struct ex_flow_state *flow;
	enum ex_reason reason;
	bool opens;

	if (p->fragment && p->part)
		return EX_R_FRAGMENT;
	if (p->fragment == FRAGMENT_LATER)
		return fragment_later(p);
	if (proto_is_icmp(p->proto) && icmp_is_error(p) && error_related(skb, p) == EX_R_ALLOWED)
		return EX_R_ALLOWED;
	if (p->part && p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return EX_R_GATEWAY;
	flow = flow_find(flows, p, &key);
	opens = packet_opens(p, flow);
	if (opens) {
		policy_judge(p, p->key_port);
	} else {
		if (!flow || !flow_admits(flow, p))
			return EX_R_NO_FLOW;
		reason = flow_rejudge(p, flow);
		if (reason != EX_R_ALLOWED)
			return reason;
	}
	reason = prepare(skb, p, flow, opens);
	if (reason != EX_R_ALLOWED)
		return reason;
	if (opens && p->proto == IPPROTO_TCP)
		flow = NULL; /* what had the tuple before is over */
	return remember(p, flow);
}

#endif
