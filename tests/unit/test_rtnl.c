/* SPDX-License-Identifier: Apache-2.0 */
/* What rtnetlink answers, said by a kernel that is this program. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/core/rtnl.h"

static int kernel = -1, rtnl = -1;
static uint8_t heard[16];
static size_t n_heard;

/* One part of a dump: an address, or its end. */
static void say(uint16_t type, uint16_t flags, uint8_t last)
{
	struct {
		struct nlmsghdr hdr;
		struct ifaddrmsg ifa;
		struct rtattr attr;
		uint8_t ip[4];
	} msg = {
		.hdr = { .nlmsg_len = sizeof(msg), .nlmsg_type = type, .nlmsg_flags = flags },
		.ifa = { .ifa_family = AF_INET, .ifa_index = 1 },
		.attr = { .rta_len = RTA_LENGTH(4), .rta_type = IFA_LOCAL },
		.ip = { 192, 0, 2, last },
	};

	assert_int_equal(send(kernel, &msg, sizeof(msg), 0), sizeof(msg));
}

static void say_dump(uint16_t first, uint16_t second, uint16_t end)
{
	say(RTM_NEWADDR, NLM_F_MULTI | first, 1);
	say(RTM_NEWADDR, NLM_F_MULTI | second, 2);
	say(NLMSG_DONE, NLM_F_MULTI | end, 0);
}

static void say_failed(int err)
{
	struct {
		struct nlmsghdr hdr;
		int err;
	} msg = {
		.hdr = { .nlmsg_len = sizeof(msg),
			 .nlmsg_type = NLMSG_DONE,
			 .nlmsg_flags = NLM_F_MULTI },
		.err = err,
	};

	assert_int_equal(send(kernel, &msg, sizeof(msg), 0), sizeof(msg));
}

static size_t times_asked(void)
{
	char request[256];
	size_t n = 0;

	while (recv(kernel, request, sizeof(request), MSG_DONTWAIT) > 0)
		n++;
	return n;
}

static void hear(void *arg, const struct ex_ip *ip)
{
	assert_ptr_equal(arg, heard);
	assert_true(n_heard < sizeof(heard));
	heard[n_heard++] = ip->b[15];
}

static void test_a_dump_is_told_once_and_in_order(void **state)
{
	(void)state;
	say_dump(0, 0, 0);
	assert_int_equal(ex_rtnl_addrs_each(rtnl, 0, hear, heard), 0);
	assert_int_equal(times_asked(), 1);
	assert_int_equal(n_heard, 2);
	assert_memory_equal(heard, "\1\2", 2);
}

/* Wherever it says so: it does not say it again. */
static void test_a_dump_that_was_torn_is_asked_for_again(void **state)
{
	(void)state;
	say_dump(NLM_F_DUMP_INTR, 0, 0);
	say_dump(0, NLM_F_DUMP_INTR, 0);
	say_dump(0, 0, NLM_F_DUMP_INTR);
	say_dump(0, 0, 0);
	assert_int_equal(ex_rtnl_addrs_each(rtnl, 0, hear, heard), 0);
	assert_int_equal(times_asked(), 4);
	assert_int_equal(n_heard, 2);
	assert_memory_equal(heard, "\1\2", 2);
}

static void test_what_is_torn_each_time_is_not_told(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		say_dump(0, NLM_F_DUMP_INTR, 0);
	assert_int_equal(ex_rtnl_addrs_each(rtnl, 0, hear, heard), -EAGAIN);
	assert_int_equal(times_asked(), 4);
	assert_int_equal(n_heard, 0);
}

/* It ends like one that is whole. */
static void test_half_a_dump_is_not_told(void **state)
{
	(void)state;
	say(RTM_NEWADDR, NLM_F_MULTI, 1);
	say_failed(-EMSGSIZE);
	assert_int_equal(ex_rtnl_addrs_each(rtnl, 0, hear, heard), -EMSGSIZE);
	assert_int_equal(n_heard, 0);
	say(RTM_NEWADDR, NLM_F_MULTI, 1);
	say_failed(0);
	assert_int_equal(ex_rtnl_addrs_each(rtnl, 0, hear, heard), 0);
	assert_int_equal(n_heard, 1);
}

static int up(void **state)
{
	int fds[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	rtnl = fds[0];
	kernel = fds[1];
	n_heard = 0;
	return 0;
}

static int down(void **state)
{
	(void)state;
	close(rtnl);
	close(kernel);
	return 0;
}

#define rtnl_test(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rtnl_test(test_a_dump_is_told_once_and_in_order),
		rtnl_test(test_a_dump_that_was_torn_is_asked_for_again),
		rtnl_test(test_what_is_torn_each_time_is_not_told),
		rtnl_test(test_half_a_dump_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
