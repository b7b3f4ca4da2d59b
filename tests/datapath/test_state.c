/* SPDX-License-Identifier: Apache-2.0 */
/* Time, room and change: what the gate remembers, for how long, how much, and across a swap. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/datapath/state.h"

static enum ex_reason udp_in(uint16_t dport)
{
	return bench_in(&(struct pkt_spec){
		.src = FAR, .dst = NET_OWN4, .proto = IPPROTO_UDP, .sport = 123, .dport = dport });
}

static void test_unanswered_syn_expires_after_a_minute(void **state)
{
	(void)state;
	assert_int_equal(tcp_out(1000, PKT_SYN), EX_R_ALLOWED);
	age_flows(59);
	assert_int_equal(tcp_in(1000, PKT_SYN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_out(1001, PKT_SYN), EX_R_ALLOWED);
	age_flows(61);
	assert_int_equal(tcp_in(1001, PKT_SYN | PKT_ACK), EX_R_NO_FLOW);
}

static void let_pass(unsigned ms)
{
	const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&pause, NULL);
}

static void test_leased_policy_denies_live_and_new_flows_when_its_time_is_over(void **state)
{
	(void)state;
	assert_int_equal(ex_gate_lease(bench_gate, BENCH_IF, 60000), 0);
	open_tcp(1000);
	assert_int_equal(ex_gate_lease(bench_gate, BENCH_IF, 20), 0);
	let_pass(60);
	assert_int_equal(tcp_out(1000, PKT_ACK), EX_R_NO_ENDPOINT);
	assert_int_equal(tcp_in(1000, PKT_ACK), EX_R_NO_ENDPOINT);
	assert_int_equal(tcp_out(1001, PKT_SYN), EX_R_NO_ENDPOINT);
	/* another policy is no more time */
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	assert_int_equal(tcp_out(1001, PKT_SYN), EX_R_NO_ENDPOINT);
	assert_int_equal(ex_gate_lease(bench_gate, BENCH_IF, 60000), 0);
	assert_int_equal(tcp_out(1000, PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(ex_gate_lease(bench_gate, BENCH_IF, 20), 0);
	assert_int_equal(ex_gate_lease(bench_gate, BENCH_IF, 0), 0);
	let_pass(60);
	assert_int_equal(tcp_out(1000, PKT_ACK), EX_R_ALLOWED);
}

static void test_established_outlives_keepalive_but_not_for_ever(void **state)
{
	(void)state;
	open_tcp(1000);
	age_flows(7300);
	assert_int_equal(tcp_in(1000, PKT_ACK), EX_R_ALLOWED);
	age_flows(9001);
	assert_int_equal(tcp_in(1000, PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(1000, PKT_ACK), EX_R_NO_FLOW);
}

static void test_closing_and_closed_expire_soon(void **state)
{
	(void)state;
	open_tcp(1000);
	assert_int_equal(tcp_in(1000, PKT_FIN | PKT_ACK), EX_R_ALLOWED);
	age_flows(119);
	assert_int_equal(tcp_out(1000, PKT_ACK), EX_R_ALLOWED);
	age_flows(121);
	assert_int_equal(tcp_out(1000, PKT_ACK), EX_R_NO_FLOW);
	open_tcp(1001);
	assert_int_equal(tcp_out(1001, PKT_RST), EX_R_ALLOWED);
	age_flows(9);
	assert_int_equal(tcp_in(1001, PKT_ACK), EX_R_ALLOWED);
	age_flows(11);
	assert_int_equal(tcp_in(1001, PKT_ACK), EX_R_NO_FLOW);
}

/* An RST of the side that opened does not stand in for an answer. */
static void test_what_nobody_answered_acknowledges_nothing(void **state)
{
	(void)state;
	assert_int_equal(tcp_out(1000, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(tcp_out(1000, PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(1000, PKT_RST), EX_R_ALLOWED);
	assert_int_equal(tcp_out(1000, PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_in(1000, PKT_ACK), EX_R_NO_FLOW);
	open_tcp(1000);
}

static void test_datagram_flow_lives_longer_when_answered(void **state)
{
	(void)state;
	assert_int_equal(udp_out(1000), EX_R_ALLOWED);
	age_flows(31);
	assert_int_equal(udp_in(1000), EX_R_NO_FLOW);
	assert_int_equal(udp_out(1001), EX_R_ALLOWED);
	assert_int_equal(udp_in(1001), EX_R_ALLOWED);
	age_flows(179);
	assert_int_equal(udp_in(1001), EX_R_ALLOWED);
	age_flows(181);
	assert_int_equal(udp_in(1001), EX_R_NO_FLOW);
}

static enum ex_reason fragment(uint16_t offset, uint32_t id)
{
	struct pkt_spec s = { .dst = FAR,
			      .proto = IPPROTO_UDP,
			      .sport = offset ? 0 : 1000,
			      .dport = offset ? 0 : 123,
			      .payload_len = 32,
			      .frag = offset ? offset : 0x2000,
			      .frag_id = id };
	struct pkt_frame f;

	pkt_build(&f, &s);
	if (!offset)
		pkt_put16(f.b + f.l4 + 4, 8 + 32 + 32); /* there is more of it */
	return bench_send(&f).reason;
}

/* What comes in fragments comes all at once; many of them a second must not fill the table. */
static void test_fragments_are_waited_for_a_moment_only(void **state)
{
	uint32_t id;

	(void)state;
	assert_int_equal(fragment(0, 1), EX_R_ALLOWED);
	age_flows(1);
	assert_int_equal(fragment(5, 1), EX_R_ALLOWED);
	age_flows(2);
	assert_int_equal(fragment(5, 1), EX_R_FRAGMENT);
	for (id = 2; id < 2 * FLOWS && fragment(0, id) == EX_R_ALLOWED; id++)
		;
	assert_in_range(id, FLOWS / 2, FLOWS);
	age_flows(5);
	/* or a sweep would have to wait for the next second */
	assert_int_equal(gate_port_reset(bench_gate, gate_port_find(bench_gate, BENCH_IF)->slot),
			 0);
	assert_int_equal(fragment(0, id), EX_R_ALLOWED); /* the flow among them lives */
	assert_int_equal(fragment(5, id), EX_R_ALLOWED);
	assert_int_equal(udp_in(1000), EX_R_ALLOWED);
}

/* ---- room ---- */

static void test_full_table_denies_new_flows_and_keeps_old_ones(void **state)
{
	uint16_t i;

	(void)state;
	open_tcp(999);
	for (i = 1; i < FLOWS; i++)
		assert_int_equal(udp_out((uint16_t)(1000 + i)), EX_R_ALLOWED);
	assert_int_equal(udp_out(5000), EX_R_TABLE_FULL);
	assert_int_equal(tcp_out(5000, PKT_SYN), EX_R_TABLE_FULL);
	assert_int_equal(tcp_in(999, PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(udp_in(1001), EX_R_ALLOWED);
	age_flows(600); /* all but the TCP flow is over */
	gate_sweep(bench_gate);
	assert_int_equal(udp_out(5000), EX_R_ALLOWED);
}

/* Nobody in user space is needed for it. */
static void test_full_table_sweeps_itself(void **state)
{
	uint16_t i;

	(void)state;
	open_tcp(999);
	for (i = 1; i < FLOWS; i++)
		assert_int_equal(udp_out((uint16_t)(1000 + i)), EX_R_ALLOWED);
	age_flows(600);
	assert_int_equal(udp_out(5000), EX_R_ALLOWED);
	assert_int_equal(age_flows(0), 2);
	assert_int_equal(tcp_in(999, PKT_ACK), EX_R_ALLOWED);
}

static void fill_rules(struct ex_rule_entry *v, size_t n, uint32_t klass)
{
	for (size_t i = 0; i < n; i++)
		v[i] = (struct ex_rule_entry){
			.klass = klass,
			.prefix = 32,
			.proto = (uint8_t)(IPPROTO_TCP + i / 65536),
			.port = (uint16_t)(i + 1),
			.value = { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 },
		};
}

static int make_class(uint32_t klass, size_t n_rules)
{
	static struct ex_rule_entry entries[1000];
	const struct ex_tables t = { .rules = entries, .n_rules = n_rules };

	assert_true(n_rules <= EX_ARRAY_SIZE(entries));
	fill_rules(entries, n_rules, klass);
	return ex_gate_add_class(bench_gate, bench_ifindex, &t);
}

/* How many classes of a thousand rules each the endpoint gets. */
static unsigned make_classes(unsigned most)
{
	unsigned n;
	int r = 0;

	for (n = 0; n < most && r == 0; n++)
		r = make_class(2 + n, 1000);
	assert_true(r == 0 || r == -EDQUOT);
	return n - (r != 0);
}

static void test_names_of_one_endpoint_leave_room_for_those_of_another(void **state)
{
	unsigned of_one, of_another;

	(void)state;
	of_one = make_classes(1000);
	assert_in_range(of_one, 10, 60);
	assert_int_equal(make_classes(1), 0);
	bench_ifindex = if_nametoindex("second");
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	of_another = make_classes(1000);
	assert_in_range(of_another, of_one / 2, of_one);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0); /* without them */
	assert_int_equal(make_classes(1000), of_another);
	ex_gate_forget(bench_gate, BENCH_IF);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	assert_int_equal(make_classes(1000), of_one);
	ex_gate_forget(bench_gate, bench_ifindex);
}

static void test_class_of_names_without_room_leaves_none_of_its_rules(void **state)
{
	struct bpf_map_info info = { 0 };
	struct ex_rule_entry *all;
	uint32_t len = sizeof(info);
	size_t n;

	(void)state;
	assert_int_equal(bpf_obj_get_info_by_fd(gate_map_fd(bench_gate, "ex_rules"), &info, &len),
			 0);
	n = info.max_entries - 500;
	all = calloc(n, sizeof(*all));
	assert_non_null(all);
	fill_rules(all, n, 1);
	bench_publish_rules(all, n, 0);
	free(all);
	while (ex_gate_tidy(bench_gate))
		;
	assert_int_equal(make_class(2, 501), -ENOSPC);
	assert_int_equal(make_class(3, 500), 0);
	assert_int_equal(make_class(4, 1), -ENOSPC);
}

static void test_full_table_of_one_endpoint_does_not_touch_another(void **state)
{
	uint16_t i;

	(void)state;
	for (i = 0; i < FLOWS + 10; i++)
		(void)udp_out((uint16_t)(1000 + i));
	assert_int_equal(udp_out(5000), EX_R_TABLE_FULL);
	bench_ifindex = if_nametoindex("second");
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	for (i = 0; i < FLOWS; i++)
		assert_int_equal(udp_out((uint16_t)(1000 + i)), EX_R_ALLOWED);
	ex_gate_forget(bench_gate, bench_ifindex);
}

static void test_flow_of_one_endpoint_is_none_of_another(void **state)
{
	(void)state;
	assert_int_equal(udp_out(1000), EX_R_ALLOWED);
	bench_ifindex = if_nametoindex("second");
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	assert_int_equal(udp_in(1000), EX_R_NO_FLOW);
	ex_gate_forget(bench_gate, bench_ifindex);
}

/* A million attempts at new flows: what fits is all that is kept, and nobody else notices. */
static void test_churn_of_a_million_flows_leaves_no_trace(void **state)
{
	uint32_t second = if_nametoindex("second"), i;
	struct pkt_frame f;

	(void)state;
	bench_ifindex = second;
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	bench_ifindex = BENCH_IF;
	pkt_build(&f, &(struct pkt_spec){ .dst = FAR, .proto = IPPROTO_TCP, .dport = 443 });
	for (i = 0; i < 1000000; i++) {
		pkt_put16(f.b + f.l4, (uint16_t)(1 + i % 65535));
		f.b[PKT_L3 + 19] = (uint8_t)(i / 65535);
		(void)bench_action(&f);
	}
	assert_int_equal(age_flows(600), FLOWS);
	gate_sweep(bench_gate);
	assert_int_equal(age_flows(0), 0);
	assert_int_equal(tcp_out(1, PKT_SYN), EX_R_ALLOWED);
	bench_ifindex = second;
	assert_int_equal(tcp_out(1, PKT_SYN), EX_R_ALLOWED);
	ex_gate_forget(bench_gate, second);
}

static void test_ruleset_that_does_not_fit_leaves_the_old_one(void **state)
{
	static struct ex_dest_entry many[70000];
	struct ex_rule_entry one[1];
	struct ex_tables t = { many, EX_ARRAY_SIZE(many), one, 1, 1 };
	struct ex_gate_limits small = { .dests = 1000 };
	struct ex_gate *big = bench_gate;
	struct ex_endpoint ep;
	uint32_t i;

	(void)state;
	assert_int_equal(ex_gate_load(&small, &bench_gate), 0);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	memcpy(one, rules, sizeof(one));
	for (i = 0; i < EX_ARRAY_SIZE(many); i++) {
		many[i] = (struct ex_dest_entry){ .prefix = 128, .klass = 1 };
		i = htonl(i);
		many[ntohl(i)].ip = ex_ip_from4(&i);
		i = ntohl(i);
	}
	netns_endpoint(&ep, 0);
	assert_int_not_equal(ex_gate_publish(bench_gate, BENCH_IF, &ep, &t), 0);
	assert_int_equal(udp_out(1000), EX_R_ALLOWED);
	/* what was written of it is gone again: the room is free */
	for (i = 0; i < 20; i++)
		assert_int_not_equal(ex_gate_publish(bench_gate, BENCH_IF, &ep, &t), 0);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	ex_gate_free(bench_gate);
	bench_gate = big;
}

/* ---- change ---- */

static void test_known_names_survive_a_change(void **state)
{
	struct ex_rule_entry named[] = {
		{ 2, 32, IPPROTO_UDP, 99, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 7 } },
	};
	struct ex_tables classes = { .rules = named, .n_rules = 1 }, none = { .n_classes = 1 };
	struct ex_gate_name known = { .klass = 2, .ttl_ms = 60000 };
	struct ex_gate_names names = { &classes, &known, 1 };
	const struct ex_gate_ruleset with_names = { .egress = &none, .names = &names };
	const struct pkt_spec s = {
		.dst = "203.0.113.5", .proto = IPPROTO_UDP, .sport = 1, .dport = 99
	};
	struct ex_endpoint ep;

	(void)state;
	netns_endpoint(&ep, 0);
	assert_true(ex_ip_parse(s.dst, &known.ip));
	assert_int_equal(ex_gate_publish_both(bench_gate, BENCH_IF, &ep, &with_names), 0);
	assert_int_equal(bench_out(&s), EX_R_ALLOWED);
	assert_int_equal(ex_gate_publish_both(bench_gate, BENCH_IF, &ep, &with_names), 0);
	assert_int_equal(bench_out(&s), EX_R_ALLOWED); /* the same flow */
	assert_int_equal(ex_gate_publish(bench_gate, BENCH_IF, &ep, &none), 0);
	assert_int_equal(bench_out(&s), EX_R_POLICY_CHANGED);
}

static atomic_bool stop;

/*
 * Two rulesets that both allow 443 and both deny 22, for opposite reasons and in entries of
 * different places. A packet judged by a half of each would see neither, or the wrong one.
 */
static void *swap_for_ever(void *arg)
{
	struct ex_rule_entry narrow[] = {
		{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
	};
	struct ex_rule_entry wide[] = {
		{ 1, 16, IPPROTO_TCP, 0, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
		{ 1, 32, IPPROTO_TCP, 22, { EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, 2 } },
	};
	struct ex_dest_entry host = { .prefix = 128, .klass = 1 }, all = { .klass = 1 };
	struct ex_tables a = { &host, 1, narrow, 1, 1 }, b = { &all, 1, wide, 2, 1 };
	struct ex_endpoint ep;
	long n = 0;

	(void)arg;
	netns_endpoint(&ep, EX_EP_SILENT);
	assert_true(ex_ip_parse(FAR, &host.ip));
	while (!stop) {
		assert_int_equal(ex_gate_publish(bench_gate, BENCH_IF, &ep, n % 2 ? &a : &b), 0);
		n++;
	}
	return (void *)n;
}

static void test_swap_is_atomic(void **state)
{
	struct pkt_frame allowed, denied;
	pthread_t thread;
	void *swaps = NULL;
	int i;

	(void)state;
	pkt_build(&allowed,
		  &(struct pkt_spec){ .dst = FAR, .proto = IPPROTO_TCP, .sport = 1, .dport = 443 });
	pkt_build(&denied,
		  &(struct pkt_spec){ .dst = FAR, .proto = IPPROTO_TCP, .sport = 1, .dport = 22 });
	assert_int_equal(pthread_create(&thread, NULL, swap_for_ever, NULL), 0);
	for (i = 0; i < 40000; i++) {
		pkt_put16(allowed.b + allowed.l4,
			  (uint16_t)(1 + i % 32)); /* few flows, many tries */
		assert_int_equal(bench_action(&allowed), TC_ACT_OK);
		assert_int_not_equal(bench_action(&denied), TC_ACT_OK);
	}
	stop = true;
	pthread_join(thread, &swaps);
	assert_true((long)swaps > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		state_test(test_unanswered_syn_expires_after_a_minute),
		state_test(test_leased_policy_denies_live_and_new_flows_when_its_time_is_over),
		state_test(test_established_outlives_keepalive_but_not_for_ever),
		state_test(test_closing_and_closed_expire_soon),
		state_test(test_what_nobody_answered_acknowledges_nothing),
		state_test(test_datagram_flow_lives_longer_when_answered),
		state_test(test_fragments_are_waited_for_a_moment_only),
		state_test(test_full_table_denies_new_flows_and_keeps_old_ones),
		state_test(test_full_table_sweeps_itself),
		state_test(test_names_of_one_endpoint_leave_room_for_those_of_another),
		state_test(test_class_of_names_without_room_leaves_none_of_its_rules),
		state_test(test_full_table_of_one_endpoint_does_not_touch_another),
		state_test(test_flow_of_one_endpoint_is_none_of_another),
		state_test(test_churn_of_a_million_flows_leaves_no_trace),
		state_test(test_ruleset_that_does_not_fit_leaves_the_old_one),
		state_test(test_known_names_survive_a_change),
		state_test(test_swap_is_atomic),
	};

	return cmocka_run_group_tests(tests, setup, bench_teardown);
}
