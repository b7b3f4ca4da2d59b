/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets from files. Names come from the policy, so they are taken as names only: no slash, no dot
 * in front. The value is one header value: it may hold nothing that a server could take for another
 * field or for the end of this one.
 */
#include "policy/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_object_name(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= 253 && s[0] != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

/* What may stand in a field, without blanks at its ends, which a reader strips. */
static const char *check_value(struct ex_span v)
{
	if (v.len == 0)
		return "is empty";
	if (v.len > EX_SECRET_MAX)
		return "is longer than a header value may be";
	if (strchr(" \t", v.ptr[0]) || strchr(" \t", v.ptr[v.len - 1]))
		return "begins or ends with a blank";
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.ptr[i];

		if ((c < 0x20 && c != '\t') || c >= 0x7f)
			return "has a character that a header value may not have";
	}
	return NULL;
}

static int keep(const char *text, size_t len, struct ex_span *ret, const char **why)
{
	char *copy;

	*why = check_value((struct ex_span){ text, len });
	if (*why)
		return -EINVAL;
	copy = malloc(len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	ret->ptr = copy;
	ret->len = len;
	return 0;
}

/* ---- files ---- */

/* The one item of a mounted secret; what begins with a dot is bookkeeping of the mount. */
static int open_item(int dir, const char **why)
{
	EX_AUTO_CLOSE int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;
	int fd = -ENOENT;
	DIR *d;

	d = own < 0 ? NULL : fdopendir(own);
	if (!d)
		return -errno;
	own = -1; /* the stream's */
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (fd >= 0) {
			close(fd);
			fd = -EINVAL;
			*why = "has more than one item";
			break;
		}
		fd = openat(dir, e->d_name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd < 0) {
			fd = -errno;
			break;
		}
	}
	closedir(d);
	return fd;
}

static int open_secret(const char *dir, const char *ns, const char *name, const char **why)
{
	EX_AUTO_FREE char *path = NULL;
	struct stat st;
	int fd, item;

	if (asprintf(&path, "%s/%s/%s", dir, ns, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return fd;
	item = open_item(fd, why);
	close(fd);
	return item;
}

static int read_file(const char *dir, const char *ns, const char *name, struct ex_span *ret,
		     const char **why)
{
	char text[EX_SECRET_MAX + 2]; /* a line feed, and one byte that shows that it is too long */
	EX_AUTO_CLOSE int fd = -1;
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;
	int r;

	*why = NULL;
	fd = open_secret(dir, ns, name, why);
	if (fd == -ENOENT || fd == -ENOMEM)
		return fd;
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		*why = "is no file";
		return -EINVAL;
	}
	while (fd >= 0 && len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	if (fd < 0 || n < 0) {
		*why = *why ? *why : "cannot be read";
		explicit_bzero(text, sizeof(text));
		return -EINVAL;
	}
	if (len && text[len - 1] == '\n')
		len--;
	r = keep(text, len, ret, why);
	explicit_bzero(text, sizeof(text));
	return r;
}

int ex_secret_find(const struct ex_compile_input *in, const char *ns, const char *name,
		   struct ex_span *ret, const char **why)
{
	*why = "is no object name";
	if (!is_object_name(ns) || !is_object_name(name))
		return -EINVAL;
	*why = NULL;
	for (size_t i = 0; in && i < in->n_secrets; i++) {
		const struct ex_secret *s = &in->secrets[i];

		if (strcmp(s->ns, ns) == 0 && strcmp(s->name, name) == 0)
			return keep(s->value.ptr, s->value.len, ret, why);
	}
	return in && in->secrets_dir ? read_file(in->secrets_dir, ns, name, ret, why) : -ENOENT;
}
