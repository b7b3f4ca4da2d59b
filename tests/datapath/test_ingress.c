/* SPDX-License-Identifier: Apache-2.0 */
/* Flows that the far end opens: served ports, their answers, and nothing beside them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"
#include "tests/datapath/served.h"

#define FAR4   "198.51.100.7"
#define FAR6   "2001:db8::7"
#define BANNED "198.51.100.8"
#define FLOWS  64

#define ALLOW(id)                                                                                  \
	{                                                                                          \
		EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, (id)                                       \
	}

/* From everywhere: TCP 80, UDP 53 and echo; from BANNED nothing; TCP 81 by a rule that is not L4.
 */
static const struct ex_rule_entry served[] = {
	{ 1, 32, IPPROTO_TCP, 80, ALLOW(11) },
	{ 1, 32, IPPROTO_UDP, 53, ALLOW(12) },
	{ 1, 32, IPPROTO_ICMP, 8 << 8, ALLOW(13) },
	{ 1, 32, IPPROTO_ICMPV6, 128 << 8, ALLOW(13) },
	{ 1, 32, IPPROTO_TCP, 81, { EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, 14 } },
	{ 2, 0, 0, 0, { EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, 15 } },
};

/* Nothing may be opened by the workload but TCP 443. */
static struct ex_rule_entry egress[] = { { 1, 32, IPPROTO_TCP, 443, ALLOW(1) } };
static struct ex_dest_entry everywhere[] = { { .prefix = 0, .klass = 1 } };

static void publish_served(size_t n)
{
	struct ex_rule_entry rules[EX_ARRAY_SIZE(served)];
	struct ex_dest_entry from[2] = { { .prefix = 0, .klass = 1 },
					 { .prefix = 128, .klass = 2 } };
	const struct ex_tables out = { everywhere, 1, egress, 1, 1 }, in = { from, 2, rules, n, 2 };
	const struct ex_gate_ruleset ruleset = { .egress = &out, .ingress = n ? &in : NULL };
	struct ex_endpoint ep;

	memcpy(rules, served, sizeof(rules));
	assert_true(ex_ip_parse(BANNED, &from[1].ip));
	netns_endpoint(&ep, 0);
	assert_int_equal(ex_gate_publish_both(bench_gate, BENCH_IF, &ep, &ruleset), 0);
}

static int publish(void **state)
{
	(void)state;
	ex_gate_forget(bench_gate, BENCH_IF);
	publish_served(EX_ARRAY_SIZE(served));
	return 0;
}

static bool six;

static enum ex_reason in(uint8_t proto, uint16_t port, uint8_t flags)
{
	return bench_in(&(struct pkt_spec){ .src = six ? FAR6 : FAR4,
					    .dst = six ? NET_OWN6 : NET_OWN4,
					    .proto = proto,
					    .sport = 50000,
					    .dport = port,
					    .flags = flags });
}

static enum ex_reason out(uint8_t proto, uint16_t port, uint8_t flags)
{
	return bench_out(&(struct pkt_spec){ .dst = six ? FAR6 : FAR4,
					     .proto = proto,
					     .sport = port,
					     .dport = 50000,
					     .flags = flags });
}

static void assert_handshake(void)
{
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_SYN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_ACK), EX_R_ALLOWED);
}

static void test_served_port_is_open_and_the_next_is_not(void **state)
{
	(void)state;
	for (six = false;; six = true) {
		assert_handshake();
		assert_int_equal(in(IPPROTO_TCP, 79, PKT_SYN), EX_R_DEFAULT_DENY);
		assert_int_equal(in(IPPROTO_UDP, 80, 0), EX_R_DEFAULT_DENY);
		assert_int_equal(in(IPPROTO_UDP, 53, 0), EX_R_ALLOWED);
		assert_int_equal(out(IPPROTO_UDP, 53, 0), EX_R_ALLOWED);
		assert_int_equal(out(IPPROTO_UDP, 54, 0), EX_R_DEFAULT_DENY);
		if (six)
			break;
	}
	six = false;
}

static void test_tcp_is_opened_by_a_handshake_only(void **state)
{
	(void)state;
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_SYN | PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_RST), EX_R_NO_FLOW);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_FIN | PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_SYN | PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_SYN), EX_R_ALLOWED); /* again */
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_SYN), EX_R_NO_FLOW); /* not from both ends */
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_SYN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_ACK), EX_R_ALLOWED);
}

static void test_closed_flow_is_closed(void **state)
{
	(void)state;
	assert_handshake();
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_FIN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_FIN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_ACK), EX_R_ALLOWED);
	assert_handshake(); /* the tuple comes back */
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_RST), EX_R_ALLOWED);
	assert_handshake();
}

static void test_unserved_workload_answers_nobody(void **state)
{
	(void)state;
	publish_served(0);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_SYN), EX_R_NO_FLOW);
	assert_int_equal(in(IPPROTO_UDP, 53, 0), EX_R_NO_FLOW);
	assert_int_equal(in(IPPROTO_ICMP, 8 << 8, 0), EX_R_NO_FLOW);
}

