/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of several workloads in the tables of one kernel gate: keepers, and proxies that are as
 * hostile as their workloads. This program is its own proxy: a keeper executes it again, and what
 * its "unread" names say is what it does then.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "agent/dns/names.h"
#include "agent/gate/gate_internal.h"
#include "agent/keeper/keeper.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/messages.h"
#include "agent/proxy/settings.h"

enum {
	ROOM = 2048, /* of the kernel's tables */
	POOL = ROOM * 3 / 4,
	FLOODERS = 4,
	FEW = 100, /* less than an even share */
};

static const char policy[] =
	"apiVersion: cilium.io/v2\n"
	"kind: CiliumNetworkPolicy\n"
	"metadata: {name: names}\n"
	"spec:\n"
	"  endpointSelector: {}\n"
	"  egress:\n"
	"  - toFQDNs: [{matchPattern: '*.evil.example'}, {matchName: b.two.example}]\n"
	"    toPorts: [{ports: [{port: '443', protocol: TCP}]}]\n"
	"  - toFQDNs: [{matchName: a.two.example}]\n"
	"    toPorts: [{ports: [{port: '22', protocol: TCP}]}]\n";

static struct ex_ip ip_of(unsigned n)
{
	return (struct ex_ip){
		.b = { [10] = 0xff, [11] = 0xff, 203, 0, (uint8_t)(n >> 8), (uint8_t)n }
	};
}

/* ---- the proxy ---- */

static unsigned n_forgotten;
static struct ex_dns_key names_key; /* of its names */

static void send_message(union ex_ipc_message *msg, uint32_t type)
{
	msg->head.type = type;
	if (ex_ipc_send(EX_PROXY_FD_REQUESTS, msg, ex_ipc_size(&msg->head), -1, true) < 0)
		_exit(2);
}

/* The answer to a request; what comes unasked is looked at on the way. */
static int answer(void)
{
	union ex_ipc_message msg;
	ssize_t n;

	for (;;) {
		n = ex_ipc_receive(EX_PROXY_FD_REQUESTS, &msg, NULL);
		if (n == -EAGAIN)
			usleep(200);
		else if (n <= 0)
			_exit(3);
		else if (msg.head.type == EX_IPC_FORGOTTEN)
			n_forgotten += msg.head.id;
		else if (msg.head.type == EX_IPC_LEARNED)
			return msg.done.err;
		else if (msg.head.type == EX_IPC_EXTENDED)
			return (int)msg.extended.which;
	}
}

static void learn(const char *name, unsigned first, unsigned n, uint32_t ttl)
{
	union ex_ipc_message msg = { .learn = { .ttl = ttl, .n_addrs = n } };

	ex_ipc_name_set(&msg.learn.name, ex_span_str(name));
	for (unsigned i = 0; i < n; i++)
		msg.learn.addrs[i] = ip_of(first + i);
	send_message(&msg, EX_IPC_LEARN);
	if (answer() < 0)
		_exit(4);
}

/* One that is known, its name at another address, another name at its address. */
static void extend(void)
{
	union ex_ipc_message msg = { .extend = { .n = 3 } };
	uint64_t hash = ex_dns_hash(&names_key, EX_SPAN("a.two.example"));

	learn("a.two.example", 1, 1, 2);
	msg.extend.v[0].ip = ip_of(1);
	msg.extend.v[0].hash = hash;
	msg.extend.v[1].ip = ip_of(2);
	msg.extend.v[1].hash = hash;
	msg.extend.v[2].ip = ip_of(1);
	msg.extend.v[2].hash = ex_dns_hash(&names_key, EX_SPAN("b.two.example"));
	for (int i = 0; i < 3; i++)
		msg.extend.v[i].ttl = 3600;
	send_message(&msg, EX_IPC_EXTEND);
	if (answer() != 1)
		_exit(7);
}

/* Each name anew, so that names do not bound it. It is never refused, and soon pays itself. */
static void flood(void)
{
	char name[64];

	for (unsigned i = 0; i < 2 * POOL / 64; i++) {
		snprintf(name, sizeof(name), "n%u.evil.example", i);
		learn(name, i * 64, 64, 3600);
	}
	if (!n_forgotten)
		_exit(5);
}

static void learn_few(void)
{
	char name[64];

	for (unsigned i = 0; i < FEW; i++) {
		snprintf(name, sizeof(name), "f%u.evil.example", i);
		learn(name, i, 1, 3600);
	}
	if (n_forgotten)
		_exit(6);
}

