/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/node/policy_files.h"
#include "policy/yaml.h"

#define TRIES 5 /* a ConfigMap that is swapped more often while it is read is broken */

void ex_policy_files_free(struct ex_policy_files *f)
{
	if (!f)
		return;
	free(f->texts.v);
	ex_arena_done(&f->arena);
	free(f);
}

static bool is_policy(const char *name)
{
	size_t n = strlen(name);

	if (*name == '.')
		return false;
	return (n > 5 && strcmp(name + n - 5, ".yaml") == 0) ||
	       (n > 4 && strcmp(name + n - 4, ".yml") == 0);
}

/* FNV-1a: to see a change, not to withstand anyone. */
static uint64_t digest_add(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return (h ^ 0xff) * 0x100000001b3ull;
}

static int read_all(int fd, char *to, size_t cap, size_t *ret_len)
{
	size_t len = 0;
	ssize_t n;

	while (len < cap) {
		n = read(fd, to + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

static int read_file(struct ex_policy_files *f, int dir, const char *dir_path, const char *name)
{
	EX_AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct ex_text *t;
	struct stat st;
	char *bytes;
	size_t len;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)EX_YAML_SIZE_MAX)
		return -EFBIG;
	bytes = ex_arena_alloc(&f->arena, (size_t)st.st_size + 1, 1);
	if (!bytes)
		return -ENOMEM;
	r = read_all(fd, bytes, (size_t)st.st_size, &len);
	if (r < 0)
		return r;
	t = EX_VEC_ADD(&f->texts);
	if (!t)
		return -ENOMEM;
	t->name = ex_arena_printf(&f->arena, "%s/%s", dir_path, name);
	t->text = (struct ex_span){ bytes, len };
	return t->name ? 0 : -ENOMEM;
}

/* What "..data" points to, "" when there is none. */
static void read_data_link(int dir, char buf[static NAME_MAX])
{
	ssize_t n = readlinkat(dir, "..data", buf, NAME_MAX - 1);

	buf[n > 0 ? n : 0] = '\0';
}

static int read_entries(struct ex_policy_files *f, int fd, const char *path,
			char err[static EX_POLICY_FILES_ERR])
{
	DIR *d = fdopendir(dup(fd));
	struct dirent *de;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (de = readdir(d))) {
		if (!is_policy(de->d_name))
			continue;
		r = f->texts.n < EX_POLICY_FILES_MAX ? read_file(f, fd, path, de->d_name) : -E2BIG;
		if (r < 0)
			snprintf(err, EX_POLICY_FILES_ERR, "%.180s/%.40s: %s", path, de->d_name,
				 strerror(-r));
	}
	closedir(d);
	return r;
}

static int read_dir(struct ex_policy_files *f, const char *path,
		    char err[static EX_POLICY_FILES_ERR])
{
	char before[NAME_MAX], after[NAME_MAX];
	size_t mark = f->texts.n;
	int r = 0;

	for (int i = 0; i < TRIES; i++) {
		EX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return errno == ENOENT ? 0 : -errno;
		f->texts.n = mark;
		read_data_link(fd, before);
		r = read_entries(f, fd, path, err);
		read_data_link(fd, after);
		if (strcmp(before, after) == 0)
			return r;
	}
	snprintf(err, EX_POLICY_FILES_ERR, "%.200s changes while it is read", path);
	return -EAGAIN;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ex_text *)a)->name, ((const struct ex_text *)b)->name);
}

int ex_policy_files_read(const char *const *dirs, size_t n, struct ex_policy_files **ret,
			 char err[static EX_POLICY_FILES_ERR])
{
	struct ex_policy_files *f = calloc(1, sizeof(*f));
	int r = f ? 0 : -ENOMEM;

	*err = '\0';
	for (size_t i = 0; i < n && r == 0; i++) {
		r = read_dir(f, dirs[i], err);
		if (r < 0 && !*err)
			snprintf(err, EX_POLICY_FILES_ERR, "%.200s: %s", dirs[i], strerror(-r));
	}
	if (r < 0) {
		ex_policy_files_free(f);
		return r;
	}
	if (f->texts.n)
		qsort(f->texts.v, f->texts.n, sizeof(*f->texts.v), by_name);
	f->digest = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < f->texts.n; i++) {
		const struct ex_text *t = &f->texts.v[i];

		f->digest = digest_add(f->digest, t->name, strlen(t->name));
		f->digest = digest_add(f->digest, t->text.ptr, t->text.len);
	}
	*ret = f;
	return 0;
}
