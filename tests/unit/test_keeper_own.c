/* SPDX-License-Identifier: Apache-2.0 */
/* Whose an address is, in a network namespace of this program's own. */
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/core/rtnl.h"
#include "agent/keeper/own.h"

static int rtnl = -1;
static uint32_t lo, link_index;

static struct ex_ip v4(uint8_t net, uint8_t last)
{
	return ex_ip_from4(&(uint32_t){ htonl(10u << 24 | (uint32_t)net << 8 | last) });
}

static struct ex_ip v6(uint8_t last)
{
	return (struct ex_ip){ .b = { 0x20, 0x01, 0x0d, 0xb8, [15] = last } };
}

/* The same place in any table of 64. */
static const uint8_t places[] = { 1, 65, 129 };

static void route(const struct ex_ip *ip, bool local)
{
	struct ex_route r = { .dst = ip,
			      .ifindex = local ? lo : link_index,
			      .local = local,
			      .table = local ? RT_TABLE_LOCAL : 0 };

	assert_int_equal(ex_rtnl_route_add(rtnl, &r), 0);
}

/* The kernel has acknowledged an address of IPv6 a little before it is there. */
static bool becomes_own(const struct ex_ip *ip)
{
	for (int i = 0; i < 1000; i++) {
		if (ex_host_owns(ip))
			return true;
		usleep(1000);
	}
	return false;
}

/* Without a descriptor left nobody can ask the kernel: the first of all, as nothing is open yet. */
static void test_deny_what_nobody_can_say(void **state)
{
	struct rlimit was, none = { 0, 0 };
	struct ex_ip a = v4(9, 2);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(ex_host_owns(&a));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_false(ex_host_owns(&a));
}

static void test_what_has_no_way_is_not_the_hosts(void **state)
{
	struct ex_ip a = v4(9, 1), b = v6(9);

	(void)state;
	assert_false(ex_host_owns(&a));
	assert_false(ex_host_owns(&b));
}

static void test_an_answer_is_of_one_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(places); i++) {
		struct ex_ip ip = v4(1, places[i]);

		if (i == 1)
			assert_int_equal(ex_rtnl_addr_add(rtnl, lo, &ip), 0);
		else
			route(&ip, false);
	}
	for (int turn = 0; turn < 3; turn++) {
		for (size_t i = 0; i < EX_ARRAY_SIZE(places); i++) {
			struct ex_ip ip = v4(1, places[i]);

			assert_int_equal(ex_host_owns(&ip), i == 1);
			assert_int_equal(ex_host_owns(&ip), i == 1);
		}
	}
}

static void test_deny_from_the_moment_the_host_gets_the_address(void **state)
{
	struct ex_ip a = v4(2, 7), b = v6(7);

	(void)state;
	route(&a, false);
	route(&b, false);
	assert_false(ex_host_owns(&a));
	assert_false(ex_host_owns(&b));
	assert_int_equal(ex_rtnl_addr_add(rtnl, link_index, &a), 0);
	assert_true(ex_host_owns(&a));
	assert_false(ex_host_owns(&b));
	assert_int_equal(ex_rtnl_addr_add(rtnl, link_index, &b), 0);
	assert_true(ex_host_owns(&a));
	assert_true(becomes_own(&b));
}

/* Without an address: a route can make a whole network the host's. */
static void test_deny_from_the_moment_a_route_leads_here(void **state)
{
	struct ex_ip a = v4(3, 7), b = v6(8);

	(void)state;
	route(&a, false);
	route(&b, false);
	assert_false(ex_host_owns(&a));
	assert_false(ex_host_owns(&b));
	route(&a, true);
	route(&b, true);
	assert_true(ex_host_owns(&a));
	assert_true(ex_host_owns(&b));
}

/* More changes than the kernel keeps for us are changes, too. */
static void test_deny_after_more_changes_than_are_told(void **state)
{
	struct ex_ip a = v4(4, 7);

	(void)state;
	route(&a, false);
	assert_false(ex_host_owns(&a));
	for (uint8_t i = 0; i < 200; i++) {
		struct ex_ip other = v4(5, i);

		route(&other, false);
	}
	assert_int_equal(ex_rtnl_addr_add(rtnl, lo, &a), 0);
	for (uint8_t i = 0; i < 200; i++) {
		struct ex_ip other = v4(6, i);

		route(&other, false);
	}
	assert_true(ex_host_owns(&a));
}

static int setup(void **state)
{
	struct ex_veth veth = {
		.name = "own0", .peer = "own1", .mac = { 2 }, .peer_mac = { 2, 1 }
	};

	(void)state;
	rtnl = ex_rtnl_open();
	veth.peer_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (rtnl < 0 || ex_rtnl_veth_add(rtnl, &veth) < 0)
		return -1;
	close(veth.peer_ns);
	lo = if_nametoindex("lo");
	link_index = if_nametoindex("own0");
	return ex_rtnl_link_up(rtnl, lo) || ex_rtnl_link_up(rtnl, link_index) ||
	       ex_rtnl_link_up(rtnl, if_nametoindex("own1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deny_what_nobody_can_say),
		cmocka_unit_test(test_what_has_no_way_is_not_the_hosts),
		cmocka_unit_test(test_an_answer_is_of_one_address),
		cmocka_unit_test(test_deny_from_the_moment_the_host_gets_the_address),
		cmocka_unit_test(test_deny_from_the_moment_a_route_leads_here),
		cmocka_unit_test(test_deny_after_more_changes_than_are_told),
	};

	if (unshare(CLONE_NEWNET) < 0) {
		puts("1..0 # SKIP needs root (a network namespace)");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, NULL);
}
