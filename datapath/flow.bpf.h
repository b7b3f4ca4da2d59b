/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows: one entry for both directions. A flow begins with a packet that the policy of its
 * direction allows, and only packets of flows pass the other way.
 *
 * An entry belongs to its key until its time has been over for EX_FLOW_GRACE. The kernel gives what
 * is taken out of a table to another key at once, while packets still read it and write to it: so
 * programs take out nothing younger, and replace nothing. A flow that has to end is made none.
 */
#ifndef EXEAT_DATAPATH_FLOW_H
#define EXEAT_DATAPATH_FLOW_H

#include "policy.bpf.h"
#include "parse.bpf.h"

#define FIN_BOTH (EX_FLOW_FIN_LOCAL | EX_FLOW_FIN_REMOTE)

/* Is the packet of the side that opened the flow? */
INLINE bool from_opener(const struct pkt *p)
{
	return p->outbound != p->inward;
}

/* The port that rules of this flow are keyed by: the one that was opened. */
INLINE __u16 flow_rule_port(const struct pkt *p)
{
	if (from_opener(p))
		return p->key_port;
	if (proto_is_icmp(p->proto))
		return (p->is6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO) << 8;
	return bpf_ntohs(p->sport);
}

INLINE struct ex_flow_key flow_key(const struct pkt *p)
{
	struct ex_flow_key key
		__attribute__((aligned(8))) = { .proto = p->proto, .part = p->part, .own = p->own };

	addr_copy(&key.remote, pkt_remote(p));
	if (proto_is_icmp(p->proto)) {
		key.local_port = p->sport; /* identifier; dport is 0 */
		key.remote_port = icmp_is_reply(p) == p->outbound ? bpf_htons(1) : 0;
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
	if (!flow || flow->phase == EX_FLOW_NONE ||
	    (__s64)(p->now - flow->seen) > (__s64)ex_flow_time(key, flow->phase))
		return NULL;
	return flow;
}

/*
 * Whoever writes to it on another CPU may undo this, but not that it is judged again. Its time is
 * over from now on, not since the last packet.
 */
INLINE void flow_end(struct ex_flow_state *flow, const struct pkt *p)
{
	flow->seen = p->now;
	barrier(); /* before it is none: sweeps go by both */
	flow->generation = 0;
	flow->phase = EX_FLOW_NONE;
}

/* The entry of the key, whatever was there. The generation says that all the rest is written. */
INLINE bool flow_put(void *flows, const struct ex_flow_key *key, struct ex_flow_state *flow)
{
	__u32 generation = flow->generation;
	struct ex_flow_state *at;

	if (bpf_map_update_elem(flows, key, flow, BPF_NOEXIST) == 0)
		return true;
	at = bpf_map_lookup_elem(flows, key);
	if (!at)
		return false;
	flow->generation = 0;
	__sync_lock_test_and_set(&at->generation, 0);
	*at = *flow;
	/* A sweep may have taken out what was over. Whoever has it now is judged again. */
	at = bpf_map_lookup_elem(flows, key);
	if (!at)
		return false;
	if (__sync_lock_test_and_set(&at->generation, generation))
		at->generation = 0; /* somebody else has written to it, too: the same */
	return true;
}

/* May this segment of the side that opened be part of the flow as it stands? */
INLINE bool tcp_opener_may(const struct ex_flow_state *flow, __u8 flags)
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

INLINE bool tcp_other_may(const struct ex_flow_state *flow, __u8 flags)
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

/* May the packet be part of the flow? Sets p->inward. */
INLINE bool flow_admits(const struct ex_flow_state *flow, struct pkt *p)
{
	p->inward = flow->flags & EX_FLOW_INBOUND;
	if (p->proto != IPPROTO_TCP)
		return true;
	return from_opener(p) ? tcp_opener_may(flow, p->tcp_flags)
			      : tcp_other_may(flow, p->tcp_flags);
}

/* True when this packet closes the flow. */
INLINE bool tcp_advance(struct ex_flow_state *flow, const struct pkt *p)
{
	__u8 flags = p->tcp_flags & TCP_CONTROL;

	if (flow->phase == EX_FLOW_CLOSED)
		return false;
	if (flags & TCP_RST) { /* of one that nobody answered nothing is left to be acknowledged */
		flow->phase = from_opener(p) && flow->phase == EX_FLOW_OPENING ? EX_FLOW_NONE
									       : EX_FLOW_CLOSED;
		return true;
	}
	if (!from_opener(p) && flow->phase == EX_FLOW_OPENING)
		flow->phase = EX_FLOW_ANSWERED;
	else if (from_opener(p) && flow->phase == EX_FLOW_ANSWERED && !(flags & TCP_SYN))
		flow->phase = EX_FLOW_LIVE;
	if (flags & TCP_FIN) {
		flow->flags |= p->outbound ? EX_FLOW_FIN_LOCAL : EX_FLOW_FIN_REMOTE;
		flow->phase =
			(flow->flags & FIN_BOTH) == FIN_BOTH ? EX_FLOW_CLOSED : EX_FLOW_CLOSING;
	}
	return flow->phase == EX_FLOW_CLOSED;
}

/*
 * Books the packet; true when it closes the flow. Plain additions: packets of one direction come
 * one after the other, but for datagrams that several threads send at once, where one may go
 * uncounted.
 */
INLINE bool flow_touch(struct ex_flow_state *flow, const struct pkt *p)
{
	struct ex_count *count = p->outbound ? &flow->sent : &flow->received;

	flow->seen = p->now;
	count->packets++;
	count->bytes += p->len;
	if (p->proto == IPPROTO_TCP)
		return tcp_advance(flow, p);
	if (!from_opener(p))
		flow->phase = EX_FLOW_LIVE;
	return false;
}

/* Is it the far end that makes room needed for this? */
INLINE bool from_outside(const struct pkt *p, const struct ex_flow_key *key)
{
	return p->inward || key->part == EX_PART_IN;
}

INLINE bool flow_create(void *flows, const struct pkt *p, const struct ex_flow_key *key)
{
	struct ex_flow_state flow = {
		.seen = p->now,
		.generation = p->generation,
		.rule = p->rule.rule,
		.counter = p->rule.counter,
		.phase = EX_FLOW_OPENING,
		.verdict = p->rule.verdict,
		.kind = p->rule.kind,
		.worker = p->worker,
		.reason = p->rule.reason,
		.flags = from_outside(p, key) ? EX_FLOW_INBOUND : 0,
	};

	if (p->outbound)
		flow.sent = (struct ex_count){ 1, p->len };
	else
		flow.received = (struct ex_count){ 1, p->len };
	mac_copy(flow.mac, p->mac);
	return flow_put(flows, key, &flow);
}

/* Does this packet open a flow, rather than continue one? */
INLINE bool packet_opens(const struct pkt *p, const struct ex_flow_state *flow)
{
	if (proto_is_icmp(p->proto) && !icmp_is_query(p)) /* no flow covers type and code */
		return !icmp_is_reply(p) || (p->outbound && !flow);
	if (p->proto != IPPROTO_TCP)
		return !flow;
	if ((p->tcp_flags & TCP_CONTROL) != TCP_SYN)
		return false;
	return !flow || flow->phase >= EX_FLOW_CLOSING;
}

/* Does a flow with the verdict in p->rule stay what it was? The proxy's own only has to be allowed.
 */
INLINE bool flow_keeps(const struct pkt *p, const struct ex_flow_state *flow)
{
	if (p->part == EX_PART_UPSTREAM)
		return p->rule.verdict == EX_V_ALLOW || p->rule.verdict == EX_V_STEER;
	return p->rule.verdict == flow->verdict && p->rule.kind == flow->kind;
}

/*
 * The policy is asked again when the endpoint's generation has moved. A live flow keeps its
 * carrier: one that passed cannot become one that is steered, nor the other way round.
 */
INLINE enum ex_reason flow_rejudge(struct pkt *p, struct ex_flow_state *flow)
{
	/* first: see flow_put() */
	__u32 generation = *(volatile __u32 *)&flow->generation;

	p->rule.verdict = flow->verdict;
	p->rule.kind = flow->kind;
	p->rule.reason = EX_R_ALLOWED;
	p->rule.rule = flow->rule;
	p->rule.counter = flow->counter;
	p->worker = flow->worker;
	p->proxied = flow->verdict == EX_V_STEER && (p->flags & EX_EP_GATEWAY);
	mac_copy(p->mac, flow->mac);
	if (p->inward)
		policy_turn(p);
	if (generation == p->generation)
		return EX_R_ALLOWED;
	policy_judge(p, flow_rule_port(p));
	if (!flow_keeps(p, flow)) {
		flow_end(flow, p);
		p->revoked = true;
		return EX_R_POLICY_CHANGED;
	}
	p->audited = p->rule.reason != EX_R_ALLOWED &&
		     (p->rule.reason != flow->reason || p->rule.rule != flow->rule);
	flow->rule = p->rule.rule;
	flow->counter = p->rule.counter;
	flow->reason = p->rule.reason;
	flow->generation = p->generation;
	return EX_R_ALLOWED;
}

#endif
