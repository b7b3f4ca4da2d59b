/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "agent/audit/head.h"
#include "agent/audit/line.h"
#include "agent/audit/sink.h"
#include "agent/core/log.h"
#include "agent/core/loop.h"
#include "agent/core/output.h"

#define ROTATE_BYTES (64u << 20)
#define KEEP         8
#define HEAD_MS      1000
#define BATCH_BYTES  (2 * (EX_AUDIT_LINE_MAX + EX_CHAIN_TAIL_MAX)) /* at least a line */
#define TAIL_BYTES   (2 * (EX_AUDIT_LINE_MAX + EX_CHAIN_TAIL_MAX)) /* holds a whole last line */

struct ex_audit_file {
	char path[PATH_MAX], key_file[PATH_MAX];
	int dir;          /* that it is in, whatever the path leads to later */
	const char *name; /* there; a part of path */
	struct ex_audit_sink sink;
	struct ex_audit_keys keys;
	struct ex_chain chain;
	char *batch; /* lines that are sealed and written together */
	uint64_t size, rotate_bytes, rotate_at;
	unsigned keep;
	uint64_t head_n, head_at; /* the record the head tells of; when it was written */
	struct ex_audit_file_stats stats;
	struct ex_loop *loop;
	struct ex_timer head_due;
};

void ex_audit_file_sync(struct ex_audit_file *f)
{
	char name[NAME_MAX];

	f->head_at = ex_clock_ms();
	if (f->head_n == f->chain.n)
		return;
	snprintf(name, sizeof(name), "%s.head", f->name);
	if (ex_audit_head_write(f->dir, name, &f->chain, ex_audit_keys_current(&f->keys)) == 0)
		f->head_n = f->chain.n;
}

static void on_head_due(struct ex_timer *t)
{
	ex_audit_file_sync(ex_container_of(t, struct ex_audit_file, head_due));
}

void ex_audit_file_watch(struct ex_audit_file *f, struct ex_loop *loop)
{
	f->loop = loop;
	f->head_due.fn = on_head_due;
}

/* After a record. Without a loop, and without a timer, only the next record renews the head. */
static void head_plan(struct ex_audit_file *f)
{
	if (ex_clock_ms() - f->head_at >= HEAD_MS)
		ex_audit_file_sync(f);
	else if (f->loop && !f->head_due.at && ex_timer_start(f->loop, &f->head_due, HEAD_MS) < 0)
		ex_audit_file_sync(f);
}

/* ---- where the chain goes on ---- */

/* The last authentic record among the bytes; false when there is none. */
static bool tail_search(struct ex_span bytes, const struct ex_audit_keys *keys,
			struct ex_chain *ret)
{
	while (bytes.len) {
		const char *nl = memrchr(bytes.ptr, '\n', bytes.len);
		struct ex_span line = bytes;
		struct ex_chain_link link;

		if (nl) {
			line.ptr = nl + 1;
			line.len = bytes.len - (size_t)(line.ptr - bytes.ptr);
		}
		bytes.len = nl ? (size_t)(nl - bytes.ptr) : 0;
		if (ex_chain_parse(line, &link) && ex_chain_authentic(&link, keys) &&
		    !ex_span_eq(link.type, EX_SPAN("head"))) {
			ret->n = link.n;
			memcpy(ret->mac, link.mac, sizeof(ret->mac));
			return true;
		}
	}
	return false;
}

/* 1: found; 0: the file is empty; -EBADMSG: nothing in it can be trusted; other negative errno. */
static int chain_recover(struct ex_audit_file *f, int fd, bool *ret_torn)
{
	struct stat st;
	EX_AUTO_FREE char *tail = NULL;
	size_t len;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return 0;
	len = (uint64_t)st.st_size < TAIL_BYTES ? (size_t)st.st_size : TAIL_BYTES;
	tail = malloc(len);
	if (!tail)
		return -ENOMEM;
	n = pread(fd, tail, len, st.st_size - (off_t)len);
	if (n != (ssize_t)len)
		return n < 0 ? -errno : -EIO;
	*ret_torn = tail[len - 1] != '\n';
	return tail_search((struct ex_span){ tail, len }, &f->keys, &f->chain) ? 1 : -EBADMSG;
}

