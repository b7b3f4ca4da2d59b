/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ca/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/core/output.h"
#include "agent/core/state_file.h"

#define KEY       "ca.key"
#define CERT      "ca.pem"
#define NEXT_KEY  "ca-next.key"
#define NEXT_CERT "ca-next.pem"
#define OLD       "ca-old.pem"
#define TRUST     "trust.pem"
#define LOCK      "lock"

static const char begin_line[] = "-----BEGIN CERTIFICATE-----";
static const char end_line[] = "-----END CERTIFICATE-----";

/* Where it is to be, with a link on the way only as output.h has it: 1 when it was made. */
static int make_dir(const char *path)
{
	EX_AUTO_CLOSE int at = -1;
	const char *name;

	at = ex_output_dir(path, &name);
	if (at < 0)
		return at;
	if (mkdirat(at, name, 0755) == 0)
		return 1;
	return errno == EEXIST ? 0 : -errno;
}

static int open_dir(const char *path, bool make)
{
	EX_AUTO_CLOSE int fd = -1;
	int made = make ? make_dir(path) : 0;
	struct stat st;

	if (made < 0)
		return made;
	fd = ex_output_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return -EPERM;
	if (made && fchmod(fd, 0755) < 0) /* whatever the umask */
		return -errno;
	return EX_TAKE_FD(fd);
}

int ex_ca_store_open(const char *path, bool make)
{
	size_t len = strlen(path);
	EX_AUTO_FREE char *copy = NULL;

	while (len > 1 && path[len - 1] == '/')
		len--;
	copy = strndup(path, len);
	return copy ? open_dir(copy, make) : -ENOMEM;
}

/*
 * One at a time changes it, and nobody reads what is half changed. In a file of their own, for
 * whoever can open a file can hold its lock, and the directory is for everybody. Where none is, or
 * can be, only readers go on.
 */
static int take_lock(int dir, int how)
{
	EX_AUTO_CLOSE int fd = openat(
		dir, LOCK, (how == LOCK_EX ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW,
		0600);

	if (fd < 0)
		return -errno;
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return -errno;
	return EX_TAKE_FD(fd);
}

/* ---- files ---- */

static bool is_there(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, 0) == 0;
}

/* Missing is empty. */
static int read_cert(int dir, const char *name, char **ret, size_t *ret_len)
{
	int r = ex_state_file_read(dir, name, ret, ret_len);

	if (r != -ENOENT)
		return r;
	*ret = strdup("");
	*ret_len = 0;
	return *ret ? 0 : -ENOMEM;
}

/*
 * Takes the next certificate, with its line break, off the text; false at its end. What stands
 * between them is left out: some keep a key there.
 */
static bool next_cert(struct ex_span *text, struct ex_span *ret)
{
	const char *end = text->ptr + text->len, *from, *to, *nl;

	from = memmem(text->ptr, text->len, begin_line, sizeof(begin_line) - 1);
	to = from ? memmem(from, (size_t)(end - from), end_line, sizeof(end_line) - 1) : NULL;
	if (!to)
		return false;
	nl = memchr(to, '\n', (size_t)(end - to));
	to = nl ? nl + 1 : end;
	*ret = (struct ex_span){ from, (size_t)(to - from) };
	*text = (struct ex_span){ to, (size_t)(end - to) };
	return true;
}

static void add_text(struct ex_span one, char *text, size_t *len)
{
	memcpy(text + *len, one.ptr, one.len);
	*len += one.len;
	if (one.ptr[one.len - 1] != '\n')
		text[(*len)++] = '\n';
}

/* Appends those certificates of the file that have not ended. -EINVAL: it has others, or none. */
static int collect(int dir, const char *name, char **text, size_t *len)
{
	EX_AUTO_FREE char *file = NULL;
	struct ex_span rest, one;
	struct ex_ca_info info;
	size_t file_len, n = 0;
	char *more;
	int r = read_cert(dir, name, &file, &file_len);

	if (r < 0)
		return r;
	more = realloc(*text, *len + file_len + 2); /* the last one may lack its line break */
	if (!more)
		return -ENOMEM;
	*text = more;
	rest = (struct ex_span){ file, file_len };
	for (; next_cert(&rest, &one); n++) {
		r = ex_ca_describe(one, &info);
		if (r < 0)
			return r;
		if (info.to > (int64_t)time(NULL))
			add_text(one, more, len);
	}
	more[*len] = '\0';
	return file_len && !n ? -EINVAL : 0;
}

static int collect_all(int dir, char **ret, size_t *ret_len)
{
	static const char *const names[] = { CERT, NEXT_CERT, OLD };
	EX_AUTO_FREE char *text = NULL;
	size_t len = 0;

	if (!is_there(dir, CERT))
		return -ENOENT;
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++) {
		int r = collect(dir, names[i], &text, &len);

		if (r < 0)
			return r;
	}
	*ret = EX_TAKE_PTR(text);
	*ret_len = len;
	return len ? 0 : -EKEYEXPIRED;
}

int ex_ca_store_trust(int dir, char **ret, size_t *ret_len)
{
	EX_AUTO_CLOSE int lock = take_lock(dir, LOCK_SH);

	return collect_all(dir, ret, ret_len);
}

static int write_trust(int dir)
{
	EX_AUTO_FREE char *text = NULL;
	size_t len;
	int r = collect_all(dir, &text, &len);

	return r < 0 ? r : ex_state_file_write(dir, TRUST, 0644, (struct ex_span){ text, len });
}

