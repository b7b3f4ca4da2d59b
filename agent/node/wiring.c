/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "agent/core/netns.h"
#include "agent/core/rtnl.h"
#include "agent/node/wiring.h"
#include "policy/prefix.h"

/* ---- addresses ---- */

static bool is_link_local6(const struct ex_ip *ip)
{
	return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

/* What no workload can be: loopback, unspecified, multicast. */
static bool is_nobodys(const struct ex_ip *ip)
{
	static const struct ex_ip loopback6 = { .b = { [15] = 1 } };

	if (ex_ip_is4(ip))
		return ip->b[12] == 0 || ip->b[12] == 127 || ip->b[12] >= 224;
	return ex_ip_is_none(ip) || ex_ip_eq(ip, &loopback6) || ip->b[0] == 0xff;
}

bool ex_node_link_add_ip(struct ex_node_link *link, const struct ex_ip *ip)
{
	struct ex_ip *first = ex_ip_is4(ip) ? &link->ip4 : &link->ip6;

	if (is_nobodys(ip))
		return false;
	if (is_link_local6(ip)) {
		link->ll6 = *ip;
		return true;
	}
	if (ex_ip_is_none(first) || ex_ip_eq(first, ip)) {
		*first = *ip;
		return true;
	}
	for (size_t i = 0; i < EX_EP_MORE; i++) {
		if (ex_ip_is_none(&link->more[i]) || ex_ip_eq(&link->more[i], ip)) {
			link->more[i] = *ip;
			return true;
		}
	}
	return false;
}

static void take_own_ip(void *arg, const struct ex_ip *ip)
{
	/* One too many is one the workload cannot use: its packets are denied (source-address). */
	(void)ex_node_link_add_ip(arg, ip);
}

struct host_ips {
	struct ex_ip v4, v6;
};

static void take_host_ip(void *arg, const struct ex_ip *ip)
{
	struct host_ips *to = arg;

	if (ex_ip_is4(ip) && ex_ip_is_none(&to->v4))
		to->v4 = *ip;
	else if (!ex_ip_is4(ip) && !is_link_local6(ip) && ex_ip_is_none(&to->v6))
		to->v6 = *ip;
}

/* An address of this node: who had it too, or hid it, would be the node to everybody else. */
static int check_ip(int rtnl, const struct ex_ip *ip, char err[static EX_NODE_ERR])
{
	char text[EX_IP_TEXT];
	struct ex_ip hidden;

	if (ex_ip_is_none(ip))
		return 0;
	if (ex_rtnl_route_type(rtnl, ip) != RTN_LOCAL &&
	    !(ex_ip_embedded(ip, &hidden) && ex_rtnl_route_type(rtnl, &hidden) == RTN_LOCAL))
		return 0;
	return ex_node_fail(err, -EINVAL, "%s is an address of this node", ex_ip_text(ip, text));
}

int ex_wiring_check_ips(const struct ex_node_link *link, char err[static EX_NODE_ERR])
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	int r = rtnl < 0 ? ex_node_fail(err, rtnl, "rtnetlink: %s", strerror(-rtnl)) : 0;

	if (r == 0)
		r = check_ip(rtnl, &link->ip4, err);
	if (r == 0)
		r = check_ip(rtnl, &link->ip6, err);
	if (r == 0)
		r = check_ip(rtnl, &link->ll6, err);
	for (size_t i = 0; i < EX_EP_MORE && r == 0; i++)
		r = check_ip(rtnl, &link->more[i], err);
	return r;
}

/* ---- the workload's end ---- */

/* The interface that the default route leaves by. */
static int find_exit(int rtnl, uint32_t *ret)
{
	static const char *const far[] = { "198.51.100.1", "2001:db8::1" };
	struct ex_ip ip, via;
	int r = -ENETUNREACH;

	for (size_t i = 0; i < EX_ARRAY_SIZE(far) && r < 0; i++) {
		(void)ex_ip_parse(far[i], &ip);
		r = ex_rtnl_next_hop(rtnl, &ip, &via, ret);
	}
	return r;
}

