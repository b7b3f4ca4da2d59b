/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

#include "agent/proxy/messages.h"
#include "agent/proxy/resolver_dial.h"

#define WAIT_MS 1000 /* the parent answers at once; more means that it is in trouble */

/* The answer to the request with this id; late answers to earlier ones are thrown away. */
static int wait_for(int fd, uint32_t id)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	union ex_ipc_message msg;

	for (;;) {
		EX_AUTO_CLOSE int passed = -1;
		ssize_t n;

		if (poll(&p, 1, WAIT_MS) <= 0)
			return -ETIMEDOUT;
		n = ex_ipc_receive(fd, &msg, &passed);
		if (n == -EAGAIN)
			continue;
		if (n <= 0)
			return -EPIPE;
		if (msg.head.type == EX_IPC_DIALLED && msg.head.id == id)
			return ex_ipc_passed(&msg, EX_IPC_DIALLED, &passed);
	}
}

int ex_resolver_dial(void *arg, const struct ex_resolver_server *server, bool tcp)
{
	struct ex_resolver_dial *d = arg;
	struct ex_ipc_dial msg = { .head = { EX_IPC_DIAL, ++d->last_id },
				   .dst = server->ip,
				   .port = server->port,
				   .proto = tcp ? IPPROTO_TCP : IPPROTO_UDP,
				   .scope = server->scope };
	int r = ex_ipc_send(d->fd, &msg, sizeof(msg), -1, true);

	return r < 0 ? r : wait_for(d->fd, msg.head.id);
}
