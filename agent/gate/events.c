/* SPDX-License-Identifier: Apache-2.0 */
/* Flow events. */
#include <errno.h>
#include <stdatomic.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/gate/gate_internal.h"

/*
 * Tables are swept when events are read: a table that runs full denies, a denial is an event. So
 * nobody needs to keep a timer for it.
 */
#define SWEEP_PERIOD (5 * EX_SEC)

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

int gate_events_open(struct ex_gate *gate)
{
	gate->ring = ring_buffer__new(gate->maps.ex_events.fd, event_read, gate, NULL);
	return gate->ring ? 0 : -errno;
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
	int r;

	gate->event_fn = fn;
	gate->event_arg = arg;
	gate->drained = 0;
	r = ring_drain(gate->ring);
	if (gate_now() - gate->swept >= SWEEP_PERIOD)
		gate_sweep(gate);
	gate->event_fn = NULL;
	return r == -ECANCELED ? 1 : r < 0 ? r : 0;
}
