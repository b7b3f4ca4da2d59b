/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and flow events. */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "gate.skel.h"
#include "agent/gate/gate_internal.h"

/*
 * Tables are swept when events are read: a table that runs full denies, a denial is an event. So
 * nobody needs to keep a timer for it.
 */
#define SWEEP_PERIOD (5 * EX_SEC)

static int event_read(void *arg, void *data, size_t size)
{
	const struct ex_gate *gate = arg;

	if (size >= sizeof(struct ex_event) && gate->event_fn)
		gate->event_fn(gate->event_arg, data);
	return 0;
}

int gate_events_open(struct ex_gate *gate)
{
	gate->ring =
		ring_buffer__new(bpf_map__fd(gate->skel->maps.ex_events), event_read, gate, NULL);
	return gate->ring ? 0 : -errno;
}

int ex_gate_events_fd(const struct ex_gate *gate)
{
	return ring_buffer__epoll_fd(gate->ring);
}

int ex_gate_events_drain(struct ex_gate *gate, void (*fn)(void *arg, const struct ex_event *ev),
			 void *arg)
{
	int r;

	gate->event_fn = fn;
	gate->event_arg = arg;
	r = ring_buffer__consume(gate->ring);
	if (gate_now() - gate->swept >= SWEEP_PERIOD)
		gate_sweep(gate);
	gate->event_fn = NULL;
	return r < 0 ? r : 0;
}

/* A key that is not there counts as zero. */
static int counter_read(const struct bpf_map *map, const void *key, struct ex_counter *ret)
{
	int cpus = libbpf_num_possible_cpus(), r, i;
	EX_AUTO_FREE struct ex_count *each = NULL;

	*ret = (struct ex_counter){ 0 };
	if (cpus <= 0)
		return -EIO;
	each = calloc((size_t)cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	r = bpf_map_lookup_elem(bpf_map__fd(map), key, each);
	if (r)
		return r == -ENOENT ? 0 : r;
	for (i = 0; i < cpus; i++) {
		ret->packets += each[i].packets;
		ret->bytes += each[i].bytes;
	}
	return 0;
}

int ex_gate_count_reason(struct ex_gate *gate, enum ex_reason reason, struct ex_counter *ret)
{
	uint32_t key = reason;

	return counter_read(gate->skel->maps.ex_reasons, &key, ret);
}

int ex_gate_count_rule(struct ex_gate *gate, uint32_t ifindex, uint32_t rule,
		       struct ex_counter *ret)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);
	struct ex_count_key key;

	if (!port)
		return -ENOENT;
	key = (struct ex_count_key){ port->set.policy, rule };
	return counter_read(gate->skel->maps.ex_rule_counts, &key, ret);
}
