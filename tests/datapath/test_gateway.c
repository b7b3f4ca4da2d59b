/* SPDX-License-Identifier: Apache-2.0 */
/* An endpoint with a gateway namespace: who may say what on whose flow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"
#include "tests/datapath/served.h"

#define FAR  "198.51.100.7"
#define MORE 0x2000

static const struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_TCP, 80, { EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, 1 } },
	{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
	{ 1, 32, IPPROTO_UDP, 53, { EX_V_STEER, EX_KIND_DNS, EX_R_ALLOWED, 3 } },
	{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 4 } },
};

static int publish(void **state)
{
	uint32_t key = BENCH_IF, endpoint = BENCH_IF;

	(void)state;
	ex_gate_forget(bench_gate, BENCH_IF);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), EX_EP_GATEWAY);
	assert_int_equal(bpf_map_update_elem(gate_map_fd(bench_gate, "ex_gateways"), &key,
					     &endpoint, BPF_ANY),
			 0);
	return 0;
}

static uint32_t gateway_mark(void)
{
	return bench_gate->state.mark ^ 1;
}

/* ---- packets ---- */

static struct pkt_spec out(uint8_t proto, uint16_t port, uint8_t flags)
{
	return (struct pkt_spec){
		.dst = FAR, .proto = proto, .sport = 40000, .dport = port, .flags = flags
	};
}

static struct pkt_spec in(uint8_t proto, uint16_t port, uint8_t flags)
{
	return (struct pkt_spec){ .src = FAR,
				  .dst = NET_OWN4,
				  .src_mac = NET_GW_MAC,
				  .dst_mac = NET_OWN_MAC,
				  .proto = proto,
				  .sport = port,
				  .dport = 40000,
				  .flags = flags };
}

static struct bench_result run(const char *program, struct pkt_spec s, uint32_t mark)
{
	struct pkt_frame f;

	pkt_build(&f, &s);
	return bench_program(program, &f, mark);
}

static enum ex_reason upstream(struct pkt_spec s)
{
	return run("from_workload", s, gateway_mark()).reason;
}

static enum ex_reason answer(struct pkt_spec s)
{
	return run("to_workload", s, gateway_mark()).reason;
}

static enum ex_reason outside(struct pkt_spec s)
{
	return run("to_workload", s, 0).reason;
}

/* As if it had been steered: no socket can be had here. */
static void flow_insert(uint8_t proto, uint16_t port, uint8_t phase)
{
	struct gate_port *at = gate_port_find(bench_gate, BENCH_IF);
	struct ex_flow_key key = { .local_port = htons(40000),
				   .remote_port = htons(port),
				   .proto = proto };
	const struct ex_flow_state flow = { .seen = gate_now(),
					    .phase = phase,
					    .verdict = EX_V_STEER,
					    .kind = port == 53 ? EX_KIND_DNS : EX_KIND_TCP,
					    .generation = at->ep.generation };

	assert_true(ex_ip_parse(FAR, &key.remote));
	assert_int_equal(bpf_map_update_elem(at->flows, &key, &flow, BPF_ANY), 0);
}

/* ---- the proxy's own flows ---- */

static void test_proxy_may_open_what_is_steered_or_allowed(void **state)
{
	(void)state;
	assert_int_equal(upstream(out(IPPROTO_TCP, 80, PKT_SYN)), EX_R_ALLOWED);
	assert_int_equal(upstream(out(IPPROTO_TCP, 443, PKT_SYN)), EX_R_ALLOWED);
	assert_int_equal(upstream(out(IPPROTO_UDP, 53, 0)), EX_R_ALLOWED);
	assert_int_equal(upstream(out(IPPROTO_TCP, 81, PKT_SYN)), EX_R_DEFAULT_DENY);
	assert_int_equal(upstream(out(IPPROTO_UDP, 54, 0)), EX_R_DEFAULT_DENY);
	assert_int_equal(upstream(out(IPPROTO_TCP, 80, PKT_ACK)), EX_R_NO_FLOW);
}

static void test_other_marks_are_none(void **state)
{
	const struct pkt_spec s = out(IPPROTO_TCP, 80, PKT_SYN);

	(void)state;
	assert_int_equal(run("from_workload", s, 0).reason, EX_R_NO_PROXY);
	assert_int_equal(run("from_workload", s, gateway_mark() ^ 2).reason, EX_R_NO_PROXY);
	assert_int_equal(run("from_workload", s, gateway_mark()).reason, EX_R_ALLOWED);
}

