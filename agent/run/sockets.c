/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of the gateway namespace: what steered flows are delivered to. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/proxy/datagram.h"
#include "agent/run/netns.h"

#define PORT_TCP 15001 /* nothing connects to these ports; steering picks the socket itself */
#define PORT_UDP 15002
#define PORT_DNS 53 /* replies leave from the port of the socket */

struct listener {
	bool v6, udp;
	uint16_t port;
};

static const struct listener listeners[EX_SOCK_MAX] = {
	[EX_SOCK_TCP4] = { false, false, PORT_TCP },
	[EX_SOCK_TCP6] = { true, false, PORT_TCP },
	[EX_SOCK_DNS_TCP4] = { false, false, PORT_DNS },
	[EX_SOCK_DNS_TCP6] = { true, false, PORT_DNS },
	[EX_SOCK_DNS_UDP4] = { false, true, PORT_DNS },
	[EX_SOCK_DNS_UDP6] = { true, true, PORT_DNS },
	[EX_SOCK_UDP4] = { false, true, PORT_UDP },
	[EX_SOCK_UDP6] = { true, true, PORT_UDP },
};

static int set_on(int fd, int level, int option)
{
	return setsockopt(fd, level, option, &(int){ 1 }, sizeof(int)) < 0 ? -errno : 0;
}

static int set_options(int fd, const struct listener *l)
{
	int r = set_on(fd, SOL_SOCKET, SO_REUSEADDR);

	if (r == 0 && l->v6)
		r = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (r == 0)
		r = l->v6 ? set_on(fd, IPPROTO_IPV6, IPV6_TRANSPARENT)
			  : set_on(fd, IPPROTO_IP, IP_TRANSPARENT);
	if (r == 0 && l->udp)
		r = l->v6 ? set_on(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR)
			  : set_on(fd, IPPROTO_IP, IP_RECVORIGDSTADDR);
	return r;
}

static int listener_open(const struct listener *l)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(l->port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(l->port) };
	int type = (l->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	EX_AUTO_CLOSE int fd = socket(l->v6 ? AF_INET6 : AF_INET, type, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = set_options(fd, l);
	if (r < 0)
		return r;
	r = l->v6 ? bind(fd, (struct sockaddr *)&a6, sizeof(a6))
		  : bind(fd, (struct sockaddr *)&a4, sizeof(a4));
	if (r < 0 || (!l->udp && listen(fd, 1024) < 0))
		return -errno;
	return EX_TAKE_FD(fd);
}

int ex_netns_listen(const struct ex_netns *ns, int ret[static EX_SOCK_MAX])
{
	int r = ex_netns_enter(ns->gateway), back;

	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		ret[i] = -1;
	for (size_t i = 0; i < EX_SOCK_MAX && r == 0; i++) {
		if (listeners[i].v6 && !ns->v6)
			continue;
		ret[i] = listener_open(&listeners[i]);
		r = ret[i] < 0 ? ret[i] : 0;
	}
	back = ex_netns_enter(ns->outer);
	return r < 0 ? r : back;
}

/* ---- one flow of datagrams ---- */

static int udp_open(const struct ex_ip *src, uint16_t sport, const struct ex_ip *dst,
		    uint16_t dport)
{
	static const struct listener kinds[] = { { .udp = true }, { .udp = true, .v6 = true } };
	const struct listener *kind = &kinds[!ex_ip_is4(dst)];
	struct sockaddr_storage own, peer;
	socklen_t own_len = ex_sockaddr_write(dst, dport, &own);
	socklen_t peer_len = ex_sockaddr_write(src, sport, &peer);
	EX_AUTO_CLOSE int fd = socket(own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = set_options(fd, kind);
	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&own, own_len) < 0 ||
	    connect(fd, (struct sockaddr *)&peer, peer_len) < 0)
		return -errno;
	return EX_TAKE_FD(fd);
}

int ex_netns_udp(const struct ex_netns *ns, const struct ex_ip *src, uint16_t sport,
		 const struct ex_ip *dst, uint16_t dport)
{
	int r = ex_netns_enter(ns->gateway), back, fd = -1;

	if (r == 0)
		fd = udp_open(src, sport, dst, dport);
	back = ex_netns_enter(ns->outer);
	if (r == 0 && back == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return r < 0 ? r : back;
}
