/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint's place in the network: finding the host end of its interface, and making the
 * gateway namespace beside it.
 *
 *   pod's eth0 <--veth--> LINK (this namespace)   exg-ID <--veth--> gate0 (gateway namespace)
 *
 * gate0 has the index of LINK, so that the kernel gate finds the endpoint by the same key on both.
 * The gateway namespace lives in a descriptor of the agent only: when the agent dies, it goes, its
 * veth goes with it, and what was steered into it is refused.
 */
#ifndef EXEAT_AGENT_NODE_WIRING_H
#define EXEAT_AGENT_NODE_WIRING_H

#include "agent/node/endpoint.h"

/* Where a workload is: its namespace and interface, or the host's end of it. */
struct ex_where {
	int netns;             /* descriptor; -1 = only the host's interface is known */
	const char *interface; /* in netns (NULL = the only one that leads out), else on the host */
};

/*
 * Fills in what the two ends of the link say: index, MACs, MTU, bridge, next hops; and the
 * workload's addresses as its namespace has them now. 0 or negative errno with the cause in err.
 */
EX_MUST_CHECK int ex_wiring_find(const struct ex_where *where, struct ex_node_link *ret,
				 char err[static EX_NODE_ERR]);

/* Is the host's end still the one that was found? Also when that cannot be told now. */
bool ex_wiring_is_there(const struct ex_node_link *link);

/* 0, or -EINVAL when one of the workload's addresses is the node's own. */
EX_MUST_CHECK int ex_wiring_check_ips(const struct ex_node_link *link,
				      char err[static EX_NODE_ERR]);

/* Puts an address where there is room for it; false: no room, or not one a workload may have. */
bool ex_node_link_add_ip(struct ex_node_link *link, const struct ex_ip *ip);

struct ex_wire {
	int netns;        /* -1 = not made */
	uint32_t gateway; /* index of exg-ID */
	uint8_t mac[6];   /* of gate0 */
};

EX_MUST_CHECK int ex_wiring_make(const struct ex_node_link *link, uint32_t id, struct ex_wire *ret,
				 char err[static EX_NODE_ERR]);
void ex_wiring_undo(struct ex_wire *wire);

#endif
