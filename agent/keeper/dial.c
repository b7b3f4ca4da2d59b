/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "agent/core/netns.h"
#include "agent/core/sockaddr.h"
#include "agent/keeper/dial.h"

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_on(int fd, int level, int option)
{
	return set(fd, level, option, 1);
}

/*
 * The proxy may not set options: what it needs is set here. Where it speaks at once the last packet
 * of the handshake waits for its first bytes and goes with them.
 */
static int socket_open(const struct ex_ip *ip, uint8_t proto, bool speaks)
{
	int type = (proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int fd = socket(ex_ip_is4(ip) ? AF_INET : AF_INET6, type, 0);

	if (fd < 0)
		return -errno;
	if (proto == IPPROTO_TCP)
		(void)set_on(fd, IPPROTO_TCP, TCP_NODELAY);
	if (proto == IPPROTO_TCP && speaks)
		(void)set(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
	return fd;
}

static int connect_to(int fd, const struct ex_ip *ip, uint16_t port, uint32_t scope)
{
	struct sockaddr_storage to;
	socklen_t len = ex_sockaddr_write(ip, port, &to);

	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_scope_id = scope;
	return connect(fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS ? -errno : 0;
}

int ex_dial(const struct ex_ip *ip, uint16_t port, uint8_t proto, uint32_t scope, bool speaks)
{
	EX_AUTO_CLOSE int fd = socket_open(ip, proto, speaks);
	int r = fd < 0 ? fd : connect_to(fd, ip, port, scope);

	return r < 0 ? r : EX_TAKE_FD(fd);
}

int ex_dial_from_outer(const struct ex_gateway *gw, const struct ex_ip *dst, uint16_t port,
		       uint8_t proto, bool speaks)
{
	(void)gw;
	return ex_dial(dst, port, proto, 0, speaks);
}

/* ---- as the workload ---- */

/*
 * The address is the workload's, not this namespace's. The port is chosen when the destination is
 * known: it is then free for that destination only, and the range is not used up by its sum.
 */
static int bind_to(int fd, const struct ex_ip *own)
{
	bool v4 = ex_ip_is4(own);
	struct sockaddr_storage from;
	socklen_t len = ex_sockaddr_write(own, 0, &from);
	int r = v4 ? set_on(fd, IPPROTO_IP, IP_TRANSPARENT)
		   : set_on(fd, IPPROTO_IPV6, IPV6_TRANSPARENT);

	if (r == 0)
		r = set_on(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
	if (r == 0 && bind(fd, (struct sockaddr *)&from, len) < 0)
		r = -errno;
	return r;
}

static int dial_bound(const struct ex_ip *own, const struct ex_ip *dst, uint16_t port,
		      uint8_t proto, bool speaks)
{
	EX_AUTO_CLOSE int fd = socket_open(dst, proto, speaks);
	int r = fd < 0 ? fd : bind_to(fd, own);

	if (r == 0)
		r = connect_to(fd, dst, port, 0);
	return r < 0 ? r : EX_TAKE_FD(fd);
}

int ex_dial_as_workload(const struct ex_gateway *gw, const struct ex_ip *dst, uint16_t port,
			uint8_t proto, bool speaks)
{
	const struct ex_ip *own = ex_ip_is4(dst) ? &gw->ip4 : &gw->ip6;
	int r;

	if (!ex_gateway_is_workload(gw, own))
		return -EADDRNOTAVAIL;
	r = ex_netns_go(gw->netns);
	if (r < 0)
		return r;
	r = dial_bound(own, dst, port, proto, speaks);
	ex_netns_back(gw->outer);
	return r;
}
