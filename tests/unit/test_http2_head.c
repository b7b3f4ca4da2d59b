/* SPDX-License-Identifier: Apache-2.0 */
/* What a header block of HTTP/2 means, without what nghttp2 would have refused before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/http/http2_head.h"

struct field {
	const char *name, *value;
};

static struct ex_h2_block block;

/* https://api.example/ with these fields besides. */
static enum ex_reason read_request(const char *method, bool end, const struct field *fields,
				   size_t n)
{
	const struct field pseudo[] = { { ":method", method },
					{ ":scheme", "https" },
					{ ":authority", "api.example:8443" },
					{ ":path", "/" } };
	const char *detail = NULL;
	enum ex_reason r;

	ex_h2_block_reset(&block);
	for (size_t i = 0; i < EX_ARRAY_SIZE(pseudo) + n; i++) {
		const struct field *f =
			i < EX_ARRAY_SIZE(pseudo) ? &pseudo[i] : &fields[i - EX_ARRAY_SIZE(pseudo)];

		assert_true(ex_h2_block_add(&block, ex_span_str(f->name), ex_span_str(f->value),
					    false));
	}
	r = ex_h2_read_request(&block, end, &detail);
	assert_int_equal(r == EX_R_ALLOWED, detail == NULL);
	return r;
}

#define READ_AS(method, end, ...)                                                                  \
	read_request(method, end, (const struct field[]){ __VA_ARGS__ },                           \
		     sizeof((const struct field[]){ __VA_ARGS__ }) / sizeof(struct field))
#define READ(end, ...) READ_AS("POST", end, __VA_ARGS__)

static void test_host_says_what_the_authority_says_and_once(void **state)
{
	(void)state;
	assert_int_equal(READ(true, { "host", "API.example:8443" }), EX_R_ALLOWED);
	assert_int_equal(READ(true, { "host", "api.example:8444" }), EX_R_HTTP_MALFORMED);
	assert_int_equal(READ(true, { "host", "api.example" }), EX_R_HTTP_MALFORMED);
	assert_int_equal(READ(true, { "host", "bpi.example:8443" }), EX_R_HTTP_MALFORMED);
	assert_int_equal(READ(true, { "host", "api.example:8443" }, { "host", "api.example:8443" }),
			 EX_R_HTTP_MALFORMED);
}

static void test_length_is_that_of_the_body_and_told_once(void **state)
{
	(void)state;
	assert_int_equal(READ(false, { "content-length", "5" }), EX_R_ALLOWED);
	assert_int_equal(block.head.h.framing, EX_H1_LENGTH);
	assert_int_equal(READ(true, { "content-length", "0" }), EX_R_ALLOWED);
	assert_int_equal(READ(true, { "content-length", "5" }), EX_R_HTTP_MALFORMED);
	assert_int_equal(READ(false, { "content-length", "05" }), EX_R_HTTP_MALFORMED);
	assert_int_equal(READ(false, { "content-length", "5" }, { "content-length", "5" }),
			 EX_R_HTTP_MALFORMED);
}

static void test_fields_that_a_server_may_take_for_another_are_refused(void **state)
{
	(void)state;
	assert_int_equal(READ(true, { "x-a", "1" }, { "x-b", "2" }), EX_R_ALLOWED);
	assert_int_equal(READ(true, { "x-a", "1" }, { "x_a", "2" }), EX_R_HTTP_MALFORMED);
	assert_int_equal(READ(true, { "content_length", "5" }), EX_R_HTTP_MALFORMED);
	assert_int_equal(READ(true, { "expect", "100-continue" }), EX_R_ALLOWED);
	assert_int_equal(READ(true, { "expect", "200-ok" }), EX_R_HTTP_MALFORMED);
}

/* A rule about the field Upgrade is about both. */
static void test_attack_36_connect_for_websocket_has_the_field_it_stands_for(void **state)
{
	const struct ex_h1_head *h = &block.head.h;

	(void)state;
	assert_int_equal(READ_AS("CONNECT", false, { ":protocol", "websocket" }, { "x-a", "1" }),
			 EX_R_ALLOWED);
	assert_int_equal(h->n_headers, 2);
	assert_true(ex_span_eq(h->headers[1].name, EX_SPAN("upgrade")));
	assert_true(ex_span_eq(h->headers[1].value, EX_SPAN("websocket")));
	assert_int_equal(READ(true, { "x-a", "1" }), EX_R_ALLOWED);
	assert_int_equal(h->n_headers, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_says_what_the_authority_says_and_once),
		cmocka_unit_test(test_length_is_that_of_the_body_and_told_once),
		cmocka_unit_test(test_attack_36_connect_for_websocket_has_the_field_it_stands_for),
		cmocka_unit_test(test_fields_that_a_server_may_take_for_another_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
