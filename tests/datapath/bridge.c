/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/datapath/bridge.h"

#define BRIDGE_MAC "02:65:78:00:01:01"

static uint32_t ifindex_of(const char *name)
{
	uint32_t ifindex = if_nametoindex(name);

	assert_true(ifindex > 0);
	return ifindex;
}

static void pod_setup(int number)
{
	netns_ip("link set lo up");
	netns_ip("link set eth0 address 02:65:78:00:02:0%d", number);
	netns_ip("addr add 10.77.0.%d/24 dev eth0", number);
	netns_ip("link set eth0 up");
	netns_ip("-6 addr add fd77::%d/64 dev eth0 nodad", number);
	netns_ip("route add default via " BRIDGE_HOST4);
	netns_ip("-6 route add default via " BRIDGE_HOST6);
}

static void gateway_setup(void)
{
	netns_sysctl("ipv4/conf/all/rp_filter", "0");
	netns_sysctl("ipv4/conf/default/rp_filter", "0");
	netns_sysctl("ipv4/tcp_syncookies", "0");
	netns_sysctl("ipv4/tcp_max_tw_buckets", "0");
	netns_ip("link set lo up");
}

/* In the gateway's namespace, once GATE is there. */
static void gate_setup(int number)
{
	netns_ip("link set gate0 address 02:65:78:00:03:0%d addrgenmode none arp off up", number);
	netns_ip("rule add iif gate0 lookup 100");
	netns_ip("-6 rule add iif gate0 lookup 100");
	netns_ip("route add local default dev lo table 100");
	netns_ip("-6 route add local default dev lo table 100");
	netns_ip("route add default dev gate0");
	netns_ip("-6 route add default dev gate0");
}

static void pod_open(struct bridge *b, int i)
{
	struct bridge_pod *pod = &b->pods[i];
	int number = 2 + i;

	pod->ns = netns_new();
	pod->gateway = netns_new();
	gateway_setup();
	netns_enter(b->host);
	netns_ip("link add veth%d type veth peer name eth0 netns /proc/%d/fd/%d", i, getpid(),
		 pod->ns);
	netns_ip("link set veth%d master br0 up", i);
	pod->ifindex = ifindex_of(i ? "veth1" : "veth0");
	netns_enter(pod->gateway);
	netns_ip("link add gate0 index %u type veth peer name exg-%d netns /proc/%d/fd/%d",
		 pod->ifindex, i, getpid(), b->host);
	netns_enter(b->host);
	netns_ip("link set exg-%d addrgenmode none up", i);
	pod->gate_ifindex = ifindex_of(i ? "exg-1" : "exg-0");
	netns_enter(pod->ns);
	pod_setup(number);
	netns_enter(pod->gateway);
	gate_setup(number);
	assert_int_equal(ifindex_of("gate0"), pod->ifindex);
	pod->ep = (struct ex_endpoint){
		.flags = EX_EP_GATEWAY | EX_EP_BRIDGED,
		.mac = { 2, 0x65, 0x78, 0, 2, (uint8_t)number },
		.gw_mac = { 2, 0x65, 0x78, 0, 1, 1 },
		.gate_mac = { 2, 0x65, 0x78, 0, 3, (uint8_t)number },
		.gateway = pod->gate_ifindex,
	};
	assert_true(ex_ip_parse(i ? POD_B4 : POD_A4, &pod->ep.ip4));
	assert_true(ex_ip_parse(i ? POD_B6 : POD_A6, &pod->ep.ip6));
	assert_true(ex_ip_parse(BRIDGE_HOST4, &pod->ep.gw4));
	assert_true(ex_ip_parse(BRIDGE_HOST6, &pod->ep.gw6));
}

static void world_open(struct bridge *b)
{
	b->world = netns_new();
	netns_sysctl("ipv6/conf/default/accept_dad", "0");
	netns_ip("link set lo up");
	netns_enter(b->host);
	netns_ip("link add up0 type veth peer name eth0 netns /proc/%d/fd/%d", getpid(), b->world);
	netns_ip("addr add 203.0.113.1/30 dev up0");
	netns_ip("link set up0 up");
	netns_ip("-6 addr add 2001:db8:ffff::1/64 dev up0 nodad");
	netns_enter(b->world);
	netns_ip("addr add " WORLD4 "/30 dev eth0");
	netns_ip("link set eth0 up");
	netns_ip("-6 addr add " WORLD6 "/64 dev eth0 nodad");
	netns_ip("route add default via 203.0.113.1");
	netns_ip("-6 route add default via 2001:db8:ffff::1");
}

void bridge_open(struct bridge *b)
{
	int i;

	b->host = netns_new();
	netns_sysctl("ipv6/conf/default/accept_dad", "0"); /* addresses of use at once */
	netns_ip("link set lo up");
	netns_sysctl("ipv4/ip_forward", "1");
	netns_sysctl("ipv6/conf/all/forwarding", "1");
	netns_ip("link add br0 address " BRIDGE_MAC " type bridge");
	netns_ip("addr add " BRIDGE_HOST4 "/24 dev br0");
	netns_ip("link set br0 up");
	netns_ip("-6 addr add " BRIDGE_HOST6 "/64 dev br0 nodad");
	for (i = 0; i < BRIDGE_PODS; i++)
		pod_open(b, i);
	netns_enter(b->host);
	world_open(b);
	netns_enter(b->host);
}

void bridge_close(struct bridge *b)
{
	int i;

	for (i = 0; i < BRIDGE_PODS; i++) {
		ex_closep(&b->pods[i].ns);
		ex_closep(&b->pods[i].gateway);
	}
	ex_closep(&b->world);
	ex_closep(&b->host);
}
