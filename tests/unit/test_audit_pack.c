/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/audit/pack.h"

static struct ex_audit_record sample(void)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_HTTP,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = EX_V_ALLOW,
				       .proto = 6,
				       .reason = EX_R_ALLOWED,
				       .status = 200,
				       .rule = 7,
				       .sport = 1234,
				       .dport = 443,
				       .n_ips = 2 };

	rec.ips[1].b[15] = 9;
	ex_audit_set(rec.name, sizeof(rec.name), EX_SPAN("api.test"));
	ex_audit_set(rec.method, sizeof(rec.method), EX_SPAN("POST"));
	ex_audit_set(rec.path, sizeof(rec.path), EX_SPAN("/v1/chat"));
	return rec;
}

static void test_what_is_packed_is_unpacked(void **state)
{
	uint8_t buf[2 * EX_AUDIT_PACKED_MAX];
	struct ex_audit_record rec = sample(), got;
	size_t n = ex_audit_pack(&rec, buf), m;
	struct ex_span in;

	(void)state;
	assert_true(n < 300);
	memset(rec.path, 'x', sizeof(rec.path) - 1);
	m = ex_audit_pack(&rec, buf + n);
	in = (struct ex_span){ (const char *)buf, n + m };
	assert_true(ex_audit_unpack(&in, &got));
	assert_int_equal(in.len, m);
	assert_string_equal(got.path, "/v1/chat");
	assert_string_equal(got.name, "api.test");
	assert_string_equal(got.sni, "");
	assert_int_equal(got.ips[1].b[15], 9);
	assert_true(ex_audit_unpack(&in, &got));
	assert_int_equal(in.len, 0);
	assert_memory_equal(&got, &rec, sizeof(rec));
}

static void test_a_text_without_end_is_cut_at_its_size(void **state)
{
	uint8_t buf[EX_AUDIT_PACKED_MAX];
	struct ex_audit_record rec, got;
	struct ex_span in = { (const char *)buf, 0 };

	(void)state;
	memset(&rec, 'x', sizeof(rec));
	in.len = ex_audit_pack(&rec, buf);
	assert_true(in.len <= sizeof(buf));
	assert_true(ex_audit_unpack(&in, &got));
	assert_int_equal(strlen(got.path), sizeof(got.path) - 1);
}

static void test_every_shorter_message_is_refused(void **state)
{
	uint8_t buf[EX_AUDIT_PACKED_MAX];
	struct ex_audit_record rec = sample(), got;
	size_t n = ex_audit_pack(&rec, buf);

	(void)state;
	for (size_t len = 0; len < n; len++) {
		struct ex_span in = { (const char *)buf, len };

		assert_false(ex_audit_unpack(&in, &got));
	}
}

static void test_lengths_that_lie_are_refused(void **state)
{
	uint8_t buf[2 * EX_AUDIT_PACKED_MAX] = { 0 };
	struct ex_audit_record rec = sample(), got;
	size_t fixed = offsetof(struct ex_audit_record, ips);
	size_t first = fixed + 2 * sizeof(struct ex_ip);
	struct ex_span in = { (const char *)buf, sizeof(buf) };

	(void)state;
	ex_audit_pack(&rec, buf);
	buf[offsetof(struct ex_audit_record, n_ips)] = EX_AUDIT_IPS_MAX + 1;
	assert_false(ex_audit_unpack(&in, &got));

	ex_audit_pack(&rec, buf);
	memcpy(buf + first, &(uint16_t){ sizeof(rec.name) }, 2);
	in = (struct ex_span){ (const char *)buf, sizeof(buf) };
	assert_false(ex_audit_unpack(&in, &got));
	memcpy(buf + first, &(uint16_t){ sizeof(rec.name) - 1 }, 2);
	in = (struct ex_span){ (const char *)buf, sizeof(buf) };
	assert_true(ex_audit_unpack(&in, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_packed_is_unpacked),
		cmocka_unit_test(test_a_text_without_end_is_cut_at_its_size),
		cmocka_unit_test(test_every_shorter_message_is_refused),
		cmocka_unit_test(test_lengths_that_lie_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
