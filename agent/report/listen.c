/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/report/listen.h"

#include <errno.h>
#include <sys/stat.h>

#include "agent/core/sockaddr.h"
#include "agent/http/authority.h"

#define BACKLOG 32

static int listen_unix(const char *path)
{
	struct sockaddr_un sa;
	socklen_t len = ex_sockaddr_unix(path, &sa);
	EX_AUTO_CLOSE int fd = -1;
	struct stat st;

	if (!len)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return EX_TAKE_FD(fd);
}

static int listen_tcp(const struct sockaddr_storage *sa, socklen_t len)
{
	EX_AUTO_CLOSE int fd = socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(fd, (const struct sockaddr *)sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return EX_TAKE_FD(fd);
}

/* The length of the address; 0: it is none. */
static socklen_t read_address(const char *where, struct sockaddr_storage *ret)
{
	struct ex_authority a;
	struct ex_ip ip;

	if (ex_authority_parse(ex_span_str(where), &a) < 0 || !a.port || !ex_ip_parse(a.host, &ip))
		return 0;
	return ex_sockaddr_write(&ip, a.port, ret);
}

bool ex_listen_is_place(const char *where)
{
	struct sockaddr_storage sa;

	return where[0] == '/' ? ex_sockaddr_unix(where, &(struct sockaddr_un){ 0 }) > 0
			       : read_address(where, &sa) > 0;
}

int ex_listen_open(const char *where)
{
	struct sockaddr_storage sa;
	socklen_t len;

	if (where[0] == '/')
		return listen_unix(where);
	len = read_address(where, &sa);
	return len ? listen_tcp(&sa, len) : -EINVAL;
}
