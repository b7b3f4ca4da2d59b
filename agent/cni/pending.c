/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/cni/pending.h"
#include "agent/core/state_file.h"

#define SUFFIX ".json"

/* The directory, made when make is set: a descriptor or negative errno. */
static int open_dir(const char *state_dir, bool make)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/pending", state_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (make && mkdir(state_dir, 0711) < 0 && errno != EEXIST)
		return -errno;
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* Neither part has a '/' or a '+': see request.c. */
static bool file_name(char name[static NAME_MAX], const char *container, const char *ifname)
{
	return snprintf(name, NAME_MAX, "%s+%s" SUFFIX, container, ifname) < NAME_MAX;
}

int ex_cni_pending_add(const char *state_dir, const char *container, const char *ifname,
		       struct ex_span request)
{
	EX_AUTO_CLOSE int dir = open_dir(state_dir, true);
	char name[NAME_MAX];

	if (dir < 0)
		return dir;
	if (!file_name(name, container, ifname))
		return -ENAMETOOLONG;
	return ex_state_file_write(dir, name, 0600, request);
}

bool ex_cni_pending_remove(const char *state_dir, const char *container, const char *ifname)
{
	EX_AUTO_CLOSE int dir = open_dir(state_dir, false);
	char name[NAME_MAX];

	return dir >= 0 && file_name(name, container, ifname) && unlinkat(dir, name, 0) == 0;
}

static int call_one(int dir, const char *name,
		    int (*fn)(void *arg, const char *name, struct ex_span request), void *arg)
{
	EX_AUTO_FREE char *text = NULL;
	size_t len;
	int r = ex_state_file_read(dir, name, &text, &len);

	if (r == 0)
		r = fn(arg, name, (struct ex_span){ text, len });
	if (r == 0 && unlinkat(dir, name, 0) < 0)
		r = -errno;
	return r;
}

int ex_cni_pending_each(const char *state_dir,
			int (*fn)(void *arg, const char *name, struct ex_span request), void *arg)
{
	int fd = open_dir(state_dir, false), left = 0;
	const struct dirent *de;
	DIR *dir;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		left = -errno;
		close(fd);
		return left;
	}
	while ((de = readdir(dir))) {
		size_t n = strlen(de->d_name);

		if (n > sizeof(SUFFIX) - 1 &&
		    strcmp(de->d_name + n - (sizeof(SUFFIX) - 1), SUFFIX) == 0 &&
		    call_one(dirfd(dir), de->d_name, fn, arg) < 0)
			left++;
	}
	closedir(dir);
	return left;
}
