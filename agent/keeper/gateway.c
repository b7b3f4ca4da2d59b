/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of the gateway namespace: what steered flows are delivered to. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "agent/core/netns.h"
#include "agent/core/sockaddr.h"
#include "agent/keeper/gateway.h"

#define PORT_TCP 15001 /* nothing connects to these ports; steering picks the socket itself */
#define PORT_UDP 15101 /* each worker has its own, counted from here */
#define PORT_DNS 53    /* replies leave from the port of the socket */

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

bool ex_gateway_is_workload(const struct ex_gateway *gw, const struct ex_ip *ip)
{
	static const struct ex_ip none = { 0 };
	bool own = ex_ip_eq(ip, &gw->ip4) || ex_ip_eq(ip, &gw->ip6);

	for (size_t i = 0; i < EX_EP_MORE; i++)
		own |= ex_ip_eq(ip, &gw->more[i]);
	return own && !ex_ip_eq(ip, &none);
}

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
	if (r == 0 && !l->udp) /* of every connection that is accepted */
		r = set_on(fd, IPPROTO_TCP, TCP_NODELAY);
	if (r == 0 && l->udp)
		r = l->v6 ? set_on(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR)
			  : set_on(fd, IPPROTO_IP, IP_RECVORIGDSTADDR);
	return r;
}

static int listener_open(const struct listener *l, uint32_t worker)
{
	const struct ex_ip any4 = ex_ip_from4("\0\0\0"), any6 = { 0 };
	struct sockaddr_storage at;
	socklen_t len = ex_sockaddr_write(l->v6 ? &any6 : &any4, (uint16_t)(l->port + worker), &at);
	int type = (l->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	EX_AUTO_CLOSE int fd = socket(at.ss_family, type, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = set_options(fd, l);
	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&at, len) < 0 || (!l->udp && listen(fd, 1024) < 0))
		return -errno;
	return EX_TAKE_FD(fd);
}

static void close_all(int fds[static EX_SOCK_MAX])
{
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		if (fds[i] >= 0)
			close(EX_TAKE_FD(fds[i]));
}

int ex_gateway_listen(const struct ex_gateway *gw, uint32_t worker, int ret[static EX_SOCK_MAX])
{
	int r = ex_netns_go(gw->netns);

	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		ret[i] = -1;
	if (r < 0)
		return r;
	for (size_t i = 0; i < EX_SOCK_MAX && r == 0; i++) {
		if ((listeners[i].v6 && !gw->v6) || (listeners[i].port == PORT_DNS && worker))
			continue;
		ret[i] = listener_open(&listeners[i], worker);
		r = ret[i] < 0 ? ret[i] : 0;
	}
	ex_netns_back(gw->outer);
	if (r < 0)
		close_all(ret);
	return r;
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

int ex_gateway_udp(const struct ex_gateway *gw, const struct ex_ip *src, uint16_t sport,
		   const struct ex_ip *dst, uint16_t dport)
{
	int r = ex_netns_go(gw->netns);

	if (r < 0)
		return r;
	r = udp_open(src, sport, dst, dport);
	ex_netns_back(gw->outer);
	return r;
}
