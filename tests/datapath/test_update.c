/* SPDX-License-Identifier: Apache-2.0 */
/* A ruleset that is in force, changed address by address: ex_gate_update(). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"

#define FAR  "198.51.100.7"
#define NEAR "198.51.100.6" /* one bit away */

#define OUTSIDE "203.0.113.9" /* of no class */
#define DESTS   64

static const struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
	{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
};
static const struct ex_delta none;

static int setup(void **state)
{
	(void)state;
	bench_open(&(struct ex_gate_limits){ .dests = DESTS });
	return 0;
}

static int publish(void **state)
{
	(void)state;
	ex_gate_forget(bench_gate, BENCH_IF);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	return 0;
}

static enum ex_reason out(const char *dst, uint16_t sport, uint16_t dport, uint8_t flags)
{
	return bench_out(&(struct pkt_spec){
		.dst = dst, .proto = IPPROTO_TCP, .sport = sport, .dport = dport, .flags = flags });
}

static struct ex_dest_entry dest(const char *ip, uint32_t klass)
{
	struct ex_dest_entry e = { .prefix = 128, .klass = klass };

	assert_true(ex_ip_parse(ip, &e.ip));
	return e;
}

static int put(const char *ip, uint32_t klass, const struct ex_rule_entry *rule)
{
	struct ex_dest_entry d = dest(ip, klass);
	struct ex_rule_entry r = rule ? *rule : (struct ex_rule_entry){ 0 };
	const struct ex_delta delta = {
		.put = { .dests = &d, .n_dests = 1, .rules = &r, .n_rules = rule != NULL }
	};

	return ex_gate_update(bench_gate, BENCH_IF, &delta, &none);
}

/* Other addresses, until there is no room for one more. */
static void fill(void)
{
	char ip[32];
	int r = 0;

	for (int i = 0; r == 0 && i < DESTS; i++) {
		(void)snprintf(ip, sizeof(ip), "203.0.113.%d", i + 20);
		r = put(ip, 2, NULL);
	}
	assert_int_equal(r, -ENOSPC);
}

static int take_out(const char *ip)
{
	struct ex_dest_entry d = dest(ip, 0);
	const struct ex_delta delta = { .gone = &d, .n_gone = 1 };

	return ex_gate_update(bench_gate, BENCH_IF, &delta, &none);
}

