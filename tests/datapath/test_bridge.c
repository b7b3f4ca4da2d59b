/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two pods on a bridge, each behind its gate and with a gateway namespace, in which the test plays
 * the proxy: what is steered comes out there, and what the proxy sends has the pod's own address.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bridge.h"
#include "tests/datapath/served.h"
#include "tests/datapath/socks.h"

enum { A, B };

static struct bridge net;
static struct ex_gate *gate;
static int listeners[BRIDGE_PODS][EX_SOCK_MAX];

#define STEER(port, id)                                                                            \
	{                                                                                          \
		1, 32, IPPROTO_TCP, (port),                                                        \
		{                                                                                  \
			EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, (id)                                \
		}                                                                                  \
	}
#define PASS(proto, port, id)                                                                      \
	{                                                                                          \
		1, 32, (proto), (port),                                                            \
		{                                                                                  \
			EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, (id)                               \
		}                                                                                  \
	}

/* To everywhere: TCP 80 and DNS steered, TCP 443 and UDP 8000 allowed, TCP 81 as the test has it.
 */
static struct ex_rule_entry rules[] = {
	STEER(80, 1),
	PASS(IPPROTO_TCP, 443, 2),
	PASS(IPPROTO_UDP, 8000, 3),
	{ 1, 32, IPPROTO_UDP, 53, { EX_V_STEER, EX_KIND_DNS, EX_R_ALLOWED, 4 } },
	STEER(81, 5),
};
static struct ex_dest_entry everywhere[] = { { .prefix = 0, .klass = 1 } };

static void publish(int pod, const struct ex_tables *egress, const struct ex_tables *ingress)
{
	const struct ex_gate_ruleset ruleset = { .egress = egress, .ingress = ingress };

	assert_int_equal(
		ex_gate_publish_both(gate, net.pods[pod].ifindex, &net.pods[pod].ep, &ruleset), 0);
}

static void publish_rules(int pod, size_t n)
{
	const struct ex_tables t = { everywhere, 1, rules, n, 1 };
	const struct served_ports ports[] = { { IPPROTO_TCP, 80, 443 },
					      { IPPROTO_UDP, 53, 53 },
					      { IPPROTO_UDP, 8000, 8000 } };
	struct ex_tables served;

	assert_int_equal(served_tables(ports, EX_ARRAY_SIZE(ports), &served), 0);
	publish(pod, &t, &served);
	ex_tables_done(&served);
}

static void listen_all(int pod)
{
	enum ex_sock i;

	netns_enter(net.pods[pod].gateway);
	for (i = 0; i < EX_SOCK_MAX; i++) {
		listeners[pod][i] =
			socks_transparent(i < EX_SOCK_DNS_UDP4 ? SOCK_STREAM : SOCK_DGRAM,
					  i % 2 ? "::" : "0.0.0.0", 0);
		assert_int_equal(
			ex_gate_set_socket(gate, net.pods[pod].ifindex, i, 0, listeners[pod][i]),
			0);
	}
	netns_enter(net.host);
}

