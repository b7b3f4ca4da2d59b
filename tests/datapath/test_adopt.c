/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps that outlive the process: a gate that starts on those of another one takes over what is
 * there, and nothing is left of what was half done.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/served.h"
#include "tests/datapath/socks.h"

#define FAR "198.51.100.7"

static char root[] = "/tmp/exeat-adopt-XXXXXX", pin[64];
static struct netns ns;
static struct ex_gate *gate;
static int listener;

static struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_TCP, 443, { EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, 1 } },
	{ 1, 32, IPPROTO_TCP, 444, { EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, 2 } },
};
static struct ex_dest_entry dests[1];

static void publish(uint32_t ifindex, size_t n)
{
	const struct ex_tables t = { dests, 1, rules, n, 1 };
	const struct ex_gate_ruleset ruleset = { .egress = &t, .ingress = &tables_all };
	struct ex_endpoint ep;

	netns_endpoint(&ep, 0);
	assert_int_equal(ex_gate_publish_both(gate, ifindex, &ep, &ruleset), 0);
}

static void start(void)
{
	const struct ex_gate_limits limits = { .pin = pin };

	assert_int_equal(ex_gate_load(&limits, &gate), 0);
}

/* As SIGKILL does it: nothing is taken back. */
static void restart(void)
{
	ex_gate_free(gate);
	start();
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root));
	netns_bpffs(root);
	snprintf(pin, sizeof(pin), "%s/exeat", root);
	netns_open(&ns);
	assert_true(ex_ip_parse(FAR, &dests[0].ip));
	dests[0].prefix = 128;
	dests[0].klass = 1;
	listener = socks_transparent(SOCK_STREAM, "0.0.0.0", 0);
	start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ex_gate_free(gate);
	assert_int_equal(ex_gate_unpin(pin), 0);
	assert_int_equal(access(pin, F_OK), -1);
	umount2(root, MNT_DETACH);
	rmdir(root);
	close(listener);
	netns_close(&ns);
	return 0;
}

static int entries(const char *map)
{
	int fd = gate_map_fd(gate, map), n = 0;
	char key[64], *last = NULL;

	while (bpf_map_get_next_key(fd, last, key) == 0) {
		last = key;
		n++;
	}
	return n;
}

static void assert_empty(void)
{
	static const char *const maps[] = { "ex_rules", "ex_names", "ex_gateways", "ex_sets",
					    "ex_bindings" };
	static const struct ex_if_bucket none;
	uint32_t slot, id;

	for (size_t i = 0; i < EX_ARRAY_SIZE(maps); i++)
		if (entries(maps[i]))
			fail_msg("%s has %d entries", maps[i], entries(maps[i]));
	for (size_t i = 0; i < EX_IF_BUCKETS; i++)
		assert_memory_equal(&gate->endpoints.buckets[i], &none, sizeof(none));
	assert_int_equal(gate_cells_used(gate), 0);
	for (slot = 0; slot < EX_ENDPOINTS_MAX; slot++)
		assert_true(bpf_map_lookup_elem(gate_map_fd(gate, "ex_flows"), &slot, &id) < 0);
}

static int client(uint16_t port)
{
	int fd;

	netns_enter(ns.workload);
	fd = socks_connect(SOCK_STREAM, FAR, port);
	netns_enter(ns.gw);
	return fd;
}

static void open_endpoint(void)
{
	publish(ns.ifindex, 2);
	assert_int_equal(ex_gate_set_socket(gate, ns.ifindex, EX_SOCK_TCP4, 0, listener), 0);
	assert_int_equal(ex_gate_attach(gate, ns.ifindex), 0);
}

/* While nobody is there, after the start, after the first publish: the same connection goes on. */
static void test_flows_outlive_the_process(void **state)
{
	int fd, peer, other;

	(void)state;
	open_endpoint();
	fd = client(443);
	assert_true(fd >= 0);
	peer = socks_accept(listener);
	socks_assert_talk(fd, peer);
	ex_gate_free(gate);
	socks_assert_talk(fd, peer);
	assert_int_equal(client(80), -ECONNREFUSED);
	other = client(443); /* the sockets are in the pinned map as long as somebody has them */
	assert_true(other >= 0);
	close(socks_accept(listener));
	close(other);
	start();
	socks_assert_talk(fd, peer);
	publish(ns.ifindex, 2);
	socks_assert_talk(fd, peer);
	assert_int_equal(ex_gate_attach(gate, ns.ifindex), 0);
	socks_assert_talk(fd, peer);
	assert_int_equal(client(80), -ECONNREFUSED);
	publish(ns.ifindex, 0);
	assert_int_equal(client(443), -ECONNREFUSED);
	close(fd);
	close(peer);
	ex_gate_forget(gate, ns.ifindex);
	assert_empty();
}

