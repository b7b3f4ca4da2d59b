/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of one kind that steered flows come to: one of each family, as far as there is one.
 */
#ifndef EXEAT_AGENT_PROXY_LISTEN_H
#define EXEAT_AGENT_PROXY_LISTEN_H

#include <sys/socket.h>

#include "agent/core/loop.h"

struct ex_listen {
	void (*fn)(struct ex_listen *l, int fd); /* something has come on this one */
	struct ex_loop *loop;                    /* private, as what follows */
	struct ex_timer pause;
	struct ex_listen_socket {
		struct ex_watch watch;
		struct ex_listen *of;
	} sockets[2];
};

/* fds: IPv4, IPv6; -1 = none. They stay open. l does not move any more. */
EX_MUST_CHECK int ex_listen_start(struct ex_listen *l, struct ex_loop *loop,
				  const int fds[static 2], void (*fn)(struct ex_listen *l, int fd));

/*
 * One connection, non-blocking; from may be NULL. -EAGAIN: there is none now. Another negative
 * errno: there is one, and no descriptor for it.
 */
EX_MUST_CHECK int ex_listen_accept(int fd, struct sockaddr_storage *from);

/* Descriptors ran out: what comes stays in the backlog for a moment, and wakes nobody. */
void ex_listen_pause(struct ex_listen *l);

#endif
