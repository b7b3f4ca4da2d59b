/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few rtnetlink requests exeat makes (RFC 3549; rtnetlink(7)), each acknowledged by the kernel
 * before the call returns. A socket acts in the network namespace it was opened in.
 */
#ifndef EXEAT_AGENT_CORE_RTNL_H
#define EXEAT_AGENT_CORE_RTNL_H

#include "exeat/util.h"

/* fd or negative errno. */
EX_MUST_CHECK int ex_rtnl_open(void);

/* A veth pair: `name` in this namespace, `peer` in the one of peer_ns. Both down. */
struct ex_veth {
	const char *name, *peer;
	uint8_t mac[6], peer_mac[6];
	int peer_ns;
	uint32_t ifindex; /* that name shall have; 0 = any */
	uint32_t mtu;     /* of both; 0 = the usual */
};
EX_MUST_CHECK int ex_rtnl_veth_add(int rtnl, const struct ex_veth *veth);
EX_MUST_CHECK int ex_rtnl_link_up(int rtnl, uint32_t ifindex);
EX_MUST_CHECK int ex_rtnl_link_down(int rtnl, uint32_t ifindex);
/* No ARP, no neighbour discovery, no address of its own making. */
EX_MUST_CHECK int ex_rtnl_link_quiet(int rtnl, uint32_t ifindex);
EX_MUST_CHECK int ex_rtnl_link_group(int rtnl, uint32_t ifindex, uint32_t group);
EX_MUST_CHECK int ex_rtnl_link_del(int rtnl, uint32_t ifindex);
EX_MUST_CHECK int ex_rtnl_addr_add(int rtnl, uint32_t ifindex, const struct ex_ip *ip);

/* Permanent neighbour entry. */
EX_MUST_CHECK int ex_rtnl_neigh_add(int rtnl, uint32_t ifindex, const struct ex_ip *ip,
				    const uint8_t mac[static 6]);

/* The kernel's answer to where packets to ip go: RTN_UNICAST, RTN_LOCAL, ...; negative errno. */
EX_MUST_CHECK int ex_rtnl_route_type(int rtnl, const struct ex_ip *ip);

struct ex_route {
	const struct ex_ip *dst; /* host route; NULL = default of the family of via, or v6 says */
	const struct ex_ip *via; /* NULL = directly on the link */
	uint32_t ifindex;
	bool v6;       /* family when both dst and via are NULL */
	bool local;    /* type local: whatever matches is for this host */
	uint8_t table; /* 0 = main */
};
EX_MUST_CHECK int ex_rtnl_route_add(int rtnl, const struct ex_route *route);

/* What comes in on iif is looked up in that table first. */
EX_MUST_CHECK int ex_rtnl_rule_add(int rtnl, const char *iif, uint8_t table, bool v6);

/* ---- what there is ---- */

struct ex_iface {
	uint32_t ifindex;
	char name[16];
	uint8_t mac[6];
	uint32_t mtu;
	bool ethernet, loopback, up;
	bool running;      /* it can send: soon after it and what it leads to are up */
	uint32_t master;   /* bridge it is a port of, or 0 */
	uint32_t group;    /* of interfaces: `ip link set group` */
	char kind[16];     /* "veth", "bridge", ...; "" = none */
	uint32_t peer;     /* veth: ifindex of the other end, in its namespace; else 0 */
	int32_t peer_nsid; /* of that namespace, as seen from here; -1 = this one */
};

/* By index, or by name when ifindex is 0. -ENODEV when there is none. */
EX_MUST_CHECK int ex_rtnl_link_get(int rtnl, uint32_t ifindex, const char *name,
				   struct ex_iface *ret);

/*
 * Waits until it is running. The end of a veth that came up first is made to send by the kernel's
 * link watch, which may be busy with other links; until then what it is to send is lost.
 */
EX_MUST_CHECK int ex_rtnl_link_wait(int rtnl, uint32_t ifindex);

/* Calls fn for each there is. -EAGAIN: they change all the time, fn was not called. */
EX_MUST_CHECK int ex_rtnl_links_each(int rtnl, void (*fn)(void *arg, const struct ex_iface *link),
				     void *arg);

/* The id that this namespace has for another (given to it when there was none). */
EX_MUST_CHECK int ex_rtnl_nsid(int rtnl, int netns, int32_t *ret);

/* The same for each address of the interface (0 = of all); link-local ones as well. */
EX_MUST_CHECK int ex_rtnl_addrs_each(int rtnl, uint32_t ifindex,
				     void (*fn)(void *arg, const struct ex_ip *ip), void *arg);

/* The next hop towards ip: all zero when it is on the link. */
EX_MUST_CHECK int ex_rtnl_next_hop(int rtnl, const struct ex_ip *ip, struct ex_ip *ret_via,
				   uint32_t *ret_ifindex);

/* A socket that tells of links that go and of addresses, non-blocking; fd or negative errno. */
EX_MUST_CHECK int ex_rtnl_watch(void);

enum ex_rtnl_news {
	EX_RTNL_NOTHING = 0,        /* now */
	EX_RTNL_LINK_GONE,          /* *ret_ifindex */
	EX_RTNL_ADDR_CHANGED,       /* of whatever link of this namespace */
	EX_RTNL_LINK_LOCAL_CHANGED, /* the same, of IPv6 and for its link only */
};
/* -ENOBUFS: some were missed, look at everything; other negative errno. */
EX_MUST_CHECK int ex_rtnl_next(int fd, uint32_t *ret_ifindex);

/* The same of links, addresses, routes and rules: everything that says where packets go. */
EX_MUST_CHECK int ex_rtnl_watch_routes(void);

/* Has anything changed since this was last asked? Also when that cannot be told. */
bool ex_rtnl_changed(int fd);

#endif
