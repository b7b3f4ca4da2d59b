/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of the loop: when they fire, however often they were put off, put forward or stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/core/loop.h"

#define N    200
#define MOST 60 /* ms */

struct one {
	struct ex_timer timer;
	uint64_t due; /* 0: it is not to fire */
	unsigned fired;
};

static struct ex_loop *loop;
static struct one all[N];
static size_t n_left;
static uint64_t last_due;

static void on_timer(struct ex_timer *t)
{
	struct one *one = ex_container_of(t, struct one, timer);

	assert_true(one->due && one->due <= ex_loop_now(loop));
	/* of those that are due the first comes first */
	assert_true(one->due >= last_due);
	last_due = one->due;
	one->due = 0;
	one->fired++;
	if (--n_left == 0)
		ex_loop_quit(loop);
}

static void start(struct one *one, uint64_t ms)
{
	one->timer.fn = on_timer;
	n_left += one->due ? 0 : 1;
	one->due = ex_loop_now(loop) + ms;
	assert_int_equal(ex_timer_start(loop, &one->timer, ms), 0);
}

static void stop(struct one *one)
{
	n_left -= one->due ? 1 : 0;
	one->due = 0;
	ex_timer_stop(loop, &one->timer);
}

static int set_up(void **state)
{
	(void)state;
	memset(all, 0, sizeof(all));
	n_left = 0;
	last_due = 0;
	return ex_loop_new(&loop);
}

static int tear_down(void **state)
{
	(void)state;
	ex_loop_free(loop);
	return 0;
}

static void test_timer_that_is_put_off_fires_at_the_later_time_only(void **state)
{
	(void)state;
	start(&all[0], 5);
	start(&all[1], 20);
	start(&all[0], 30);
	assert_int_equal(ex_loop_run(loop), 0);
	assert_int_equal(all[0].fired, 1);
	assert_int_equal(all[1].fired, 1);
}

static void test_timer_that_is_put_off_and_forward_fires_at_the_last_time_said(void **state)
{
	(void)state;
	start(&all[0], 40);
	start(&all[0], 60 * 60 * 1000);
	start(&all[0], 20);
	start(&all[1], 10);
	start(&all[2], 30);
	assert_int_equal(ex_loop_run(loop), 0);
	assert_int_equal(all[0].fired + all[1].fired + all[2].fired, 3);
}

static void test_timer_that_was_put_off_can_be_stopped(void **state)
{
	(void)state;
	start(&all[0], 2);
	start(&all[0], 10);
	start(&all[1], 20);
	stop(&all[0]);
	assert_int_equal(ex_loop_run(loop), 0);
	assert_int_equal(all[0].fired, 0);
	assert_int_equal(all[1].fired, 1);
}

/* Against the plainest of models: each timer knows by itself when it has to fire. */
static void test_many_timers_in_any_order(void **state)
{
	(void)state;
	srand(1);
	for (size_t i = 0; i < 20 * N; i++) {
		struct one *one = &all[(size_t)rand() % N];

		if (rand() % 8 == 0)
			stop(one);
		else
			start(one, (uint64_t)rand() % MOST);
	}
	start(&all[0], MOST);
	assert_int_equal(ex_loop_run(loop), 0);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(all[i].due, 0);
		assert_in_range(all[i].fired, 0, 1);
	}
}

static struct ex_watch watch;
static bool seen;

static void on_byte(struct ex_watch *w, uint32_t events)
{
	(void)events;
	seen = true;
	stop(&all[0]);
	ex_watch_close(loop, w);
	ex_loop_quit(loop);
}

/* What came in time counts, however late we look. */
static void test_event_that_is_there_is_seen_before_a_timer_that_is_due(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	watch = (struct ex_watch){ .fn = on_byte };
	assert_int_equal(ex_watch_start(loop, &watch, fd[0], EPOLLIN), 0);
	start(&all[0], 10);
	assert_int_equal(write(fd[1], "x", 1), 1);
	usleep(20000);
	assert_int_equal(ex_loop_run(loop), 0);
	assert_true(seen);
	assert_int_equal(all[0].fired, 0);
	close(fd[1]);
}

static struct ex_timer quiet;
static unsigned n_quiet;
static uint64_t heard_at;

static void on_quiet(struct ex_timer *t)
{
	(void)t;
	n_quiet++;
	assert_true(ex_loop_now(loop) >= heard_at + 10);
}

static void on_heard(struct ex_watch *w, uint32_t events)
{
	char c;

	(void)events;
	assert_int_equal(read(w->fd, &c, 1), 1);
	heard_at = ex_loop_now(loop);
}

/* Once after each time that something came, however much later. */
static void test_quiet_is_told_once_when_nothing_has_come_for_so_long(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	watch = (struct ex_watch){ .fn = on_heard };
	quiet = (struct ex_timer){ .fn = on_quiet };
	n_quiet = 0;
	assert_int_equal(ex_watch_start(loop, &watch, fd[0], EPOLLIN), 0);
	ex_loop_on_quiet(loop, &quiet, 10);
	for (unsigned i = 1; i <= 2; i++) {
		heard_at = 0;
		assert_int_equal(write(fd[1], "x", 1), 1);
		usleep(20000); /* it is due, and yet it is not quiet */
		start(&all[0], 60);
		assert_int_equal(ex_loop_run(loop), 0);
		assert_true(heard_at);
		assert_int_equal(n_quiet, i);
	}
	ex_watch_close(loop, &watch);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_timer_that_is_put_off_fires_at_the_later_time_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_timer_that_is_put_off_and_forward_fires_at_the_last_time_said, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_timer_that_was_put_off_can_be_stopped, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_many_timers_in_any_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_event_that_is_there_is_seen_before_a_timer_that_is_due, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_quiet_is_told_once_when_nothing_has_come_for_so_long, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
