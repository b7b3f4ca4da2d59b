/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one way out: each packet leaves with one reason, counted once. */
#ifndef EXEAT_DATAPATH_VERDICT_H
#define EXEAT_DATAPATH_VERDICT_H

#include "refuse.bpf.h"

#define EVENT_PERIOD 1000000ull /* ns a token: 1000 a second ... */
#define EVENT_BURST  1000       /* ... and so many at once */

INLINE void count(struct ex_count *c, __u32 bytes)
{
	c->packets++; /* per CPU, and TC programs are not interrupted by themselves */
	c->bytes += bytes;
}

INLINE void count_reason(const struct pkt *p, __u32 reason)
{
	struct ex_count *c = bpf_map_lookup_elem(&ex_reasons, &reason);

	if (c)
		count(c, p->len);
}

INLINE void count_rule(const struct pkt *p)
{
	struct ex_count_key key = { .policy = p->policy, .rule = p->rule.rule };
	struct ex_count first = { 1, p->len };
	struct ex_count *c;

	if (!key.rule)
		return;
	c = bpf_map_lookup_elem(&ex_rule_counts, &key);
	if (c)
		count(c, p->len);
	else
		bpf_map_update_elem(&ex_rule_counts, &key, &first, BPF_NOEXIST);
}

INLINE void event_send(const struct pkt *p, enum ex_event_type type, enum ex_reason reason,
		       const struct ex_flow_state *flow)
{
	struct ex_event *ev;

	if (!p->port)
		return;
	if (!bucket_take(&p->port->events, p->now, EVENT_PERIOD, EVENT_BURST)) {
		__sync_fetch_and_add(&p->port->suppressed, 1);
		return;
	}
	ev = bpf_ringbuf_reserve(&ex_events, sizeof(*ev), 0);
	if (!ev) {
		__sync_fetch_and_add(&p->port->suppressed, 1);
		return;
	}
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->time = p->now;
	ev->ifindex = p->ifindex;
	ev->rule = p->rule.rule;
	ev->src = p->src.ip;
	ev->dst = p->dst.ip;
	ev->proto = p->proto;
	ev->sport = p->sport;
	ev->dport = p->dport;
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6) {
		ev->sport = 0;
		ev->dport = bpf_htons(p->key_port);
	}
	ev->reason = reason;
	ev->verdict = type == EX_EV_DENY ? EX_V_DENY : p->rule.verdict;
	ev->type = type;
	ev->suppressed = __sync_lock_test_and_set(&p->port->suppressed, 0);
	if (flow) { /* of the whole flow: told from the workload's end */
		if (!p->outbound) {
			ev->src = p->dst.ip;
			ev->dst = p->src.ip;
			ev->sport = p->dport;
			ev->dport = p->sport;
		}
		ev->packets = flow->packets;
		ev->bytes = flow->bytes;
	}
	bpf_ringbuf_submit(ev, 0);
}

INLINE int verdict_exit(struct __sk_buff *skb, const struct pkt *p, enum ex_reason reason)
{
	count_reason(p, reason < EX_R_MAX ? reason : EX_R_INTERNAL);
	count_rule(p);
	if (reason == EX_R_ALLOWED)
		return TC_ACT_OK;
	event_send(p, EX_EV_DENY, reason, NULL);
	return refuse(skb, p);
}

#endif
