/* SPDX-License-Identifier: Apache-2.0 */
/* No more records than the log can bear; what is left out is told of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/audit/limit.h"

static struct ex_loop *loop;
static struct ex_audit_limit limit;
static uint64_t told;
static int times_told;

static void on_told(struct ex_audit_limit *l, const struct ex_audit_record *rec)
{
	assert_ptr_equal(l, &limit);
	assert_int_equal(rec->verdict, EX_V_DENY);
	assert_int_equal(rec->reason, EX_R_LIMIT);
	told += rec->count;
	times_told++;
	ex_loop_quit(loop);
}

static int set_up(void **state)
{
	(void)state;
	told = 0;
	times_told = 0;
	if (ex_loop_new(&loop) < 0)
		return -1;
	ex_audit_limit_init(&limit, loop, on_told);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ex_audit_limit_stop(&limit);
	ex_loop_free(loop);
	return 0;
}

static uint32_t pass(const struct ex_audit_record *rec, uint32_t n)
{
	uint32_t passed = 0;

	for (uint32_t i = 0; i < n; i++)
		passed += ex_audit_limit_pass(&limit, rec);
	return passed;
}

static const struct ex_audit_record packet = { .gate = EX_AUDIT_KERNEL, .verdict = EX_V_DENY };
static const struct ex_audit_record denial = { .gate = EX_AUDIT_PROXY, .verdict = EX_V_DENY };
static const struct ex_audit_record name = { .gate = EX_AUDIT_PROXY,
					     .app = EX_AUDIT_DNS,
					     .verdict = EX_V_ALLOW };
static const struct ex_audit_record request = { .gate = EX_AUDIT_PROXY,
						.app = EX_AUDIT_HTTP,
						.verdict = EX_V_ALLOW };

static void test_no_kind_takes_from_another(void **state)
{
	(void)state;
	assert_int_equal(pass(&packet, 5000), 2000);
	assert_int_equal(pass(&denial, 5000), 2000);
	assert_int_equal(pass(&name, 5000), 2000);
	assert_int_equal(pass(&request, 150000), 100000);
	ex_audit_limit_flush(&limit);
	assert_int_equal(told, 3 * 3000 + 50000);
	assert_int_equal(times_told, 1);
}

static void test_what_is_left_out_is_told_once_within_a_second(void **state)
{
	uint64_t from = ex_clock_ms();

	(void)state;
	assert_int_equal(pass(&denial, 2001), 2000);
	ex_audit_limit_missed(&limit, 7);
	assert_int_equal(ex_loop_run(loop), 0);
	assert_int_equal(told, 8);
	assert_in_range(ex_clock_ms() - from, 900, 5000);
	ex_audit_limit_flush(&limit);
	assert_int_equal(times_told, 1);
	/* Meanwhile there is something again, and no more than the rate. */
	assert_in_range(pass(&denial, 2000), 180, 1000);
}

static void test_counts_do_not_wrap(void **state)
{
	(void)state;
	ex_audit_limit_missed(&limit, UINT32_MAX - 1);
	ex_audit_limit_missed(&limit, UINT32_MAX - 1);
	ex_audit_limit_flush(&limit);
	assert_int_equal(told, UINT32_MAX);
}

static void test_nothing_left_out_is_not_told(void **state)
{
	(void)state;
	ex_audit_limit_missed(&limit, 0);
	assert_int_equal(pass(&denial, 10), 10);
	ex_audit_limit_flush(&limit);
	assert_int_equal(times_told, 0);
}

static void test_debt_is_waited_for(void **state)
{
	static const struct ex_rate rate = { 1000, 10 };
	struct ex_bucket b = { 0 };

	(void)state;
	assert_int_equal(ex_bucket_spend(&b, &rate, 5000, 10), 0);
	assert_int_equal(ex_bucket_spend(&b, &rate, 5000, 5), 6); /* rounded up */
	assert_int_equal(ex_bucket_spend(&b, &rate, 5100, 1), 0);
	assert_false(ex_bucket_take(&b, &(struct ex_rate){ 1000, 1 }, 5100));
	assert_true(ex_bucket_take(&b, &rate, 5100));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_no_kind_takes_from_another),
		TEST(test_what_is_left_out_is_told_once_within_a_second),
		TEST(test_counts_do_not_wrap),
		TEST(test_nothing_left_out_is_not_told),
		TEST(test_debt_is_waited_for),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
