/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as they are sent on: written from the parsed head, in one spelling. What a message needs
 * is counted, then reserved, then written; a count that were too low would be an error, not an
 * overflow.
 */
#include <errno.h>

#include "agent/http/chars.h"
#include "agent/http/fields.h"
#include "agent/http/http1.h"

/* What is written anew: status or request line, Host, framing, Connection. */
#define FRAME_MAX 512

#define CHUNK_HEAD_MAX 18 /* sixteen digits, CR LF */

struct writer {
	struct ex_buf *out;
	char *at, *end; /* NULL: no memory */
	bool full;      /* nothing more is written */
};

static struct writer writer_begin(struct ex_buf *out, size_t size)
{
	char *room = ex_buf_reserve(out, size);

	if (!room)
		return (struct writer){ .out = out, .full = true };
	return (struct writer){ .out = out, .at = room, .end = room + size };
}

static int writer_end(const struct writer *w)
{
	if (!w->at)
		return -ENOMEM;
	if (w->full)
		return -EINVAL;
	ex_buf_commit(w->out, (size_t)(w->at - (w->out->data + w->out->end)));
	return 0;
}

static inline char *put_bytes(char *at, const char *bytes, size_t n)
{
	if (n)
		memcpy(at, bytes, n);
	return at + n;
}

static inline bool has_room(struct writer *w, size_t n)
{
	w->full |= n > (size_t)(w->end - w->at);
	return !w->full;
}

static inline void put_span(struct writer *w, struct ex_span s)
{
	if (has_room(w, s.len))
		w->at = put_bytes(w->at, s.ptr, s.len);
}

static inline void put_text(struct writer *w, const char *s)
{
	put_span(w, ex_span_str(s));
}

static void put_header(struct writer *w, struct ex_span name, struct ex_span value)
{
	if (!has_room(w, name.len + value.len + 4))
		return;
	w->at = put_bytes(w->at, name.ptr, name.len);
	w->at = put_bytes(w->at, ": ", 2);
	w->at = put_bytes(w->at, value.ptr, value.len);
	w->at = put_bytes(w->at, "\r\n", 2);
}

static void put_number(struct writer *w, uint64_t n, unsigned base)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = "0123456789abcdef"[n % base];
	while (n /= base);
	put_span(w, (struct ex_span){ digits + at, sizeof(digits) - at });
}

/* ---- heads ---- */

/* Bytes that are enough to write this head with. */
static size_t head_size(const struct ex_h1_head *h)
{
	size_t n = FRAME_MAX + h->method.len + h->path.len + h->authority.len + h->phrase.len +
		   h->upgrade.len;

	for (size_t i = 0; i < h->n_headers; i++)
		n += h->headers[i].name.len + h->headers[i].value.len + 4;
	return n;
}

static void put_length(struct writer *w, uint64_t length)
{
	put_text(w, "Content-Length: ");
	put_number(w, length, 10);
	put_text(w, "\r\n");
}

static void put_framing(struct writer *w, const struct ex_h1_head *head)
{
	switch (head->framing) {
	case EX_H1_NO_BODY:
		if (head->status && head->length_given)
			put_length(w, head->content_length);
		return;
	case EX_H1_LENGTH:
		put_length(w, head->content_length);
		return;
	case EX_H1_CHUNKED:
		put_text(w, "Transfer-Encoding: chunked\r\n");
		return;
	case EX_H1_UNTIL_CLOSE:
		return;
	}
	w->full = true;
}

static void put_connection(struct writer *w, const struct ex_h1_head *head, bool close,
			   bool upgrade)
{
	if (upgrade && head->upgrade.len) {
		put_text(w, "Connection: Upgrade\r\n");
		put_header(w, EX_SPAN("Upgrade"), head->upgrade);
	} else {
		put_text(w, close ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
	}
}

/* Left out of what is copied: this hop's own business, or written anew. */
#define NOT_COPIED (EX_FIELD_HOP | EX_FIELD_REWRITTEN)

int ex_h1_put_request(struct ex_buf *out, const struct ex_h1_head *head, bool close,
		      bool keep_upgrade)
{
	struct writer w = writer_begin(out, head_size(head));

	put_span(&w, head->method);
	put_text(&w, " ");
	put_span(&w, head->path);
	put_text(&w, " HTTP/1.1\r\n");
	put_header(&w, EX_SPAN("Host"), head->authority);
	for (size_t i = 0; i < head->n_headers; i++) {
		const struct ex_header *h = &head->headers[i];

		if (!(ex_field_kinds(h->name) & (NOT_COPIED | EX_FIELD_OVERRIDE)))
			put_header(&w, h->name, h->value);
	}
	put_framing(&w, head);
	put_connection(&w, head, close || ex_h1_body_is_unexpected(head), keep_upgrade);
	put_text(&w, "\r\n");
	return writer_end(&w);
}

/* Chunks may have trailers, which Trailer announces. */
static bool is_copied(const struct ex_h1_head *head, struct ex_span name)
{
	return !(ex_field_kinds(name) & NOT_COPIED) ||
	       (head->framing == EX_H1_CHUNKED && ex_span_is(name, "trailer"));
}

int ex_h1_put_response(struct ex_buf *out, const struct ex_h1_head *head, bool close)
{
	bool interim = head->status / 100 == 1 && head->status != 101;
	struct writer w;

	if (head->status < 100 || head->status > 999)
		return -EINVAL;
	w = writer_begin(out, head_size(head));
	put_text(&w, "HTTP/1.1 ");
	put_number(&w, head->status, 10);
	put_text(&w, " ");
	put_span(&w, head->phrase);
	put_text(&w, "\r\n");
	for (size_t i = 0; i < head->n_headers; i++)
		if (is_copied(head, head->headers[i].name))
			put_header(&w, head->headers[i].name, head->headers[i].value);
	put_framing(&w, head);
	if (!interim)
		put_connection(&w, head, close || head->framing == EX_H1_UNTIL_CLOSE,
			       head->status == 101);
	put_text(&w, "\r\n");
	return writer_end(&w);
}

/* ---- bodies ---- */

int ex_h1_put_body(struct ex_buf *out, struct ex_span body, bool chunked)
{
	struct writer w;

	if (!body.len)
		return 0;
	if (!chunked)
		return ex_buf_append(out, body.ptr, body.len);
	w = writer_begin(out, CHUNK_HEAD_MAX + body.len + 2);
	put_number(&w, body.len, 16);
	put_text(&w, "\r\n");
	put_span(&w, body);
	put_text(&w, "\r\n");
	return writer_end(&w);
}

int ex_h1_put_end(struct ex_buf *out, bool chunked, const struct ex_header *trailers, size_t n)
{
	size_t size = sizeof("0\r\n\r\n") - 1;
	struct writer w;

	if (!chunked)
		return 0;
	for (size_t i = 0; i < n; i++)
		size += trailers[i].name.len + trailers[i].value.len + 4;
	w = writer_begin(out, size);
	put_text(&w, "0\r\n");
	for (size_t i = 0; i < n; i++)
		put_header(&w, trailers[i].name, trailers[i].value);
	put_text(&w, "\r\n");
	return writer_end(&w);
}
