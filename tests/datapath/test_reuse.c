/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a packet may still be reading is not used for anything else: entries of endpoints, of names
 * and of flows.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"

#define FAR   "198.51.100.7"
#define FLOWS 8

/* Of the class that names give an address: an odd one denies, an even one allows. */
static struct ex_rule_entry rules[] = {
	{ 1, 0, 0, 0, { EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, 1 } },
	{ 2, 0, 0, 0, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
};

static int setup(void **state)
{
	(void)state;
	bench_open(&(struct ex_gate_limits){ .flows = FLOWS });
	return 0;
}

static int publish_to(uint32_t ifindex, uint32_t klass)
{
	struct ex_dest_entry far = { .prefix = 128, .klass = klass };
	const struct ex_tables t = { &far, klass != 0, rules, EX_ARRAY_SIZE(rules), 2 };
	struct ex_endpoint ep;

	assert_true(ex_ip_parse(FAR, &far.ip));
	netns_endpoint(&ep, EX_EP_SILENT);
	return ex_gate_publish(bench_gate, ifindex, &ep, &t);
}

static void publish(uint32_t ifindex, uint32_t klass)
{
	assert_int_equal(publish_to(ifindex, klass), 0);
}

static void forget_all(void)
{
	while (bench_gate->ports)
		ex_gate_forget(bench_gate, bench_gate->ports->ifindex);
}

/* ---- endpoints ---- */

static struct ex_endpoint entry_read(uint32_t entry)
{
	struct ex_endpoint ep;

	assert_int_equal(bpf_map_lookup_elem(gate_map_fd(bench_gate, "ex_endpoints"), &entry, &ep),
			 0);
	return ep;
}

/* What a packet found first it may read to its end, whatever becomes of endpoints meanwhile. */
static void test_an_entry_stays_until_packets_have_left(void **state)
{
	const struct gate_port *port;
	struct ex_endpoint was, is;
	uint32_t entry;

	(void)state;
	publish(BENCH_IF, 2);
	publish(70, 1);
	port = gate_port_find(bench_gate, BENCH_IF);
	entry = port->entry;
	was = entry_read(entry);
	assert_int_equal(was.generation, port->ep.generation);
	for (uint32_t i = 0; i < 100; i++) { /* no endpoint is new, and nothing is settled */
		publish(i % 2 ? 70 : BENCH_IF, 1);
		assert_int_not_equal(gate_port_find(bench_gate, 70)->entry, entry);
		assert_int_not_equal(port->entry, entry);
	}
	is = entry_read(entry);
	assert_memory_equal(&is, &was, sizeof(is));
	gate_settle(bench_gate);
	publish(BENCH_IF, 2);
	assert_int_equal(port->entry, entry); /* the lowest */
	forget_all();
}

/* There are more versions than entries: it has to be waited for. */
static void test_entries_do_not_run_out(void **state)
{
	(void)state;
	publish(BENCH_IF, 2);
	for (uint32_t i = 0; i < 3 * EX_ENTRIES; i++)
		assert_int_equal(ex_gate_lease(bench_gate, BENCH_IF, 60000 + i), 0);
	assert_int_equal(bench_out(&(struct pkt_spec){
				 .dst = FAR, .proto = IPPROTO_UDP, .sport = 1, .dport = 9 }),
			 EX_R_ALLOWED);
	forget_all();
}

static void test_an_interface_without_a_word_is_denied(void **state)
{
	uint32_t ifindex = BENCH_IF;

	(void)state;
	for (size_t i = 0; i < EX_IF_WORDS; i++)
		publish(ifindex += EX_IF_BUCKETS, 2);
	assert_int_equal(publish_to(BENCH_IF, 2), -E2BIG);
	assert_int_equal(bench_out(&(struct pkt_spec){
				 .dst = FAR, .proto = IPPROTO_UDP, .sport = 1, .dport = 9 }),
			 EX_R_NO_ENDPOINT);
	ex_gate_forget(bench_gate, ifindex);
	publish(BENCH_IF, 2);
	assert_int_equal(bench_out(&(struct pkt_spec){
				 .dst = FAR, .proto = IPPROTO_UDP, .sport = 1, .dport = 9 }),
			 EX_R_ALLOWED);
	forget_all();
}

/* ---- names: packets on one CPU while names come and go on another ---- */

#define CHURN_ROUNDS 100000

struct hammer {
	struct pkt_frame denied, allowed;
	atomic_bool stop;
	unsigned long asked, passed, dropped;
};

/*
 * Interrupts 20 000 times a second in this thread: what is read within nanoseconds is then now and
 * then read within microseconds. Without them it is seen only when a host stops the CPU just there.
 */
static int interrupts_open(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_CPU_CLOCK,
					.sample_period = 50000 };

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Of the last of many: a packet that passed has begun a flow, with which all that follow pass. */
static int action_of_many(const struct pkt_frame *f)
{
	struct __sk_buff in = { .ifindex = BENCH_IF };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .ctx_in = &in, .ctx_size_in = sizeof(in), .repeat = 64);

