/* SPDX-License-Identifier: Apache-2.0 */
/* The host's end of a pod's veth, found and switched without the agent. */
#ifndef EXEAT_AGENT_CNI_LINK_H
#define EXEAT_AGENT_CNI_LINK_H

#include "agent/core/netns.h"

struct ex_cni_link {
	uint32_t host_end;     /* index: never given again */
	uint8_t mac[6];        /* of the pod's end */
	struct ex_ip ll6;      /* its link-local address; all zero = has none */
	struct ex_netns_id id; /* of the pod's namespace */
};

/*
 * The interface of this network namespace that is the other end of ifname in the namespace at path.
 * Both ends have to name each other. 0 or negative errno: -ENOTUNIQ when path is this very
 * namespace, -ENODEV when there is no such interface, -ENOLINK when it is not a veth whose other
 * end is here.
 */
EX_MUST_CHECK int ex_cni_link_find(const char *path, const char *ifname, struct ex_cni_link *ret);

/* Up or down, and looked at afterwards: 0 only when it is so. */
EX_MUST_CHECK int ex_cni_link_switch(uint32_t ifindex, bool up);

#endif
