/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/http/fields.h"
#include "agent/http/http2.h"
#include "agent/http/http2_bridge.h"

#define QUEUE_MAX (64 * 1024) /* of a request, written to the server's end and not yet sent */

struct ex_h2_bridge {
	struct ex_h2 *server;
	struct ex_h1 *req;
	struct ex_h2_stream *st; /* of the request under way; NULL: none, or it is over */
	struct ex_buf answer;    /* in HTTP/1.1, not yet taken */
	size_t owed;             /* bytes received for it that are not consumed */
	size_t queued;           /* request bytes the server has not been sent yet */
	bool active;             /* a request was begun and its answer is not whole */
	bool sending;            /* a request was begun and has not been put in to its end */
	bool chunked;            /* the answer goes on in chunks */
	bool to_head;            /* the request was HEAD */
	bool bodiless;           /* so the answer has no body, or its status says so */
	bool goaway, broken;
};

/* ---- the answer ---- */

static void fail(struct ex_h2_bridge *b)
{
	b->broken = true;
	b->active = false;
}

static void done(struct ex_h2_bridge *b)
{
	b->active = false;
}

/* That nothing follows is clear in HTTP/2, and has to be told in HTTP/1.1. */
static void frame_answer(struct ex_h2_bridge *b, struct ex_h1_head *h, bool end)
{
	b->bodiless = b->to_head || h->status < 200 || h->status == 204 || h->status == 304;
	if (b->bodiless) {
		h->framing = EX_H1_NO_BODY;
	} else if (end) {
		h->framing = EX_H1_LENGTH;
		h->content_length = 0;
	}
	b->chunked = h->framing == EX_H1_CHUNKED;
}

static void on_head(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head)
{
	struct ex_h2_bridge *b = arg;
	struct ex_h1_head h = head->h;

	if (st != b->st || !b->active)
		return;
	frame_answer(b, &h, head->end);
	if (ex_h1_put_response(&b->answer, &h, false) < 0)
		fail(b);
	if (head->end && h.status >= 200)
		done(b);
}

static void on_bad(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head,
		   enum ex_reason reason, const char *detail)
{
	struct ex_h2_bridge *b = arg;

	(void)head;
	(void)reason;
	(void)detail;
	if (b->active)
		fail(b);
	if (st)
		ex_h2_reset(st, EX_H2_PROTOCOL_ERROR);
}

static void on_data(void *arg, struct ex_h2_stream *st, const void *bytes, size_t len)
{
	struct ex_h2_bridge *b = arg;

	if (st != b->st || !b->active || len == 0) {
		ex_h2_consume(b->server, st, len);
		return;
	}
	b->owed += len;
	if (b->bodiless ||
	    ex_h1_put_body(&b->answer, (struct ex_span){ bytes, len }, b->chunked) < 0)
		fail(b);
}

static int put_end(struct ex_h2_bridge *b, const struct ex_h2_head *trailers)
{
	struct ex_header fields[EX_H1_HEADERS_MAX];
	size_t n = 0;

	for (size_t i = 0; trailers && i < trailers->h.n_headers; i++) {
		const struct ex_header *f = &trailers->h.headers[i];

		if (n < EX_ARRAY_SIZE(fields) && ex_field_may_trail(f->name))
			fields[n++] = *f;
	}
	return ex_h1_put_end(&b->answer, b->chunked, fields, n);
}

static void on_end(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *trailers)
{
	struct ex_h2_bridge *b = arg;

	if (st != b->st || !b->active)
		return;
	if (put_end(b, trailers) < 0)
		fail(b);
	else
		done(b);
}

static void on_drained(void *arg, struct ex_h2_stream *st, size_t n)
{
	struct ex_h2_bridge *b = arg;

	if (st == b->st)
		b->queued -= n < b->queued ? n : b->queued;
}

static void on_closed(void *arg, struct ex_h2_stream *st, enum ex_h2_error error)
{
	struct ex_h2_bridge *b = arg;

	(void)error;
	if (st != b->st)
		return;
	b->st = NULL;
	b->queued = 0;
	if (b->active) /* an answer that is whole ended before */
		fail(b);
}

static void on_goaway(void *arg)
{
	struct ex_h2_bridge *b = arg;

	b->goaway = true;
}

static const struct ex_h2_events events = {
	.head = on_head,
	.bad = on_bad,
	.data = on_data,
	.end = on_end,
	.drained = on_drained,
	.closed = on_closed,
	.goaway = on_goaway,
};

ssize_t ex_h2_bridge_take(struct ex_h2_bridge *b, struct ex_buf *to, size_t max)
{
	size_t n = ex_buf_len(&b->answer);
	int r;

	if (n > max)
		n = max;
	r = n ? ex_buf_append(to, ex_buf_ptr(&b->answer), n) : 0;
	if (r < 0)
		return r;
	ex_buf_consume(&b->answer, n);
	if (!ex_buf_len(&b->answer)) {
		ex_buf_done(&b->answer);
		ex_h2_consume(b->server, b->st, b->owed);
		b->owed = 0;
	}
	return (ssize_t)n;
}