	assert_int_equal(bpf_prog_test_run_opts(gate_prog_fd(bench_gate, "from_workload"), &opts),
			 0);
	return (int)opts.retval;
}

static void *hammer_run(void *arg)
{
	struct hammer *h = arg;
	int interrupts = interrupts_open(); /* as far as they are to be had */

	for (; !h->stop; h->asked++) {
		h->passed += action_of_many(&h->denied) != TC_ACT_SHOT;
		h->dropped += bench_action(&h->allowed) != TC_ACT_OK;
	}
	if (interrupts >= 0)
		close(interrupts);
	return NULL;
}

static void learn(uint32_t ifindex, const char *text, uint32_t klass)
{
	struct ex_ip ip;

	assert_true(ex_ip_parse(text, &ip));
	assert_int_equal(ex_gate_learn(bench_gate, ifindex, &ip, klass, 60000), 0);
}

/* For somebody else it is the other way round. */
static void test_packets_meet_no_name_but_their_own(void **state)
{
	static struct hammer h;
	pthread_t thread;

	(void)state;
	pkt_build(&h.allowed,
		  &(struct pkt_spec){
			  .dst = "2001:db8::7", .proto = IPPROTO_UDP, .sport = 2, .dport = 9 });
	pkt_build(&h.denied,
		  &(struct pkt_spec){ .dst = FAR, .proto = IPPROTO_UDP, .sport = 1, .dport = 9 });
	publish(BENCH_IF, 0);
	publish(70, 0);
	learn(BENCH_IF, FAR, 1);
	learn(BENCH_IF, "2001:db8::7", 2);
	assert_int_equal(pthread_create(&thread, NULL, hammer_run, &h), 0);
	for (uint32_t round = 0; round < CHURN_ROUNDS; round++) {
		bool own = round % 3 == 0;

		learn(own ? BENCH_IF : 70, FAR, own ? 1 : 2);
		learn(own ? BENCH_IF : 70, "2001:db8::7", own ? 2 : 1);
	}
	h.stop = true;
	pthread_join(thread, NULL);
	assert_true(h.asked > 0);
	assert_int_equal(h.passed, 0);
	assert_int_equal(h.dropped, 0);
	forget_all();
}

static uint32_t turn_read(void)
{
	struct ex_state s;
	uint32_t key = 0;

	assert_int_equal(bpf_map_lookup_elem(gate_map_fd(bench_gate, "ex_state"), &key, &s), 0);
	return s.turn;
}

/* It is counted before a name's entry may be another's. */
static void test_each_name_that_is_learned_counts(void **state)
{
	uint32_t before;

	(void)state;
	publish(BENCH_IF, 0);
	for (int i = 0; i < 3; i++) {
		before = turn_read();
		learn(BENCH_IF, FAR, 1);
		assert_int_not_equal(turn_read(), before);
	}
	forget_all();
}

/* ---- flows ---- */

static enum ex_reason tcp_out(uint16_t sport, uint8_t flags)
{
	return bench_out(&(struct pkt_spec){
		.dst = FAR, .proto = IPPROTO_TCP, .sport = sport, .dport = 443, .flags = flags });
}

/* All flows, which are made to look older. */
static size_t flows_read(struct ex_flow_state ret[static FLOWS], uint64_t older)
{
	int fd = gate_port_find(bench_gate, BENCH_IF)->flows;
	struct ex_flow_key keys[FLOWS], *last = NULL;
	size_t n = 0;

	while (n < FLOWS && bpf_map_get_next_key(fd, last, &keys[n]) == 0)
		last = &keys[n++];
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &keys[i], &ret[i]), 0);
		ret[i].seen -= older;
		if (older)
			assert_int_equal(bpf_map_update_elem(fd, &keys[i], &ret[i], BPF_EXIST), 0);
	}
	return n;
}

