/* SPDX-License-Identifier: Apache-2.0 */
/* Every reason that the kernel gate can give is given to a packet here; a new one must come along.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"

#define FAR "198.51.100.7"
#define TCP_TO(port, ...)                                                                          \
	{                                                                                          \
		.dst = FAR, .proto = IPPROTO_TCP, .sport = 40000, .dport = (port), __VA_ARGS__     \
	}

#define FLOWS 4 /* that there is room for */

enum { LAST_KERNEL = 49 }; /* the proxy has the numbers behind it */

static const uint8_t routing[8] = { IPPROTO_TCP };

static const struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
	{ 1, 32, IPPROTO_TCP, 22, { EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, 2 } },
	{ 1, 32, IPPROTO_TCP, 23, { EX_V_DENY, EX_KIND_NONE, EX_R_RESERVED_DENY, 3 } },
	{ 1, 32, IPPROTO_TCP, 80, { EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, 4 } },
	{ 1, 32, IPPROTO_TCP, 81, { EX_V_STEER, EX_KIND_UDP, EX_R_ALLOWED, 5 } },
	{ 1, 32, IPPROTO_TCP, 82, { EX_V_INVALID, EX_KIND_NONE, EX_R_UNSPEC, 6 } },
};

static enum ex_reason spoiled(size_t at, uint8_t value)
{
	const struct pkt_spec s = TCP_TO(443);
	struct pkt_frame f;

	pkt_build(&f, &s);
	f.b[at] = value;
	pkt_checksums(&f);
	return bench_send(&f).reason;
}

static enum ex_reason other_ethertype(void)
{
	return spoiled(12, 0x09);
}

static enum ex_reason vlan(void)
{
	return spoiled(12, 0x81);
}

static enum ex_reason ip_options(void)
{
	return spoiled(PKT_L3, 0x46);
}

static enum ex_reason with_flows(void)
{
	struct pkt_spec s = TCP_TO(443);

	for (int i = 0; i < FLOWS; i++) {
		s.sport++;
		(void)bench_out(&s);
	}
	s.sport++;
	return bench_out(&s);
}

static enum ex_reason after_change(void)
{
	struct pkt_spec s = TCP_TO(443);

	(void)bench_out(&s);
	bench_publish_rules(rules + 1, EX_ARRAY_SIZE(rules) - 1, 0);
	s.flags = PKT_RST;
	return bench_out(&s);
}

static enum ex_reason without_endpoint(void)
{
	const struct pkt_spec s = TCP_TO(443);

	ex_gate_forget(bench_gate, BENCH_IF);
	return bench_out(&s);
}

/* The proxy has this tuple in use. */
static enum ex_reason collision(void)
{
	const struct pkt_spec s = TCP_TO(443);
	struct ex_flow_key key = { .local_port = htons(s.sport),
				   .remote_port = htons(s.dport),
				   .proto = IPPROTO_TCP,
				   .part = EX_PART_UPSTREAM };
	const struct ex_flow_state flow = { .seen = gate_now(), .phase = EX_FLOW_LIVE };

	assert_true(ex_ip_parse(FAR, &key.remote));
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), EX_EP_GATEWAY);
	assert_int_equal(bpf_map_update_elem(gate_port_find(bench_gate, BENCH_IF)->flows, &key,
					     &flow, BPF_ANY),
			 0);
	return bench_out(&s);
}

static enum ex_reason at_gateway(void)
{
	const struct pkt_spec s = TCP_TO(443);
	struct pkt_frame f;

	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), EX_EP_GATEWAY);
	pkt_build(&f, &s);
	return bench_program("hand_over", &f, 0).reason;
}

