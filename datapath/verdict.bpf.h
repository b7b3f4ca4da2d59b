/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one way out: each packet leaves with one reason, counted once. */
#ifndef EXEAT_DATAPATH_VERDICT_H
#define EXEAT_DATAPATH_VERDICT_H

#include "flow.bpf.h"
#include "refuse.bpf.h"

#define EVENT_BURST 1000 /* at once */

#define EVENT_ROOM  (sizeof(struct ex_event) + BPF_RINGBUF_HDR_SZ) /* of one, in the ring */
#define EVENTS_STEP (EVENTS_ROOM / 64)

/* Per CPU, and no program on this CPU interrupts another: plain additions. */
INLINE void count(void *map, __u32 key, __u32 bytes)
{
	struct ex_count *c = bpf_map_lookup_elem(map, &key);

	if (!c)
		return;
	c->packets++;
	c->bytes += bytes;
}

INLINE void event_fill(struct ex_event *ev, const struct pkt *p, enum ex_event_type type,
		       enum ex_reason reason)
{
	/* a flow is told from the end that opened it */
	bool turned = type >= EX_EV_END && !from_opener(p);

	__builtin_memset(ev, 0, sizeof(*ev));
	ev->time = p->now;
	ev->ifindex = p->ifindex;
	ev->rule = p->rule.rule;
	ev->src = turned ? p->dst.ip : p->src.ip;
	ev->dst = turned ? p->src.ip : p->dst.ip;
	ev->proto = p->proto;
	if (proto_is_icmp(p->proto)) {
		ev->dport = bpf_htons(p->key_port);
	} else {
		ev->sport = turned ? p->dport : p->sport;
		ev->dport = turned ? p->sport : p->dport;
	}
	ev->reason = reason;
	ev->verdict = type == EX_EV_DENY ? EX_V_DENY : p->rule.verdict;
	ev->type = type;
	if (p->part == EX_PART_UPSTREAM)
		ev->direction = EX_DIR_UPSTREAM;
	else if (type == EX_EV_DENY ? !p->outbound : p->inward)
		ev->direction = EX_DIR_INGRESS;
	else
		ev->direction = EX_DIR_EGRESS;
}

/*
 * Who reads them lets them lie for a while; not when there are too many. That is said again now and
 * then, not with each: it costs more than the rest of the packet.
 */
INLINE __u64 event_wake(void)
{
	__u64 lying = bpf_ringbuf_query(&ex_events, BPF_RB_AVAIL_DATA);

	return lying < EVENTS_ROOM / 4 || lying % EVENTS_STEP >= EVENT_ROOM ? 0
									    : BPF_RB_FORCE_WAKEUP;
}

/* packets and bytes are of the whole flow, for its end. Returns whether the event was sent. */
SUBPROG int event_send(struct pkt *p, enum ex_event_type type, enum ex_reason reason, __u64 packets,
		       __u64 bytes)
{
	bool verdict = type == EX_EV_DENY || (reason != EX_R_ALLOWED && type != EX_EV_END);
	struct ex_event_limit *limit;
	struct ex_port_state *port;
	struct ex_event *ev;

	if (!p)
		return 0;
	port = find_port(p);
	if (!port)
		return 0;
	limit = verdict ? &port->verdict_events : &port->flow_events;
	ev = bucket_take(&limit->bucket, p->now, EX_EVENT_PERIOD, EVENT_BURST)
		     ? bpf_ringbuf_reserve(&ex_events, sizeof(*ev), 0)
		     : NULL;
	if (!ev) {
		__sync_fetch_and_add(&limit->suppressed, 1);
		return 0;
	}
	event_fill(ev, p, type, reason);
	ev->suppressed = __sync_lock_test_and_set(&limit->suppressed, 0);
	ev->packets = packets;
	ev->bytes = bytes;
	bpf_ringbuf_submit(ev, event_wake());
	return 1;
}

/* On with a packet that may pass: to the gateway namespace, or to where it was going. */
SUBPROG int pass(struct __sk_buff *skb, struct pkt *p)
{
	const struct ex_endpoint *ep;

	if (!p)
		return TC_ACT_SHOT;
	if (end_of(p, false) == END_GATEWAY) {
		ep = find_endpoint(p);
		if (!ep || gateway_link(skb, ep))
			return TC_ACT_SHOT;
		return bpf_redirect(p->gateway, 0);
	}
	if (p->part == EX_PART_UPSTREAM && bpf_skb_store_bytes(skb, 0, p->mac, ETH_ALEN, 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

INLINE int verdict_exit(struct __sk_buff *skb, struct pkt *p, enum ex_reason reason)
{
	count(&ex_reasons, reason < EX_R_MAX ? reason : EX_R_INTERNAL, p->len);
	if (p->rule.counter)
		count(&ex_rule_counts, p->rule.counter, p->len);
	if (reason == EX_R_ALLOWED)
		return p->part || p->proxied ? pass(skb, p) : TC_ACT_OK;
	/* what is said to a group is not said to the workload */
	if (reason != EX_R_GROUP_REPORT && (p->outbound || !p->group))
		event_send(p, EX_EV_DENY, reason, 0, 0);
	return refuse(skb, p);
}

#endif
