/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of bytes and of field names, against what they are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/http/chars.h"
#include "agent/http/fields.h"
#include "agent/http/http1.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"
#define PATH    LETTERS DIGITS "-._~!$&'()*+,;=:@/[]|^"

static void test_every_byte_is_in_its_classes_and_no_other(void **state)
{
	static const struct {
		unsigned class;
		const char *bytes;
	} classes[] = {
		{ EX_CHAR_ALNUM, LETTERS DIGITS },
		{ EX_CHAR_TOKEN, LETTERS DIGITS "!#$%&'*+-.^_`|~" },
		{ EX_CHAR_TEXT, LETTERS DIGITS " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" },
		{ EX_CHAR_PATH, PATH },
		{ EX_CHAR_QUERY, PATH "?{}`" },
		{ EX_CHAR_NAME, LETTERS DIGITS "-" },
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(classes); i++)
		for (int c = 0; c < 256; c++)
			assert_int_equal(ex_char_is((char)c, classes[i].class),
					 c && strchr(classes[i].bytes, c) != NULL);
}

static void test_run_ends_at_the_first_other_byte_or_the_end(void **state)
{
	(void)state;
	assert_int_equal(ex_chars_run("abc:d", 5, EX_CHAR_TOKEN), 3);
	assert_int_equal(ex_chars_run("abc", 2, EX_CHAR_TOKEN), 2);
	assert_int_equal(ex_chars_run("", 0, EX_CHAR_TOKEN), 0);
	assert_int_equal(ex_chars_run("abc", 3, 0), 0);
	assert_int_equal(ex_chars_run("a\0b", 3, EX_CHAR_TEXT), 1);
	assert_int_equal(ex_chars_run("a\xff", 2, EX_CHAR_TEXT), 1);
}

#define HOP       EX_FIELD_HOP
#define FRAMING   EX_FIELD_FRAMING
#define OVERRIDE  EX_FIELD_OVERRIDE
#define REWRITTEN EX_FIELD_REWRITTEN

static const struct {
	const char *name;
	unsigned kinds;
} known[] = {
	{ "connection", HOP },
	{ "keep-alive", HOP },
	{ "proxy-connection", HOP },
	{ "proxy-authorization", HOP },
	{ "proxy-authenticate", HOP },
	{ "transfer-encoding", HOP | FRAMING },
	{ "upgrade", HOP },
	{ "http2-settings", HOP },
	{ "host", FRAMING | REWRITTEN },
	{ "content-length", FRAMING | REWRITTEN },
	{ "te", REWRITTEN },
	{ "trailer", REWRITTEN },
	{ "expect", HOP },
	{ "x-http-method-override", OVERRIDE },
	{ "x-http-method", OVERRIDE },
	{ "x-method-override", OVERRIDE },
	{ "x-original-method", OVERRIDE },
	{ "x-original-url", OVERRIDE },
	{ "x-rewrite-url", OVERRIDE },
	{ "x-original-uri", OVERRIDE },
	{ "x-request-uri", OVERRIDE },
	{ "x-forwarded-uri", OVERRIDE },
	{ "x-forwarded-path", OVERRIDE },
	{ "x-forwarded-prefix", OVERRIDE },
	{ "x-original-host", OVERRIDE },
	{ "x-forwarded-host", OVERRIDE },
	{ "x-forwarded-server", OVERRIDE },
	{ "x-http-host-override", OVERRIDE },
	{ "x-host", OVERRIDE },
	{ "x-forwarded-method", OVERRIDE },
	{ "forwarded", OVERRIDE },
	{ "path-info", OVERRIDE },
	{ "script-name", OVERRIDE },
	{ "x-script-name", OVERRIDE },
	{ "x-original-path", OVERRIDE },
	{ "x-override-url", OVERRIDE },
	{ "x-proxy-url", OVERRIDE },
	{ "x-forwarded-url", OVERRIDE },
	{ "x-replaced-path", OVERRIDE },
	{ "x-matched-path", OVERRIDE },
	{ "x-invoke-path", OVERRIDE },
	{ "x-envoy-original-path", OVERRIDE },
	{ "x-envoy-original-host", OVERRIDE },
	{ "x-waws-unencoded-url", OVERRIDE },
	{ "x-ms-original-url", OVERRIDE },
	{ "x-http-path-override", OVERRIDE },
	{ "x-http-destinationurl", OVERRIDE },
	{ "x-backend-host", OVERRIDE },
	{ "proxy", OVERRIDE },
	{ "disguised-host", OVERRIDE },
	{ "x-sendfile-type", OVERRIDE },
	{ "x-accel-mapping", OVERRIDE },
	{ "x-envoy-original-dst-host", OVERRIDE },
	{ "$wssn", OVERRIDE },
	{ "$wssp", OVERRIDE },
	{ "accept", 0 },
	{ "content-type", 0 },
	{ "cookie", 0 },
	{ "authorization", 0 },
	{ "set-cookie", 0 },
	{ "user-agent", 0 },
	{ "server", 0 },
	{ "x-request-id", 0 },
	{ "x-forwarded-for", 0 },
	{ "", 0 },
};

static void test_a_known_name_means_the_same_however_it_is_spelled(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(known); i++) {
		size_t len = strlen(known[i].name);
		char odd[32], upper[32];

		assert_in_range(len, 0, sizeof(odd) - 1);
		for (size_t k = 0; k < len; k++) {
			char c = known[i].name[k];

			odd[k] = c == '-' ? '_' : c;
			upper[k] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
		}
		assert_int_equal(ex_field_kinds(ex_span_str(known[i].name)), known[i].kinds);
		assert_int_equal(ex_field_kinds((struct ex_span){ odd, len }), known[i].kinds);
		assert_int_equal(ex_field_kinds((struct ex_span){ upper, len }), known[i].kinds);
	}
}

