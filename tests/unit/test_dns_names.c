/* SPDX-License-Identifier: Apache-2.0 */
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

/* ---- bounds: what was told longest ago makes room ---- */

static size_t n_out;
static char last_out[64];

static void on_out(void *arg, const struct ex_ip *ip, struct ex_span name, uint64_t expires)
{
	(void)arg;
	(void)ip;
	(void)expires;
	n_out++;
	snprintf(last_out, sizeof(last_out), "%.*s", (int)name.len, name.ptr);
}

static void open_table(size_t max)
{
	assert_int_equal(ex_names_new(max, &t), 0);
	ex_names_on_out(t, on_out, NULL);
	n_out = 0;
	last_out[0] = '\0';
}

static void test_65_a_table_is_bounded_and_expired_ones_make_room_first(void **state)
{
	(void)state;
	open_table(4);
	assert_int_equal(add(0, "a.example", 0, 9000), 0);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(add(i, "a.example", 0, 5000), 0);
	assert_int_equal(add(4, "a.example", 5005, 5000), 0);
	assert_int_equal(n_out, 3);
	assert_int_equal(count(4, 5006), 1);
	assert_int_equal(count(0, 5006), 1); /* the oldest, and live */
	assert_int_equal(ex_names_count(t), 2);
}

static void test_65_a_full_table_takes_the_newest_for_the_oldest(void **state)
{
	(void)state;
	open_table(4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(add(i, "a.example", 0, 5000), 0);
	assert_int_equal(add(0, "a.example", 5, 5000), 0); /* told again: the newest */
	assert_int_equal(n_out, 0);
	assert_int_equal(add(4, "a.example", 10, 5000), 0);
	assert_int_equal(n_out, 1);
	assert_int_equal(count(1, 11), 0);
	assert_int_equal(count(0, 11), 1);
	assert_int_equal(count(4, 11), 1);
}

static void test_65_one_name_more_of_an_address_takes_the_place_of_its_oldest(void **state)
{
	char name[32];

	(void)state;
	open_table(64);
	assert_int_equal(add(2, "older.example", 0, 5000), 0);
	for (unsigned i = 0; i < EX_NAMES_PER_ADDR_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		assert_int_equal(add(1, name, 0, 5000), 0);
	}
	assert_int_equal(add(1, "more.example", 0, 5000), 0);
	assert_int_equal(n_out, 1);
	assert_string_equal(last_out, "n0.example");
	assert_int_equal(count(1, 1), EX_NAMES_PER_ADDR_MAX);
	assert_int_equal(count(2, 1), 1); /* another address loses nothing */
}

static void test_65_one_address_more_of_a_name_takes_the_place_of_its_oldest(void **state)
{
	(void)state;
	open_table(4096);
	assert_int_equal(add(0, "b.example", 0, 5000), 0);
	for (unsigned i = 0; i < EX_ADDRS_PER_NAME_MAX; i++)
		assert_int_equal(add(i, "a.example", 0, 5000), 0);
	assert_int_equal(add(1000, "a.example", 0, 5000), 0);
	assert_int_equal(n_out, 1);
	assert_int_equal(count(1000, 1), 1);
	assert_int_equal(count(0, 1), 1); /* still b.example's */
	assert_int_equal(count(1, 1), 1);
}

static uint64_t hash_of(const char *name)
{
	return ex_dns_hash(ex_names_key(t), ex_span_str(name));
}

static void test_what_is_forgotten_is_one_binding(void **state)
{
	struct ex_ip ip = ip_of(1);

	(void)state;
	open_table(16);
	assert_int_equal(add(1, "a.example", 0, 5000), 0);
	assert_int_equal(add(1, "b.example", 0, 5000), 0);
	assert_int_equal(add(2, "a.example", 0, 5000), 0);
	ex_names_forget(t, &ip, hash_of("c.example"));
	assert_int_equal(ex_names_count(t), 3);
	ex_names_forget(t, &ip, hash_of("a.example"));
	assert_int_equal(ex_names_until(t, &ip, EX_SPAN("a.example"), 0), 0);
	assert_int_equal(ex_names_until(t, &ip, EX_SPAN("b.example"), 0), 5000);
	assert_int_equal(count(2, 1), 1);
	assert_int_equal(n_out, 0);
}

static void test_what_was_told_before_does_not_count(void **state)
{
	struct ex_ip ip = ip_of(1), other = ip_of(2);
	struct ex_span name = EX_SPAN("a.example");

	(void)state;
	open_table(16);
	assert_int_equal(add(1, "a.example", 100, 5000), 0);
	assert_int_equal(ex_names_until(t, &ip, name, 100), 5100);
	assert_int_equal(ex_names_until(t, &ip, name, 101), 0);
	assert_int_equal(add(1, "a.example", 200, 1000), 0); /* never shortened */
	assert_int_equal(ex_names_until(t, &ip, name, 101), 5100);
	assert_true(ex_span_eq(ex_names_by_hash(t, &ip, hash_of(name.ptr)), name));
	assert_int_equal(ex_names_by_hash(t, &other, hash_of(name.ptr)).len, 0);
	assert_int_equal(ex_names_by_hash(t, &ip, hash_of(name.ptr) ^ 1).len, 0);
}

/* Two that collide by FNV-1a, which needs no key. */
static void test_names_that_collide_are_hard_to_find(void **state)
{
	const struct ex_span one = EX_SPAN("zq21le542o4ij.example");
	const struct ex_span two = EX_SPAN("fxunpdq4sryfb.example");
	const struct ex_dns_key key = { { 1, 2 } };

	(void)state;
	open_table(16);
	assert_true(hash_of("a.example") == hash_of("a.example"));
	assert_true(hash_of(one.ptr) != hash_of(two.ptr));
	assert_true(hash_of("a.example") != ex_dns_hash(&key, EX_SPAN("a.example")));
	ex_names_set_key(t, &key);
	assert_true(hash_of("a.example") == ex_dns_hash(&key, EX_SPAN("a.example")));
	assert_true(hash_of(one.ptr) != hash_of(two.ptr));
}

/* ---- room that tables share ---- */

enum { POOL = 1000, TENANTS = 8 };

static struct ex_names_pool *pool;
static struct ex_names *tenants[TENANTS];

static int teardown_pool(void **state)
{
	(void)state;
	for (size_t i = 0; i < TENANTS; i++)
		ex_names_free(tenants[i]);
	memset(tenants, 0, sizeof(tenants));
	ex_names_pool_free(pool);
	return 0;
}

static void open_pool(void)
{
	assert_int_equal(ex_names_pool_new(POOL, &pool), 0);
	for (size_t i = 0; i < TENANTS; i++) {
		assert_int_equal(ex_names_new(POOL, &tenants[i]), 0);
		ex_names_join(tenants[i], pool);
	}
}

static void flood(size_t tenant, unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct ex_ip ip = ip_of(from + i);

		assert_int_equal(
			ex_names_add(tenants[tenant], &ip, EX_SPAN("x.evil.example"), 0, 86400000),
			0);
		assert_true(ex_names_pool_used(pool) <= POOL);
	}
}

