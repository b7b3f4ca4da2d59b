/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/dns/cache.h"

static struct ex_dns_cache cache;

static int setup(void **state)
{
	(void)state;
	return ex_dns_cache_init(&cache);
}

static int teardown(void **state)
{
	(void)state;
	ex_dns_cache_clear(&cache);
	return 0;
}

static struct ex_dns_question question(const char *name, uint16_t type)
{
	struct ex_dns_question q = { .type = type, .name_len = strlen(name) };

	memcpy(q.name, name, q.name_len + 1);
	memcpy(q.name_sent, name, q.name_len + 1);
	return q;
}

static void put(const char *name, uint16_t type, unsigned last, uint32_t ttl, uint64_t now)
{
	struct ex_dns_question q = question(name, type);
	struct ex_dns_answer a = { .ttl = ttl, .n_addrs = 1 };

	a.addrs[0] = ex_ip_from4((uint8_t[]){ 192, 0, 2, (uint8_t)last });
	ex_dns_cache_put(&cache, &q, &a, now);
}

/* The last byte of the first address, or -1. */
static int get(const char *name, uint16_t type, uint64_t now)
{
	struct ex_dns_question q = question(name, type);
	struct ex_dns_answer a;

	return ex_dns_cache_get(&cache, &q, now, &a) ? a.addrs[0].b[15] : -1;
}

static void test_answer_stays_for_its_ttl(void **state)
{
	struct ex_dns_question q = question("a.example", EX_DNS_A);
	struct ex_dns_answer a;

	(void)state;
	put("a.example", EX_DNS_A, 7, 10, 1000);
	assert_int_equal(get("a.example", EX_DNS_A, 10999), 7);
	assert_int_equal(get("a.example", EX_DNS_A, 11000), -1);
	assert_true(ex_dns_cache_get(&cache, &q, 1000, &a));
	assert_int_equal(a.ttl, 10);
	assert_true(ex_dns_cache_get(&cache, &q, 9500, &a));
	assert_int_equal(a.ttl, 2);
}

static void test_answer_is_of_its_question_only(void **state)
{
	(void)state;
	put("a.example", EX_DNS_A, 7, 10, 0);
	assert_int_equal(get("a.example", EX_DNS_AAAA, 0), -1);
	assert_int_equal(get("b.example", EX_DNS_A, 0), -1);
	assert_int_equal(get("a.example.", EX_DNS_A, 0), -1);
}

/* Two names that share a place: whoever came last has it, and nobody gets the other's answer. */
static void test_answers_never_mix(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		put(name, EX_DNS_A, i & 255, 10, 0);
		assert_int_equal(get(name, EX_DNS_A, 0), i & 255);
	}
	for (unsigned i = 0; i < 5000; i++) {
		int r;

		snprintf(name, sizeof(name), "n%u.example", i);
		r = get(name, EX_DNS_A, 0);
		assert_true(r == -1 || r == (int)(i & 255));
	}
}

/* Should two questions ever have one hash: the answer is still of its own only. */
static void test_answer_of_an_equal_hash_is_not_taken(void **state)
{
	static const struct {
		const char *name;
		uint16_t type;
	} others[] = { { "b.example", EX_DNS_A },
		       { "a.example", EX_DNS_AAAA },
		       { "a.exampl", EX_DNS_A },
		       { "a.examples", EX_DNS_A } };
	struct ex_span name = EX_SPAN("a.example");
	struct ex_dns_cached own, *all = &cache.places[0][0];
	size_t n = sizeof(cache.places) / sizeof(*all), at = 0;

	(void)state;
	put("a.example", EX_DNS_A, 7, 10, 0);
	while (at < n && !all[at].kept)
		at++;
	assert_true(at < n);
	own = all[at];
	assert_int_equal(own.hash, ex_dns_hash(&cache.key, name) ^ EX_DNS_A);
	all[at] = (struct ex_dns_cached){ 0 };
	for (size_t i = 0; i < EX_ARRAY_SIZE(others); i++) {
		uint64_t hash =
			ex_dns_hash(&cache.key, ex_span_str(others[i].name)) ^ others[i].type;
		struct ex_dns_cached *place = cache.places[hash % EX_DNS_CACHE_SETS];

		*place = own;
		place->hash = hash;
		assert_int_equal(get(others[i].name, others[i].type, 0), -1);
		*place = (struct ex_dns_cached){ 0 };
	}
	all[at] = own;
	assert_int_equal(get("a.example", EX_DNS_A, 0), 7);
}

