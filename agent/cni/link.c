/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "agent/cni/link.h"
#include "agent/core/rtnl.h"

/* A socket that acts in ns. The plugin has one thread; it comes back to its own namespace, or goes
 * no further. */
static int open_netlink_in(int ns, int own)
{
	int nl;

	if (setns(ns, CLONE_NEWNET) < 0)
		return -errno;
	nl = ex_rtnl_open();
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	return nl;
}

static int open_namespace(const char *path)
{
	EX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET ? EX_TAKE_FD(fd) : -EINVAL;
}

static bool is_same(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) < 0 || fstat(b, &sb) < 0 ||
	       (sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino);
}

/* The namespace that the other end is in, as nl numbers them, is ns. */
static bool leads_to(const struct ex_link *link, int nl, int ns)
{
	int32_t nsid;

	return link->peer && link->peer_nsid >= 0 && ex_rtnl_nsid(nl, ns, &nsid) == 0 &&
	       nsid == link->peer_nsid;
}

int ex_cni_host_end(const char *path, const char *ifname)
{
	EX_AUTO_CLOSE int own = open_namespace("/proc/self/ns/net");
	EX_AUTO_CLOSE int ns = open_namespace(path);
	EX_AUTO_CLOSE int here = ex_rtnl_open();
	EX_AUTO_CLOSE int there = -1;
	struct ex_link inner, outer;
	int r;

	if (own < 0 || ns < 0 || here < 0)
		return own < 0 ? own : ns < 0 ? ns : here;
	if (is_same(own, ns))
		return -ENOTUNIQ;
	there = open_netlink_in(ns, own);
	if (there < 0)
		return there;
	r = ex_rtnl_link_get(there, 0, ifname, &inner);
	if (r < 0)
		return r;
	if (!leads_to(&inner, there, own))
		return -ENOLINK;
	r = ex_rtnl_link_get(here, inner.peer, NULL, &outer);
	if (r < 0)
		return r;
	return leads_to(&outer, here, ns) && outer.peer == inner.ifindex ? (int)outer.ifindex
									 : -ENOLINK;
}

int ex_cni_link_switch(uint32_t ifindex, bool up)
{
	EX_AUTO_CLOSE int nl = ex_rtnl_open();
	struct ex_link now;
	int r = nl;

	if (nl >= 0)
		r = up ? ex_rtnl_link_up(nl, ifindex) : ex_rtnl_link_down(nl, ifindex);
	if (r == 0)
		r = ex_rtnl_link_get(nl, ifindex, NULL, &now);
	if (r < 0)
		return r;
	return now.up == up ? 0 : -EIO;
}
