/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same request said in HTTP/1.1 and in HTTP/2: refused in both or in none, and what is sent on
 * has the same method, path and host. So no refusal of the one is walked around through the other.
 */
#include "tests/unit/http_rewrite.h"

#include "tests/unit/h2_frames.h"

struct ask {
	struct ex_span method, host, path;
	struct ex_header f[3];
	struct ex_span body;
};

#define F(n, v)                                                                                    \
	{                                                                                          \
		{ n, sizeof(n) - 1 },                                                              \
		{                                                                                  \
			v, sizeof(v) - 1                                                           \
		}                                                                                  \
	}
#define ASK(m, h, p, ...)                                                                          \
	{                                                                                          \
		.method = { m, sizeof(m) - 1 }, .host = { h, sizeof(h) - 1 },                      \
		.path = { p, sizeof(p) - 1 }, __VA_ARGS__                                          \
	}
#define METHOD(m)    ASK(m, "api.test", "/ok")
#define HOST(h)      ASK("GET", h, "/ok")
#define PATH(p)      ASK("GET", "api.test", p)
#define FIELDS(...)  ASK("GET", "api.test", "/ok", .f = { __VA_ARGS__ })
#define MOVE(d)      ASK("MOVE", "api.test", "/ok", .f = { F("destination", d) })
#define BODY(m, ...) ASK(m, "api.test", "/ok", .f = { __VA_ARGS__ }, .body = { "a=1", 3 })

/* ---- HTTP/1.1 ---- */

static void put_line(struct rewritten *b, struct ex_span name, struct ex_span value)
{
	rewrite_add(b, name.ptr, name.len);
	rewrite_add(b, ": ", 2);
	rewrite_add(b, value.ptr, value.len);
	rewrite_add(b, "\r\n", 2);
}

/* What goes to the server, NUL-terminated; bytes NULL when refused. */
static void say_in_1(const struct ask *q, struct rewritten *ret)
{
	struct rewritten in = { 0 };

	rewrite_add(&in, q->method.ptr, q->method.len);
	rewrite_add(&in, " ", 1);
	rewrite_add(&in, q->path.ptr, q->path.len);
	rewrite_add(&in, " HTTP/1.1\r\n", 11);
	put_line(&in, EX_SPAN("host"), q->host);
	for (size_t i = 0; i < 3 && q->f[i].name.ptr; i++)
		put_line(&in, q->f[i].name, q->f[i].value);
	rewrite_add(&in, "\r\n", 2);
	rewrite_add(&in, q->body.ptr, q->body.len);
	rewrite_run(ret, true, in.bytes, in.len);
	if (ret->bad || ret->len == 0) {
		free(ret->bytes);
		ret->bytes = NULL;
	} else {
		rewrite_add(ret, "", 1);
	}
	free(in.bytes);
}

/* ---- HTTP/2 ---- */

static const struct seen *say_in_2(const struct ask *q)
{
	uint8_t block[512];
	size_t n = literal(block, EX_SPAN(":method"), q->method);

	n += literal(block + n, EX_SPAN(":scheme"), EX_SPAN("https"));
	n += literal(block + n, EX_SPAN(":authority"), q->host);
	n += literal(block + n, EX_SPAN(":path"), q->path);
	for (size_t i = 0; i < 3 && q->f[i].name.ptr; i++)
		n += literal(block + n, q->f[i].name, q->f[i].value);
	out.len = 0;
	put("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	put_frame(SETTINGS, 0, 0, "", 0);
	put_frame(HEADERS, END_HEADERS | (q->body.len ? 0 : END_STREAM), 1, block, n);
	if (q->body.len)
		put_frame(DATA, END_STREAM, 1, q->body.ptr, q->body.len);
	assert_true(feed() > 0);
	relay_gives(EX_H2_ORIGIN, &w.origin);
	assert_int_equal(w.judged + w.refused, 1);
	return w.judged ? &w.origin.seen[1] : NULL;
}

/* ---- both ---- */

static int parity_open(void **state)
{
	const uint8_t *p;

	world_open(state);
	while (nghttp2_session_mem_send(w.workload.s, &p) > 0)
		; /* what the real client would have said first */
	return 0;
}

static void assert_refused(const struct ask *q)
{
	struct rewritten one;
	void *state = NULL;

	say_in_1(q, &one);
	parity_open(&state);
	if (one.bytes || say_in_2(q))
		fail_msg("passed in HTTP/%s: %.*s %.*s %.*s %.*s", one.bytes ? "1.1" : "2",
			 (int)q->method.len, q->method.ptr, (int)q->host.len, q->host.ptr,
			 (int)q->path.len, q->path.ptr, (int)q->f[0].name.len, q->f[0].name.ptr);
	world_close(&state);
}

static void assert_passes(const struct ask *q)
{
	struct rewritten one;
	const struct seen *two;
	void *state = NULL;
	char head[1024];

	say_in_1(q, &one);
	parity_open(&state);
	two = say_in_2(q);
	if (!one.bytes || !two)
		fail_msg("refused in HTTP/%s: %.*s %.*s %.*s %.*s", one.bytes ? "2" : "1.1",
			 (int)q->method.len, q->method.ptr, (int)q->host.len, q->host.ptr,
			 (int)q->path.len, q->path.ptr, (int)q->f[0].name.len, q->f[0].name.ptr);
	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: %s\r\n", two->method, two->path,
		 two->authority);
	if (strncmp(one.bytes, head, strlen(head)) != 0)
		fail_msg("differ: %s and %s", one.bytes, head);
	free(one.bytes);
	world_close(&state);
}

