/* SPDX-License-Identifier: Apache-2.0 */
/* What the policy decides, and what belongs to a flow. Each "allowed" has a twin one field away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"

#define ALLOW(rule)                                                                                \
	{                                                                                          \
		EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, rule                                       \
	}
#define DENY(rule)                                                                                 \
	{                                                                                          \
		EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, rule                                    \
	}
#define STEER(k, rule)                                                                             \
	{                                                                                          \
		EX_V_STEER, k, EX_R_ALLOWED, rule                                                  \
	}

static const struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_TCP, 443, ALLOW(1) },
	{ 1, 32, IPPROTO_TCP, 80, STEER(EX_KIND_TCP, 2) },
	{ 1, 32, IPPROTO_TCP, 22, DENY(3) },
	{ 1, 28, IPPROTO_TCP, 0x2340, ALLOW(4) }, /* 0x2340 to 0x234f */
	{ 1, 32, IPPROTO_UDP, 123, ALLOW(5) },
	{ 1, 32, IPPROTO_ICMP, 8 << 8, ALLOW(6) },
	{ 1, 32, IPPROTO_ICMPV6, 128 << 8, ALLOW(6) },
	{ 1, 16, IPPROTO_SCTP, 0, ALLOW(7) },
	{ 1, 16, IPPROTO_GRE, 0, ALLOW(8) },
};

static int publish(void **state)
{
	(void)state;
	ex_gate_forget(bench_gate, BENCH_IF);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	return 0;
}

static enum ex_reason out(const char *dst, uint8_t proto, uint16_t dport)
{
	return bench_out(
		&(struct pkt_spec){ .dst = dst, .proto = proto, .sport = 40000, .dport = dport });
}

static void test_rule_allows_its_port_and_no_other(void **state)
{
	const char *const dst[] = { "198.51.100.7", "2001:db8::7" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(out(dst[i], IPPROTO_TCP, 443), EX_R_ALLOWED);
		assert_int_equal(out(dst[i], IPPROTO_TCP, 442), EX_R_DEFAULT_DENY);
		assert_int_equal(out(dst[i], IPPROTO_UDP, 443), EX_R_DEFAULT_DENY);
		assert_int_equal(out(dst[i], IPPROTO_UDP, 123), EX_R_ALLOWED);
		assert_int_equal(out(dst[i], IPPROTO_TCP, 22), EX_R_POLICY_DENY);
		assert_int_equal(out(dst[i], IPPROTO_SCTP, 9), EX_R_ALLOWED);
		assert_int_equal(out(dst[i], IPPROTO_GRE, 0), EX_R_ALLOWED);
		assert_int_equal(out(dst[i], IPPROTO_ESP, 0), EX_R_DEFAULT_DENY);
	}
}

static void test_range_ends_where_it_ends(void **state)
{
	(void)state;
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 0x233f), EX_R_DEFAULT_DENY);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 0x2340), EX_R_ALLOWED);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 0x234f), EX_R_ALLOWED);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 0x2350), EX_R_DEFAULT_DENY);
}

static void test_prefix_ends_where_it_ends(void **state)
{
	(void)state;
	assert_int_equal(out("198.51.100.255", IPPROTO_TCP, 443), EX_R_ALLOWED);
	assert_int_equal(out("198.51.101.0", IPPROTO_TCP, 443), EX_R_DEFAULT_DENY);
	assert_int_equal(out("198.51.99.255", IPPROTO_TCP, 443), EX_R_DEFAULT_DENY);
	assert_int_equal(out("2001:db8:ffff::", IPPROTO_TCP, 443), EX_R_ALLOWED);
	assert_int_equal(out("2001:db9::", IPPROTO_TCP, 443), EX_R_DEFAULT_DENY);
}

static void test_steered_flow_without_a_proxy_is_denied(void **state)
{
	(void)state;
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 80), EX_R_NO_PROXY);
	assert_int_equal(out("2001:db8::7", IPPROTO_TCP, 80), EX_R_NO_PROXY);
}

static void test_carried_endpoint_forwards_nothing(void **state)
{
	(void)state;
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), EX_EP_CARRY);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 443), EX_R_NO_PROXY);
	assert_int_equal(out("198.51.100.7", IPPROTO_UDP, 123), EX_R_NO_PROXY);
	assert_int_equal(out("198.51.100.7", IPPROTO_SCTP, 9), EX_R_UNSUPPORTED);
	assert_int_equal(out("198.51.100.7", IPPROTO_ICMP, 8 << 8), EX_R_UNSUPPORTED);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 444), EX_R_DEFAULT_DENY);
}

