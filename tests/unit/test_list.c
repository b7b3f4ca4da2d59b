/* SPDX-License-Identifier: Apache-2.0 */
/* Links: where they hang, and that they come off wherever that is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/core/list.h"

#define N 6

static struct ex_link links[N], *list;

static int setup(void **state)
{
	(void)state;
	memset(links, 0, sizeof(links));
	list = NULL;
	return 0;
}

/* Their numbers in order, one digit each, from the first one on; and that each is where it says. */
static unsigned order(void)
{
	struct ex_link **at = &list;
	unsigned n = 0;

	for (; *at; at = &(*at)->next) {
		assert_ptr_equal((*at)->at, at);
		n = n * 10 + (unsigned)(*at - links) + 1;
	}
	return n;
}

static void test_the_last_that_was_added_is_the_first(void **state)
{
	(void)state;
	assert_int_equal(order(), 0);
	for (int i = 0; i < 4; i++)
		ex_link_add(&list, &links[i]);
	assert_int_equal(order(), 4321);
}

static void test_added_behind_another_or_at_the_end(void **state)
{
	struct ex_link **last = &list;

	(void)state;
	for (int i = 0; i < 3; i++, last = &(*last)->next)
		ex_link_add(last, &links[i]);
	assert_int_equal(order(), 123);
	ex_link_add(&links[0].next, &links[3]);
	assert_int_equal(order(), 1423);
}

static void test_removed_from_anywhere(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		ex_link_add(&list, &links[i]);
	ex_link_remove(&links[1]);
	assert_int_equal(order(), 431);
	ex_link_remove(&links[3]);
	assert_int_equal(order(), 31);
	ex_link_remove(&links[0]);
	assert_int_equal(order(), 3);
	ex_link_remove(&links[2]);
	assert_null(list);
	for (int i = 0; i < 4; i++)
		assert_true(!links[i].at && !links[i].next);
}

static void test_what_is_in_no_list_is_not_removed_again(void **state)
{
	(void)state;
	ex_link_remove(&links[0]);
	ex_link_add(&list, &links[0]);
	ex_link_add(&list, &links[1]);
	ex_link_remove(&links[0]);
	ex_link_add(&list, &links[2]);
	ex_link_remove(&links[0]);
	assert_int_equal(order(), 32);
}

static void test_the_next_one_is_known_before_this_one_goes(void **state)
{
	struct ex_link *next;
	unsigned seen = 0;

	(void)state;
	for (int i = 0; i < N; i++)
		ex_link_add(&list, &links[i]);
	for (struct ex_link *l = list; l; l = next, seen++) {
		next = l->next;
		if (seen % 2)
			ex_link_remove(l);
	}
	assert_int_equal(seen, N);
	assert_int_equal(order(), 642);
}

/* Beside an array that is put in order the slow way. */
static void test_any_order_of_both(void **state)
{
	int in[N], n = 0;

	(void)state;
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		int which = (int)(random() % N), found = 0;
		unsigned wanted = 0;

		while (found < n && in[found] != which)
			found++;
		if (found < n) {
			ex_link_remove(&links[which]);
			memmove(in + found, in + found + 1, (size_t)(--n - found) * sizeof(*in));
		} else {
			int place = (int)(random() % (n + 1));

			ex_link_add(place ? &links[in[place - 1]].next : &list, &links[which]);
			memmove(in + place + 1, in + place, (size_t)(n++ - place) * sizeof(*in));
			in[place] = which;
		}
		for (int i = 0; i < n; i++)
			wanted = wanted * 10 + (unsigned)in[i] + 1;
		assert_int_equal(order(), wanted);
	}
}

#define list_test(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		list_test(test_the_last_that_was_added_is_the_first),
		list_test(test_added_behind_another_or_at_the_end),
		list_test(test_removed_from_anywhere),
		list_test(test_what_is_in_no_list_is_not_removed_again),
		list_test(test_the_next_one_is_known_before_this_one_goes),
		list_test(test_any_order_of_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
