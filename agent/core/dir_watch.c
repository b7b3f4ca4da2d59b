/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "agent/core/log.h"
#include "agent/core/dir_watch.h"

#define CHANGES                                                                                    \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB |        \
	 IN_DELETE_SELF | IN_MOVE_SELF)
#define LOOK_MS 1000 /* for what nobody tells of */

struct watched {
	int wd; /* -1 = it is not there */
	dev_t dev;
	ino_t ino;
	uint64_t links;  /* what those in it lead to, summed up */
	uint64_t mounts; /* the same of files that are mounted in it */
};

struct ex_dir_watch {
	struct ex_loop *loop;
	struct ex_watch watch, mounts;
	struct ex_timer timer, again;
	const char *const *dirs;
	size_t n;
	uint32_t debounce_ms;
	void (*fn)(void *arg);
	void *arg;
	int fd, mounts_fd;
	struct watched *v; /* each directory */
};

static uint64_t mix(uint64_t sum, uint64_t v)
{
	return (sum ^ v) * 0x9e3779b97f4a7c15u;
}

/* A file that somebody wrote to is another; one that a link does not lead to is none. */
static uint64_t sum_of(int dir, const char *name)
{
	struct stat st = { 0 };
	uint64_t sum = 1;

	for (const char *p = name; *p; p++)
		sum = mix(sum, (unsigned char)*p);
	if (fstatat(dir, name, &st, 0) < 0)
		return sum;
	sum = mix(mix(sum, st.st_dev), st.st_ino);
	if (!S_ISREG(st.st_mode))
		return sum;
	sum = mix(sum, (uint64_t)st.st_size);
	sum = mix(mix(sum, (uint64_t)st.st_mtim.tv_sec), (uint64_t)st.st_mtim.tv_nsec);
	return mix(mix(sum, (uint64_t)st.st_ctim.tv_sec), (uint64_t)st.st_ctim.tv_nsec);
}

static uint64_t sum_of_links(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *de;
	uint64_t sum = 0;

	while (d && (de = readdir(d)))
		if (*de->d_name != '.' && (de->d_type == DT_LNK || de->d_type == DT_UNKNOWN))
			sum += sum_of(dirfd(d), de->d_name);
	if (d)
		closedir(d);
	return sum;
}

static bool is_mounted(int dir, const char *name)
{
	struct statx st;

	return statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &st) == 0 &&
	       S_ISREG(st.stx_mode) && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/*
 * A file that is mounted in a directory is another one's: what is written to it is told to who
 * watches the file itself. fd: to do so; -1 = only to look whether they are others.
 */
static uint64_t sum_of_mounts(const char *path, int fd)
{
	DIR *d = opendir(path);
	char file[PATH_MAX];
	const struct dirent *de;
	uint64_t sum = 0;

	while (d && (de = readdir(d))) {
		if (*de->d_name == '.' || !is_mounted(dirfd(d), de->d_name))
			continue;
		sum += sum_of(dirfd(d), de->d_name);
		if (fd >= 0 &&
		    snprintf(file, sizeof(file), "%s/%s", path, de->d_name) < (int)sizeof(file))
			(void)inotify_add_watch(fd, file, CHANGES);
	}
	if (d)
		closedir(d);
	return sum;
}

/* What is there by this name: something may have been mounted on it. */
static void look(const char *path, struct watched *ret)
{
	struct stat st;

	*ret = (struct watched){ .wd = -1 };
	if (stat(path, &st) == 0) {
		ret->dev = st.st_dev;
		ret->ino = st.st_ino;
		ret->links = S_ISDIR(st.st_mode) ? sum_of_links(path) : 0;
	}
}

/* A directory that was replaced has a new watch; one that was moved away has none. */
static void watch_dirs(struct ex_dir_watch *w)
{
	for (size_t i = 0; i < w->n; i++) {
		int before = w->v[i].wd;

		look(w->dirs[i], &w->v[i]); /* first: what comes after it is told of */
		w->v[i].wd = inotify_add_watch(w->fd, w->dirs[i], CHANGES);
		w->v[i].mounts = sum_of_mounts(w->dirs[i], w->fd);
		if (w->v[i].wd != before && before >= 0)
			(void)inotify_rm_watch(w->fd, before);
	}
}

