/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole kernel path on a real veth: a client in the workload's namespace reaches transparent
 * listeners of the gateway's namespace through the gate, and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "agent/gate/gate.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/socks.h"

static struct netns ns;
static struct ex_gate *gate;
static int listeners[EX_SOCK_MAX];

/* Class 1: TCP 443 and UDP 8000 steered, TCP 80 allowed (and so carried), DNS on 53. */
static struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_TCP, 443, { EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, 1 } },
	{ 1, 32, IPPROTO_TCP, 80, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
	{ 1, 32, IPPROTO_UDP, 8000, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 3 } },
	{ 1, 32, IPPROTO_UDP, 53, { EX_V_STEER, EX_KIND_DNS, EX_R_ALLOWED, 4 } },
	{ 1, 32, IPPROTO_TCP, 53, { EX_V_STEER, EX_KIND_DNS, EX_R_ALLOWED, 4 } },
	{ 1, 16, IPPROTO_ICMP, 0, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 5 } },
};
static struct ex_dest_entry dests[2];

static struct ex_tables tables(void)
{
	assert_true(ex_ip_parse("198.51.100.7", &dests[0].ip));
	assert_true(ex_ip_parse("2001:db8::7", &dests[1].ip));
	dests[0].prefix = dests[1].prefix = 128;
	dests[0].klass = dests[1].klass = 1;
	return (struct ex_tables){ dests, EX_ARRAY_SIZE(dests), rules, EX_ARRAY_SIZE(rules), 1 };
}

static int setup(void **state)
{
	struct ex_endpoint ep;
	struct ex_tables t;
	int i;

	(void)state;
	netns_open(&ns);
	for (i = 0; i < EX_SOCK_MAX; i++)
		listeners[i] = socks_transparent(i < EX_SOCK_DNS_UDP4 ? SOCK_STREAM : SOCK_DGRAM,
						 i % 2 ? "::" : "0.0.0.0", 0);
	assert_int_equal(ex_gate_load(NULL, &gate), 0);
	for (i = 0; i < EX_SOCK_MAX; i++)
		assert_int_equal(
			ex_gate_set_socket(gate, ns.ifindex, (enum ex_sock)i, 0, listeners[i]), 0);
	netns_endpoint(&ep, EX_EP_CARRY);
	t = tables();
	assert_int_equal(ex_gate_publish(gate, ns.ifindex, &ep, &t), 0);
	assert_int_equal(ex_gate_attach(gate, ns.ifindex), 0);
	return 0;
}

static int teardown(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < EX_SOCK_MAX; i++)
		ex_closep(&listeners[i]);
	ex_gate_free(gate);
	netns_close(&ns);
	return 0;
}

static uint64_t counted(enum ex_reason reason)
{
	struct ex_counter c;

	assert_int_equal(ex_gate_count_reason(gate, reason, &c), 0);
	return c.packets;
}

/* A socket of the workload; -errno when it is refused. */
static int client(int type, const char *text, uint16_t port)
{
	int fd;

	netns_enter(ns.workload);
	fd = socks_connect(type, text, port);
	netns_enter(ns.gw);
	return fd;
}

static void assert_same_address(const struct sockaddr_storage *ss, const char *text, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage expected = socks_address(text, port, &len);

	if (ss->ss_family == AF_INET6) /* scope and flow label are not of interest */
		((struct sockaddr_in6 *)&expected)->sin6_scope_id =
			((const struct sockaddr_in6 *)ss)->sin6_scope_id;
	assert_memory_equal(ss, &expected, len);
}

/* Connects, and checks that `listener` got it, sees the original destination, and talks back. */
static void assert_carried(enum ex_sock listener, const char *text, uint16_t port)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int fd = client(SOCK_STREAM, text, port), peer;

	if (fd < 0)
		fail_msg("%s port %u: %s", text, port, strerror(-fd));
	socks_assert_readable(listeners[listener]);
	peer = accept(listeners[listener], NULL, NULL);
	assert_true(peer >= 0);
	assert_return_code(getsockname(peer, (struct sockaddr *)&ss, &len), 0);
	assert_same_address(&ss, text, port);
	socks_say(fd, "ping");
	socks_assert_says(peer, "ping");
	socks_say(peer, "pong");
	socks_assert_says(fd, "pong");
	close(peer);
	socks_assert_readable(fd);
	assert_int_equal(recv(fd, &len, sizeof(len), 0), 0);
	close(fd);
}