static void assert_all(const struct ask *q, size_t n, void (*what)(const struct ask *q))
{
	for (size_t i = 0; i < n; i++)
		what(&q[i]);
}

static void test_deny_methods_alike(void **state)
{
	static const struct ask good[] = { METHOD("GET"),      METHOD("HEAD"),   METHOD("POST"),
					   METHOD("PUT"),      METHOD("DELETE"), METHOD("PATCH"),
					   METHOD("OPTIONS"),  METHOD("REPORT"), METHOD("MERGE"),
					   METHOD("PROPFIND"), METHOD("PURGE"),  METHOD("SEARCH") };
	static const struct ask bad[] = { METHOD("get"),     METHOD("Post"),  METHOD("FOO"),
					  METHOD("GETX"),    METHOD("QUERY"), METHOD("G T"),
					  METHOD("GET\t"),   METHOD("G(T"),   METHOD("PRI"),
					  METHOD("CONNECT"), METHOD("TRACE"), METHOD("TRACK"),
					  METHOD("trace"),   METHOD(" GET"),  METHOD("SOURCE") };

	(void)state;
	assert_all(good, EX_ARRAY_SIZE(good), assert_passes);
	assert_all(bad, EX_ARRAY_SIZE(bad), assert_refused);
}

static void test_deny_paths_alike(void **state)
{
	static const struct ask good[] = {
		PATH("/ok/"),       PATH("/ok/%7ea%2D"), PATH("/ok?x=%2f%2e.//"),
		PATH("/ok/%c3%a4"), PATH("/ok/...a"),    PATH("/ok?_methods=DELETE"),
		PATH("/ok/a;b=c"),  PATH("/ok%2fa"),     PATH("/ok?a=_method"),
	};
	static const struct ask bad[] = {
		PATH("*"),
		PATH("ok"),
		PATH("?ok"),
		PATH("//ok"),
		PATH("/ok//a"),
		PATH("/ok/.."),
		PATH("/ok/./a"),
		PATH("/ok/%2e%2E/no"),
		PATH("/ok/.%2e/no"),
		PATH("/ok/..;a/no"),
		PATH("/ok/..%3ba/no"),
		PATH("/ok%2F../no"),
		PATH("/ok%2f%2Fno"),
		PATH("/ok/%2Fno"),
		PATH("/ok%5Cno"),
		PATH("/ok\\no"),
		PATH("/ok%252e"),
		PATH("/ok%00"),
		PATH("/ok%0d%0a"),
		PATH("/ok%c0%ae"),
		PATH("/ok%zz"),
		PATH("/ok%"),
		PATH("/ok#a"),
		PATH("/ok\xc3\xa4"),
		PATH("/ok a"),
		PATH("/ok?a=%00"),
		PATH("/ok?_method=DELETE"),
		PATH("/ok?a=b&%5fMETHOD=DELETE"),
		PATH("/ok?X-HTTP-Method-Override=PUT"),
		PATH("/ok?.method=DELETE"),
		PATH("/ok?%5B_method%5D=DELETE"),
		PATH("/ok/%ef%bc%8e%ef%bc%8e/no"),
		PATH("/ok/..%ef%bc%8fno"),
		PATH("http://api.test/ok"),
		PATH("https://api.test/ok"),
		PATH("api.test:443"),
		PATH("/ok?a=\x7f"),
	};

	(void)state;
	assert_all(good, EX_ARRAY_SIZE(good), assert_passes);
	assert_all(bad, EX_ARRAY_SIZE(bad), assert_refused);
}

