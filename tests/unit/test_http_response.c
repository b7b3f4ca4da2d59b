/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 responses: framing by request and status, interim responses, upgrades, early ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/http_trace.h"

static struct trace whole, cut;

/* The events of a response to method, the same however it is cut. */
static void run(const char *method, bool upgrade, const char *bytes, size_t len)
{
	for (size_t at = 0; at <= len + 1; at++) {
		enum trace_cut how = at == 0 ? TRACE_WHOLE : at > len ? TRACE_BYTES : TRACE_AT;
		struct ex_h1 *p;

		assert_int_equal(ex_h1_new(false, &p), 0);
		ex_h1_expect_response_to(p, ex_span_str(method));
		if (upgrade)
			ex_h1_expect_upgrade(p);
		trace_run_parser(at == 0 ? &whole : &cut, p, bytes, len, how, at);
		ex_h1_free(p);
		if (at > 0)
			assert_string_equal(whole.text, cut.text);
	}
}

#define RUN(method, lit) run(method, false, lit, sizeof(lit) - 1)

#define ASSERT_BAD(lit)                                                                            \
	do {                                                                                       \
		RUN("GET", lit);                                                                   \
		if (!whole.bad)                                                                    \
			fail_msg("accepted: %s", lit);                                             \
		assert_int_equal(whole.reason, EX_R_UPSTREAM_PROTOCOL);                            \
	} while (0)