/* -EINVAL: they are no pair that can sign. */
static int load_pair(int dir, const char *key_name, const char *name, struct ex_ca **ret)
{
	EX_AUTO_FREE char *cert = NULL;
	char *key = NULL;
	size_t key_len = 0, len = 0;
	int r = ex_state_file_read(dir, key_name, &key, &key_len);

	if (r == 0)
		r = ex_state_file_read(dir, name, &cert, &len);
	if (r == 0)
		r = ex_ca_load((struct ex_span){ key, key_len }, (struct ex_span){ cert, len },
			       ret);
	if (key)
		explicit_bzero(key, key_len);
	free(key);
	return r;
}

static int check_pair(int dir, const char *key_name, const char *name)
{
	struct ex_ca *ca = NULL;
	int r = load_pair(dir, key_name, name, &ca);

	ex_ca_free(ca);
	return r;
}

int ex_ca_store_load(int dir, struct ex_ca **ret)
{
	EX_AUTO_CLOSE int lock = take_lock(dir, LOCK_SH);

	return load_pair(dir, KEY, CERT, ret);
}

/* ---- what is done with them ---- */

/* The key first: a certificate without one would be trusted for nothing. */
static int make_pair(int dir, const struct ex_ca_wish *wish, const char *key_name, const char *name)
{
	char key[EX_CA_KEY_MAX];
	struct ex_ca *ca;
	int n, r = ex_ca_make(wish, &ca);

	if (r < 0)
		return r;
	n = ex_ca_key_pem(ca, key);
	r = n < 0 ? n
		  : ex_state_file_write(dir, key_name, 0600, (struct ex_span){ key, (size_t)n });
	explicit_bzero(key, sizeof(key));
	if (r == 0)
		r = ex_state_file_write(dir, name, 0644, ex_ca_pem(ca));
	ex_ca_free(ca);
	return r;
}

int ex_ca_store_init(int dir, const struct ex_ca_wish *wish)
{
	EX_AUTO_CLOSE int lock = take_lock(dir, LOCK_EX);
	int r = lock;

	if (r >= 0 && is_there(dir, CERT))
		return -EEXIST;
	/* A key alone is what one left that was broken off: nobody trusts it. */
	if (r >= 0)
		r = make_pair(dir, wish, KEY, CERT);
	return r < 0 ? r : write_trust(dir);
}

/* Is the next one good, and there yet, or on its way? 0, -EINVAL, -ENOENT or another error. */
static int check_next(int dir)
{
	return check_pair(dir, NEXT_KEY, is_there(dir, NEXT_CERT) ? NEXT_CERT : CERT);
}

int ex_ca_store_rotate(int dir, const struct ex_ca_wish *wish)
{
	EX_AUTO_CLOSE int lock = take_lock(dir, LOCK_EX);
	int r;

	if (lock < 0)
		return lock;
	if (!is_there(dir, CERT))
		return -ENOENT;
	r = check_next(dir);
	if (r != -ENOENT && r != -EINVAL)
		return r < 0 ? r : -EEXIST;
	r = make_pair(dir, wish, NEXT_KEY, NEXT_CERT);
	return r < 0 ? r : write_trust(dir);
}

/* The former certificate, in front of those that were old before. */
static int keep_old(int dir)
{
	EX_AUTO_FREE char *text = NULL;
	size_t len = 0;
	int r = collect(dir, CERT, &text, &len);

	if (r == 0)
		r = collect(dir, OLD, &text, &len);
	return r < 0 ? r : ex_state_file_write(dir, OLD, 0644, (struct ex_span){ text, len });
}

/*
 * Broken off anywhere, the certificate and key in use are a pair or are refused as none, the next
 * one is where it was, and doing it again ends it: the certificate moves before the key. A next key
 * alone may also be all that a first step left that was broken off: it is nobody's.
 */
int ex_ca_store_switch(int dir)
{
	EX_AUTO_CLOSE int lock = take_lock(dir, LOCK_EX);
	bool begun = !is_there(dir, NEXT_CERT);
	int r = lock < 0 ? lock : check_next(dir);

	if (begun && r == -EINVAL)
		return -ENOENT;
	if (r == 0 && !begun)
		r = keep_old(dir);
	if (r < 0)
		return r;
	if (!begun && renameat(dir, NEXT_CERT, dir, CERT) < 0)
		return -errno;
	if (renameat(dir, NEXT_KEY, dir, KEY) < 0)
		return -errno;
	return fsync(dir) < 0 ? -errno : write_trust(dir);
}

static int tell(int dir, const char *name, enum ex_ca_role role, ex_ca_store_fn fn, void *arg)
{
	EX_AUTO_FREE char *file = NULL;
	struct ex_span rest, one;
	struct ex_ca_info info;
	size_t len, n = 0;
	int r = read_cert(dir, name, &file, &len);

	if (r < 0)
		return r;
	rest = (struct ex_span){ file, len };
	for (; r == 0 && next_cert(&rest, &one); n++) {
		r = ex_ca_describe(one, &info);
		if (r == 0)
			r = fn(arg, role, &info);
	}
	return r == 0 && len && !n ? -EINVAL : r;
}

int ex_ca_store_each(int dir, ex_ca_store_fn fn, void *arg)
{
	EX_AUTO_CLOSE int lock = take_lock(dir, LOCK_SH);
	int r = is_there(dir, CERT) ? tell(dir, CERT, EX_CA_SIGNS, fn, arg) : -ENOENT;

	if (r == 0)
		r = tell(dir, NEXT_CERT, EX_CA_NEXT, fn, arg);
	return r == 0 ? tell(dir, OLD, EX_CA_OLD, fn, arg) : r;
}
