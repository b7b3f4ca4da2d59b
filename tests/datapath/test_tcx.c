/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that somebody else has on the interface before all filters (TCX, Linux 6.6), and that
 * lets everything pass, is not the gate; nor is a filter that is gone, or a link that is, a way
 * out.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/attacker.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define OK4     "198.51.100.7"
#define OPEN    123 /* the port that the policy allows, and its twin */
#define SHUT    122
#define SOON_MS 10000
#define NEVER   300

#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS  ((enum bpf_attach_type)47)

static char root[] = "/tmp/exeat-tcx-XXXXXX", pin[64];
static struct netns ns;
static struct ex_gate *gate;
static int out = -1, world, passes;

/* ---- who else is there ---- */

/* Says that everything may pass, by itself: no further link is asked, and no filter. */
static int passes_load(void)
{
	const struct bpf_insn program[] = {
		{ BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0 },
		{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "passes", "GPL", program,
			       EX_ARRAY_SIZE(program), NULL);

	assert_return_code(fd, errno);
	return fd;
}

/* Before all that is there; -EINVAL on a kernel without such links. */
static int somebody_else(void)
{
	LIBBPF_OPTS(bpf_link_create_opts, first, .flags = 1 << 3);

	return bpf_link_create(passes, (int)ns.ifindex, TCX_INGRESS, &first);
}

/* The programs of links there, in their order. */
static size_t links_at(enum bpf_attach_type hook, uint32_t ids[static 64])
{
	uint32_t flags, n = 64;

	return bpf_prog_query((int)ns.ifindex, hook, 0, &flags, ids, &n) ? 0 : n;
}

static size_t links(void)
{
	uint32_t ids[64];

	return links_at(TCX_INGRESS, ids) + links_at(TCX_EGRESS, ids);
}

static void assert_first(const char *name)
{
	struct bpf_prog_info info = { 0 };
	uint32_t ids[64], len = sizeof(info);
	EX_AUTO_CLOSE int fd = links_at(TCX_INGRESS, ids) ? bpf_prog_get_fd_by_id(ids[0]) : -1;

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	assert_string_equal(info.name, name);
}

static void filters_remove(void)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ns.ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	assert_int_equal(bpf_tc_hook_destroy(&hook), 0);
}

