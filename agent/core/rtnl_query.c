/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to rtnetlink. */
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "agent/core/buf.h"
#include "agent/core/rtnl_priv.h"

#define REPLY_MAX 32768 /* what the kernel fills in one part of a dump, and then some */
#define NO_NSID   (-1)  /* what the kernel says when there is none */

#define LINK_WAIT_MS 5000

#define DUMP_AGAIN 3 /* times that a dump is asked for again when something changed meanwhile */

union reply {
	struct nlmsghdr hdr;
	char bytes[REPLY_MAX];
};

/* What the kernel says; whoever rules in the namespace can send to this socket, too. */
static ssize_t receive(int fd, union reply *ret)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, ret, sizeof(*ret), 0, (struct sockaddr *)&from, &len);

		if (n >= 0 && from.nl_pid == 0)
			return n;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

typedef void (*message_fn)(void *arg, const struct nlmsghdr *h);

struct answer {
	uint16_t type;
	message_fn fn;
	void *arg;
	bool torn; /* what was told of changed meanwhile: something may be missing */
};

/* A dump that broke off ends like one that is whole, but says why. */
static int end_of_dump(const struct nlmsghdr *h)
{
	int err = 0;

	if (NLMSG_PAYLOAD(h, 0) >= sizeof(err))
		memcpy(&err, NLMSG_DATA(h), sizeof(err));
	return err < 0 ? err : 0;
}

/* The last message is an error (0 = acknowledged) or the end of the dump. */
static int take_messages(const union reply *rp, size_t len, struct answer *to)
{
	int r = 1; /* more to come */

	for (const struct nlmsghdr *h = &rp->hdr; r == 1 && NLMSG_OK(h, len);
	     h = NLMSG_NEXT(h, len)) {
		to->torn |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			r = ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
		else if (h->nlmsg_type == NLMSG_DONE)
			r = end_of_dump(h);
		else if (to->fn && h->nlmsg_type == to->type)
			to->fn(to->arg, h);
	}
	return r;
}

/* Calls fn, when there is one, for every message of this type that comes before the last one. */
static int ask(int rtnl, const struct rtnl_request *rq, uint16_t type, message_fn fn, void *arg)
{
	struct answer to = { type, fn, arg, false };
	union reply rp EX_UNSET;
	int r = 1;

	if (send(rtnl, rq, rq->hdr.nlmsg_len, 0) < 0)
		return -errno;
	while (r == 1) {
		ssize_t n = receive(rtnl, &rp);

		if (n < 0)
			return (int)n;
		r = take_messages(&rp, (size_t)n, &to);
	}
	return r == 0 && to.torn ? -EAGAIN : r;
}

int rtnl_transact(int rtnl, const struct rtnl_request *rq)
{
	return ask(rtnl, rq, NLMSG_NOOP, NULL, NULL);
}

/* ---- dumps ---- */

struct kept {
	struct ex_buf messages; /* each at a multiple of NLMSG_ALIGNTO */
	bool failed;
};

static void keep_message(void *arg, const struct nlmsghdr *h)
{
	struct kept *kept = arg;
	char *at = ex_buf_reserve(&kept->messages, NLMSG_ALIGN(h->nlmsg_len));

	kept->failed |= !at;
	if (!at)
		return;
	memcpy(at, h, h->nlmsg_len);
	ex_buf_commit(&kept->messages, NLMSG_ALIGN(h->nlmsg_len));
}

/* fn hears of nothing before all of it is there, in one piece. */
static int dump(int rtnl, struct rtnl_request *rq, uint16_t type, message_fn fn, void *arg)
{
	struct kept kept = { 0 };
	int r = -EAGAIN;

	rq->hdr.nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	for (int i = 0; r == -EAGAIN && i <= DUMP_AGAIN; i++) {
		ex_buf_consume(&kept.messages, ex_buf_len(&kept.messages));
		r = ask(rtnl, rq, type, keep_message, &kept);
	}
	if (r == 0 && kept.failed)
		r = -ENOMEM;
	while (r == 0 && ex_buf_len(&kept.messages) > 0) {
		const struct nlmsghdr *h = (const void *)ex_buf_ptr(&kept.messages);

		fn(arg, h);
		ex_buf_consume(&kept.messages, NLMSG_ALIGN(h->nlmsg_len));
	}
	ex_buf_done(&kept.messages);
	return r;
}

