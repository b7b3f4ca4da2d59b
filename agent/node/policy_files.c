/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/core/pack.h"
#include "agent/core/state_file.h"
#include "agent/node/policy_files.h"
#include "policy/yaml.h"

#define TRIES 5 /* a ConfigMap that is swapped more often while it is read is broken */

struct ex_policy_file *ex_policy_file_ref(struct ex_policy_file *f)
{
	f->refs++;
	return f;
}

void ex_policy_file_unref(struct ex_policy_file *f)
{
	if (!f || --f->refs)
		return;
	ex_selects_free(f->selects);
	free((void *)(uintptr_t)f->text.name);
	free((void *)(uintptr_t)f->text.text.ptr);
	free(f);
}

void ex_policy_files_free(struct ex_policy_files *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->files.n; i++)
		ex_policy_file_unref(f->files.v[i]);
	free(f->files.v);
	free(f);
}

static bool is_policy(const char *name)
{
	const char *end = strrchr(name, '.');

	return *name != '.' && end &&
	       (strcmp(end, ".yaml") == 0 || strcmp(end, ".yml") == 0 || strcmp(end, ".json") == 0);
}

/*
 * Nobody has decided what anybody can write. (A ConfigMap has such a mode, and is read-only.) What
 * was just replaced is read again; what then is still without a name is an old file in a mount.
 */
static int check_mode(int fd)
{
	struct statvfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return -ESTALE;
	return (st.st_mode & S_IWOTH) && !(fs.f_flag & ST_RDONLY) ? -EPERM : 0;
}

static const char *why(int r)
{
	return r == -EBUSY    ? "it is being written"
	       : r == -EPERM  ? "anybody may write to it: take that away (chmod o-w)"
	       : r == -ESTALE ? "it was replaced where it is mounted from: mount its directory"
			      : strerror(-r);
}

static int read_bytes(int fd, struct ex_policy_file *f)
{
	char *bytes = NULL;
	int r = check_mode(fd);

	if (r == 0)
		r = ex_file_hold(fd);
	if (r == 0)
		r = ex_file_read(fd, EX_YAML_SIZE_MAX, &bytes, &f->text.text.len);
	f->text.text.ptr = bytes;
	return r;
}

static int file_add(struct ex_policy_files *fs)
{
	struct ex_policy_file **at = EX_VEC_ADD(&fs->files);

	if (!at)
		return -ENOMEM;
	*at = calloc(1, sizeof(**at));
	if (!*at) {
		fs->files.n--;
		return -ENOMEM;
	}
	(*at)->refs = 1;
	return 0;
}

static int read_file(struct ex_policy_files *fs, int dir, const char *dir_path, const char *name)
{
	EX_AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct ex_policy_file *f;
	char *path;
	int r;

	if (fd < 0)
		return -errno;
	r = file_add(fs);
	if (r < 0)
		return r;
	f = fs->files.v[fs->files.n - 1];
	r = read_bytes(fd, f);
	if (r == 0 && asprintf(&path, "%s/%s", dir_path, name) < 0)
		r = -ENOMEM;
	if (r == 0)
		f->text.name = path;
	return r;
}

static void forget_from(struct ex_policy_files *fs, size_t mark)
{
	while (fs->files.n > mark)
		ex_policy_file_unref(fs->files.v[--fs->files.n]);
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
	while (r == 0 && (errno = 0, de = readdir(d))) {
		if (!is_policy(de->d_name))
			continue;
		r = f->files.n < EX_POLICY_FILES_MAX ? read_file(f, fd, path, de->d_name) : -E2BIG;
		if (r < 0)
			snprintf(err, EX_POLICY_FILES_ERR, "%.140s/%.40s: %s", path, de->d_name,
				 why(r));
	}
	if (r == 0)
		r = -errno; /* of the last readdir(): half a directory is no set */
	closedir(d);
	return r;
}

static int read_dir(struct ex_policy_files *f, const char *path,
		    char err[static EX_POLICY_FILES_ERR])
{
	char before[NAME_MAX], after[NAME_MAX];
	size_t mark = f->files.n;
	int r = 0;

	for (int i = 0; i < TRIES; i++) {
		EX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 && errno == ENOENT) {
			snprintf(err, EX_POLICY_FILES_ERR,
				 "%.140s is not there: create it (an empty directory is a set "
				 "without policies)",
				 path);
			return -ENOENT;
		}
		r = fd < 0 ? -errno : check_mode(fd);
		if (r == -ESTALE)
			continue;
		if (r < 0)
			return r;
		forget_from(f, mark);
		read_data_link(fd, before);
		r = read_entries(f, fd, path, err);
		read_data_link(fd, after);
		if (r != -ESTALE && strcmp(before, after) == 0)
			return r;
	}
	if (r == -ESTALE)
		return r;
	snprintf(err, EX_POLICY_FILES_ERR, "%.200s changes while it is read", path);
	return -EAGAIN;
}