static int find_inside(int rtnl, const char *interface, struct ex_iface *ret)
{
	uint32_t ifindex = 0;

	if (!interface && find_exit(rtnl, &ifindex) < 0)
		interface = "eth0";
	return ex_rtnl_link_get(rtnl, ifindex, interface, ret);
}

static void find_next_hops(int rtnl, uint32_t ifindex, struct ex_node_link *l)
{
	struct ex_ip far, via;
	uint32_t by;

	(void)ex_ip_parse("198.51.100.1", &far);
	if (ex_rtnl_next_hop(rtnl, &far, &via, &by) == 0 && by == ifindex)
		l->gw4 = via;
	(void)ex_ip_parse("2001:db8::1", &far);
	if (ex_rtnl_next_hop(rtnl, &far, &via, &by) == 0 && by == ifindex)
		l->gw6 = via;
}

struct exits {
	uint32_t but; /* not counting this one */
	char names[96];
};

/*
 * Can it bring packets elsewhere than to another interface of its namespace? What is not known to
 * end there can: a tunnel's packets leave by another interface, unless its lower end is elsewhere.
 * Those of an ifb do so too, but no gate is asked about them: see datapath/links.bpf.c.
 */
static bool leads_out(const struct ex_iface *l)
{
	static const char *const inward[] = {
		"veth",      "bridge",    "bond",    "dummy",  "vlan",   "ipip",   "sit",
		"gre",       "gretap",    "erspan",  "vti",    "ip6tnl", "ip6gre", "vti6",
		"ip6gretap", "ip6erspan", "macvlan", "ipvlan", "vxlan",  "geneve", "vrf"
	};

	if (l->peer_nsid >= 0)
		return true;
	for (size_t i = 0; i < EX_ARRAY_SIZE(inward); i++)
		if (strcmp(l->kind, inward[i]) == 0)
			return false;
	return !l->loopback;
}

static void take_exit(void *arg, const struct ex_iface *l)
{
	struct exits *to = arg;
	size_t len = strlen(to->names);

	if (l->ifindex != to->but && leads_out(l))
		snprintf(to->names + len, sizeof(to->names) - len, "%s%s", len ? ", " : "",
			 l->name);
}

/* The one interface that was not named must be the only one. */
static int check_alone(int rtnl, const struct ex_iface *link, char err[static EX_NODE_ERR])
{
	struct exits others = { .but = link->ifindex };
	int r = ex_rtnl_links_each(rtnl, take_exit, &others);

	if (r < 0)
		return ex_node_fail(err, r, "cannot list its interfaces: %s", strerror(-r));
	if (others.names[0])
		return ex_node_fail(err, -EINVAL,
				    "besides %s it could leave by %s: add each, with its interface",
				    link->name, others.names);
	return 0;
}

/* In the workload's namespace. */
static int look_inside(const char *interface, struct ex_node_link *l, uint32_t *ret_peer,
		       uint32_t *ret_own, char err[static EX_NODE_ERR])
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	struct ex_iface link;
	int r = rtnl < 0 ? rtnl : find_inside(rtnl, interface, &link);

	if (r < 0)
		return ex_node_fail(err, r, "no interface %.15s in this namespace: %s",
				    interface ? interface : "that leads out", strerror(-r));
	if (!link.peer || !link.ethernet)
		return ex_node_fail(err, -EINVAL,
				    "%s is no veth: name the host's interface instead", link.name);
	r = interface ? 0 : check_alone(rtnl, &link, err);
	if (r < 0)
		return r;
	memcpy(l->mac, link.mac, 6);
	l->mtu = link.mtu;
	*ret_peer = link.peer;
	*ret_own = link.ifindex;
	find_next_hops(rtnl, link.ifindex, l);
	return ex_rtnl_addrs_each(rtnl, link.ifindex, take_own_ip, l);
}

