/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "agent/core/log.h"
#include "agent/node/netns.h"

int ex_netns_own(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int ex_netns_go(int netns)
{
	return setns(netns, CLONE_NEWNET) < 0 ? -errno : 0;
}

void ex_netns_back(int own)
{
	if (setns(own, CLONE_NEWNET) == 0)
		return;
	ex_error("cannot return to the own network namespace: %s", strerror(errno));
	abort();
}
