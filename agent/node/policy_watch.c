/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "agent/core/log.h"
#include "agent/node/policy_watch.h"

#define CHANGES                                                                                    \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB |        \
	 IN_DELETE_SELF | IN_MOVE_SELF)
#define LOOK_AGAIN_MS 1000 /* for a directory that is not there */

struct ex_policy_watch {
	struct ex_loop *loop;
	struct ex_watch watch;
	struct ex_timer timer, again;
	const char *const *dirs;
	size_t n;
	uint32_t debounce_ms;
	void (*fn)(void *arg);
	void *arg;
	int fd;
	bool waiting;
	int *wds; /* of each directory; -1 = it is not there */
};

/* A directory that was replaced has a new watch; one that is not there is looked for again. */
static bool watch_dirs(struct ex_policy_watch *w)
{
	bool all = true;

	for (size_t i = 0; i < w->n; i++) {
		int wd = inotify_add_watch(w->fd, w->dirs[i], CHANGES | IN_ONLYDIR);

		if (wd != w->wds[i] && wd >= 0 && w->wds[i] >= 0)
			(void)inotify_rm_watch(w->fd, w->wds[i]);
		w->wds[i] = wd;
		all &= wd >= 0;
	}
	return all;
}

static void change(struct ex_policy_watch *w)
{
	if (w->waiting)
		return;
	w->waiting = true;
	if (ex_timer_start(w->loop, &w->timer, w->debounce_ms) < 0)
		w->timer.fn(&w->timer); /* no memory for a timer: at once, then */
}

static void on_timer(struct ex_timer *t)
{
	struct ex_policy_watch *w = ex_container_of(t, struct ex_policy_watch, timer);

	w->waiting = false;
	if (!watch_dirs(w) && ex_timer_start(w->loop, &w->again, LOOK_AGAIN_MS) < 0)
		ex_warning("no memory to look for the policy directory again; use SIGHUP");
	w->fn(w->arg);
}

static void on_again(struct ex_timer *t)
{
	struct ex_policy_watch *w = ex_container_of(t, struct ex_policy_watch, again);
	bool missing = false, found = false;

	for (size_t i = 0; i < w->n; i++) {
		if (w->wds[i] >= 0)
			continue;
		missing = true;
		found |= access(w->dirs[i], F_OK) == 0;
	}
	if (found)
		change(w);
	else if (missing && ex_timer_start(w->loop, &w->again, LOOK_AGAIN_MS) < 0)
		ex_warning("no memory to look for the policy directory again; use SIGHUP");
}

static void on_event(struct ex_watch *watch, uint32_t events)
{
	struct ex_policy_watch *w = ex_container_of(watch, struct ex_policy_watch, watch);
	char buf[4096] __attribute__((aligned(8)));

	(void)events;
	while (read(w->fd, buf, sizeof(buf)) > 0)
		; /* whatever it was: all is read again */
	change(w);
}

int ex_policy_watch_new(struct ex_loop *loop, const char *const *dirs, size_t n,
			uint32_t debounce_ms, void (*fn)(void *arg), void *arg,
			struct ex_policy_watch **ret)
{
	struct ex_policy_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	*w = (struct ex_policy_watch){ .loop = loop,
				       .watch = { .fd = -1, .fn = on_event },
				       .timer = { .fn = on_timer },
				       .again = { .fn = on_again },
				       .dirs = dirs,
				       .n = n,
				       .debounce_ms = debounce_ms,
				       .fn = fn,
				       .arg = arg };
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->wds = calloc(n + 1, sizeof(*w->wds));
	for (size_t i = 0; w->wds && i < n; i++)
		w->wds[i] = -1;
	r = w->fd < 0 ? -errno : w->wds ? 0 : -ENOMEM;
	if (r == 0 && !watch_dirs(w))
		r = ex_timer_start(loop, &w->again, LOOK_AGAIN_MS);
	if (r == 0)
		r = ex_watch_start(loop, &w->watch, w->fd, EPOLLIN);
	if (r < 0) {
		ex_policy_watch_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void ex_policy_watch_free(struct ex_policy_watch *w)
{
	if (!w)
		return;
	ex_timer_stop(w->loop, &w->timer);
	ex_timer_stop(w->loop, &w->again);
	ex_watch_stop(w->loop, &w->watch);
	if (w->fd >= 0)
		close(w->fd);
	free(w->wds);
	free(w);
}
