/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "agent/proxy/datagram.h"
#include "agent/run/dial.h"
#include "agent/run/rtnl.h"

int ex_dial(const struct ex_ip *ip, uint16_t port, uint8_t proto, uint32_t scope)
{
	int type = (proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	struct sockaddr_storage to;
	socklen_t len = ex_sockaddr_write(ip, port, &to);
	EX_AUTO_CLOSE int fd = socket(to.ss_family, type, 0);

	if (fd < 0)
		return -errno;
	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_scope_id = scope;
	if (connect(fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return EX_TAKE_FD(fd);
}

bool ex_dial_is_own(const struct ex_ip *ip)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	int type = rtnl < 0 ? rtnl : ex_rtnl_route_type(rtnl, ip);

	/* No way there: the dial will fail, with the true cause. */
	if (type == -ENETUNREACH || type == -EHOSTUNREACH)
		return false;
	return type != RTN_UNICAST;
}
