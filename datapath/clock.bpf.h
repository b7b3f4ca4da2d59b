/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CLOCK_MONOTONIC_COARSE, which moves with the tick: read once a tick. The tick itself costs no
 * call. A CPU that is held up between the two stores leaves an old time behind until the next tick.
 */
#ifndef EXEAT_DATAPATH_CLOCK_H
#define EXEAT_DATAPATH_CLOCK_H

#include "pkt.bpf.h"

volatile __u64 clock_tick = 0;
volatile __u64 clock_now = 0;

INLINE __u64 clock_read(void)
{
	__u64 tick = bpf_jiffies64(), now;

	if (clock_tick == tick)
		return clock_now;
	now = bpf_ktime_get_coarse_ns();
	clock_now = now;
	__sync_lock_test_and_set(&clock_tick, tick); /* not before the time */
	return now;
}

#endif
