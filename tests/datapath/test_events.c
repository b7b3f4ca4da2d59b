/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate tells: of flows, of denials, how many it left out, and when it wakes its reader. */
#include <sys/epoll.h>

#include "tests/datapath/state.h"

struct seen {
	int news, denials, ends;
	uint64_t suppressed;
	struct ex_event last;
};

static void event_note(void *arg, const struct ex_event *ev)
{
	struct seen *seen = arg;

	seen->news += ev->type == EX_EV_NEW;
	seen->denials += ev->type == EX_EV_DENY;
	seen->ends += ev->type == EX_EV_END;
	seen->suppressed += ev->suppressed;
	seen->last = *ev;
}

static struct seen drain(void)
{
	struct seen seen = { 0 };
	int r;

	do
		r = ex_gate_events_drain(bench_gate, event_note, &seen);
	while (r == 1);
	assert_int_equal(r, 0);
	return seen;
}

static void test_events_tell_a_flow_from_begin_to_end(void **state)
{
	struct seen seen;

	(void)state;
	(void)drain();
	open_tcp(1000);
	seen = drain();
	assert_int_equal(seen.news, 1);
	assert_int_equal(seen.denials + seen.ends, 0);
	assert_int_equal(seen.last.rule, 1);
	assert_int_equal(seen.last.ifindex, BENCH_IF);
	assert_int_equal(seen.last.proto, IPPROTO_TCP);
	assert_int_equal(ntohs(seen.last.dport), 443);
	assert_int_equal(ntohs(seen.last.sport), 1000);
	assert_int_equal(tcp_out(1000, PKT_FIN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_in(1000, PKT_FIN | PKT_ACK), EX_R_ALLOWED);
	seen = drain();
	assert_int_equal(seen.ends, 1);
	assert_int_equal(ntohs(seen.last.dport), 443); /* told from the workload's end */
	assert_int_equal(seen.last.packets, 5);
	assert_int_equal(seen.last.bytes, 5 * 54);
	assert_int_equal(tcp_out(1000, PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_out(2000, PKT_ACK), EX_R_NO_FLOW);
	seen = drain();
	assert_int_equal(seen.ends + seen.news, 0);
	assert_int_equal(seen.denials, 1);
	assert_int_equal(seen.last.reason, EX_R_NO_FLOW);
}

static void test_a_full_table_is_not_swept_for_each_name(void **state)
{
	uint64_t last = 0;

	(void)state;
	assert_true(gate_sweep_is_due(&last));
	assert_false(gate_sweep_is_due(&last));
	last -= 2 * EX_SEC;
	assert_true(gate_sweep_is_due(&last));
}

static void test_sweep_makes_room_and_tells(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(udp_out(1000), EX_R_ALLOWED);
	open_tcp(1001);
	(void)drain();
	age_flows(600);
	bench_gate->event_fn = event_note;
	bench_gate->event_arg = &seen;
	gate_sweep(bench_gate);
	bench_gate->event_fn = NULL;
	assert_int_equal(seen.ends, 1);
	assert_int_equal(seen.last.proto, IPPROTO_UDP);
	assert_int_equal(seen.last.packets, 1);
	assert_int_equal(age_flows(0), 1);
	assert_int_equal(tcp_in(1001, PKT_ACK), EX_R_ALLOWED);
}

static void test_events_are_limited_and_say_how_many_are_missing(void **state)
{
	const int sent = 5000;
	struct seen seen, rest;
	int i;

	(void)state;
	(void)drain();
	for (i = 0; i < sent; i++)
		(void)tcp_out(2000, PKT_ACK);
	seen = drain();
	assert_true(seen.denials < sent);
	usleep(5000);
	(void)tcp_out(2000, PKT_ACK);
	rest = drain();
	assert_int_equal(rest.denials, 1);
	assert_int_equal((uint64_t)seen.denials + seen.suppressed + 1 + rest.suppressed, sent + 1);
}

static void test_what_is_missing_is_told_also_when_nothing_follows(void **state)
{
	const int sent = 5000;
	struct seen seen;

	(void)state;
	(void)drain();
	for (int i = 0; i < sent; i++)
		(void)tcp_out(2000, PKT_ACK);
	seen = drain();
	assert_true(seen.denials < sent);
	assert_int_equal((uint64_t)seen.denials + seen.suppressed, sent);
	assert_int_equal(seen.last.type, EX_EV_LEFT_OUT);
	assert_int_equal(seen.last.ifindex, BENCH_IF);
	assert_int_equal(drain().suppressed, 0);
}

static int sends_until_woken(int epoll)
{
	struct epoll_event ev;
	int n;

	for (n = 0; n < 300; n++) {
		(void)tcp_out(2000, PKT_ACK);
		if (epoll_wait(epoll, &ev, 1, 0) == 1)
			break;
	}
	return n;
}

/* It lets them lie for a while: no wake-up for each, but before they are too many, and then. */
static void
test_reader_is_woken_for_the_first_event_and_when_a_quarter_of_the_room_is_taken(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	EX_AUTO_CLOSE int epoll = epoll_create1(EPOLL_CLOEXEC);
	int i;

	(void)state;
	(void)drain();
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, ex_gate_events_fd(bench_gate), &ev), 0);
	(void)tcp_out(2000, PKT_ACK);
	assert_int_equal(epoll_wait(epoll, &ev, 1, 1000), 1);
	for (i = 1; i < 500; i++)
		(void)tcp_out(2000, PKT_ACK);
	assert_int_equal(epoll_wait(epoll, &ev, 1, 20), 0);
	assert_true(sends_until_woken(epoll) > 200);
	for (i = 0; i < 40; i++)
		(void)tcp_out(2000, PKT_ACK);
	assert_int_equal(epoll_wait(epoll, &ev, 1, 20), 0);
	assert_true(sends_until_woken(epoll) < 10); /* but again after a while */
	(void)drain();
	assert_int_equal(epoll_wait(epoll, &ev, 1, 20), 0);
	(void)tcp_out(2000, PKT_ACK);
	assert_int_equal(epoll_wait(epoll, &ev, 1, 1000), 1);
}

static void test_full_ring_loses_events_and_nothing_else(void **state)
{
	uint32_t slot = gate_port_find(bench_gate, BENCH_IF)->slot;
	struct seen seen;
	int i, round;

	(void)state;
	(void)drain();
	for (round = 0; round < 8; round++) { /* the limiter alone would never let it fill */
		assert_int_equal(gate_port_reset(bench_gate, slot), 0);
		for (i = 0; i < 1000; i++)
			assert_int_equal(tcp_out(2000, PKT_ACK), EX_R_NO_FLOW);
	}
	open_tcp(1000);
	seen = drain();
	assert_true(seen.denials > 1000 && seen.denials < 8000);
	assert_int_equal(gate_port_reset(bench_gate, slot), 0);
	(void)tcp_out(2000, PKT_ACK);
	assert_int_equal(drain().denials, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		state_test(test_events_tell_a_flow_from_begin_to_end),
		state_test(test_sweep_makes_room_and_tells),
		state_test(test_a_full_table_is_not_swept_for_each_name),
		state_test(test_events_are_limited_and_say_how_many_are_missing),
		state_test(test_what_is_missing_is_told_also_when_nothing_follows),
		state_test(
			test_reader_is_woken_for_the_first_event_and_when_a_quarter_of_the_room_is_taken),
		state_test(test_full_ring_loses_events_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, setup, bench_teardown);
}
