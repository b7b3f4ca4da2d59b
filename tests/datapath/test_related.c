/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments and ICMP errors: packets that pass only because of another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/datapath/bench.h"

#define FAR4 "198.51.100.7"
#define FAR6 "2001:db8::7"
#define MORE 0x2000

static const struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
	{ 1, 32, IPPROTO_UDP, 53, { EX_V_STEER, EX_KIND_DNS, EX_R_ALLOWED, 2 } },
	{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 3 } },
	{ 1, 32, IPPROTO_ICMP, 8 << 8, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 4 } },
	{ 1, 32, IPPROTO_ICMPV6, 128 << 8, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 4 } },
	{ 1, 16, IPPROTO_SCTP, 0, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 5 } },
};

static int publish(void **state)
{
	(void)state;
	ex_gate_forget(bench_gate, BENCH_IF);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	return 0;
}

/* A first fragment announces `whole` bytes of UDP and carries 8 + 32 of them. */
static enum ex_reason first(bool outbound, const char *far, uint16_t port, uint32_t id)
{
	bool is6 = strchr(far, ':');
	struct pkt_spec s = {
		.src = outbound ? NULL : far,
		.dst = outbound ? far
		       : is6    ? NET_OWN6
				: NET_OWN4,
		.src_mac = outbound ? NET_OWN_MAC : NET_GW_MAC,
		.dst_mac = outbound ? NET_GW_MAC : NET_OWN_MAC,
		.proto = IPPROTO_UDP,
		.sport = outbound ? 40000 : port,
		.dport = outbound ? port : 40000,
		.payload_len = 32,
		.frag = is6 ? 1 : MORE,
		.v6_frag = is6,
		.frag_id = id,
	};
	struct pkt_frame f;

	pkt_build(&f, &s);
	pkt_put16(f.b + f.l4 + 4, 8 + 32 + 16);
	return outbound ? bench_send(&f).reason : bench_receive(&f).reason;
}

static enum ex_reason later(bool outbound, const char *far, uint8_t proto, uint16_t offset,
			    bool more, uint32_t id)
{
	bool is6 = strchr(far, ':');
	struct pkt_spec s = {
		.src = outbound ? NULL : far,
		.dst = outbound ? far
		       : is6    ? NET_OWN6
				: NET_OWN4,
		.proto = proto,
		.payload_len = 16,
		.frag = (uint16_t)(is6 ? offset << 3 | more : offset | (more ? MORE : 0)),
		.v6_frag = is6,
		.frag_id = id,
	};

	return outbound ? bench_out(&s) : bench_in(&s);
}