static void change(struct ex_dir_watch *w)
{
	if (!w->timer.at && ex_timer_start(w->loop, &w->timer, w->debounce_ms) < 0)
		w->timer.fn(&w->timer); /* no memory for a timer: at once, then */
}

static void on_timer(struct ex_timer *t)
{
	struct ex_dir_watch *w = ex_container_of(t, struct ex_dir_watch, timer);

	watch_dirs(w);
	w->fn(w->arg);
}

/*
 * A directory has no event for what is mounted on it, nor for a link or a folder on the way to it,
 * nor for what links in it lead to.
 */
static void look_again(struct ex_dir_watch *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct watched now;

		look(w->dirs[i], &now);
		if (now.dev != w->v[i].dev || now.ino != w->v[i].ino ||
		    now.links != w->v[i].links || (now.ino && w->v[i].wd < 0))
			change(w);
	}
}

static void on_again(struct ex_timer *t)
{
	struct ex_dir_watch *w = ex_container_of(t, struct ex_dir_watch, again);

	look_again(w);
	if (ex_timer_start(w->loop, &w->again, LOOK_MS) < 0)
		ex_warning("no memory to look at directories again");
}

static void on_event(struct ex_watch *watch, uint32_t events)
{
	struct ex_dir_watch *w = ex_container_of(watch, struct ex_dir_watch, watch);
	char buf[4096] __attribute__((aligned(8)));

	(void)events;
	while (read(w->fd, buf, sizeof(buf)) > 0)
		; /* whatever it was: all is read again */
	change(w);
}

/* The table of mounts is another. */
static void on_mounts(struct ex_watch *watch, uint32_t events)
{
	struct ex_dir_watch *w = ex_container_of(watch, struct ex_dir_watch, mounts);

	(void)events;
	for (size_t i = 0; i < w->n; i++)
		if (sum_of_mounts(w->dirs[i], -1) != w->v[i].mounts)
			change(w);
	look_again(w);
}

static int start_watches(struct ex_dir_watch *w)
{
	int r;

	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd >= 0)
		w->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	r = w->mounts_fd < 0 ? -errno : ex_watch_start(w->loop, &w->watch, w->fd, EPOLLIN);
	return r < 0 ? r : ex_watch_start(w->loop, &w->mounts, w->mounts_fd, EPOLLPRI);
}

int ex_dir_watch_new(struct ex_loop *loop, const char *const *dirs, size_t n, uint32_t debounce_ms,
		     void (*fn)(void *arg), void *arg, struct ex_dir_watch **ret)
{
	struct ex_dir_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	*w = (struct ex_dir_watch){ .loop = loop,
				    .watch = { .fd = -1, .fn = on_event },
				    .mounts = { .fd = -1, .fn = on_mounts },
				    .fd = -1,
				    .mounts_fd = -1,
				    .timer = { .fn = on_timer },
				    .again = { .fn = on_again },
				    .dirs = dirs,
				    .n = n,
				    .debounce_ms = debounce_ms,
				    .fn = fn,
				    .arg = arg };
	w->v = calloc(n + 1, sizeof(*w->v));
	for (size_t i = 0; w->v && i < n; i++)
		w->v[i].wd = -1;
	r = w->v ? start_watches(w) : -ENOMEM;
	if (r == 0)
		r = ex_timer_start(loop, &w->again, LOOK_MS);
	if (r == 0)
		watch_dirs(w);
	if (r < 0) {
		ex_dir_watch_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void ex_dir_watch_free(struct ex_dir_watch *w)
{
	if (!w)
		return;
	ex_timer_stop(w->loop, &w->timer);
	ex_timer_stop(w->loop, &w->again);
	ex_watch_stop(w->loop, &w->watch);
	ex_watch_stop(w->loop, &w->mounts);
	if (w->fd >= 0)
		close(w->fd);
	if (w->mounts_fd >= 0)
		close(w->mounts_fd);
	free(w->v);
	free(w);
}
