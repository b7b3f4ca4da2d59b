/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock is set, by hours or days, while certificates are in use. */
#include <time.h>

#include "tests/unit/tls_pair.h"

static time_t step;

/* Of this program, and of the libraries it uses. */
time_t time(time_t *ret)
{
	struct timespec ts;
	time_t now;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = ts.tv_sec + step;
	if (ret)
		*ret = now;
	return now;
}

#define HOUR 3600
#define DAY  (24 * HOUR)

static int steady(void **state)
{
	(void)state;
	step = 0;
	return add_leaf_of(ca, NAME, NAME);
}

/* Does a client that has the same clock take what the proxy has? */
static bool is_taken(void)
{
	struct pair p;
	bool taken;

	pair_connect(&p, NAME, NAME, false, false);
	taken = p.client_r == 0;
	pair_close(&p);
	return taken;
}

static void test_a_leaf_of_a_clock_that_was_put_back_is_made_anew(void **state)
{
	(void)state;
	step = 5 * HOUR;
	assert_int_equal(add_leaf_of(ca, NAME, NAME), 0);
	assert_true(ex_tls_has_leaf(tls, NAME));
	step = 0;
	assert_false(ex_tls_has_leaf(tls, NAME));
	assert_int_equal(add_leaf_of(ca, NAME, NAME), 0);
	assert_true(ex_tls_has_leaf(tls, NAME));
	assert_true(is_taken());
}

static void test_a_leaf_that_has_ended_at_once_is_made_anew(void **state)
{
	(void)state;
	step = 25 * HOUR;
	assert_false(ex_tls_has_leaf(tls, NAME));
	assert_int_equal(add_leaf_of(ca, NAME, NAME), 0);
	assert_true(ex_tls_has_leaf(tls, NAME));
	assert_true(is_taken());
}

static void test_an_authority_that_has_ended_is_trusted_by_nobody(void **state)
{
	(void)state;
	step = 3 * DAY;
	assert_true(add_leaf_of(ca, NAME, NAME) < 0 || !ex_tls_has_leaf(tls, NAME));
	step = -3 * DAY;
	assert_true(add_leaf_of(ca, NAME, NAME) < 0 || !is_taken());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_leaf_of_a_clock_that_was_put_back_is_made_anew,
				       steady),
		cmocka_unit_test_setup(test_a_leaf_that_has_ended_at_once_is_made_anew, steady),
		cmocka_unit_test_setup(test_an_authority_that_has_ended_is_trusted_by_nobody,
				       steady),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
