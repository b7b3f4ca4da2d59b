/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the tables of flows: who is spoken with, and what is over, which is taken out. The programs
 * themselves heed the time of every entry; sweeping only makes room, and tells of flows that ended
 * in silence.
 */
#include <errno.h>
#include <time.h>

#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"

#define BATCH 1024

#define FULL_PERIOD EX_SEC

uint64_t gate_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * EX_SEC + (uint64_t)now.tv_nsec;
}

static const struct ex_ip *own_address(const struct gate_port *port, const struct ex_flow_key *key)
{
	if (key->own && key->own <= EX_EP_MORE)
		return &port->ep.more[key->own - 1];
	return ex_ip_is4(&key->remote) ? &port->ep.ip4 : &port->ep.ip6;
}

static void flow_tell(const struct ex_gate *gate, const struct gate_port *port,
		      const struct ex_flow_key *key, const struct ex_flow_state *flow)
{
	bool inward = flow->flags & EX_FLOW_INBOUND;
	const struct ex_ip *own = own_address(port, key);
	const struct ex_event ev = {
		.time = flow->seen,
		.ifindex = port->ifindex,
		.rule = flow->rule,
		.src = inward ? key->remote : *own,
		.dst = inward ? *own : key->remote,
		.sport = inward ? key->remote_port : key->local_port,
		.dport = inward ? key->local_port : key->remote_port,
		.direction = key->part == EX_PART_UPSTREAM ? EX_DIR_UPSTREAM
			     : inward                      ? EX_DIR_INGRESS
							   : EX_DIR_EGRESS,
		.reason = flow->reason,
		.proto = key->proto,
		.verdict = flow->verdict,
		.type = EX_EV_END,
		.packets = flow->sent.packets + flow->received.packets,
		.bytes = flow->sent.bytes + flow->received.bytes,
	};

	/* of one that is none, or closed, the program told that ended it */
	if (gate->event_fn && (!key->part || key->part == EX_PART_UPSTREAM) &&
	    flow->phase != EX_FLOW_NONE && flow->phase != EX_FLOW_CLOSED)
		gate->event_fn(gate->event_arg, &ev);
}

struct batch {
	struct ex_flow_key keys[BATCH];
	struct ex_flow_state flows[BATCH];
};

/*
 * What was over when a batch of them was read may have begun anew: asked again, right before it is
 * taken out. *flow is what it was then.
 */
static bool flow_take(int fd, const struct ex_flow_key *key, struct ex_flow_state *flow,
		      uint64_t now)
{
	return ex_flow_is_over(key, flow, now) && bpf_map_lookup_elem(fd, key, flow) == 0 &&
	       ex_flow_is_over(key, flow, now) && bpf_map_delete_elem(fd, key) == 0;
}

static void port_sweep(struct ex_gate *gate, const struct gate_port *port, struct batch *b,
		       uint64_t now)
{
	struct gate_batch read = { .fd = port->flows, .cap = BATCH };

	while (gate_batch_next(&read, b->keys, b->flows))
		for (uint32_t i = 0; i < read.n; i++)
			if (flow_take(port->flows, &b->keys[i], &b->flows[i], now))
				flow_tell(gate, port, &b->keys[i], &b->flows[i]);
}

/* ---- who is spoken with ---- */

static int compare_ips(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ex_ip));
}

static size_t take_remotes(const struct batch *b, uint32_t n, uint64_t now, struct ex_ip *ret,
			   size_t room)
{
	size_t taken = 0;

	for (uint32_t i = 0; i < n && taken < room; i++) {
		uint8_t part = b->keys[i].part;

		if ((part == EX_PART_FLOW || part == EX_PART_UPSTREAM) &&
		    !ex_flow_is_over(&b->keys[i], &b->flows[i], now))
			ret[taken++] = b->keys[i].remote;
	}
	return taken;
}

int ex_gate_remotes(const struct ex_gate *gate, uint32_t ifindex, struct ex_ip **ret, size_t *ret_n)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);
	EX_AUTO_FREE struct batch *b = malloc(sizeof(*b));
	EX_AUTO_FREE struct ex_ip *v = calloc(gate->flow_limit, sizeof(*v));
	struct gate_batch read = { .fd = port ? port->flows : -1, .cap = BATCH };
	uint64_t now = gate_now();
	size_t taken = 0;

	if (!b || !v)
		return -ENOMEM;
	/* what cannot be read is as if it were not there */
	while (port && gate_batch_next(&read, b->keys, b->flows))
		taken += take_remotes(b, read.n, now, v + taken, gate->flow_limit - taken);
	qsort(v, taken, sizeof(*v), compare_ips);
	*ret = EX_TAKE_PTR(v);
	*ret_n = taken;
	return 0;
}

struct name_batch {
	struct ex_name_key keys[BATCH];
	struct ex_name names[BATCH];
};

static void names_sweep(int fd, uint64_t now)
{
	EX_AUTO_FREE struct name_batch *b = malloc(sizeof(*b));
	struct gate_batch read = { .fd = fd, .cap = BATCH };

	while (b && gate_batch_next(&read, b->keys, b->names))
		for (uint32_t i = 0; i < read.n; i++)
			if (now >= b->names[i].expires)
				bpf_map_delete_elem(fd, &b->keys[i]);
}

bool gate_sweep_is_due(uint64_t *last)
{
	uint64_t now = gate_now();

	if (*last && now - *last < FULL_PERIOD)
		return false;
	*last = now;
	return true;
}

void gate_sweep(struct ex_gate *gate)
{
	EX_AUTO_FREE struct batch *b = malloc(sizeof(*b));
	const struct gate_port *port;
	uint64_t now = gate_now();

	gate->swept = now;
	gate_settle(gate);
	for (port = gate->ports; b && port; port = port->next)
		port_sweep(gate, port, b, now);
	names_sweep(gate->maps.ex_names.fd, now);
}
