/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/cni/link.h"
#include "agent/core/rtnl.h"

/* A socket that acts in ns. */
static int open_netlink_in(int ns, int own)
{
	int nl = ex_netns_go(ns);

	if (nl < 0)
		return nl;
	nl = ex_rtnl_open();
	ex_netns_back(own);
	return nl;
}

/* The namespace that the other end is in, as nl numbers them, is ns. */
static bool leads_to(const struct ex_iface *link, int nl, int ns)
{
	int32_t nsid;

	return link->peer && link->peer_nsid >= 0 && ex_rtnl_nsid(nl, ns, &nsid) == 0 &&
	       nsid == link->peer_nsid;
}

static void take_link_local(void *arg, const struct ex_ip *ip)
{
	if (ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80)
		*(struct ex_ip *)arg = *ip;
}

int ex_cni_link_find(const char *path, const char *ifname, struct ex_cni_link *ret)
{
	EX_AUTO_CLOSE int own = ex_netns_own();
	EX_AUTO_CLOSE int ns = ex_netns_at(path);
	EX_AUTO_CLOSE int here = ex_rtnl_open();
	EX_AUTO_CLOSE int there = -1;
	struct ex_iface inner, outer;
	int r;

	if (own < 0 || ns < 0 || here < 0)
		return own < 0 ? own : ns == -EADDRINUSE ? -ENOTUNIQ : ns < 0 ? ns : here;
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
	if (!leads_to(&outer, here, ns) || outer.peer != inner.ifindex)
		return -ENOLINK;
	*ret = (struct ex_cni_link){ .host_end = outer.ifindex };
	memcpy(ret->mac, inner.mac, sizeof(ret->mac));
	r = ex_rtnl_addrs_each(there, inner.ifindex, take_link_local, &ret->ll6);
	return r < 0 ? r : ex_netns_identify(ns, &ret->id);
}

int ex_cni_link_switch(uint32_t ifindex, bool up)
{
	EX_AUTO_CLOSE int nl = ex_rtnl_open();
	struct ex_iface now;
	int r = nl;

	if (nl >= 0)
		r = up ? ex_rtnl_link_up(nl, ifindex) : ex_rtnl_link_down(nl, ifindex);
	if (r == 0)
		r = ex_rtnl_link_get(nl, ifindex, NULL, &now);
	if (r < 0)
		return r;
	return now.up == up ? 0 : -EIO;
}
