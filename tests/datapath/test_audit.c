/* SPDX-License-Identifier: Apache-2.0 */
/* Audit mode: what enforcement would deny passes, and every flow of it is told with the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"

#define FAR4   "198.51.100.7"
#define FAR6   "2001:db8::7"
#define NAMED  "203.0.113.5"        /* known by name only */
#define NAT64  "64:ff9b::c633:6407" /* holds FAR4 */
#define BANNED 7                    /* the rule that denies */

static const struct ex_rule allowed = { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 };
static const struct ex_rule held_back = { EX_V_ALLOW, EX_KIND_NONE, EX_R_POLICY_DENY, BANNED };
static const struct ex_rule denied = { EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, BANNED };
static const struct ex_rule by_default = { EX_V_ALLOW, EX_KIND_NONE, EX_R_DEFAULT_DENY, 0 };

/* What stands at TCP 443; and beside it one of each. */
static void publish(struct ex_rule at_443)
{
	const struct ex_rule_entry rules[] = {
		{ 1, 32, IPPROTO_TCP, 443, at_443 },
		{ 1, 32, IPPROTO_TCP, 444, held_back },
		{ 1, 32, IPPROTO_TCP, 445, denied },
		{ 1, 32, IPPROTO_UDP, 53, by_default },
		{ 1, 32, IPPROTO_ICMP, 13 << 8, by_default },
	};

	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), EX_EP_SILENT);
}

static struct ex_event last;
static unsigned events;

static void note(void *arg, const struct ex_event *ev)
{
	(void)arg;
	last = *ev;
	events++;
}

/* The one event that the packet makes. */
static struct ex_event told(const char *dst, uint8_t proto, uint16_t port, uint8_t flags)
{
	last = (struct ex_event){ 0 };
	events = 0;
	(void)bench_out(&(struct pkt_spec){
		.dst = dst, .proto = proto, .sport = 1000, .dport = port, .flags = flags });
	assert_int_equal(ex_gate_events_drain(bench_gate, note, NULL), 0);
	assert_true(events <= 1);
	return last;
}

static void assert_told(const struct ex_event *ev, enum ex_event_type type, enum ex_reason reason,
			uint32_t rule)
{
	assert_int_equal(ev->type, type);
	assert_int_equal(ev->verdict, type == EX_EV_DENY ? EX_V_DENY : EX_V_ALLOW);
	assert_int_equal(ev->reason, reason);
	assert_int_equal(ev->rule, rule);
	assert_int_equal(ex_event_is_verdict(ev),
			 type == EX_EV_DENY || (type != EX_EV_END && reason != EX_R_ALLOWED));
}

static int fresh(void **state)
{
	(void)state;
	ex_gate_forget(bench_gate, BENCH_IF);
	publish(allowed);
	assert_int_equal(ex_gate_events_drain(bench_gate, note, NULL), 0);
	return 0;
}

static void test_flow_that_only_audit_mode_allows_is_told_with_reason_and_rule(void **state)
{
	struct ex_event ev;

	(void)state;
	ev = told(FAR4, IPPROTO_TCP, 443, PKT_SYN);
	assert_told(&ev, EX_EV_NEW, EX_R_ALLOWED, 1);
	ev = told(FAR4, IPPROTO_TCP, 444, PKT_SYN);
	assert_told(&ev, EX_EV_NEW, EX_R_POLICY_DENY, BANNED);
	ev = told(FAR4, IPPROTO_TCP, 445, PKT_SYN);
	assert_told(&ev, EX_EV_DENY, EX_R_POLICY_DENY, BANNED);
	ev = told(FAR6, IPPROTO_UDP, 53, 0);
	assert_told(&ev, EX_EV_NEW, EX_R_DEFAULT_DENY, 0);
	ev = told(FAR6, IPPROTO_UDP, 54, 0);
	assert_told(&ev, EX_EV_DENY, EX_R_DEFAULT_DENY, 0);
}

static void test_packet_without_a_flow_is_told_each_time(void **state)
{
	struct ex_event ev;

	(void)state;
	for (int i = 0; i < 2; i++) { /* ICMP timestamp: nothing answers it */
		ev = told(FAR4, IPPROTO_ICMP, 13 << 8, 0);
		assert_told(&ev, EX_EV_AUDIT, EX_R_DEFAULT_DENY, 0);
	}
}

static void test_flow_is_told_once_and_its_end_bears_the_reason(void **state)
{
	struct ex_event ev;

	(void)state;
	(void)told(FAR4, IPPROTO_TCP, 444, PKT_SYN);
	(void)told(FAR4, IPPROTO_TCP, 444, PKT_SYN);
	assert_int_equal(bench_in(&(struct pkt_spec){ .src = FAR4,
						      .dst = NET_OWN4,
						      .proto = IPPROTO_TCP,
						      .sport = 444,
						      .dport = 1000,
						      .flags = PKT_SYN | PKT_ACK }),
			 EX_R_ALLOWED);
	ev = told(FAR4, IPPROTO_TCP, 444, PKT_ACK);
	assert_int_equal(events, 0);
	ev = told(FAR4, IPPROTO_TCP, 444, PKT_RST);
	assert_told(&ev, EX_EV_END, EX_R_POLICY_DENY, BANNED);
}

