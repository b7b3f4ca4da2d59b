/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same request said in HTTP/1.1 and in HTTP/2: what is judged of it is the same, and what one
 * of them refuses the other refuses too, so that nobody walks around a refusal by saying it in the
 * other version.
 *
 * Input: lines. Method, host, path, then fields "name: value".
 */
#include <ctype.h>

#include "agent/http/http2_relay.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/http_rewrite.h"

#define FIELDS_MAX 16
#define TEXT_MAX   1024

struct said {
	bool passed;
	struct ex_span method, host, path;
	char text[4096];
	size_t used;
};

struct ask {
	struct ex_span method, host, path;
	struct ex_header f[FIELDS_MAX];
	size_t n;
};

static struct said in_1, in_2;
static size_t heads;

static struct ex_span keep(struct said *s, struct ex_span text)
{
	char *to = s->text + s->used;

	CHECK(text.len <= sizeof(s->text) - s->used);
	memcpy(to, text.ptr, text.len);
	s->used += text.len;
	return (struct ex_span){ to, text.len };
}

static void note(struct said *s, const struct ex_h1_head *head)
{
	s->passed = true;
	s->used = 0;
	s->method = keep(s, head->method);
	s->host = keep(s, head->host);
	s->path = keep(s, head->path);
}

/* Fields that mean something else in each version, each with tests of its own. */
static bool is_of_one_version(struct ex_span name)
{
	static const char *const names[] = {
		"connection",
		"transfer-encoding",
		"upgrade",
		"te",
		"host",
		"content-length",
		"expect",
		"keep-alive",
		"trailer",
		"cookie",
		"proxy-connection",
		"http2-settings",
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++)
		if (ex_span_eq(name, ex_span_str(names[i])))
			return true;
	return name.len == 0 || name.ptr[0] == ':';
}

static bool take_line(struct ex_span *in, struct ex_span *ret)
{
	const char *end = in->len ? memchr(in->ptr, '\n', in->len) : NULL;

	*ret = (struct ex_span){ in->ptr, end ? (size_t)(end - in->ptr) : in->len };
	in->ptr += ret->len + (end != NULL);
	in->len -= ret->len + (end != NULL);
	return ret->len > 0;
}

/* Names are lower case: HTTP/2 knows no other, HTTP/1.1 does not care. */
static bool read_ask(struct ex_span in, struct ask *q)
{
	struct ex_span line;

	memset(q, 0, sizeof(*q));
	if (memchr(in.ptr, '\r', in.len) || memchr(in.ptr, '\0', in.len) ||
	    !take_line(&in, &q->method) || !take_line(&in, &q->host) || !take_line(&in, &q->path))
		return false;
	while (q->n < FIELDS_MAX && take_line(&in, &line)) {
		const char *colon = memchr(line.ptr, ':', line.len);
		struct ex_header *f = &q->f[q->n];

		if (!colon || line.ptr + line.len - colon < 2 || colon[1] != ' ')
			return false;
		f->name = (struct ex_span){ line.ptr, (size_t)(colon - line.ptr) };
		f->value = (struct ex_span){ colon + 2, line.len - f->name.len - 2 };
		for (size_t i = 0; i < f->name.len; i++)
			if (isupper((unsigned char)f->name.ptr[i]))
				return false;
		/* HTTP/1.1 takes spaces around a value off, HTTP/2 has none */
		if (is_of_one_version(f->name) ||
		    (f->value.len && (isblank((unsigned char)f->value.ptr[0]) ||
				      isblank((unsigned char)f->value.ptr[f->value.len - 1]))))
			return false;
		q->n++;
	}
	return true;
}

