/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interface of the host itself, all of whose traffic is the workload's: it leaves by the egress
 * hook. The workload is here the namespace that has the interface, or a macvlan of it elsewhere.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/served.h"
#include "tests/datapath/socks.h"

#define OWN4      "203.0.113.1"
#define CHILD4    "203.0.113.5"
#define WORLD4    "203.0.113.2"
#define OWN6      "2001:db8:ffff::1"
#define CHILD6    "2001:db8:ffff::5"
#define WORLD6    "2001:db8:ffff::2"
#define OWN_MAC   "02:65:78:00:04:01"
#define WORLD_MAC "02:65:78:00:04:02"
#define CHILD_MAC "02:65:78:00:04:05"
#define GATE_MAC  "02:65:78:00:04:03"

static int host, world, child, gateway;
static uint32_t ifindex, gate_ifindex;
static struct ex_gate *gate;
static int listener[2];

static struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_TCP, 80, { EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, 1 } },
	{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
	{ 1, 32, IPPROTO_UDP, 8000, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 3 } },
};
static struct ex_dest_entry everywhere[] = { { .prefix = 0, .klass = 1 } };

static void gateway_open(void)
{
	gateway = netns_new();
	netns_sysctl("ipv4/conf/all/rp_filter", "0");
	netns_sysctl("ipv4/conf/default/rp_filter", "0");
	netns_ip("link set lo up");
	netns_ip("link add gate0 index %u address " GATE_MAC
		 " type veth peer name exg netns /proc/%d/fd/%d",
		 ifindex, getpid(), host);
	netns_ip("link set gate0 addrgenmode none arp off up");
	netns_ip("rule add iif gate0 lookup 100");
	netns_ip("-6 rule add iif gate0 lookup 100");
	netns_ip("route add local default dev lo table 100");
	netns_ip("-6 route add local default dev lo table 100");
	netns_ip("route add default dev gate0");
	netns_ip("-6 route add default dev gate0");
	listener[0] = socks_transparent(SOCK_STREAM, "0.0.0.0", 0);
	listener[1] = socks_transparent(SOCK_STREAM, "::", 0);
	netns_enter(host);
	netns_ip("link set exg addrgenmode none up");
	gate_ifindex = if_nametoindex("exg");
}

static void links_open(void)
{
	world = netns_new();
	netns_sysctl("ipv6/conf/default/accept_dad", "0");
	netns_ip("link set lo up");
	child = netns_new();
	netns_sysctl("ipv6/conf/default/accept_dad", "0");
	host = netns_new();
	netns_sysctl("ipv6/conf/default/accept_dad", "0");
	netns_ip("link set lo up");
	netns_ip("link add up0 address " OWN_MAC " type veth peer name eth0 address " WORLD_MAC
		 " netns /proc/%d/fd/%d",
		 getpid(), world);
	netns_ip("addr add " OWN4 "/24 dev up0");
	netns_ip("link set up0 up");
	netns_ip("-6 addr add " OWN6 "/64 dev up0 nodad");
	netns_ip("link add link up0 name eth0 netns /proc/%d/fd/%d type macvlan mode bridge",
		 getpid(), child);
	ifindex = if_nametoindex("up0");
	netns_enter(child);
	netns_ip("link set eth0 address " CHILD_MAC);
	netns_ip("addr add " CHILD4 "/24 dev eth0");
	netns_ip("link set eth0 up");
	netns_ip("-6 addr add " CHILD6 "/64 dev eth0 nodad");
	netns_enter(world);
	netns_ip("addr add " WORLD4 "/24 dev eth0");
	netns_ip("link set eth0 up");
	netns_ip("-6 addr add " WORLD6 "/64 dev eth0 nodad");
	netns_enter(host);
}

static void publish(bool macvlan)
{
	const struct served_ports ports[] = { { IPPROTO_TCP, 300, 300 } };
	const struct ex_tables t = { everywhere, 1, rules, EX_ARRAY_SIZE(rules), 1 };
	struct ex_gate_ruleset ruleset = { .egress = &t };
	struct ex_endpoint ep = {
		.flags = EX_EP_SHARED | EX_EP_BRIDGED | EX_EP_GATEWAY,
		.mac = { 2, 0x65, 0x78, 0, 4, macvlan ? 5 : 1 },
		.gw_mac = { 2, 0x65, 0x78, 0, 4, 2 },
		.gate_mac = { 2, 0x65, 0x78, 0, 4, 3 },
		.gateway = gate_ifindex,
	};
	struct ex_tables served;

	assert_true(ex_ip_parse(macvlan ? CHILD4 : OWN4, &ep.ip4));
	assert_true(ex_ip_parse(macvlan ? CHILD6 : OWN6, &ep.ip6));
	assert_int_equal(served_tables(ports, 1, &served), 0);
	ruleset.ingress = &served;
	assert_int_equal(ex_gate_publish_both(gate, ifindex, &ep, &ruleset), 0);
	ex_tables_done(&served);
}

static int setup(void **state)
{
	int i;

	(void)state;
	links_open();
	gateway_open();
	assert_int_equal(ex_gate_load(NULL, &gate), 0);
	publish(false);
	for (i = 0; i < 2; i++)
		assert_int_equal(ex_gate_set_socket(gate, ifindex, i ? EX_SOCK_TCP6 : EX_SOCK_TCP4,
						    0, listener[i]),
				 0);
	assert_int_equal(ex_gate_attach_gateway(gate, ifindex, gate_ifindex, gateway), 0);
	assert_int_equal(ex_gate_attach(gate, ifindex), 0);
	return 0;
}