static void test_proxy_sends_datagrams_and_streams_from_its_pod(void **state)
{
	struct pkt_spec s = out(IPPROTO_UDP, 53, 0);

	(void)state;
	s.payload_len = 32;
	assert_int_equal(upstream(s), EX_R_ALLOWED);
	s.frag = MORE;
	assert_int_equal(upstream(s), EX_R_MALFORMED); /* its length is that of the whole */
	s.frag = 1;
	assert_int_equal(upstream(s), EX_R_FRAGMENT);
	s = out(IPPROTO_TCP, 80, PKT_SYN);
	s.src = "192.0.0.3";
	assert_int_equal(upstream(s), EX_R_SOURCE_ADDRESS);
	s = out(IPPROTO_ICMP, 8 << 8, 0);
	assert_int_equal(upstream(s), EX_R_GATEWAY);
	s = out(IPPROTO_SCTP, 80, 0);
	s.payload_len = 16;
	assert_int_equal(upstream(s), EX_R_GATEWAY);
}

static void test_far_end_answers_the_proxy(void **state)
{
	(void)state;
	assert_int_equal(upstream(out(IPPROTO_TCP, 80, PKT_SYN)), EX_R_ALLOWED);
	assert_int_equal(run("to_workload", in(IPPROTO_TCP, 80, PKT_SYN | PKT_ACK), 0).action,
			 TC_ACT_REDIRECT);
	assert_int_equal(outside(in(IPPROTO_TCP, 81, PKT_SYN | PKT_ACK)), EX_R_NO_FLOW);
	assert_int_equal(outside(in(IPPROTO_TCP, 80, PKT_SYN)), EX_R_NO_FLOW);
	assert_int_equal(upstream(out(IPPROTO_UDP, 53, 0)), EX_R_ALLOWED);
	assert_int_equal(run("to_workload", in(IPPROTO_UDP, 53, 0), 0).action, TC_ACT_REDIRECT);
	assert_int_equal(outside(in(IPPROTO_UDP, 54, 0)), EX_R_NO_FLOW);
}

/* The workload has no part in flows of its proxy, nor the proxy in those that pass. */
static void test_flows_are_not_mixed_up(void **state)
{
	(void)state;
	assert_int_equal(upstream(out(IPPROTO_TCP, 80, PKT_SYN)), EX_R_ALLOWED);
	assert_int_equal(outside(in(IPPROTO_TCP, 80, PKT_SYN | PKT_ACK)), EX_R_ALLOWED);
	assert_int_equal(run("from_workload", out(IPPROTO_TCP, 80, PKT_ACK), 0).reason,
			 EX_R_NO_FLOW);
	assert_int_equal(answer(in(IPPROTO_TCP, 80, PKT_ACK)), EX_R_NO_FLOW);
	assert_int_equal(run("from_workload", out(IPPROTO_TCP, 443, PKT_SYN), 0).reason,
			 EX_R_ALLOWED);
	assert_int_equal(outside(in(IPPROTO_TCP, 443, PKT_SYN | PKT_ACK)), EX_R_ALLOWED);
	assert_int_equal(upstream(out(IPPROTO_TCP, 443, PKT_ACK)), EX_R_NO_FLOW);
	assert_int_equal(answer(in(IPPROTO_TCP, 443, PKT_ACK)), EX_R_NO_FLOW);
}

/* ---- steered flows ---- */

static void test_only_the_proxy_answers_on_a_steered_flow(void **state)
{
	(void)state;
	flow_insert(IPPROTO_TCP, 80, EX_FLOW_LIVE);
	assert_int_equal(answer(in(IPPROTO_TCP, 80, PKT_ACK)), EX_R_ALLOWED);
	assert_int_equal(outside(in(IPPROTO_TCP, 80, PKT_ACK)), EX_R_NO_FLOW);
	flow_insert(IPPROTO_UDP, 53, EX_FLOW_OPENING);
	assert_int_equal(answer(in(IPPROTO_UDP, 53, 0)), EX_R_ALLOWED);
	assert_int_equal(outside(in(IPPROTO_UDP, 53, 0)), EX_R_NO_FLOW);
	assert_int_equal(answer(in(IPPROTO_UDP, 54, 0)), EX_R_NO_FLOW);
}

static void test_steered_flow_and_one_of_the_proxy_may_have_one_tuple(void **state)
{
	(void)state;
	flow_insert(IPPROTO_TCP, 80, EX_FLOW_LIVE);
	assert_int_equal(upstream(out(IPPROTO_TCP, 80, PKT_SYN)), EX_R_ALLOWED);
	assert_int_equal(run("to_workload", in(IPPROTO_TCP, 80, PKT_SYN | PKT_ACK), 0).action,
			 TC_ACT_REDIRECT);
	assert_int_equal(answer(in(IPPROTO_TCP, 80, PKT_ACK)), EX_R_ALLOWED);
	assert_int_equal(run("to_workload", in(IPPROTO_TCP, 80, PKT_ACK), gateway_mark()).action,
			 TC_ACT_OK);
}