static void test_addresses_take_turns(void **state)
{
	struct ex_dns_question q = question("a.example", EX_DNS_A);
	struct ex_dns_answer a = {
		.ttl = 10, .n_addrs = 3, .n_chain = 1, .chain = { "b.example" }
	};
	unsigned first[3] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		a.addrs[i] = ex_ip_from4((uint8_t[]){ 192, 0, 2, (uint8_t)i });
	ex_dns_cache_put(&cache, &q, &a, 0);
	for (unsigned i = 0; i < 30; i++) {
		assert_true(ex_dns_cache_get(&cache, &q, 0, &a));
		assert_int_equal(a.n_addrs, 3);
		assert_string_equal(a.chain[0], "b.example");
		first[a.addrs[0].b[15]]++;
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(first[i], 10);
}

static void test_negative_answer_is_kept(void **state)
{
	struct ex_dns_question q = question("none.example", EX_DNS_A);
	struct ex_dns_answer a = { .rcode = EX_DNS_NXDOMAIN, .ttl = 5 };

	(void)state;
	ex_dns_cache_put(&cache, &q, &a, 0);
	assert_true(ex_dns_cache_get(&cache, &q, 4999, &a));
	assert_int_equal(a.rcode, EX_DNS_NXDOMAIN);
	assert_int_equal(a.n_addrs, 0);
	assert_false(ex_dns_cache_get(&cache, &q, 5000, &a));
}

static void test_largest_answer_fits(void **state)
{
	char name[EX_DNS_NAME_MAX + 1];
	struct ex_dns_question q;
	struct ex_dns_answer got, a = { .ttl = 5,
					.n_addrs = EX_DNS_ADDRS_MAX,
					.n_chain = EX_DNS_CHAIN_MAX,
					.n_records = EX_DNS_RECORDS_MAX };

	(void)state;
	memset(name, 'a', sizeof(name));
	for (size_t i = 63; i < EX_DNS_NAME_MAX; i += 64)
		name[i] = '.';
	name[EX_DNS_NAME_MAX] = '\0';
	q = question(name, EX_DNS_AAAA);
	for (size_t i = 0; i < EX_DNS_CHAIN_MAX; i++) {
		memcpy(a.chain[i], name, sizeof(name));
		a.chain[i][0] = (char)('b' + i);
	}
	for (unsigned i = 0; i < EX_DNS_ADDRS_MAX; i++)
		a.addrs[i].b[15] = (uint8_t)(i + 1);
	for (size_t i = 0; i < EX_DNS_RECORDS_MAX; i++)
		a.record_len[i] = EX_DNS_DATA_MAX / EX_DNS_RECORDS_MAX;
	for (size_t i = 0; i < EX_DNS_DATA_MAX; i++)
		a.records[i] = (uint8_t)(i * 7);
	ex_dns_cache_put(&cache, &q, &a, 0);
	memset(&got, 0xff, sizeof(got));
	assert_true(ex_dns_cache_get(&cache, &q, 0, &got));
	assert_int_equal(got.ttl, 5);
	assert_int_equal(got.n_chain, EX_DNS_CHAIN_MAX);
	assert_memory_equal(got.chain, a.chain, sizeof(a.chain));
	assert_int_equal(got.n_addrs, EX_DNS_ADDRS_MAX);
	for (size_t i = 0; i < EX_DNS_ADDRS_MAX; i++) /* it is the next one's turn */
		assert_true(ex_ip_eq(&got.addrs[i], &a.addrs[(i + 1) % EX_DNS_ADDRS_MAX]));
	assert_int_equal(got.n_records, EX_DNS_RECORDS_MAX);
	assert_memory_equal(got.record_len, a.record_len, sizeof(a.record_len));
	assert_memory_equal(got.records, a.records,
			    EX_DNS_DATA_MAX / EX_DNS_RECORDS_MAX * EX_DNS_RECORDS_MAX);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_answer_stays_for_its_ttl), T(test_answer_is_of_its_question_only),
		T(test_answers_never_mix),        T(test_answer_of_an_equal_hash_is_not_taken),
		T(test_addresses_take_turns),     T(test_negative_answer_is_kept),
		T(test_largest_answer_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
