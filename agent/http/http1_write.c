// SPDX-License-Identifier: Apache-2.0
/* Messages as they are sent on: written from the parsed head, in one spelling. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>

#include "agent/http/chars.h"
#include "agent/http/fields.h"
#include "agent/http/http1_priv.h"

struct writer {
	char *out;
	size_t len, cap;
	bool full;
};

static void put_span(struct writer *w, struct ex_span s)
{
	if (w->full || s.len > w->cap - w->len) {
		w->full = true;
		return;
	}
	if (s.len)
		memcpy(w->out + w->len, s.ptr, s.len);
	w->len += s.len;
}

static void put_text(struct writer *w, const char *s)
{
	put_span(w, ex_span_str(s));
}

static void EX_PRINTF(2, 3) put_fmt(struct writer *w, const char *fmt, ...)
{
	char line[128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		w->full = true;
	else
		put_span(w, (struct ex_span){ line, (size_t)n });
}

static void put_header(struct writer *w, struct ex_span name, struct ex_span value)
{
	put_span(w, name);
	put_text(w, ": ");
	put_span(w, value);
	put_text(w, "\r\n");
}

static ssize_t done(const struct writer *w)
{
	return w->full ? -ENOSPC : (ssize_t)w->len;
}

/* Left out of what is copied: this hop's own business, or written anew below. */
static bool is_ours(struct ex_span name)
{
	static const char *const names[] = { "te", "trailer", "content-length", "host", "expect" };

	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++)
		if (ex_field_is(name, names[i]))
			return true;
	return ex_field_is_hop_by_hop(name);
}

/* What is written anew: status or request line, Host, framing, Connection. */
#define FRAME_MAX 512

size_t ex_h1_write_size(const struct ex_h1_head *h)
{
	size_t n = FRAME_MAX + h->method.len + h->path.len + h->authority.len + h->phrase.len +
		   h->upgrade.len;

	for (size_t i = 0; i < h->n_headers; i++)
		n += h->headers[i].name.len + h->headers[i].value.len + 4;
	return n;
}

static void put_framing(struct writer *w, const struct ex_h1_head *head)
{
	switch (head->framing) {
	case EX_H1_NO_BODY:
		if (head->status && head->length_given)
			put_fmt(w, "Content-Length: %" PRIu64 "\r\n", head->content_length);
		return;
	case EX_H1_LENGTH:
		put_fmt(w, "Content-Length: %" PRIu64 "\r\n", head->content_length);
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

ssize_t ex_h1_write_request(const struct ex_h1_head *head, bool close, bool keep_upgrade, char *out,
			    size_t cap)
{
	struct writer w = { .out = out, .cap = cap };

	put_span(&w, head->method);
	put_text(&w, " ");
	put_span(&w, head->path);
	put_text(&w, " HTTP/1.1\r\n");
	put_header(&w, EX_SPAN("Host"), head->authority);
	for (size_t i = 0; i < head->n_headers; i++) {
		const struct ex_header *h = &head->headers[i];

		if (!is_ours(h->name) && !ex_field_is_override(h->name))
			put_header(&w, h->name, h->value);
	}
	if (head->expect_continue)
		put_text(&w, "Expect: 100-continue\r\n");
	put_framing(&w, head);
	put_connection(&w, head, close || ex_h1_body_is_unexpected(head), keep_upgrade);
	put_text(&w, "\r\n");
	return done(&w);
}

ssize_t ex_h1_write_response(const struct ex_h1_head *head, bool close, char *out, size_t cap)
{
	struct writer w = { .out = out, .cap = cap };
	bool interim = head->status / 100 == 1 && head->status != 101;

	if (head->status < 100 || head->status > 999)
		return -EINVAL;
	put_fmt(&w, "HTTP/1.1 %03u ", (unsigned)head->status);
	put_span(&w, head->phrase);
	put_text(&w, "\r\n");
	for (size_t i = 0; i < head->n_headers; i++)
		if (!is_ours(head->headers[i].name) ||
		    (head->framing == EX_H1_CHUNKED &&
		     ex_span_is(head->headers[i].name, "trailer")))
			put_header(&w, head->headers[i].name, head->headers[i].value);
	put_framing(&w, head);
	if (!interim)
		put_connection(&w, head, close || head->framing == EX_H1_UNTIL_CLOSE,
			       head->status == 101);
	put_text(&w, "\r\n");
	return done(&w);
}

ssize_t ex_h1_write_end(const struct ex_header *trailers, size_t n, char *out, size_t cap)
{
	struct writer w = { .out = out, .cap = cap };

	put_text(&w, "0\r\n");
	for (size_t i = 0; i < n; i++)
		put_header(&w, trailers[i].name, trailers[i].value);
	put_text(&w, "\r\n");
	return done(&w);
}

size_t ex_h1_chunk_head(size_t len, char out[static 20])
{
	return (size_t)snprintf(out, 20, "%zx\r\n", len);
}