static void note(void *arg, uint32_t ifindex, const struct ex_endpoint *ep)
{
	uint32_t *seen = arg;

	assert_true(ep->policy && ep->ingress);
	*seen += ifindex;
}

static void test_endpoints_are_adopted(void **state)
{
	uint32_t seen = 0;
	int rule_entries;

	(void)state;
	publish(1001, 2);
	publish(1002, 1);
	rule_entries = entries("ex_rules");
	restart();
	ex_gate_each(gate, note, &seen);
	assert_int_equal(seen, 1001 + 1002);
	assert_int_equal(entries("ex_rules"), rule_entries);
	publish(1001, 1);
	gate_settle(gate);
	assert_int_equal(entries("ex_rules"), rule_entries - 1);
	ex_gate_forget(gate, 1001);
	ex_gate_forget(gate, 1002);
	assert_empty();
}

static void test_counters_are_adopted(void **state)
{
	struct ex_counter c;
	int fd;

	(void)state;
	open_endpoint();
	fd = client(443);
	close(socks_accept(listener));
	close(fd);
	restart();
	assert_int_equal(ex_gate_count_rule(gate, ns.ifindex, 1, &c), 0);
	assert_true(c.packets >= 3);
	publish(1001, 2); /* must not get the same counter */
	assert_int_equal(ex_gate_count_rule(gate, 1001, 1, &c), 0);
	assert_int_equal(c.packets, 0);
	ex_gate_forget(gate, 1001);
	ex_gate_forget(gate, ns.ifindex);
	assert_empty();
}

/* A ruleset that was being written, and one that was being taken out, when the process ended. */
static void test_half_done_work_is_taken_out(void **state)
{
	const struct ex_tables t = { dests, 1, rules, 2, 1 };
	struct gate_set *set;
	uint32_t gateway = 77, ifindex = 78;

	(void)state;
	assert_int_equal(gate_set_new(gate, &t, true, &set), 0);
	gate_set_free(set);
	assert_int_equal(gate_set_new(gate, &t, true, &set), 0);
	assert_int_equal(bpf_map_delete_elem(gate_map_fd(gate, "ex_sets"), &set->policy), 0);
	gate_set_free(set);
	assert_int_equal(
		bpf_map_update_elem(gate_map_fd(gate, "ex_gateways"), &gateway, &ifindex, BPF_ANY),
		0);
	restart();
	assert_empty();
}

struct known {
	int n;
	uint64_t ttl_ms;
};

static void note_binding(void *arg, const struct ex_ip *ip, struct ex_span name, uint64_t ttl_ms)
{
	struct known *k = arg;

	assert_true(ex_ip_is4(ip));
	assert_int_equal(name.len, 15);
	assert_memory_equal(name.ptr, "api.example.com", 15);
	k->n++;
	k->ttl_ms = ttl_ms;
}

static void test_bindings_outlive_the_process(void **state)
{
	const struct ex_span name = EX_SPAN("api.example.com");
	struct known k = { 0 };
	struct ex_ip ip;

	(void)state;
	assert_true(ex_ip_parse(FAR, &ip));
	assert_int_equal(ex_gate_binding_put(gate, 1001, &ip, name, 60000), -EINVAL);
	publish(1001, 1);
	publish(1002, 1);
	assert_int_equal(ex_gate_binding_put(gate, 1001, &ip, name, 3600000), 0);
	assert_int_equal(ex_gate_binding_put(gate, 1001, &ip, EX_SPAN("short.example"), 0), 0);
	restart();
	ex_gate_bindings_each(gate, 1001, note_binding, &k); /* the expired one is not told */
	assert_int_equal(k.n, 1);
	assert_true(k.ttl_ms > 3000000 && k.ttl_ms <= 3600000);
	ex_gate_bindings_each(gate, 1002, note_binding, &k);
	assert_int_equal(k.n, 1);
	assert_int_equal(entries("ex_bindings"), 1);
	ex_gate_binding_remove(gate, 1001, &ip, name);
	assert_int_equal(entries("ex_bindings"), 0);
	assert_int_equal(ex_gate_binding_put(gate, 1001, &ip, name, 60000), 0);
	ex_gate_forget(gate, 1001);
	ex_gate_forget(gate, 1002);
	assert_empty();
}