static int teardown(void **state)
{
	const int fds[] = { host, world, child, gateway, listener[0], listener[1] };

	(void)state;
	ex_gate_free(gate);
	for (size_t i = 0; i < EX_ARRAY_SIZE(fds); i++)
		close(fds[i]);
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
	netns_enter(host);
	return fd;
}

static int connect_in(int ns, const char *text, uint16_t port)
{
	int fd;

	netns_enter(ns);
	fd = socks_connect(SOCK_STREAM, text, port);
	netns_enter(host);
	return fd;
}

static void assert_passes(int ns, const char *to, const char *own, bool six)
{
	int server = listen_in(world, SOCK_STREAM, six ? "::" : "0.0.0.0", 443);
	int fd = connect_in(ns, to, 443), peer;

	if (fd < 0)
		fail_msg("%s: %s", to, strerror(-fd));
	peer = socks_accept(server);
	socks_assert_peer(peer, own);
	socks_assert_talk(fd, peer);
	close(server);
	close(fd);
	close(peer);
}

static void assert_refused(int ns, const char *to)
{
	uint64_t before = counted(EX_R_DEFAULT_DENY);

	assert_int_equal(connect_in(ns, to, 444), -ECONNREFUSED);
	assert_int_equal(counted(EX_R_DEFAULT_DENY), before + 1);
}

static void assert_steered(int ns, const char *to, const char *own, bool six)
{
	int server = listen_in(world, SOCK_STREAM, six ? "::" : "0.0.0.0", 80);
	int fd = connect_in(ns, to, 80), proxy, upstream, peer;

	if (fd < 0)
		fail_msg("%s: %s", to, strerror(-fd));
	proxy = socks_accept(listener[six]);
	socks_assert_peer(proxy, own);
	netns_enter(gateway);
	upstream = socks_connect_from(SOCK_STREAM, own, 0, to, 80);
	netns_enter(host);
	if (upstream < 0)
		fail_msg("upstream to %s: %s", to, strerror(-upstream));
	peer = socks_accept(server);
	socks_assert_peer(peer, own);
	socks_assert_talk(fd, proxy);
	socks_assert_talk(upstream, peer);
	close(server);
	close(fd);
	close(proxy);
	close(upstream);
	close(peer);
}

static void assert_served(int ns, const char *own)
{
	int server = listen_in(ns, SOCK_STREAM, "0.0.0.0", 300), fd, peer;

	fd = connect_in(world, own, 300);
	if (fd < 0)
		fail_msg("%s: %s", own, strerror(-fd));
	peer = socks_accept(server);
	socks_assert_talk(fd, peer);
	close(server);
	close(fd);
	close(peer);
	assert_int_equal(connect_in(world, own, 301), -ETIMEDOUT);
}

static void assert_all(int ns, const char *own4, const char *own6)
{
	assert_passes(ns, WORLD4, own4, false);
	assert_passes(ns, WORLD6, own6, true);
	assert_refused(ns, WORLD4);
	assert_refused(ns, WORLD6);
	assert_steered(ns, WORLD4, own4, false);
	assert_steered(ns, WORLD6, own6, true);
	assert_served(ns, own4);
}

static void test_interface_of_the_host_is_gated(void **state)
{
	(void)state;
	publish(false);
	assert_all(host, OWN4, OWN6);
}

static void test_macvlan_is_gated_at_its_parent(void **state)
{
	(void)state;
	publish(true);
	assert_all(child, CHILD4, CHILD6);
	assert_true(connect_in(host, WORLD4, 443) < 0); /* not the workload's MAC */
}

/* A datagram of the child's that bears this mark is denied, and does not arrive. */
static void assert_denied_with_mark(uint32_t mark)
{
	int server = listen_in(world, SOCK_DGRAM, "0.0.0.0", 444), fd;
	struct pollfd wait = { .fd = server, .events = POLLIN };
	uint64_t before = counted(EX_R_DEFAULT_DENY);
	socklen_t len;
	struct sockaddr_storage to = socks_address(WORLD4, 444, &len);

	netns_enter(child);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), errno);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len), 1);
	netns_enter(host);
	assert_int_equal(poll(&wait, 1, 200), 0);
	assert_int_equal(counted(EX_R_DEFAULT_DENY), before + 1);
	close(fd);
	close(server);
}

/* What an ifb device sends on is shown to this hook: only that of a veth is passed by. */
static void test_ifb_is_no_pass(void **state)
{
	(void)state;
	publish(true);
	netns_enter(child);
	netns_way_around("eth0");
	netns_enter(host);
	assert_denied_with_mark(NETNS_AROUND);
}

/* A macvlan does not clear marks, as a veth does: the mark alone is worth nothing here. */
static void test_mark_alone_is_no_pass(void **state)
{
	(void)state;
	publish(true);
	assert_denied_with_mark(gate->state.mark);
	assert_denied_with_mark(gate->state.mark ^ 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interface_of_the_host_is_gated),
		cmocka_unit_test(test_macvlan_is_gated_at_its_parent),
		cmocka_unit_test(test_mark_alone_is_no_pass),
		cmocka_unit_test(test_ifb_is_no_pass),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
