/* SPDX-License-Identifier: Apache-2.0 */
/* Destinations in the kernel: the program's answer beside the one of the kernel's own trie. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"

#define MANY 3000

struct trie_key {
	uint32_t prefixlen;
	struct ex_ip ip;
};

static uint64_t seed = 0x2545f4914f6cdd1d;

static uint32_t up_to(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % n;
}

/* Of a class of even number everything is allowed, of an odd one everything is denied. */
static void publish_to(uint32_t ifindex, struct ex_dest_entry *v, size_t n)
{
	struct ex_rule_entry rules[] = {
		{ 1, 0, 0, 0, { EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, 1 } },
		{ 2, 0, 0, 0, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
		{ 3, 0, 0, 0, { EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, 3 } },
		{ 4, 0, 0, 0, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 4 } },
	};
	const struct ex_tables t = { v, n, rules, EX_ARRAY_SIZE(rules), 4 };
	struct ex_endpoint ep;

	netns_endpoint(&ep, EX_EP_SILENT);
	assert_int_equal(ex_gate_publish(bench_gate, ifindex, &ep, &t), 0);
}

static void publish(struct ex_dest_entry *v, size_t n)
{
	publish_to(BENCH_IF, v, n);
}

/* Where packets may go to: 20.0.0.0/14 and 2001:db8::/96. */
static struct ex_ip ip_any(void)
{
	struct ex_ip ip = { { 0x20, 0x01, 0x0d, 0xb8 } };
	uint32_t low = up_to(1u << 18);

	if (up_to(3)) {
		low = htonl((20u << 24) + low);
		return ex_ip_from4(&low);
	}
	low = htonl(low);
	memcpy(ip.b + 12, &low, sizeof(low));
	return ip;
}

static void set_any(struct ex_dest_entry *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		v[i].ip = ip_any();
		v[i].prefix = (uint8_t)(up_to(8) ? 110 + up_to(19) : up_to(129));
		v[i].klass = up_to(5);
	}
}

/* Of each prefix once, and as a table of prefixes has it: what is behind the prefix is 0. */
static size_t set_tidy(struct ex_dest_entry *v, size_t n, int trie)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct trie_key key = { v[i].prefix, v[i].ip };

		if (bpf_map_update_elem(trie, &key, &v[i].klass, BPF_NOEXIST) == 0)
			v[kept++] = v[i];
	}
	return kept;
}

static int trie_new(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "reference", sizeof(struct trie_key),
				sizeof(uint32_t), MANY, &opts);

	assert_true(fd >= 0);
	return fd;
}

static enum ex_reason expected(int trie, const struct ex_ip *ip)
{
	const struct trie_key key = { 128, *ip };
	uint32_t klass = 0;

	(void)bpf_map_lookup_elem(trie, &key, &klass);
	if (!klass)
		return EX_R_DEFAULT_DENY;
	return klass % 2 ? EX_R_POLICY_DENY : EX_R_ALLOWED;
}

/* Each time a new flow. */
static enum ex_reason ask(const struct ex_ip *ip)
{
	static uint16_t port;
	char text[EX_IP_TEXT];

	return bench_out(&(struct pkt_spec){
		.dst = ex_ip_text(ip, text), .proto = IPPROTO_UDP, .sport = ++port, .dport = 9 });
}

static void forget_flows(void)
{
	int fd = gate_port_find(bench_gate, bench_ifindex)->flows;
	struct ex_flow_key key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
}

static void check(int trie, size_t asked)
{
	char text[EX_IP_TEXT];

	for (size_t i = 0; i < asked; i++) {
		struct ex_ip ip = ip_any();

		if (ask(&ip) != expected(trie, &ip))
			fail_msg("%s is not judged as by the longest prefix",
				 ex_ip_text(&ip, text));
	}
	forget_flows();
}

static void test_it_is_the_longest_prefix_that_counts(void **state)
{
	static struct ex_dest_entry v[MANY];

	(void)state;
	for (size_t round = 0; round < 24; round++) {
		size_t n = round % 8 ? up_to(60) : MANY;
		EX_AUTO_CLOSE int trie = trie_new();

		set_any(v, n);
		publish(v, set_tidy(v, n, trie));
		check(trie, 400);
	}
}

