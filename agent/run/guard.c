/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/run/guard.h"

#define LINKS_MAX 40 /* the kernel's own bound */

/* Of a folder with the sticky bit nobody takes what is another's. The owner can change the mode. */
static bool can_change(const struct stat *st, uid_t uid)
{
	if (st->st_uid == uid)
		return true;
	if (S_ISLNK(st->st_mode) || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX)))
		return false;
	return st->st_mode & (S_IWGRP | S_IWOTH);
}

/* What a link says takes the place of the first len bytes of path. */
static int follow(const char *path, size_t len, const char *link, char ret[static PATH_MAX])
{
	char to[PATH_MAX];
	ssize_t n = readlink(link, to, sizeof(to));
	size_t dir = len;

	if (n < 0)
		return -errno;
	while (dir && path[dir - 1] != '/')
		dir--;
	if (to[0] == '/')
		dir = 0;
	return snprintf(ret, PATH_MAX, "%.*s%.*s%s", (int)dir, path, (int)n, to, path + len) <
			       PATH_MAX
		       ? 0
		       : -ENAMETOOLONG;
}

/* Where nothing is, whoever may write there makes it; also with the sticky bit. */
static bool can_make(const struct stat *folder)
{
	return folder->st_mode & (S_IWGRP | S_IWOTH);
}

/* Looks at each name on the way, and at those on the ways that links lead. -EACCES: uid can change
 * it. */
static int guard_path(const char *path, uid_t uid, unsigned links)
{
	char part[PATH_MAX], further[PATH_MAX];
	struct stat st = { 0 }, folder;
	size_t len = 0;
	int r;

	do {
		len += strspn(path + len, "/");
		len += strcspn(path + len, "/");
		if (snprintf(part, sizeof(part), "%.*s", (int)len, path) >= (int)sizeof(part))
			return -ENAMETOOLONG;
		folder = st;
		if (lstat(part, &st) < 0)
			return errno == ENOENT && can_make(&folder) ? -EACCES : -errno;
		if (can_change(&st, uid))
			return -EACCES;
		if (S_ISLNK(st.st_mode)) {
			r = links < LINKS_MAX ? follow(path, len, part, further) : -ELOOP;
			return r < 0 ? r : guard_path(further, uid, links + 1);
		}
	} while (path[len]);
	return 0;
}

int ex_guard_file(const char *file, uid_t uid)
{
	EX_AUTO_FREE char *cwd = getcwd(NULL, 0);
	char path[PATH_MAX];

	if (!cwd || snprintf(path, sizeof(path), "%s/%s", file[0] == '/' ? "" : cwd, file) >=
			    (int)sizeof(path))
		return -ENAMETOOLONG;
	return guard_path(path, uid, 0);
}
