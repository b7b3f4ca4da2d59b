/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of destinations says what a plain search for the longest prefix says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/gate/tree.h"

#define SETS  400
#define MANY  2000
#define ASKED 300

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint32_t up_to(uint32_t n)
{
	return (uint32_t)(any() >> 33) % n;
}

/* ---- the reference ---- */

static bool has(const struct gate_prefix *p, struct ex_tree_addr a)
{
	uint64_t high = p->ip.high ^ a.high, low = p->ip.low ^ a.low;

	if (p->len <= 64)
		return !p->len || !(high >> (64 - p->len));
	return !high && !(low >> (128 - p->len));
}

static uint32_t plain(const struct gate_prefix *v, size_t n, struct ex_tree_addr a)
{
	uint32_t klass = 0;
	int best = -1;

	for (size_t i = 0; i < n; i++) {
		if (has(&v[i], a) && v[i].len > best) {
			best = v[i].len;
			klass = v[i].klass;
		}
	}
	return klass;
}

/* ---- as the program in the kernel goes down ---- */

static uint32_t walk(const struct gate_tree *t, uint32_t moved, struct ex_tree_addr a)
{
	uint32_t ref = t->root, depth = 0, at, word;

	while (ref & EX_TREE_NODE) {
		assert_true(++depth <= EX_TREE_DEPTH);
		at = (ref & ~EX_TREE_NODE) - moved;
		assert_true(at < t->n);
		if (!ex_tree_inside(&t->cells[at].node, a))
			return t->cells[at].node.outside;
		word = ex_tree_word(&t->cells[at].node, a);
		assert_true(word < EX_TREE_CELLS * EX_TREE_WORDS);
		at += word / EX_TREE_WORDS;
		assert_true(at < t->n);
		ref = t->cells[at].w[word % EX_TREE_WORDS];
	}
	return ref;
}

/* ---- random sets: addresses that have much in common, of both families ---- */

static struct ex_ip ip_any(uint32_t spread)
{
	static const uint8_t heads[][4] = { { 20, 0, 0, 0 },
					    { 20, 0, 1, 128 },
					    { 255, 255, 255, 255 } };
	struct ex_ip ip = { { 0 } };
	uint32_t i;

	switch (up_to(4)) {
	case 0:
		for (i = 0; i < 16; i++)
			ip.b[i] = (uint8_t)any();
		return ip;
	case 1:
		ip = (struct ex_ip){ { 0x20, 0x01, 0x0d, 0xb8 } };
		break;
	default:
		ip = ex_ip_from4(heads[up_to(EX_ARRAY_SIZE(heads))]);
	}
	for (i = 0; i < spread; i++)
		ip.b[15 - up_to(4)] ^= (uint8_t)(1u << up_to(8));
	return ip;
}

static size_t set_any(struct gate_prefix *v, size_t n, uint32_t spread, uint32_t classes)
{
	static const uint8_t lens[] = { 0,  1,   32,  63,  64,  65,  95, 96,
					97, 104, 120, 121, 126, 127, 128 };
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct ex_ip ip = ip_any(spread);
		uint8_t len = (uint8_t)(up_to(2) ? lens[up_to(EX_ARRAY_SIZE(lens))] : up_to(129));

		v[i] = gate_prefix_make(&ip, len, up_to(classes));
	}
	if (n)
		qsort(v, n, sizeof(*v), gate_prefix_cmp);
	for (size_t i = 0; i < n; i++)
		if (!i || gate_prefix_cmp(&v[kept - 1], &v[i]) != 0)
			v[kept++] = v[i];
	return kept;
}

/* First and last of a prefix, what is beside it, and anything. */
static struct ex_tree_addr addr_any(const struct gate_prefix *v, size_t n, uint32_t spread)
{
	struct ex_ip ip = ip_any(spread);
	struct ex_tree_addr a = gate_prefix_make(&ip, 128, 0).ip;
	const struct gate_prefix *p;

	if (!n || !up_to(4))
		return a;
	p = &v[up_to((uint32_t)n)];
	a = p->ip;
	switch (up_to(3)) {
	case 1:
		a.high |= p->len < 64 ? ~0ull >> p->len : 0;
		a.low |= p->len <= 64 ? ~0ull : p->len < 128 ? ~0ull >> (p->len - 64) : 0;
		break;
	case 2:
		if (p->len && p->len <= 64)
			a.high ^= 1ull << (64 - p->len);
		else if (p->len)
			a.low ^= 1ull << (128 - p->len);
		break;
	}
	return a;
}

