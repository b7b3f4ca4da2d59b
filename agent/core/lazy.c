/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/lazy.h"

#include <sys/epoll.h>

void ex_lazy_run(struct ex_lazy *l)
{
	bool all = l->fn(l);

	if (!l->loop)
		return;
	/* No edge comes for what was left behind. */
	if (all)
		ex_timer_stop(l->loop, &l->due);
	else
		(void)!ex_timer_start(l->loop, &l->due, l->ms);
}

static void on_due(struct ex_timer *t)
{
	ex_lazy_run(ex_container_of(t, struct ex_lazy, due));
}

static void on_wake(struct ex_watch *w, uint32_t events)
{
	struct ex_lazy *l = ex_container_of(w, struct ex_lazy, watch);

	(void)events;
	if (l->due.at || !l->ms || ex_timer_start(l->loop, &l->due, l->ms) < 0)
		ex_lazy_run(l);
}

int ex_lazy_start(struct ex_loop *loop, struct ex_lazy *l, int fd)
{
	l->loop = loop;
	l->watch = (struct ex_watch){ .fd = -1, .fn = on_wake };
	l->due = (struct ex_timer){ .fn = on_due };
	return ex_watch_start(loop, &l->watch, fd, EPOLLIN | EPOLLET);
}
