/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway namespace of an endpoint. What comes in from gate0 is delivered here and nowhere
 * else; what is sent, whatever its destination, leaves by gate0. Nobody is asked for a MAC: the
 * kernel gate puts in the right ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "agent/core/log.h"
#include "agent/core/netns.h"
#include "agent/core/rtnl.h"
#include "agent/node/wiring.h"

#define GATE  "gate0"
#define TABLE 100

static int set_sysctls(void)
{
	static const char *const values[][2] = {
		/* A cookie's ACK would have to find the listener by port; a TIME_WAIT would eat a
		 * new SYN of the same ports. */
		{ "ipv4/tcp_syncookies", "0" },
		{ "ipv4/tcp_max_tw_buckets", "0" },
		{ "ipv4/conf/all/rp_filter", "0" },
		{ "ipv4/conf/default/rp_filter", "0" },
		/* The proxy's own ports lie below those that workloads use. */
		{ "ipv4/ip_local_port_range", "10240 32767" },
	};
	static const char *const v6_values[][2] = {
		{ "ipv6/conf/all/disable_ipv6", "0" },
		{ "ipv6/conf/default/disable_ipv6", "0" },
		{ "ipv6/conf/default/accept_ra", "0" },
		{ "ipv6/conf/default/addr_gen_mode", "1" },
	};
	int r = 0;

	for (size_t i = 0; i < EX_ARRAY_SIZE(values) && r == 0; i++)
		r = ex_netns_sysctl(values[i][0], values[i][1]);
	for (size_t i = 0; i < EX_ARRAY_SIZE(v6_values) && r == 0 && ex_netns_has_v6(); i++)
		r = ex_netns_sysctl(v6_values[i][0], v6_values[i][1]);
	return r;
}

static int set_routes(int rtnl, uint32_t lo, uint32_t gate, bool v6)
{
	const struct ex_route inward = { .ifindex = lo, .local = true, .v6 = v6, .table = TABLE };
	const struct ex_route outward = { .ifindex = gate, .v6 = v6 };
	int r = ex_rtnl_rule_add(rtnl, GATE, TABLE, v6);

	if (r == 0)
		r = ex_rtnl_route_add(rtnl, &inward);
	return r < 0 ? r : ex_rtnl_route_add(rtnl, &outward);
}

/* In the new namespace. */
static int set_up_inside(int rtnl, const struct ex_veth *veth)
{
	uint32_t lo = if_nametoindex("lo");
	int r = set_sysctls();

	if (r == 0)
		r = ex_rtnl_link_up(rtnl, lo);
	if (r == 0)
		r = ex_rtnl_veth_add(rtnl, veth);
	if (r == 0)
		r = ex_rtnl_link_quiet(rtnl, veth->ifindex);
	if (r == 0)
		r = ex_rtnl_link_up(rtnl, veth->ifindex);
	if (r == 0)
		r = set_routes(rtnl, lo, veth->ifindex, false);
	if (r == 0 && ex_netns_has_v6())
		r = set_routes(rtnl, lo, veth->ifindex, true);
	return r;
}

/* In the agent's namespace again: the end here neither speaks nor listens for itself. */
static int set_up_outside(const char *name, uint32_t *ret_ifindex)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	uint32_t ifindex = if_nametoindex(name);
	char path[64];
	int r;

	if (rtnl < 0 || !ifindex)
		return rtnl < 0 ? rtnl : -ENODEV;
	snprintf(path, sizeof(path), "ipv6/conf/%s/disable_ipv6", name);
	r = ex_netns_has_v6() ? ex_netns_sysctl(path, "1") : 0;
	if (r == 0)
		r = ex_rtnl_link_quiet(rtnl, ifindex);
	if (r == 0)
		r = ex_rtnl_link_up(rtnl, ifindex);
	if (r == 0)
		*ret_ifindex = ifindex;
	return r;
}

/* Left from an agent that was killed: its namespace may take a moment to go. */
static void remove_old(const char *name)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	uint32_t ifindex = if_nametoindex(name);

	if (rtnl >= 0 && ifindex && ex_rtnl_link_del(rtnl, ifindex) < 0)
		ex_debug("cannot remove the old %s", name);
}

/* *ret_rtnl acts in the new namespace, also from outside; whoever calls closes it. */
static int make_inside(int own, struct ex_veth *veth, struct ex_wire *w, int *ret_rtnl)
{
	int r, rtnl;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	w->netns = ex_netns_own();
	*ret_rtnl = rtnl = ex_rtnl_open();
	veth->peer_ns = own;
	r = w->netns < 0 ? w->netns : rtnl < 0 ? rtnl : set_up_inside(rtnl, veth);
	ex_netns_back(own);
	return r;
}

int ex_wiring_make(const struct ex_node_link *link, uint32_t id, struct ex_wire *ret,
		   char err[static EX_NODE_ERR])
{
	EX_AUTO_CLOSE int own = ex_netns_own(), inside = -1;
	struct ex_wire w = { .netns = -1 };
	char name[IFNAMSIZ];
	struct ex_veth veth = {
		.name = GATE, .peer = name, .ifindex = link->ifindex, .mtu = link->mtu
	};
	int r = own < 0 ? own : 0;

	snprintf(name, sizeof(name), "exg-%u", id);
	remove_old(name);
	if (r == 0 && getrandom(veth.mac, 6, 0) != 6)
		r = -EIO;
	veth.mac[0] = (veth.mac[0] & 0xfc) | 0x02; /* locally administered, of one station */
	memcpy(w.mac, veth.mac, 6);
	memcpy(veth.peer_mac, veth.mac, 6);
	veth.peer_mac[5] ^= 1;
	if (r == 0)
		r = make_inside(own, &veth, &w, &inside);
	if (r == 0)
		r = set_up_outside(name, &w.gateway);
	if (r == 0) /* else the proxy's first packets would be lost */
		r = ex_rtnl_link_wait(inside, veth.ifindex);
	if (r < 0) {
		snprintf(err, EX_NODE_ERR, "cannot make the gateway namespace: %s", strerror(-r));
		ex_wiring_undo(&w);
		return r;
	}
	*ret = w;
	return 0;
}

/* The link is removed by hand, so that it is gone when this returns; the namespace takes longer. */
void ex_wiring_undo(struct ex_wire *wire)
{
	EX_AUTO_CLOSE int rtnl = wire->gateway ? ex_rtnl_open() : -1;

	if (rtnl >= 0 && ex_rtnl_link_del(rtnl, wire->gateway) < 0)
		ex_debug("link %u was gone already", wire->gateway);
	if (wire->netns >= 0)
		close(wire->netns);
	*wire = (struct ex_wire){ .netns = -1 };
}
