/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ifb device sends on passes the next ingress hook by: a workload must not have one,
 * however it asks. Where the kernel does not let itself be asked first (exeat doctor says so), only
 * that nothing else suffers can be seen.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/netns.h"

static char root[] = "/tmp/exeat-links-XXXXXX", pin[64];
static struct ex_gate *gate;
static int own, workload;
static bool guarded; /* by this kernel */

static void start(void)
{
	const struct ex_gate_limits limits = { .pin = pin };

	netns_enter(own);
	assert_int_equal(ex_gate_load(&limits, &gate), 0);
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root));
	netns_bpffs(root);
	snprintf(pin, sizeof(pin), "%s/exeat", root);
	workload = netns_new();
	netns_ip("link set lo up");
	own = netns_new();
	guarded = gate_links_guard(NULL) == 0;
	assert_true(guarded || !getenv("EX_GUARDED")); /* tests/kernels/run: that kernel can */
	start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	umount2(root, MNT_DETACH);
	rmdir(root);
	close(own);
	close(workload);
	return 0;
}

/* ---- messages, as nobody's library writes them ---- */

struct request {
	size_t len, message; /* where the last one begins */
	_Alignas(4) char b[8192];
};

static void *append(struct request *r, size_t len)
{
	void *at = r->b + r->len;

	assert_true(r->len + len + 3 < sizeof(r->b));
	r->len += (len + 3) & ~3ul;
	((struct nlmsghdr *)(void *)(r->b + r->message))->nlmsg_len =
		(uint32_t)(r->len - r->message);
	return at;
}

static void begin(struct request *r, uint16_t type, uint16_t flags)
{
	r->message = r->len;
	*(struct nlmsghdr *)append(r, sizeof(struct nlmsghdr)) =
		(struct nlmsghdr){ .nlmsg_len = sizeof(struct nlmsghdr),
				   .nlmsg_type = type,
				   .nlmsg_flags = flags | NLM_F_REQUEST | NLM_F_ACK };
	((struct nlmsghdr *)(void *)(r->b + r->message))->nlmsg_len =
		(uint32_t)(r->len - r->message);
	(void)append(r, sizeof(struct ifinfomsg));
}

static struct nlattr *attribute(struct request *r, uint16_t type, const void *text, size_t len)
{
	struct nlattr *a = append(r, sizeof(*a) + len);

	*a = (struct nlattr){ .nla_type = type, .nla_len = (uint16_t)(sizeof(*a) + len) };
	if (len)
		memcpy(a + 1, text, len);
	return a;
}

static void kind(struct request *r, uint16_t type, const char *text, size_t len)
{
	struct nlattr *info = attribute(r, IFLA_LINKINFO, NULL, 0);

	(void)attribute(r, type, text, len);
	info->nla_len = (uint16_t)(r->b + r->len - (char *)info);
}

/* What the kernel says to the last message: 0 or negative errno. */
static int ask(const struct request *r)
{
	EX_AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	_Alignas(4) char b[8192];
	struct nlmsghdr *h = (void *)b;
	int err = -ETIME;

	assert_return_code(fd, errno);
	if (send(fd, r->b, r->len, 0) < 0)
		return -errno;
	while (recv(fd, b, sizeof(b), MSG_DONTWAIT) > 0)
		if (h->nlmsg_type == NLMSG_ERROR)
			err = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
	return err;
}

#define CREATE (NLM_F_CREATE | NLM_F_EXCL)

static int ask_for(const char *text, size_t len)
{
	struct request r = { 0 };

	begin(&r, RTM_NEWLINK, CREATE);
	kind(&r, IFLA_INFO_KIND, text, len);
	return ask(&r);
}

/* Another guard (of a test beside this one, of an agent) refuses it as long as it is there. */
static bool may_have_one(void)
{
	for (int i = 0; i < 600 && ask_for("ifb", 4) == -EPERM; i++)
		poll(NULL, 0, 100);
	return ask_for("ifb", 4) != -EPERM;
}

/* ---- the tests ---- */

static void test_no_ifb_for_a_workload(void **state)
{
	const char alias[255] = "between";
	struct request r = { 0 };

	(void)state;
	if (!guarded)
		return;
	netns_enter(workload);
	assert_int_equal(ask_for("ifb", 3), -EPERM);
	assert_int_equal(ask_for("ifb", 4), -EPERM);
	assert_int_equal(ask_for("ifb\0and on", 10), -EPERM);

	begin(&r, RTM_NEWLINK, CREATE);
	(void)attribute(&r, IFLA_IFALIAS, alias, sizeof(alias));
	kind(&r, IFLA_INFO_KIND, "bridge", 7);
	kind(&r, NLA_F_NESTED | IFLA_INFO_KIND, "ifb", 4); /* the kernel takes the last */
	assert_int_equal(ask(&r), -EPERM);

	r = (struct request){ 0 };
	for (int i = 0; i < 40; i++)
		begin(&r, RTM_GETLINK, 0);
	begin(&r, RTM_NEWLINK, CREATE);
	kind(&r, IFLA_INFO_KIND, "ifb", 4);
	begin(&r, RTM_GETLINK, 0);
	assert_int_equal(ask(&r), -EPERM);
}

static void test_nor_in_a_namespace_that_it_makes(void **state)
{
	int inner = (netns_enter(workload), netns_new());

	(void)state;
	if (guarded)
		assert_int_equal(ask_for("ifb", 4), -EPERM);
	close(inner);
}

/* As far as this kernel has them. */
static void test_the_node_may_have_one(void **state)
{
	(void)state;
	netns_enter(own);
	assert_true(may_have_one());
}

static void test_everything_else_goes_on(void **state)
{
	struct request r = { 0 };

	(void)state;
	netns_enter(workload);
	netns_ip("link add ifb0 type veth peer name v1"); /* a name only */
	netns_ip("link add ifb type bridge");
	netns_ip("link set ifb0 master ifb up");
	netns_ip("route add 105.102.98.0/24 dev lo"); /* the same letters */
	netns_ip("route get 105.102.98.105");
	for (int i = 0; i < 100; i++)
		begin(&r, RTM_NEWLINK, CREATE);
	kind(&r, IFLA_INFO_KIND, "bridge", 7);
	assert_int_equal(ask(&r), 0);
}

static void test_it_outlasts_the_process_and_the_maps(void **state)
{
	(void)state;
	ex_gate_free(gate);
	start(); /* the guard of before is replaced */
	ex_gate_free(gate);
	netns_enter(workload);
	if (guarded)
		assert_int_equal(ask_for("ifb", 4), -EPERM);
	assert_int_equal(ex_gate_unpin_maps(pin), 0); /* others of another size come */
	if (guarded)
		assert_int_equal(ask_for("ifb", 4), -EPERM);
	assert_int_equal(ex_gate_unpin(pin), 0);
	assert_true(may_have_one());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_ifb_for_a_workload),
		cmocka_unit_test(test_nor_in_a_namespace_that_it_makes),
		cmocka_unit_test(test_the_node_may_have_one),
		cmocka_unit_test(test_everything_else_goes_on),
		cmocka_unit_test(test_it_outlasts_the_process_and_the_maps),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