static int proxy_main(void)
{
	union ex_ipc_message ready = { .ready = { .spki_len = 1, .spki = { 1 } } };
	struct ex_proxy_settings s;
	char how[32] = "";

	if (ex_proxy_settings_read(EX_PROXY_FD_SETTINGS, &s) < 0 || s.unread.len >= sizeof(how))
		return 1;
	memcpy(how, s.unread.ptr, s.unread.len);
	names_key = s.names_key;
	ex_proxy_settings_done(&s);
	send_message(&ready, EX_IPC_READY);
	usleep(20000); /* until it is published */
	if (strcmp(how, "flood") == 0) {
		flood();
	} else if (strcmp(how, "few") == 0) {
		learn_few();
	} else if (strcmp(how, "two") == 0) {
		learn("a.two.example", 1, 1, 1);
		learn("b.two.example", 1, 1, 60);
	} else if (strcmp(how, "soon") == 0) {
		learn("a.two.example", 1, 1, 3);
		learn("b.two.example", 1, 1, 60);
	} else if (strcmp(how, "shorter") == 0) {
		learn("a.two.example", 1, 1, 60);
		learn("a.two.example", 1, 1, 1);
	} else if (strcmp(how, "extend") == 0) {
		extend();
	} else if (strcmp(how, "short") == 0) {
		learn("a.two.example", 1, 1, 1);
	} else if (strcmp(how, "both") == 0) {
		learn("a.two.example", 1, 1, 60);
		learn("b.two.example", 1, 1, 60);
	}
	/* what is told last */
	learn("done.evil.example", 60000, 1, 3600);
	pause();
	return 0;
}

/* ---- the keepers ---- */

static struct ex_loop *loop;
static struct ex_gate *gate;
static struct ex_names_pool *pool;
static struct ex_keeper *keepers[FLOODERS + 1];
static struct ex_timer deadline;
static int n_lost, home; /* home: the outer namespace */

static void on_ready(void *arg)
{
	(void)arg;
}

static void on_lost(void *arg, const char *why)
{
	(void)arg;
	print_message("lost: %s\n", why);
	n_lost++;
}

static void on_record(void *arg, const struct ex_ruleset *rs, const struct ex_audit_record *rec)
{
	(void)arg;
	(void)rs;
	(void)rec;
}

static const struct ex_keeper_ops ops = { .ready = on_ready, .lost = on_lost, .record = on_record };

static void on_deadline(struct ex_timer *t)
{
	(void)t;
	ex_loop_quit(loop);
}

static void run_for(uint64_t ms)
{
	assert_int_equal(ex_timer_start(loop, &deadline, ms), 0);
	assert_int_equal(ex_loop_run(loop), 0);
}

static uint32_t policy_of(uint32_t ifindex)
{
	return gate_port_find(gate, ifindex)->ep.policy;
}

static bool find_name(uint32_t ifindex, unsigned n, struct ex_name *ret)
{
	struct ex_name_key key = { policy_of(ifindex), ip_of(n) };

	return bpf_map_lookup_elem(gate_map_fd(gate, "ex_names"), &key, ret) == 0;
}

/* A gateway namespace each: every worker has its ports there. */
static int new_netns(void)
{
	int ret;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ret = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(ret >= 0);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	return ret;
}

static int compile(struct ex_ruleset **ret)
{
	const struct ex_text one = { "policy.yaml", { policy, sizeof(policy) - 1 } };
	struct ex_ip dns;
	const struct ex_compile_input in = {
		.texts = &one, .n_texts = 1, .dns_ips = &dns, .n_dns_ips = 1, .deny_metadata = true
	};
	struct ex_diags diags = { 0 };
	int bundle;

	assert_true(ex_ip_parse("192.0.0.1", &dns));
	assert_int_equal(ex_compile(&in, ret, &diags), 0);
	ex_diags_done(&diags);
	bundle = ex_bundle_new(&in, *ret);
	assert_true(bundle >= 0);
	return bundle;
}

static const struct ex_resolvers nobody_asked;