static void assert_later_follows_first(bool outbound, const char *far)
{
	if (!outbound) /* the flow that the datagram answers */
		assert_int_equal(
			bench_out(&(struct pkt_spec){
				.dst = far, .proto = IPPROTO_UDP, .sport = 40000, .dport = 123 }),
			EX_R_ALLOWED);
	assert_int_equal(later(outbound, far, IPPROTO_UDP, 5, false, 7), EX_R_FRAGMENT);
	assert_int_equal(first(outbound, far, 123, 7), EX_R_ALLOWED);
	assert_int_equal(later(outbound, far, IPPROTO_UDP, 5, true, 7), EX_R_ALLOWED);
	assert_int_equal(later(outbound, far, IPPROTO_UDP, 7, false, 7), EX_R_ALLOWED);
	assert_int_equal(later(outbound, far, IPPROTO_UDP, 5, false, 8), EX_R_FRAGMENT);
	assert_int_equal(later(!outbound, far, IPPROTO_UDP, 5, false, 7), EX_R_FRAGMENT);
	assert_int_equal(
		later(outbound, far, strchr(far, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 5, false, 7),
		EX_R_FRAGMENT);
	assert_int_equal(later(outbound, strchr(far, ':') ? "2001:db8::8" : "198.51.100.8",
			       IPPROTO_UDP, 5, false, 7),
			 EX_R_FRAGMENT);
}

static void test_later_fragment_needs_its_first(void **state)
{
	(void)state;
	assert_later_follows_first(true, FAR4);
	assert_later_follows_first(true, FAR6);
}

static void test_fragments_enter_only_as_an_answer(void **state)
{
	(void)state;
	assert_int_equal(first(false, FAR4, 123, 1), EX_R_NO_FLOW);
	assert_int_equal(first(false, FAR6, 123, 1), EX_R_NO_FLOW);
	assert_later_follows_first(false, FAR4);
	assert_later_follows_first(false, FAR6);
}

static void test_denied_first_fragment_opens_nothing(void **state)
{
	(void)state;
	assert_int_equal(first(true, FAR4, 124, 9), EX_R_DEFAULT_DENY);
	assert_int_equal(later(true, FAR4, IPPROTO_UDP, 5, false, 9), EX_R_FRAGMENT);
	assert_int_equal(first(true, FAR6, 124, 9), EX_R_DEFAULT_DENY);
	assert_int_equal(later(true, FAR6, IPPROTO_UDP, 5, false, 9), EX_R_FRAGMENT);
}

static void test_steered_datagram_may_not_be_in_fragments(void **state)
{
	(void)state;
	assert_int_equal(first(true, FAR4, 53, 9), EX_R_FRAGMENT);
	assert_int_equal(first(true, FAR6, 53, 9), EX_R_FRAGMENT);
	assert_int_equal(later(true, FAR4, IPPROTO_UDP, 5, false, 9), EX_R_FRAGMENT);
}

static void test_change_of_policy_ends_a_datagram_in_flight(void **state)
{
	(void)state;
	assert_int_equal(first(true, FAR4, 123, 7), EX_R_ALLOWED);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	assert_int_equal(later(true, FAR4, IPPROTO_UDP, 5, false, 7), EX_R_FRAGMENT);
}

static enum ex_reason odd(uint8_t proto, uint16_t frag, size_t len)
{
	return bench_out(&(struct pkt_spec){ .dst = FAR4,
					     .proto = proto,
					     .sport = 40000,
					     .dport = proto == IPPROTO_ICMP ? 8 << 8 : 443,
					     .payload_len = len,
					     .frag = frag });
}

static void test_other_fragments_are_denied(void **state)
{
	(void)state;
	assert_int_equal(odd(IPPROTO_TCP, MORE, 12), EX_R_FRAGMENT);
	assert_int_equal(odd(IPPROTO_TCP, 1, 12), EX_R_FRAGMENT); /* the flags behind the ports */
	assert_int_equal(odd(IPPROTO_TCP, 1 | MORE, 8), EX_R_FRAGMENT);
	assert_int_equal(odd(IPPROTO_SCTP, MORE, 8), EX_R_FRAGMENT);
	assert_int_equal(odd(IPPROTO_GRE, MORE, 8), EX_R_FRAGMENT);
	assert_int_equal(odd(IPPROTO_UDP, MORE, 7), EX_R_MALFORMED);    /* not in steps of eight */
	assert_int_equal(odd(IPPROTO_UDP, 0x1fff, 16), EX_R_MALFORMED); /* ends behind 65535 */
	assert_int_equal(odd(IPPROTO_UDP, 0x1fff, 7), EX_R_FRAGMENT);
	assert_int_equal(odd(IPPROTO_ICMP, MORE, 8), EX_R_ALLOWED);
	assert_int_equal(bench_out(&(struct pkt_spec){ .dst = FAR6, /* "atomic": RFC 6946 */
						       .proto = IPPROTO_UDP,
						       .sport = 40000,
						       .dport = 123,
						       .v6_frag = true }),
			 EX_R_FRAGMENT);
	assert_int_equal(bench_out(&(struct pkt_spec){ .dst = FAR4, /* an error in parts */
						       .proto = IPPROTO_ICMP,
						       .dport = 3 << 8 | 3,
						       .payload_len = 32,
						       .frag = MORE }),
			 EX_R_FRAGMENT);
}

/* ---- ICMP errors ---- */

struct quote {
	const char *src, *dst;
	uint8_t proto;
	uint16_t sport, dport;
};

static enum ex_reason error(bool outbound, const char *from, const char *to, uint16_t type_code,
			    const struct quote *q, size_t bytes)
{
	bool is6 = strchr(to, ':');
	struct pkt_spec s = { .src = from,
			      .dst = to,
			      .proto = is6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			      .dport = type_code };
	struct pkt_frame inner;

	pkt_build(&inner, &(struct pkt_spec){ .src = q->src,
					      .dst = q->dst,
					      .proto = q->proto,
					      .sport = q->sport,
					      .dport = q->dport });
	s.payload = inner.b + PKT_L3;
	s.payload_len = bytes;
	return outbound ? bench_out(&s) : bench_in(&s);
}

static void open_udp(const char *far, uint16_t port)
{
	assert_int_equal(bench_out(&(struct pkt_spec){
				 .dst = far, .proto = IPPROTO_UDP, .sport = 40000, .dport = port }),
			 EX_R_ALLOWED);
}

static void test_error_about_a_live_flow_enters(void **state)
{
	struct quote q4 = { NET_OWN4, FAR4, IPPROTO_UDP, 40000, 123 };
	struct quote q6 = { NET_OWN6, FAR6, IPPROTO_UDP, 40000, 123 };
	struct quote bad;

	(void)state;
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8 | 1, &q4, 28), EX_R_NO_FLOW);
	assert_int_equal(error(false, "2001:db9::1", NET_OWN6, 1 << 8, &q6, 48), EX_R_NO_FLOW);
	open_udp(FAR4, 123);
	open_udp(FAR6, 123);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8 | 1, &q4, 28), EX_R_ALLOWED);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8 | 4, &q4, 28), EX_R_ALLOWED);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 11 << 8, &q4, 28), EX_R_ALLOWED);
	assert_int_equal(error(false, "2001:db9::1", NET_OWN6, 1 << 8, &q6, 48), EX_R_ALLOWED);
	assert_int_equal(error(false, "2001:db9::1", NET_OWN6, 2 << 8, &q6, 48), EX_R_ALLOWED);
	/* redirect: would bend the workload's routes */
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 5 << 8 | 1, &q4, 28), EX_R_NO_FLOW);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8 | 1, &q4, 27), EX_R_NO_FLOW);
	bad = q4;
	bad.sport = 40001;
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8, &bad, 28), EX_R_NO_FLOW);
	bad = q4;
	bad.dport = 124;
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8, &bad, 28), EX_R_NO_FLOW);
	bad = q4;
	bad.dst = "198.51.100.8";
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8, &bad, 28), EX_R_NO_FLOW);
	bad = q4;
	bad.src = "192.0.0.3";
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8, &bad, 28), EX_R_NO_FLOW);
	bad = q6;
	bad.proto = IPPROTO_TCP;
	assert_int_equal(error(false, "2001:db9::1", NET_OWN6, 1 << 8, &bad, 48), EX_R_NO_FLOW);
}