static void number_name(const struct ex_audit_file *f, unsigned i, char name[static NAME_MAX])
{
	snprintf(name, NAME_MAX, "%s.%u", f->name, i);
}

/* An empty log goes on where the file before it ended. */
static int chain_recover_rotated(struct ex_audit_file *f)
{
	char name[NAME_MAX];
	EX_AUTO_CLOSE int fd = -1;
	bool torn;

	number_name(f, 1, name);
	fd = openat(f->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return chain_recover(f, fd, &torn);
}

/*
 * Without a head of ours nobody knows where the log ended: a new chain begins, as verify says then.
 * A log that begins has one before its first record.
 */
static int chain_begin(struct ex_audit_file *f, const char *head)
{
	if (!f->chain.n)
		return ex_audit_head_write(f->dir, head, &f->chain,
					   ex_audit_keys_current(&f->keys));
	ex_warning(
		"%s: without %s, which is missing or not signed by a known key, records may have "
		"been cut off; a new chain begins (see audit verify)",
		f->path, head);
	f->chain = (struct ex_chain){ 0 };
	return 0;
}

/*
 * A log that ends before its head was cut. The chain goes on from the head, so that what is missing
 * stays missing for everyone who verifies.
 */
static int chain_recover_head(struct ex_audit_file *f)
{
	char name[NAME_MAX];
	struct ex_chain head;
	int r;

	snprintf(name, sizeof(name), "%s.head", f->name);
	r = ex_audit_head_read(f->dir, name, &f->keys, &head);
	if (r == -ENOENT || r == -EBADMSG)
		return chain_begin(f, name);
	if (r < 0)
		return r;
	if (head.n > f->chain.n) {
		ex_warning("%s: records up to %llu were written, but it ends at %llu", f->path,
			   (unsigned long long)head.n, (unsigned long long)f->chain.n);
		f->chain = head;
	}
	return 0;
}

/* ---- files ---- */

/* The file of that name, locked; it still has the name then, and no other. */
static int log_open(int dir, const char *name, int how, int *ret)
{
	EX_AUTO_CLOSE int fd =
		openat(dir, name,
		       O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | how, 0600);
	struct stat a, b;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(fd, &a) < 0 || fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(a.st_mode))
		return -EINVAL;
	if (a.st_nlink > 1)
		return -EMLINK;
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return -EBUSY;
	*ret = EX_TAKE_FD(fd);
	return 0;
}

static int start_append(struct ex_audit_file *f)
{
	char line[512];
	struct ex_chain next;
	ssize_t n = ex_audit_note_seal(&f->chain, ex_audit_keys_current(&f->keys), "start", line,
				       sizeof(line), &next);

	if (n < 0)
		return (int)n;
	if (ex_audit_sink_lines(&f->sink, (struct ex_span){ line, (size_t)n }) == 0)
		return -f->sink.err;
	f->chain = next;
	f->size += (size_t)n;
	return 0;
}