static void test_live_flow_is_told_when_only_audit_mode_allows_it_from_now_on(void **state)
{
	struct ex_event ev;

	(void)state;
	(void)told(FAR4, IPPROTO_TCP, 443, PKT_SYN);
	publish(held_back);
	ev = told(FAR4, IPPROTO_TCP, 443, PKT_SYN);
	assert_int_equal(events, 1);
	ev = told(FAR6, IPPROTO_UDP, 53, 0);
	assert_told(&ev, EX_EV_NEW, EX_R_DEFAULT_DENY, 0);
	publish(held_back); /* nothing new about it */
	(void)told(FAR6, IPPROTO_UDP, 53, 0);
	assert_int_equal(events, 0);
}

static void open_443(void)
{
	(void)told(FAR4, IPPROTO_TCP, 443, PKT_SYN);
	assert_int_equal(bench_in(&(struct pkt_spec){ .src = FAR4,
						      .dst = NET_OWN4,
						      .proto = IPPROTO_TCP,
						      .sport = 443,
						      .dport = 1000,
						      .flags = PKT_SYN | PKT_ACK }),
			 EX_R_ALLOWED);
	(void)told(FAR4, IPPROTO_TCP, 443, PKT_ACK);
	assert_int_equal(events, 0);
}

static void test_new_policy_in_audit_mode_tells_of_live_flows_and_enforced_ends_them(void **state)
{
	struct ex_event ev;

	(void)state;
	open_443();
	publish(held_back);
	ev = told(FAR4, IPPROTO_TCP, 443, PKT_ACK);
	assert_told(&ev, EX_EV_AUDIT, EX_R_POLICY_DENY, BANNED);
	(void)told(FAR4, IPPROTO_TCP, 443, PKT_ACK);
	assert_int_equal(events, 0);
	publish(denied);
	ev = told(FAR4, IPPROTO_TCP, 443, PKT_ACK);
	assert_told(&ev, EX_EV_DENY, EX_R_POLICY_CHANGED, BANNED);
}

/* The name allows it: what default deny would have denied is no news; what a rule denies is. */
static void test_name_that_allows_is_no_audit_but_a_deny_held_back_is(void **state)
{
	struct ex_rule_entry entries[] = {
		{ 1, 32, IPPROTO_UDP, 53, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 9 } }
	};
	struct ex_rule_entry rules[] = { { 1, 32, IPPROTO_UDP, 53, by_default },
					 { 1, 32, IPPROTO_UDP, 54, by_default } };
	struct ex_dest_entry everywhere[] = { { .prefix = 0, .klass = 1 } };
	const struct ex_tables all = { everywhere, 1, rules, 2, 1 };
	struct ex_tables names = { .rules = entries, .n_rules = 1 };
	struct ex_event ev;
	struct ex_ip ip;

	(void)state;
	bench_publish(&all, EX_EP_SILENT);
	entries[0].klass = 2;
	assert_int_equal(ex_gate_add_class(bench_gate, BENCH_IF, &names), 0);
	assert_true(ex_ip_parse(NAMED, &ip));
	assert_int_equal(ex_gate_learn(bench_gate, BENCH_IF, &ip, 2, 60000), 0);
	ev = told(NAMED, IPPROTO_UDP, 53, 0);
	assert_told(&ev, EX_EV_NEW, EX_R_ALLOWED, 9);
	ev = told(NAMED, IPPROTO_UDP, 54, 0);
	assert_told(&ev, EX_EV_NEW, EX_R_DEFAULT_DENY, 0);
	rules[0].value = held_back;
	bench_publish(&all, EX_EP_SILENT);
	ev = told(FAR4, IPPROTO_UDP, 53, 0);
	assert_told(&ev, EX_EV_NEW, EX_R_POLICY_DENY, BANNED);
}

/* A deny of the IPv6 form that audit mode holds back allows nothing that is not allowed anyway. */
static void test_deny_held_back_for_a_translated_address_opens_nothing(void **state)
{
	struct ex_rule_entry rules[] = {
		{ 1, 32, IPPROTO_UDP, 53, allowed },
		{ 2, 0, 0, 0, held_back },
	};
	struct ex_dest_entry dests[] = { { .prefix = 128, .klass = 1 },
					 { .prefix = 96, .klass = 2 } };
	const struct ex_tables t = { dests, 2, rules, 2, 2 };
	struct ex_event ev;

	(void)state;
	assert_true(ex_ip_parse(FAR4, &dests[0].ip));
	assert_true(ex_ip_parse("64:ff9b::", &dests[1].ip));
	bench_publish(&t, EX_EP_SILENT);
	ev = told(NAT64, IPPROTO_UDP, 53, 0);
	assert_told(&ev, EX_EV_NEW, EX_R_POLICY_DENY, BANNED);
	ev = told(NAT64, IPPROTO_UDP, 54, 0);
	assert_told(&ev, EX_EV_DENY, EX_R_DEFAULT_DENY, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh)
	const struct CMUnitTest tests[] = {
		TEST(test_flow_that_only_audit_mode_allows_is_told_with_reason_and_rule),
		TEST(test_packet_without_a_flow_is_told_each_time),
		TEST(test_flow_is_told_once_and_its_end_bears_the_reason),
		TEST(test_live_flow_is_told_when_only_audit_mode_allows_it_from_now_on),
		TEST(test_new_policy_in_audit_mode_tells_of_live_flows_and_enforced_ends_them),
		TEST(test_name_that_allows_is_no_audit_but_a_deny_held_back_is),
		TEST(test_deny_held_back_for_a_translated_address_opens_nothing),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