static void test_maps_belong_to_one_process(void **state)
{
	const struct ex_gate_limits limits = { .pin = pin };
	struct ex_gate *second;

	(void)state;
	assert_int_equal(ex_gate_load(&limits, &second), -EAGAIN);
}

static void test_other_limits_are_refused(void **state)
{
	const struct ex_gate_limits other = { .rules = 1000, .pin = pin };
	struct ex_gate *none;

	(void)state;
	publish(1001, 1);
	ex_gate_free(gate);
	assert_int_equal(ex_gate_load(&other, &none), -EPROTO);
	assert_int_equal(ex_gate_unpin(pin), 0);
	assert_int_equal(ex_gate_load(&other, &gate), 0);
	assert_empty();
	ex_gate_free(gate);
	assert_int_equal(ex_gate_unpin(pin), 0);
	start();
}

static void test_pins_of_other_versions_go(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/v0", pin);
	assert_return_code(mkdir(path, 0700), errno);
	snprintf(path, sizeof(path), "%s/v0/ex_names", pin);
	assert_int_equal(bpf_obj_pin(gate_map_fd(gate, "ex_names"), path), 0);
	restart();
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/v%d/ex_names", pin, EX_ABI_VERSION);
	assert_int_equal(access(path, F_OK), 0);
}