/* Class 2 has no rule: silence. */
static void test_one_address_leaves_its_class_and_comes_back(void **state)
{
	(void)state;
	assert_int_equal(out(FAR, 1, 443, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(put(FAR, 2, NULL), 0);
	assert_int_equal(out(FAR, 2, 443, PKT_SYN), EX_R_DEFAULT_DENY);
	assert_int_equal(out(NEAR, 3, 443, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(take_out(FAR), 0);
	assert_int_equal(out(FAR, 4, 443, PKT_SYN), EX_R_ALLOWED);
}

static void test_a_class_that_is_new_brings_its_rules(void **state)
{
	const struct ex_rule_entry rule = {
		3, 32, IPPROTO_TCP, 22, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 }
	};

	(void)state;
	assert_int_equal(out(FAR, 1, 22, PKT_SYN), EX_R_DEFAULT_DENY);
	assert_int_equal(put(FAR, 3, &rule), 0);
	assert_int_equal(out(FAR, 2, 22, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(out(FAR, 3, 443, PKT_SYN), EX_R_DEFAULT_DENY);
	assert_int_equal(out(NEAR, 4, 22, PKT_SYN), EX_R_DEFAULT_DENY);
}

static enum ex_reason answered(const char *src, uint16_t dport)
{
	return bench_in(&(struct pkt_spec){
		.src = src, .dst = NET_OWN4, .proto = IPPROTO_UDP, .sport = 123, .dport = dport });
}

static enum ex_reason ask(const char *dst, uint16_t sport)
{
	return bench_out(&(struct pkt_spec){
		.dst = dst, .proto = IPPROTO_UDP, .sport = sport, .dport = 123 });
}

static enum ex_reason knock(const char *src, uint16_t sport)
{
	return bench_in(&(struct pkt_spec){
		.src = src, .dst = NET_OWN4, .proto = IPPROTO_UDP, .sport = sport, .dport = 123 });
}

static void test_a_live_flow_is_judged_again(void **state)
{
	(void)state;
	assert_int_equal(ask(FAR, 1), EX_R_ALLOWED);
	assert_int_equal(ask(NEAR, 1), EX_R_ALLOWED);
	assert_int_equal(answered(FAR, 1), EX_R_ALLOWED);
	assert_int_equal(put(FAR, 2, NULL), 0);
	assert_int_not_equal(answered(FAR, 1), EX_R_ALLOWED);
	assert_int_not_equal(ask(FAR, 1), EX_R_ALLOWED);
	assert_int_equal(answered(NEAR, 1), EX_R_ALLOWED);
	assert_int_equal(ask(NEAR, 1), EX_R_ALLOWED);
}

/* What a name gave an address does not outlast that it is an endpoint's. */
static void test_its_names_are_forgotten(void **state)
{
	const struct ex_rule_entry rule = {
		5, 32, IPPROTO_TCP, 22, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 }
	};
	const struct ex_tables named = { .rules = (struct ex_rule_entry[]){ rule }, .n_rules = 1 };
	struct ex_ip far = dest(FAR, 0).ip, near = dest(NEAR, 0).ip;

	(void)state;
	assert_int_equal(ex_gate_add_class(bench_gate, BENCH_IF, &named), 0);
	assert_int_equal(ex_gate_learn(bench_gate, BENCH_IF, &far, 5, 60000), 0);
	assert_int_equal(ex_gate_learn(bench_gate, BENCH_IF, &near, 5, 60000), 0);
	assert_int_equal(out(FAR, 1, 22, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(put(FAR, 2, NULL), 0);
	assert_int_equal(out(FAR, 2, 22, PKT_SYN), EX_R_DEFAULT_DENY);
	assert_int_equal(out(NEAR, 3, 22, PKT_SYN), EX_R_ALLOWED);
}

static void test_what_is_out_of_range_is_refused(void **state)
{
	(void)state;
	assert_int_equal(put(FAR, 1u << 30, NULL), -EINVAL);
	bench_ifindex = BENCH_IF;
	ex_gate_forget(bench_gate, BENCH_IF);
	assert_int_equal(put(FAR, 2, NULL), -ENOENT);
	assert_int_equal(ex_gate_update(bench_gate, BENCH_IF, &none, &none), 0);
}

/* An endpoint that is gone takes along what it was allowed, and its live flows. */
static void test_what_is_gone_is_gone_also_when_there_is_no_room(void **state)
{
	const struct ex_rule_entry rule = {
		3, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 }
	};
	struct ex_dest_entry gone = dest(OUTSIDE, 0);
	struct ex_dest_entry fresh[] = { dest("203.0.113.101", 2), dest("203.0.113.102", 2) };
	const struct ex_delta delta = { .put = { .dests = fresh, .n_dests = 2 },
					.gone = &gone,
					.n_gone = 1 };

	(void)state;
	assert_int_equal(ask(OUTSIDE, 1), EX_R_DEFAULT_DENY);
	assert_int_equal(put(OUTSIDE, 3, &rule), 0);
	assert_int_equal(ask(OUTSIDE, 2), EX_R_ALLOWED);
	fill();
	assert_int_equal(ex_gate_update(bench_gate, BENCH_IF, &delta, &none), -ENOSPC);
	assert_int_not_equal(answered(OUTSIDE, 2), EX_R_ALLOWED);
	assert_int_not_equal(ask(OUTSIDE, 2), EX_R_ALLOWED);
	assert_int_equal(ask(OUTSIDE, 3), EX_R_DEFAULT_DENY);
	assert_int_equal(ask(FAR, 4), EX_R_ALLOWED);
}

static void test_what_goes_inward_goes_also_when_there_is_no_room_outward(void **state)
{
	const struct ex_rule_entry rule = {
		1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 }
	};
	struct ex_dest_entry guest = dest(OUTSIDE, 1), fresh[DESTS];
	const struct ex_tables inward = { .dests = &guest,
					  .n_dests = 1,
					  .rules = (struct ex_rule_entry[]){ rule },
					  .n_rules = 1,
					  .n_classes = 1 };
	const struct ex_tables empty = { 0 };
	const struct ex_gate_ruleset both = { .egress = &empty, .ingress = &inward };
	const struct ex_delta in = { .gone = &guest, .n_gone = 1 };
	const struct ex_delta out = { .put = { .dests = fresh, .n_dests = DESTS } };
	struct ex_endpoint ep;
	char ip[32];

	(void)state;
	for (int i = 0; i < DESTS; i++) {
		(void)snprintf(ip, sizeof(ip), "203.0.113.%d", i + 20);
		fresh[i] = dest(ip, 2);
	}
	netns_endpoint(&ep, 0);
	assert_int_equal(ex_gate_publish_both(bench_gate, BENCH_IF, &ep, &both), 0);
	assert_int_equal(knock(OUTSIDE, 1), EX_R_ALLOWED);
	assert_int_equal(ex_gate_update(bench_gate, BENCH_IF, &out, &in), -ENOSPC);
	assert_int_not_equal(knock(OUTSIDE, 1), EX_R_ALLOWED);
}

static void test_a_denial_needs_no_room(void **state)
{
	(void)state;
	assert_int_equal(ask(FAR, 1), EX_R_ALLOWED);
	fill();
	assert_int_equal(ex_gate_deny(bench_gate, BENCH_IF), 0);
	assert_int_equal(ask(FAR, 1), EX_R_NO_ENDPOINT);
	assert_int_equal(answered(FAR, 1), EX_R_NO_ENDPOINT);
	assert_int_equal(out(FAR, 2, 443, PKT_SYN), EX_R_NO_ENDPOINT);
	assert_int_equal(put(FAR, 2, NULL), -ENOENT);
	assert_int_equal(ex_gate_deny(bench_gate, BENCH_IF), 0);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0); /* there is room again */
	assert_int_equal(out(FAR, 2, 443, PKT_SYN), EX_R_ALLOWED);
}

/* Denied by a policy as any other, in which there is nothing; again and again it is the same one.
 */
static void test_a_refusal_needs_no_room_and_is_told(void **state)
{
	const struct pkt_spec syn = {
		.dst = FAR, .proto = IPPROTO_TCP, .sport = 2, .dport = 443, .flags = PKT_SYN
	};
	struct pkt_frame f;

	(void)state;
	pkt_build(&f, &syn);
	assert_int_equal(ask(FAR, 1), EX_R_ALLOWED);
	fill();
	assert_int_equal(ex_gate_deny(bench_gate, BENCH_IF), 0); /* the twin */
	assert_int_equal(bench_send(&f).action, TC_ACT_SHOT);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ex_gate_refuse(bench_gate, BENCH_IF), 0);
		assert_int_equal(ask(FAR, 1), i ? EX_R_DEFAULT_DENY : EX_R_POLICY_CHANGED);
		assert_int_equal(answered(FAR, 1), EX_R_NO_FLOW);
		assert_int_equal(knock(FAR, 3), EX_R_NO_FLOW);
		assert_int_equal(bench_send(&f).action, TC_ACT_REDIRECT);
		assert_int_equal(bench_send(&f).reason, EX_R_DEFAULT_DENY);
	}
	assert_int_equal(put(FAR, 2, NULL), -ENOENT);
	assert_int_equal(ex_gate_deny(bench_gate, BENCH_IF), 0);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	assert_int_equal(out(FAR, 2, 443, PKT_SYN), EX_R_ALLOWED);
}

static void test_nothing_of_it_stays_behind(void **state)
{
	char ip[32];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(ip, sizeof(ip), "198.51.100.%d", i % 50);
		assert_int_equal(i % 3 ? put(ip, 2 + (uint32_t)i % 5, NULL) : take_out(ip), 0);
	}
	assert_true(bench_gate->n_prefixes > 2 && gate_cells_used(bench_gate) > 0);
	ex_gate_forget(bench_gate, BENCH_IF);
	assert_int_equal(bench_gate->n_prefixes, 0);
	assert_int_equal(gate_cells_used(bench_gate), 0);
}

#define update_test(f) cmocka_unit_test_setup(f, publish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		update_test(test_one_address_leaves_its_class_and_comes_back),
		update_test(test_a_class_that_is_new_brings_its_rules),
		update_test(test_a_live_flow_is_judged_again),
		update_test(test_its_names_are_forgotten),
		update_test(test_what_is_out_of_range_is_refused),
		update_test(test_what_is_gone_is_gone_also_when_there_is_no_room),
		update_test(test_what_goes_inward_goes_also_when_there_is_no_room_outward),
		update_test(test_a_denial_needs_no_room),
		update_test(test_a_refusal_needs_no_room_and_is_told),
		update_test(test_nothing_of_it_stays_behind),
	};

	return cmocka_run_group_tests(tests, setup, bench_teardown);
}