static void say_in_1(const struct ask *q)
{
	struct rewritten b = { 0 };
	struct ex_h1 *p;
	size_t used;

	rewrite_add(&b, q->method.ptr, q->method.len);
	rewrite_add(&b, " ", 1);
	rewrite_add(&b, q->path.ptr, q->path.len);
	rewrite_add(&b, " HTTP/1.1\r\nhost: ", 17);
	rewrite_add(&b, q->host.ptr, q->host.len);
	for (size_t i = 0; i < q->n; i++) {
		rewrite_add(&b, "\r\n", 2);
		rewrite_add(&b, q->f[i].name.ptr, q->f[i].name.len);
		rewrite_add(&b, ": ", 2);
		rewrite_add(&b, q->f[i].value.ptr, q->f[i].value.len);
	}
	rewrite_add(&b, "\r\n\r\n", 4);
	in_1.passed = false;
	CHECK(ex_h1_new(true, &p) == 0);
	if (ex_h1_feed(p, b.bytes, b.len, &used) == EX_H1_HEAD) {
		/* what does not start with the request line as it was meant is another request */
		CHECK(used == b.len || ex_h1_head(p)->framing != EX_H1_NO_BODY);
		note(&in_1, ex_h1_head(p));
	}
	ex_h1_free(p);
	free(b.bytes);
}

static bool judge(void *arg, const struct ex_h1_head *head, struct ex_h1_denial *d,
		  struct ex_header_edits *edits)
{
	(void)arg;
	(void)d;
	(void)edits;
	note(&in_2, head);
	return true;
}

static uint32_t identity(void *arg, const struct ex_header_edits *edits)
{
	(void)arg;
	(void)edits;
	return 0;
}

static void refused(void *arg, const struct ex_h1_denial *d)
{
	(void)arg;
	CHECK(d->status >= 400);
}

/* An integer of HPACK with a prefix of 7 bits. */
static size_t put_length(uint8_t *p, size_t n)
{
	size_t at = 1;

	if (n < 127) {
		p[0] = (uint8_t)n;
		return 1;
	}
	p[0] = 127;
	for (n -= 127; n >= 128; n >>= 7)
		p[at++] = (uint8_t)(n | 128);
	p[at++] = (uint8_t)n;
	return at;
}

static size_t put_field(uint8_t *p, struct ex_span name, struct ex_span value)
{
	size_t n = 1;

	p[0] = 0;
	n += put_length(p + n, name.len);
	memcpy(p + n, name.ptr, name.len);
	n += name.len;
	n += put_length(p + n, value.len);
	memcpy(p + n, value.ptr, value.len);
	return n + value.len;
}

static void say_in_2(const struct ask *q)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	const struct ex_h2_relay_config config = {
		.heads = &heads,
		.tls = true,
		.sni = q->host,
		.port = 443,
		.judge = judge,
		.identity = identity,
		.refused = refused,
	};
	uint8_t b[9 + 4 * TEXT_MAX], *block = b + 9;
	struct ex_h2_relay *r;
	size_t n = put_field(block, EX_SPAN(":method"), q->method);

	n += put_field(block + n, EX_SPAN(":scheme"), EX_SPAN("https"));
	n += put_field(block + n, EX_SPAN(":authority"), q->host);
	n += put_field(block + n, EX_SPAN(":path"), q->path);
	for (size_t i = 0; i < q->n; i++)
		n += put_field(block + n, q->f[i].name, q->f[i].value);
	memcpy(b, (uint8_t[]){ 0, (uint8_t)(n >> 8), (uint8_t)n, 1, 5, 0, 0, 0, 1 }, 9);
	in_2.passed = false;
	if (ex_h2_relay_new(&config, &r) < 0) {
		CHECK(q->host.len > 253); /* no server name is longer */
		return;
	}
	CHECK(ex_h2_relay_origin(r, EX_H2_ORIGIN_H2) == 0);
	ex_h2_relay_feed(r, EX_H2_WORKLOAD, preface, sizeof(preface) - 1, 0);
	ex_h2_relay_feed(r, EX_H2_WORKLOAD, b, 9 + n, 0);
	ex_h2_relay_free(r);
	CHECK(heads == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ask q;

	if (size == 0 || size > TEXT_MAX ||
	    !read_ask((struct ex_span){ (const char *)data, size }, &q))
		return 0;
	say_in_1(&q);
	say_in_2(&q);
	if (in_2.passed) {
		CHECK(in_1.passed);
		CHECK(ex_span_eq(in_1.method, in_2.method));
		CHECK(ex_span_eq(in_1.host, in_2.host));
		CHECK(ex_span_eq(in_1.path, in_2.path));
	} else if (in_1.passed && ex_span_eq(in_1.host, q.host)) {
		/* With its canonical name as server name there is nothing else to refuse it for. */
		abort();
	}
	return 0;
}