static void test_error_of_the_workload_goes_only_to_its_flow(void **state)
{
	struct quote q4 = { FAR4, NET_OWN4, IPPROTO_UDP, 123, 40000 };
	struct quote q6 = { FAR6, NET_OWN6, IPPROTO_UDP, 123, 40000 };
	struct quote bad;

	(void)state;
	assert_int_equal(error(true, NULL, FAR4, 3 << 8 | 3, &q4, 28), EX_R_DEFAULT_DENY);
	open_udp(FAR4, 123);
	open_udp(FAR6, 123);
	assert_int_equal(error(true, NULL, FAR4, 3 << 8 | 3, &q4, 28), EX_R_ALLOWED);
	assert_int_equal(error(true, NULL, FAR6, 1 << 8 | 4, &q6, 48), EX_R_ALLOWED);
	/* a quote of a live flow, sent to somebody else */
	assert_int_equal(error(true, NULL, "203.0.113.9", 3 << 8 | 3, &q4, 28), EX_R_DEFAULT_DENY);
	assert_int_equal(error(true, NULL, "2001:db9::9", 1 << 8 | 4, &q6, 48), EX_R_DEFAULT_DENY);
	bad = q4;
	bad.dst = "192.0.0.3";
	assert_int_equal(error(true, NULL, FAR4, 3 << 8 | 3, &bad, 28), EX_R_DEFAULT_DENY);
	bad = q4;
	bad.dport = 40001;
	assert_int_equal(error(true, NULL, FAR4, 3 << 8 | 3, &bad, 28), EX_R_DEFAULT_DENY);
	/* what the workload itself sent is not what it can report */
	bad = (struct quote){ NET_OWN4, FAR4, IPPROTO_UDP, 40000, 123 };
	assert_int_equal(error(true, NULL, FAR4, 3 << 8 | 3, &bad, 28), EX_R_DEFAULT_DENY);
}

