/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forwarder in small: parses a stream, writes every message as it would go on, and checks that
 * what was written parses to the same messages and is written again byte for byte.
 */
#ifndef EXEAT_TESTS_HTTP_REWRITE_H
#define EXEAT_TESTS_HTTP_REWRITE_H

#include <assert.h>

#include "agent/http/http1.h"

struct rewritten {
	char *bytes;
	size_t len, cap;
	size_t messages;
	bool bad, too_large;
};

static inline void rewrite_add(struct rewritten *w, const char *bytes, size_t len)
{
	while (w->cap - w->len < len) {
		w->cap = w->cap ? w->cap * 2 : 4096;
		w->bytes = realloc(w->bytes, w->cap);
		assert(w->bytes);
	}
	if (len)
		memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

/* What was put into out, with which result. */
static inline void rewrite_take(struct rewritten *w, struct ex_buf *out, int r)
{
	assert(r == 0);
	(void)r;
	rewrite_add(w, ex_buf_ptr(out), ex_buf_len(out));
	ex_buf_done(out);
}

static inline void rewrite_head(struct rewritten *w, const struct ex_h1_head *head, bool request)
{
	struct ex_buf out = { 0 };
	int r = request ? ex_h1_put_request(&out, head, head->close, head->upgrade.len > 0)
			: ex_h1_put_response(&out, head, head->close);

	assert(ex_buf_len(&out));
	rewrite_take(w, &out, r);
}

/* All complete messages of the stream, up to the first that is refused. */
static inline void rewrite_run(struct rewritten *w, bool request, const char *bytes, size_t len)
{
	struct ex_h1 *p;
	size_t at = 0, used, start = 0;
	struct ex_buf out = { 0 };
	bool chunked = false;
	enum ex_h1_event ev;
	int r = ex_h1_new(request, &p);

	assert(r == 0);
	memset(w, 0, sizeof(*w));
	do {
		ev = ex_h1_feed(p, bytes + at, len - at, &used);
		assert(used <= len - at);
		at += used;
		if (ev == EX_H1_MORE)
			ev = ex_h1_eof(p);
		if (ev == EX_H1_HEAD) {
			start = w->len;
			chunked = ex_h1_head(p)->framing == EX_H1_CHUNKED;
			rewrite_head(w, ex_h1_head(p), request);
		} else if (ev == EX_H1_BODY) {
			r = ex_h1_put_body(&out, ex_h1_body(p), chunked);
			rewrite_take(w, &out, r);
		} else if (ev == EX_H1_END) {
			r = ex_h1_put_end(&out, chunked, NULL, 0);
			rewrite_take(w, &out, r);
			w->messages++;
			start = w->len;
		}
	} while (ev == EX_H1_HEAD || ev == EX_H1_BODY || ev == EX_H1_END);
	w->bad = ev == EX_H1_BAD;
	w->too_large = w->bad && strstr(ex_h1_error(p), "too ") != NULL;
	w->len = start; /* without the message that did not end */
	ex_h1_free(p);
}

/*
 * Aborts when the second pass differs from the first. Returns the messages of the first. What is
 * written may be a few bytes and two fields longer, so a message at the limit is over it then.
 */
static inline size_t rewrite_check(bool request, const char *bytes, size_t len)
{
	struct rewritten one, two;
	size_t n;

	rewrite_run(&one, request, bytes, len);
	rewrite_run(&two, request, one.bytes ? one.bytes : "", one.len);
	assert(!two.bad || two.too_large);
	assert(two.bad || (one.messages == two.messages && one.len == two.len));
	assert(two.len == 0 || memcmp(one.bytes, two.bytes, two.len) == 0);
	n = one.messages;
	free(one.bytes);
	free(two.bytes);
	return n;
}

#endif
