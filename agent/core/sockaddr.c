/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/sockaddr.h"

#include <netinet/in.h>

bool ex_sockaddr_read(const struct sockaddr_storage *ss, struct ex_ip *ip, uint16_t *port)
{
	const struct sockaddr_in *a4 = (const void *)ss;
	const struct sockaddr_in6 *a6 = (const void *)ss;

	if (ss->ss_family == AF_INET) {
		*ip = ex_ip_from4(&a4->sin_addr);
		*port = ntohs(a4->sin_port);
		return true;
	}
	if (ss->ss_family != AF_INET6)
		return false;
	memcpy(ip->b, &a6->sin6_addr, 16);
	*port = ntohs(a6->sin6_port);
	return true;
}

bool ex_socket_own(int fd, struct ex_ip *ip, uint16_t *port)
{
	struct sockaddr_storage here;
	socklen_t len = sizeof(here);

	return getsockname(fd, (struct sockaddr *)&here, &len) == 0 &&
	       ex_sockaddr_read(&here, ip, port);
}

bool ex_socket_ends(int fd, struct ex_ip *own, uint16_t *own_port, struct ex_ip *peer,
		    uint16_t *peer_port)
{
	struct sockaddr_storage there;
	socklen_t len = sizeof(there);

	return ex_socket_own(fd, own, own_port) &&
	       getpeername(fd, (struct sockaddr *)&there, &len) == 0 &&
	       ex_sockaddr_read(&there, peer, peer_port);
}

socklen_t ex_sockaddr_write(const struct ex_ip *ip, uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in *a4 = (void *)ss;
	struct sockaddr_in6 *a6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (ex_ip_is4(ip)) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons(port);
		memcpy(&a4->sin_addr, ip->b + 12, 4);
		return sizeof(*a4);
	}
	a6->sin6_family = AF_INET6;
	a6->sin6_port = htons(port);
	memcpy(&a6->sin6_addr, ip->b, 16);
	return sizeof(*a6);
}

socklen_t ex_sockaddr_unix(const char *path, struct sockaddr_un *ret)
{
	size_t len = strlen(path);

	if (len < 2 || len >= sizeof(ret->sun_path))
		return 0;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, path, len);
	if (path[0] == '@')
		ret->sun_path[0] = '\0'; /* no NUL is behind such a name */
	else
		len++;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}