static void test_steered_tcp_reaches_its_listener(void **state)
{
	(void)state;
	assert_carried(EX_SOCK_TCP4, "198.51.100.7", 443);
	assert_carried(EX_SOCK_TCP6, "2001:db8::7", 443);
	assert_carried(EX_SOCK_DNS_TCP4, "198.51.100.7", 53);
	assert_carried(EX_SOCK_DNS_TCP6, "2001:db8::7", 53);
}

static void test_allowed_tcp_is_carried(void **state)
{
	(void)state;
	assert_carried(EX_SOCK_TCP4, "198.51.100.7", 80);
	assert_carried(EX_SOCK_TCP6, "2001:db8::7", 80);
}

static void test_port_can_be_used_again_at_once(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		assert_carried(EX_SOCK_TCP4, "198.51.100.7", 443);
}

static void test_denied_tcp_is_refused_at_once(void **state)
{
	uint64_t before = counted(EX_R_DEFAULT_DENY);

	(void)state;
	assert_int_equal(client(SOCK_STREAM, "198.51.100.7", 444), -ECONNREFUSED);
	assert_int_equal(client(SOCK_STREAM, "198.51.100.8", 443), -ECONNREFUSED);
	assert_int_equal(client(SOCK_STREAM, "2001:db8::7", 444), -ECONNREFUSED);
	assert_int_equal(client(SOCK_STREAM, "2001:db8::8", 443), -ECONNREFUSED);
	assert_int_equal(counted(EX_R_DEFAULT_DENY), before + 4);
}

/* A listener's own port on the gateway is an address like any other: denied. */
static void test_listener_port_is_not_a_way_in(void **state)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	(void)state;
	assert_return_code(getsockname(listeners[EX_SOCK_TCP4], (struct sockaddr *)&in, &len), 0);
	assert_int_equal(client(SOCK_STREAM, NET_GW4, ntohs(in.sin_port)), -ECONNREFUSED);
	assert_int_equal(client(SOCK_STREAM, "198.51.100.7", ntohs(in.sin_port)), -ECONNREFUSED);
}

static struct sockaddr_storage datagram_target(int fd, struct sockaddr_storage *from)
{
	union {
		struct cmsghdr head;
		char room[256];
	} control;
	char buf[64];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_name = from,
			      .msg_namelen = sizeof(*from),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct sockaddr_storage ss = { 0 };
	struct cmsghdr *c;

	socks_assert_readable(fd);
	assert_int_equal(recvmsg(fd, &msg, 0), 4);
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_ORIGDSTADDR) ||
		    (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR))
			memcpy(&ss, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	}
	return ss;
}

static void assert_datagrams(enum ex_sock listener, const char *text, uint16_t port)
{
	struct sockaddr_storage from = { 0 }, to;
	int fd = client(SOCK_DGRAM, text, port), back, i;

	for (i = 0; i < 3; i++) {
		socks_say(fd, "ping");
		to = datagram_target(listeners[listener], &from);
		assert_same_address(&to, text, port);
	}
	back = socks_transparent(SOCK_DGRAM, text, port);
	assert_int_equal(sendto(back, "pong", 4, 0, (struct sockaddr *)&from,
				from.ss_family == AF_INET ? sizeof(struct sockaddr_in)
							  : sizeof(struct sockaddr_in6)),
			 4);
	socks_assert_says(fd, "pong");
	close(back);
	close(fd);
}

static void test_datagrams_reach_their_listener(void **state)
{
	(void)state;
	assert_datagrams(EX_SOCK_DNS_UDP4, "198.51.100.7", 53);
	assert_datagrams(EX_SOCK_DNS_UDP6, "2001:db8::7", 53);
	assert_datagrams(EX_SOCK_UDP4, "198.51.100.7", 8000);
	assert_datagrams(EX_SOCK_UDP6, "2001:db8::7", 8000);
}