static void begin(size_t i, const char *how)
{
	uint32_t ifindex = (uint32_t)i + 1;
	struct ex_endpoint ep = { .flags = EX_EP_CARRY };
	struct ex_keeper_config cfg = { .loop = loop,
					.gw = { .outer = home, .netns = new_netns() },
					.dial = ex_dial_from_outer,
					.resolvers = &nobody_asked,
					.roots = home, /* it does not look */
					.unread = ex_span_str(how),
					.names_kept = gate,
					.names_pool = pool,
					.ifindex = ifindex,
					.uid = 65534,
					.ops = &ops };
	struct ex_ruleset *rs = NULL;
	int bundle = compile(&rs);

	assert_true(ex_ip_parse("192.0.0.2", &ep.ip4));
	cfg.gw.ip4 = ep.ip4;
	assert_int_equal(ex_keeper_new(&cfg, rs, bundle, &keepers[i]), 0);
	assert_int_equal(ex_keeper_publish(keepers[i], gate, ifindex, &ep), 0);
	ex_ruleset_unref(rs);
	close(bundle);
}

static void swap(size_t i)
{
	struct ex_ruleset *rs = NULL;
	int bundle = compile(&rs);

	assert_int_equal(ex_keeper_swap(keepers[i], rs, bundle), 0);
	ex_ruleset_unref(rs);
	close(bundle);
}

/* Until its proxy has done what it wanted. */
static void finish(size_t i)
{
	struct ex_name found;

	for (int tries = 0; tries < 200 && n_lost == 0; tries++) {
		run_for(50);
		if (find_name((uint32_t)i + 1, 60000, &found))
			return;
	}
	fail_msg("keeper %zu: its proxy did not get through", i);
}

static size_t count_of(const char *map)
{
	size_t size = strcmp(map, "ex_names") == 0 ? sizeof(struct ex_name_key)
						   : sizeof(struct ex_binding_key);
	char key[64], next[64];
	int fd = gate_map_fd(gate, map);
	size_t n = 0;

	assert_true(size <= sizeof(key));
	for (bool more = bpf_map_get_next_key(fd, NULL, next) == 0; more; n++) {
		memcpy(key, next, size);
		more = bpf_map_get_next_key(fd, key, next) == 0;
	}
	return n;
}

static void check_tables(void)
{
	size_t used = ex_names_pool_used(pool);

	assert_true(used <= POOL);
	assert_int_equal(count_of("ex_bindings"), used);
	assert_true(count_of("ex_names") <= used);
}

static bool knows_all(size_t i)
{
	struct ex_name found;

	for (unsigned n = 0; n < FEW; n++)
		if (!find_name((uint32_t)i + 1, n, &found) || found.expires < gate_now())
			return false;
	return true;
}

static void test_65_pods_that_flood_keep_no_other_from_learning(void **state)
{
	(void)state;
	for (size_t i = 0; i < FLOODERS; i++)
		begin(i, "flood");
	for (size_t i = 0; i < FLOODERS; i++)
		finish(i);
	assert_int_equal(n_lost, 0);
	check_tables();
	assert_true(ex_names_pool_used(pool) > POOL - 100); /* full, that is */
	begin(FLOODERS, "few");
	finish(FLOODERS);
	assert_int_equal(n_lost, 0);
	check_tables();
	assert_true(knows_all(FLOODERS));
	assert_int_equal(ex_keeper_count_names(keepers[FLOODERS]).out, 0);
	/* and while they go on */
	for (size_t i = 0; i < FLOODERS; i++) {
		ex_keeper_free(keepers[i]);
		ex_gate_forget(gate, (uint32_t)i + 1);
		begin(i, "flood");
		finish(i);
	}
	check_tables();
	assert_true(knows_all(FLOODERS));
}

/* The twin: what is taken from one is what it has beyond its share, oldest first. */
static void test_65_who_floods_loses_its_own_oldest(void **state)
{
	struct ex_name found;

	(void)state;
	begin(0, "flood");
	finish(0);
	assert_int_equal(n_lost, 0);
	assert_false(find_name(1, 0, &found));
	assert_true(find_name(1, (2 * POOL / 64 - 1) * 64, &found));
	assert_true(ex_keeper_count_names(keepers[0]).out > 0);
	check_tables();
}

static uint32_t class_now(void)
{
	struct ex_name found;

	return find_name(1, 1, &found) && found.expires > gate_now() ? found.klass : 0;
}

static void test_64_a_name_that_ends_takes_its_class_along(void **state)
{
	uint32_t both, left;

	(void)state;
	begin(0, "two");
	finish(0);
	both = class_now();
	assert_int_not_equal(both, 0);
	run_for(3000);
	left = class_now();
	assert_int_not_equal(left, 0);
	assert_int_not_equal(left, both);
}