/* Of another host than the session's HTTP/2 is 421 at once, which HTTP/1.1 leaves to the judge. */
static void test_deny_authorities_alike(void **state)
{
	static const struct ask good[] = { HOST("api.test"), HOST("API.Test"), HOST("api.test."),
					   HOST("api.test:443") };
	static const struct ask bad[] = {
		HOST(""),
		HOST("api.test,api.test"),
		HOST("user@api.test"),
		HOST("api.test@evil.example"),
		HOST("api.test:"),
		HOST("api.test:0443"),
		HOST("api.test:99999"),
		HOST("api.test/ok"),
		HOST("api.test?"),
		HOST("api.test#"),
		HOST("[api.test]"),
		HOST("api.test\\"),
		HOST("api..test"),
		HOST("api.test.."),
		HOST("-api.test"),
		HOST("api.test%00"),
		HOST("api.t\xc3\xa4st"),
		HOST("0x7f.1"),
		HOST("2130706433"),
		HOST("127.1"),
		HOST("[::ffff:127.1]"),
		HOST("[fe80::1%25eth0]"),
		HOST("*.test"),
	};

	(void)state;
	assert_all(good, EX_ARRAY_SIZE(good), assert_passes);
	assert_all(bad, EX_ARRAY_SIZE(bad), assert_refused);
}

/* Both paths are judged, so both have one form. */
static void test_deny_destinations_alike(void **state)
{
	static const struct ask good[] = {
		METHOD("COPY"),
		METHOD("MOVE"),
		MOVE("/ok/b"),
		MOVE("https://api.test/ok/b"),
		MOVE("HTTP://API.test./ok/b?c"),
		MOVE("/ok/%C3%A4"),
		FIELDS(F("destination", "//any where")),
		ASK("PROPFIND", "api.test", "/ok", .f = { F("destination", "x") }),
		ASK("COPY", "api.test:443", "/ok",
		    .f = { F("destination", "https://api.test:443/b") }),
	};
	static const struct ask bad[] = {
		MOVE(""),
		MOVE("b"),
		MOVE("//api.test/ok/b"),
		MOVE("/ok/../b"),
		MOVE("/ok/%2e%2e/b"),
		MOVE("/ok/%c3%a4"),
		MOVE("/%6fk/b"),
		MOVE("/ok/b#c"),
		MOVE("/ok/b c"),
		MOVE("/ok/\\b"),
		MOVE("https://api.test"),
		MOVE("https://evil.example/ok/b"),
		MOVE("https://api.test@evil.example/ok/b"),
		MOVE("https://api.test:444/ok/b"),
		MOVE("https:///ok/b"),
		MOVE("https:/ok/b"),
		MOVE("ftp://api.test/ok/b"),
		ASK("COPY", "api.test", "/ok",
		    .f = { F("destination", "/ok/b"), F("destination", "/ok/b") }),
		ASK("COPY", "api.test", "/ok", .f = { F("destination", "/ok/../b") }),
	};

	(void)state;
	assert_all(good, EX_ARRAY_SIZE(good), assert_passes);
	assert_all(bad, EX_ARRAY_SIZE(bad), assert_refused);
}

static void test_deny_fields_alike(void **state)
{
	static const struct ask good[] = {
		FIELDS(F("x-tenant", "a"), F("x-tenant", "b")),
		FIELDS(F("x_tenant", "a"), F("x-tenants", "b")),
		FIELDS(F("x.tenant", "a"), F("xtenant", "b"), F("x.tenan-t", "c")),
		FIELDS(F("expect", "100-Continue")),
		FIELDS(F("a", "b\tc"), F("b", "")),
		FIELDS(F("te", "trailers")),
		FIELDS(F("x-forwarded-for", "1.2.3.4")),
	};
	static const struct ask bad[] = {
		FIELDS(F("x-tenant", "a"), F("x_tenant", "b")),
		FIELDS(F("x_tenant", "a"), F("x-tenant", "b")),
		FIELDS(F("x_tenant", "a"), F("x_tenant", "b")),
		FIELDS(F("x-tenant", "a"), F("x.tenant", "b")),
		FIELDS(F("x~tenant", "a"), F("x!tenant", "b")),
		FIELDS(F("x-a_b", "a"), F("z", ""), F("x_a-b", "b")),
		FIELDS(F("expect", "200-ok")),
		FIELDS(F("expect", "100-continue"), F("expect", "100-continue")),
		FIELDS(F("transfer-encoding", "chunked")),
		FIELDS(F("transfer_encoding", "chunked")),
		FIELDS(F("content_length", "0")),
		FIELDS(F("content.length", "0")),
		FIELDS(F("content-length", "00")),
		FIELDS(F("content-length", "+0")),
		FIELDS(F("content-length", "-0")),
		FIELDS(F("content-length", "0, 0")),
		FIELDS(F("content-length", "0"), F("content-length", "0")),
		FIELDS(F("content-length", "")),
		FIELDS(F("content-length", "9223372036854775808")),
		FIELDS(F("content-length", "18446744073709551616")),
		FIELDS(F("host", "evil.example")),
		FIELDS(F("connection", "x-tenant"), F("x-tenant", "a")),
		FIELDS(F("connection", "upgrade"), F("upgrade", "h2c")),
		FIELDS(F("x", "\xc3\xa4")),
		FIELDS(F("x", "a\x80")),
		FIELDS(F("x", "a\x7f")),
		FIELDS(F("x", "a\x01")),
		FIELDS(F("x", "a\0b")),
		FIELDS(F("x", "a\rb")),
		FIELDS(F("x", "a\nb: c")),
		FIELDS(F("x ", "a")),
		FIELDS(F("", "a")),
		FIELDS(F("x\xc3\xa4", "a")),
		FIELDS(F("x(", "a")),
	};

	(void)state;
	assert_all(good, EX_ARRAY_SIZE(good), assert_passes);
	assert_all(bad, EX_ARRAY_SIZE(bad), assert_refused);
}

