/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the HTTP/1.1 parser over bytes and tells, as one text, every event it gave. */
#ifndef EXEAT_TESTS_HTTP_TRACE_H
#define EXEAT_TESTS_HTTP_TRACE_H

#include <assert.h>
#include <stdio.h>

#include "agent/http/http1.h"

struct trace {
	char text[16384];
	size_t len;
	bool bad, in_body;
	enum ex_reason reason;
	const char *error;
};

static inline void trace_add(struct trace *t, const char *s, size_t n)
{
	if (n > sizeof(t->text) - 1 - t->len)
		n = sizeof(t->text) - 1 - t->len;
	memcpy(t->text + t->len, s, n);
	t->len += n;
	t->text[t->len] = '\0';
}

#define SP(s) (int)(s).len, (s).len ? (s).ptr : ""

static inline void trace_head(struct trace *t, const struct ex_h1_head *h)
{
	static const char *const framing[] = { "none", "length", "chunked", "close" };
	char line[2048];
	int n = snprintf(line, sizeof(line), "HEAD %.*s%u %.*s %.*s:%u 1.%u %s %llu%s%s%s%.*s\n",
			 SP(h->method), (unsigned)h->status, SP(h->path), SP(h->host),
			 (unsigned)h->host_port, (unsigned)h->minor, framing[h->framing],
			 (unsigned long long)h->content_length, h->close ? " closes" : "",
			 h->expect_continue ? " expects" : "", h->upgrade.len ? " upgrade=" : "",
			 SP(h->upgrade));

	trace_add(t, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
	for (size_t i = 0; i < h->n_headers; i++) {
		n = snprintf(line, sizeof(line), " %.*s=%.*s\n", SP(h->headers[i].name),
			     SP(h->headers[i].value));
		trace_add(t, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
	}
}

/* Body bytes that follow one another are one entry, however they were cut. */
static inline void trace_event(struct trace *t, struct ex_h1 *p, enum ex_h1_event ev)
{
	if (t->in_body && ev != EX_H1_BODY && ev != EX_H1_MORE) {
		trace_add(t, "\n", 1);
		t->in_body = false;
	}
	switch (ev) {
	case EX_H1_MORE:
		return;
	case EX_H1_HEAD:
		trace_head(t, ex_h1_head(p));
		return;
	case EX_H1_BODY:
		if (!t->in_body)
			trace_add(t, "BODY ", 5);
		t->in_body = true;
		trace_add(t, ex_h1_body(p).ptr, ex_h1_body(p).len);
		return;
	case EX_H1_END:
		trace_add(t, "END\n", 4);
		return;
	case EX_H1_BAD:
		t->bad = true;
		t->reason = ex_h1_reason(p);
		t->error = ex_h1_error(p);
		trace_add(t, "BAD\n", 4); /* which reader complained first depends on the cut */
		return;
	case EX_H1_UPGRADED:
		trace_add(t, "UPGRADED\n", 9);
		return;
	}
}

/* Feeds one piece, from a copy of exactly its size, so that sanitizers see an overread. */
static inline bool trace_feed(struct trace *t, struct ex_h1 *p, const char *bytes, size_t len)
{
	char *copy = malloc(len ? len : 1);
	size_t at = 0, used;
	enum ex_h1_event ev;

	assert(copy);
	memcpy(copy, bytes, len);
	do {
		ev = ex_h1_feed(p, copy + at, len - at, &used);
		assert(used <= len - at);
		at += used;
		trace_event(t, p, ev);
	} while (ev != EX_H1_MORE && ev != EX_H1_BAD && ev != EX_H1_UPGRADED);
	assert(ev != EX_H1_MORE || at == len);
	free(copy);
	return ev == EX_H1_MORE;
}

enum trace_cut { TRACE_WHOLE, TRACE_BYTES, TRACE_AT };

static inline void trace_run_parser(struct trace *t, struct ex_h1 *p, const char *bytes, size_t len,
				    enum trace_cut cut, size_t at)
{
	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < len;) {
		size_t n = cut == TRACE_BYTES ? 1 : cut == TRACE_AT && i < at ? at - i : len - i;

		if (!trace_feed(t, p, bytes + i, n))
			return;
		i += n;
	}
	trace_event(t, p, ex_h1_eof(p));
}

static inline void trace_run(struct trace *t, bool request, const char *bytes, size_t len,
			     enum trace_cut cut, size_t at)
{
	struct ex_h1 *p;
	int r = ex_h1_new(request, &p);

	assert(r == 0);
	trace_run_parser(t, p, bytes, len, cut, at);
	ex_h1_free(p);
}

#endif