/* Attributes of a message by type, those up to max; later ones of a type win. */
static void sort_attrs(const struct nlmsghdr *h, size_t fixed, const struct rtattr **ret,
		       size_t max)
{
	size_t len = NLMSG_PAYLOAD(h, fixed);

	for (const struct rtattr *a =
		     (const void *)((const char *)NLMSG_DATA(h) + NLMSG_ALIGN(fixed));
	     RTA_OK(a, len); a = RTA_NEXT(a, len))
		if ((a->rta_type & NLA_TYPE_MASK) <= max)
			ret[a->rta_type & NLA_TYPE_MASK] = a;
}

static uint32_t attr_u32(const struct rtattr *a)
{
	uint32_t v = 0;

	if (a && RTA_PAYLOAD(a) >= sizeof(v))
		memcpy(&v, RTA_DATA(a), sizeof(v));
	return v;
}

static bool attr_ip(const struct rtattr *a, struct ex_ip *ret)
{
	if (a && RTA_PAYLOAD(a) == 4)
		*ret = ex_ip_from4(RTA_DATA(a));
	else if (a && RTA_PAYLOAD(a) == 16)
		memcpy(ret->b, RTA_DATA(a), 16);
	else
		return false;
	return true;
}

/* ---- links ---- */

static void read_kind(const struct rtattr *info, char *kind, size_t cap)
{
	size_t len = info ? RTA_PAYLOAD(info) : 0;

	for (const struct rtattr *a = info ? RTA_DATA(info) : NULL; a && RTA_OK(a, len);
	     a = RTA_NEXT(a, len))
		if (a->rta_type == IFLA_INFO_KIND)
			snprintf(kind, cap, "%.*s", (int)RTA_PAYLOAD(a), (const char *)RTA_DATA(a));
}

static void take_link(void *arg, const struct nlmsghdr *h)
{
	const struct rtattr *a[IFLA_MAX + 1] = { 0 };
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	struct ex_iface *l = arg;

	sort_attrs(h, sizeof(*ifi), a, IFLA_MAX);
	*l = (struct ex_iface){ .ifindex = (uint32_t)ifi->ifi_index,
				.ethernet = ifi->ifi_type == ARPHRD_ETHER,
				.loopback = ifi->ifi_flags & IFF_LOOPBACK,
				.up = ifi->ifi_flags & IFF_UP,
				.mtu = attr_u32(a[IFLA_MTU]),
				.master = attr_u32(a[IFLA_MASTER]),
				.group = attr_u32(a[IFLA_GROUP]),
				.peer_nsid = -1 };
	/* IFF_RUNNING says as much of a link whose state is not known yet. */
	if (a[IFLA_OPERSTATE] && RTA_PAYLOAD(a[IFLA_OPERSTATE]) == 1)
		l->running = *(const uint8_t *)RTA_DATA(a[IFLA_OPERSTATE]) == IF_OPER_UP;
	if (a[IFLA_IFNAME])
		snprintf(l->name, sizeof(l->name), "%.*s", (int)RTA_PAYLOAD(a[IFLA_IFNAME]),
			 (const char *)RTA_DATA(a[IFLA_IFNAME]));
	if (a[IFLA_ADDRESS] && RTA_PAYLOAD(a[IFLA_ADDRESS]) == 6)
		memcpy(l->mac, RTA_DATA(a[IFLA_ADDRESS]), 6);
	read_kind(a[IFLA_LINKINFO], l->kind, sizeof(l->kind));
	if (strcmp(l->kind, "veth") == 0)
		l->peer = attr_u32(a[IFLA_LINK]);
	if (a[IFLA_LINK_NETNSID])
		l->peer_nsid = (int32_t)attr_u32(a[IFLA_LINK_NETNSID]);
}

struct links {
	void (*fn)(void *arg, const struct ex_iface *link);
	void *arg;
};

static void tell_link(void *arg, const struct nlmsghdr *h)
{
	const struct links *to = arg;
	struct ex_iface link;

	take_link(&link, h);
	to->fn(to->arg, &link);
}