/* Segmentation offload: one large packet on the veth, whose lengths speak of all of it. */
static void test_large_segments_pass(void **state)
{
	static char sent[200000], got[sizeof(sent)];
	int fd = client(SOCK_STREAM, "198.51.100.7", 443), peer, segment = 1000;
	size_t out = 0, in = 0;
	ssize_t n;

	(void)state;
	assert_true(fd >= 0);
	socks_assert_readable(listeners[EX_SOCK_TCP4]);
	peer = accept4(listeners[EX_SOCK_TCP4], NULL, NULL, SOCK_NONBLOCK);
	memset(sent, 'x', sizeof(sent));
	while (in < sizeof(got)) {
		n = out < sizeof(sent) ? send(fd, sent + out, sizeof(sent) - out, MSG_DONTWAIT) : 0;
		out += n > 0 ? (size_t)n : 0;
		socks_assert_readable(peer);
		n = recv(peer, got + in, sizeof(got) - in, 0);
		in += n > 0 ? (size_t)n : 0;
	}
	assert_memory_equal(sent, got, sizeof(sent));
	close(fd);
	close(peer);
	fd = client(SOCK_DGRAM, "2001:db8::7", 8000);
	assert_return_code(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)), 0);
	assert_int_equal(send(fd, sent, 5000, 0), 5000);
	for (in = 0; in < 5000; in += (size_t)n) {
		socks_assert_readable(listeners[EX_SOCK_UDP6]);
		n = recv(listeners[EX_SOCK_UDP6], got, sizeof(got), 0);
		assert_int_equal(n, segment);
	}
	close(fd);
}

static void assert_datagram_refused(const char *text, uint16_t port, int error)
{
	int fd = client(SOCK_DGRAM, text, port), pending = 0;
	struct pollfd wait = { .fd = fd };
	socklen_t len = sizeof(pending);

	socks_say(fd, "ping");
	assert_int_equal(poll(&wait, 1, SOCKS_WAIT_MS), 1);
	assert_return_code(getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &len), 0);
	assert_int_equal(pending, error);
	close(fd);
}

static void test_denied_datagram_is_refused_at_once(void **state)
{
	(void)state;
	assert_datagram_refused("198.51.100.7", 54, EHOSTUNREACH);
	assert_datagram_refused("198.51.100.9", 53, EHOSTUNREACH);
	assert_datagram_refused("2001:db8::7", 54, EACCES);
	assert_datagram_refused("2001:db8::9", 53, EACCES);
}

/* A datagram to the workload that answers nothing: the far end's address alone is no pass. */
static void test_unasked_datagram_does_not_enter(void **state)
{
	uint64_t before = counted(EX_R_NO_FLOW);
	int fd = client(SOCK_DGRAM, "198.51.100.7", 53), back;
	struct sockaddr_in own = { 0 };
	socklen_t len = sizeof(own);
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	(void)state;
	assert_return_code(getsockname(fd, (struct sockaddr *)&own, &len), 0);
	back = socks_transparent(SOCK_DGRAM, "198.51.100.7", 53);
	(void)sendto(back, "boo!", 4, 0, (struct sockaddr *)&own, sizeof(own));
	assert_int_equal(poll(&wait, 1, 50), 0);
	assert_true(counted(EX_R_NO_FLOW) > before); /* connections of other tests still end */
	close(back);
	close(fd);
}

