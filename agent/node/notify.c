/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/core/log.h"
#include "agent/core/sockaddr.h"
#include "agent/node/notify.h"

void ex_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	EX_AUTO_CLOSE int fd = -1;
	struct sockaddr_un a;
	socklen_t len;

	if (!path || (*path != '/' && *path != '@'))
		return;
	len = ex_sockaddr_unix(path, &a);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
			     (struct sockaddr *)&a, len) < 0)
		ex_debug("cannot notify the service manager: %s", strerror(errno));
}
