/* SPDX-License-Identifier: Apache-2.0 */
/* Links of a real kernel, which has a lot of others to look after meanwhile. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/core/rtnl.h"

enum {
	ROUNDS = 60,
	CROWDS = 2,
	CROWD = 100,
	ETHERTYPE = 0x88b5, /* for local experiments */
};

static int rtnl = -1, here = -1;
static pid_t crowds[CROWDS];

/* A namespace of its own: its descriptors are here and rtnl. */
static int enter(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	rtnl = ex_rtnl_open();
	return here < 0 || rtnl < 0 ? -EIO : 0;
}

static int make_link(const char *name, const char *peer)
{
	const struct ex_veth veth = { .name = name,
				      .peer = peer,
				      .mac = { 2, 0, 0, 0, 0, 1 },
				      .peer_mac = { 2, 0, 0, 0, 0, 2 },
				      .peer_ns = here };

	return ex_rtnl_veth_add(rtnl, &veth);
}

static bool is_up(const char *name)
{
	return ex_rtnl_link_up(rtnl, if_nametoindex(name)) == 0;
}

/* Links come, get up and go, until the parent is gone. */
static void be_a_crowd(void)
{
	char a[IFNAMSIZ], b[IFNAMSIZ];

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || enter() < 0)
		_exit(1);
	for (;;) {
		for (int i = 0; i < CROWD; i++) {
			snprintf(a, sizeof(a), "a%d", i);
			snprintf(b, sizeof(b), "b%d", i);
			if (make_link(a, b) < 0 || !is_up(a) || !is_up(b))
				_exit(1);
		}
		close(rtnl);
		close(here);
		if (enter() < 0) /* they go with the namespace that they were in */
			_exit(1);
	}
}

static int packet_socket(const char *name)
{
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETHERTYPE),
					.sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETHERTYPE));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Is the first frame of this end seen at the other? */
static bool passes(const char *from, const char *to)
{
	uint8_t frame[60] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, ETHERTYPE >> 8, ETHERTYPE & 0xff
	};
	int out = packet_socket(from), in = packet_socket(to);
	struct pollfd p = { .fd = in, .events = POLLIN };
	bool came;

	assert_int_equal(send(out, frame, sizeof(frame), 0), sizeof(frame));
	came = poll(&p, 1, 1000) == 1;
	close(out);
	close(in);
	return came;
}

static void test_what_is_sent_after_the_wait_arrives(void **state)
{
	unsigned came = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(make_link("first", "second"), 0);
		assert_true(is_up("first"));
		assert_true(is_up("second"));
		assert_int_equal(ex_rtnl_link_wait(rtnl, if_nametoindex("first")), 0);
		came += passes("first", "second");
		assert_int_equal(ex_rtnl_link_del(rtnl, if_nametoindex("first")), 0);
	}
	assert_int_equal(came, ROUNDS);
}

/* Who rules in a namespace may send to every socket in it. */
static void test_nobody_but_the_kernel_answers(void **state)
{
	struct {
		struct nlmsghdr hdr;
		struct nlmsgerr err;
	} lie = { .hdr = { .nlmsg_len = sizeof(lie), .nlmsg_type = NLMSG_ERROR },
		  .err = { .error = -EIO } };
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(a);
	int other = ex_rtnl_open();
	struct ex_iface lo;

	(void)state;
	assert_int_equal(bind(rtnl, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(rtnl, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(sendto(other, &lie, sizeof(lie), 0, (struct sockaddr *)&a, len),
			 sizeof(lie));
	assert_int_equal(ex_rtnl_link_get(rtnl, 0, "lo", &lo), 0);
	assert_true(lo.loopback);
	close(other);
}

static int start_alone(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("1..0 # SKIP needs root (network namespaces)\n");
		exit(77);
	}
	return enter();
}

static int start(void **state)
{
	if (start_alone(state) < 0)
		return -1;
	for (size_t i = 0; i < CROWDS; i++) {
		crowds[i] = fork();
		if (crowds[i] == 0)
			be_a_crowd();
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	for (size_t i = 0; i < CROWDS && crowds[i] > 0; i++) {
		kill(crowds[i], SIGKILL);
		waitpid(crowds[i], NULL, 0);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nobody_but_the_kernel_answers, start_alone),
		cmocka_unit_test_setup_teardown(test_what_is_sent_after_the_wait_arrives, start,
						stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