static void check(const struct gate_prefix *v, size_t n, uint32_t spread, uint32_t asked)
{
	struct gate_tree t;
	uint32_t moved = up_to(2) ? up_to(100000) : 0;

	assert_int_equal(gate_tree_make(v, n, &t), 0);
	assert_true(t.n <= 2 * n);
	gate_tree_move(&t, moved);
	for (uint32_t i = 0; i < asked; i++) {
		struct ex_tree_addr a = addr_any(v, n, spread);

		if (walk(&t, moved, a) != plain(v, n, a))
			fail_msg("%zu prefixes, %016llx %016llx: class %u, not %u", n,
				 (unsigned long long)a.high, (unsigned long long)a.low,
				 walk(&t, moved, a), plain(v, n, a));
	}
	gate_tree_done(&t);
}

static void test_it_says_what_the_longest_prefix_says(void **state)
{
	static struct gate_prefix v[MANY];

	(void)state;
	for (uint32_t i = 0; i < SETS; i++) {
		uint32_t spread = up_to(12), classes = 1 + up_to(i % 3 ? 3 : 1000);

		check(v, set_any(v, up_to(i % 10 ? 40 : MANY), spread, classes), spread, ASKED);
	}
}

static void test_nothing_is_of_no_class(void **state)
{
	const struct ex_ip none = { { 0 } };
	struct gate_prefix all = gate_prefix_make(&none, 0, 7);

	(void)state;
	check(NULL, 0, 4, ASKED);
	check(&all, 1, 4, ASKED);
}

static void test_each_single_prefix(void **state)
{
	(void)state;
	for (uint32_t len = 0; len <= 128; len++) {
		struct ex_ip ip = ip_any(12);
		struct gate_prefix p = gate_prefix_make(&ip, (uint8_t)len, 1);

		check(&p, 1, 12, ASKED);
	}
}

/* One inside of the other: the longest way there is. */
static void test_all_prefixes_of_one_address(void **state)
{
	struct gate_prefix v[129];

	(void)state;
	for (uint32_t round = 0; round < 20; round++) {
		struct ex_ip ip = ip_any(12);

		for (uint32_t len = 0; len <= 128; len++)
			v[len] = gate_prefix_make(&ip, (uint8_t)len, 1 + len);
		qsort(v, EX_ARRAY_SIZE(v), sizeof(*v), gate_prefix_cmp);
		check(v, EX_ARRAY_SIZE(v), 12, 2000);
	}
}

static void test_a_tree_stays_within_its_bound(void **state)
{
	static struct gate_prefix v[65536];
	struct gate_tree t;

	(void)state;
	for (uint32_t step = 1; step <= 8; step *= 2) {
		for (uint32_t i = 0; i < EX_ARRAY_SIZE(v); i++) {
			uint32_t four = htonl((20u << 24) + i * step);
			struct ex_ip ip = ex_ip_from4(&four);

			v[i] = gate_prefix_make(&ip, 128, 1 + i);
		}
		qsort(v, EX_ARRAY_SIZE(v), sizeof(*v), gate_prefix_cmp);
		assert_int_equal(gate_tree_make(v, EX_ARRAY_SIZE(v), &t), 0);
		assert_true(t.n < 2 * EX_ARRAY_SIZE(v));
		gate_tree_done(&t);
	}
}

/* What is denied in one piece is one answer, whatever it is made of. */
static void test_neighbours_of_one_class_become_one(void **state)
{
	static struct gate_prefix v[4096];
	struct gate_tree t;

	(void)state;
	for (uint32_t i = 0; i < EX_ARRAY_SIZE(v); i++) {
		uint32_t four = htonl((20u << 24) + (i << 8));
		struct ex_ip ip = ex_ip_from4(&four);

		v[i] = gate_prefix_make(&ip, 120, 1);
	}
	check(v, EX_ARRAY_SIZE(v), 8, 2000);
	assert_int_equal(gate_tree_make(v, EX_ARRAY_SIZE(v), &t), 0);
	assert_true(t.n <= 4);
	gate_tree_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_says_what_the_longest_prefix_says),
		cmocka_unit_test(test_nothing_is_of_no_class),
		cmocka_unit_test(test_each_single_prefix),
		cmocka_unit_test(test_all_prefixes_of_one_address),
		cmocka_unit_test(test_a_tree_stays_within_its_bound),
		cmocka_unit_test(test_neighbours_of_one_class_become_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