static void assert_reset(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char c;

	assert_int_equal(poll(&wait, 1, SOCKS_WAIT_MS), 1);
	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void publish(struct ex_tables t)
{
	struct ex_endpoint ep;

	netns_endpoint(&ep, EX_EP_CARRY);
	assert_int_equal(ex_gate_publish(gate, ns.ifindex, &ep, &t), 0);
}

static void publish_nothing(void)
{
	struct ex_tables none = tables();

	none.n_rules = 0;
	publish(none);
}

static void refuse_all(void)
{
	assert_int_equal(ex_gate_refuse(gate, ns.ifindex), 0);
}

/* Whoever speaks first after the change: both ends are told there and then. */
static void assert_revoked(const char *text, enum ex_sock listener, void (*revoke)(void),
			   bool workload_speaks)
{
	uint64_t before = counted(EX_R_POLICY_CHANGED);
	int fd, peer;

	fd = client(SOCK_STREAM, text, 443);
	assert_true(fd >= 0);
	socks_assert_readable(listeners[listener]);
	peer = accept(listeners[listener], NULL, NULL);
	socks_say(fd, "ping");
	socks_assert_says(peer, "ping");
	publish(tables());
	socks_say(peer, "pong"); /* a change that still allows it */
	socks_assert_says(fd, "pong");
	revoke();
	socks_say(workload_speaks ? fd : peer, "more");
	assert_reset(fd);
	assert_reset(peer);
	assert_int_equal(counted(EX_R_POLICY_CHANGED), before + 1);
	publish(tables());
	close(fd);
	close(peer);
}

static void assert_all_revoked(void (*revoke)(void))
{
	assert_revoked("198.51.100.7", EX_SOCK_TCP4, revoke, true);
	assert_revoked("198.51.100.7", EX_SOCK_TCP4, revoke, false);
	assert_revoked("2001:db8::7", EX_SOCK_TCP6, revoke, true);
	assert_revoked("2001:db8::7", EX_SOCK_TCP6, revoke, false);
}

static void test_revoked_connection_ends_on_both_sides(void **state)
{
	(void)state;
	assert_all_revoked(publish_nothing);
}

static void test_connection_of_a_refused_endpoint_ends_on_both_sides(void **state)
{
	(void)state;
	assert_all_revoked(refuse_all);
}

static void test_dead_proxy_denies(void **state)
{
	uint64_t before = counted(EX_R_NO_PROXY);

	(void)state;
	close(listeners[EX_SOCK_TCP4]);
	close(listeners[EX_SOCK_DNS_UDP6]);
	assert_int_equal(client(SOCK_STREAM, "198.51.100.7", 443), -ECONNREFUSED);
	assert_datagram_refused("2001:db8::7", 53, EACCES);
	assert_int_equal(counted(EX_R_NO_PROXY), before + 2);
	listeners[EX_SOCK_TCP4] = socks_transparent(SOCK_STREAM, "0.0.0.0", 0);
	listeners[EX_SOCK_DNS_UDP6] = socks_transparent(SOCK_DGRAM, "::", 0);
	assert_int_equal(
		ex_gate_set_socket(gate, ns.ifindex, EX_SOCK_TCP4, 0, listeners[EX_SOCK_TCP4]), 0);
	assert_int_equal(ex_gate_set_socket(gate, ns.ifindex, EX_SOCK_DNS_UDP6, 0,
					    listeners[EX_SOCK_DNS_UDP6]),
			 0);
	assert_carried(EX_SOCK_TCP4, "198.51.100.7", 443);
}

/* Opens n connections and counts what each worker's listener got. */
static void spread(int n, const int worker[2], int got[2])
{
	int i, w, fd, peer;

	got[0] = got[1] = 0;
	while (n--) {
		struct pollfd wait[2] = { { worker[0], POLLIN, 0 }, { worker[1], POLLIN, 0 } };

		fd = client(SOCK_STREAM, "198.51.100.7", 443);
		assert_true(fd >= 0);
		assert_true(poll(wait, 2, SOCKS_WAIT_MS) > 0);
		for (i = w = 0; i < 2; i++)
			if (wait[i].revents & POLLIN)
				w = i;
		peer = accept(worker[w], NULL, NULL);
		assert_true(peer >= 0);
		got[w]++;
		socks_say(fd, "ping"); /* later segments find the way as well */
		socks_assert_says(peer, "ping");
		close(peer);
		close(fd);
	}
}

static void test_flows_go_to_every_worker_that_lives(void **state)
{
	int worker[2], got[2];
	const int *tcp4 = &listeners[EX_SOCK_TCP4];

	(void)state;
	worker[0] = *tcp4;
	worker[1] = socks_transparent(SOCK_STREAM, "0.0.0.0", 0);
	assert_int_equal(ex_gate_set_socket(gate, ns.ifindex, EX_SOCK_TCP4, 1, worker[1]), 0);
	spread(40, worker, got);
	assert_true(got[0] > 5 && got[1] > 5);
	assert_int_equal(ex_gate_set_socket(gate, ns.ifindex, EX_SOCK_TCP4, 0, -1), 0);
	spread(10, worker, got);
	assert_int_equal(got[0], 0);
	assert_int_equal(ex_gate_set_socket(gate, ns.ifindex, EX_SOCK_TCP4, 0, *tcp4), 0);
	close(worker[1]);
	worker[1] = -1;
	spread(10, worker, got);
	assert_int_equal(got[0], 10);
	assert_int_equal(ex_gate_set_socket(gate, ns.ifindex, EX_SOCK_TCP4, EX_WORKERS_MAX, *tcp4),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steered_tcp_reaches_its_listener),
		cmocka_unit_test(test_allowed_tcp_is_carried),
		cmocka_unit_test(test_port_can_be_used_again_at_once),
		cmocka_unit_test(test_denied_tcp_is_refused_at_once),
		cmocka_unit_test(test_listener_port_is_not_a_way_in),
		cmocka_unit_test(test_datagrams_reach_their_listener),
		cmocka_unit_test(test_large_segments_pass),
		cmocka_unit_test(test_denied_datagram_is_refused_at_once),
		cmocka_unit_test(test_unasked_datagram_does_not_enter),
		cmocka_unit_test(test_revoked_connection_ends_on_both_sides),
		cmocka_unit_test(test_connection_of_a_refused_endpoint_ends_on_both_sides),
		cmocka_unit_test(test_dead_proxy_denies),
		cmocka_unit_test(test_flows_go_to_every_worker_that_lives),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
