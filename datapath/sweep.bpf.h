/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Room in a flow table. User space takes out what has expired, and tells of it; when it is not
 * there, a table that runs full is swept here.
 */
#ifndef EXEAT_DATAPATH_SWEEP_H
#define EXEAT_DATAPATH_SWEEP_H

#include "related.bpf.h"

#define SWEEP_PERIOD EX_SEC /* a table of 16384 flows takes about a millisecond */

/* Whoever is outside must not use up the room for what the workload opens. */
const volatile __u32 inward_max = 0;

struct sweep {
	__u64 now;
	__u64 inward;
};

static long sweep_one(void *flows, const struct ex_flow_key *key, const struct ex_flow_state *flow,
		      struct sweep *s)
{
	if (ex_flow_is_over(key, flow, s->now))
		bpf_map_delete_elem(flows, key);
	else if (flow->flags & EX_FLOW_INBOUND)
		s->inward++;
	return 0;
}

/* True when it was done: not more often than SWEEP_PERIOD. */
SUBPROG int flows_sweep(struct pkt *p)
{
	struct sweep s = {};
	struct ex_port_state *port;
	void *flows;

	if (!p)
		return 0;
	port = find_port(p);
	flows = find_flows(p);
	if (!port || !flows || !bucket_take(&port->sweeps, p->now, SWEEP_PERIOD, 1))
		return 0;
	s.now = p->now;
	bpf_for_each_map_elem(flows, sweep_one, &s, 0);
	port->inward = s.inward;
	return 1;
}

/* Counts a flow that the far end opens; false when there are too many of them. */
SUBPROG int inward_take(struct pkt *p)
{
	struct ex_port_state *port;

	if (!p)
		return 0;
	port = find_port(p);
	if (!port)
		return 0;
	if (port->inward >= inward_max && (!flows_sweep(p) || port->inward >= inward_max))
		return 0;
	__sync_fetch_and_add(&port->inward, 1);
	return 1;
}

/* The flow of the packet, or the datagram that it is the first fragment of. False: no room. */
SUBPROG int flow_add(struct pkt *p, bool fragment)
{
	struct ex_flow_key key;
	void *flows;

	if (!p)
		return 0;
	flows = find_flows(p);
	key = fragment ? fragment_key(p) : flow_key(p);
	if (!flows || (from_outside(p, &key) && !inward_take(p)))
		return 0;
	return flow_create(flows, p, &key) || (flows_sweep(p) && flow_create(flows, p, &key));
}

#endif
