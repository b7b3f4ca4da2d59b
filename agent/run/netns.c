/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>

#include "agent/core/log.h"
#include "agent/core/netns.h"
#include "agent/core/rtnl.h"
#include "agent/run/netns.h"

/*
 * 192.0.0.0/29 is the IPv4 service continuity prefix (RFC 7335): set aside for links such as this
 * one, never routed. The IPv6 addresses are from a random unique local prefix (RFC 4193).
 */
#define WORKLOAD4 "192.0.0.2"
#define GATEWAY4  "192.0.0.1"
#define WORKLOAD6 "fd7e:a7c3:1b5d::2"
#define GATEWAY6  "fd7e:a7c3:1b5d::1"

static const uint8_t workload_mac[6] = { 0x02, 0x65, 0x78, 0x00, 0x00, 0x02 };
static const uint8_t gateway_mac[6] = { 0x02, 0x65, 0x78, 0x00, 0x00, 0x01 };

/* Best effort: defaults are safe, only noisier. */
static void try_sysctl(const char *name, const char *value)
{
	int r = ex_netns_sysctl(name, value);

	if (r < 0)
		ex_debug("cannot set net/%s to %s: %s", name, value, strerror(-r));
}

static int gateway_setup(struct ex_netns *ns)
{
	uint32_t lo = if_nametoindex("lo");
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	int r;

	if (rtnl < 0)
		return rtnl;
	/*
	 * A cookie's ACK would have to find the listener by port; a TIME_WAIT would eat a new SYN.
	 */
	try_sysctl("ipv4/tcp_syncookies", "0");
	try_sysctl("ipv4/tcp_max_tw_buckets", "0");
	/* What the kernel keeps for a connection of the workload, beside our own buffers. */
	try_sysctl("ipv4/tcp_rmem", "4096 131072 1048576");
	try_sysctl("ipv4/tcp_wmem", "4096 65536 1048576");
	try_sysctl("ipv4/conf/all/rp_filter", "0");
	try_sysctl("ipv4/conf/default/rp_filter", "0");
	try_sysctl("ipv6/conf/default/accept_ra", "0");
	try_sysctl("ipv6/conf/default/addr_gen_mode", "1");
	r = ex_rtnl_link_up(rtnl, lo);
	if (r < 0)
		return r;
	/* Everything is for this host: steered packets are delivered, never forwarded. */
	r = ex_rtnl_route_add(rtnl, &(struct ex_route){ .ifindex = lo, .local = true });
	if (r == 0 && ns->v6)
		r = ex_rtnl_route_add(
			rtnl, &(struct ex_route){ .ifindex = lo, .local = true, .v6 = true });
	return r;
}

/* It leads no further than this machine, or its link. */
static bool is_near(const struct ex_ip *ip)
{
	const uint8_t *b = ip->b;

	if (ex_ip_is4(ip))
		return b[12] == 127 || (b[12] == 169 && b[13] == 254);
	return b[0] == 0 || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

static void take_way(void *arg, const struct ex_ip *ip)
{
	struct ex_netns *ns = arg;

	if (!is_near(ip))
		*(ex_ip_is4(ip) ? &ns->way4 : &ns->way6) = true;
}

/*
 * Where the outside has one family only, the workload has a way out by that one: of a name with
 * addresses of both, programs take those that they have a route to. Where it has none (a machine
 * that is offline), both: there may be one later.
 */
static int find_ways(struct ex_netns *ns)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	int r = rtnl < 0 ? rtnl : ex_rtnl_addrs_each(rtnl, 0, take_way, ns);

	if (r < 0)
		return r;
	if (!ns->way4 && !ns->way6)
		ns->way4 = ns->way6 = true;
	ns->way6 &= ns->v6;
	return 0;
}

int ex_netns_init(struct ex_netns *ns)
{
	int r;

	*ns = (struct ex_netns){ .outer = -1, .gateway = -1, .v6 = ex_netns_has_v6() };
	(void)ex_ip_parse(WORKLOAD4, &ns->ip4);
	(void)ex_ip_parse(GATEWAY4, &ns->gw4);
	if (ns->v6) {
		(void)ex_ip_parse(WORKLOAD6, &ns->ip6);
		(void)ex_ip_parse(GATEWAY6, &ns->gw6);
	}
	memcpy(ns->mac, workload_mac, 6);
	memcpy(ns->gw_mac, gateway_mac, 6);
	ns->outer = ex_netns_own();
	r = ns->outer < 0 ? ns->outer : find_ways(ns);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	ns->gateway = ex_netns_own();
	r = ns->gateway < 0 ? ns->gateway : gateway_setup(ns);
	ex_netns_back(ns->outer);
	return r;
}

void ex_netns_done(struct ex_netns *ns)
{
	if (ns->outer >= 0)
		close(ns->outer);
	if (ns->gateway >= 0)
		close(ns->gateway);
	ns->outer = ns->gateway = -1;
}

