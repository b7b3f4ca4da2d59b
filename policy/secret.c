/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets from files. Names come from the policy, so they are taken as names only: no slash, no dot
 * in front. A value for a header is one header value: it may hold nothing that a server could take
 * for another field or for the end of this one.
 */
#include "policy/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/cnp.h"

static bool is_object_name(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= 253 && s[0] != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

static bool is_item_name(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= 253 && s[0] != '.' &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") ==
		       len;
}

/* What may stand in a field, without blanks at its ends, which a reader strips. */
static const char *check_header_value(struct ex_span v)
{
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

static const char *check_value(const struct ex_secret_ref *ref, struct ex_span v)
{
	if (v.len == 0)
		return "is empty";
	if (!ref->item)
		return check_header_value(v);
	return v.len > EX_SECRET_ITEM_MAX ? "is longer than a certificate or key may be" : NULL;
}

static int copy(struct ex_span value, struct ex_span *ret)
{
	char *to = malloc(value.len + 1);

	if (!to)
		return -ENOMEM;
	if (value.len)
		memcpy(to, value.ptr, value.len);
	ret->ptr = to;
	ret->len = value.len;
	return 0;
}

static int keep(const struct ex_secret_ref *ref, struct ex_span value, struct ex_span *ret,
		const char **why)
{
	*why = check_value(ref, value);
	return *why ? -EINVAL : copy(value, ret);
}

/* ---- files ---- */

static int open_at(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* The one item of a mounted secret; what begins with a dot is bookkeeping of the mount. */
static int open_only_item(int dir, const char **why)
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
		fd = open_at(dir, e->d_name);
		if (fd < 0)
			break;
	}
	closedir(d);
	return fd;
}

static int open_secret(const char *dir, const struct ex_secret_ref *ref, const char **why)
{
	EX_AUTO_FREE char *path = NULL;
	struct stat st;
	int fd, item;

	if (asprintf(&path, "%s/%s/%s", dir, ref->ns, ref->name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open_at(AT_FDCWD, path);
	if (fd < 0)
		return fd == -ENOTDIR ? -ENOENT : fd;
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode)) {
		if (!ref->item)
			return fd;
		close(fd);
		*why = "is one file: it has to be a folder, with a file for each item";
		return -EINVAL;
	}
	item = ref->item ? open_at(fd, ref->item) : open_only_item(fd, why);
	close(fd);
	return item;
}

static int read_file(int fd, const struct ex_secret_ref *ref, struct ex_span *ret, const char **why)
{
	size_t size =
		(ref->item ? EX_SECRET_ITEM_MAX : EX_SECRET_MAX) + 2; /* a line feed as well */
	EX_AUTO_FREE char *text = malloc(size);
	ssize_t len;
	int r;

	if (!text)
		return -ENOMEM;
	len = ex_read_full(fd, text, size);
	*why = "cannot be read";
	r = len < 0 ? -EINVAL : 0;
	if (len > 0 && !ref->item && text[len - 1] == '\n')
		len--;
	if (r == 0)
		r = keep(ref, (struct ex_span){ text, (size_t)len }, ret, why);
	explicit_bzero(text, size);
	return r;
}

static int find_file(const char *dir, const struct ex_secret_ref *ref, struct ex_span *ret,
		     const char **why)
{
	EX_AUTO_CLOSE int fd = -1;
	struct stat st;

	*why = NULL;
	fd = open_secret(dir, ref, why);
	if (fd == -ENOENT || fd == -ENOMEM)
		return fd;
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		*why = "is no file";
		return -EINVAL;
	}
	if (fd < 0) {
		*why = *why ? *why : "cannot be read";
		return -EINVAL;
	}
	return read_file(fd, ref, ret, why);
}

int ex_secrets_check(const char *dir, struct ex_diags *diags)
{
	EX_AUTO_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	ex_diag_add(
		diags, (struct ex_pos){ dir, 0, 0 }, false,
		"name the folder that has NAMESPACE/NAME: --secrets DIR, secretsDir of the agent",
		"no folder of secrets: %s", strerrordesc_np(errno));
	return -EINVAL;
}

/* ---- both ---- */

bool ex_secret_is(const struct ex_secret *s, const struct ex_secret_ref *ref)
{
	if (strcmp(s->ns, ref->ns) != 0 || strcmp(s->name, ref->name) != 0 ||
	    !s->item != !ref->item || s->key != ref->key)
		return false;
	return !s->item || strcmp(s->item, ref->item) == 0;
}

int ex_secret_find(const struct ex_compile_input *in, const struct ex_secret_ref *ref,
		   struct ex_span *ret, const char **why)
{
	*why = "is no object name";
	if (!is_object_name(ref->ns) || !is_object_name(ref->name) ||
	    (ref->item && !is_item_name(ref->item)))
		return -EINVAL;
	*why = NULL;
	for (size_t i = 0; in && i < in->n_secrets; i++) {
		const struct ex_secret *s = &in->secrets[i];

		if (!ex_secret_is(s, ref))
			continue;
		if (s->key && s->value.len == 0)
			return copy(s->value, ret);
		return keep(ref, s->value, ret, why);
	}
	return in && in->secrets_dir ? find_file(in->secrets_dir, ref, ret, why) : -ENOENT;
}

/* ---- certificates ---- */

static const char *(*checker)(const struct ex_origin *o);

void ex_origin_use_checker(const char *(*check)(const struct ex_origin *o))
{
	checker = check;
}

const char *ex_origin_check(const struct ex_origin *o)
{
	return checker ? checker(o) : "cannot be checked by this program";
}