static int by_name(const void *a, const void *b)
{
	const struct ex_policy_file *const *fa = a, *const *fb = b;

	return strcmp((*fa)->text.name, (*fb)->text.name);
}

static bool is_same(const struct ex_policy_file *a, const struct ex_policy_file *b)
{
	return a == b ||
	       (strcmp(a->text.name, b->text.name) == 0 && ex_span_eq(a->text.text, b->text.text));
}

/* Both are sorted. */
static void keep_identity(struct ex_policy_files *f, const struct ex_policy_files *before)
{
	size_t k = 0;

	for (size_t i = 0; i < f->files.n; i++) {
		struct ex_policy_file *own = f->files.v[i];

		while (k < before->files.n &&
		       strcmp(before->files.v[k]->text.name, own->text.name) < 0)
			k++;
		if (k == before->files.n || !is_same(before->files.v[k], own))
			continue;
		f->files.v[i] = ex_policy_file_ref(before->files.v[k]);
		ex_policy_file_unref(own);
	}
}

int ex_policy_files_read(const char *const *dirs, size_t n, const struct ex_policy_files *before,
			 struct ex_policy_files **ret, char err[static EX_POLICY_FILES_ERR])
{
	struct ex_policy_files *f = calloc(1, sizeof(*f));
	int r = f ? 0 : -ENOMEM;

	*err = '\0';
	for (size_t i = 0; i < n && r == 0; i++) {
		r = read_dir(f, dirs[i], err);
		if (r < 0 && !*err)
			snprintf(err, EX_POLICY_FILES_ERR, "%.160s: %s", dirs[i], why(r));
	}
	if (r < 0) {
		ex_policy_files_free(f);
		return r;
	}
	if (f->files.n)
		qsort(f->files.v, f->files.n, sizeof(*f->files.v), by_name);
	if (before)
		keep_identity(f, before);
	*ret = f;
	return 0;
}

bool ex_policy_files_equal(const struct ex_policy_files *a, const struct ex_policy_files *b)
{
	if (a->files.n != b->files.n)
		return false;
	for (size_t i = 0; i < a->files.n; i++)
		if (!is_same(a->files.v[i], b->files.v[i]))
			return false;
	return true;
}

void ex_policy_files_pack(const struct ex_policy_files *f, struct ex_pack *p)
{
	ex_pack_u32(p, (uint32_t)f->files.n);
	for (size_t i = 0; i < f->files.n; i++) {
		ex_pack_str(p, f->files.v[i]->text.name);
		ex_pack_span(p, f->files.v[i]->text.text);
	}
}

static char *copy_of(struct ex_span s)
{
	char *p = malloc(s.len + 1);

	if (!p)
		return NULL;
	if (s.len)
		memcpy(p, s.ptr, s.len);
	p[s.len] = '\0';
	return p;
}

static int unpack_file(struct ex_unpack *u, struct ex_policy_files *f)
{
	struct ex_span name = ex_span_str(ex_unpack_str(u)), text = ex_unpack_span(u);
	struct ex_policy_file *file;
	int r = u->bad ? -EBADMSG : file_add(f);

	if (r < 0)
		return r;
	file = f->files.v[f->files.n - 1];
	file->text.name = copy_of(name);
	file->text.text = (struct ex_span){ copy_of(text), text.len };
	return file->text.name && file->text.text.ptr ? 0 : -ENOMEM;
}

int ex_policy_files_unpack(struct ex_unpack *u, struct ex_policy_files **ret)
{
	struct ex_policy_files *f = calloc(1, sizeof(*f));
	size_t n = ex_unpack_count(u, 2 * sizeof(uint32_t));
	int r = !f ? -ENOMEM : n > EX_POLICY_FILES_MAX ? -EBADMSG : 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = unpack_file(u, f);
	if (r == 0)
		r = ex_unpack_done(u);
	if (r < 0) {
		ex_policy_files_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

int ex_policy_files_parse(struct ex_policy_files *f, struct ex_diags *diags)
{
	int first = 0;

	for (size_t i = 0; i < f->files.n && first != -ENOMEM; i++) {
		struct ex_policy_file *file = f->files.v[i];
		int r = file->selects ? 0 : ex_selects_read(&file->text, &file->selects, diags);

		first = r < 0 ? r : first;
	}
	return first;
}
