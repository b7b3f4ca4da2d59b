// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/dns/names.h"

static struct ex_names *t;

static int teardown(void **state)
{
	(void)state;
	ex_names_free(t);
	t = NULL;
	return 0;
}

static struct ex_ip ip_of(unsigned n)
{
	struct ex_ip ip = { .b = { 0x20, 1, 0xd, 0xb8 } };

	memcpy(ip.b + 12, &n, 4);
	return ip;
}

static int add(unsigned n, const char *name, uint64_t now, uint64_t ttl)
{
	struct ex_ip ip = ip_of(n);

	return ex_names_add(t, &ip, ex_span_str(name), now, ttl);
}

static size_t count(unsigned n, uint64_t now)
{
	struct ex_span out[EX_NAMES_PER_ADDR_MAX];
	struct ex_ip ip = ip_of(n);

	return ex_names_of(t, &ip, now, out, EX_ARRAY_SIZE(out));
}

static void test_name_of_its_address_only(void **state)
{
	struct ex_ip ip = ip_of(1);
	struct ex_span out[2];

	(void)state;
	assert_int_equal(ex_names_new(16, &t), 0);
	assert_int_equal(add(1, "a.example", 1000, 500), 0);
	assert_int_equal(ex_names_of(t, &ip, 1000, out, 2), 1);
	assert_true(ex_span_eq(out[0], EX_SPAN("a.example")));
	assert_int_equal(count(2, 1000), 0);
}

static void test_name_ends_with_its_lifetime(void **state)
{
	(void)state;
	assert_int_equal(ex_names_new(16, &t), 0);
	assert_int_equal(add(1, "a.example", 1000, 500), 0);
	assert_int_equal(count(1, 1499), 1);
	assert_int_equal(count(1, 1500), 0);
}

static void test_lifetime_is_extended_and_never_shortened(void **state)
{
	(void)state;
	assert_int_equal(ex_names_new(16, &t), 0);
	assert_int_equal(add(1, "a.example", 1000, 500), 0);
	assert_int_equal(add(1, "a.example", 1000, 100), 0);
	assert_int_equal(count(1, 1499), 1);
	assert_int_equal(add(1, "a.example", 1000, 900), 0);
	assert_int_equal(count(1, 1899), 1);
	assert_int_equal(count(1, 1900), 0);
	assert_int_equal(add(1, "a.example", 2000, UINT64_MAX), 0); /* saturates */
	assert_int_equal(count(1, UINT64_MAX - 1), 1);
}

static void test_several_names_of_one_address_end_one_by_one(void **state)
{
	struct ex_ip ip = ip_of(1);
	struct ex_span out[2];

	(void)state;
	assert_int_equal(ex_names_new(16, &t), 0);
	assert_int_equal(add(1, "a.example", 0, 10), 0);
	assert_int_equal(add(1, "b.example", 0, 20), 0);
	assert_int_equal(count(1, 5), 2);
	assert_int_equal(ex_names_of(t, &ip, 15, out, 2), 1);
	assert_true(ex_span_eq(out[0], EX_SPAN("b.example")));
	assert_int_equal(ex_names_of(t, &ip, 5, out, 1), 1); /* cap */
}

static void test_addresses_are_bounded_and_expired_ones_make_room(void **state)
{
	(void)state;
	assert_int_equal(ex_names_new(4, &t), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(add(i, "a.example", 0, 5000), 0);
	assert_int_equal(add(4, "a.example", 10, 5000), -ENOSPC);
	assert_int_equal(add(3, "a.example", 10, 5000), 0); /* already there */
	assert_int_equal(add(4, "a.example", 5005, 5000), 0);
	assert_int_equal(count(4, 5006), 1);
	assert_int_equal(count(3, 5006), 1);
	assert_int_equal(count(0, 5006), 0);
}

static void test_names_of_one_address_are_bounded(void **state)
{
	char name[32];

	(void)state;
	assert_int_equal(ex_names_new(64, &t), 0);
	for (unsigned i = 0; i < EX_NAMES_PER_ADDR_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		assert_int_equal(add(1, name, 0, 5000), 0);
	}
	assert_int_equal(add(1, "more.example", 0, 5000), -ENOSPC);
	assert_int_equal(add(2, "more.example", 0, 5000), 0);
	assert_int_equal(add(1, "more.example", 5000, 5000), 0);
}

static void test_65_addresses_of_one_name_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(ex_names_new(4096, &t), 0);
	for (unsigned i = 0; i < EX_ADDRS_PER_NAME_MAX; i++)
		assert_int_equal(add(i, "a.example", 0, 5000), 0);
	assert_int_equal(add(1000, "a.example", 0, 5000), -ENOSPC);
	assert_int_equal(add(1000, "b.example", 0, 5000), 0);
}

static void test_names_are_bounded(void **state)
{
	char name[32];

	(void)state;
	assert_int_equal(ex_names_new(8, &t), 0);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		assert_int_equal(add(1, name, 0, 5000), 0);
	}
	assert_int_equal(add(2, "more.example", 0, 5000), -ENOSPC);
}

static void test_odd_names_are_refused(void **state)
{
	char name[300];

	(void)state;
	assert_int_equal(ex_names_new(8, &t), 0);
	memset(name, 'a', sizeof(name));
	name[254] = '\0';
	assert_int_equal(add(1, "", 0, 5000), -EINVAL);
	assert_int_equal(add(1, name, 0, 5000), -EINVAL);
	assert_int_equal(ex_names_new(0, &t), -EINVAL);
}

/* The same operations on a plain array; both must say the same at every step. */
static void test_agrees_with_a_naive_model(void **state)
{
	static uint64_t model[24][12]; /* expiry of (address, name) */
	uint64_t now = 0;
	unsigned seed = 1;
	char name[32];

	(void)state;
	assert_int_equal(ex_names_new(64, &t), 0);
	for (int step = 0; step < 20000; step++) {
		unsigned a, n, ttl, valid = 0;

		seed = seed * 1103515245u + 12345u;
		a = seed >> 16 & 15;
		seed = seed * 1103515245u + 12345u;
		n = (seed >> 16) % 12;
		ttl = seed >> 8 & 255;
		now += seed >> 28;
		snprintf(name, sizeof(name), "n%u.example", n);
		assert_int_equal(add(a, name, now, ttl), 0);
		if (now + ttl > model[a][n])
			model[a][n] = now + ttl;
		for (unsigned i = 0; i < 12; i++)
			valid += model[a][i] > now;
		assert_int_equal(count(a, now), valid);
	}
}

#define T(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_name_of_its_address_only),
		T(test_name_ends_with_its_lifetime),
		T(test_lifetime_is_extended_and_never_shortened),
		T(test_several_names_of_one_address_end_one_by_one),
		T(test_addresses_are_bounded_and_expired_ones_make_room),
		T(test_names_of_one_address_are_bounded),
		T(test_65_addresses_of_one_name_are_bounded),
		T(test_names_are_bounded),
		T(test_odd_names_are_refused),
		T(test_agrees_with_a_naive_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