static void test_far_end_may_be_denied(void **state)
{
	struct pkt_spec s = {
		.src = BANNED, .dst = NET_OWN4, .proto = IPPROTO_TCP, .sport = 50000, .dport = 80
	};

	(void)state;
	assert_int_equal(bench_in(&s), EX_R_POLICY_DENY);
	s.src = FAR4;
	assert_int_equal(bench_in(&s), EX_R_ALLOWED);
}

static void test_rule_that_needs_a_proxy_is_not_served(void **state)
{
	(void)state;
	assert_int_equal(in(IPPROTO_TCP, 81, PKT_SYN), EX_R_UNSUPPORTED);
}

static enum ex_reason echo_in(uint16_t type, uint16_t id)
{
	return bench_in(&(struct pkt_spec){
		.src = FAR4, .dst = NET_OWN4, .proto = IPPROTO_ICMP, .sport = id, .dport = type });
}

static enum ex_reason echo_out(uint16_t type, uint16_t id)
{
	return bench_out(&(struct pkt_spec){
		.dst = FAR4, .proto = IPPROTO_ICMP, .sport = id, .dport = type });
}

static void test_echo_is_answered_once_asked(void **state)
{
	(void)state;
	assert_int_equal(echo_out(0, 7), EX_R_DEFAULT_DENY);
	assert_int_equal(echo_in(8 << 8, 7), EX_R_ALLOWED);
	assert_int_equal(echo_out(0, 7), EX_R_ALLOWED);
	assert_int_equal(echo_out(0, 8), EX_R_DEFAULT_DENY);
	assert_int_equal(echo_out(8 << 8, 7),
			 EX_R_DEFAULT_DENY);           /* being asked is no leave to ask */
	assert_int_equal(echo_in(0, 7), EX_R_NO_FLOW); /* nor to be answered */
	assert_int_equal(echo_in(13 << 8, 7), EX_R_DEFAULT_DENY);
}

/* A change of policy acts on flows of this direction, too. */
static void test_revoked_service_ends(void **state)
{
	(void)state;
	assert_handshake();
	publish_served(EX_ARRAY_SIZE(served));
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_ACK), EX_R_ALLOWED);
	publish_served(0);
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_ACK), EX_R_POLICY_CHANGED);
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_ACK), EX_R_NO_FLOW);
}

/* What a service is allowed to answer is not a way to open something. */
static void test_flow_of_the_other_direction_does_not_help(void **state)
{
	(void)state;
	assert_int_equal(in(IPPROTO_UDP, 53, 0), EX_R_ALLOWED);
	assert_int_equal(bench_out(&(struct pkt_spec){
				 .dst = FAR4, .proto = IPPROTO_UDP, .sport = 53, .dport = 50001 }),
			 EX_R_DEFAULT_DENY);
	assert_int_equal(
		bench_out(&(struct pkt_spec){
			.dst = BANNED, .proto = IPPROTO_UDP, .sport = 53, .dport = 50000 }),
		EX_R_DEFAULT_DENY);
}

static struct ex_event last;

static void note(void *arg, const struct ex_event *ev)
{
	(void)arg;
	last = *ev;
}

static void assert_event(uint8_t type, uint8_t direction, const char *src, uint16_t dport)
{
	struct ex_ip ip;

	last = (struct ex_event){ 0 };
	assert_int_equal(ex_gate_events_drain(bench_gate, note, NULL), 0);
	assert_int_equal(last.type, type);
	assert_int_equal(last.direction, direction);
	assert_true(ex_ip_parse(src, &ip));
	assert_memory_equal(&last.src, &ip, sizeof(ip));
	assert_int_equal(ntohs(last.dport), dport);
}

static void test_events_tell_who_opened_the_flow(void **state)
{
	(void)state;
	assert_int_equal(in(IPPROTO_TCP, 80, PKT_SYN), EX_R_ALLOWED);
	assert_event(EX_EV_NEW, EX_DIR_INGRESS, FAR4, 80);
	assert_int_equal(last.rule, 11);
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_SYN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(out(IPPROTO_TCP, 80, PKT_RST), EX_R_ALLOWED);
	assert_event(EX_EV_END, EX_DIR_INGRESS, FAR4, 80);
	assert_int_equal(last.packets, 3);
	assert_true(last.bytes >= 3 * 54);
	assert_int_equal(in(IPPROTO_TCP, 79, PKT_SYN), EX_R_DEFAULT_DENY);
	assert_event(EX_EV_DENY, EX_DIR_INGRESS, FAR4, 79);
	assert_int_equal(out(IPPROTO_TCP, 79, PKT_SYN), EX_R_DEFAULT_DENY);
	assert_event(EX_EV_DENY, EX_DIR_EGRESS, NET_OWN4, 50000);
}