/* What the far end opens must not take the place of a steered flow. */
static void test_ingress_does_not_overwrite_a_steered_flow(void **state)
{
	const struct ex_tables none = { 0 };
	const struct ex_gate_ruleset open = { .egress = &none, .ingress = &tables_all };
	struct ex_endpoint ep;

	(void)state;
	netns_endpoint(&ep, EX_EP_GATEWAY);
	assert_int_equal(ex_gate_publish_both(bench_gate, BENCH_IF, &ep, &open), 0);
	flow_insert(IPPROTO_TCP, 80, EX_FLOW_LIVE);
	assert_int_equal(outside(in(IPPROTO_TCP, 80, PKT_SYN)), EX_R_FLOW_COLLISION);
	assert_int_equal(outside(in(IPPROTO_TCP, 81, PKT_SYN)), EX_R_ALLOWED);
}

/* ---- ICMP errors ---- */

static struct bench_result error_about(uint16_t port)
{
	struct pkt_spec s = in(IPPROTO_ICMP, 0, 0), quoted = out(IPPROTO_TCP, port, PKT_SYN);
	struct pkt_frame inner, f;

	pkt_build(&inner, &quoted);
	s.src = "203.0.113.1"; /* a router */
	s.sport = 0;
	s.dport = 3 << 8 | 4; /* too large */
	s.payload = inner.b + PKT_L3;
	s.payload_len = 28;
	pkt_build(&f, &s);
	return bench_program("to_workload", &f, 0);
}

static void test_path_mtu_gets_to_the_proxy(void **state)
{
	(void)state;
	assert_int_equal(error_about(80).reason, EX_R_NO_FLOW);
	flow_insert(IPPROTO_TCP, 80, EX_FLOW_LIVE);
	assert_int_equal(error_about(80).reason, EX_R_NO_FLOW); /* nobody outside knows of it */
	assert_int_equal(upstream(out(IPPROTO_TCP, 80, PKT_SYN)), EX_R_ALLOWED);
	assert_int_equal(error_about(80).reason, EX_R_ALLOWED);
	assert_int_equal(error_about(80).action, TC_ACT_REDIRECT);
	assert_int_equal(error_about(81).reason, EX_R_NO_FLOW);
	assert_int_equal(run("from_workload", out(IPPROTO_TCP, 443, PKT_SYN), 0).reason,
			 EX_R_ALLOWED);
	assert_int_equal(error_about(443).reason, EX_R_ALLOWED);
	assert_int_equal(error_about(443).action, TC_ACT_OK);
}

/* ---- the gateway's own interfaces ---- */

static int from_gateway(struct pkt_spec s)
{
	struct pkt_frame f;

	pkt_build(&f, &s);
	return bench_program_action("from_gateway", &f);
}

static void test_gateway_speaks_for_and_to_its_workload(void **state)
{
	struct pkt_spec s = out(IPPROTO_TCP, 80, PKT_SYN);

	(void)state;
	assert_int_equal(from_gateway(s), TC_ACT_REDIRECT);
	s.src = "192.0.0.3";
	assert_int_equal(from_gateway(s), TC_ACT_SHOT);
	s = in(IPPROTO_TCP, 80, PKT_ACK);
	assert_int_equal(from_gateway(s), TC_ACT_REDIRECT);
	s.dst = "192.0.0.3";
	assert_int_equal(from_gateway(s), TC_ACT_SHOT);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0); /* it has none any more */
	s = in(IPPROTO_TCP, 80, PKT_ACK);
	assert_int_equal(from_gateway(s), TC_ACT_SHOT);
}

/* What the map of gateways says of an interface may have been meant for another one. */
static void test_an_endpoint_knows_its_gateway(void **state)
{
	struct gate_port *port = gate_port_find(bench_gate, BENCH_IF);
	struct ex_endpoint ep = port->ep;

	(void)state;
	assert_int_equal(from_gateway(out(IPPROTO_TCP, 80, PKT_SYN)), TC_ACT_REDIRECT);
	ep.gateway = BENCH_IF + 1;
	assert_int_equal(gate_endpoint_set(bench_gate, port, &ep), 0);
	assert_int_equal(from_gateway(out(IPPROTO_TCP, 80, PKT_SYN)), TC_ACT_SHOT);
	assert_int_equal(from_gateway(in(IPPROTO_TCP, 80, PKT_ACK)), TC_ACT_SHOT);
}