static void test_body_by_length_chunks_or_close(void **state)
{
	(void)state;
	RUN("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	assert_string_equal(whole.text, "HEAD 200  :0 1.1 length 5\n Content-Length=5\n"
					"BODY hello\nEND\n");
	RUN("POST",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n");
	assert_string_equal(whole.text, "HEAD 200  :0 1.1 chunked 0\n Transfer-Encoding=chunked\n"
					"BODY hello\nEND\n");
	RUN("GET", "HTTP/1.1 200 OK\r\n\r\nhello");
	assert_string_equal(whole.text, "HEAD 200  :0 1.1 close 0 closes\nBODY hello\nEND\n");
	RUN("GET", "HTTP/1.1 200 OK\r\n\r\n");
	assert_string_equal(whole.text, "HEAD 200  :0 1.1 close 0 closes\nEND\n");
}

static void test_head_204_and_304_have_no_body(void **state)
{
	(void)state;
	RUN("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	assert_string_equal(whole.text, "HEAD 200  :0 1.1 none 5\n Content-Length=5\nEND\n");
	RUN("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	assert_string_equal(whole.text,
			    "HEAD 200  :0 1.1 none 0\n Transfer-Encoding=chunked\nEND\n");
	RUN("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
	assert_string_equal(whole.text, "HEAD 304  :0 1.1 none 5\n Content-Length=5\nEND\n");
	RUN("GET", "HTTP/1.1 204 No Content\r\n\r\n");
	assert_string_equal(whole.text, "HEAD 204  :0 1.1 none 0\nEND\n");
	RUN("HEAD", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n"
		    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
	assert_string_equal(whole.text, "HEAD 103  :0 1.1 none 0\n Content-Length=5\nEND\n"
					"HEAD 204  :0 1.1 none 0\n Content-Length=5\nEND\n");
}

static void test_head_of_one_response_does_not_reach_the_next(void **state)
{
	(void)state;
	RUN("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
		    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
	assert_string_equal(whole.text,
			    "HEAD 200  :0 1.1 none 2\n Content-Length=2\nEND\n"
			    "HEAD 200  :0 1.1 length 2\n Content-Length=2\nBODY ab\nEND\n");
}

static void test_interim_responses_precede_the_final_one(void **state)
{
	(void)state;
	RUN("HEAD", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
		    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	assert_string_equal(whole.text, "HEAD 100  :0 1.1 none 0\nEND\n"
					"HEAD 103  :0 1.1 none 0\n Link=x\nEND\n"
					"HEAD 200  :0 1.1 none 5\n Content-Length=5\nEND\n");
}

static void test_attack_38_interim_responses_are_bounded(void **state)
{
	char many[17 * 25 + 1];

	(void)state;
	for (size_t i = 0; i < 17; i++)
		memcpy(many + i * 25, "HTTP/1.1 100 Continue\r\n\r\n", 26);
	run("GET", false, many, 16 * 25);
	assert_false(whole.bad);
	run("GET", false, many, 17 * 25);
	assert_true(whole.bad);
}

static void test_upgrade_needs_to_be_asked_for(void **state)
{
	static const char ws[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
				 "Upgrade: websocket\r\n\r\n\x81\x05hello";
	static const char other[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
				    "Upgrade: tunnel\r\n\r\n";
	static const char bare[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

	(void)state;
	run("GET", true, ws, sizeof(ws) - 1);
	assert_non_null(strstr(whole.text, "HEAD 101"));
	assert_non_null(strstr(whole.text, "UPGRADED\n"));
	ASSERT_BAD("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n");
	run("GET", false, ws, sizeof(ws) - 1);
	assert_true(whole.bad);
	run("GET", true, other, sizeof(other) - 1);
	assert_true(whole.bad);
	run("GET", true, bare, sizeof(bare) - 1);
	assert_true(whole.bad);
}

static void test_informational_upgrade_is_ignored(void **state)
{
	(void)state;
	RUN("GET",
	    "HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n");
	assert_false(whole.bad);
	assert_null(strstr(whole.text, "upgrade="));
}

static void test_ambiguous_responses_are_refused(void **state)
{
	(void)state;
	ASSERT_BAD(
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
	ASSERT_BAD("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello");
	ASSERT_BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx");
	ASSERT_BAD("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 200 OK\r\nX : a\r\n\r\n");
	ASSERT_BAD("HTTP/2.0 200 OK\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 20 OK\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 2000 OK\r\n\r\n");
	ASSERT_BAD("HTTP/1.1  200 OK\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 099 OK\r\n\r\n");
	ASSERT_BAD("ICY 200 OK\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 200 O\x01K\r\n\r\n");
	ASSERT_BAD("\r\nHTTP/1.1 200 OK\r\n\r\n");
	ASSERT_BAD("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n");
	ASSERT_BAD("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!");
	ASSERT_BAD("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
	ASSERT_BAD("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 2");
	ASSERT_BAD("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello");
	RUN("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	assert_true(whole.bad);
}

/* ---- bytes that are moved without being read ---- */

static void test_skipped_bytes_are_counted_by_both_readers(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc";
	const char *at = head;
	size_t left = sizeof(head) - 1, used;
	struct ex_h1 *p;

	(void)state;
	assert_int_equal(ex_h1_new(false, &p), 0);
	assert_int_equal(ex_h1_body_rest(p), 0);
	assert_int_equal(ex_h1_feed(p, at, left, &used), EX_H1_HEAD);
	at += used;
	left -= used;
	assert_int_equal(ex_h1_feed(p, at, left, &used), EX_H1_BODY);
	assert_int_equal(used, 3);
	assert_int_equal(ex_h1_body_rest(p), 1000000 - 3 - 1);
	ex_h1_body_skip(p, 1000000 - 3 - 1);
	assert_int_equal(ex_h1_body_rest(p), 0);
	assert_int_equal(ex_h1_feed(p, "xHTTP", 5, &used), EX_H1_BODY);
	assert_int_equal(used, 1);
	assert_int_equal(ex_h1_feed(p, "HTTP", 4, &used), EX_H1_END);
	assert_int_equal(used, 0);
	assert_int_equal(ex_h1_body_rest(p), 0);
	ex_h1_free(p);
}

static void test_chunks_are_not_skipped(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n";
	size_t used;
	struct ex_h1 *p;

	(void)state;
	assert_int_equal(ex_h1_new(false, &p), 0);
	assert_int_equal(ex_h1_feed(p, head, sizeof(head) - 1, &used), EX_H1_HEAD);
	assert_int_equal(ex_h1_feed(p, head + used, sizeof(head) - 1 - used, &used), EX_H1_MORE);
	assert_int_equal(ex_h1_body_rest(p), 0);
	ex_h1_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_skipped_bytes_are_counted_by_both_readers),
		cmocka_unit_test(test_chunks_are_not_skipped),
		cmocka_unit_test(test_body_by_length_chunks_or_close),
		cmocka_unit_test(test_head_204_and_304_have_no_body),
		cmocka_unit_test(test_head_of_one_response_does_not_reach_the_next),
		cmocka_unit_test(test_interim_responses_precede_the_final_one),
		cmocka_unit_test(test_attack_38_interim_responses_are_bounded),
		cmocka_unit_test(test_upgrade_needs_to_be_asked_for),
		cmocka_unit_test(test_informational_upgrade_is_ignored),
		cmocka_unit_test(test_ambiguous_responses_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
