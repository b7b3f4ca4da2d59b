/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway and a workload in network namespaces of their own, joined by a veth, as `exeat run` and
 * the agent lay them out. Nothing outside the test process sees them; they end with it.
 */
#ifndef EXEAT_TESTS_NETNS_H
#define EXEAT_TESTS_NETNS_H

#include <sys/types.h>

#include "exeat/util.h"

#define NET_GW4     "192.0.0.1"
#define NET_OWN4    "192.0.0.2"
#define NET_GW6     "fd7e:a7c3:1b5d::1"
#define NET_OWN6    "fd7e:a7c3:1b5d::2"
#define NET_GW_MAC  "02:65:78:00:00:01"
#define NET_OWN_MAC "02:65:78:00:00:02"
#define NET_UP_MAC  "02:65:78:00:00:03" /* of the gateway, towards the world */

struct netns {
	int gw, workload; /* namespace fds */
	int world;        /* behind the gateway; -1 unless netns_add_world() */
	uint32_t ifindex; /* of the host end, in gw */
};

/* Leaves the caller in the gateway's namespace. Fails the test on any error. */
void netns_open(struct netns *ns);
void netns_enter(int fd);
int netns_new(void); /* a new one, which the caller is in then */

/*
 * Makes the gateway forward, as the agent's host does, to a world where every packet ends on the
 * interface "exv". The caller stays in the gateway's namespace.
 */
void netns_add_world(struct netns *ns);
void netns_close(struct netns *ns);

/* One `ip` command in the current namespace; fails the test when it fails. */
__attribute__((format(printf, 1, 2))) void netns_ip(const char *format, ...);

/* The same of `nft -f -`. */
__attribute__((format(printf, 1, 2))) void netns_nft(const char *format, ...);

/*
 * As a workload with CAP_NET_ADMIN does it: what it sends out of the interface with this mark goes
 * by an ifb device.
 */
#define NETNS_AROUND 1
void netns_way_around(const char *interface);

/* A bpf file system that nobody else sees, there; it ends with the process. */
void netns_bpffs(const char *path);
void netns_sysctl(const char *path, const char *value);

void netns_endpoint(struct ex_endpoint *ep, uint32_t flags);

#endif
