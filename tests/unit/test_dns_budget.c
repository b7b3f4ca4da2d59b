/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names can say under a policy that allows "api.openai.com", "*.example.com" and "pre-*.net".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/dns/budget.h"

static bool ends(struct ex_span s, struct ex_span end)
{
	return s.len > end.len && memcmp(s.ptr + s.len - end.len, end.ptr, end.len) == 0;
}

static bool spelled_out; /* another policy */

struct ex_decision ex_judge_dns(const struct ex_ruleset *rs, struct ex_span name)
{
	bool allowed =
		ex_span_eq(name, EX_SPAN("api.openai.com")) ||
		ends(name, EX_SPAN(".example.com")) ||
		(name.len > 8 && memcmp(name.ptr, "pre-", 4) == 0 && ends(name, EX_SPAN(".net")));

	(void)rs;
	if (spelled_out)
		allowed = ex_span_eq(name, EX_SPAN("a-long-name.example.com"));
	return (struct ex_decision){ allowed ? EX_V_ALLOW : EX_V_DENY, EX_R_UNSPEC, 0 };
}

static struct ex_dns_budget budget;

static int setup(void **state)
{
	(void)state;
	return ex_dns_budget_init(&budget);
}

static bool name(const char *text, uint64_t now)
{
	return ex_dns_budget_name(&budget, NULL, ex_span_str(text), now) == 0;
}

/* Letters a name takes: time pays for 32 of them in a second. */
static uint64_t cost(const char *text)
{
	uint64_t before = budget.letters.paid;

	assert_true(name(text, 0));
	return (budget.letters.paid - before) * 32 / 1000000000;
}

static void test_60_only_letters_the_policy_leaves_free_cost(void **state)
{
	(void)state;
	assert_int_equal(cost("api.openai.com"), 0);
	assert_int_equal(cost("abcd.example.com"), 4);
	assert_int_equal(cost("ab.cd.example.com"), 4);
	assert_int_equal(cost("pre-abcd.net"), 4);
	assert_int_equal(cost("xyxy.example.com"), 4);
}

static void test_60_known_names_cost_little(void **state)
{
	(void)state;
	assert_int_equal(cost("a-long-name.example.com"), 11);
	assert_int_equal(cost("a-long-name.example.com"), 2);
	assert_int_equal(cost("api.openai.com"), 0);
	assert_int_equal(cost("api.openai.com"), 0);
}

/* On a node another policy may come every few seconds, when addresses of others change. */
static void test_60_another_policy_is_no_reason_to_pay_again(void **state)
{
	(void)state;
	assert_int_equal(cost("a-long-name.example.com"), 11);
	ex_dns_budget_recount(&budget);
	assert_int_equal(cost("a-long-name.example.com"), 2);
	spelled_out = true;
	ex_dns_budget_recount(&budget);
	assert_int_equal(cost("a-long-name.example.com"), 0);
	assert_int_equal(cost("a-long-name.example.com"), 0);
	spelled_out = false;
	ex_dns_budget_recount(&budget);
	assert_int_equal(cost("a-long-name.example.com"), 2);
	assert_int_equal(cost("a-long-name.example.com"), 2);
	assert_int_equal(cost("b-long-name.example.com"), 11);
}

static void test_60_letters_come_back_slowly(void **state)
{
	char text[64];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "%016u.example.com", i);
		n += name(text, 0);
	}
	assert_int_equal(n, 8192 / 16);
	assert_true(name("api.openai.com", 0));
	for (unsigned i = 0; i < 2000; i++) { /* ten seconds later */
		snprintf(text, sizeof(text), "b%015u.example.com", i);
		n += name(text, 10000);
	}
	assert_int_equal(n, 8192 / 16 + 320 / 16);
}

static void test_60_known_names_cannot_be_told_for_ever(void **state)
{
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		n += name(i & 1 ? "one.example.com" : "zero.example.com", 0);
	assert_in_range(n, 8192 / 2 - 10, 8192 / 2);
	assert_true(name("api.openai.com", 0));
}

static void test_61_one_name_says_only_so_much(void **state)
{
	char text[EX_DNS_NAME_MAX + 1];

	(void)state;
	snprintf(text, sizeof(text), "%048d.%048d.example.com", 0, 0);
	assert_true(name(text, 0));
	snprintf(text, sizeof(text), "%048d.%049d.example.com", 0, 0);
	assert_false(name(text, 0));
}

static void test_61_work_is_bounded(void **state)
{
	char text[EX_DNS_NAME_MAX + 1];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) { /* all new, and nothing free: only work */
		snprintf(text, sizeof(text), "pre-%064u.net", i);
		n += ex_dns_budget_judge(&budget, 0) && !name(text, 0);
	}
	assert_false(ex_dns_budget_judge(&budget, 0));
	assert_true(ex_dns_budget_judge(&budget, 1000));
	assert_true(n > 0);
}

#define LATER ((uint64_t)1 << 40) /* 35 years */

static void test_time_that_stands_still_or_leaps(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++)
		assert_true(ex_dns_budget_question(&budget, 0));
	assert_false(ex_dns_budget_question(&budget, 0));
	assert_true(ex_dns_budget_question(&budget, LATER));
	for (int i = 0; i < 19999; i++)
		assert_true(ex_dns_budget_question(&budget, LATER));
	assert_false(ex_dns_budget_question(&budget, LATER));
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_60_only_letters_the_policy_leaves_free_cost),
		T(test_60_known_names_cost_little),
		T(test_60_another_policy_is_no_reason_to_pay_again),
		T(test_60_letters_come_back_slowly),
		T(test_60_known_names_cannot_be_told_for_ever),
		T(test_61_one_name_says_only_so_much),
		T(test_61_work_is_bounded),
		T(test_time_that_stands_still_or_leaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