static void test_embedded_ipv4_is_judged_as_what_it_hides(void **state)
{
	(void)state;
	assert_int_equal(out("64:ff9b::198.51.100.7", IPPROTO_TCP, 443), EX_R_ALLOWED);
	assert_int_equal(out("64:ff9b::198.51.100.7", IPPROTO_TCP, 22), EX_R_POLICY_DENY);
	assert_int_equal(out("64:ff9b::198.51.101.7", IPPROTO_TCP, 443), EX_R_DEFAULT_DENY);
	assert_int_equal(out("2002:c633:6407::1", IPPROTO_TCP, 443), EX_R_ALLOWED);
	assert_int_equal(out("2002:c633:6507::1", IPPROTO_TCP, 443), EX_R_DEFAULT_DENY);
	assert_int_equal(out("64:ff9b::127.0.0.1", IPPROTO_TCP, 443), EX_R_MARTIAN);
	assert_int_equal(out("2002:7f00:1::1", IPPROTO_TCP, 443), EX_R_MARTIAN);
}

static void test_deny_of_the_ipv6_form_denies_embedded_ipv4(void **state)
{
	struct ex_dest_entry dests[2] = { { .prefix = 96 + 24, .klass = 1 },
					  { .prefix = 96, .klass = 2 } };
	struct ex_rule_entry both[] = {
		{ 1, 0, 0, 0, ALLOW(1) },
		{ 2, 32, IPPROTO_TCP, 443, DENY(2) },
		{ 2, 16, IPPROTO_TCP, 0, ALLOW(3) },
	};
	struct ex_tables t = { dests, 2, both, EX_ARRAY_SIZE(both), 2 };

	(void)state;
	assert_true(ex_ip_parse("198.51.100.0", &dests[0].ip));
	assert_true(ex_ip_parse("64:ff9b::", &dests[1].ip));
	bench_publish(&t, 0);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 443), EX_R_ALLOWED);
	assert_int_equal(out("64:ff9b::198.51.100.7", IPPROTO_TCP, 80), EX_R_ALLOWED);
	assert_int_equal(out("64:ff9b::198.51.100.7", IPPROTO_TCP, 443), EX_R_POLICY_DENY);
	/* an allow of the IPv6 form is not an allow of what it hides */
	assert_int_equal(out("64:ff9b::198.51.101.7", IPPROTO_TCP, 80), EX_R_DEFAULT_DENY);
}

/* ---- names ---- */

static void learn(const char *ip, uint32_t klass, uint64_t ttl_ms)
{
	struct ex_ip addr;

	assert_true(ex_ip_parse(ip, &addr));
	assert_int_equal(ex_gate_learn(bench_gate, BENCH_IF, &addr, klass, ttl_ms), 0);
}

static void add_name_class(void)
{
	struct ex_rule_entry named[] = {
		{ 2, 32, IPPROTO_TCP, 8443, ALLOW(20) },
		{ 2, 32, IPPROTO_TCP, 22, ALLOW(21) },
		{ 2, 32, IPPROTO_TCP, 80, ALLOW(22) },
		{ 2, 32, IPPROTO_TCP, 443, STEER(EX_KIND_TCP, 23) },
	};
	struct ex_tables t = { .rules = named, .n_rules = EX_ARRAY_SIZE(named) };

	assert_int_equal(ex_gate_add_class(bench_gate, BENCH_IF, &t), 0);
}

static void test_learned_address_is_allowed_while_it_lives(void **state)
{
	(void)state;
	add_name_class();
	assert_int_equal(out("203.0.113.5", IPPROTO_TCP, 8443), EX_R_DEFAULT_DENY);
	learn("203.0.113.5", 2, 60000);
	learn("2001:db9::5", 2, 60000);
	assert_int_equal(out("203.0.113.5", IPPROTO_TCP, 8443), EX_R_ALLOWED);
	assert_int_equal(out("2001:db9::5", IPPROTO_TCP, 8443), EX_R_ALLOWED);
	assert_int_equal(out("203.0.113.5", IPPROTO_TCP, 8444), EX_R_DEFAULT_DENY);
	assert_int_equal(out("203.0.113.6", IPPROTO_TCP, 8443), EX_R_DEFAULT_DENY);
	learn("203.0.113.5", 2, 0);
	learn("2001:db9::6", 2, 1); /* a life is never cut short, so another address */
	usleep(20000);
	assert_int_equal(bench_out(&(struct pkt_spec){ .dst = "203.0.113.5",
						       .proto = IPPROTO_TCP,
						       .sport = 40001,
						       .dport = 8443 }),
			 EX_R_DEFAULT_DENY);
	assert_int_equal(bench_out(&(struct pkt_spec){ .dst = "2001:db9::6",
						       .proto = IPPROTO_TCP,
						       .sport = 40001,
						       .dport = 8443 }),
			 EX_R_DEFAULT_DENY);
}