static int workload_ns(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* One end: its own address, and the other end as its only, permanent, neighbour. */
static int end_setup(int rtnl, uint32_t ifindex, const struct ex_ip *own, const struct ex_ip *other,
		     const uint8_t other_mac[static 6])
{
	int r = ex_rtnl_addr_add(rtnl, ifindex, own);

	return r < 0 ? r : ex_rtnl_neigh_add(rtnl, ifindex, other, other_mac);
}

static int wire_workload(const struct ex_netns *ns)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	uint32_t lo = if_nametoindex("lo"), eth = if_nametoindex("eth0");
	int r;

	if (rtnl < 0)
		return rtnl;
	try_sysctl("ipv4/ping_group_range", "0 2147483647");
	try_sysctl("ipv6/conf/eth0/accept_ra", "0");
	try_sysctl("ipv6/conf/eth0/addr_gen_mode", "1");
	r = ex_rtnl_link_up(rtnl, lo);
	if (r == 0)
		r = end_setup(rtnl, eth, &ns->ip4, &ns->gw4, ns->gw_mac);
	if (r == 0 && ns->v6)
		r = end_setup(rtnl, eth, &ns->ip6, &ns->gw6, ns->gw_mac);
	return r;
}

static int wire_gateway(struct ex_netns *ns, int peer)
{
	struct ex_veth veth = { .name = "gate0", .peer = "eth0", .peer_ns = peer };
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	int r;

	if (rtnl < 0)
		return rtnl;
	memcpy(veth.mac, ns->gw_mac, 6);
	memcpy(veth.peer_mac, ns->mac, 6);
	r = ex_rtnl_veth_add(rtnl, &veth);
	if (r < 0)
		return r;
	ns->ifindex = if_nametoindex("gate0");
	r = end_setup(rtnl, ns->ifindex, &ns->gw4, &ns->ip4, ns->mac);
	if (r == 0 && ns->v6)
		r = end_setup(rtnl, ns->ifindex, &ns->gw6, &ns->ip6, ns->mac);
	return r;
}

int ex_netns_wire(struct ex_netns *ns, pid_t pid)
{
	EX_AUTO_CLOSE int peer = workload_ns(pid);
	int r = peer < 0 ? peer : ex_netns_go(ns->gateway);

	if (r == 0)
		r = wire_gateway(ns, peer);
	if (r == 0)
		r = ex_netns_go(peer);
	if (r == 0)
		r = wire_workload(ns);
	ex_netns_back(ns->outer);
	return r;
}

/* Link up, and the other end as a host route. */
static int end_open(int rtnl, uint32_t ifindex, const struct ex_netns *ns,
		    const struct ex_ip *other4, const struct ex_ip *other6)
{
	int r = ex_rtnl_link_up(rtnl, ifindex);

	if (r == 0)
		r = ex_rtnl_route_add(rtnl,
				      &(struct ex_route){ .dst = other4, .ifindex = ifindex });
	if (r == 0 && ns->v6)
		r = ex_rtnl_route_add(rtnl,
				      &(struct ex_route){ .dst = other6, .ifindex = ifindex });
	return r;
}

static int open_gateway(const struct ex_netns *ns)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();

	return rtnl < 0 ? rtnl : end_open(rtnl, ns->ifindex, ns, &ns->ip4, &ns->ip6);
}

static int open_workload(const struct ex_netns *ns)
{
	uint32_t eth = if_nametoindex("eth0");
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	int r;

	if (rtnl < 0)
		return rtnl;
	r = end_open(rtnl, eth, ns, &ns->gw4, &ns->gw6);
	if (r == 0 && ns->way4)
		r = ex_rtnl_route_add(rtnl, &(struct ex_route){ .via = &ns->gw4, .ifindex = eth });
	if (r == 0 && ns->way6)
		r = ex_rtnl_route_add(rtnl, &(struct ex_route){ .via = &ns->gw6, .ifindex = eth });
	return r;
}

/* Before the workload sends anything: answers would be lost. */
static int wait_for_gateway(const struct ex_netns *ns)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();

	return rtnl < 0 ? rtnl : ex_rtnl_link_wait(rtnl, ns->ifindex);
}

int ex_netns_open(struct ex_netns *ns, pid_t pid)
{
	EX_AUTO_CLOSE int workload = workload_ns(pid);
	int r = workload < 0 ? workload : ex_netns_go(ns->gateway);

	if (r == 0)
		r = open_gateway(ns);
	if (r == 0)
		r = ex_netns_go(workload);
	if (r == 0)
		r = open_workload(ns);
	if (r == 0)
		r = ex_netns_go(ns->gateway);
	if (r == 0)
		r = wait_for_gateway(ns);
	ex_netns_back(ns->outer);
	return r;
}
