/* SPDX-License-Identifier: Apache-2.0 */
/* What a workload makes of rules by the names it collects: others find room, before and after. */
#include "policy_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

#include "agent/gate/gate_internal.h"
#include "agent/keeper/keeper_priv.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/messages.h"

#define IFINDEX 1
#define NAMES   9 /* each set of them is known of an address: as many as a name may have */
#define ROOM    (131072 / 4)

static struct ex_loop *loop;
static struct ex_gate *gate;
static struct ex_keeper *keeper;

static void nothing(void *arg)
{
	(void)arg;
}

static void on_lost(void *arg, const char *why)
{
	(void)arg;
	(void)why;
}

static void on_swapped(void *arg, int err)
{
	(void)arg;
	(void)err;
}

static const struct ex_keeper_ops ops = { .ready = nothing,
					  .lost = on_lost,
					  .swapped = on_swapped };

/* Of each name ports of its own, so that each set of names has other rules. */
static const char *policy(void)
{
	static char text[65536];
	size_t len = (size_t)snprintf(text, sizeof(text), HEAD "  egress:\n");

	for (int i = 0; i < NAMES; i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"  - toFQDNs: [{matchName: n%d.example}]\n    toPorts:\n",
					i);
		for (int k = 0; k < 80; k++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"    - ports: [{port: '%d', protocol: TCP}]\n",
						1000 * i + 2 * k + 1);
	}
	assert_true(len < sizeof(text));
	return text;
}

static int compile(struct ex_ruleset **ret)
{
	const struct ex_text one = { "policy.yaml", { policy(), strlen(policy()) } };
	struct ex_ip dns = test_ip("192.0.0.1");
	const struct ex_compile_input in = {
		.texts = &one, .n_texts = 1, .dns_ips = &dns, .n_dns_ips = 1, .deny_metadata = true
	};
	struct ex_diags diags = { 0 };
	int fd;

	assert_int_equal(ex_compile(&in, ret, &diags), 0);
	ex_diags_done(&diags);
	fd = ex_bundle_new(&in, *ret);
	assert_true(fd >= 0);
	return fd;
}

static const struct ex_resolvers nobody_asked;

static void begin(void)
{
	struct ex_endpoint ep = { .flags = EX_EP_CARRY, .ip4 = test_ip("192.0.0.2") };
	int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const struct ex_keeper_config cfg = {
		.loop = loop,
		.gw = { .outer = ns, .netns = ns, .ip4 = ep.ip4 },
		.dial = ex_dial_from_outer,
		.resolvers = &nobody_asked,
		.roots = ns,
		.uid = 65534,
		.ops = &ops,
	};
	struct ex_ruleset *rs = NULL;
	int bundle = compile(&rs);

	assert_int_equal(ex_keeper_new(&cfg, rs, bundle, &keeper), 0);
	assert_int_equal(ex_keeper_publish(keeper, gate, IFINDEX, &ep), 0);
	ex_ruleset_unref(rs);
	close(bundle);
}

static int end(void **state)
{
	(void)state;
	ex_keeper_free(keeper);
	ex_gate_forget(gate, IFINDEX);
	return 0;
}

/* True: the address is known by this name now, and what that leads to is in the kernel. */
static bool learn(unsigned name, unsigned address)
{
	struct ex_ipc_learn msg = { .head.type = EX_IPC_LEARN, .ttl = 300, .n_addrs = 1 };
	char text[32];
	int n = snprintf(text, sizeof(text), "n%u.example", name), r;

	assert_true(ex_ipc_name_set(&msg.name, (struct ex_span){ text, (size_t)n }));
	snprintf(text, sizeof(text), "45.10.%u.%u", address / 256, address % 256);
	msg.addrs[0] = test_ip(text);
	r = ex_keeper_learn(keeper, &msg);
	assert_true(r == 0 || r == -EDQUOT);
	return r == 0;
}

static size_t n_named(void)
{
	return gate_port_find(gate, IFINDEX)->set->n_named;
}

static unsigned learn_all_sets(void)
{
	unsigned refused = 0;

	for (unsigned set = 1; set < 1u << NAMES; set++)
		for (unsigned i = 0; i < NAMES; i++)
			refused += set >> i & 1 && !learn(i, set);
	return refused;
}

static void test_who_collects_sets_of_names_has_its_share_also_after_a_swap(void **state)
{
	struct ex_ruleset *rs = NULL;
	int bundle;

	(void)state;
	begin();
	assert_true(learn_all_sets() > 0);
	assert_in_range(n_named(), ROOM / 2, ROOM);
	bundle = compile(&rs);
	assert_int_equal(ex_keeper_swap(keeper, rs, bundle), 0);
	assert_in_range(n_named(), ROOM / 2, ROOM);
	/* sets whose rules are there are learned as ever, the others are refused again */
	assert_in_range(learn_all_sets(), 1, (NAMES << (NAMES - 1)) - 1);
	ex_ruleset_unref(rs);
	close(bundle);
}

static int set_up(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0 || ex_loop_new(&loop) < 0)
		return -1;
	return ex_gate_load(NULL, &gate);
}

static int tear_down(void **state)
{
	(void)state;
	ex_gate_free(gate);
	ex_loop_free(loop);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			test_who_collects_sets_of_names_has_its_share_also_after_a_swap, end),
	};

	if (argc == 2 && strcmp(argv[1], "proxy") == 0)
		return pause(); /* it has nothing to do with it */
	if (geteuid() != 0) {
		puts("1..0 # SKIP needs root (network namespaces, BPF)");
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
