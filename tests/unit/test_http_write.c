/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent on: one spelling, hop-by-hop and override fields gone, stable when parsed again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "tests/unit/http_rewrite.h"

static void assert_rewrites(bool request, const char *in, const char *out)
{
	struct rewritten w;

	rewrite_run(&w, request, in, strlen(in));
	assert_false(w.bad);
	rewrite_add(&w, "", 1);
	assert_string_equal(w.bytes, out);
	free(w.bytes);
	assert_true(rewrite_check(request, in, strlen(in)) > 0);
}

/* ... and nothing else; then it is empty. */
static void assert_holds(struct ex_buf *out, const char *text)
{
	assert_int_equal(ex_buf_len(out), strlen(text));
	assert_memory_equal(ex_buf_ptr(out), text, strlen(text));
	ex_buf_consume(out, ex_buf_len(out));
}

static void test_request_is_written_from_what_was_parsed(void **state)
{
	(void)state;
	assert_rewrites(
		true,
		"POST /v1/%63hat?x=%2f HTTP/1.0\r\nUser-Agent: a\r\nhost: API.Example.com.\r\n"
		"Content-Length:5\r\naccept:\t*/* \r\n\r\nhello",
		"POST /v1/chat?x=%2F HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: a\r\n"
		"accept: */*\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
}

static void test_chunks_are_written_anew_and_trailers_dropped(void **state)
{
	(void)state;
	assert_rewrites(true,
			"POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: CHUNKED\r\n"
			"Trailer: X\r\n\r\n0A\r\n0123456789\r\n000\r\nX: y\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n"
			"Connection: keep-alive\r\n\r\na\r\n0123456789\r\n0\r\n\r\n");
}

static void test_hop_by_hop_fields_are_removed(void **state)
{
	(void)state;
	assert_rewrites(
		true,
		"GET / HTTP/1.1\r\nHost: a.b:8080\r\nConnection: TE, keep-alive\r\nTE: trailers\r\n"
		"Keep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: Basic eDp5\r\n"
		"Cookie: c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.b:8080\r\nCookie: c\r\n"
		"Connection: keep-alive\r\n\r\n");
}

static void test_attack_34_method_override_fields_are_removed(void **state)
{
	(void)state;
	assert_rewrites(true,
			"POST /ok HTTP/1.1\r\nHost: a.b\r\nX-HTTP-Method-Override: DELETE\r\n"
			"X_Http_Method: PUT\r\nX-Method-Override: PUT\r\nX-Original-URL: /admin\r\n"
			"X-Rewrite-URL: /admin\r\n"
			"X-Forwarded-Host: evil.example\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
			"POST /ok HTTP/1.1\r\nHost: a.b\r\nX-Forwarded-For: 1.2.3.4\r\n"
			"Connection: keep-alive\r\n\r\n");
}

static void test_upgrade_goes_on_only_when_kept(void **state)
{
	static const char in[] =
		"GET /ws HTTP/1.1\r\nHost: a.b\r\nConnection: keep-alive, Upgrade\r\n"
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
	struct ex_buf out = { 0 };
	struct ex_h1 *p;
	size_t used;

	(void)state;
	assert_int_equal(ex_h1_new(true, &p), 0);
	assert_int_equal(ex_h1_feed(p, in, strlen(in), &used), EX_H1_HEAD);
	assert_int_equal(ex_h1_put_request(&out, ex_h1_head(p), false, true), 0);
	assert_holds(&out, "GET /ws HTTP/1.1\r\nHost: a.b\r\nSec-WebSocket-Version: 13\r\n"
			   "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	assert_int_equal(ex_h1_put_request(&out, ex_h1_head(p), false, false), 0);
	assert_holds(&out, "GET /ws HTTP/1.1\r\nHost: a.b\r\nSec-WebSocket-Version: 13\r\n"
			   "Connection: keep-alive\r\n\r\n");
	ex_h1_free(p);
	ex_buf_done(&out);
}

static void test_attack_29_expect_ends_here(void **state)
{
	(void)state;
	assert_rewrites(true,
			"PUT / HTTP/1.1\r\nHost: a.b\r\nexpect: 100-CONTINUE\r\n"
			"Content-Length: 1\r\n\r\nx",
			"PUT / HTTP/1.1\r\nHost: a.b\r\n"
			"Content-Length: 1\r\nConnection: keep-alive\r\n\r\nx");
}

static void test_attack_29_a_body_that_servers_may_not_read_ends_the_connection(void **state)
{
	(void)state;
	assert_rewrites(true, "GET / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\n\r\nGET",
			"GET / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\n"
			"Connection: close\r\n\r\nGET");
	assert_rewrites(true, "GET / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 0\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 0\r\n"
			"Connection: keep-alive\r\n\r\n");
}

static void test_ip6_host_keeps_its_brackets(void **state)
{
	(void)state;
	assert_rewrites(
		true, "GET / HTTP/1.1\r\nHost: [2001:DB8::0:1]:80\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\nConnection: keep-alive\r\n\r\n");
}

static void test_responses_are_written_from_what_was_parsed(void **state)
{
	(void)state;
	assert_rewrites(false,
			"HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n"
			"Connection: Keep-Alive\r\nTrailer: Y\r\nX: \xc3\xa4\r\n\r\n"
			"3;ext=1\r\nabc\r\n0\r\n\r\nHTTP/1.0 204\r\nContent-Length: 7\r\n\r\n",
			"HTTP/1.1 200 OK\r\nServer: x\r\nTrailer: Y\r\nX: \xc3\xa4\r\n"
			"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
			"3\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 \r\nConnection: close\r\n\r\n");
	assert_rewrites(false, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
			"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n"
			"Connection: keep-alive\r\n\r\n");
	assert_rewrites(false, "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest",
			"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"
			"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nrest");
}

/* Nothing of a head that cannot be written is left in the buffer. */
static void test_a_head_that_no_parser_makes_is_not_written(void **state)
{
	struct ex_h1_head request = { .method = EX_SPAN("GET"),
				      .path = EX_SPAN("/"),
				      .authority = EX_SPAN("a.b"),
				      .framing = (enum ex_h1_framing)99 };
	struct ex_h1_head response = { .phrase = EX_SPAN("Odd") };
	static const uint16_t bad[] = { 0, 99, 1000 };
	struct ex_buf out = { 0 };

	(void)state;
	assert_int_equal(ex_buf_append(&out, "before", 6), 0);
	assert_int_equal(ex_h1_put_request(&out, &request, false, false), -EINVAL);
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		response.status = bad[i];
		assert_int_equal(ex_h1_put_response(&out, &response, false), -EINVAL);
	}
	assert_holds(&out, "before");
	ex_buf_done(&out);
}

/* The longest of what is written anew, with the buffer at every fill: ASan sees a byte too many. */
static void test_what_is_counted_is_enough(void **state)
{
	static const char host[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b";
	struct ex_header field = { EX_SPAN("x-y"), EX_SPAN("") };
	struct ex_h1_head head = { .method = EX_SPAN("CHECKOUT"),
				   .path = EX_SPAN("/"),
				   .authority = EX_SPAN(host),
				   .framing = EX_H1_LENGTH,
				   .content_length = UINT64_MAX,
				   .headers = &field,
				   .n_headers = 1 };
	size_t first = 0;

	(void)state;
	for (size_t fill = 0; fill < 5000; fill++) {
		struct ex_buf out = { 0 };

		for (size_t i = 0; i < fill; i++)
			assert_int_equal(ex_buf_append(&out, "x", 1), 0);
		assert_int_equal(ex_h1_put_request(&out, &head, false, false), 0);
		first = fill ? first : ex_buf_len(&out);
		assert_int_equal(ex_buf_len(&out), fill + first);
		ex_buf_done(&out);
	}
}

static void test_body_is_framed_as_its_head_said(void **state)
{
	static const struct ex_header trailers[] = { { EX_SPAN("A"), EX_SPAN("1") },
						     { EX_SPAN("b"), EX_SPAN("") } };
	struct ex_span body = EX_SPAN("0123456789abcdef!");
	struct ex_buf out = { 0 };

	(void)state;
	assert_int_equal(ex_h1_put_body(&out, body, false), 0);
	assert_int_equal(ex_h1_put_end(&out, false, trailers, 2), 0);
	assert_holds(&out, "0123456789abcdef!");
	assert_int_equal(ex_h1_put_body(&out, body, true), 0);
	/* an empty chunk would be the end */
	assert_int_equal(ex_h1_put_body(&out, (struct ex_span){ body.ptr, 0 }, true), 0);
	assert_int_equal(ex_h1_put_body(&out, (struct ex_span){ body.ptr, 10 }, true), 0);
	assert_int_equal(ex_h1_put_end(&out, true, trailers, 2), 0);
	assert_holds(&out, "11\r\n0123456789abcdef!\r\na\r\n0123456789\r\n"
			   "0\r\nA: 1\r\nb: \r\n\r\n");
	assert_int_equal(ex_h1_put_end(&out, true, NULL, 0), 0);
	assert_holds(&out, "0\r\n\r\n");
	ex_buf_done(&out);
}

static ssize_t denial(const struct ex_h1_denial *d, char *out, size_t cap)
{
	ssize_t n = ex_h1_write_denial(d, true, out, cap - 1);

	assert_true(n > 0);
	out[n] = '\0';
	return n;
}

static void test_denial_names_reason_rule_and_remedy(void **state)
{
	static const struct ex_rule_info rule = {
		.policy = "p",
		.ns = "n",
		.where = "egress[1].toPorts[0].rules.http[0]",
		.file = "f",
		.line = 3,
		.col = 1,
	};
	struct ex_h1_denial d = { .status = 403,
				  .reason = EX_R_HTTP_DENIED,
				  .rule = &rule,
				  .method = EX_SPAN("GET"),
				  .host = EX_SPAN("api.openai.com"),
				  .path = EX_SPAN("/v1/models.x?key=sk-secret") };
	char out[4096];
	const char *body;
	struct ex_h1 *p;
	size_t used;

	(void)state;
	denial(&d, out, sizeof(out));
	body = strstr(out, "\r\n\r\n");
	assert_non_null(body);
	assert_string_equal(
		body + 4,
		"{\"error\":{\"message\":\"exeat denied GET api.openai.com/v1/models.x: no rule allows "
		"this method and path\",\"type\":\"exeat_denied\",\"code\":\"http-denied\","
		"\"policy\":\"p\",\"namespace\":\"n\",\"rule\":\"egress[1].toPorts[0].rules.http[0]\","
		"\"method\":\"GET\",\"host\":\"api.openai.com\",\"path\":\"/v1/models.x\","
		"\"remedy\":\"under egress[1].toPorts[0].rules.http add: - {method: \\\"GET\\\", "
		"path: '/v1/models\\\\.x(\\\\?.*)?'}\"}}\n");
	assert_null(strstr(out, "sk-secret"));
	assert_int_equal(ex_h1_new(false, &p), 0);
	assert_int_equal(ex_h1_feed(p, out, strlen(out), &used), EX_H1_HEAD);
	assert_int_equal(ex_h1_head(p)->status, 403);
	assert_true(ex_h1_head(p)->close);
	ex_h1_free(p);
}

static void test_a_preset_is_not_told_to_be_written_into(void **state)
{
	static const struct ex_rule_info rule = {
		.policy = "p",
		.where = "egress[0].preset[0].toPorts[0].rules.http[0]",
	};
	struct ex_h1_denial d = { .status = 403,
				  .reason = EX_R_HTTP_DENIED,
				  .rule = &rule,
				  .method = EX_SPAN("GET"),
				  .host = EX_SPAN("api.openai.com"),
				  .path = EX_SPAN("/v1/responses"),
				  .text = true };
	char out[4096];

	(void)state;
	denial(&d, out, sizeof(out));
	assert_non_null(strstr(out, "\nremedy: beside the preset add a rule for the same "
				    "destination, with rules.http: - {method: \"GET\", "
				    "path: '/v1/responses'}\n"));
}

/* A line for the path would not allow it. */
static void test_denial_that_says_what_is_wrong_suggests_no_line(void **state)
{
	struct ex_h1_denial d = { .status = 403,
				  .reason = EX_R_HTTP_DENIED,
				  .method = EX_SPAN("PUT"),
				  .host = EX_SPAN("a.test"),
				  .path = EX_SPAN("/a") };
	char out[4096];

	(void)state;
	denial(&d, out, sizeof(out));
	assert_non_null(strstr(out, "\"remedy\":"));
	d.detail = "a field that names another object has to be named by the rule";
	denial(&d, out, sizeof(out));
	assert_null(strstr(out, "\"remedy\":"));
	assert_non_null(strstr(out, "\"detail\":\"a field that names another object"));
}

/* Of what was judged all is known that a rule has to name. */
static void test_denial_names_the_fields_and_paths_that_a_rule_needs(void **state)
{
	static const struct ex_header fields[] = { { EX_SPAN("Host"), EX_SPAN("a.test") },
						   { EX_SPAN("X-Amz-Copy-Source"), EX_SPAN("/s") },
						   { EX_SPAN("X-Copy-From"), EX_SPAN("/t") },
						   { EX_SPAN("x-copy-from"), EX_SPAN("/u") } };
	struct ex_h1_head head = { .headers = fields, .n_headers = EX_ARRAY_SIZE(fields) };
	struct ex_h1_denial d = { .status = 403,
				  .reason = EX_R_HTTP_DENIED,
				  .method = EX_SPAN("COPY"),
				  .host = EX_SPAN("a.test"),
				  .path = EX_SPAN("/a.b"),
				  .judged = &head,
				  .text = true,
				  .detail = "told" };
	char out[4096];

	(void)state;
	denial(&d, out, sizeof(out));
	assert_non_null(strstr(out, "\nremedy: under rules.http add: - {method: \"COPY\", "
				    "path: '/a\\.b', headers: [\"X-Amz-Copy-Source\", "
				    "\"X-Copy-From\"]}\n"));
	head.n_headers = 1;
	head.destination = EX_SPAN("/it's?x=sk-secret");
	denial(&d, out, sizeof(out));
	assert_non_null(strstr(out, "path: '/a\\.b|/it''s(\\?.*)?'}\n"));
	assert_null(strstr(out, "sk-secret"));
}

static void test_denial_escapes_and_bounds_what_the_client_sent(void **state)
{
	char path[9000], out[4096];
	struct ex_h1_denial d = { .status = 400,
				  .reason = EX_R_HTTP_MALFORMED,
				  .method = EX_SPAN("G\r\nX: y\"\x1b[31m"),
				  .path = { path, sizeof(path) } };

	(void)state;
	memset(path, '\x1b', sizeof(path));
	denial(&d, out, sizeof(out));
	for (const char *c = strstr(out, "\r\n\r\n") + 4; *c; c++)
		assert_true(*c >= 0x20 || (*c == '\n' && !c[1]));
	assert_non_null(strstr(out, "G??X: y\\\"?[31m"));
}

static bool prefers_text(const char *accept)
{
	struct ex_header h[] = { { EX_SPAN("Host"), EX_SPAN("text/plain") },
				 { EX_SPAN("ACCEPT"), ex_span_str(accept) } };

	return ex_h1_prefers_text(h, 2);
}

static void test_denial_is_text_for_who_accepts_only_text(void **state)
{
	struct ex_h1_denial d = { .status = 403,
				  .reason = EX_R_HTTP_DENIED,
				  .text = true,
				  .method = EX_SPAN("GET"),
				  .host = EX_SPAN("a.b"),
				  .path = EX_SPAN("/x?k=v") };
	char out[4096];

	(void)state;
	denial(&d, out, sizeof(out));
	assert_non_null(strstr(out, "Content-Type: text/plain\r\n"));
	assert_string_equal(
		strstr(out, "\r\n\r\n") + 4,
		"exeat denied GET a.b/x: no rule allows this method and path\n"
		"reason: http-denied\n"
		"remedy: under rules.http add: - {method: \"GET\", path: '/x(\\?.*)?'}\n");
	assert_true(prefers_text("text/plain"));
	assert_true(prefers_text("image/png, Text/HTML;q=0.5"));
	assert_false(prefers_text("text/html, */*;q=0.1"));
	assert_false(prefers_text("text/html, application/xhtml+xml"));
	assert_false(prefers_text("application/json"));
	assert_false(prefers_text("*/*"));
	assert_false(prefers_text(""));
	assert_false(ex_h1_prefers_text(NULL, 0));
}

static void test_denial_of_head_has_no_body(void **state)
{
	struct ex_h1_denial d = { .status = 403, .reason = EX_R_HTTP_DENIED, .head_only = true };
	char out[4096];

	(void)state;
	denial(&d, out, sizeof(out));
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	assert_int_equal(ex_h1_write_denial(&d, true, out, 20), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_is_written_from_what_was_parsed),
		cmocka_unit_test(test_chunks_are_written_anew_and_trailers_dropped),
		cmocka_unit_test(test_hop_by_hop_fields_are_removed),
		cmocka_unit_test(test_attack_34_method_override_fields_are_removed),
		cmocka_unit_test(test_upgrade_goes_on_only_when_kept),
		cmocka_unit_test(test_attack_29_expect_ends_here),
		cmocka_unit_test(
			test_attack_29_a_body_that_servers_may_not_read_ends_the_connection),
		cmocka_unit_test(test_ip6_host_keeps_its_brackets),
		cmocka_unit_test(test_responses_are_written_from_what_was_parsed),
		cmocka_unit_test(test_a_head_that_no_parser_makes_is_not_written),
		cmocka_unit_test(test_what_is_counted_is_enough),
		cmocka_unit_test(test_body_is_framed_as_its_head_said),
		cmocka_unit_test(test_denial_names_reason_rule_and_remedy),
		cmocka_unit_test(test_a_preset_is_not_told_to_be_written_into),
		cmocka_unit_test(test_denial_names_the_fields_and_paths_that_a_rule_needs),
		cmocka_unit_test(test_denial_that_says_what_is_wrong_suggests_no_line),
		cmocka_unit_test(test_denial_escapes_and_bounds_what_the_client_sent),
		cmocka_unit_test(test_denial_is_text_for_who_accepts_only_text),
		cmocka_unit_test(test_denial_of_head_has_no_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