int ex_rtnl_links_each(int rtnl, void (*fn)(void *arg, const struct ex_iface *link), void *arg)
{
	struct links to = { fn, arg };
	struct rtnl_request rq;

	rtnl_begin(&rq, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	return dump(rtnl, &rq, RTM_NEWLINK, tell_link, &to);
}

int ex_rtnl_link_get(int rtnl, uint32_t ifindex, const char *name, struct ex_iface *ret)
{
	struct ex_iface link = { 0 };
	struct rtnl_request rq;
	struct ifinfomsg *ifi = rtnl_begin(&rq, RTM_GETLINK, 0, sizeof(*ifi));
	int r;

	if (!ifindex && (!name || strlen(name) >= sizeof(link.name)))
		return -ENODEV;
	ifi->ifi_index = (int)ifindex;
	if (!ifindex)
		rtnl_put(&rq, IFLA_IFNAME, name, strlen(name) + 1);
	r = ask(rtnl, &rq, RTM_NEWLINK, take_link, &link);
	if (r == 0 && !link.ifindex)
		r = -ENODEV;
	if (r == 0)
		*ret = link;
	return r;
}

int ex_rtnl_link_wait(int rtnl, uint32_t ifindex)
{
	struct ex_iface link;
	int r;

	for (int i = 0; i < LINK_WAIT_MS; i++) {
		r = ex_rtnl_link_get(rtnl, ifindex, NULL, &link);
		if (r < 0 || link.running)
			return r;
		(void)poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}

static void take_nsid(void *arg, const struct nlmsghdr *h)
{
	const struct rtattr *a[NETNSA_MAX + 1] = { 0 };

	sort_attrs(h, sizeof(struct rtgenmsg), a, NETNSA_MAX);
	if (a[NETNSA_NSID])
		*(int32_t *)arg = (int32_t)attr_u32(a[NETNSA_NSID]);
}

static int nsid_get(int rtnl, int netns, int32_t *ret)
{
	struct rtnl_request rq;

	rtnl_begin(&rq, RTM_GETNSID, 0, sizeof(struct rtgenmsg));
	rtnl_put(&rq, NETNSA_FD, &netns, sizeof(netns));
	*ret = NO_NSID;
	return ask(rtnl, &rq, RTM_NEWNSID, take_nsid, ret);
}

int ex_rtnl_nsid(int rtnl, int netns, int32_t *ret)
{
	static const int32_t any = NO_NSID;
	struct rtnl_request rq;
	int r = nsid_get(rtnl, netns, ret);

	if (r < 0 || *ret != NO_NSID)
		return r;
	rtnl_begin(&rq, RTM_NEWNSID, 0, sizeof(struct rtgenmsg));
	rtnl_put(&rq, NETNSA_FD, &netns, sizeof(netns));
	rtnl_put(&rq, NETNSA_NSID, &any, sizeof(any));
	r = rtnl_transact(rtnl, &rq);
	return r < 0 && r != -EEXIST ? r : nsid_get(rtnl, netns, ret);
}

/* ---- addresses and routes ---- */

struct addrs {
	uint32_t ifindex;
	void (*fn)(void *arg, const struct ex_ip *ip);
	void *arg;
};

static void take_addr(void *arg, const struct nlmsghdr *h)
{
	const struct rtattr *a[IFA_MAX + 1] = { 0 };
	const struct ifaddrmsg *ifa = NLMSG_DATA(h);
	const struct addrs *to = arg;
	struct ex_ip ip;

	if (to->ifindex && ifa->ifa_index != to->ifindex)
		return;
	sort_attrs(h, sizeof(*ifa), a, IFA_MAX);
	/* On a point-to-point link IFA_ADDRESS is the other side's. */
	if (attr_ip(a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS], &ip))
		to->fn(to->arg, &ip);
}

int ex_rtnl_addrs_each(int rtnl, uint32_t ifindex, void (*fn)(void *arg, const struct ex_ip *ip),
		       void *arg)
{
	struct addrs to = { ifindex, fn, arg };
	struct rtnl_request rq;

	rtnl_begin(&rq, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	return dump(rtnl, &rq, RTM_NEWADDR, take_addr, &to);
}

struct route_answer {
	uint8_t type;
	struct ex_ip via;
	uint32_t ifindex;
};

static void take_route(void *arg, const struct nlmsghdr *h)
{
	const struct rtattr *a[RTA_MAX + 1] = { 0 };
	const struct rtmsg *rtm = NLMSG_DATA(h);
	struct route_answer *to = arg;

	sort_attrs(h, sizeof(*rtm), a, RTA_MAX);
	to->type = rtm->rtm_type;
	to->ifindex = attr_u32(a[RTA_OIF]);
	if (!attr_ip(a[RTA_GATEWAY], &to->via))
		to->via = (struct ex_ip){ 0 };
}

static int route_get(int rtnl, const struct ex_ip *ip, struct route_answer *ret)
{
	struct rtnl_request rq;
	struct rtmsg *rtm = rtnl_begin(&rq, RTM_GETROUTE, 0, sizeof(*rtm));

	*ret = (struct route_answer){ .type = RTN_UNSPEC };
	rtm->rtm_family = ex_ip_is4(ip) ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = ex_ip_is4(ip) ? 32 : 128;
	rtnl_put_ip(&rq, RTA_DST, ip);
	return ask(rtnl, &rq, RTM_NEWROUTE, take_route, ret);
}

int ex_rtnl_route_type(int rtnl, const struct ex_ip *ip)
{
	struct route_answer answer;
	int r = route_get(rtnl, ip, &answer);

	return r < 0 ? r : answer.type;
}

int ex_rtnl_next_hop(int rtnl, const struct ex_ip *ip, struct ex_ip *ret_via, uint32_t *ret_ifindex)
{
	struct route_answer answer;
	int r = route_get(rtnl, ip, &answer);

	if (r < 0)
		return r;
	if (answer.type != RTN_UNICAST)
		return -ENETUNREACH;
	*ret_via = answer.via;
	*ret_ifindex = answer.ifindex;
	return 0;
}

/* ---- news ---- */

static int watch(uint32_t groups)
{
	EX_AUTO_CLOSE int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	const struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = groups };

	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return EX_TAKE_FD(fd);
}

int ex_rtnl_watch(void)
{
	return watch(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
}

static enum ex_rtnl_news read_news(const struct nlmsghdr *h, uint32_t *ret_ifindex)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct ifaddrmsg *ifa = NLMSG_DATA(h);

	if (h->nlmsg_type == RTM_NEWADDR || h->nlmsg_type == RTM_DELADDR)
		return NLMSG_PAYLOAD(h, 0) >= sizeof(*ifa) && ifa->ifa_family == AF_INET6 &&
				       ifa->ifa_scope == RT_SCOPE_LINK
			       ? EX_RTNL_LINK_LOCAL_CHANGED
			       : EX_RTNL_ADDR_CHANGED;
	/* A port that leaves its bridge is told in the same words, of another family. */
	if (h->nlmsg_type != RTM_DELLINK || NLMSG_PAYLOAD(h, 0) < sizeof(*ifi) ||
	    ifi->ifi_family != AF_UNSPEC)
		return EX_RTNL_NOTHING;
	*ret_ifindex = (uint32_t)ifi->ifi_index;
	return EX_RTNL_LINK_GONE;
}

/* One message is one datagram here: notifications are not packed. */
int ex_rtnl_next(int fd, uint32_t *ret_ifindex)
{
	union reply rp;

	for (;;) {
		ssize_t n = receive(fd, &rp);
		enum ex_rtnl_news news;

		if (n < 0)
			return n == -EAGAIN ? EX_RTNL_NOTHING : (int)n;
		if (!NLMSG_OK(&rp.hdr, (size_t)n))
			continue;
		news = read_news(&rp.hdr, ret_ifindex);
		if (news != EX_RTNL_NOTHING)
			return (int)news;
	}
}

int ex_rtnl_watch_routes(void)
{
	int fd = watch(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE |
		       RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE | 1 << (RTNLGRP_IPV6_RULE - 1));

	/* One message says as much as a hundred: the rest need not wait to be read. */
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){ 1 }, sizeof(int));
	return fd;
}

bool ex_rtnl_changed(int fd)
{
	bool changed = false;
	char byte;

	while (recv(fd, &byte, sizeof(byte), 0) >= 0)
		changed = true;
	/* -ENOBUFS: more than there was room for. */
	return changed || errno != EAGAIN;
}
