/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/proxy/recognise.h"

struct row {
	const char *what;
	struct ex_span bytes;
	enum ex_recognised is;
};

static const struct row rows[] = {
	{ "a request", EX_SPAN("GET / HTTP/1.1\r\n"), EX_IS_HTTP },
	{ "a known method is enough", EX_SPAN("POST /"), EX_IS_HTTP },
	{ "HTTP/0.9", EX_SPAN("GET /\r\n"), EX_IS_HTTP },
	{ "a method in lower case", EX_SPAN("get / "), EX_IS_HTTP },
	{ "a tab behind the method", EX_SPAN("GET\t/"), EX_IS_HTTP },
	{ "a method nobody knows", EX_SPAN("FOO_BAR / HTTP/1.1\r\n"), EX_IS_HTTP },
	{ "a long method", EX_SPAN("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n"),
	  EX_IS_HTTP },
	{ "a version in lower case", EX_SPAN("FOO / http/1.1\r\n"), EX_IS_HTTP },
	{ "tabs for spaces", EX_SPAN("PROPFIND\t/\tHTTP/1.1\r\n"), EX_IS_HTTP },
	{ "digits in the method", EX_SPAN("X1~ / HTTP/1.1\r\n"), EX_IS_HTTP },
	{ "empty lines first", EX_SPAN("\r\n\r\nGET / HTTP/1.1\r\n"), EX_IS_HTTP },
	{ "white space of Unicode first", EX_SPAN("\x0b\x1f\xa0GET / HTTP/1.1\r\n"), EX_IS_HTTP },
	{ "vertical tabs for spaces", EX_SPAN("FOO\x0b/\x0bHTTP/1.1\r\n"), EX_IS_HTTP },
	{ "the preface of HTTP/2", EX_SPAN("PRI * HTTP/2.0\r\n"), EX_IS_HTTP },
	{ "a control character in the target", EX_SPAN("FOO /\x01 HTTP/1.1\r\n"), EX_IS_HTTP },
	{ "a control character, and no end", EX_SPAN("FOO /\x01"), EX_IS_UNDECIDED },
	{ "no version yet", EX_SPAN("FOO /"), EX_IS_UNDECIDED },
	{ "a word", EX_SPAN("FOO"), EX_IS_UNDECIDED },
	{ "white space", EX_SPAN(" \r\n"), EX_IS_UNDECIDED },
	{ "SSH", EX_SPAN("SSH-2.0-OpenSSH_9.2\r\n"), EX_IS_OTHER },
	{ "SMTP", EX_SPAN("EHLO example.org\r\n"), EX_IS_OTHER },
	{ "a colon is no method", EX_SPAN(":x / HTTP/1.1\r\n"), EX_IS_OTHER },
	{ "PostgreSQL", EX_SPAN("\0\0\0\10\4\322\26\57"), EX_IS_OTHER },
	{ "AMQP", EX_SPAN("AMQP\0\0\11\1"), EX_IS_OTHER },
	{ "Redis", EX_SPAN("*1\r\n$4\r\nPING\r\n"), EX_IS_OTHER },
	{ "a TLS handshake", EX_SPAN("\x16\x03\x01"), EX_IS_TLS },
	{ "a TLS alert", EX_SPAN("\x15\x03\x01"), EX_IS_BAD_TLS },
	{ "TLS data", EX_SPAN("\x17"), EX_IS_BAD_TLS },
	{ "an SSLv2 ClientHello", EX_SPAN("\x80\x2e\x01\x03\x01"), EX_IS_BAD_TLS },
	{ "an SSLv2 ClientHello, not yet", EX_SPAN("\x80\x2e"), EX_IS_UNDECIDED },
	{ "high bytes that are none", EX_SPAN("\x80\x2e\x02"), EX_IS_OTHER },
};

static void test_first_bytes_tell_the_protocol(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(rows); i++) {
		enum ex_recognised is = ex_recognise(rows[i].bytes.ptr, rows[i].bytes.len);

		if (is != rows[i].is)
			fail_msg("%s: %d, wanted %d", rows[i].what, (int)is, (int)rows[i].is);
	}
}

/* A decision holds whatever follows, so that no split of the bytes changes it. */
static void test_no_split_changes_the_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(rows); i++) {
		enum ex_recognised whole = ex_recognise(rows[i].bytes.ptr, rows[i].bytes.len);

		for (size_t n = 0; n < rows[i].bytes.len; n++) {
			enum ex_recognised part = ex_recognise(rows[i].bytes.ptr, n);

			if (part != EX_IS_UNDECIDED && part != whole)
				fail_msg("%s: %d after %zu bytes, %d in the end", rows[i].what,
					 (int)part, n, (int)whole);
		}
	}
}

static void test_a_line_without_end_is_nothing(void **state)
{
	static char text[5000];

	(void)state;
	memset(text, '\n', sizeof(text));
	assert_int_equal(ex_recognise(text, 4095), EX_IS_UNDECIDED);
	assert_int_equal(ex_recognise(text, 4096), EX_IS_NOTHING);
	memset(text, 'A', sizeof(text));
	assert_int_equal(ex_recognise(text, 4095), EX_IS_UNDECIDED);
	assert_int_equal(ex_recognise(text, 4096), EX_IS_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_bytes_tell_the_protocol),
		cmocka_unit_test(test_no_split_changes_the_answer),
		cmocka_unit_test(test_a_line_without_end_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