static void test_name_and_prefix_merge_deny_allow_steer(void **state)
{
	(void)state;
	add_name_class();
	learn("198.51.100.7", 2, 60000);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 22), EX_R_POLICY_DENY);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 80), EX_R_ALLOWED);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 443), EX_R_ALLOWED);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 8443), EX_R_ALLOWED);
	assert_int_equal(out("198.51.100.8", IPPROTO_TCP, 80), EX_R_NO_PROXY);
}

/* ---- flows ---- */

#define FAR "198.51.100.7"

static enum ex_reason tcp_out(uint8_t flags)
{
	return bench_out(&(struct pkt_spec){
		.dst = FAR, .proto = IPPROTO_TCP, .sport = 40000, .dport = 443, .flags = flags });
}

static enum ex_reason tcp_in(uint8_t flags)
{
	return bench_in(&(struct pkt_spec){ .src = FAR,
					    .dst = NET_OWN4,
					    .proto = IPPROTO_TCP,
					    .sport = 443,
					    .dport = 40000,
					    .flags = flags });
}

static void test_tcp_life(void **state)
{
	(void)state;
	assert_int_equal(tcp_in(PKT_SYN | PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(PKT_FIN | PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(PKT_RST), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(PKT_SYN | PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(tcp_out(PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(tcp_out(PKT_ACK), EX_R_NO_FLOW); /* nothing to acknowledge yet */
	assert_int_equal(tcp_in(PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_in(PKT_SYN), EX_R_NO_FLOW);
	assert_int_equal(tcp_in(PKT_SYN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_out(PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_out(PKT_PSH | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_in(PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_in(PKT_SYN), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(PKT_FIN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_in(PKT_FIN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_out(PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_out(PKT_SYN), EX_R_ALLOWED); /* the port is used again */
	assert_int_equal(tcp_out(PKT_ACK), EX_R_NO_FLOW);
}

static void test_answer_has_to_match_the_flow_in_every_field(void **state)
{
	struct pkt_spec ok = { .src = FAR,
			       .dst = NET_OWN4,
			       .proto = IPPROTO_TCP,
			       .sport = 443,
			       .dport = 40000,
			       .flags = PKT_SYN | PKT_ACK };
	struct pkt_spec bad;

	(void)state;
	assert_int_equal(tcp_out(PKT_SYN), EX_R_ALLOWED);
	bad = ok;
	bad.src = "198.51.100.8";
	assert_int_equal(bench_in(&bad), EX_R_NO_FLOW);
	bad = ok;
	bad.sport = 444;
	assert_int_equal(bench_in(&bad), EX_R_NO_FLOW);
	bad = ok;
	bad.dport = 40001;
	assert_int_equal(bench_in(&bad), EX_R_NO_FLOW);
	bad = ok;
	bad.dst = "192.0.0.3";
	assert_int_equal(bench_in(&bad), EX_R_NO_FLOW);
	bad = ok;
	bad.proto = IPPROTO_UDP;
	assert_int_equal(bench_in(&bad), EX_R_NO_FLOW);
	assert_int_equal(bench_in(&ok), EX_R_ALLOWED);
}

static void test_udp_answer_enters_only_after_a_question(void **state)
{
	struct pkt_spec answer = { .src = "2001:db8::7",
				   .dst = NET_OWN6,
				   .proto = IPPROTO_UDP,
				   .sport = 123,
				   .dport = 40000 };

	(void)state;
	assert_int_equal(bench_in(&answer), EX_R_NO_FLOW);
	assert_int_equal(out("2001:db8::7", IPPROTO_UDP, 123), EX_R_ALLOWED);
	assert_int_equal(bench_in(&answer), EX_R_ALLOWED);
	answer.dport++;
	assert_int_equal(bench_in(&answer), EX_R_NO_FLOW);
}

static void assert_echo(const char *far, const char *own, uint8_t proto, uint8_t query,
			uint8_t reply)
{
	struct pkt_spec ask = {
		.dst = far, .proto = proto, .sport = 77, .dport = (uint16_t)(query << 8)
	};
	struct pkt_spec answer = {
		.src = far, .dst = own, .proto = proto, .sport = 77, .dport = (uint16_t)(reply << 8)
	};

	assert_int_equal(bench_in(&answer), EX_R_NO_FLOW);
	assert_int_equal(bench_out(&ask), EX_R_ALLOWED);
	assert_int_equal(bench_in(&answer), EX_R_ALLOWED);
	answer.sport = 78;
	assert_int_equal(bench_in(&answer), EX_R_NO_FLOW);
	ask.dport = (uint16_t)(reply << 8);
	assert_int_equal(bench_out(&ask), EX_R_DEFAULT_DENY);
	ask.dport = (uint16_t)(query << 8 | 1);
	assert_int_equal(bench_out(&ask), EX_R_DEFAULT_DENY);
}

static void test_echo_reply_enters_only_after_its_request(void **state)
{
	(void)state;
	assert_echo("198.51.100.7", NET_OWN4, IPPROTO_ICMP, 8, 0);
	assert_echo("2001:db8::7", NET_OWN6, IPPROTO_ICMPV6, 128, 129);
}

static void test_policy_change_ends_a_live_flow(void **state)
{
	(void)state;
	assert_int_equal(tcp_out(PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(tcp_in(PKT_SYN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_out(PKT_ACK), EX_R_ALLOWED);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	assert_int_equal(tcp_out(PKT_ACK), EX_R_ALLOWED); /* still allowed: lives on */
	bench_publish_rules(rules + 1, EX_ARRAY_SIZE(rules) - 1, 0);
	assert_int_equal(tcp_in(PKT_ACK), EX_R_POLICY_CHANGED);
	assert_int_equal(tcp_out(PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(PKT_SYN), EX_R_DEFAULT_DENY);
}

static void test_interface_without_endpoint_is_closed(void **state)
{
	(void)state;
	ex_gate_forget(bench_gate, BENCH_IF);
	assert_int_equal(tcp_out(PKT_SYN), EX_R_NO_ENDPOINT);
	assert_int_equal(tcp_in(PKT_SYN | PKT_ACK), EX_R_NO_ENDPOINT);
}

/* Half of an entry, or one of another version of the gate. */
static void test_rule_without_a_meaning_denies(void **state)
{
	static const struct ex_rule odd[] = {
		{ 0 },
		{ .verdict = EX_V_STEER + EX_V_ALLOW + EX_V_DENY, .reason = EX_R_ALLOWED },
		{ .verdict = EX_V_DENY },
		{ .verdict = EX_V_DENY, .reason = EX_R_ALLOWED },
	};
	int fd = gate_map_fd(bench_gate, "ex_rules");
	struct ex_rule_key key, *last = NULL;
	struct ex_counted_rule value;

	(void)state;
	while (bpf_map_get_next_key(fd, last, &key) == 0 &&
	       (ntohs(key.proto) != IPPROTO_TCP || ntohs(key.port) != 443))
		last = &key;
	assert_int_equal(ntohs(key.port), 443);
	assert_int_equal(out("198.51.100.7", IPPROTO_TCP, 443), EX_R_ALLOWED);
	for (size_t i = 0; i < EX_ARRAY_SIZE(odd); i++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
		value.rule = odd[i];
		assert_int_equal(bpf_map_update_elem(fd, &key, &value, BPF_EXIST), 0);
		assert_int_equal(out("198.51.100.8", IPPROTO_TCP, 443), EX_R_INTERNAL);
	}
}

static void test_rule_counter_counts(void **state)
{
	struct ex_counter c;

	(void)state;
	assert_int_equal(tcp_out(PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(out(FAR, IPPROTO_TCP, 22), EX_R_POLICY_DENY);
	assert_int_equal(out(FAR, IPPROTO_TCP, 22), EX_R_POLICY_DENY);
	assert_int_equal(ex_gate_count_rule(bench_gate, BENCH_IF, 3, &c), 0);
	assert_int_equal(c.packets, 2);
	assert_int_equal(c.bytes, 2 * 54);
	assert_int_equal(ex_gate_count_rule(bench_gate, BENCH_IF, 1, &c), 0);
	assert_int_equal(c.packets, 1);
	assert_int_equal(ex_gate_count_rule(bench_gate, BENCH_IF, 99, &c), 0);
	assert_int_equal(c.packets, 0);
}

#define gate_test(f) cmocka_unit_test_setup(f, publish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		gate_test(test_rule_allows_its_port_and_no_other),
		gate_test(test_range_ends_where_it_ends),
		gate_test(test_prefix_ends_where_it_ends),
		gate_test(test_steered_flow_without_a_proxy_is_denied),
		gate_test(test_carried_endpoint_forwards_nothing),
		gate_test(test_embedded_ipv4_is_judged_as_what_it_hides),
		gate_test(test_deny_of_the_ipv6_form_denies_embedded_ipv4),
		gate_test(test_learned_address_is_allowed_while_it_lives),
		gate_test(test_name_and_prefix_merge_deny_allow_steer),
		gate_test(test_tcp_life),
		gate_test(test_answer_has_to_match_the_flow_in_every_field),
		gate_test(test_udp_answer_enters_only_after_a_question),
		gate_test(test_echo_reply_enters_only_after_its_request),
		gate_test(test_policy_change_ends_a_live_flow),
		gate_test(test_interface_without_endpoint_is_closed),
		gate_test(test_rule_without_a_meaning_denies),
		gate_test(test_rule_counter_counts),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