static void test_gateway_is_entered_on_a_flow_only(void **state)
{
	(void)state;
	assert_int_equal(run("hand_over", out(IPPROTO_TCP, 80, PKT_SYN), 0).reason, EX_R_GATEWAY);
	assert_int_equal(run("hand_over", in(IPPROTO_TCP, 80, PKT_ACK), 0).reason, EX_R_GATEWAY);
	flow_insert(IPPROTO_TCP, 80, EX_FLOW_LIVE);
	assert_int_equal(run("hand_over", out(IPPROTO_TCP, 80, PKT_ACK), 0).reason, EX_R_NO_FLOW);
	assert_int_equal(run("hand_over", out(IPPROTO_TCP, 80, PKT_SYN), 0).reason, EX_R_NO_PROXY);
	assert_int_equal(run("hand_over", out(IPPROTO_ICMP, 8 << 8, 0), 0).reason, EX_R_GATEWAY);
	assert_int_equal(upstream(out(IPPROTO_TCP, 80, PKT_SYN)), EX_R_ALLOWED);
	assert_int_equal(run("hand_over", in(IPPROTO_TCP, 80, PKT_ACK), 0).reason, EX_R_NO_FLOW);
}

/* The stack there keeps no TIME_WAIT: it does not say so itself. */
static void test_far_end_is_told_when_the_proxy_has_closed(void **state)
{
	struct pkt_frame f;
	struct pkt_spec s = in(IPPROTO_TCP, 80, PKT_ACK);

	(void)state;
	pkt_build(&f, &s);
	assert_int_equal(bench_program_action("hand_over", &f), TC_ACT_SHOT);
	assert_int_equal(upstream(out(IPPROTO_TCP, 80, PKT_SYN)), EX_R_ALLOWED);
	assert_int_equal(bench_program_action("hand_over", &f), TC_ACT_REDIRECT);
	s.flags = PKT_RST;
	pkt_build(&f, &s);
	assert_int_equal(bench_program_action("hand_over", &f), TC_ACT_SHOT);
	s.flags = PKT_ACK;
	s.dport = 40001;
	pkt_build(&f, &s);
	assert_int_equal(bench_program_action("hand_over", &f), TC_ACT_SHOT);
}

/* They would be put together behind it, and the socket is found by the first alone. */
static void test_gateway_is_entered_by_whole_packets_only(void **state)
{
	struct pkt_spec s = out(IPPROTO_UDP, 53, 0);

	(void)state;
	s.payload_len = 32;
	flow_insert(IPPROTO_UDP, 53, EX_FLOW_LIVE);
	assert_int_equal(run("hand_over", s, 0).reason, EX_R_NO_PROXY);
	s.frag = 4; /* the last of them: it has no ports */
	assert_int_equal(run("hand_over", s, 0).reason, EX_R_FRAGMENT);
}

/* One listener is not the other: what was for the resolver does not go on as datagrams. */
static void test_steered_flow_keeps_its_listener(void **state)
{
	static const struct ex_rule_entry other[] = {
		{ 1, 32, IPPROTO_UDP, 53, { EX_V_STEER, EX_KIND_UDP, EX_R_ALLOWED, 3 } },
	};
	struct pkt_frame f;
	struct pkt_spec s = out(IPPROTO_UDP, 53, 0);

	(void)state;
	pkt_build(&f, &s);
	flow_insert(IPPROTO_UDP, 53, EX_FLOW_LIVE);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), EX_EP_GATEWAY);
	assert_int_equal(bench_send(&f).reason, EX_R_NO_PROXY);
	bench_publish_rules(other, EX_ARRAY_SIZE(other), EX_EP_GATEWAY);
	assert_int_equal(bench_send(&f).reason, EX_R_POLICY_CHANGED);
}

#define gateway_test(f) cmocka_unit_test_setup(f, publish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		gateway_test(test_proxy_may_open_what_is_steered_or_allowed),
		gateway_test(test_other_marks_are_none),
		gateway_test(test_proxy_sends_datagrams_and_streams_from_its_pod),
		gateway_test(test_far_end_answers_the_proxy),
		gateway_test(test_flows_are_not_mixed_up),
		gateway_test(test_only_the_proxy_answers_on_a_steered_flow),
		gateway_test(test_steered_flow_and_one_of_the_proxy_may_have_one_tuple),
		gateway_test(test_ingress_does_not_overwrite_a_steered_flow),
		gateway_test(test_path_mtu_gets_to_the_proxy),
		gateway_test(test_gateway_speaks_for_and_to_its_workload),
		gateway_test(test_an_endpoint_knows_its_gateway),
		gateway_test(test_gateway_is_entered_on_a_flow_only),
		gateway_test(test_far_end_is_told_when_the_proxy_has_closed),
		gateway_test(test_gateway_is_entered_by_whole_packets_only),
		gateway_test(test_steered_flow_keeps_its_listener),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