/* By whoever keeps the names then. */
static void test_64_a_name_that_ends_after_a_restart_takes_its_class_along(void **state)
{
	uint32_t both, left;

	(void)state;
	begin(0, "soon");
	finish(0);
	ex_keeper_free(keepers[0]);
	begin(0, "");
	both = class_now();
	assert_int_not_equal(both, 0);
	run_for(5000);
	left = class_now();
	assert_int_not_equal(left, 0);
	assert_int_not_equal(left, both);
}

/* What an answer has promised no later one takes back. */
static void test_64_a_name_lives_as_long_after_a_restart(void **state)
{
	(void)state;
	begin(0, "shorter");
	finish(0);
	ex_keeper_free(keepers[0]);
	run_for(2000);
	begin(0, "");
	assert_int_not_equal(class_now(), 0);
}

static void test_64_names_that_live_keep_their_class(void **state)
{
	uint32_t both;

	(void)state;
	begin(0, "both");
	finish(0);
	both = class_now();
	assert_int_not_equal(both, 0);
	run_for(3000);
	assert_int_equal(class_now(), both);
}

static void test_69_a_name_in_use_stays_known(void **state)
{
	struct ex_name found;
	uint32_t klass;

	(void)state;
	begin(0, "extend");
	finish(0);
	assert_int_equal(n_lost, 0);
	klass = class_now();
	assert_int_not_equal(klass, 0);
	run_for(3000);
	assert_int_equal(class_now(), klass);
	assert_false(find_name(1, 2, &found));
	check_tables();
}

/* A connection that began while the name held, as the kernel gate has it. */
static void add_flow(unsigned n)
{
	struct ex_flow_key key = { .remote = ip_of(n),
				   .local_port = htons(40000),
				   .remote_port = htons(22),
				   .proto = IPPROTO_TCP };
	struct ex_flow_state flow = { .seen = gate_now(), .phase = EX_FLOW_LIVE };

	assert_int_equal(bpf_map_update_elem(gate_port_find(gate, 1)->flows, &key, &flow, 0), 0);
}

static void test_83_another_policy_brings_no_name_back_that_is_over(void **state)
{
	(void)state;
	begin(0, "short");
	finish(0);
	assert_int_not_equal(class_now(), 0);
	run_for(2000);
	assert_int_equal(class_now(), 0);
	swap(0);
	assert_int_equal(class_now(), 0);
	add_flow(2);
	swap(0);
	assert_int_equal(class_now(), 0);
}

static void test_83_another_policy_ends_no_flow_whose_name_is_over(void **state)
{
	(void)state;
	begin(0, "short");
	finish(0);
	run_for(2000);
	add_flow(1);
	swap(0);
	assert_int_not_equal(class_now(), 0);
}

static int set_up(void **state)
{
	const struct ex_gate_limits limits = { .names = ROOM };

	(void)state;
	n_lost = 0;
	if (ex_loop_new(&loop) < 0 || ex_gate_load(&limits, &gate) < 0)
		return -1;
	return ex_names_pool_new(POOL, &pool);
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(keepers); i++) {
		ex_keeper_free(keepers[i]);
		keepers[i] = NULL;
	}
	ex_names_pool_free(pool);
	ex_gate_free(gate);
	ex_loop_free(loop);
	return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_65_pods_that_flood_keep_no_other_from_learning),
		T(test_65_who_floods_loses_its_own_oldest),
		T(test_64_a_name_that_ends_takes_its_class_along),
		T(test_64_a_name_that_ends_after_a_restart_takes_its_class_along),
		T(test_64_a_name_lives_as_long_after_a_restart),
		T(test_64_names_that_live_keep_their_class),
		T(test_69_a_name_in_use_stays_known),
		T(test_83_another_policy_brings_no_name_back_that_is_over),
		T(test_83_another_policy_ends_no_flow_whose_name_is_over),
	};

	if (argc == 2 && strcmp(argv[1], "proxy") == 0)
		return proxy_main();
	if (geteuid() != 0) {
		puts("1..0 # SKIP needs root (network namespaces, BPF)");
		return 77;
	}
	deadline.fn = on_deadline;
	if (unshare(CLONE_NEWNET) < 0)
		return 1;
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
