/* SPDX-License-Identifier: Apache-2.0 */
/* What may wait a little waits that long, and no longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/eventfd.h>

#include "agent/core/lazy.h"

#define MS 300

static struct ex_loop *loop;
static struct ex_lazy lazy;
static struct ex_timer later;
static int fd;
static uint64_t began, taken_at;
static unsigned runs, taken;
static unsigned left; /* runs that do not take all */

/* At most one a run while there is to be something left. */
static bool take(struct ex_lazy *l)
{
	eventfd_t n = 0;

	(void)l;
	runs++;
	taken_at = ex_clock_ms();
	assert_int_equal(eventfd_read(fd, &n), 0);
	taken += (unsigned)n;
	if (left == 0) {
		ex_loop_quit(loop);
		return true;
	}
	left--;
	assert_int_equal(eventfd_write(fd, 1), 0);
	return false;
}

static void on_later(struct ex_timer *t)
{
	(void)t;
	assert_int_equal(eventfd_write(fd, 1), 0);
}

static int set_up(void **state)
{
	(void)state;
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	runs = taken = left = 0;
	lazy = (struct ex_lazy){ .ms = MS, .fn = take };
	later = (struct ex_timer){ .fn = on_later };
	began = ex_clock_ms();
	return fd < 0 || ex_loop_new(&loop) < 0 || ex_lazy_start(loop, &lazy, fd) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	ex_loop_free(loop);
	return close(fd);
}

static void test_taken_after_a_while_when_traffic_stops(void **state)
{
	(void)state;
	assert_int_equal(eventfd_write(fd, 7), 0);
	assert_int_equal(ex_loop_run(loop), 0);
	assert_int_equal(runs, 1);
	assert_int_equal(taken, 7);
	assert_in_range(taken_at - began, MS, MS + 5000);
}

static void test_taken_at_once_when_woken_again(void **state)
{
	(void)state;
	lazy.ms = 60000;
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_int_equal(ex_timer_start(loop, &later, MS), 0);
	assert_int_equal(ex_loop_run(loop), 0);
	assert_int_equal(runs, 1);
	assert_int_equal(taken, 2);
}

static void test_taken_at_once_when_it_may_not_wait(void **state)
{
	(void)state;
	lazy.ms = 0;
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_int_equal(ex_loop_run(loop), 0);
	assert_int_equal(taken, 1);
	assert_in_range(taken_at - began, 0, MS - 1);
}

static void test_what_was_left_needs_nobody_to_wake(void **state)
{
	(void)state;
	left = 3;
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_int_equal(ex_loop_run(loop), 0);
	assert_int_equal(runs, 4);
	assert_int_equal(taken, 4);
}

static void test_next_one_after_all_were_taken_wakes(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(eventfd_write(fd, 1), 0);
		assert_int_equal(ex_loop_run(loop), 0);
		assert_int_equal(taken, i);
	}
}

static void test_taken_now_when_asked(void **state)
{
	(void)state;
	assert_int_equal(eventfd_write(fd, 5), 0);
	ex_lazy_run(&lazy);
	assert_int_equal(taken, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_taken_after_a_while_when_traffic_stops, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_taken_at_once_when_woken_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_taken_at_once_when_it_may_not_wait, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_left_needs_nobody_to_wake, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_next_one_after_all_were_taken_wakes, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_taken_now_when_asked, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
