/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 requests: what is accepted, its twins that are refused, and that cutting changes
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/http_trace.h"

#define GET(target, fields) "GET " target " HTTP/1.1\r\nHost: api.example.com\r\n" fields "\r\n"
#define POST(fields, body)  "POST /v1 HTTP/1.1\r\nHost: api.example.com\r\n" fields "\r\n" body

struct bytes {
	const char *ptr;
	size_t len;
};
#define B(lit)                                                                                     \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}

static struct trace whole, cut;

/* The same events however the bytes arrive. */
static void assert_cuts_agree(bool request, struct bytes b)
{
	trace_run(&whole, request, b.ptr, b.len, TRACE_WHOLE, 0);
	trace_run(&cut, request, b.ptr, b.len, TRACE_BYTES, 0);
	assert_string_equal(whole.text, cut.text);
	for (size_t at = 1; at < b.len && b.len < 4096; at++) {
		trace_run(&cut, request, b.ptr, b.len, TRACE_AT, at);
		assert_string_equal(whole.text, cut.text);
	}
}

static void assert_good(struct bytes b)
{
	assert_cuts_agree(true, b);
	if (whole.bad)
		fail_msg("refused (%s): %.*s", whole.error, (int)b.len, b.ptr);
}

static void assert_bad(struct bytes b, enum ex_reason reason)
{
	assert_cuts_agree(true, b);
	if (!whole.bad)
		fail_msg("accepted: %.*s", (int)b.len, b.ptr);
	assert_int_equal(whole.reason, reason);
}

static void assert_all_bad(const struct bytes *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_bad(list[i], EX_R_HTTP_MALFORMED);
}

static void assert_all_good(const struct bytes *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_good(list[i]);
}

static void test_head_tells_method_path_host_and_framing(void **state)
{
	(void)state;
	assert_good(
		(struct bytes)B("POST /v1/%63hat?a=%2f HTTP/1.1\r\nHost: API.Example.com.:8443\r\n"
				"Content-Length: 5\r\nX-A:  b \t\r\nX-Empty:\r\n\r\nhello"));
	assert_string_equal(whole.text,
			    "HEAD POST0 /v1/chat?a=%2F api.example.com:8443 1.1 length 5\n"
			    " Host=API.Example.com.:8443\n Content-Length=5\n X-A=b\n"
			    " X-Empty=\nBODY hello\nEND\n");
}

static void test_pipelined_requests_are_told_one_by_one(void **state)
{
	(void)state;
	assert_good((struct bytes)B(GET("/a", "") POST("Transfer-Encoding: chunked\r\n",
						       "3\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n")
					    GET("/b", "Connection: close\r\n")));
	assert_string_equal(
		whole.text,
		"HEAD GET0 /a api.example.com:0 1.1 none 0\n Host=api.example.com\nEND\n"
		"HEAD POST0 /v1 api.example.com:0 1.1 chunked 0\n Host=api.example.com\n"
		" Transfer-Encoding=chunked\nBODY abcde\nEND\n"
		"HEAD GET0 /b api.example.com:0 1.1 none 0 closes\n"
		" Host=api.example.com\n Connection=close\nEND\n");
}