/* Prefixes of all lengths come and go, one or some at a time. */
static void test_a_change_leaves_the_longest_prefix(void **state)
{
	static const struct ex_delta none;
	static struct ex_dest_entry v[MANY], put[8], gone[8];
	EX_AUTO_CLOSE int trie = trie_new();
	size_t n;

	(void)state;
	set_any(v, 500);
	n = set_tidy(v, 500, trie);
	publish(v, n);
	for (size_t round = 0; round < 150; round++) {
		struct ex_delta d = { .put = { .dests = put, .n_dests = up_to(8) },
				      .gone = gone,
				      .n_gone = up_to(8) };

		set_any(put, d.put.n_dests);
		for (size_t i = 0; i < d.n_gone; i++) {
			struct trie_key key;

			gone[i] = v[up_to((uint32_t)n)];
			key = (struct trie_key){ gone[i].prefix, gone[i].ip };
			(void)bpf_map_delete_elem(trie, &key);
		}
		for (size_t i = 0; i < d.put.n_dests; i++) {
			struct trie_key key = { put[i].prefix, put[i].ip };

			assert_int_equal(bpf_map_update_elem(trie, &key, &put[i].klass, BPF_ANY),
					 0);
		}
		assert_int_equal(ex_gate_update(bench_gate, BENCH_IF, &d, &none), 0);
		check(trie, 30);
	}
}

/* The array is replaced by a bigger one while a ruleset is in force in it. */
static void test_rulesets_outlive_that_the_array_grows(void **state)
{
	static struct ex_dest_entry v[100000];
	EX_AUTO_CLOSE int trie = trie_new();
	uint32_t cells = bench_gate->cells.n, four;
	struct ex_ip ip;

	(void)state;
	set_any(v, 300);
	publish(v, set_tidy(v, 300, trie));
	for (size_t i = 0; i < EX_ARRAY_SIZE(v); i++) {
		four = htonl((20u << 24) + (uint32_t)i * 3);
		v[i] = (struct ex_dest_entry){ ex_ip_from4(&four), 128, 1 + (uint32_t)i % 4 };
	}
	publish_to(77, v, EX_ARRAY_SIZE(v));
	assert_true(bench_gate->cells.n > cells);
	check(trie, 400);
	ex_gate_forget(bench_gate, 77);
	check(trie, 400);
	publish(v, EX_ARRAY_SIZE(v));
	for (uint32_t i = 0; i < 3 * EX_ARRAY_SIZE(v); i += 100) {
		four = htonl((20u << 24) + i);
		ip = ex_ip_from4(&four);
		if (i % 3)
			assert_int_equal(ask(&ip), EX_R_DEFAULT_DENY);
		else
			assert_int_equal(ask(&ip), i / 3 % 2 ? EX_R_ALLOWED : EX_R_POLICY_DENY);
	}
	ex_gate_forget(bench_gate, BENCH_IF);
	assert_int_equal(gate_cells_used(bench_gate), 0);
}

/* ---- packets on one CPU while rulesets come and go on another ---- */

#define CHURN_ROUNDS 1500

struct hammer {
	struct pkt_frame denied, allowed;
	atomic_bool stop;
	unsigned long asked, passed, dropped;
};

static void *hammer_run(void *arg)
{
	struct hammer *h = arg;

	for (; !h->stop; h->asked++) {
		h->passed += bench_action(&h->denied) != TC_ACT_SHOT;
		h->dropped += bench_action(&h->allowed) != TC_ACT_OK;
	}
	return NULL;
}

static void hammer_build(struct hammer *h)
{
	pkt_build(&h->denied,
		  &(struct pkt_spec){
			  .dst = "20.3.0.1", .proto = IPPROTO_UDP, .sport = 1, .dport = 9 });
	pkt_build(&h->allowed,
		  &(struct pkt_spec){
			  .dst = "20.3.0.2", .proto = IPPROTO_UDP, .sport = 2, .dport = 9 });
}

/* Classes of the two addresses, and whatever else there is. */
static size_t set_with(struct ex_dest_entry *v, size_t n, uint32_t first, uint32_t second)
{
	EX_AUTO_CLOSE int trie = trie_new();

	set_any(v, n);
	v[0] = (struct ex_dest_entry){ .prefix = 128, .klass = first };
	v[1] = (struct ex_dest_entry){ .prefix = 128, .klass = second };
	assert_true(ex_ip_parse("20.3.0.1", &v[0].ip) && ex_ip_parse("20.3.0.2", &v[1].ip));
	return set_tidy(v, n, trie);
}

/* Others, for whom it is the other way round, are given the cells that were let go of. */
static void churn(uint32_t round)
{
	static const struct ex_delta none;
	static struct ex_dest_entry v[MANY];
	uint32_t own[] = { 1 + 2 * up_to(2), 2 + 2 * up_to(2) }, other = 70 + up_to(4);
	size_t n = 2 + (round % 50 ? up_to(60) : up_to(MANY - 2));
	struct ex_delta d = { .put = { .dests = v } };

	if (round % 3) {
		publish_to(other, v, set_with(v, n, own[1], own[0]));
		if (round % 7 == 0)
			ex_gate_forget(bench_gate, other);
	} else if (round % 2) {
		publish(v, set_with(v, n, own[0], own[1]));
	} else {
		d.put.n_dests = set_with(v, 10, own[0], own[1]);
		assert_int_equal(ex_gate_update(bench_gate, BENCH_IF, &d, &none), 0);
	}
	if (round % 5 == 0)
		(void)ex_gate_tidy(bench_gate);
}

