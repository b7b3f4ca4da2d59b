/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/internal.h"

#include <errno.h>
#include <sys/socket.h>

#define BUDGET   (256 * 1024)
#define HELD_MAX (96 * 1024) /* what is written at once, in records, and what is said between */

struct transport {
	int fd;
	bool eof;
	bool keeps;    /* what the socket does not take is held */
	bool drained;  /* the socket gave less than was asked for: it had no more */
	size_t budget; /* bytes this call may still take from the socket */
	char *held;    /* written and not sent yet, sent..n_held of it; NULL: all is sent at once */
	size_t sent, n_held, held_cap;
	uint8_t *early; /* off..len of it is still to be read; NULL: all was */
	size_t len, off;
};

/* What was read of the stream before: a ClientHello, which is needed but once. */
static size_t take_early(struct transport *t, char *buf, size_t len)
{
	size_t n = len < t->len - t->off ? len : t->len - t->off;

	memcpy(buf, t->early + t->off, n);
	t->off += n;
	if (t->off == t->len)
		free(EX_TAKE_PTR(t->early));
	return n;
}

static int transport_read(BIO *bio, char *buf, size_t len, size_t *ret)
{
	struct transport *t = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	*ret = 0;
	if (t->early) {
		*ret = take_early(t, buf, len);
		return 1;
	}
	/* The socket stays readable, so a level-triggered loop comes back. */
	if (t->budget == 0) {
		t->drained = true;
		BIO_set_retry_read(bio);
		return 0;
	}
	do {
		n = recv(t->fd, buf, len < t->budget ? len : t->budget, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	t->drained = n < 0 || (size_t)n < len;
	if (n > 0) {
		t->budget -= (size_t)n;
		*ret = (size_t)n;
		return 1;
	}
	if (n == 0)
		t->eof = true;
	else if (errno == EAGAIN)
		BIO_set_retry_read(bio);
	return 0;
}

/* Behind what is held already, in order. */
static bool hold(struct transport *t, const char *buf, size_t len)
{
	size_t need = t->n_held + len;
	char *bigger;

	if (need > HELD_MAX)
		return false;
	if (need > t->held_cap) {
		bigger = realloc(t->held, need);
		if (!bigger)
			return false;
		t->held = bigger;
		t->held_cap = need;
	}
	memcpy(t->held + t->n_held, buf, len);
	t->n_held = need;
	return true;
}

static int transport_write(BIO *bio, const char *buf, size_t len, size_t *ret)
{
	struct transport *t = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	*ret = 0;
	if (t->held) {
		if (!hold(t, buf, len)) {
			BIO_set_retry_write(bio);
			return 0;
		}
		*ret = len;
		return 1;
	}
	do {
		n = send(t->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return 0;
	if (n < 0)
		n = 0;
	if (t->keeps && (size_t)n < len && hold(t, buf + n, len - (size_t)n))
		n = (ssize_t)len;
	*ret = (size_t)n;
	if (n == 0)
		BIO_set_retry_write(bio);
	return n > 0;
}

static long transport_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct transport *t = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH: /* what is held back the session sends: ex_tls_bio_send() */
	case BIO_CTRL_DUP:
		return 1;
	case BIO_CTRL_EOF:
		return t->eof;
	default:
		return 0;
	}
}

static int transport_destroy(BIO *bio)
{
	struct transport *t = BIO_get_data(bio);

	if (t) {
		free(t->held);
		free(t->early);
	}
	free(t); /* the fd is the caller's */
	BIO_set_data(bio, NULL);
	return 1;
}

BIO_METHOD *ex_tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "exeat");

	if (m && BIO_meth_set_read_ex(m, transport_read) &&
	    BIO_meth_set_write_ex(m, transport_write) && BIO_meth_set_ctrl(m, transport_ctrl) &&
	    BIO_meth_set_destroy(m, transport_destroy))
		return m;
	BIO_meth_free(m);
	return NULL;
}

BIO *ex_tls_bio_new(const BIO_METHOD *method, int fd, const void *early, size_t early_len)
{
	BIO *bio = BIO_new(method);
	struct transport *t = malloc(sizeof(*t));
	uint8_t *copy = early_len ? malloc(early_len) : NULL;

	if (!bio || !t || (early_len && !copy)) {
		BIO_free(bio);
		free(t);
		free(copy);
		return NULL;
	}
	if (copy)
		memcpy(copy, early, early_len);
	*t = (struct transport){ .fd = fd, .budget = BUDGET, .early = copy, .len = early_len };
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	return bio;
}

void ex_tls_bio_refill(BIO *bio)
{
	struct transport *t = BIO_get_data(bio);

	t->budget = BUDGET;
}

void ex_tls_bio_hold(BIO *bio, size_t room)
{
	struct transport *t = BIO_get_data(bio);

	if (t->held || room > HELD_MAX)
		return;
	t->held = malloc(room);
	t->held_cap = t->held ? room : 0;
}

void ex_tls_bio_keep(BIO *bio)
{
	struct transport *t = BIO_get_data(bio);

	t->keeps = true;
}

bool ex_tls_bio_holds(BIO *bio)
{
	const struct transport *t = BIO_get_data(bio);

	return t->n_held > t->sent;
}

int ex_tls_bio_send(BIO *bio)
{
	struct transport *t = BIO_get_data(bio);
	size_t before = t->sent;

	while (t->sent < t->n_held) {
		ssize_t n = send(t->fd, t->held + t->sent, t->n_held - t->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		/* That some of it has left is told first; the error shows again. */
		if (n < 0)
			return t->sent > before ? -EAGAIN : -errno;
		t->sent += (size_t)n;
	}
	free(t->held);
	t->held = NULL;
	t->sent = t->n_held = t->held_cap = 0;
	return 0;
}

bool ex_tls_bio_is_drained(BIO *bio)
{
	const struct transport *t = BIO_get_data(bio);

	return t->drained;
}
