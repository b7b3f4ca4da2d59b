/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "agent/core/output.h"

#define LINKS_MAX 40 /* the kernel's own bound */

/* A path, one name at a time, so that each is looked at before it is followed. */
struct walk {
	int dir;             /* so far */
	char rest[PATH_MAX]; /* from there */
	unsigned links;
};

/* fd is taken, or negative errno. */
static int enter(struct walk *w, int fd)
{
	if (fd < 0)
		return fd;
	ex_closep(&w->dir);
	w->dir = fd;
	return 0;
}

static int open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int begin(struct walk *w, const char *path)
{
	if (!path[0])
		return -ENOENT;
	if (snprintf(w->rest, sizeof(w->rest), "%s", path) >= (int)sizeof(w->rest))
		return -ENAMETOOLONG;
	return path[0] == '/' || w->dir < 0
		       ? enter(w, open_dir(AT_FDCWD, path[0] == '/' ? "/" : "."))
		       : 0;
}

/* The next name is taken off the rest; "." for none. */
static int next_name(struct walk *w, char name[static NAME_MAX + 1])
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(from, "/");

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, len ? from : ".", len ? len : 1);
	name[len ? len : 1] = '\0';
	from += len;
	from += strspn(from, "/");
	memmove(w->rest, from, strlen(from) + 1);
	return 0;
}

static bool is_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* What a link says takes its place in the path. */
static int follow(struct walk *w, int link)
{
	char to[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlinkat(link, "", to, sizeof(to) - 1);

	if (n < 0)
		return -errno;
	to[n] = '\0';
	if (snprintf(path, sizeof(path), "%s%s%s", to, w->rest[0] ? "/" : "", w->rest) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	return begin(w, path);
}

/* 1: it is followed by the kernel, being a name in /proc of what is open; 0: it was by us. */
static int judge_link(struct walk *w, int link, const struct stat *st)
{
	if ((st->st_uid != 0 && st->st_uid != geteuid()) || ++w->links > LINKS_MAX)
		return -ELOOP;
	return is_proc(link) ? 1 : follow(w, link);
}

/* Checked before it is emptied. */
static int open_last(const struct walk *w, const char *name, int flags, mode_t mode)
{
	EX_AUTO_CLOSE int fd = openat(w->dir, name, (flags & ~O_TRUNC) | O_CLOEXEC, mode);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && st.st_nlink > 1)
		return -EMLINK;
	if ((flags & O_TRUNC) && S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0)
		return -errno;
	return EX_TAKE_FD(fd);
}

/* One name further: 0, or 1 with the last of them, and in *ret what was opened by it. */
static int step(struct walk *w, int flags, mode_t mode, int *ret)
{
	EX_AUTO_CLOSE int fd = -1;
	char name[NAME_MAX + 1];
	int nofollow = O_NOFOLLOW, r = next_name(w, name);
	struct stat st;

	if (r < 0)
		return r;
	fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno != ENOENT || w->rest[0]))
		return -errno;
	if (fd >= 0 && fstat(fd, &st) < 0)
		return -errno;
	if (fd >= 0 && S_ISLNK(st.st_mode)) {
		r = judge_link(w, fd, &st);
		if (r <= 0)
			return r;
		nofollow = 0;
	}
	if (!w->rest[0]) {
		r = *ret = open_last(w, name, flags | nofollow, mode);
		return r < 0 ? r : 1;
	}
	return enter(w, nofollow ? EX_TAKE_FD(fd) : open_dir(w->dir, name));
}

static int walk(const char *path, int flags, mode_t mode)
{
	struct walk w = { .dir = -1 };
	int r = begin(&w, path), fd = -1;

	while (r == 0)
		r = step(&w, flags, mode, &fd);
	ex_closep(&w.dir);
	return r < 0 ? r : fd;
}

int ex_output_open(const char *path, int flags, mode_t mode)
{
	return walk(path, flags, mode);
}

/* Could fd be written through that one as well? */
static bool is_written_by(int fd, int other)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && S_ISREG(a.st_mode) && fstat(other, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
	       (fcntl(other, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

int ex_output_append(const char *path)
{
	EX_AUTO_CLOSE int fd = ex_output_open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0600);

	for (int std = STDOUT_FILENO; std <= STDERR_FILENO && fd >= 0; std++) {
		if (!is_written_by(fd, std))
			continue;
		close(fd);
		fd = fcntl(std, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : EX_TAKE_FD(fd);
	}
	return fd < 0 ? fd : EX_TAKE_FD(fd);
}

int ex_output_dir(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];

	if (snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash + 1 - path) : 1,
		     slash ? path : ".") >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	*ret_name = slash ? slash + 1 : path;
	return walk(dir, O_RDONLY | O_DIRECTORY, 0);
}

const char *ex_output_error(int err)
{
	switch (err) {
	case -ELOOP:
		return "a symbolic link there is another user's: name what it leads to";
	case -EMLINK:
		return "it is a hard link: write to a file with one name";
	}
	return strerror(-err);
}
