/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/http/http2_priv.h"

struct ex_h2_trailers {
	size_t n;
	nghttp2_nv nv[];
};

/* ---- streams ---- */

struct ex_h2_stream *ex_h2_stream_new(struct ex_h2 *h, void *user)
{
	struct ex_h2_stream *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->user = user;
	st->h = h;
	ex_link_add(&h->streams, &st->link);
	return st;
}

void ex_h2_stream_free(struct ex_h2_stream *st)
{
	ex_link_remove(&st->link);
	ex_buf_done(&st->out);
	free(st->trailers);
	free(st);
}

/* ---- heads, outgoing ---- */

/* nghttp2 does not write through it; its struct serves both directions. */
static uint8_t *bytes_of(struct ex_span s)
{
	return (uint8_t *)(uintptr_t)s.ptr;
}

static nghttp2_nv nv_make(struct ex_span name, struct ex_span value, bool secret)
{
	return (nghttp2_nv){
		.name = bytes_of(name),
		.namelen = name.len,
		.value = bytes_of(value),
		.valuelen = value.len,
		.flags = secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
	};
}

static size_t nv_fields(nghttp2_nv nv[static EX_H2_NV_MAX], size_t n, const struct ex_h2_head *head,
			bool request)
{
	for (size_t i = 0; i < head->h.n_headers && n < EX_H2_NV_MAX; i++) {
		const struct ex_header *f = &head->h.headers[i];

		if (ex_h2_forwards(f->name, request))
			nv[n++] = nv_make(f->name, f->value, head->secret && head->secret[i]);
	}
	return n;
}

/* ---- bodies, outgoing ---- */

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
		       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct ex_h2_stream *st = source->ptr;
	struct ex_h2 *h = arg;
	size_t have = ex_buf_len(&st->out), n = have < len ? have : len;

	if (n) {
		memcpy(buf, ex_buf_ptr(&st->out), n);
		ex_buf_consume(&st->out, n);
		h->ev->drained(h->arg, st, n);
	}
	if (n < have)
		return (ssize_t)n;
	if (st->reset_due)
		ex_h2_reset(st, st->reset_error);
	if (st->reset_due || !st->out_end) {
		st->out_idle = n == 0;
		return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (st->trailers) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(session, id, st->trailers->nv, st->trailers->n) != 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return (ssize_t)n;
}

static void stream_resume(struct ex_h2_stream *st)
{
	if (!st->out_idle)
		return;
	st->out_idle = false;
	(void)nghttp2_session_resume_data(st->h->session, st->id);
}

int ex_h2_write(struct ex_h2_stream *st, const void *bytes, size_t len)
{
	int r;

	if (st->out_end)
		return -EPIPE;
	r = ex_buf_append(&st->out, bytes, len);
	if (r == 0)
		stream_resume(st);
	return r;
}

/* One block: the struct, its fields, their text. */
static struct ex_h2_trailers *trailers_copy(const struct ex_h2_head *head)
{
	size_t text = 0, max = head->h.n_headers;
	struct ex_h2_trailers *t;
	char *p;

	for (size_t i = 0; i < max; i++)
		text += head->h.headers[i].name.len + head->h.headers[i].value.len;
	t = calloc(1, sizeof(*t) + max * sizeof(t->nv[0]) + text);
	if (!t)
		return NULL;
	p = (char *)&t->nv[max];
	for (size_t i = 0; i < max; i++) {
		struct ex_header f = head->h.headers[i];

		if (!ex_h2_forwards(f.name, false))
			continue;
		f.name.ptr = memcpy(p, f.name.ptr, f.name.len);
		p += f.name.len;
		if (f.value.len)
			f.value.ptr = memcpy(p, f.value.ptr, f.value.len);
		p += f.value.len;
		t->nv[t->n++] = nv_make(f.name, f.value, head->secret && head->secret[i]);
	}
	return t;
}

int ex_h2_finish(struct ex_h2_stream *st, const struct ex_h2_head *trailers)
{
	if (st->out_end)
		return 0;
	if (trailers && trailers->h.n_headers) {
		st->trailers = trailers_copy(trailers);
		if (!st->trailers)
			return -ENOMEM;
	}
	st->out_end = true;
	stream_resume(st);
	return 0;
}

struct ex_h2_stream *ex_h2_request(struct ex_h2 *h, const struct ex_h2_head *head, void *user)
{
	struct ex_h2_stream *st = ex_h2_stream_new(h, user);
	nghttp2_data_provider body = { .source.ptr = st, .read_callback = on_read };
	nghttp2_nv nv[EX_H2_NV_MAX];
	size_t n = 4;

	if (!st)
		return NULL;
	nv[0] = nv_make(EX_SPAN(":method"), head->h.method, false);
	nv[1] = nv_make(EX_SPAN(":scheme"), head->scheme, false);
	nv[2] = nv_make(EX_SPAN(":authority"), head->h.authority, false);
	nv[3] = nv_make(EX_SPAN(":path"), head->h.path, false);
	n = nv_fields(nv, n, head, true);
	st->out_end = head->end;
	st->head_sent = true;
	st->id = nghttp2_submit_request(h->session, NULL, nv, n, head->end ? NULL : &body, st);
	if (st->id > 0)
		return st;
	ex_h2_stream_free(st);
	return NULL;
}

int ex_h2_respond(struct ex_h2_stream *st, const struct ex_h2_head *head)
{
	nghttp2_data_provider body = { .source.ptr = st, .read_callback = on_read };
	nghttp2_session *session = st->h->session;
	unsigned status = head->h.status;
	const char digits[3] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10),
				 (char)('0' + status % 10) };
	nghttp2_nv nv[EX_H2_NV_MAX];
	size_t n;
	int r;

	if (st->head_sent || status < 100 || status > 999)
		return -EINVAL;
	nv[0] = nv_make(EX_SPAN(":status"), (struct ex_span){ digits, sizeof(digits) }, false);
	n = nv_fields(nv, 1, head, false);
	if (status < 200) {
		r = nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, st->id, NULL, nv, n, NULL);
		return r < 0 ? -EPROTO : 0;
	}
	st->head_sent = true;
	st->out_end = head->end;
	r = nghttp2_submit_response(session, st->id, nv, n, head->end ? NULL : &body);
	return r < 0 ? -EPROTO : 0;
}

void ex_h2_reset(struct ex_h2_stream *st, enum ex_h2_error error)
{
	st->out_end = true;
	(void)nghttp2_submit_rst_stream(st->h->session, NGHTTP2_FLAG_NONE, st->id, error);
}

void ex_h2_reset_after(struct ex_h2_stream *st, enum ex_h2_error error)
{
	if (ex_buf_len(&st->out) == 0) {
		ex_h2_reset(st, error);
		return;
	}
	st->out_end = st->reset_due = true;
	st->reset_error = error;
}

void ex_h2_consume(struct ex_h2 *h, const struct ex_h2_stream *st, size_t n)
{
	if (n == 0)
		return;
	if (st)
		(void)nghttp2_session_consume(h->session, st->id, n);
	else
		(void)nghttp2_session_consume_connection(h->session, n);
}