static void test_error_about_an_echo_enters(void **state)
{
	struct quote q = { NET_OWN4, FAR4, IPPROTO_ICMP, 77, 8 << 8 };

	(void)state;
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 11 << 8, &q, 28), EX_R_NO_FLOW);
	assert_int_equal(
		bench_out(&(struct pkt_spec){
			.dst = FAR4, .proto = IPPROTO_ICMP, .sport = 77, .dport = 8 << 8 }),
		EX_R_ALLOWED);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 11 << 8, &q, 28), EX_R_ALLOWED);
	q.sport = 78;
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 11 << 8, &q, 28), EX_R_NO_FLOW);
}

static void test_error_about_an_echo_enters_after_a_change_once_it_is_sent_again(void **state)
{
	struct pkt_spec echo = { .dst = FAR4, .proto = IPPROTO_ICMP, .sport = 77, .dport = 8 << 8 };
	struct quote q = { NET_OWN4, FAR4, IPPROTO_ICMP, 77, 8 << 8 };

	(void)state;
	assert_int_equal(bench_out(&echo), EX_R_ALLOWED);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 11 << 8, &q, 28), EX_R_NO_FLOW);
	assert_int_equal(bench_out(&echo), EX_R_ALLOWED);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 11 << 8, &q, 28), EX_R_ALLOWED);
	bench_publish_rules(NULL, 0, 0);
	assert_int_equal(bench_out(&echo), EX_R_POLICY_CHANGED);
	assert_int_equal(bench_out(&echo), EX_R_DEFAULT_DENY);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 11 << 8, &q, 28), EX_R_NO_FLOW);
}

/* It may be one that the policy has ended by now: first the flow is judged. */
static void test_error_about_a_flow_of_before_a_change_waits_for_the_flow(void **state)
{
	struct quote in = { NET_OWN4, FAR4, IPPROTO_UDP, 40000, 123 };
	struct quote out = { FAR4, NET_OWN4, IPPROTO_UDP, 123, 40000 };

	(void)state;
	open_udp(FAR4, 123);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8 | 1, &in, 28), EX_R_NO_FLOW);
	assert_int_equal(error(true, NULL, FAR4, 3 << 8 | 3, &out, 28), EX_R_DEFAULT_DENY);
	open_udp(FAR4, 123);
	assert_int_equal(error(false, "203.0.113.1", NET_OWN4, 3 << 8 | 1, &in, 28), EX_R_ALLOWED);
	assert_int_equal(error(true, NULL, FAR4, 3 << 8 | 3, &out, 28), EX_R_ALLOWED);
}

#define related_test(f) cmocka_unit_test_setup(f, publish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		related_test(test_later_fragment_needs_its_first),
		related_test(test_fragments_enter_only_as_an_answer),
		related_test(test_denied_first_fragment_opens_nothing),
		related_test(test_steered_datagram_may_not_be_in_fragments),
		related_test(test_change_of_policy_ends_a_datagram_in_flight),
		related_test(test_other_fragments_are_denied),
		related_test(test_error_about_a_live_flow_enters),
		related_test(test_error_of_the_workload_goes_only_to_its_flow),
		related_test(test_error_about_an_echo_enters),
		related_test(test_error_about_an_echo_enters_after_a_change_once_it_is_sent_again),
		related_test(test_error_about_a_flow_of_before_a_change_waits_for_the_flow),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
