/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* ---- memory: values may be keys, of which no copy stays where it was freed ---- */

static void wipe(struct ex_buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->end);
	ex_buf_done(b);
}

static int make_room(struct ex_buf *b, size_t len)
{
	struct ex_buf bigger = { 0 };

	if (b->data && b->cap - b->end >= len)
		return 0;
	if (!ex_buf_reserve(&bigger, 2 * (b->end + len)))
		return -ENOMEM;
	if (b->end) {
		memcpy(bigger.data, b->data, b->end);
		ex_buf_commit(&bigger, b->end);
	}
	wipe(b);
	*b = bigger;
	return 0;
}

/* ---- writing ---- */

void ex_pack_bytes(struct ex_pack *p, const void *bytes, size_t len)
{
	if (p->err || !len)
		return;
	p->err = make_room(&p->buf, len);
	if (p->err == 0)
		p->err = ex_buf_append(&p->buf, bytes, len);
}

void ex_pack_u32(struct ex_pack *p, uint32_t v)
{
	ex_pack_bytes(p, &v, sizeof(v));
}

void ex_pack_span(struct ex_pack *p, struct ex_span s)
{
	if (s.len > EX_PACK_MAX)
		p->err = -E2BIG;
	ex_pack_u32(p, (uint32_t)s.len);
	ex_pack_bytes(p, s.ptr, s.len);
}

/* With its NUL, so that it can be used where it lies. */
void ex_pack_str(struct ex_pack *p, const char *s)
{
	ex_pack_span(p, (struct ex_span){ s, strlen(s) + 1 });
}

static int seal(const struct ex_buf *b, const char *name)
{
	EX_AUTO_CLOSE int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno
		       : ex_write_full(fd, (struct ex_span){ ex_buf_ptr(b), ex_buf_len(b) });

	if (r < 0)
		return r;
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : EX_TAKE_FD(fd);
}

int ex_pack_seal(struct ex_pack *p, const char *name)
{
	int r = p->err;

	if (r == 0 && ex_buf_len(&p->buf) > EX_PACK_MAX)
		r = -E2BIG;
	if (r == 0)
		r = seal(&p->buf, name);
	ex_pack_done(p);
	return r;
}

void ex_pack_done(struct ex_pack *p)
{
	wipe(&p->buf);
	*p = (struct ex_pack){ 0 };
}

/* ---- reading ---- */

/* By reading alone: a proxy that is confined has no fstat(2). */
int ex_pack_read(int fd, char **ret, size_t *ret_len)
{
	struct ex_buf b = { 0 };
	off_t at = 0;
	ssize_t n;
	char *to;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPERM;
	do {
		to = at > (off_t)EX_PACK_MAX || make_room(&b, 65536) < 0
			     ? NULL
			     : ex_buf_reserve(&b, 65536);
		n = to ? pread(fd, to, 65536, at) : -1;
		if (n < 0) {
			int r = at > (off_t)EX_PACK_MAX ? -EFBIG : to ? -errno : -ENOMEM;

			wipe(&b);
			return r;
		}
		ex_buf_commit(&b, (size_t)n);
		at += n;
	} while (n > 0);
	*ret = b.data; /* nothing was consumed: it begins there */
	*ret_len = ex_buf_len(&b);
	return 0;
}

void ex_pack_free(char *bytes, size_t len)
{
	if (bytes)
		explicit_bzero(bytes, len);
	free(bytes);
}

static const char *take(struct ex_unpack *u, size_t len)
{
	const char *at = u->at;

	if (u->bad || len > (size_t)(u->end - u->at)) {
		u->bad = true;
		return NULL;
	}
	u->at += len;
	return at;
}

void ex_unpack_bytes(struct ex_unpack *u, void *to, size_t len)
{
	const char *from = take(u, len);

	if (from)
		memcpy(to, from, len);
	else
		memset(to, 0, len);
}

uint32_t ex_unpack_u32(struct ex_unpack *u)
{
	uint32_t v;

	ex_unpack_bytes(u, &v, sizeof(v));
	return v;
}

struct ex_span ex_unpack_span(struct ex_unpack *u)
{
	size_t len = ex_unpack_u32(u);
	const char *from = take(u, len);

	return from ? (struct ex_span){ from, len } : (struct ex_span){ "", 0 };
}

const char *ex_unpack_str(struct ex_unpack *u)
{
	struct ex_span s = ex_unpack_span(u);

	if (s.len && memchr(s.ptr, '\0', s.len) == s.ptr + s.len - 1)
		return s.ptr;
	u->bad = true;
	return "";
}

size_t ex_unpack_count(struct ex_unpack *u, size_t min)
{
	size_t n = ex_unpack_u32(u);

	if (!u->bad && n <= (size_t)(u->end - u->at) / min)
		return n;
	u->bad = true;
	return 0;
}

int ex_unpack_done(const struct ex_unpack *u)
{
	return u->bad || u->at != u->end ? -EBADMSG : 0;
}
