/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of one run:
 *
 *   workload namespace  eth0 <--veth--> gate0  gateway namespace (lo, gate0, no way out)
 *
 * The gateway namespace has no route to anywhere: whatever passes the kernel gate is delivered to a
 * listening socket there or to nothing. Both namespaces live in file descriptors and processes
 * only.
 */
#ifndef EXEAT_AGENT_RUN_NETNS_H
#define EXEAT_AGENT_RUN_NETNS_H

#include "exeat/util.h"

struct ex_netns {
	int outer;             /* where exeat was started */
	int gateway;           /* -1 until made */
	bool v6;               /* this kernel speaks IPv6 */
	bool way4, way6;       /* the workload has a default route of the family */
	struct ex_ip ip4, ip6; /* the workload's */
	struct ex_ip gw4, gw6; /* the gateway's: next hop and resolver */
	uint8_t mac[6], gw_mac[6];
	uint32_t ifindex; /* of gate0, in the gateway namespace */
};

/*
 * Fills in the addresses, opens outer and makes the gateway namespace; the caller is back in outer.
 */
EX_MUST_CHECK int ex_netns_init(struct ex_netns *ns);
void ex_netns_done(struct ex_netns *ns);

/* The veth pair to the namespace of pid, addressed on both sides, still down and without routes. */
EX_MUST_CHECK int ex_netns_wire(struct ex_netns *ns, pid_t pid);

/* The last step, when both gates stand: links up, then the workload's routes. */
EX_MUST_CHECK int ex_netns_open(struct ex_netns *ns, pid_t pid);

#endif
