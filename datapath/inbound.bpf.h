/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet to the workload: of a flow it opened, of one that the far end opened or opens now, or,
 * in the workload's name, to the proxy.
 */
#ifndef EXEAT_DATAPATH_INBOUND_H
#define EXEAT_DATAPATH_INBOUND_H

#include "outbound.bpf.h"

/*
 * The flow of the packet. Behind a gateway namespace only the proxy answers on a steered flow, and
 * what is of no other flow of the workload may be of one of the proxy.
 */
INLINE struct ex_flow_state *inbound_find(void *flows, struct pkt *p, struct ex_flow_key *key)
{
	struct ex_flow_state *flow = flow_find(flows, p, key);

	if (!(p->flags & EX_EP_GATEWAY))
		return p->answer ? NULL : flow;
	if (flow && (flow->verdict == EX_V_STEER) == p->answer)
		return flow;
	if (p->answer)
		return NULL;
	p->taken = flow != NULL;
	key->part = EX_PART_UPSTREAM;
	flow = flow_find(flows, p, key);
	if (flow)
		p->part = EX_PART_UPSTREAM;
	else
		key->part = EX_PART_FLOW;
	return flow;
}

/* The far end opens a flow: judged by the policy of the workload's ingress. */
INLINE enum ex_reason inbound_open(struct pkt *p)
{
	if (!p->ingress)
		return EX_R_NO_FLOW;
	if (p->taken)
		return EX_R_FLOW_COLLISION;
	p->inward = true;
	policy_turn(p);
	policy_judge(p, p->key_port);
	if (p->rule.verdict == EX_V_ALLOW)
		return EX_R_ALLOWED;
	return p->rule.verdict == EX_V_STEER ? EX_R_UNSUPPORTED : p->rule.reason;
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
	flow = inbound_find(flows, p, &key);
	if (!p->part && !p->answer && packet_opens(p, flow)) {
		reason = inbound_open(p);
		if (reason != EX_R_ALLOWED)
			return reason;
		if (p->proto == IPPROTO_TCP)
			flow = NULL; /* what had the tuple before is over */
		return remember(p, flow);
	}
	if (!flow || !flow_admits(flow, p))
		return EX_R_NO_FLOW;
	if (p->part && p->fragment)
		return EX_R_FRAGMENT;
	reason = flow_rejudge(p, flow);
	return reason == EX_R_ALLOWED ? remember(p, flow) : reason;
}

#endif
