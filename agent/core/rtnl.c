/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include "agent/core/rtnl_priv.h"

int ex_rtnl_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

void *rtnl_begin(struct rtnl_request *rq, uint16_t type, uint16_t flags, size_t body)
{
	memset(rq, 0, sizeof(*rq));
	rq->hdr.nlmsg_type = type;
	rq->hdr.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	rq->hdr.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
	return NLMSG_DATA(&rq->hdr);
}

/* All our requests are built from constants and fit by far; overflow would be a bug. */
struct rtattr *rtnl_put(struct rtnl_request *rq, uint16_t type, const void *data, size_t len)
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

static void nest_end(struct rtnl_request *rq, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)rq + rq->hdr.nlmsg_len - (char *)nest);
}

void rtnl_put_ip(struct rtnl_request *rq, uint16_t type, const struct ex_ip *ip)
{
	if (ex_ip_is4(ip))
		rtnl_put(rq, type, ip->b + 12, 4);
	else
		rtnl_put(rq, type, ip->b, 16);
}

int ex_rtnl_veth_add(int rtnl, const struct ex_veth *v)
{
	struct rtattr *info, *data, *peer_info;
	struct rtnl_request rq;
	struct ifinfomsg *ifi;

	ifi = rtnl_begin(&rq, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifi));
	ifi->ifi_index = (int)v->ifindex;
	rtnl_put(&rq, IFLA_IFNAME, v->name, strlen(v->name) + 1);
	rtnl_put(&rq, IFLA_ADDRESS, v->mac, 6);
	if (v->mtu)
		rtnl_put(&rq, IFLA_MTU, &v->mtu, sizeof(v->mtu));
	info = rtnl_put(&rq, IFLA_LINKINFO, NULL, 0);
	rtnl_put(&rq, IFLA_INFO_KIND, "veth", 4);
	data = rtnl_put(&rq, IFLA_INFO_DATA, NULL, 0);
	/* VETH_INFO_PEER holds an ifinfomsg, then its own attributes. */
	peer_info =
		rtnl_put(&rq, VETH_INFO_PEER, &(struct ifinfomsg){ 0 }, sizeof(struct ifinfomsg));
	rtnl_put(&rq, IFLA_IFNAME, v->peer, strlen(v->peer) + 1);
	rtnl_put(&rq, IFLA_ADDRESS, v->peer_mac, 6);
	if (v->mtu)
		rtnl_put(&rq, IFLA_MTU, &v->mtu, sizeof(v->mtu));
	rtnl_put(&rq, IFLA_NET_NS_FD, &v->peer_ns, sizeof(v->peer_ns));
	nest_end(&rq, peer_info);
	nest_end(&rq, data);
	nest_end(&rq, info);
	return rtnl_transact(rtnl, &rq);
}