static size_t pins(void)
{
	char path[96];
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/tcx", pin);
	dir = opendir(path);
	for (const struct dirent *entry; dir && (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static bool in_this_kernel(void)
{
	EX_AUTO_CLOSE int fd = somebody_else();

	return fd >= 0;
}

/* ---- the gate ---- */

static void start(bool pinned)
{
	const struct ex_gate_limits limits = { .pin = pinned ? pin : NULL };

	assert_int_equal(ex_gate_load(&limits, &gate), 0);
}

static void attach(void)
{
	struct ex_rule_entry rules[] = {
		{ 1, 32, IPPROTO_UDP, OPEN, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
	};
	struct ex_dest_entry dests[] = { { .prefix = 0, .klass = 1 } };
	const struct ex_tables t = { dests, 1, rules, EX_ARRAY_SIZE(rules), 1 };
	struct ex_endpoint ep;

	netns_endpoint(&ep, EX_EP_SILENT);
	assert_int_equal(ex_gate_publish(gate, ns.ifindex, &ep, &t), 0);
	assert_int_equal(ex_gate_attach(gate, ns.ifindex), 0);
}

/* ... where there are such links. */
static void start_attached(bool pinned)
{
	start(pinned);
	attach();
	if (!in_this_kernel())
		skip();
}

static void stop(void)
{
	ex_gate_free(gate);
	gate = NULL;
}

static int setup(void **state)
{
	(void)state;
	netns_open(&ns);
	netns_add_world(&ns);
	netns_bpffs(root);
	snprintf(pin, sizeof(pin), "%s/exeat", root);
	passes = passes_load();
	world = attacker_sniff(ns.world, "exv", ns.workload);
	out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_return_code(out, errno);
	netns_enter(ns.gw);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop();
	close(out);
	close(world);
	close(passes);
	netns_close(&ns);
	assert_return_code(umount2(root, MNT_DETACH), errno);
	return 0;
}

/* ---- what passes ---- */

static void say(const char *text, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, OK4, &to.sin_addr);
	assert_int_equal(sendto(out, text, strlen(text), 0, (struct sockaddr *)&to, sizeof(to)),
			 strlen(text));
}

/* Of two that are sent one after the other the first that arrives. */
static uint16_t first_port(int wait_ms)
{
	static unsigned number;
	char text[32];
	uint8_t b[PKT_MAX];

	snprintf(text, sizeof(text), "exeat-tcx %u.", number++);
	say(text, SHUT);
	say(text, OPEN);
	if (!attacker_hear(world, text, b, sizeof(b), wait_ms))
		return 0;
	return pkt_get16(b + PKT_L3 + 20 + 2);
}

static void assert_gated(void)
{
	assert_int_equal(first_port(SOON_MS), OPEN);
}

static void assert_open(void)
{
	assert_int_equal(first_port(SOON_MS), SHUT);
}

/* ---- tests ---- */

static void test_somebody_who_was_there_before(void **state)
{
	EX_AUTO_CLOSE int other = somebody_else();

	(void)state;
	if (other < 0)
		skip();
	start(false);
	assert_open();
	attach();
	assert_gated();
	assert_int_equal(ex_gate_detach(gate, ns.ifindex), 0);
	assert_open();
	attach();
	assert_gated();
}

/* ... while the gate was away, or since the program is another one. */
static void test_somebody_who_came_in_between(void **state)
{
	EX_AUTO_CLOSE int other = -1;

	(void)state;
	start_attached(true);
	stop();
	assert_gated();
	other = somebody_else();
	assert_first("passes"); /* only root of the host can */
	start(true);
	assert_int_equal(ex_gate_guard(gate, ns.ifindex), 0);
	assert_first("from_workload");
	assert_gated();
}

/* ... or since this one was attached. */
static void test_somebody_who_came_after(void **state)
{
	EX_AUTO_CLOSE int other = -1;

	(void)state;
	start(false);
	attach();
	other = somebody_else();
	if (other < 0)
		skip();
	assert_open();
	attach();
	assert_gated();
	assert_int_equal(links(), 3);
}

static void test_without_its_filter(void **state)
{
	(void)state;
	start_attached(false);
	filters_remove();
	assert_gated();
	assert_int_equal(ex_gate_guard(gate, ns.ifindex), 0);
	assert_gated();
}

/* An agent with maps of its own, to whom the interface is nobody's. */
static void test_without_its_filter_and_its_endpoint(void **state)
{
	(void)state;
	start_attached(true);
	stop();
	filters_remove();
	assert_int_equal(ex_gate_unpin_maps(pin), 0);
	start(true);
	assert_gated(); /* by the policy of before */
	assert_int_equal(ex_gate_guard_again(gate, ns.ifindex), 0);
	assert_int_equal(first_port(NEVER), 0);
}

/* One that is killed, and whose bpffs somebody has still. */
static void test_somebody_else_holds_the_link(void **state)
{
	(void)state;
	start_attached(true);
	stop();
	filters_remove();
	snprintf(pin, sizeof(pin), "%s/another", root);
	start(true);
	assert_gated(); /* by the policy of before */
	assert_int_equal(ex_gate_guard_again(gate, ns.ifindex), 0);
	assert_int_equal(first_port(NEVER), 0);
	assert_int_equal(links(), 2);
	attach();
	assert_gated();
	assert_int_equal(links(), 2);
}

static void test_nor_is_it_left_behind(void **state)
{
	(void)state;
	start(true);
	attach();
	stop();
	snprintf(pin, sizeof(pin), "%s/another", root);
	start(true);
	assert_int_equal(ex_gate_detach(gate, ns.ifindex), 0);
	assert_int_equal(links(), 0);
	assert_open();
}

static void without_its_link(bool pinned)
{
	start(pinned);
	attach();
	assert_gated();
	stop();
	assert_return_code(umount2(root, MNT_DETACH), errno);
	netns_bpffs(root);
	for (int ms = 0; links() && ms < SOON_MS; ms++)
		usleep(1000); /* the kernel takes its time */
	assert_int_equal(links(), 0);
	assert_gated();
}

static void test_its_process_held_the_link(void **state)
{
	(void)state;
	without_its_link(false);
}

static void test_a_bpffs_held_the_link(void **state)
{
	(void)state;
	without_its_link(true);
}

static void test_nothing_is_left_behind(void **state)
{
	(void)state;
	start(true);
	attach();
	attach();
	if (!in_this_kernel())
		skip();
	assert_int_equal(links(), 2);
	assert_int_equal(pins(), 2);
	assert_int_equal(ex_gate_detach(gate, ns.ifindex), 0);
	assert_int_equal(links() + pins(), 0);
	attach();
	stop();
	assert_int_equal(links(), 2);
	assert_int_equal(ex_gate_detach(NULL, ns.ifindex), 0);
	assert_int_equal(links(), 0);
	assert_int_equal(ex_gate_unpin(pin), 0);
	assert_open();
	assert_int_equal(access(pin, F_OK), -1);
}

/* The pins of an interface that is no more go, those of others stay. */
static void test_interfaces_come_and_go(void **state)
{
	(void)state;
	start_attached(true);
	ex_gate_gone(gate, ns.ifindex);
	assert_int_equal(pins(), 2);
	netns_ip("link del exg");
	assert_int_equal(pins(), 2);
	ex_gate_gone(gate, ns.ifindex);
	assert_int_equal(pins(), 0);
}

/* What it was moved to is no way out; another interface of its number is not gated for that. */
static void test_an_interface_is_moved(void **state)
{
	(void)state;
	start_attached(true);
	netns_ip("link set exg netns /proc/%d/fd/%d", getpid(), ns.world);
	ex_gate_gone(gate, ns.ifindex);
	netns_ip("link add exz index %u type veth peer name exy", ns.ifindex);
	assert_int_equal(ex_gate_guard_again(gate, ns.ifindex), 0);
	assert_int_equal(links(), 0);
	netns_enter(ns.world);
	assert_int_equal(links(), 2);
	netns_enter(ns.gw);
}

static void test_they_went_while_nobody_looked(void **state)
{
	(void)state;
	start_attached(true);
	stop();
	netns_ip("link del exg");
	start(true);
	assert_int_equal(pins(), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_somebody_who_was_there_before),
		TEST(test_somebody_who_came_in_between),
		TEST(test_somebody_who_came_after),
		TEST(test_without_its_filter),
		TEST(test_without_its_filter_and_its_endpoint),
		TEST(test_somebody_else_holds_the_link),
		TEST(test_nor_is_it_left_behind),
		TEST(test_its_process_held_the_link),
		TEST(test_a_bpffs_held_the_link),
		TEST(test_nothing_is_left_behind),
		TEST(test_interfaces_come_and_go),
		TEST(test_an_interface_is_moved),
		TEST(test_they_went_while_nobody_looked),
	};
	int r;

	if (!mkdtemp(root))
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(root);
	return r;
}
