/* SPDX-License-Identifier: Apache-2.0 */
/* Into another network namespace and back. Whoever goes has one thread: nothing else runs there. */
#ifndef EXEAT_AGENT_CORE_NETNS_H
#define EXEAT_AGENT_CORE_NETNS_H

#include "exeat/util.h"

/*
 * A descriptor of the network namespace at path: /proc/PID/ns/net, or where one is mounted, as ip
 * netns and the runtimes do it. Nothing else is so much as looked up, since who may name a path may
 * have laid one through a file system that never answers. Negative errno; -EINVAL: no namespace is
 * there, -EADDRINUSE: it is the one we are in.
 */
EX_MUST_CHECK int ex_netns_at(const char *path);

/* Which one it is, among those that live. A number may be given again when it is gone. */
struct ex_netns_id {
	uint64_t dev, ino;
};
EX_MUST_CHECK int ex_netns_identify(int netns, struct ex_netns_id *ret);

static inline bool ex_netns_same(struct ex_netns_id a, struct ex_netns_id b)
{
	return a.dev == b.dev && a.ino == b.ino;
}

/* A descriptor of the one we are in, or negative errno. */
EX_MUST_CHECK int ex_netns_own(void);
EX_MUST_CHECK int ex_netns_go(int netns);

/* Of the one we are in: name is below /proc/sys/net. */
EX_MUST_CHECK int ex_netns_sysctl(const char *name, const char *value);

/* Whether this kernel speaks IPv6. */
bool ex_netns_has_v6(void);

/* Or not at all (abort): what is opened from the wrong namespace is another workload's. */
void ex_netns_back(int own);

#endif