static int switch_link(int rtnl, uint32_t ifindex, unsigned flags)
{
	struct rtnl_request rq;
	struct ifinfomsg *ifi = rtnl_begin(&rq, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = flags;
	ifi->ifi_change = IFF_UP;
	return rtnl_transact(rtnl, &rq);
}

int ex_rtnl_link_up(int rtnl, uint32_t ifindex)
{
	return switch_link(rtnl, ifindex, IFF_UP);
}

int ex_rtnl_link_down(int rtnl, uint32_t ifindex)
{
	return switch_link(rtnl, ifindex, 0);
}

int ex_rtnl_link_quiet(int rtnl, uint32_t ifindex)
{
	struct rtnl_request rq;
	struct ifinfomsg *ifi = rtnl_begin(&rq, RTM_NEWLINK, 0, sizeof(*ifi));
	struct rtattr *spec, *inet6;

	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = IFF_NOARP;
	ifi->ifi_change = IFF_NOARP;
	spec = rtnl_put(&rq, IFLA_AF_SPEC, NULL, 0);
	inet6 = rtnl_put(&rq, AF_INET6, NULL, 0);
	rtnl_put(&rq, IFLA_INET6_ADDR_GEN_MODE, &(uint8_t){ IN6_ADDR_GEN_MODE_NONE }, 1);
	nest_end(&rq, inet6);
	nest_end(&rq, spec);
	return rtnl_transact(rtnl, &rq);
}

int ex_rtnl_link_group(int rtnl, uint32_t ifindex, uint32_t group)
{
	struct rtnl_request rq;
	struct ifinfomsg *ifi = rtnl_begin(&rq, RTM_SETLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	rtnl_put(&rq, IFLA_GROUP, &group, sizeof(group));
	return rtnl_transact(rtnl, &rq);
}

int ex_rtnl_link_del(int rtnl, uint32_t ifindex)
{
	struct rtnl_request rq;
	struct ifinfomsg *ifi = rtnl_begin(&rq, RTM_DELLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	return rtnl_transact(rtnl, &rq);
}

int ex_rtnl_rule_add(int rtnl, const char *iif, uint8_t table, bool v6)
{
	struct rtnl_request rq;
	struct fib_rule_hdr *frh =
		rtnl_begin(&rq, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*frh));

	frh->family = v6 ? AF_INET6 : AF_INET;
	frh->table = table;
	frh->action = FR_ACT_TO_TBL;
	rtnl_put(&rq, FRA_IIFNAME, iif, strlen(iif) + 1);
	return rtnl_transact(rtnl, &rq);
}

int ex_rtnl_addr_add(int rtnl, uint32_t ifindex, const struct ex_ip *ip)
{
	struct rtnl_request rq;
	struct ifaddrmsg *ifa =
		rtnl_begin(&rq, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifa));

	ifa->ifa_family = ex_ip_is4(ip) ? AF_INET : AF_INET6;
	ifa->ifa_prefixlen = ex_ip_is4(ip) ? 32 : 128;
	ifa->ifa_flags = ex_ip_is4(ip) ? 0 : IFA_F_NODAD;
	ifa->ifa_index = ifindex;
	rtnl_put_ip(&rq, IFA_LOCAL, ip);
	rtnl_put_ip(&rq, IFA_ADDRESS, ip);
	return rtnl_transact(rtnl, &rq);
}

int ex_rtnl_neigh_add(int rtnl, uint32_t ifindex, const struct ex_ip *ip,
		      const uint8_t mac[static 6])
{
	struct rtnl_request rq;
	struct ndmsg *nd = rtnl_begin(&rq, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*nd));

	nd->ndm_family = ex_ip_is4(ip) ? AF_INET : AF_INET6;
	nd->ndm_ifindex = (int)ifindex;
	nd->ndm_state = NUD_PERMANENT;
	rtnl_put_ip(&rq, NDA_DST, ip);
	rtnl_put(&rq, NDA_LLADDR, mac, 6);
	return rtnl_transact(rtnl, &rq);
}

int ex_rtnl_route_add(int rtnl, const struct ex_route *route)
{
	const struct ex_ip *hint = route->dst ? route->dst : route->via;
	bool v6 = hint ? !ex_ip_is4(hint) : route->v6;
	struct rtnl_request rq;
	struct rtmsg *rtm = rtnl_begin(&rq, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*rtm));

	rtm->rtm_family = v6 ? AF_INET6 : AF_INET;
	rtm->rtm_table = route->table ? route->table : RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_type = route->local ? RTN_LOCAL : RTN_UNICAST;
	rtm->rtm_scope = route->local ? RT_SCOPE_HOST
			 : route->via ? RT_SCOPE_UNIVERSE
				      : RT_SCOPE_LINK;
	if (route->dst) {
		rtm->rtm_dst_len = v6 ? 128 : 32;
		rtnl_put_ip(&rq, RTA_DST, route->dst);
	}
	if (route->via)
		rtnl_put_ip(&rq, RTA_GATEWAY, route->via);
	rtnl_put(&rq, RTA_OIF, &route->ifindex, sizeof(route->ifindex));
	return rtnl_transact(rtnl, &rq);
}
