/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/listen.h"

#include <errno.h>
#include <sys/epoll.h>

#define PAUSE_MS 100

static void on_event(struct ex_watch *w, uint32_t events)
{
	struct ex_listen *l = ex_container_of(w, struct ex_listen_socket, watch)->of;

	(void)events;
	l->fn(l, w->fd);
}

static void set_events(struct ex_listen *l, uint32_t events)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(l->sockets); i++)
		ex_watch_set(l->loop, &l->sockets[i].watch, events);
}

static void on_pause_over(struct ex_timer *t)
{
	set_events(ex_container_of(t, struct ex_listen, pause), EPOLLIN);
}

void ex_listen_pause(struct ex_listen *l)
{
	if (ex_timer_start(l->loop, &l->pause, PAUSE_MS) == 0)
		set_events(l, 0);
}

int ex_listen_accept(int fd, struct sockaddr_storage *from)
{
	socklen_t len = sizeof(*from);
	int r = accept4(fd, (struct sockaddr *)from, from ? &len : NULL,
			SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (r >= 0)
		return r;
	return errno == EINTR || errno == ECONNABORTED ? -EAGAIN : -errno;
}

int ex_listen_start(struct ex_listen *l, struct ex_loop *loop, const int fds[static 2],
		    void (*fn)(struct ex_listen *l, int fd))
{
	int r = 0;

	*l = (struct ex_listen){ .fn = fn, .loop = loop, .pause.fn = on_pause_over };
	for (size_t i = 0; i < EX_ARRAY_SIZE(l->sockets) && r == 0; i++) {
		l->sockets[i].of = l;
		l->sockets[i].watch = (struct ex_watch){ .fd = -1, .fn = on_event };
		if (fds[i] >= 0)
			r = ex_watch_start(loop, &l->sockets[i].watch, fds[i], EPOLLIN);
	}
	return r;
}
