/* SPDX-License-Identifier: Apache-2.0 */
/* Flows of one endpoint with little room, and what makes them older. */
#ifndef EXEAT_TESTS_DATAPATH_STATE_H
#define EXEAT_TESTS_DATAPATH_STATE_H

#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"

#define FAR   "198.51.100.7"
#define FLOWS 64

static const struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
	{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
};

static inline int setup(void **state)
{
	(void)state;
	bench_open(&(struct ex_gate_limits){ .flows = FLOWS });
	netns_ip("link add second type veth peer name third");
	return 0;
}

static inline int publish(void **state)
{
	(void)state;
	bench_ifindex = BENCH_IF;
	ex_gate_forget(bench_gate, BENCH_IF);
	bench_publish_rules(rules, EX_ARRAY_SIZE(rules), 0);
	return 0;
}

static inline enum ex_reason tcp_out(uint16_t sport, uint8_t flags)
{
	return bench_out(&(struct pkt_spec){
		.dst = FAR, .proto = IPPROTO_TCP, .sport = sport, .dport = 443, .flags = flags });
}

static inline enum ex_reason tcp_in(uint16_t dport, uint8_t flags)
{
	return bench_in(&(struct pkt_spec){ .src = FAR,
					    .dst = NET_OWN4,
					    .proto = IPPROTO_TCP,
					    .sport = 443,
					    .dport = dport,
					    .flags = flags });
}

static inline enum ex_reason udp_out(uint16_t sport)
{
	return bench_out(&(struct pkt_spec){
		.dst = FAR, .proto = IPPROTO_UDP, .sport = sport, .dport = 123 });
}

/* Makes every flow look `seconds` older. Returns how many there are. */
static inline int age_flows(uint64_t seconds)
{
	int fd = gate_port_find(bench_gate, BENCH_IF)->flows, n = 0, i;
	struct ex_flow_key keys[FLOWS], *last = NULL;
	struct ex_flow_state flow;

	/* keys first: an update moves an entry within the order that they are told in */
	while (n < FLOWS && bpf_map_get_next_key(fd, last, &keys[n]) == 0)
		last = &keys[n++];
	for (i = 0; i < n; i++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &keys[i], &flow), 0);
		flow.seen -= seconds * EX_SEC;
		assert_int_equal(bpf_map_update_elem(fd, &keys[i], &flow, BPF_EXIST), 0);
	}
	return n;
}

static inline void open_tcp(uint16_t port)
{
	assert_int_equal(tcp_out(port, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(tcp_in(port, PKT_SYN | PKT_ACK), EX_R_ALLOWED);
	assert_int_equal(tcp_out(port, PKT_ACK), EX_R_ALLOWED);
}

#define state_test(f) cmocka_unit_test_setup(f, publish)

#endif