static int setup(void **state)
{
	int i;

	(void)state;
	bridge_open(&net);
	assert_int_equal(ex_gate_load(NULL, &gate), 0);
	for (i = 0; i < BRIDGE_PODS; i++) {
		listen_all(i);
		publish_rules(i, EX_ARRAY_SIZE(rules));
		assert_int_equal(ex_gate_attach_gateway(gate, net.pods[i].ifindex,
							net.pods[i].gate_ifindex,
							net.pods[i].gateway),
				 0);
		assert_int_equal(ex_gate_attach(gate, net.pods[i].ifindex), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	int i, s;

	(void)state;
	for (i = 0; i < BRIDGE_PODS; i++)
		for (s = 0; s < EX_SOCK_MAX; s++)
			ex_closep(&listeners[i][s]);
	ex_gate_free(gate);
	bridge_close(&net);
	return 0;
}

static uint64_t counted(enum ex_reason reason)
{
	struct ex_counter c;

	assert_int_equal(ex_gate_count_reason(gate, reason, &c), 0);
	return c.packets;
}

static int listen_in(int ns, int type, const char *text, uint16_t port)
{
	int fd;

	netns_enter(ns);
	fd = socks_transparent(type, text, port);
	netns_enter(net.host);
	return fd;
}

static int connect_in(int ns, int type, const char *text, uint16_t port)
{
	int fd;

	netns_enter(ns);
	fd = socks_connect(type, text, port);
	netns_enter(net.host);
	return fd;
}

static int connect_from(int ns, int type, const char *from, uint16_t from_port, const char *text,
			uint16_t port)
{
	int fd;

	netns_enter(ns);
	fd = socks_connect_from(type, from, from_port, text, port);
	netns_enter(net.host);
	return fd;
}

static const char *address_of(int pod, bool six)
{
	static const char *const text[BRIDGE_PODS][2] = { { POD_A4, POD_A6 }, { POD_B4, POD_B6 } };

	return text[pod][six];
}

static void close_all(int a, int b, int c, int d)
{
	const int fds[] = { a, b, c, d };

	for (size_t i = 0; i < EX_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Pod -> its proxy -> `to` on port 80, where the pod's own address is seen. Ports 0: any. */
static void assert_proxied(int pod, uint16_t sport, uint16_t up_port, int to_ns, const char *to,
			   bool six)
{
	const struct bridge_pod *from = &net.pods[pod];
	int server = listen_in(to_ns, SOCK_STREAM, six ? "::" : "0.0.0.0", 80);
	int client = connect_from(from->ns, SOCK_STREAM, six ? "::" : "0.0.0.0", sport, to, 80);
	int proxy, upstream, peer;

	if (client < 0)
		fail_msg("%s: %s", to, strerror(-client));
	proxy = socks_accept(listeners[pod][six ? EX_SOCK_TCP6 : EX_SOCK_TCP4]);
	upstream = connect_from(from->gateway, SOCK_STREAM, address_of(pod, six), up_port, to, 80);
	if (upstream < 0)
		fail_msg("upstream to %s: %s", to, strerror(-upstream));
	peer = socks_accept(server);
	socks_assert_peer(peer, address_of(pod, six));
	socks_assert_peer(proxy, address_of(pod, six));
	socks_assert_talk(client, proxy);
	socks_assert_talk(upstream, peer);
	socks_assert_talk(client, proxy);
	close_all(server, client, proxy, upstream);
	socks_assert_readable(peer);
	close(peer);
}

static void test_steered_flow_goes_through_the_proxy(void **state)
{
	(void)state;
	assert_proxied(A, 0, 0, net.pods[B].ns, POD_B4, false);
	assert_proxied(A, 0, 0, net.pods[B].ns, POD_B6, true);
	assert_proxied(B, 0, 0, net.pods[A].ns, POD_A4, false);
	assert_proxied(A, 0, 0, net.world, WORLD4, false);
	assert_proxied(A, 0, 0, net.world, WORLD6, true);
}

static void test_proxy_may_use_the_port_of_the_pod(void **state)
{
	(void)state;
	assert_proxied(A, 40000, 40000, net.pods[B].ns, POD_B4, false);
	assert_proxied(A, 40000, 40000, net.pods[B].ns, POD_B6, true);
}

/* Both ways at once, with the same ports everywhere. */
static void test_pods_may_be_steered_to_each_other(void **state)
{
	int server[2], client[2], proxy[2], upstream[2], peer[2], i;

	(void)state;
	for (i = 0; i < 2; i++)
		server[i] = listen_in(net.pods[i].ns, SOCK_STREAM, "0.0.0.0", 80);
	for (i = 0; i < 2; i++)
		client[i] = connect_from(net.pods[i].ns, SOCK_STREAM, "0.0.0.0", 41000,
					 address_of(!i, false), 80);
	for (i = 0; i < 2; i++) {
		assert_true(client[i] >= 0);
		proxy[i] = socks_accept(listeners[i][EX_SOCK_TCP4]);
		upstream[i] = connect_from(net.pods[i].gateway, SOCK_STREAM, address_of(i, false),
					   41000, address_of(!i, false), 80);
		assert_true(upstream[i] >= 0);
	}
	for (i = 0; i < 2; i++)
		peer[i] = socks_accept(server[!i]);
	for (i = 0; i < 2; i++) {
		socks_assert_peer(peer[i], address_of(i, false));
		socks_assert_talk(client[i], proxy[i]);
		socks_assert_talk(upstream[i], peer[i]);
	}
	for (i = 0; i < 2; i++) {
		close_all(server[i], client[i], proxy[i], upstream[i]);
		close(peer[i]);
	}
}

static void assert_native(int type, uint16_t port, int to_ns, const char *to, bool six)
{
	int server = listen_in(to_ns, type, six ? "::" : "0.0.0.0", port), peer = -1;
	int client = connect_in(net.pods[A].ns, type, to, port);
	char text[8];

	if (client < 0)
		fail_msg("%s: %s", to, strerror(-client));
	if (type == SOCK_STREAM) {
		peer = socks_accept(server);
		socks_assert_peer(peer, address_of(A, six));
		socks_assert_talk(client, peer);
	} else {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);

		socks_say(client, "ping");
		socks_assert_readable(server);
		assert_int_equal(
			recvfrom(server, text, sizeof(text), 0, (struct sockaddr *)&ss, &len), 4);
		assert_int_equal(sendto(server, "pong", 4, 0, (struct sockaddr *)&ss, len), 4);
		socks_assert_says(client, "pong");
	}
	close_all(server, client, peer, -1);
}

static void test_allowed_flow_passes_as_it_is(void **state)
{
	(void)state;
	assert_native(SOCK_STREAM, 443, net.pods[B].ns, POD_B4, false);
	assert_native(SOCK_STREAM, 443, net.pods[B].ns, POD_B6, true);
	assert_native(SOCK_DGRAM, 8000, net.pods[B].ns, POD_B4, false);
	assert_native(SOCK_STREAM, 443, net.world, WORLD4, false);
	assert_native(SOCK_DGRAM, 8000, net.world, WORLD6, true);
}

static void test_denied_flow_is_refused(void **state)
{
	uint64_t before = counted(EX_R_DEFAULT_DENY);

	(void)state;
	assert_int_equal(connect_in(net.pods[A].ns, SOCK_STREAM, POD_B4, 444), -ECONNREFUSED);
	assert_int_equal(connect_in(net.pods[A].ns, SOCK_STREAM, POD_B6, 444), -ECONNREFUSED);
	assert_int_equal(counted(EX_R_DEFAULT_DENY), before + 2);
}

/* What the proxy asks for is judged as the pod would be. */
static void test_proxy_is_judged_as_the_pod(void **state)
{
	uint64_t before = counted(EX_R_DEFAULT_DENY);
	int ns = net.pods[A].gateway;

	(void)state;
	assert_int_equal(connect_from(ns, SOCK_STREAM, POD_A4, 0, POD_B4, 444), -ECONNREFUSED);
	assert_int_equal(connect_from(ns, SOCK_STREAM, POD_A6, 0, POD_B6, 444), -ECONNREFUSED);
	assert_int_equal(counted(EX_R_DEFAULT_DENY), before + 2);
}

static void test_gateway_speaks_for_its_pod_only(void **state)
{
	uint64_t before = counted(EX_R_GATEWAY);

	(void)state;
	assert_int_equal(connect_from(net.pods[A].gateway, SOCK_STREAM, POD_B4, 0, WORLD4, 443),
			 -ETIMEDOUT);
	assert_true(counted(EX_R_GATEWAY) > before);
}

/* A flow that passes and one of the proxy with the same tuple: the second is denied. */
static void test_tuple_is_used_once_outside(void **state)
{
	int server = listen_in(net.pods[B].ns, SOCK_STREAM, "0.0.0.0", 443);
	int client = connect_from(net.pods[A].ns, SOCK_STREAM, "0.0.0.0", 42000, POD_B4, 443);
	uint64_t before = counted(EX_R_FLOW_COLLISION);
	int peer = socks_accept(server), upstream;

	(void)state;
	assert_int_equal(connect_from(net.pods[A].gateway, SOCK_STREAM, POD_A4, 42000, POD_B4, 443),
			 -ECONNREFUSED);
	assert_int_equal(counted(EX_R_FLOW_COLLISION), before + 1);
	socks_assert_talk(client, peer);
	close_all(client, peer, -1, -1);
	upstream = connect_from(net.pods[A].gateway, SOCK_STREAM, POD_A4, 42001, POD_B4, 443);
	assert_true(upstream >= 0);
	peer = socks_accept(server);
	assert_int_equal(connect_from(net.pods[A].ns, SOCK_STREAM, "0.0.0.0", 42001, POD_B4, 443),
			 -ECONNREFUSED);
	assert_int_equal(counted(EX_R_FLOW_COLLISION), before + 2);
	socks_assert_talk(upstream, peer);
	close_all(server, upstream, peer, -1);
}

static void test_steered_datagrams_are_answered(void **state)
{
	int client = connect_in(net.pods[A].ns, SOCK_DGRAM, POD_B4, 53), dns, back;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char text[8];

	(void)state;
	dns = listeners[A][EX_SOCK_DNS_UDP4];
	socks_say(client, "what");
	socks_assert_readable(dns);
	assert_int_equal(recvfrom(dns, text, sizeof(text), 0, (struct sockaddr *)&ss, &len), 4);
	back = listen_in(net.pods[A].gateway, SOCK_DGRAM, POD_B4, 53);
	assert_int_equal(sendto(back, "this", 4, 0, (struct sockaddr *)&ss, len), 4);
	socks_assert_says(client, "this");
	close_all(client, back, -1, -1);
}

static void test_dead_proxy_denies(void **state)
{
	uint64_t before = counted(EX_R_NO_PROXY);

	(void)state;
	close(listeners[B][EX_SOCK_TCP4]);
	assert_int_equal(connect_in(net.pods[B].ns, SOCK_STREAM, POD_A4, 80), -ECONNREFUSED);
	assert_int_equal(counted(EX_R_NO_PROXY), before + 1);
	listeners[B][EX_SOCK_TCP4] = listen_in(net.pods[B].gateway, SOCK_STREAM, "0.0.0.0", 0);
	assert_int_equal(ex_gate_set_socket(gate, net.pods[B].ifindex, EX_SOCK_TCP4, 0,
					    listeners[B][EX_SOCK_TCP4]),
			 0);
	assert_proxied(B, 0, 0, net.pods[A].ns, POD_A4, false);
}

/* A rule that is gone ends its flows, at all four ends. */
static void test_revoked_flow_ends_on_all_sides(void **state)
{
	int server = listen_in(net.pods[B].ns, SOCK_STREAM, "0.0.0.0", 81);
	int client = connect_in(net.pods[A].ns, SOCK_STREAM, POD_B4, 81);
	int proxy, upstream, peer;
	char text[4];

	(void)state;
	proxy = socks_accept(listeners[A][EX_SOCK_TCP4]);
	upstream = connect_from(net.pods[A].gateway, SOCK_STREAM, POD_A4, 0, POD_B4, 81);
	peer = socks_accept(server);
	socks_assert_talk(client, proxy);
	publish_rules(A, EX_ARRAY_SIZE(rules) - 1);
	socks_say(client, "more");
	socks_assert_readable(client);
	assert_int_equal(recv(client, text, sizeof(text), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	socks_assert_readable(proxy);
	assert_int_equal(recv(proxy, text, sizeof(text), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	socks_say(upstream, "more");
	socks_assert_readable(upstream);
	assert_int_equal(recv(upstream, text, sizeof(text), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	socks_assert_readable(peer);
	assert_int_equal(recv(peer, text, sizeof(text), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	publish_rules(A, EX_ARRAY_SIZE(rules));
	close_all(server, client, proxy, upstream);
	close(peer);
}

/* As an uplink does, whose far end looks at checksums: none is left to be made by who is next. */
static void checksums_on_the_wire(const char *device)
{
	struct ethtool_value off = { .cmd = ETHTOOL_STXCSUM };
	struct ifreq ifr = { .ifr_data = (void *)&off };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	assert_return_code(ioctl(fd, SIOCETHTOOL, &ifr), errno);
	close(fd);
}

static void assert_is_reset(int fd)
{
	char text[4];

	socks_assert_readable(fd);
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void assert_passing_flow_is_revoked(const char *to, bool six)
{
	int server = listen_in(net.world, SOCK_STREAM, six ? "::" : "0.0.0.0", 443);
	int client = connect_in(net.pods[A].ns, SOCK_STREAM, to, 443), peer;

	assert_true(client >= 0);
	peer = socks_accept(server);
	socks_assert_talk(client, peer);
	publish_rules(A, 1);
	socks_say(client, "more");
	assert_is_reset(client);
	assert_is_reset(peer);
	publish_rules(A, EX_ARRAY_SIZE(rules));
	close_all(server, client, peer, -1);
}

static void test_revoked_flow_that_passes_is_reset_at_the_far_end(void **state)
{
	(void)state;
	checksums_on_the_wire("up0");
	assert_passing_flow_is_revoked(WORLD4, false);
	assert_passing_flow_is_revoked(WORLD6, true);
}

static void test_served_port_answers(void **state)
{
	int server = listen_in(net.pods[A].ns, SOCK_STREAM, "0.0.0.0", 300), client, peer;

	(void)state;
	client = connect_in(net.world, SOCK_STREAM, POD_A4, 300);
	assert_true(client >= 0);
	peer = socks_accept(server);
	socks_assert_peer(peer, WORLD4);
	socks_assert_talk(client, peer);
	close_all(server, client, peer, -1);
}

static void test_port_that_is_not_served_is_closed(void **state)
{
	int server = listen_in(net.pods[A].ns, SOCK_STREAM, "0.0.0.0", 444);
	uint64_t before = counted(EX_R_DEFAULT_DENY);

	(void)state;
	assert_int_equal(connect_in(net.world, SOCK_STREAM, POD_A4, 444), -ETIMEDOUT);
	assert_true(counted(EX_R_DEFAULT_DENY) > before);
	close(server);
}

/* The veth takes marks off between namespaces; a pod that knew the secret had nothing of it. */
static void test_pod_cannot_present_the_mark(void **state)
{
	const uint32_t marks[] = { gate->state.mark, gate->state.mark ^ 1 };
	int server = listen_in(net.world, SOCK_DGRAM, "0.0.0.0", 444), fd;
	struct pollfd wait = { .fd = server, .events = POLLIN };
	socklen_t len;
	struct sockaddr_storage to = socks_address(WORLD4, 444, &len);

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(marks); i++) {
		uint64_t before = counted(EX_R_DEFAULT_DENY);

		netns_enter(net.pods[A].ns);
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		assert_true(fd >= 0);
		assert_return_code(setsockopt(fd, SOL_SOCKET, SO_MARK, &marks[i], sizeof(marks[i])),
				   errno);
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len), 1);
		netns_enter(net.host);
		assert_int_equal(counted(EX_R_DEFAULT_DENY), before + 1);
		close(fd);
	}
	assert_int_equal(poll(&wait, 1, 100), 0);
	close(server);
}

static pid_t attach_again_and_again(void)
{
	pid_t pid = fork();
	int r = 0, i;

	if (pid)
		return pid;
	for (i = 0; i < 300 && !r; i++) {
		r = ex_gate_attach(gate, net.pods[A].ifindex);
		if (!r)
			r = ex_gate_attach_gateway(gate, net.pods[A].ifindex,
						   net.pods[A].gate_ifindex, net.pods[A].gateway);
	}
	_exit(r != 0);
}

/* Programs are replaced in one step: no allowed packet is lost meanwhile, no denied one passes. */
static void test_programs_are_replaced_without_a_gap(void **state)
{
	int allowed = listen_in(net.world, SOCK_DGRAM, "0.0.0.0", 8000);
	int denied = listen_in(net.world, SOCK_DGRAM, "0.0.0.0", 444), status, rounds = 0;
	int fd = connect_in(net.pods[A].ns, SOCK_DGRAM, WORLD4, 8000), evil;
	struct pollfd wait = { .fd = denied, .events = POLLIN };
	struct sockaddr_storage to, from;
	socklen_t len, from_len = sizeof(from);
	char text[8];
	pid_t pid;

	(void)state;
	to = socks_address(WORLD4, 444, &len);
	netns_enter(net.pods[A].ns);
	evil = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	netns_enter(net.host);
	pid = attach_again_and_again();
	assert_true(pid > 0 && evil >= 0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		(void)!sendto(evil, "x", 1, 0, (struct sockaddr *)&to, len);
		socks_say(fd, "ping");
		socks_assert_readable(allowed);
		from_len = sizeof(from);
		assert_int_equal(recvfrom(allowed, text, sizeof(text), 0, (struct sockaddr *)&from,
					  &from_len),
				 4);
		assert_int_equal(sendto(allowed, "pong", 4, 0, (struct sockaddr *)&from, from_len),
				 4);
		socks_assert_says(fd, "pong");
		rounds++;
	}
	assert_int_equal(status, 0);
	assert_true(rounds > 100);
	assert_int_equal(poll(&wait, 1, 100), 0);
	close_all(allowed, denied, fd, evil);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed_flow_passes_as_it_is),
		cmocka_unit_test(test_denied_flow_is_refused),
		cmocka_unit_test(test_steered_flow_goes_through_the_proxy),
		cmocka_unit_test(test_proxy_may_use_the_port_of_the_pod),
		cmocka_unit_test(test_pods_may_be_steered_to_each_other),
		cmocka_unit_test(test_proxy_is_judged_as_the_pod),
		cmocka_unit_test(test_gateway_speaks_for_its_pod_only),
		cmocka_unit_test(test_tuple_is_used_once_outside),
		cmocka_unit_test(test_steered_datagrams_are_answered),
		cmocka_unit_test(test_dead_proxy_denies),
		cmocka_unit_test(test_revoked_flow_ends_on_all_sides),
		cmocka_unit_test(test_revoked_flow_that_passes_is_reset_at_the_far_end),
		cmocka_unit_test(test_pod_cannot_present_the_mark),
		cmocka_unit_test(test_programs_are_replaced_without_a_gap),
		cmocka_unit_test(test_served_port_answers),
		cmocka_unit_test(test_port_that_is_not_served_is_closed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
