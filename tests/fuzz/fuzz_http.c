/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1: no crash; the same events however the bytes are cut; what is sent on parses to the same
 * messages and is written again byte for byte; and a reader too simple to be fooled finds in it
 * exactly as many messages as were judged. Names and paths: a normal form is its own normal form.
 *
 * Input: one byte, even = requests, odd = responses; then the stream.
 */
#include <stdio.h>
#include <sys/types.h>

#include "agent/http/authority.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/http_rewrite.h"
#include "tests/unit/http_trace.h"

static void check_cuts(bool request, const char *bytes, size_t len)
{
	static struct trace whole, cut;

	trace_run(&whole, request, bytes, len, TRACE_WHOLE, 0);
	trace_run(&cut, request, bytes, len, TRACE_BYTES, 0);
	CHECK(strcmp(whole.text, cut.text) == 0);
	trace_run(&cut, request, bytes, len, TRACE_AT, len / 2);
	CHECK(strcmp(whole.text, cut.text) == 0);
}

/* One line without its CR LF; *at moves behind it. */
static struct ex_span take_line(const char *bytes, size_t len, size_t *at)
{
	const char *end = memmem(bytes + *at, len - *at, "\r\n", 2);
	struct ex_span line;

	CHECK(end);
	line = (struct ex_span){ bytes + *at, (size_t)(end - bytes - *at) };
	CHECK(!memchr(line.ptr, '\n', line.len) && !memchr(line.ptr, '\r', line.len));
	CHECK(!memchr(line.ptr, '\0', line.len));
	*at += line.len + 2;
	return line;
}

static bool starts(struct ex_span line, const char *lower)
{
	return line.len >= strlen(lower) && strncasecmp(line.ptr, lower, strlen(lower)) == 0;
}

static void skip_chunks(const char *bytes, size_t len, size_t *at)
{
	for (;;) {
		struct ex_span line = take_line(bytes, len, at);
		size_t n = 0;

		CHECK(line.len > 0 && line.len < 9);
		for (size_t i = 0; i < line.len; i++) {
			const char *d = strchr("0123456789abcdef", line.ptr[i]);

			CHECK(d);
			n = n * 16 + (size_t)(d - "0123456789abcdef");
		}
		CHECK(n <= len - *at);
		*at += n;
		CHECK(take_line(bytes, len, at).len == 0);
		if (n == 0)
			return;
	}
}

/* Counts the requests in what was sent on, reading it as the plainest of servers would. */
static size_t plain_count(const char *bytes, size_t len)
{
	size_t n = 0;

	for (size_t at = 0; at < len; n++) {
		size_t hosts = 0, lengths = 0, codings = 0;
		unsigned long long body = 0;
		struct ex_span line = take_line(bytes, len, &at);

		CHECK(line.len > 9 && memcmp(line.ptr + line.len - 9, " HTTP/1.1", 9) == 0);
		CHECK(memchr(line.ptr, ' ', line.len) != line.ptr + line.len - 9);
		while ((line = take_line(bytes, len, &at)).len) {
			CHECK(line.ptr[0] != ' ' && line.ptr[0] != '\t');
			hosts += starts(line, "host:");
			codings += starts(line, "transfer-encoding:");
			CHECK(!starts(line, "transfer-encoding:") ||
			      ex_span_eq(line, EX_SPAN("Transfer-Encoding: chunked")));
			if (starts(line, "content-length:")) {
				lengths++;
				body = strtoull(line.ptr + 15, NULL, 10);
			}
			CHECK(!starts(line, "x-http-method-override:"));
		}
		CHECK(hosts == 1 && lengths + codings <= 1 && body <= len - at);
		at += body;
		if (codings)
			skip_chunks(bytes, len, &at);
	}
	return n;
}

static void check_sent(const char *bytes, size_t len)
{
	struct rewritten w;

	rewrite_run(&w, true, bytes, len);
	CHECK(plain_count(w.bytes ? w.bytes : "", w.len) == w.messages);
	free(w.bytes);
}

static void check_normal_forms(struct ex_span in)
{
	char out[4096], again[4096], text[EX_AUTHORITY_MAX + 1], text2[EX_AUTHORITY_MAX + 1];
	struct ex_authority a, b;
	ssize_t n = ex_h1_normalise(in, out, sizeof(out));

	if (n >= 0) {
		CHECK((size_t)n <= in.len);
		CHECK(!memmem(out, (size_t)n, "/../", 4) || memchr(out, '?', (size_t)n));
		CHECK(!memmem(out, (size_t)n, "%2F..%2F", 8) || memchr(out, '?', (size_t)n));
		CHECK(!memmem(out, (size_t)n, "%2F%2F", 6) || memchr(out, '?', (size_t)n));
		CHECK(ex_h1_normalise((struct ex_span){ out, (size_t)n }, again, sizeof(again)) ==
		      n);
		CHECK(memcmp(out, again, (size_t)n) == 0);
	}
	if (ex_authority_parse(in, &a) == 0) {
		size_t len = ex_authority_write(&a, text);

		CHECK(ex_authority_parse((struct ex_span){ text, len }, &b) == 0);
		CHECK(ex_authority_write(&b, text2) == len && strcmp(text, text2) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data + 1;
	bool request;

	if (size < 1 || size > 4096)
		return 0;
	request = (data[0] & 1) == 0;
	check_cuts(request, bytes, size - 1);
	rewrite_check(request, bytes, size - 1);
	if (request)
		check_sent(bytes, size - 1);
	check_normal_forms((struct ex_span){ bytes, size - 1 });
	return 0;
}