static void test_a_revoked_flow_is_none_and_keeps_its_entry(void **state)
{
	struct ex_flow_state flows[FLOWS];
	uint64_t last;

	(void)state;
	publish(BENCH_IF, 2);
	assert_int_equal(tcp_out(1, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(flows_read(flows, 30 * EX_SEC), 1);
	publish(BENCH_IF, 1);
	assert_int_equal(tcp_out(1, PKT_SYN), EX_R_POLICY_CHANGED);
	last = flows[0].seen;
	assert_int_equal(flows_read(flows, 0), 1);
	assert_int_equal(flows[0].phase, EX_FLOW_NONE);
	assert_true(flows[0].seen >= last + 30 * EX_SEC); /* its grace begins now */
	assert_int_equal(tcp_out(1, PKT_SYN), EX_R_POLICY_DENY);
	publish(BENCH_IF, 2); /* too late for the flow */
	assert_int_equal(tcp_out(1, PKT_ACK), EX_R_NO_FLOW);
	assert_int_equal(tcp_out(1, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(flows_read(flows, 0), 1);
	assert_int_equal(flows[0].phase, EX_FLOW_OPENING);
	assert_int_equal(flows[0].generation, gate_port_find(bench_gate, BENCH_IF)->ep.generation);
	assert_int_equal(flows[0].sent.packets, 1);
	forget_all();
}

static void test_a_full_table_waits_for_the_grace_of_an_entry(void **state)
{
	struct ex_flow_state flows[FLOWS];

	(void)state;
	publish(BENCH_IF, 2);
	for (uint16_t i = 0; i < FLOWS; i++)
		assert_int_equal(tcp_out(100 + i, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(flows_read(flows, 61 * EX_SEC), FLOWS);
	assert_int_equal(tcp_out(99, PKT_SYN), EX_R_TABLE_FULL);
	assert_int_equal(tcp_out(100, PKT_SYN), EX_R_ALLOWED); /* in its own */
	forget_all();
	publish(BENCH_IF, 2);
	for (uint16_t i = 0; i < FLOWS; i++)
		assert_int_equal(tcp_out(100 + i, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(flows_read(flows, 60 * EX_SEC + EX_FLOW_GRACE + EX_SEC), FLOWS);
	assert_int_equal(tcp_out(99, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(flows_read(flows, 0), 1);
	forget_all();
}

/* All but the one that is told begin anew, which the sweep read as over already. */
static void begin_others_anew(void *arg, const struct ex_event *ev)
{
	size_t *told = arg;

	for (uint16_t i = 0; i < FLOWS && !*told; i++)
		if (ntohs(ev->sport) != 100 + i)
			assert_int_equal(tcp_out(100 + i, PKT_SYN), EX_R_ALLOWED);
	++*told;
}

static void test_a_sweep_leaves_what_begins_anew_under_it(void **state)
{
	struct ex_flow_state flows[FLOWS];
	size_t told = 0;

	(void)state;
	publish(BENCH_IF, 2);
	for (uint16_t i = 0; i < FLOWS; i++)
		assert_int_equal(tcp_out(100 + i, PKT_SYN), EX_R_ALLOWED);
	assert_int_equal(flows_read(flows, 60 * EX_SEC + EX_FLOW_GRACE + EX_SEC), FLOWS);
	bench_gate->event_fn = begin_others_anew;
	bench_gate->event_arg = &told;
	gate_sweep(bench_gate);
	bench_gate->event_fn = NULL;
	assert_int_equal(told, 1);
	assert_int_equal(flows_read(flows, 0), FLOWS - 1);
	forget_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_entry_stays_until_packets_have_left),
		cmocka_unit_test(test_entries_do_not_run_out),
		cmocka_unit_test(test_an_interface_without_a_word_is_denied),
		cmocka_unit_test(test_packets_meet_no_name_but_their_own),
		cmocka_unit_test(test_each_name_that_is_learned_counts),
		cmocka_unit_test(test_a_revoked_flow_is_none_and_keeps_its_entry),
		cmocka_unit_test(test_a_full_table_waits_for_the_grace_of_an_entry),
		cmocka_unit_test(test_a_sweep_leaves_what_begins_anew_under_it),
	};

	return cmocka_run_group_tests(tests, setup, bench_teardown);
}
