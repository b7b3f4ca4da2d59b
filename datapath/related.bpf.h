/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets that carry no ports of their own but belong to a flow: later fragments of a datagram, and
 * ICMP errors.
 */
#ifndef EXEAT_DATAPATH_RELATED_H
#define EXEAT_DATAPATH_RELATED_H

#include "flow.bpf.h"

/* ---- fragments: the first one opens the way for the others ---- */

INLINE struct ex_flow_key fragment_key(const struct pkt *p)
{
	return (struct ex_flow_key){
		.remote = pkt_remote(p)->ip,
		.local_port = p->frag_id >> 16,
		.remote_port = p->frag_id,
		.proto = p->proto,
		.own = p->own,
		.part = p->outbound ? EX_PART_OUT
			: p->answer ? EX_PART_ANSWER
				    : EX_PART_IN,
	};
}

SUBPROG enum ex_reason fragment_later(struct pkt *p)
{
	const struct ex_flow_state *first;
	struct ex_flow_key key;
	void *flows;

	if (!p)
		return EX_R_INTERNAL;
	flows = find_flows(p);
	if (!flows)
		return EX_R_FRAGMENT;
	key = fragment_key(p);
	first = flow_find(flows, p, &key);
	if (!first || first->generation != p->generation)
		return EX_R_FRAGMENT;
	p->rule.rule = first->rule;
	p->rule.counter = first->counter;
	return EX_R_ALLOWED;
}

/* ---- ICMP errors: about a packet of a live flow, from or to the flow's own ends ---- */

struct quoted {
	union addr src, dst;
	struct ports ports; /* ICMP: type and code, checksum */
	__be16 id;          /* ICMP: identifier */
	__u8 proto;
};

INLINE bool quoted_read(struct __sk_buff *skb, const struct pkt *p, struct quoted *q)
{
	__u32 at = p->l4 + 8, l4;
	struct {
		struct ports ports;
		__be16 id, seq;
	} head;

	if (p->is6) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 6)
			return false;
		__builtin_memcpy(&q->src, &ip.saddr, sizeof(q->src));
		__builtin_memcpy(&q->dst, &ip.daddr, sizeof(q->dst));
		q->proto = ip.nexthdr;
		l4 = at + sizeof(ip);
	} else {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 4 ||
		    ip.ihl != 5 || (ip.frag_off & bpf_htons(IP_OFFSET)))
			return false;
		addr_set4(&q->src, ip.saddr);
		addr_set4(&q->dst, ip.daddr);
		q->proto = ip.protocol;
		l4 = at + sizeof(ip);
	}
	if (l4 + sizeof(head) > p->end || bpf_skb_load_bytes(skb, l4, &head, sizeof(head)))
		return false;
	q->ports = head.ports;
	q->id = head.id;
	return true;
}

/*
 * The flow that an error speaks of. The workload may report to the far end of a flow that passes
 * (never of a steered one: its far end has not seen the workload), the proxy to that of its own
 * flow; to the workload anybody on the way may. Behind a gateway namespace, what comes from outside
 * is about a flow that passes, or about one of the proxy (and sets p->part).
 */
INLINE const struct ex_flow_state *related_flow(void *flows, struct pkt *p, struct ex_flow_key *key)
{
	bool steered = p->answer || !(p->flags & EX_EP_GATEWAY);
	const struct ex_flow_state *flow;

	key->part = p->part;
	flow = flow_find(flows, p, key);
	if (p->part == EX_PART_UPSTREAM)
		return flow;
	if (p->outbound)
		return flow && flow->verdict == EX_V_ALLOW ? flow : NULL;
	if (flow && (flow->verdict == EX_V_ALLOW ? !p->answer : steered))
		return flow;
	if (steered)
		return NULL;
	key->part = EX_PART_UPSTREAM;
	flow = flow_find(flows, p, key);
	if (flow)
		p->part = EX_PART_UPSTREAM;
	return flow;
}

/* EX_R_ALLOWED when the error speaks of a flow. */
SUBPROG enum ex_reason error_related(struct __sk_buff *skb, struct pkt *p)
{
	const struct ex_flow_state *flow;
	struct ex_flow_key key = {};
	struct quoted q;
	void *flows;

	if (!p)
		return EX_R_INTERNAL;
	flows = find_flows(p);
	if (!flows || !quoted_read(skb, p, &q))
		return EX_R_NO_FLOW;
	if (!addr_eq(p->outbound ? &q.dst : &q.src, p->outbound ? &p->src.ip : &p->dst.ip))
		return EX_R_NO_FLOW;
	if (p->outbound && !addr_eq(&q.src, &p->dst.ip))
		return EX_R_NO_FLOW;
	key.remote = p->outbound ? q.src.ip : q.dst.ip;
	key.proto = q.proto;
	key.own = p->own;
	if (proto_is_icmp(q.proto)) {
		key.local_port =
			q.id; /* about a question of the workload: nobody minds an answer */
	} else if (q.proto == IPPROTO_TCP || q.proto == IPPROTO_UDP || q.proto == IPPROTO_SCTP) {
		key.local_port = p->outbound ? q.ports.dst : q.ports.src;
		key.remote_port = p->outbound ? q.ports.src : q.ports.dst;
	}
	flow = related_flow(flows, p, &key);
	if (!flow || flow->generation != p->generation)
		return EX_R_NO_FLOW;
	p->rule.rule = flow->rule;
	p->rule.counter = flow->counter;
	mac_copy(p->mac, flow->mac);
	return EX_R_ALLOWED;
}

#endif