static void test_line_ends_must_be_crlf(void **state)
{
	static const struct bytes bad[] = {
		B("GET / HTTP/1.1\nHost: a.b\r\n\r\n"),
		B("GET / HTTP/1.1\r\nHost: a.b\n\r\n"),
		B("GET / HTTP/1.1\r\nHost: a.b\r\n\n"),
		B("GET / HTTP/1.1\rHost: a.b\r\r"),
		B("GET / HTTP/1.1\r\nHost: a.b\r\r\n\r\n"),
		B("\r\nGET / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("\nGET / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET / HTTP/1.1\r\nHost: a.b\rX: y\r\n\r\n"),
	};
	(void)state;
	assert_good((struct bytes)B("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
}

static void test_request_line_has_one_form(void **state)
{
	static const struct bytes bad[] = {
		B("GET  / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET /  HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET / HTTP/1.1 \r\nHost: a.b\r\n\r\n"),
		B(" GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET\t/ HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET /\r\nHost: a.b\r\n\r\n"),
		B("GET / HTTP/0.9\r\nHost: a.b\r\n\r\n"),
		B("GET / HTTP/1.2\r\nHost: a.b\r\n\r\n"),
		B("GET / HTTP/2.0\r\nHost: a.b\r\n\r\n"),
		B("GET / http/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET / RTSP/1.0\r\nHost: a.b\r\n\r\n"),
		B("GET / HTTP/01.1\r\nHost: a.b\r\n\r\n"),
		B("GET / HTTP/1.1x\r\nHost: a.b\r\n\r\n"),
		B("/ HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("SOURCE / ICE/1.0\r\nHost: a.b\r\n\r\n"),
		B("G=T / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET /a b HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET /\x01 HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET /\xc3\xa4 HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GET /\0 HTTP/1.1\r\nHost: a.b\r\n\r\n"),
	};
	(void)state;
	assert_good((struct bytes)B("GET / HTTP/1.0\r\nHost: a.b\r\n\r\n"));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
}

static void test_unknown_and_lower_case_methods_are_refused(void **state)
{
	static const struct bytes bad[] = {
		B("get / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("Post / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("FOO / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("GETX / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("DESCRIBE / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("G(T / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
	};
	static const struct bytes good[] = {
		B("PUT / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("PATCH / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("DELETE / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("HEAD / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("OPTIONS / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B("PROPFIND / HTTP/1.1\r\nHost: a.b\r\n\r\n"),
	};
	(void)state;
	assert_all_good(good, EX_ARRAY_SIZE(good));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
	assert_bad((struct bytes)B("QUERY / HTTP/1.1\r\nHost: a.b\r\n\r\n"), EX_R_HTTP_MALFORMED);
	assert_string_equal(whole.error, "unknown method");
}

static void test_attack_06_crlf_and_controls_in_fields_are_refused(void **state)
{
	static const struct bytes bad[] = {
		B(GET("/", "X: a\r\n b\r\n")),
		B(GET("/", "X: a\r\n\tb\r\n")),
		B(GET("/", "X : a\r\n")),
		B(GET("/", "X\t: a\r\n")),
		B(GET("/", " X: a\r\n")),
		B(GET("/", ": a\r\n")),
		B(GET("/", "X\r\n")),
		B(GET("/", "X: a\0b\r\n")),
		B(GET("/", "X: a\x07\r\n")),
		B(GET("/", "X: a\x7f\r\n")),
		B(GET("/", "X: a\x80\r\n")),
		B(GET("/", "X\xc3\xa4: a\r\n")),
		B(GET("/", "X(: a\r\n")),
		B(GET("/", "X\0: a\r\n")),
		B(GET("/a%0d%0aX:%20y", "")),
		B(GET("/%0a", "")),
		B(GET("/%00", "")),
		B(GET("/%1f", "")),
	};
	static const struct bytes good[] = { B(GET("/", "X: a b\tc\r\n")), B(GET("/?q=%0d%0a", "")),
					     B(GET("/", "X-!#$%&'*+-.^_`|~9: a\r\n")) };
	(void)state;
	assert_all_good(good, EX_ARRAY_SIZE(good));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
}

static void test_attack_09_30_only_origin_form_targets(void **state)
{
	static const struct bytes bad[] = {
		B(GET("http://evil.example/", "")),
		B(GET("https://api.example.com/", "")),
		B(GET("*", "")),
		B("OPTIONS * HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		B(GET("api.example.com:443", "")),
		B(GET("//evil.example/", "")),
		B(GET("?a", "")),
		B(GET("#a", "")),
		B(GET("\\evil", "")),
		B(GET("a", "")),
	};
	(void)state;
	assert_good((struct bytes)B(GET("/http:evil", "")));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
}

static void test_attack_19_host_is_there_once(void **state)
{
	static const struct bytes bad[] = {
		B("GET / HTTP/1.1\r\n\r\n"),
		B("GET / HTTP/1.0\r\n\r\n"),
		B("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
		B("GET / HTTP/1.1\r\nHost: a.b\r\nHost: a.b\r\n\r\n"),
		B("GET / HTTP/1.1\r\nHost: a.b\r\nhOST: evil.example\r\n\r\n"),
		B("GET / HTTP/1.1\r\nHost: a.b, c.d\r\n\r\n"),
		B("GET / HTTP/1.1\r\nHost: a.b c.d\r\n\r\n"),
	};
	(void)state;
	assert_good((struct bytes)B("GET / HTTP/1.1\r\nX: y\r\nhOST: a.b\r\n\r\n"));
	assert_good((struct bytes)B("GET / HTTP/1.1\r\nHost: a.b:80\r\n\r\n"));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
}

static void test_attack_29_content_length_has_one_reading(void **state)
{
	static const struct bytes bad[] = {
		B(POST("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
		B(POST("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")),
		B(POST("Content-Length: 5, 5\r\n", "hello")),
		B(POST("Content-Length: +5\r\n", "hello")),
		B(POST("Content-Length: -5\r\n", "hello")),
		B(POST("Content-Length: 0x5\r\n", "hello")),
		B(POST("Content-Length: 05\r\n", "hello")),
		B(POST("Content-Length: 5 \t5\r\n", "hello")),
		B(POST("Content-Length:\r\n", "")),
		B(POST("Content-Length: 5a\r\n", "hello")),
		B(POST("Content-Length: 9223372036854775808\r\n", "hello")),
		B(POST("Content-Length: 18446744073709551621\r\n", "hello")),
		B(POST("Content_Length: 5\r\n", "")),
		B(POST("Content-Length: 5\r\nContent_Length: 5\r\n", "hello")),
	};
	(void)state;
	assert_good((struct bytes)B(POST("Content-Length: 5\r\n", "hello")));
	assert_good((struct bytes)B(POST("Content-Length: 0\r\n", "")));
	assert_good((struct bytes)B(POST("", "")));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
	assert_bad((struct bytes)B(POST("Content-Length: 9223372036854775807\r\n", "hello")),
		   EX_R_HTTP_MALFORMED); /* cut off */
	assert_non_null(strstr(whole.text, "length 9223372036854775807"));
}

static void test_attack_29_transfer_encoding_has_one_reading(void **state)
{
	static const struct bytes bad[] = {
		B(POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")),
		B(POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		       "0\r\n\r\n")),
		B(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding: identity\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding: \x0b"
		       "chunked\r\n",
		       "0\r\n\r\n")),
		B(POST("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding :chunked\r\n", "0\r\n\r\n")),
		B(POST("Transfer_Encoding: chunked\r\n", "0\r\n\r\n")),
		B(POST("Transfer-Encoding:\r\n", "0\r\n\r\n")),
		B("POST / HTTP/1.0\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	};
	(void)state;
	assert_good((struct bytes)B(POST("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")));
	assert_good((struct bytes)B(POST("transfer-encoding: ChunKed \r\n", "0\r\n\r\n")));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
}

#define CHUNKED(body) B(POST("Transfer-Encoding: chunked\r\n", body))

static void test_attack_29_chunks_have_one_reading(void **state)
{
	static const struct bytes bad[] = {
		CHUNKED("5;x=y\r\nhello\r\n0\r\n\r\n"),
		CHUNKED("5;\r\nhello\r\n0\r\n\r\n"),
		CHUNKED("5 \r\nhello\r\n0\r\n\r\n"),
		CHUNKED(" 5\r\nhello\r\n0\r\n\r\n"),
		CHUNKED("5\nhello\r\n0\r\n\r\n"),
		CHUNKED("5\r\nhello\n0\r\n\r\n"),
		CHUNKED("5\r\nhello\r0\r\n\r\n"),
		CHUNKED("5\r\nhellox\r\n0\r\n\r\n"),
		CHUNKED("5\rhello\r\n0\r\n\r\n"),
		CHUNKED("5\r\nhello0\r\n\r\n"),
		CHUNKED("0x5\r\nhello\r\n0\r\n\r\n"),
		CHUNKED("+5\r\nhello\r\n0\r\n\r\n"),
		CHUNKED("-1\r\nhello\r\n0\r\n\r\n"),
		CHUNKED("\r\n0\r\n\r\n"),
		CHUNKED("0\n\r\n"),
		CHUNKED("0\r\n\n"),
		CHUNKED("1000000000000000\r\nhello"),
		CHUNKED("0000000000000005\r\nhello\r\n0\r\n\r\n"),
		CHUNKED("0\r\nX\r\n\r\n"),
		CHUNKED("0\r\n X: y\r\n\r\n"),
		CHUNKED("0\r\nX : y\r\n\r\n"),
		CHUNKED("0\r\nX: \0\r\n\r\n"),
		CHUNKED("0\r\nX: y\r\n z\r\n\r\n"),
		CHUNKED("0;a\r\n\r\n"),
		CHUNKED("5\r\nhello\r\n"),
	};
	static const struct bytes good[] = {
		CHUNKED("5\r\nhello\r\n0\r\n\r\n"),        CHUNKED("A\r\n0123456789\r\n0\r\n\r\n"),
		CHUNKED("005\r\nhello\r\n00\r\n\r\n"),     CHUNKED("0\r\nX: y\r\nZ:\r\n\r\n"),
		CHUNKED("0\r\nContent-Length: 4\r\n\r\n"), /* dropped like any trailer */
	};
	(void)state;
	assert_all_good(good, EX_ARRAY_SIZE(good));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
}

static void test_attack_29_bytes_after_the_last_message_are_refused(void **state)
{
	(void)state;
	assert_bad((struct bytes)B(GET("/", "Connection: close\r\n") "X"), EX_R_HTTP_MALFORMED);
	assert_bad((struct bytes)B("GET / HTTP/1.0\r\nHost: a.b\r\n\r\nGET / HTTP/1.1\r\n"),
		   EX_R_HTTP_MALFORMED);
	assert_bad((struct bytes)B(POST("Content-Length: 5\r\n", "hello!")), EX_R_HTTP_MALFORMED);
	assert_bad((struct bytes)B(POST("Content-Length: 5\r\n", "hell")), EX_R_HTTP_MALFORMED);
}

static void test_attack_26_h2_preface_and_h2c_upgrade_are_refused(void **state)
{
	static const struct bytes h2[] = {
		B("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		B(GET("/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
			   "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n")),
		B(GET("/", "Connection: Upgrade\r\nUpgrade: h2c\r\n")),
		B(GET("/", "Upgrade: H2C\r\n")),
		B(GET("/", "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n")),
		B(GET("/", "HTTP2-Settings: AA\r\n")),
	};
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(h2); i++)
		assert_bad(h2[i], EX_R_H2_UNSUPPORTED);
	assert_good((struct bytes)B(
		GET("/", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n")));
	assert_non_null(strstr(whole.text, "upgrade=websocket"));
}

static void test_upgrade_is_plain_or_refused(void **state)
{
	static const struct bytes bad[] = {
		B(GET("/", "Connection: Upgrade\r\n")),
		B(GET("/", "Connection: Upgrade\r\nUpgrade:\r\n")),
		B(GET("/", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: x\r\n")),
		B(GET("/", "Connection: Upgrade\r\nUpgrade: websocket, x\r\n")),
		/* a rule may ask for it, and the server would not see it */
		B(GET("/", "Upgrade: websocket\r\n")),
	};
	static const struct bytes denied[] = {
		B(POST("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", "x")),
		B(POST("Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
		       "0\r\n\r\n")),
	};
	(void)state;
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
	for (size_t i = 0; i < EX_ARRAY_SIZE(denied); i++)
		assert_bad(denied[i], EX_R_UPGRADE_DENIED);
}

static void test_attack_31_35_connect_and_trace_are_refused(void **state)
{
	(void)state;
	assert_bad((struct bytes)B("CONNECT a.b:443 HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		   EX_R_UPGRADE_DENIED);
	assert_bad((struct bytes)B("CONNECT /x HTTP/1.1\r\nHost: a.b\r\n\r\n"),
		   EX_R_UPGRADE_DENIED);
	assert_bad((struct bytes)B("TRACE / HTTP/1.1\r\nHost: a.b\r\n\r\n"), EX_R_HTTP_DENIED);
	assert_bad((struct bytes)B("TRACK / HTTP/1.1\r\nHost: a.b\r\n\r\n"), EX_R_HTTP_DENIED);
}

static void test_connection_may_not_name_a_field(void **state)
{
	static const struct bytes bad[] = {
		B(GET("/", "Connection: Authorization\r\n")),
		B(GET("/", "Connection: close, Host\r\n")),
		B(GET("/", "Connection: Content-Length\r\n")),
		B(GET("/", "Connection: X-Tenant\r\nX-Tenant: a\r\n")),
	};
	static const struct bytes good[] = {
		B(GET("/", "Connection: Keep-Alive, TE\r\nTE: trailers\r\n")),
		B(GET("/", "Connection: ,close,\r\n"))
	};
	(void)state;
	assert_all_good(good, EX_ARRAY_SIZE(good));
	assert_all_bad(bad, EX_ARRAY_SIZE(bad));
}

static void test_field_names_that_servers_confuse_are_refused_together(void **state)
{
	(void)state;
	assert_good((struct bytes)B(GET("/", "X_Tenant: a\r\nX-Other: b\r\n")));
	assert_good((struct bytes)B(GET("/", "X-Tenant: a\r\nX-Tenant: b\r\n")));
	assert_bad((struct bytes)B(GET("/", "X-Tenant: a\r\nx_tenant: b\r\n")),
		   EX_R_HTTP_MALFORMED);
	assert_bad((struct bytes)B(GET("/", "X_Tenant: a\r\nX_Tenant: b\r\n")),
		   EX_R_HTTP_MALFORMED);
}

static void test_attack_38_expectations_are_known_or_refused(void **state)
{
	(void)state;
	assert_good((struct bytes)B(POST("Expect: 100-Continue\r\nContent-Length: 1\r\n", "x")));
	assert_non_null(strstr(whole.text, " expects"));
	assert_bad((struct bytes)B(POST("Expect: 200-ok\r\nContent-Length: 1\r\n", "x")),
		   EX_R_HTTP_MALFORMED);
	assert_bad((struct bytes)B(POST("Expect: 100-continue\r\nExpect: 100-continue\r\n", "")),
		   EX_R_HTTP_MALFORMED);
}

/* head is written, then the filler n times, then the tail. */
static struct bytes repeated(const char *head, const char *filler, size_t n, const char *tail)
{
	size_t f = strlen(filler), len = strlen(head) + n * f + strlen(tail), at = strlen(head);
	char *s = malloc(len + 1);

	assert_non_null(s);
	memcpy(s, head, at);
	for (size_t i = 0; i < n; i++, at += f)
		memcpy(s + at, filler, f);
	memcpy(s + at, tail, strlen(tail) + 1);
	return (struct bytes){ s, len };
}

static void assert_repeated(const char *head, const char *filler, size_t n, const char *tail,
			    bool good)
{
	struct bytes b = repeated(head, filler, n, tail);

	trace_run(&whole, true, b.ptr, b.len, TRACE_WHOLE, 0);
	assert_int_equal(whole.bad, !good);
	if (!good)
		assert_int_equal(whole.reason, EX_R_HTTP_TOO_LARGE);
	free((void *)(uintptr_t)b.ptr);
}

static void test_attack_38_heads_are_bounded(void **state)
{
	const char *host = "GET / HTTP/1.1\r\nHost: a.b\r\n";

	(void)state;
	assert_repeated(host, "X: y\r\n", EX_H1_HEADERS_MAX - 1, "\r\n", true);
	assert_repeated(host, "X: y\r\n", EX_H1_HEADERS_MAX, "\r\n", false);
	assert_repeated(host, "X: y\r\n", 10000, "\r\n", false);
	assert_repeated("GET /", "a", EX_H1_TARGET_MAX - 1, " HTTP/1.1\r\nHost: a.b\r\n\r\n", true);
	assert_repeated("GET /", "a", EX_H1_TARGET_MAX, " HTTP/1.1\r\nHost: a.b\r\n\r\n", false);
	assert_repeated("GET / HTTP/1.1\r\nHost: a.b\r\nX: ", "y", EX_H1_HEAD_MAX - 34, "\r\n\r\n",
			true);
	assert_repeated("GET / HTTP/1.1\r\nHost: a.b\r\nX: ", "y", EX_H1_HEAD_MAX - 33, "\r\n\r\n",
			false);
	assert_repeated("GET / HTTP/1.1\r\nHost: a.b\r\nX: ", "y", 1 << 20, "\r\n\r\n", false);
	assert_repeated("", "A", 1 << 20, "", false);
	assert_repeated("POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
			"X: y\r\n", 1300, "\r\n", true);
	assert_repeated("POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
			"X: y\r\n", 1400, "\r\n", false);
}

static void test_broken_parser_stays_broken(void **state)
{
	struct ex_h1 *p;
	size_t used;

	(void)state;
	assert_int_equal(ex_h1_new(true, &p), 0);
	assert_int_equal(ex_h1_feed(p, "\n", 1, &used), EX_H1_BAD);
	assert_int_equal(ex_h1_feed(p, GET("/", ""), sizeof(GET("/", "")) - 1, &used), EX_H1_BAD);
	assert_int_equal(ex_h1_feed(p, NULL, 0, &used), EX_H1_BAD);
	assert_int_equal(ex_h1_eof(p), EX_H1_BAD);
	ex_h1_free(p);
}

static void test_eof_between_messages_is_clean_and_within_one_is_not(void **state)
{
	(void)state;
	trace_run(&whole, true, "", 0, TRACE_WHOLE, 0);
	assert_false(whole.bad);
	assert_bad((struct bytes)B("G"), EX_R_HTTP_MALFORMED);
	assert_bad((struct bytes)B("GET / HTTP/1.1\r\nHost: a.b\r\n"), EX_R_HTTP_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head_tells_method_path_host_and_framing),
		cmocka_unit_test(test_pipelined_requests_are_told_one_by_one),
		cmocka_unit_test(test_line_ends_must_be_crlf),
		cmocka_unit_test(test_request_line_has_one_form),
		cmocka_unit_test(test_unknown_and_lower_case_methods_are_refused),
		cmocka_unit_test(test_attack_06_crlf_and_controls_in_fields_are_refused),
		cmocka_unit_test(test_attack_09_30_only_origin_form_targets),
		cmocka_unit_test(test_attack_19_host_is_there_once),
		cmocka_unit_test(test_attack_29_content_length_has_one_reading),
		cmocka_unit_test(test_attack_29_transfer_encoding_has_one_reading),
		cmocka_unit_test(test_attack_29_chunks_have_one_reading),
		cmocka_unit_test(test_attack_29_bytes_after_the_last_message_are_refused),
		cmocka_unit_test(test_attack_26_h2_preface_and_h2c_upgrade_are_refused),
		cmocka_unit_test(test_upgrade_is_plain_or_refused),
		cmocka_unit_test(test_attack_31_35_connect_and_trace_are_refused),
		cmocka_unit_test(test_connection_may_not_name_a_field),
		cmocka_unit_test(test_field_names_that_servers_confuse_are_refused_together),
		cmocka_unit_test(test_attack_38_expectations_are_known_or_refused),
		cmocka_unit_test(test_attack_38_heads_are_bounded),
		cmocka_unit_test(test_broken_parser_stays_broken),
		cmocka_unit_test(test_eof_between_messages_is_clean_and_within_one_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