static bool has(size_t tenant, unsigned n)
{
	struct ex_ip ip = ip_of(n);

	return ex_names_until(tenants[tenant], &ip, EX_SPAN("x.evil.example"), 0) > 0;
}

static void test_one_who_floods_the_pool_keeps_nobody_from_an_even_share(void **state)
{
	(void)state;
	open_pool();
	for (size_t i = 0; i < 4; i++) /* one name has but so many addresses */
		for (unsigned k = 0; k < POOL; k++) {
			struct ex_ip ip = ip_of(k);
			char name[32];

			snprintf(name, sizeof(name), "n%u.evil.example", k);
			assert_int_equal(
				ex_names_add(tenants[i], &ip, ex_span_str(name), 0, 86400000), 0);
		}
	assert_true(ex_names_pool_used(pool) > POOL - 100);
	flood(7, 0, POOL / TENANTS);
	/* at once, all of it, and it stays while the others go on */
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned n = 0; n < POOL / TENANTS; n++)
			assert_true(has(7, n));
		for (size_t i = 0; i < 4; i++)
			flood(i, 5000 * (round + 1), 250);
	}
}

static void test_what_others_leave_may_be_had(void **state)
{
	(void)state;
	open_pool();
	flood(0, 0, 250);
	assert_int_equal(ex_names_count(tenants[0]), 250);
	flood(1, 0, 10);
	assert_int_equal(ex_names_count(tenants[0]), 250);
	ex_names_free(tenants[0]);
	tenants[0] = NULL;
	assert_int_equal(ex_names_pool_used(pool), 10);
}

/* The twin: beyond its share one gets room from nobody but itself. */
static void test_nobody_takes_from_one_who_has_less(void **state)
{
	(void)state;
	open_pool();
	flood(1, 0, 100);
	for (unsigned k = 0; k < 20; k++)
		flood(0, 1000 * k, 200);
	assert_int_equal(ex_names_count(tenants[1]), 100);
	for (unsigned n = 0; n < 100; n++)
		assert_true(has(1, n));
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
#define P(name) cmocka_unit_test_teardown(name, teardown_pool)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_name_of_its_address_only),
		T(test_name_ends_with_its_lifetime),
		T(test_lifetime_is_extended_and_never_shortened),
		T(test_several_names_of_one_address_end_one_by_one),
		T(test_65_a_table_is_bounded_and_expired_ones_make_room_first),
		T(test_65_a_full_table_takes_the_newest_for_the_oldest),
		T(test_65_one_name_more_of_an_address_takes_the_place_of_its_oldest),
		T(test_65_one_address_more_of_a_name_takes_the_place_of_its_oldest),
		T(test_what_is_forgotten_is_one_binding),
		T(test_what_was_told_before_does_not_count),
		T(test_names_that_collide_are_hard_to_find),
		P(test_one_who_floods_the_pool_keeps_nobody_from_an_even_share),
		P(test_what_others_leave_may_be_had),
		P(test_nobody_takes_from_one_who_has_less),
		T(test_odd_names_are_refused),
		T(test_agrees_with_a_naive_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