/* Fields that are dropped in HTTP/1.1, none of which the origin may see in HTTP/2 either. */
static void test_fields_are_dropped_alike(void **state)
{
	static const char *const names[] = {
		"x-http-method-override",
		"x-http-method",
		"x-method-override",
		"x-original-method",
		"x-original-url",
		"x-rewrite-url",
		"x-original-uri",
		"x-request-uri",
		"x-forwarded-uri",
		"x-forwarded-path",
		"x-forwarded-prefix",
		"x-original-host",
		"x-forwarded-host",
		"x-forwarded-server",
		"x-http-host-override",
		"x-host",
		"x-forwarded-method",
		"forwarded",
		"proxy",
		"x-envoy-original-dst-host",
		"x-accel-mapping",
		"x_http_method_override",
		"x.original~url",
		"proxy-authorization",
		"proxy-authenticate",
		"keep_alive",
		"proxy_connection",
		"trailer",
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++) {
		struct ask q = FIELDS(F("accept", "*/*"), F("x", "dropped"));
		struct rewritten one;
		void *s = NULL;

		q.f[1].name = ex_span_str(names[i]);
		say_in_1(&q, &one);
		assert_non_null(one.bytes);
		assert_null(strstr(one.bytes, "dropped"));
		free(one.bytes);
		parity_open(&s);
		assert_string_equal(say_in_2(&q)->fields, "accept: */*\n--\n");
		world_close(&s);
	}
}

/* Blanks around a value: HTTP/1.1 takes them off, HTTP/2 has none to take off. */
static void test_deny_blanks_around_values(void **state)
{
	static const struct ask blank[] = { FIELDS(F("x", " a")), FIELDS(F("x", "a ")),
					    FIELDS(F("x", "\ta")),
					    FIELDS(F("content-length", " 0")) };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(blank); i++) {
		void *s = NULL;

		parity_open(&s);
		assert_null(say_in_2(&blank[i]));
		world_close(&s);
	}
}

/* HTTP/1.1 ends the connection with them; a stream can not be ended so. */
static void test_deny_bodies_where_servers_expect_none(void **state)
{
	static const struct ask good[] = {
		BODY("POST", F("content-length", "3")),
		BODY("POST"),
		BODY("PUT"),
		BODY("PATCH", F("content-length", "3")),
		BODY("DELETE", F("content-length", "3")),
		BODY("PROPFIND"),
	};
	static const struct ask bad[] = {
		BODY("GET", F("content-length", "3")),
		BODY("GET"),
		BODY("HEAD", F("content-length", "3")),
		BODY("HEAD"),
		BODY("OPTIONS", F("content-length", "3")),
		BODY("OPTIONS"),
		BODY("DELETE"),
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(good) + EX_ARRAY_SIZE(bad); i++) {
		bool pass = i < EX_ARRAY_SIZE(good);
		const struct ask *q = pass ? &good[i] : &bad[i - EX_ARRAY_SIZE(good)];
		void *s = NULL;

		parity_open(&s);
		if (!say_in_2(q) == pass)
			fail_msg("%.*s %s", (int)q->method.len, q->method.ptr,
				 pass ? "refused" : "passed");
		world_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deny_methods_alike),
		cmocka_unit_test(test_deny_paths_alike),
		cmocka_unit_test(test_deny_authorities_alike),
		cmocka_unit_test(test_deny_destinations_alike),
		cmocka_unit_test(test_deny_fields_alike),
		cmocka_unit_test(test_fields_are_dropped_alike),
		cmocka_unit_test(test_deny_blanks_around_values),
		cmocka_unit_test(test_deny_bodies_where_servers_expect_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
