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

/* Its last leaves end with it: they are good until then, and made anew for each who asks. */
static void test_an_authority_in_its_last_hour_is_taken(void **state)
{
	(void)state;
	step = 2 * DAY - HOUR / 2;
	assert_int_equal(add_leaf_of(ca, NAME, NAME), 0);
	assert_true(is_taken());
	assert_false(ex_tls_has_leaf(tls, NAME));
	step = 2 * DAY + 2;
	assert_int_equal(add_leaf_of(ca, NAME, NAME), -EKEYEXPIRED);
	assert_false(ex_tls_has_leaf(tls, NAME));
}

static void test_an_authority_that_has_ended_is_trusted_by_nobody(void **state)
{
	(void)state;
	step = 3 * DAY;
	assert_true(add_leaf_of(ca, NAME, NAME) < 0 || !ex_tls_has_leaf(tls, NAME));
	step = -3 * DAY;
	assert_true(add_leaf_of(ca, NAME, NAME) < 0 || !is_taken());
}

/* The leaf's dates are of the form that RFC 5280 4.1.2.5 wants. */
static void dates_are_of(int from, int until)
{
	struct ex_span spki = ex_tls_leaf_spki(tls);
	uint8_t der[EX_LEAF_MAX];
	const uint8_t *p = der;
	struct ex_ca *then;
	X509 *leaf;

	assert_int_equal(ex_ca_new(2, &then), 0);
	leaf = d2i_X509(NULL, &p, ex_ca_sign(then, NAME, spki.ptr, spki.len, der));
	assert_non_null(leaf);
	assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(leaf)), from);
	assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(leaf)), until);
	assert_true(X509_cmp_time(X509_get0_notBefore(leaf), NULL) < 0);
	assert_true(X509_cmp_time(X509_get0_notAfter(leaf), NULL) > 0);
	X509_free(leaf);
	ex_ca_free(then);
}

#define NEW_YEAR_2050 2524608000

static void test_dates_from_2050_on_have_four_digits_of_the_year(void **state)
{
	time_t now = time(NULL);

	(void)state;
	step = NEW_YEAR_2050 - now - DAY;
	dates_are_of(V_ASN1_UTCTIME, V_ASN1_UTCTIME);
	step = NEW_YEAR_2050 - now - HOUR;
	dates_are_of(V_ASN1_UTCTIME, V_ASN1_GENERALIZEDTIME);
	step = NEW_YEAR_2050 - now + 2 * HOUR;
	dates_are_of(V_ASN1_GENERALIZEDTIME, V_ASN1_GENERALIZEDTIME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_leaf_of_a_clock_that_was_put_back_is_made_anew,
				       steady),
		cmocka_unit_test_setup(test_a_leaf_that_has_ended_at_once_is_made_anew, steady),
		cmocka_unit_test_setup(test_dates_from_2050_on_have_four_digits_of_the_year,
				       steady),
		cmocka_unit_test_setup(test_an_authority_in_its_last_hour_is_taken, steady),
		cmocka_unit_test_setup(test_an_authority_that_has_ended_is_trusted_by_nobody,
				       steady),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
