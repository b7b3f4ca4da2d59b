/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include "agent/core/rtnl.h"

struct request {
	struct nlmsghdr hdr;
	char body[1024];
};

int ex_rtnl_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

static void *request_init(struct request *rq, uint16_t type, uint16_t flags, size_t body)
{
	memset(rq, 0, sizeof(*rq));
	rq->hdr.nlmsg_type = type;
	rq->hdr.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	rq->hdr.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
	return NLMSG_DATA(&rq->hdr);
}

/* All our requests are built from constants and fit by far; overflow would be a bug. */
static struct rtattr *put(struct request *rq, uint16_t type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(rq->hdr.nlmsg_len);
	struct rtattr *rta = (void *)((char *)rq + at);

	if (at + RTA_SPACE(len) > sizeof(*rq))
		abort();
	rta->rta_type = type;
	rta->rta_len = (uint16_t)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(rta), data, len);
	rq->hdr.nlmsg_len = (uint32_t)(at + RTA_SPACE(len));
	return rta;
}

static void nest_end(struct request *rq, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)rq + rq->hdr.nlmsg_len - (char *)nest);
}

static void put_ip(struct request *rq, uint16_t type, const struct ex_ip *ip)
{
	if (ex_ip_is4(ip))
		put(rq, type, ip->b + 12, 4);
	else
		put(rq, type, ip->b, 16);
}

static int transact(int rtnl, struct request *rq)
{
	struct {
		struct nlmsghdr hdr;
		struct nlmsgerr err;
		char rest[512];
	} reply;
	ssize_t n;

	if (send(rtnl, rq, rq->hdr.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(rtnl, &reply, sizeof(reply), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(struct nlmsgerr)) ||
	    reply.hdr.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return reply.err.error; /* 0 or negative errno */
}

int ex_rtnl_veth_add(int rtnl, const char *name, const uint8_t mac[static 6], const char *peer,
		     const uint8_t peer_mac[static 6], int peer_ns)
{
	struct rtattr *info, *data, *peer_info;
	struct request rq;

	request_init(&rq, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	put(&rq, IFLA_IFNAME, name, strlen(name) + 1);
	put(&rq, IFLA_ADDRESS, mac, 6);
	info = put(&rq, IFLA_LINKINFO, NULL, 0);
	put(&rq, IFLA_INFO_KIND, "veth", 4);
	data = put(&rq, IFLA_INFO_DATA, NULL, 0);
	/* VETH_INFO_PEER holds an ifinfomsg, then its own attributes. */
	peer_info = put(&rq, VETH_INFO_PEER, &(struct ifinfomsg){ 0 }, sizeof(struct ifinfomsg));
	put(&rq, IFLA_IFNAME, peer, strlen(peer) + 1);
	put(&rq, IFLA_ADDRESS, peer_mac, 6);
	put(&rq, IFLA_NET_NS_FD, &peer_ns, sizeof(peer_ns));
	nest_end(&rq, peer_info);
	nest_end(&rq, data);
	nest_end(&rq, info);
	return transact(rtnl, &rq);
}

int ex_rtnl_link_up(int rtnl, uint32_t ifindex)
{
	struct request rq;
	struct ifinfomsg *ifi = request_init(&rq, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = IFF_UP;
	ifi->ifi_change = IFF_UP;
	return transact(rtnl, &rq);
}

int ex_rtnl_addr_add(int rtnl, uint32_t ifindex, const struct ex_ip *ip)
{
	struct request rq;
	struct ifaddrmsg *ifa =
		request_init(&rq, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifa));

	ifa->ifa_family = ex_ip_is4(ip) ? AF_INET : AF_INET6;
	ifa->ifa_prefixlen = ex_ip_is4(ip) ? 32 : 128;
	ifa->ifa_flags = ex_ip_is4(ip) ? 0 : IFA_F_NODAD;
	ifa->ifa_index = ifindex;
	put_ip(&rq, IFA_LOCAL, ip);
	put_ip(&rq, IFA_ADDRESS, ip);
	return transact(rtnl, &rq);
}

int ex_rtnl_neigh_add(int rtnl, uint32_t ifindex, const struct ex_ip *ip,
		      const uint8_t mac[static 6])
{
	struct request rq;
	struct ndmsg *nd =
		request_init(&rq, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*nd));

	nd->ndm_family = ex_ip_is4(ip) ? AF_INET : AF_INET6;
	nd->ndm_ifindex = (int)ifindex;
	nd->ndm_state = NUD_PERMANENT;
	put_ip(&rq, NDA_DST, ip);
	put(&rq, NDA_LLADDR, mac, 6);
	return transact(rtnl, &rq);
}

int ex_rtnl_route_add(int rtnl, const struct ex_route *route)
{
	const struct ex_ip *hint = route->dst ? route->dst : route->via;
	bool v6 = hint ? !ex_ip_is4(hint) : route->v6;
	struct request rq;
	struct rtmsg *rtm =
		request_init(&rq, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*rtm));

	rtm->rtm_family = v6 ? AF_INET6 : AF_INET;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_type = route->local ? RTN_LOCAL : RTN_UNICAST;
	rtm->rtm_scope = route->local ? RT_SCOPE_HOST
			 : route->via ? RT_SCOPE_UNIVERSE
				      : RT_SCOPE_LINK;
	if (route->dst) {
		rtm->rtm_dst_len = v6 ? 128 : 32;
		put_ip(&rq, RTA_DST, route->dst);
	}
	if (route->via)
		put_ip(&rq, RTA_GATEWAY, route->via);
	put(&rq, RTA_OIF, &route->ifindex, sizeof(route->ifindex));
	return transact(rtnl, &rq);
}

int ex_rtnl_route_type(int rtnl, const struct ex_ip *ip)
{
	struct {
		struct nlmsghdr hdr;
		struct rtmsg rtm;
		char rest[1024];
	} reply;
	struct request rq;
	struct rtmsg *rtm = request_init(&rq, RTM_GETROUTE, 0, sizeof(*rtm));
	ssize_t n;

	rq.hdr.nlmsg_flags = NLM_F_REQUEST;
	rtm->rtm_family = ex_ip_is4(ip) ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = ex_ip_is4(ip) ? 32 : 128;
	put_ip(&rq, RTA_DST, ip);
	if (send(rtnl, &rq, rq.hdr.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(rtnl, &reply, sizeof(reply), 0);
	if (n < 0)
		return -errno;
	if (reply.hdr.nlmsg_type == NLMSG_ERROR)
		return ((struct nlmsgerr *)(void *)&reply.rtm)->error;
	if (reply.hdr.nlmsg_type != RTM_NEWROUTE || (size_t)n < NLMSG_LENGTH(sizeof(reply.rtm)))
		return -EPROTO;
	return reply.rtm.rtm_type;
}