/* Whoever is outside cannot take the room that the workload needs to open flows itself. */
static void test_far_ends_fill_a_part_of_the_table_only(void **state)
{
	struct pkt_spec s = { .src = FAR4, .dst = NET_OWN4, .proto = IPPROTO_UDP, .dport = 53 };
	int let_in = 0;

	(void)state;
	for (s.sport = 1; s.sport <= FLOWS; s.sport++)
		let_in += bench_in(&s) == EX_R_ALLOWED;
	assert_int_equal(let_in, FLOWS - FLOWS / 4);
	assert_int_equal(bench_in(&s), EX_R_TABLE_FULL);
	s = (struct pkt_spec){ .dst = FAR4, .proto = IPPROTO_TCP, .dport = 443 };
	for (s.sport = 1; s.sport <= FLOWS / 4; s.sport++)
		assert_int_equal(bench_out(&s), EX_R_ALLOWED);
	assert_int_equal(bench_out(&s), EX_R_TABLE_FULL);
}

/* Nor by datagrams of one flow, each in fragments. */
static void test_far_ends_fill_no_more_by_fragments(void **state)
{
	struct pkt_spec s = { .src = FAR4,
			      .dst = NET_OWN4,
			      .proto = IPPROTO_UDP,
			      .sport = 1,
			      .dport = 53,
			      .payload_len = 32,
			      .frag = 0x2000 };
	struct pkt_frame f;
	int let_in = 0;

	(void)state;
	for (s.frag_id = 1; s.frag_id <= FLOWS; s.frag_id++) {
		pkt_build(&f, &s);
		pkt_put16(f.b + f.l4 + 4, 8 + 32 + 8); /* there is more of it */
		let_in += bench_receive(&f).reason == EX_R_ALLOWED;
	}
	assert_int_equal(let_in, FLOWS - FLOWS / 4 - 1); /* and the flow */
	s = (struct pkt_spec){ .dst = FAR4, .proto = IPPROTO_TCP, .dport = 443 };
	for (s.sport = 1; s.sport <= FLOWS / 4; s.sport++)
		assert_int_equal(bench_out(&s), EX_R_ALLOWED);
}

static void test_ranges_are_served_to_their_ends(void **state)
{
	const struct served_ports ports[] = { { IPPROTO_TCP, 1000, 2047 },
					      { IPPROTO_TCP, 65535, 65535 },
					      { IPPROTO_UDP, 0, 65535 } };
	const struct served_ports wrong = { IPPROTO_TCP, 2, 1 };
	const struct ex_tables none = { 0 };
	struct ex_gate_ruleset ruleset = { .egress = &none };
	struct ex_tables t;
	struct ex_endpoint ep;

	(void)state;
	assert_int_equal(served_tables(&wrong, 1, &t), -EINVAL);
	assert_int_equal(served_tables(ports, EX_ARRAY_SIZE(ports), &t), 0);
	ruleset.ingress = &t;
	netns_endpoint(&ep, 0);
	assert_int_equal(ex_gate_publish_both(bench_gate, BENCH_IF, &ep, &ruleset), 0);
	ex_tables_done(&t);
	assert_int_equal(in(IPPROTO_TCP, 999, PKT_SYN), EX_R_DEFAULT_DENY);
	assert_int_equal(in(IPPROTO_TCP, 1000, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(in(IPPROTO_TCP, 2047, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(in(IPPROTO_TCP, 2048, PKT_SYN), EX_R_DEFAULT_DENY);
	assert_int_equal(in(IPPROTO_TCP, 65534, PKT_SYN), EX_R_DEFAULT_DENY);
	assert_int_equal(in(IPPROTO_TCP, 65535, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(in(IPPROTO_UDP, 1, 0), EX_R_ALLOWED);
	assert_int_equal(in(IPPROTO_UDP, 65535, 0), EX_R_ALLOWED);
}

static int setup(void **state)
{
	(void)state;
	bench_open(&(struct ex_gate_limits){ .flows = FLOWS });
	return 0;
}

#define ingress_test(f) cmocka_unit_test_setup(f, publish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ingress_test(test_served_port_is_open_and_the_next_is_not),
		ingress_test(test_tcp_is_opened_by_a_handshake_only),
		ingress_test(test_closed_flow_is_closed),
		ingress_test(test_unserved_workload_answers_nobody),
		ingress_test(test_far_end_may_be_denied),
		ingress_test(test_rule_that_needs_a_proxy_is_not_served),
		ingress_test(test_echo_is_answered_once_asked),
		ingress_test(test_revoked_service_ends),
		ingress_test(test_flow_of_the_other_direction_does_not_help),
		ingress_test(test_events_tell_who_opened_the_flow),
		ingress_test(test_far_ends_fill_a_part_of_the_table_only),
		ingress_test(test_far_ends_fill_no_more_by_fragments),
		ingress_test(test_ranges_are_served_to_their_ends),
	};

	return cmocka_run_group_tests(tests, setup, bench_teardown);
}