/* Up to the first number that is free, as one is where a rotation was broken off, or the last. */
static void shift_names(const struct ex_audit_file *f)
{
	char from[NAME_MAX], to[NAME_MAX];
	unsigned i = 0;

	do
		number_name(f, ++i, to);
	while (i < f->keep && faccessat(f->dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
	for (; i > 1; i--) {
		number_name(f, i - 1, from);
		number_name(f, i, to);
		(void)!renameat(f->dir, from, f->dir, to);
	}
}

/* The next file is there before a name is moved. */
static int begin_next(const struct ex_audit_file *f, int *ret)
{
	char next[NAME_MAX], old[NAME_MAX];
	EX_AUTO_CLOSE int fd = -1;
	int r;

	snprintf(next, sizeof(next), "%s.next", f->name);
	(void)unlinkat(f->dir, next, 0); /* of one that was killed, or somebody's */
	r = log_open(f->dir, next, O_EXCL, &fd);
	if (r < 0)
		return r;
	shift_names(f);
	number_name(f, 1, old);
	if (renameat(f->dir, f->name, f->dir, old) < 0)
		return -errno;
	if (renameat(f->dir, next, f->dir, f->name) < 0) {
		r = -errno;
		(void)!renameat(f->dir, old, f->dir, f->name); /* it goes on under its name */
		return r;
	}
	*ret = EX_TAKE_FD(fd);
	return 0;
}

/* On failure the old file goes on, and rotation is tried again a good while later. */
static void rotate(struct ex_audit_file *f)
{
	int fd, r;

	f->rotate_at = f->size + f->rotate_bytes;
	r = begin_next(f, &fd);
	if (r < 0) {
		ex_warning("%s cannot be rotated: %s", f->path, strerror(-r));
		return;
	}
	close(f->sink.fd);
	f->sink = (struct ex_audit_sink){ .fd = fd, .log = true, .told_at = f->sink.told_at };
	f->size = 0;
	f->rotate_at = f->rotate_bytes;
	r = start_append(f);
	if (r < 0)
		ex_warning("%s: %s", f->path, strerror(-r));
}

static int file_start(struct ex_audit_file *f)
{
	struct stat st;
	int r = log_open(f->dir, f->name, 0, &f->sink.fd);

	if (r < 0)
		return r;
	if (fstat(f->sink.fd, &st) < 0)
		return -errno;
	f->size = (uint64_t)st.st_size;
	r = chain_recover(f, f->sink.fd, &f->sink.torn);
	if (r == 0)
		r = chain_recover_rotated(f);
	if (r == -EBADMSG)
		ex_warning("%s: nothing to chain on to; a new chain begins (see audit verify)",
			   f->path);
	else if (r < 0)
		return r;
	r = chain_recover_head(f);
	return r < 0 ? r : start_append(f);
}

/* Room is left behind the name for ".head.tmp" and the numbers of rotated files. */
static int find_place(struct ex_audit_file *f, const char *path)
{
	if (strlen(path) >= sizeof(f->path))
		return -ENAMETOOLONG;
	memcpy(f->path, path, strlen(path) + 1);
	f->dir = ex_output_dir(f->path, &f->name);
	if (f->dir < 0)
		return f->dir;
	return strlen(f->name) > NAME_MAX - 16 ? -ENAMETOOLONG : 0;
}

/* The cause of a failure is logged. */
static int keys_open(struct ex_audit_file *f, const char *key_file)
{
	if (!key_file)
		return 0;
	if (strlen(key_file) >= sizeof(f->key_file)) {
		ex_error("%s: %s", key_file, strerror(ENAMETOOLONG));
		return -ENAMETOOLONG;
	}
	memcpy(f->key_file, key_file, strlen(key_file) + 1);
	return ex_audit_keys_load(f->key_file, &f->keys);
}

static int log_begin(struct ex_audit_file *f, const char *path)
{
	int r = find_place(f, path);

	if (r == 0)
		r = file_start(f);
	if (r < 0)
		ex_error("audit log %s: %s", path,
			 r == -EBUSY ? "another process writes it" : ex_output_error(r));
	return r;
}

int ex_audit_file_open(const struct ex_audit_file_options *options, struct ex_audit_file **ret)
{
	struct ex_audit_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->sink.fd = f->dir = -1;
	f->rotate_bytes = options->rotate_bytes ? options->rotate_bytes : ROTATE_BYTES;
	f->rotate_at = f->rotate_bytes;
	f->keep = options->keep ? options->keep : KEEP;
	f->batch = malloc(BATCH_BYTES);
	r = f->batch ? keys_open(f, options->key_file) : -ENOMEM;
	if (r == 0)
		r = log_begin(f, options->path);
	if (r < 0) {
		ex_audit_file_close(f);
		return r;
	}
	ex_audit_file_sync(f);
	f->sink.log = true;
	*ret = f;
	return 0;
}

void ex_audit_file_close(struct ex_audit_file *f)
{
	if (!f)
		return;
	if (f->loop)
		ex_timer_stop(f->loop, &f->head_due);
	if (f->sink.fd >= 0) {
		ex_audit_file_sync(f);
		close(f->sink.fd);
	}
	ex_closep(&f->dir);
	ex_audit_keys_wipe(&f->keys);
	free(f->batch);
	free(f);
}

/* ---- records ---- */

/* As many as are sealed at once go into f->batch, whose length it is. *next is the chain then. */
static size_t seal_some(struct ex_audit_file *f, struct ex_span *lines, struct ex_chain *next,
			size_t *ret_n)
{
	const struct ex_audit_key *key = ex_audit_keys_current(&f->keys);
	size_t at = 0;

	*next = f->chain;
	*ret_n = 0;
	while (lines->len) {
		struct ex_span rest = *lines, line = ex_audit_line_take(&rest);
		struct ex_chain before = *next;
		ssize_t n;

		if (line.len + EX_CHAIN_TAIL_MAX > BATCH_BYTES - at)
			break;
		memcpy(f->batch + at, line.ptr, line.len);
		n = ex_chain_seal(&before, key, f->batch + at, line.len, next);
		if (n < 0) {
			*next = before;
			break;
		}
		at += (size_t)n;
		*lines = rest;
		++*ret_n;
	}
	return at;
}

/* Only so many of the lines in f->batch went out: the chain ends with the last of them. */
static void stop_chain_at(struct ex_audit_file *f, struct ex_span lines, size_t n)
{
	struct ex_span line = { 0 };
	struct ex_chain_link link;

	for (size_t i = 0; i < n; i++)
		line = ex_audit_line_take(&lines);
	if (n == 0 || !ex_chain_parse((struct ex_span){ line.ptr, line.len - 1 }, &link))
		return;
	f->chain.n = link.n;
	memcpy(f->chain.mac, link.mac, sizeof(link.mac));
	f->size += (size_t)(line.ptr + line.len - f->batch);
}

/* False: they did not all go out. */
static bool append_some(struct ex_audit_file *f, struct ex_span *lines, size_t *written)
{
	struct ex_chain next;
	size_t sealed, n, len;

	if (f->size >= f->rotate_at)
		rotate(f);
	len = seal_some(f, lines, &next, &sealed);
	n = ex_audit_sink_lines(&f->sink, (struct ex_span){ f->batch, len });
	*written += n;
	if (n < sealed) {
		stop_chain_at(f, (struct ex_span){ f->batch, len }, n);
		return false;
	}
	f->chain = next;
	f->size += len;
	return sealed > 0;
}

size_t ex_audit_file_append(struct ex_audit_file *f, struct ex_span lines)
{
	struct ex_span rest = lines;
	size_t n = 0;

	while (rest.len && append_some(f, &rest, &n))
		;
	f->stats.written += n;
	f->stats.failed += ex_audit_lines_count(lines) - n;
	if (n)
		head_plan(f);
	return n;
}

void ex_audit_file_stats(const struct ex_audit_file *f, struct ex_audit_file_stats *ret)
{
	*ret = f->stats;
}

int ex_audit_file_reload_keys(struct ex_audit_file *f)
{
	struct ex_audit_keys keys;
	int r;

	if (!f->key_file[0])
		return 0;
	r = ex_audit_keys_load(f->key_file, &keys);
	if (r < 0)
		return r;
	f->keys = keys;
	ex_audit_keys_wipe(&keys);
	return 0;
}