/* No packet ever meets another endpoint's tree, or one that is half written. */
static void test_packets_meet_no_tree_but_their_own(void **state)
{
	static struct hammer h;
	struct ex_dest_entry v[2];
	pthread_t thread;

	(void)state;
	hammer_build(&h);
	publish(v, set_with(v, 2, 1, 2));
	assert_int_equal(pthread_create(&thread, NULL, hammer_run, &h), 0);
	for (uint32_t round = 0; round < CHURN_ROUNDS; round++)
		churn(round);
	h.stop = true;
	pthread_join(thread, NULL);
	assert_true(h.asked > 0);
	assert_int_equal(h.passed, 0);
	assert_int_equal(h.dropped, 0);
	for (uint32_t ifindex = 70; ifindex < 74; ifindex++)
		ex_gate_forget(bench_gate, ifindex);
	ex_gate_forget(bench_gate, BENCH_IF);
	assert_int_equal(gate_cells_used(bench_gate), 0);
	assert_int_equal(bench_gate->n_prefixes, 0);
}

/* Whoever could write to the cells would judge for everybody. */
static void test_no_child_has_the_cells(void **state)
{
	unsigned char there;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(mincore(bench_gate->cells.v, 1, &there), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(mincore(bench_gate->cells.v, 1, &there) < 0 && errno == ENOMEM ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Of what is in the array, all but a few cells. */
static void take_cells(struct gate_region **ret)
{
	struct gate_tree t = { .n = bench_gate->cells.n - (uint32_t)gate_cells_used(bench_gate) -
				    8 };

	t.cells = calloc(t.n, sizeof(*t.cells));
	assert_non_null(t.cells);
	assert_int_equal(gate_region_put(bench_gate, &t, ret), 0);
	gate_tree_done(&t);
}

/* What is published stays as it is; of what was changed nothing passes, until it is published. */
static void test_without_room_nothing_opens(void **state)
{
	static const struct ex_delta none;
	static struct ex_dest_entry v[MANY];
	uint32_t max = bench_gate->cells.max;
	struct gate_region *taken;
	struct ex_delta d = { .put = { .dests = v } };
	struct ex_endpoint ep;
	struct ex_tables t = { .dests = v, .n_classes = 4 };
	struct hammer h;

	(void)state;
	hammer_build(&h);
	publish(v, set_with(v, 2, 1, 2));
	take_cells(&taken);
	bench_gate->cells.max = bench_gate->cells.n;
	d.put.n_dests = t.n_dests = set_with(v, MANY, 2, 2);
	netns_endpoint(&ep, EX_EP_SILENT);
	assert_int_equal(ex_gate_publish(bench_gate, BENCH_IF, &ep, &t), -ENOSPC);
	assert_int_equal(bench_action(&h.denied), TC_ACT_SHOT);
	assert_int_equal(bench_action(&h.allowed), TC_ACT_OK);
	assert_int_equal(ex_gate_update(bench_gate, BENCH_IF, &d, &none), -ENOSPC);
	assert_int_equal(bench_action(&h.denied), TC_ACT_SHOT);
	assert_int_equal(bench_action(&h.allowed), TC_ACT_SHOT);
	publish(v, set_with(v, 2, 1, 2));
	assert_int_equal(bench_action(&h.denied), TC_ACT_SHOT);
	assert_int_equal(bench_action(&h.allowed), TC_ACT_OK);
	gate_region_free(bench_gate, taken);
	bench_gate->cells.max = max;
	ex_gate_forget(bench_gate, BENCH_IF);
	assert_int_equal(gate_cells_used(bench_gate), 0);
	assert_int_equal(bench_gate->n_prefixes, 0);
}

static void test_a_prefix_that_is_there_twice_is_refused(void **state)
{
	struct ex_dest_entry v[] = { { .prefix = 104, .klass = 1 }, { .prefix = 104, .klass = 2 } };
	const struct ex_tables t = { v, EX_ARRAY_SIZE(v), NULL, 0, 2 };
	struct ex_endpoint ep;

	(void)state;
	ex_ip_parse("20.0.0.1", &v[0].ip);
	ex_ip_parse("20.0.0.2", &v[1].ip);
	netns_endpoint(&ep, 0);
	assert_int_equal(ex_gate_publish(bench_gate, BENCH_IF, &ep, &t), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_the_longest_prefix_that_counts),
		cmocka_unit_test(test_a_change_leaves_the_longest_prefix),
		cmocka_unit_test(test_rulesets_outlive_that_the_array_grows),
		cmocka_unit_test(test_packets_meet_no_tree_but_their_own),
		cmocka_unit_test(test_no_child_has_the_cells),
		cmocka_unit_test(test_without_room_nothing_opens),
		cmocka_unit_test(test_a_prefix_that_is_there_twice_is_refused),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
