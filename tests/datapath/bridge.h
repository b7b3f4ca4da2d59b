/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node as the agent lays it out: pods on a bridge, each with a gateway namespace of its own, and
 * a host outside that has no gate. Nothing outside the test process sees them; they end with it.
 */
#ifndef EXEAT_TESTS_BRIDGE_H
#define EXEAT_TESTS_BRIDGE_H

#include "tests/datapath/netns.h"

#define BRIDGE_PODS 2

#define BRIDGE_HOST4 "10.77.0.1"
#define BRIDGE_HOST6 "fd77::1"
#define POD_A4       "10.77.0.2"
#define POD_A6       "fd77::2"
#define POD_B4       "10.77.0.3"
#define POD_B6       "fd77::3"
#define WORLD4       "203.0.113.2" /* behind the host */
#define WORLD6       "2001:db8:ffff::2"

struct bridge_pod {
	int ns, gateway;       /* namespace fds */
	uint32_t ifindex;      /* of the veth in the host's namespace, a port of the bridge */
	uint32_t gate_ifindex; /* of the gateway's veth there */
	struct ex_endpoint ep;
};

struct bridge {
	int host, world;
	struct bridge_pod pods[BRIDGE_PODS]; /* A and B */
};

/* Leaves the caller in the host's namespace. */
void bridge_open(struct bridge *b);
void bridge_close(struct bridge *b);

#endif
