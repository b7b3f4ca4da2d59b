/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "agent/core/state_file.h"

int ex_state_file_write(int dir, const char *name, mode_t mode, struct ex_span bytes)
{
	EX_AUTO_CLOSE int fd = -1;
	char tmp[NAME_MAX];
	int r;

	if (snprintf(tmp, sizeof(tmp), "%s.new", name) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, mode) < 0 ? -errno : ex_write_full(fd, bytes);
	if (r == 0 && (fsync(fd) < 0 || renameat(dir, tmp, dir, name) < 0))
		r = -errno;
	if (r < 0)
		unlinkat(dir, tmp, 0);
	else if (fsync(dir) < 0)
		r = -errno;
	return r;
}

int ex_state_file_read(int dir, const char *name, char **ret, size_t *ret_len)
{
	return ex_state_file_read_large(dir, name, EX_STATE_FILE_MAX, ret, ret_len);
}

int ex_state_file_read_large(int dir, const char *name, size_t max, char **ret, size_t *ret_len)
{
	EX_AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : ex_file_read(fd, max, ret, ret_len);
}

/* There a lease may be refused for other causes: its server grants none. */
static bool is_remote(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == NFS_SUPER_MAGIC || fs.f_type == CIFS_SUPER_MAGIC ||
	       fs.f_type == SMB2_SUPER_MAGIC;
}

/* A lease is broken by a signal; this one is ignored, unless somebody wants it. */
int ex_file_hold(int fd)
{
	if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
		return 0;
	return errno == EAGAIN && !is_remote(fd) ? -EBUSY : 0;
}

int ex_file_read(int fd, size_t max, char **ret, size_t *ret_len)
{
	EX_AUTO_FREE char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = ex_read_full(fd, text, (size_t)st.st_size);
	if (n < st.st_size)
		return n < 0 ? (int)n : -EAGAIN;
	text[n] = '\0';
	*ret = EX_TAKE_PTR(text);
	*ret_len = (size_t)n;
	return 0;
}
