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
EX_MUST_CHECK int ex_rtnl_veth_add(int rtnl, const char *name, const uint8_t mac[static 6],
				   const char *peer, const uint8_t peer_mac[static 6], int peer_ns);
EX_MUST_CHECK int ex_rtnl_link_up(int rtnl, uint32_t ifindex);
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
	bool v6;    /* family when both dst and via are NULL */
	bool local; /* type local: whatever matches is for this host */
};
EX_MUST_CHECK int ex_rtnl_route_add(int rtnl, const struct ex_route *route);

#endif
