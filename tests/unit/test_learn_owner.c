/* SPDX-License-Identifier: Apache-2.0 */
/* Whose flow it is: a real socket in a namespace of its own, and what the kernel gate says of it.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "agent/core/json_read.h"
#include "agent/core/loop.h"
#include "agent/core/netns.h"
#include "agent/learn/owner.h"
#include "own_network.h"

static struct ex_owners *owners;
static int netns = -1;

static int up(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("1..0 # SKIP needs root (network namespaces)\n");
		exit(77);
	}
	assert_true(own_network());
	netns = ex_netns_own();
	return ex_owners_new(netns, &owners);
}

static int down(void **state)
{
	(void)state;
	ex_owners_free(owners);
	close(netns);
	return 0;
}

static struct sockaddr_in name_of(int fd, bool peer)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	assert_int_equal((peer ? getpeername : getsockname)(fd, (struct sockaddr *)&sa, &len), 0);
	return sa;
}

/* A connection within the namespace, and the event of its first packet. */
static struct ex_event flow(int type, int fds[2])
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ex_event ev = { .type = EX_EV_NEW,
			       .direction = EX_DIR_EGRESS,
			       .proto = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP };

	fds[0] = socket(AF_INET, type, 0);
	fds[1] = socket(AF_INET, type, 0);
	assert_int_equal(bind(fds[0], (struct sockaddr *)&to, sizeof(to)), 0);
	assert_true(type != SOCK_STREAM || listen(fds[0], 1) == 0);
	to = name_of(fds[0], false);
	assert_int_equal(connect(fds[1], (struct sockaddr *)&to, sizeof(to)), 0);
	ev.sport = name_of(fds[1], false).sin_port;
	ev.dport = to.sin_port;
	ev.src = ev.dst = ex_ip_from4((const uint8_t *)&to.sin_addr);
	return ev;
}

static void close_both(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void test_the_program_that_opened_it_is_named(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(types); i++) {
		char line[EX_OWNER_LINE_MAX], err[EX_JV_ERROR_MAX];
		struct ex_event ev;
		struct ex_jv *v;
		int64_t n;
		int fds[2];

		ev = flow(types[i], fds);
		n = (int64_t)ex_owners_line(owners, &ev, line);
		assert_true(n > 0);
		assert_int_equal(ex_jv_read((struct ex_span){ line, (size_t)n }, &v, err), 0);
		assert_string_equal(ex_jv_string(v, "type"), "program");
		assert_string_equal(ex_jv_string(v, "program"), "test_learn_owner");
		assert_string_equal(ex_jv_string(v, "src"), "127.0.0.1");
		assert_string_equal(ex_jv_string(v, "proto"), i ? "udp" : "tcp");
		assert_true(ex_jv_integer(v, "sport", 1, 65535, &n));
		assert_int_equal(n, ntohs(ev.sport));
		assert_true(ex_jv_integer(v, "pid", 1, INT32_MAX, &n));
		assert_int_equal(n, getpid());
		ex_jv_free(v);
		close_both(fds);
		assert_int_equal(ex_owners_line(owners, &ev, line), 0); /* nobody's any more */
	}
}

static void test_nothing_is_said_of_other_events_and_other_sockets(void **state)
{
	char line[EX_OWNER_LINE_MAX];
	struct ex_event ev, other;
	int fds[2];

	(void)state;
	ev = flow(SOCK_STREAM, fds);
	other = ev;
	other.type = EX_EV_END;
	assert_int_equal(ex_owners_line(owners, &other, line), 0);
	other = ev;
	other.direction = EX_DIR_UPSTREAM;
	assert_int_equal(ex_owners_line(owners, &other, line), 0);
	other = ev;
	other.proto = IPPROTO_ICMP;
	assert_int_equal(ex_owners_line(owners, &other, line), 0);
	other = ev;
	other.sport = htons(1);
	assert_int_equal(ex_owners_line(owners, &other, line), 0);
	assert_true(ex_owners_line(owners, &ev, line) > 0);
	close_both(fds);
}

/* The same addresses and ports somewhere else are somebody else's. */
static void test_a_socket_of_another_namespace_is_not_looked_at(void **state)
{
	struct ex_owners *elsewhere;
	char line[EX_OWNER_LINE_MAX];
	struct ex_event ev;
	int fds[2];

	(void)state;
	ev = flow(SOCK_STREAM, fds);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	{
		EX_AUTO_CLOSE int other = ex_netns_own();

		assert_int_equal(ex_owners_new(other, &elsewhere), 0);
	}
	assert_int_equal(ex_netns_go(netns), 0);
	assert_int_equal(ex_owners_line(elsewhere, &ev, line), 0);
	ex_owners_free(elsewhere);
	close_both(fds);
}

/* Who rules in the namespace may send to every socket in it. */
static void test_attack_151_nobody_but_the_kernel_says_which_socket(void **state)
{
	struct {
		struct nlmsghdr hdr;
		struct inet_diag_msg msg;
	} lie = { .hdr = { .nlmsg_len = sizeof(lie), .nlmsg_type = SOCK_DIAG_BY_FAMILY },
		  .msg = { .idiag_inode = 1 } };
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	int other = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG), fds[2];
	char line[EX_OWNER_LINE_MAX];
	struct ex_event ev;

	(void)state;
	/* The first question gives ours a number, which is that of the process. */
	ev = flow(SOCK_STREAM, fds);
	assert_true(ex_owners_line(owners, &ev, line) > 0);
	to.nl_pid = (uint32_t)getpid();
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			sendto(other, &lie, sizeof(lie), 0, (struct sockaddr *)&to, sizeof(to)),
			sizeof(lie));
	assert_int_equal(sendto(other, &lie, 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_true(ex_owners_line(owners, &ev, line) > 0);
	close(other);
	close_both(fds);
}

/* A process may have so many descriptors that looking takes long, and open flows all the time. */
static void test_attack_151_looking_takes_its_share_of_the_time(void **state)
{
	int fds[2], more[500], found = 0;
	uint64_t begun, end;
	char line[EX_OWNER_LINE_MAX];
	struct ex_event ev;
	size_t n = 0;

	(void)state;
	while (n < EX_ARRAY_SIZE(more) && (more[n] = dup(netns)) >= 0)
		n++;
	ev = flow(SOCK_STREAM, fds);
	begun = ex_clock_ms();
	for (end = begun + 2000; ex_clock_ms() < end; found++)
		if (ex_owners_line(owners, &ev, line) == 0)
			break;
	assert_true(ex_clock_ms() < end); /* it is not looked at all the time */
	assert_true(found > 0);
	while (n)
		close(more[--n]);
	close_both(fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_program_that_opened_it_is_named),
		cmocka_unit_test(test_nothing_is_said_of_other_events_and_other_sockets),
		cmocka_unit_test(test_a_socket_of_another_namespace_is_not_looked_at),
		cmocka_unit_test(test_attack_151_nobody_but_the_kernel_says_which_socket),
		cmocka_unit_test(test_attack_151_looking_takes_its_share_of_the_time),
	};

	return cmocka_run_group_tests(tests, up, down);
}