static void test_not_a_bpffs_is_refused(void **state)
{
	const struct ex_gate_limits limits = { .pin = "/tmp/exeat-adopt-no-bpffs" };
	struct ex_gate *none;
	char path[128];

	(void)state;
	assert_int_equal(ex_gate_load(&limits, &none), -EINVAL);
	snprintf(path, sizeof(path), "%s/v%d", limits.pin, EX_ABI_VERSION);
	assert_return_code(rmdir(path), errno);
	assert_return_code(rmdir(limits.pin), errno);
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Every number, slot and counter comes back. */
enum { BATCHES = 10, BATCH_SIZE = 100 };

static void test_thousand_endpoints_leave_nothing(void **state)
{
	int before = descriptors(), i, batch;
	size_t spare = gate->n_spare_counters;

	(void)state;
	for (batch = 0; batch < BATCHES; batch++) {
		for (i = 0; i < BATCH_SIZE; i++)
			publish(2000 + (uint32_t)i, 2);
		for (i = 0; i < BATCH_SIZE; i++)
			ex_gate_forget(gate, 2000 + (uint32_t)i);
	}
	assert_empty();
	assert_int_equal(descriptors(), before);
	assert_int_equal(gate->n_spare_counters, spare);
}

/* Class numbers go round; a ruleset that lives is not overwritten. */
static void test_numbers_are_given_out_again(void **state)
{
	const struct ex_tables t = { dests, 1, rules, 2, 1 };
	struct gate_set *low, *next;

	(void)state;
	gate->state.last_class = 0;
	assert_int_equal(gate_set_new(gate, &t, true, &low), 0);
	assert_int_equal(low->base, 0);
	gate->state.last_class = EX_CLASS_MAX - 10;
	gate->state.last_policy = UINT32_MAX;
	assert_int_equal(gate_set_new(gate, &t, true, &next), 0);
	assert_int_equal(next->base, low->classes);
	assert_int_equal(next->policy, 1);
	gate_set_remove(gate, low);
	gate_set_remove(gate, next);
	assert_empty();
}

/* ---- killed at any moment ---- */

#define KILLED_ROUNDS 25
#define KILLED_FIRST  80
#define KILLED_PORTS  6
#define KILLED_DESTS  2000

/* Of the first address on, every third. */
static void publish_many(uint32_t ifindex, size_t n)
{
	static struct ex_dest_entry v[KILLED_DESTS];
	const struct ex_tables t = { v, n, rules, 1, 3 };
	struct ex_endpoint ep;

	for (size_t i = 0; i < n; i++) {
		uint32_t four = htonl((20u << 24) + (uint32_t)i * 3);

		v[i] = (struct ex_dest_entry){ ex_ip_from4(&four), 128, 1 + (uint32_t)i % 3 };
	}
	netns_endpoint(&ep, 0);
	assert_int_equal(ex_gate_publish(gate, ifindex, &ep, &t), 0);
}

/* It has a piece of its own, in which all leads to classes of its own. */
static void assert_own_tree(const struct gate_set *set)
{
	const struct gate_region *piece = set->region;
	uint32_t at = piece->at, end = piece->at + piece->n;

	assert_true(set->root & EX_TREE_NODE && (set->root & ~EX_TREE_NODE) < end);
	assert_true(!piece->next || piece->next->at >= end);
	while (at < end) {
		union ex_tree_cell *node = &gate->cells.v[at];
		uint32_t n = gate_node_answers(&node->node);

		for (uint32_t i = 0; i < n; i++) {
			uint32_t ref = *gate_node_answer(node, i), cell = ref & ~EX_TREE_NODE;

			if (ref & EX_TREE_NODE)
				assert_true(cell >= piece->at && cell < at);
			else if (ref)
				assert_true(ref > set->base && ref <= set->base + set->classes);
		}
		at += gate_node_cells(n);
	}
	assert_int_equal(at, end);
}

static void assert_own_trees(void)
{
	size_t n = 0;

	for (const struct gate_port *port = gate->ports; port; port = port->next) {
		if (!port->set) /* killed before its first ruleset was in force */
			continue;
		assert_own_tree(port->set);
		n += port->set->region->n;
	}
	assert_true(n <= gate_cells_used(gate));
}

/* Says so when it has begun. */
static _Noreturn void publish_for_ever(unsigned seed, int begun)
{
	start();
	for (srandom(seed);; begun = -1) {
		publish_many(KILLED_FIRST + (uint32_t)random() % KILLED_PORTS,
			     4 + (size_t)random() % (KILLED_DESTS - 4));
		(void)ex_gate_tidy(gate);
		if (begun >= 0 && write(begun, "", 1) != 1)
			abort();
	}
}

static void publish_and_be_killed(unsigned seed)
{
	int begun[2];
	pid_t pid;
	char byte;

	assert_return_code(pipe(begun), errno);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		publish_for_ever(seed, begun[1]);
	close(begun[1]);
	assert_int_equal(read(begun[0], &byte, 1), 1);
	close(begun[0]);
	usleep((useconds_t)random() % 20000);
	assert_return_code(kill(pid, SIGKILL), errno);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_who_is_killed_leaves_whole_trees(void **state)
{
	(void)state;
	ex_gate_free(gate);
	for (unsigned round = 0; round < KILLED_ROUNDS; round++) {
		publish_and_be_killed(round);
		start();
		assert_own_trees();
		for (uint32_t i = 0; i < KILLED_PORTS; i++)
			publish_many(KILLED_FIRST + i, 4 + i * 100);
		assert_own_trees();
		ex_gate_free(gate);
	}
	start();
	for (uint32_t i = 0; i < KILLED_PORTS; i++)
		ex_gate_forget(gate, KILLED_FIRST + i);
	assert_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_outlive_the_process),
		cmocka_unit_test(test_endpoints_are_adopted),
		cmocka_unit_test(test_counters_are_adopted),
		cmocka_unit_test(test_half_done_work_is_taken_out),
		cmocka_unit_test(test_bindings_outlive_the_process),
		cmocka_unit_test(test_maps_belong_to_one_process),
		cmocka_unit_test(test_other_limits_are_refused),
		cmocka_unit_test(test_pins_of_other_versions_go),
		cmocka_unit_test(test_not_a_bpffs_is_refused),
		cmocka_unit_test(test_thousand_endpoints_leave_nothing),
		cmocka_unit_test(test_numbers_are_given_out_again),
		cmocka_unit_test(test_who_is_killed_leaves_whole_trees),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
