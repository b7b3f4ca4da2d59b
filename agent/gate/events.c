/* SPDX-License-Identifier: Apache-2.0 */
/* Flow events. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/gate/gate_internal.h"

/*
 * Tables are swept when events are read: a table that runs full denies, a denial is an event. So
 * nobody needs to keep a timer for it.
 */
#define SWEEP_PERIOD (5 * EX_SEC)
#define TICK_MAX     (EX_SEC / 100)

/*
 * Workloads that make events faster than they are read must not keep the reader for ever. After as
 * many as the ring holds, what was in it when the reading began has been read.
 */
static int event_read(void *arg, void *data, size_t size)
{
	struct ex_gate *gate = arg;

	if (size >= sizeof(struct ex_event) && gate->event_fn)
		gate->event_fn(gate->event_arg, data);
	return ++gate->drained * sizeof(struct ex_event) < gate->maps.ex_events.max_entries
		       ? 0
		       : -ECANCELED;
}

#define LIMITS_SIZE (EX_ENDPOINTS_MAX * sizeof(struct ex_port_state))

int gate_events_open(struct ex_gate *gate)
{
	void *v;
	int r = gate_map_share(gate->maps.ex_ports.fd, LIMITS_SIZE, &v);

	if (r)
		return r;
	gate->limits = v;
	gate->ring = ring_buffer__new(gate->maps.ex_events.fd, event_read, gate, NULL);
	return gate->ring ? 0 : -errno;
}

void gate_events_close(struct ex_gate *gate)
{
	ring_buffer__free(gate->ring);
	if (gate->limits)
		(void)munmap(gate->limits, LIMITS_SIZE);
}

static void limit_tell(const struct ex_gate *gate, uint32_t ifindex, struct ex_event_limit *limit)
{
	uint64_t n = __atomic_exchange_n(&limit->suppressed, 0, __ATOMIC_RELAXED);
	const struct ex_event ev = {
		.time = gate_now(),
		.ifindex = ifindex,
		.type = EX_EV_LEFT_OUT,
		.suppressed = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX,
	};

	if (n && gate->event_fn)
		gate->event_fn(gate->event_arg, &ev);
}

/*
 * What was left out the next event of the endpoint tells; there may be none. True: some may be left
 * out right now, as the clock of the programs, by which there are tokens, moves with the tick.
 */
static bool left_out_tell(struct ex_gate *gate)
{
	const struct gate_port *port;
	uint64_t now = gate_now();
	bool more = false;

	for (port = gate->ports; port; port = port->next) {
		struct ex_event_limit *limit = &gate->limits[port->slot].verdict_events;

		if (__atomic_load_n(&limit->suppressed, __ATOMIC_RELAXED))
			limit_tell(gate, port->ifindex, limit);
		more |= limit->bucket.tokens < EX_EVENT_PERIOD &&
			now - limit->bucket.filled < 2 * TICK_MAX;
	}
	return more;
}

/*
 * The kernel wakes for a record that is where the reader has come to. How far that is has to be
 * seen before the last look, or neither sees the other: then nobody wakes for what follows. libbpf
 * has no such barrier, as those who wait for the level need none.
 */
static int ring_drain(struct ring_buffer *ring)
{
	int n;

	do {
		n = ring_buffer__consume(ring);
		atomic_thread_fence(memory_order_seq_cst);
	} while (n > 0);
	return n;
}

int ex_gate_events_fd(const struct ex_gate *gate)
{
	return gate->maps.ex_events.fd;
}

int ex_gate_events_drain(struct ex_gate *gate, void (*fn)(void *arg, const struct ex_event *ev),
			 void *arg)
{
	bool more;
	int r;

	gate->event_fn = fn;
	gate->event_arg = arg;
	gate->drained = 0;
	r = ring_drain(gate->ring);
	more = left_out_tell(gate);
	if (gate_now() - gate->swept >= SWEEP_PERIOD)
		gate_sweep(gate);
	gate->event_fn = NULL;
	return r == -ECANCELED ? 1 : r < 0 ? r : more;
}