/* One packet, or more than one. */
static const struct way {
	enum ex_reason reason;
	struct pkt_spec s;
	enum ex_reason (*fn)(void);
} ways[] = {
	{ EX_R_ALLOWED, TCP_TO(443), NULL },
	{ EX_R_DEFAULT_DENY, TCP_TO(444), NULL },
	{ EX_R_POLICY_DENY, TCP_TO(22), NULL },
	{ EX_R_RESERVED_DENY, TCP_TO(23), NULL },
	{ EX_R_MALFORMED, { .dst = FAR, .proto = IPPROTO_TCP, .dport = 443 }, NULL },
	{ EX_R_ETHERTYPE, { 0 }, other_ethertype },
	{ EX_R_VLAN, { 0 }, vlan },
	{ EX_R_IP_OPTIONS, { 0 }, ip_options },
	{ EX_R_FRAGMENT, TCP_TO(443, .frag = 0x2000), NULL },
	{ EX_R_EXT_HEADER,
	  { .dst = "2001:db8::7",
	    .proto = IPPROTO_TCP,
	    .sport = 40000,
	    .dport = 443,
	    .ext = routing,
	    .ext_len = sizeof(routing),
	    .ext_type = IPPROTO_ROUTING },
	  NULL },
	{ EX_R_SOURCE_ADDRESS, TCP_TO(443, .src = "192.0.0.3"), NULL },
	{ EX_R_SOURCE_MAC, TCP_TO(443, .src_mac = "02:65:78:00:00:03"), NULL },
	{ EX_R_MARTIAN,
	  { .dst = "127.0.0.1", .proto = IPPROTO_TCP, .sport = 40000, .dport = 443 },
	  NULL },
	{ EX_R_NEIGHBOUR, TCP_TO(443, .dst_mac = "02:65:78:00:00:03"), NULL },
	{ EX_R_TCP_FLAGS, TCP_TO(443, .flags = PKT_SYN | PKT_FIN), NULL },
	{ EX_R_NO_ENDPOINT, { 0 }, without_endpoint },
	{ EX_R_NO_FLOW, TCP_TO(443, .flags = PKT_ACK), NULL },
	{ EX_R_NO_PROXY, TCP_TO(80), NULL },
	{ EX_R_TABLE_FULL, { 0 }, with_flows },
	{ EX_R_UNSUPPORTED, TCP_TO(81), NULL },
	{ EX_R_INTERNAL, TCP_TO(82), NULL },
	{ EX_R_POLICY_CHANGED, { 0 }, after_change },
	{ EX_R_FLOW_COLLISION, { 0 }, collision },
	{ EX_R_GATEWAY, { 0 }, at_gateway },
	{ EX_R_GROUP_REPORT,
	  { .src = "fe80::2",
	    .dst = "ff02::16",
	    .dst_mac = "33:33:00:00:00:16",
	    .proto = IPPROTO_ICMPV6,
	    .dport = 143 << 8 },
	  NULL },
};

static enum ex_reason produce(enum ex_reason reason)
{
	for (const struct way *w = ways; w < ways + EX_ARRAY_SIZE(ways); w++)
		if (w->reason == reason)
			return w->fn ? w->fn() : bench_out(&w->s);
	return EX_R_UNSPEC;
}

static void assert_produced(enum ex_reason reason, const char *word)
{
	enum ex_reason got;

	ex_gate_forget(bench_gate, BENCH_IF);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	got = produce(reason);
	if (got != reason)
		fail_msg("no packet here is denied as %s: got %s", word, ex_reason_word(got));
}

static void test_every_reason_of_the_kernel_is_given(void **state)
{
	(void)state;
#define X(num, sym, word, text)                                                                    \
	if ((num) != EX_R_UNSPEC && (num) <= LAST_KERNEL)                                          \
		assert_produced(EX_R_##sym, word);
	EX_REASONS(X)
#undef X
}

static int setup(void **state)
{
	(void)state;
	bench_open(&(struct ex_gate_limits){ .flows = FLOWS });
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_reason_of_the_kernel_is_given),
	};

	return cmocka_run_group_tests(tests, setup, bench_teardown);
}