static void test_a_name_one_byte_away_is_another(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(known); i++) {
		size_t len = strlen(known[i].name);
		char other[34];

		if (!known[i].kinds)
			continue;
		memcpy(other, known[i].name, len);
		other[len] = '9';
		assert_int_equal(ex_field_kinds((struct ex_span){ other, len + 1 }), 0);
		for (size_t k = 0; k < len; k++) {
			char was = other[k];

			other[k] = '9';
			assert_int_equal(ex_field_kinds((struct ex_span){ other, len }), 0);
			other[k] = was;
		}
	}
}

static void test_names_longer_than_any_known_mean_nothing(void **state)
{
	static const char name[] = "transfer-encoding-transfer-encoding-transfer-encoding";

	(void)state;
	for (size_t len = 18; len < sizeof(name); len++)
		assert_int_equal(ex_field_kinds((struct ex_span){ name, len }), 0);
	assert_int_equal(ex_field_kinds((struct ex_span){ name, SIZE_MAX }), 0);
}

static bool twins(const char *const *names, size_t n)
{
	struct ex_header fields[8];

	for (size_t i = 0; i < n; i++)
		fields[i] = (struct ex_header){ ex_span_str(names[i]), EX_SPAN("a") };
	return ex_fields_have_twins(fields, n);
}

static void test_fields_that_name_another_object(void **state)
{
	static const char *const are[] = {
		"x-amz-copy-source",          "X-Amz-Copy-Source",
		"x_amz_copy_source",          "x-goog-copy-source",
		"x-ms-copy-source",           "x-oss-copy-source",
		"x-any-copy-source",          "x-amz-rename-source",
		"x-ms-rename-source",         "x-ms-file-rename-source",
		"x-qs-move-source",           "x-qs-fetch-source",
		"x-oss-symlink-target",       "x-symlink-target",
		"x-symlink-target-account",   "x-copy-from",
		"x-copy-from-account",        "x-object-manifest",
		"x-versions-location",        "destination-account",
		"x-ms-previous-snapshot-url", "X.COPY~FROM",
	};
	static const char *const are_not[] = {
		"",
		"x",
		"x-source",
		"copy-source",
		"-copy-source",
		"x-amz-copy-sources",
		"x-amz-copy-sourc",
		"x-amz-copysource",
		"x-amz-copy-source-range",
		"x-amz-meta-source",
		"x-amz-copy-source-if-match",
		"x-amz-website-redirect-location",
		"destination",
		"x-copy-fro",
		"x-copy-from-accounts",
		"date",
		"x-stainless-lang",
		"x-request-source",
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(are); i++)
		if (!ex_field_names_object(ex_span_str(are[i])))
			fail_msg("%s", are[i]);
	for (size_t i = 0; i < EX_ARRAY_SIZE(are_not); i++)
		if (ex_field_names_object(ex_span_str(are_not[i])))
			fail_msg("%s", are_not[i]);
}

static void test_twins_are_found_wherever_they_stand(void **state)
{
	static const char *const all[] = { "accept", "x-b",      "zz",       "x-tenant",
					   "x",      "x-tenant", "X-Tenant", "b" };
	struct ex_header many[EX_H1_HEADERS_MAX + 1] = { 0 };

	(void)state;
	assert_false(twins(all, 8)); /* twice the same is not for here to refuse */
	for (size_t i = 0; i < 8; i++) {
		for (size_t k = 0; k < 8; k++) {
			const char *v[8];

			memcpy(v, all, sizeof(v));
			v[i] = "x_tenant";
			v[k] = "x.tenant";
			assert_true(twins(v, 8));
			v[k] = "x_tenants";
			assert_true(twins(v, 8) == (i != k));
		}
	}
	assert_false(twins((const char *const[]){ "x_a", "x_b", "x_ab", "xa" }, 4));
	assert_true(ex_fields_have_twins(many, EX_H1_HEADERS_MAX + 1));
}

/* A list of its own: what is taken out of the other one is missed here. */
static void test_what_concerns_the_head_has_no_place_in_trailers(void **state)
{
	static const char *const names[] = {
		"te",
		"Trailer",
		"expect",
		"Host",
		"content_length",
		"Transfer-Encoding",
		"connection",
		"upgrade",
		"content-encoding",
		"content-type",
		"content-range",
		"content-location",
		"content-security-policy",
		"strict-transport-security",
		"set-cookie",
		"www-authenticate",
		"authorization",
		"cookie",
		"location",
		"cache-control",
		"expires",
		"age",
		"date",
		"vary",
		"retry-after",
		"pragma",
		"range",
	};
	static const char *const others[] = { "grpc-status", "grpc-message", "server-timing",
					      "etag",        "x-checksum",   "digest" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++)
		assert_false(ex_field_may_trail(ex_span_str(names[i])));
	for (size_t i = 0; i < EX_ARRAY_SIZE(others); i++)
		assert_true(ex_field_may_trail(ex_span_str(others[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_is_in_its_classes_and_no_other),
		cmocka_unit_test(test_run_ends_at_the_first_other_byte_or_the_end),
		cmocka_unit_test(test_a_known_name_means_the_same_however_it_is_spelled),
		cmocka_unit_test(test_a_name_one_byte_away_is_another),
		cmocka_unit_test(test_fields_that_name_another_object),
		cmocka_unit_test(test_twins_are_found_wherever_they_stand),
		cmocka_unit_test(test_names_longer_than_any_known_mean_nothing),
		cmocka_unit_test(test_what_concerns_the_head_has_no_place_in_trailers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