/* ---- the host's end ---- */

/* The next hop's MAC and addresses: those of the bridge, or of the host end itself. */
static int look_next_hop(int rtnl, const struct ex_iface *host, struct ex_node_link *l)
{
	struct ex_iface hop = *host;
	struct host_ips ips = { 0 };
	int r = 0;

	if (host->master)
		r = ex_rtnl_link_get(rtnl, host->master, NULL, &hop);
	if (r == 0)
		r = ex_rtnl_addrs_each(rtnl, hop.ifindex, take_host_ip, &ips);
	if (r < 0)
		return r;
	l->bridged = host->master != 0;
	memcpy(l->gw_mac, hop.mac, 6);
	/* The host knows better than the workload, where it knows. */
	if (!ex_ip_is_none(&ips.v4))
		l->gw4 = ips.v4;
	if (!ex_ip_is_none(&ips.v6))
		l->gw6 = ips.v6;
	return 0;
}

static int look_outside(int rtnl, const struct ex_iface *host, struct ex_node_link *l)
{
	l->ifindex = host->ifindex;
	memcpy(l->host_mac, host->mac, 6);
	if (!l->mtu || host->mtu < l->mtu)
		l->mtu = host->mtu;
	return look_next_hop(rtnl, host, l);
}

/*
 * peer is what the workload's namespace says. That is checked from here: the link of this index
 * must have its other end in that very namespace, as that very interface.
 */
static int find_host_end(int rtnl, int netns, uint32_t peer, uint32_t own, struct ex_iface *ret)
{
	int32_t nsid;
	int r = ex_rtnl_nsid(rtnl, netns, &nsid);

	if (r == 0)
		r = ex_rtnl_link_get(rtnl, peer, NULL, ret);
	if (r < 0)
		return r;
	return ret->peer == own && ret->peer_nsid == nsid && nsid >= 0 ? 0 : -ENODEV;
}

static int find_by_netns(int rtnl, const struct ex_where *where, struct ex_node_link *l,
			 char err[static EX_NODE_ERR])
{
	EX_AUTO_CLOSE int outer = ex_netns_own();
	uint32_t peer = 0, own = 0;
	struct ex_iface host;
	int r = outer < 0 ? outer : ex_netns_go(where->netns);

	if (r < 0)
		return ex_node_fail(err, r, "cannot enter the namespace: %s", strerror(-r));
	r = look_inside(where->interface, l, &peer, &own, err);
	ex_netns_back(outer);
	if (r < 0)
		return r;
	r = find_host_end(rtnl, where->netns, peer, own, &host);
	if (r < 0)
		return ex_node_fail(err, r,
				    "the other end of its interface is not in the agent's "
				    "network namespace");
	return look_outside(rtnl, &host, l);
}

int ex_wiring_find(const struct ex_where *where, struct ex_node_link *ret,
		   char err[static EX_NODE_ERR])
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	struct ex_node_link l = { 0 };
	struct ex_iface host;
	int r;

	if (rtnl < 0)
		return ex_node_fail(err, rtnl, "rtnetlink: %s", strerror(-rtnl));
	if (where->netns >= 0) {
		r = find_by_netns(rtnl, where, &l, err);
	} else {
		r = ex_rtnl_link_get(rtnl, 0, where->interface, &host);
		if (r == 0 && !host.ethernet)
			r = -EINVAL;
		if (r < 0)
			return ex_node_fail(err, r, "%.15s: %s", where->interface, strerror(-r));
		r = look_outside(rtnl, &host, &l);
	}
	if (r == 0)
		*ret = l;
	return r;
}

bool ex_wiring_is_there(const struct ex_node_link *link)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	struct ex_iface host;
	int r = rtnl < 0 ? rtnl : ex_rtnl_link_get(rtnl, link->ifindex, NULL, &host);

	return r < 0 ? r != -ENODEV : memcmp(host.mac, link->host_mac, 6) == 0;
}
