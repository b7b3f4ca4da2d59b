/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows: one entry for both directions. A flow begins with a packet of the workload that the policy
 * allows, and only a packet of a flow gets back to the workload.
 */
#ifndef EXEAT_DATAPATH_FLOW_H
#define EXEAT_DATAPATH_FLOW_H

#include "policy.bpf.h"
#include "parse.bpf.h"

#define FIN_BOTH (EX_FLOW_FIN_LOCAL | EX_FLOW_FIN_REMOTE)

/* The port that rules of this flow are keyed by, seen from the workload. */
INLINE __u16 flow_rule_port(const struct pkt *p)
{
	if (p->outbound)
		return p->key_port;
	if (proto_is_icmp(p->proto))
		return (p->is6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO) << 8;
	return bpf_ntohs(p->sport);
}

INLINE struct ex_flow_key flow_key(const struct pkt *p)
{
	struct ex_flow_key key __attribute__((aligned(8))) = { .proto = p->proto };

	addr_copy(&key.remote, pkt_remote(p));
	if (proto_is_icmp(p->proto)) {
		key.local_port = p->sport; /* identifier; dport is 0 */
	} else {
		key.local_port = p->outbound ? p->sport : p->dport;
		key.remote_port = p->outbound ? p->dport : p->sport;
	}
	return key;
}

/* The flow of the packet, or NULL when there is none or its time is over. */
INLINE struct ex_flow_state *flow_find(void *flows, const struct pkt *p,
				       const struct ex_flow_key *key)
{
	struct ex_flow_state *flow = bpf_map_lookup_elem(flows, key);

	/* Signed: another CPU may have seen the flow at a later tick than this packet began with.
	 */
	if (!flow || (__s64)(p->now - flow->seen) > (__s64)ex_flow_timeout(key->proto, flow->phase))
		return NULL;
	return flow;
}

/* May this segment of the workload be part of the flow as it stands? */
INLINE bool tcp_may_leave(const struct ex_flow_state *flow, __u8 flags)
{
	switch (flow->phase) {
	case EX_FLOW_OPENING: /* nothing was answered: there is nothing to acknowledge */
		return !(flags & TCP_ACK);
	case EX_FLOW_ANSWERED:
	case EX_FLOW_LIVE:
	case EX_FLOW_CLOSING:
	case EX_FLOW_CLOSED:
		return (flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK);
	}
	return false;
}

INLINE bool tcp_may_enter(const struct ex_flow_state *flow, __u8 flags)
{
	switch (flow->phase) {
	case EX_FLOW_OPENING:
	case EX_FLOW_ANSWERED:
		return (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) || (flags & TCP_RST) ||
		       (flow->phase == EX_FLOW_ANSWERED && (flags & TCP_ACK));
	case EX_FLOW_LIVE:
	case EX_FLOW_CLOSING:
	case EX_FLOW_CLOSED:
		return (flags & (TCP_SYN | TCP_ACK)) != TCP_SYN;
	}
	return false;
}

/* True when this packet closes the flow. */
INLINE bool tcp_advance(struct ex_flow_state *flow, const struct pkt *p)
{
	__u8 flags = p->tcp_flags & TCP_CONTROL;

	if (flow->phase == EX_FLOW_CLOSED)
		return false;
	if (flags & TCP_RST) {
		flow->phase = EX_FLOW_CLOSED;
		return true;
	}
	if (!p->outbound && flow->phase == EX_FLOW_OPENING)
		flow->phase = EX_FLOW_ANSWERED;
	else if (p->outbound && flow->phase == EX_FLOW_ANSWERED && !(flags & TCP_SYN))
		flow->phase = EX_FLOW_LIVE;
	if (flags & TCP_FIN) {
		flow->flags |= p->outbound ? EX_FLOW_FIN_LOCAL : EX_FLOW_FIN_REMOTE;
		flow->phase =
			(flow->flags & FIN_BOTH) == FIN_BOTH ? EX_FLOW_CLOSED : EX_FLOW_CLOSING;
	}
	return flow->phase == EX_FLOW_CLOSED;
}

/* Books the packet; true when it closes the flow. */
INLINE bool flow_touch(struct ex_flow_state *flow, const struct pkt *p)
{
	flow->seen = p->now;
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, p->len);
	if (p->proto == IPPROTO_TCP)
		return tcp_advance(flow, p);
	if (!p->outbound)
		flow->phase = EX_FLOW_LIVE;
	return false;
}

INLINE bool flow_create(void *flows, const struct pkt *p, const struct ex_flow_key *key)
{
	struct ex_flow_state flow = {
		.seen = p->now,
		.packets = 1,
		.bytes = p->len,
		.generation = p->generation,
		.rule = p->rule.rule,
		.counter = p->rule.counter,
		.phase = EX_FLOW_OPENING,
		.verdict = p->rule.verdict,
		.kind = p->rule.kind,
		.worker = p->worker,
	};

	return bpf_map_update_elem(flows, key, &flow, BPF_ANY) == 0;
}

/* Does this packet open a flow, rather than continue one? */
INLINE bool packet_opens(const struct pkt *p, const struct ex_flow_state *flow)
{
	if (proto_is_icmp(p->proto)) /* type and code are judged each time: no flow covers them */
		return true;
	if (p->proto != IPPROTO_TCP)
		return !flow;
	if ((p->tcp_flags & TCP_CONTROL) != TCP_SYN)
		return false;
	return !flow || flow->phase >= EX_FLOW_CLOSING;
}

/*
 * The policy is asked again when the endpoint's generation has moved. A live flow keeps its
 * carrier: one that passed cannot become one that is steered, nor the other way round.
 */
INLINE enum ex_reason flow_rejudge(void *flows, struct pkt *p, const struct ex_flow_key *key,
				   struct ex_flow_state *flow)
{
	p->rule.verdict = flow->verdict;
	p->rule.kind = flow->kind;
	p->rule.reason = EX_R_ALLOWED;
	p->rule.rule = flow->rule;
	p->rule.counter = flow->counter;
	p->worker = flow->worker;
	if (flow->generation == p->generation)
		return EX_R_ALLOWED;
	policy_judge(p, flow_rule_port(p));
	if (p->rule.verdict != flow->verdict || p->rule.kind != flow->kind) {
		bpf_map_delete_elem(flows, key);
		p->revoked = true;
		return EX_R_POLICY_CHANGED;
	}
	flow->rule = p->rule.rule;
	flow->counter = p->rule.counter;
	flow->generation = p->generation;
	return EX_R_ALLOWED;
}

#endif