/* ---- the request ---- */

static int begin(struct ex_h2_bridge *b)
{
	static const bool secret[EX_H1_HEADERS_MAX] = { [0 ... EX_H1_HEADERS_MAX - 1] = true };
	struct ex_header fields[EX_H1_HEADERS_MAX];
	struct ex_h2_head head = { .h = *ex_h1_head(b->req),
				   .scheme = EX_SPAN("https"),
				   .secret = secret };
	EX_AUTO_FREE char *names = NULL;
	size_t text = 1;

	if (head.h.upgrade.len || head.h.n_headers > EX_ARRAY_SIZE(fields))
		return -EPROTO;
	for (size_t i = 0; i < head.h.n_headers; i++) {
		fields[i] = head.h.headers[i];
		text += fields[i].name.len;
	}
	names = malloc(text);
	if (!names)
		return -ENOMEM;
	ex_fields_lower(fields, head.h.n_headers, names);
	head.h.headers = fields;
	head.end = head.h.framing == EX_H1_NO_BODY ||
		   (head.h.framing == EX_H1_LENGTH && head.h.content_length == 0);
	b->to_head = ex_span_eq(head.h.method, EX_SPAN("HEAD"));
	b->chunked = false;
	b->st = ex_h2_request(b->server, &head, b);
	b->active = b->sending = true;
	return b->st ? 0 : -EPROTO;
}

/* The body of a request whose stream is over already is dropped. */
static int pass_body(struct ex_h2_bridge *b, struct ex_span body)
{
	int r = b->st ? ex_h2_write(b->st, body.ptr, body.len) : 0;

	if (r == -EPIPE) /* reset, and not closed yet */
		return 0;
	if (r == 0 && b->st)
		b->queued += body.len;
	return r;
}

static int take_event(struct ex_h2_bridge *b, enum ex_h1_event ev)
{
	switch (ev) {
	case EX_H1_MORE:
		return 0;
	case EX_H1_HEAD:
		return begin(b);
	case EX_H1_BODY:
		return pass_body(b, ex_h1_body(b->req));
	case EX_H1_END:
		b->sending = false;
		return b->st ? ex_h2_finish(b->st, NULL) : 0;
	case EX_H1_BAD:
	case EX_H1_UPGRADED:
		break;
	}
	return -EPROTO;
}

/*
 * The next request waits until the answer to this one is taken, and until this one, which may have
 * been answered early, is sent: what waits here is of one request.
 */
static bool is_answering(const struct ex_h2_bridge *b)
{
	return !b->sending && (b->active || b->queued || ex_buf_len(&b->answer));
}

ssize_t ex_h2_bridge_put(struct ex_h2_bridge *b, const char *bytes, size_t len)
{
	size_t off = 0, used;
	enum ex_h1_event ev;
	int r;

	do {
		if (b->broken || b->queued >= QUEUE_MAX || is_answering(b))
			break;
		used = 0;
		ev = ex_h1_feed(b->req, bytes + off, len - off, &used);
		off += used;
		r = take_event(b, ev);
		if (r < 0) {
			fail(b);
			return r;
		}
	} while (ev != EX_H1_MORE);
	return (ssize_t)off;
}

/* ---- the server's side ---- */

ssize_t ex_h2_bridge_feed(struct ex_h2_bridge *b, const void *bytes, size_t len, uint64_t now_ms)
{
	ssize_t n = ex_h2_feed(b->server, bytes, len, now_ms);

	if (n < 0)
		fail(b);
	return n;
}

ssize_t ex_h2_bridge_pull(struct ex_h2_bridge *b, void *out, size_t cap)
{
	ssize_t n = ex_h2_pull(b->server, out, cap);

	if (n < 0)
		fail(b);
	return n;
}

enum ex_h2_bridge_state ex_h2_bridge_state(const struct ex_h2_bridge *b)
{
	if (b->broken)
		return EX_BRIDGE_BROKEN;
	return b->goaway && !b->active ? EX_BRIDGE_ENDED : EX_BRIDGE_OPEN;
}

int ex_h2_bridge_new(struct ex_h2_bridge **ret)
{
	struct ex_h2_bridge *b = calloc(1, sizeof(*b));
	int r = b ? ex_h1_new(true, &b->req) : -ENOMEM;

	if (r == 0)
		r = ex_h2_new(false, &events, b, &b->server);
	if (r < 0)
		ex_h2_bridge_free(b);
	else
		*ret = b;
	return r;
}

void ex_h2_bridge_free(struct ex_h2_bridge *b)
{
	if (!b)
		return;
	ex_h2_free(b->server);
	ex_h1_free(b->req);
	ex_buf_done(&b->answer);
	free(b);
}
