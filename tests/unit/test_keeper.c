/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper and a proxy that was taken over. */
#include "keeper.h"

#include <sys/epoll.h>
#include <sys/syscall.h>

/* ---- the kernel, which may have no memory ---- */

static int watches_left; /* until one cannot be had; 0 = there is enough */

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	if (op == EPOLL_CTL_ADD && watches_left && --watches_left == 0) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

static void lost_by(const char *how, const char *why)
{
	begin(how, 1, false);
	if (n_lost == 0)
		run_for(30000);
	assert_int_equal(n_lost, 1);
	assert_string_equal(why_lost, why);
	assert_false(ex_keeper_is_ready(keeper));
	assert_int_equal(end(NULL), 0);
}

static void test_what_breaks_the_protocol_is_ended(void **state)
{
	static const char *const ways[] = { "early",   "short", "unknown", "fd",         "answer",
					    "ruleset", "known", "swapped", "ready-twice" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++)
		lost_by(ways[i], "sent what it must not and was ended");
}

static void test_what_is_no_record_ends_who_wrote_it(void **state)
{
	static const char *const ways[] = { "records-head",  "records-zero",    "records-rule",
					    "records-gate",  "records-source",  "records-long",
					    "records-short", "records-verdict", "records-policy" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++) {
		lost_by(ways[i], "sent what it must not and was ended");
		assert_int_equal(n_records, 0);
	}
}

static void test_what_ends_is_lost(void **state)
{
	(void)state;
	lost_by("die", "ended");
}

static void test_nothing_is_given_that_the_policy_does_not(void **state)
{
	(void)state;
	begin("ask", 1, false);
	if (n_lost == 0)
		run_for(30000);
	assert_string_equal(why_lost, "ended");
}

static void test_each_worker_knows_what_one_has_learned(void **state)
{
	(void)state;
	begin("learn", 2, false);
	assert_int_equal(n_ready, 1);
	for (int i = 0; i < 3 && n_lost < 2; i++)
		run_for(30000);
	assert_int_equal(n_lost, 2);
	assert_string_equal(why_lost, "ended"); /* of its own accord: it was told */
}

/* ---- another policy ---- */

static void test_swap_is_followed(void **state)
{
	(void)state;
	begin("follow", 3, false);
	assert_int_equal(n_ready, 1);
	assert_int_equal(swap(), 0);
	assert_false(ex_keeper_is_settled(keeper));
	run_for(30000);
	assert_int_equal(n_swapped, 1);
	assert_int_equal(swap_err, 0);
	assert_int_equal(n_lost, 0);
	assert_true(ex_keeper_is_settled(keeper));
}

static void test_swaps_on_top_of_each_other_are_followed_to_the_last(void **state)
{
	(void)state;
	begin("follow", 2, false);
	for (int i = 0; i < 5; i++)
		assert_int_equal(swap(), 0);
	run_for(30000);
	assert_true(ex_keeper_is_settled(keeper));
	assert_int_equal(n_swapped, 1);
	assert_int_equal(n_lost, 0);
}

static void test_who_cannot_follow_is_replaced(void **state)
{
	(void)state;
	begin("follow-error", 1, false);
	assert_int_equal(swap(), 0);
	for (int i = 0; i < 3 && n_swapped == 0; i++)
		run_for(30000);
	assert_int_equal(swap_err, -ENOMEM);
	assert_int_equal(n_lost, 1);
	run_for(30000);
	assert_int_equal(n_ready, 2); /* under the new one, from the start */
	assert_true(ex_keeper_is_settled(keeper));
}

static void test_who_lies_about_following_is_ended(void **state)
{
	static const char *const ways[] = { "follow-another", "follow-more" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++) {
		begin(ways[i], 1, false);
		assert_int_equal(swap(), 0);
		for (int k = 0; k < 3 && n_lost == 0; k++)
			run_for(30000);
		assert_string_equal(why_lost, "sent what it must not and was ended");
		assert_int_equal(end(NULL), 0);
	}
}

static void test_who_is_silent_is_replaced_in_time(void **state)
{
	(void)state;
	begin("silent", 1, false);
	assert_int_equal(swap(), 0);
	run_for(4000);
	assert_int_equal(n_lost, 0);
	for (int i = 0; i < 3 && n_lost == 0; i++)
		run_for(30000);
	assert_string_equal(why_lost, "did not follow another policy in time and was ended");
	assert_int_equal(swap_err, -ETIMEDOUT);
}

static void test_pauses_between_restarts_grow(void **state)
{
	(void)state;
	begin("die", 1, true);
	for (int i = 0; i < 20 && n_lost < (int)EX_ARRAY_SIZE(lost_at); i++)
		run_for(30000);
	assert_true(n_lost >= (int)EX_ARRAY_SIZE(lost_at));
	for (size_t i = 1; i < EX_ARRAY_SIZE(lost_at); i++)
		assert_true(lost_at[i] - lost_at[i - 1] >= (uint64_t)EX_KEEPER_PAUSE_MS << (i - 1));
}

static void test_who_cannot_be_watched_is_started_again(void **state)
{
	(void)state;
	for (int watch = 1; watch <= 3; watch++) { /* its end, its requests, its resolvers */
		begin("die", 1, true);
		watches_left = watch;
		for (int i = 0; i < 20 && n_lost < 3; i++)
			run_for(1000);
		assert_int_equal(watches_left, 0);
		assert_int_equal(n_lost, 3);
		assert_int_equal(end(NULL), 0);
	}
}

/* ---- records ---- */

static void test_records_are_taken_while_it_lives(void **state)
{
	(void)state;
	begin("recording", 1, false);
	for (int i = 0; i < 3000 && n_records < MANY; i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_int_equal(n_lost, 0);
}

/* A few of them at any time: they are not looked for each time there are some. */
static void test_records_of_a_steady_stream_are_taken_by_the_handful(void **state)
{
	uint64_t from;

	(void)state;
	begin("recording-steady", 1, false);
	from = ex_clock_ms();
	for (int i = 0; i < 3000 && n_records < MANY; i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_int_equal(n_lost, 0);
	/* every 40 ms, and sooner at the start */
	assert_in_range(n_looks, 2, (ex_clock_ms() - from) / 16);
}

static void test_records_outlive_who_wrote_them(void **state)
{
	(void)state;
	begin("recording-death", 1, false);
	for (int i = 0; i < 3000 && (n_lost == 0 || n_records < MANY); i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_string_equal(why_lost, "ended");
}

static void test_records_are_taken_before_the_end(void **state)
{
	(void)state;
	begin("recording", 1, false);
	usleep(100000); /* it writes all there is room for, nobody reads meanwhile */
	ex_keeper_stop(keeper);
	assert_true(n_records > 0);
	assert_int_equal(n_lost, 0);
}

static void test_nothing_is_recorded_once_it_is_freed(void **state)
{
	(void)state;
	begin("recording", 1, false);
	n_records = 0;
	usleep(100000);
	assert_int_equal(end(NULL), 0);
	assert_int_equal(n_records, 0);
	keeper = NULL;
}

static void test_records_bear_the_rules_they_were_judged_by(void **state)
{
	(void)state;
	begin("recording-swap", 1, false);
	for (int i = 0; i < 3000 && n_records < MANY; i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_int_equal(swap(), 0);
	for (int i = 0; i < 3000 && n_records < 3 * MANY; i++)
		run_for(10);
	assert_int_equal(n_records, 3 * MANY);
	assert_int_equal(n_swapped, 1);
	assert_int_equal(n_lost, 0);
}

static void test_who_follows_in_silence_is_still_listened_to(void **state)
{
	(void)state;
	begin("recording-later", 1, false);
	run_for(50);
	assert_int_equal(swap(), 0);
	by[0] = by[1];
	for (int i = 0; i < 3000 && n_records == 0; i++)
		run_for(10);
	assert_int_equal(n_swapped, 1);
	assert_int_equal(n_records, 1);
	assert_int_equal(n_lost, 0);
}

/* ---- too much ---- */

static uint64_t ms_until_lost(uint64_t max)
{
	uint64_t from = ex_clock_ms();

	while (n_lost == 0 && ex_clock_ms() - from < max)
		run_for(10);
	return ex_clock_ms() - from;
}

static void test_who_asks_for_too_much_is_not_heard_for_a_while(void **state)
{
	/* One and a half seconds more than all at once: 200 leaves, 10000 addresses, 2000 sockets.
	 */
	static const char *const ways[] = { "flood-mint-1300", "flood-learn-860",
					    "flood-udp-11000" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++) {
		begin(ways[i], 1, false);
		assert_true(ms_until_lost(1000) >= 1000);
		assert_int_equal(n_lost, 0);
		assert_true(ex_keeper_is_ready(keeper));
		(void)ms_until_lost(20000);
		assert_string_equal(why_lost, "ended"); /* it got all its answers */
		assert_int_equal(end(NULL), 0);
	}
}

static void test_who_asks_for_much_is_heard(void **state)
{
	static const char *const ways[] = { "flood-mint-900", "flood-learn-600", "flood-udp-5000",
					    "flood-dial-10000" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++) {
		begin(ways[i], 1, false);
		(void)ms_until_lost(20000);
		assert_string_equal(why_lost, "ended");
		assert_int_equal(end(NULL), 0);
	}
}

static void test_packets_that_are_denied_do_not_fill_the_log(void **state)
{
	const struct ex_event ev = { .type = EX_EV_DENY,
				     .verdict = EX_V_DENY,
				     .reason = EX_R_DEFAULT_DENY,
				     .proto = IPPROTO_TCP,
				     .suppressed = 2 };
	const struct ex_event rest = { .type = EX_EV_LEFT_OUT, .suppressed = 5 };

	(void)state;
	begin("silent", 1, false);
	for (int i = 0; i < 10000; i++)
		ex_keeper_take_event(keeper, &ev);
	ex_keeper_take_event(keeper, &rest);
	assert_in_range(n_packets, 2000, 2100);
	/* What was left out is told of a little later, also when nothing more comes. */
	for (int i = 0; i < 3000 && n_left_out == 0; i++)
		run_for(10);
	assert_int_equal(n_packets + n_left_out, 30005);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_breaks_the_protocol_is_ended),
		cmocka_unit_test(test_what_is_no_record_ends_who_wrote_it),
		cmocka_unit_test(test_what_ends_is_lost),
		cmocka_unit_test_teardown(test_nothing_is_given_that_the_policy_does_not, end),
		cmocka_unit_test_teardown(test_each_worker_knows_what_one_has_learned, end),
		cmocka_unit_test_teardown(test_swap_is_followed, end),
		cmocka_unit_test_teardown(test_swaps_on_top_of_each_other_are_followed_to_the_last,
					  end),
		cmocka_unit_test_teardown(test_who_cannot_follow_is_replaced, end),
		cmocka_unit_test(test_who_lies_about_following_is_ended),
		cmocka_unit_test_teardown(test_who_is_silent_is_replaced_in_time, end),
		cmocka_unit_test_teardown(test_pauses_between_restarts_grow, end),
		cmocka_unit_test(test_who_cannot_be_watched_is_started_again),
		cmocka_unit_test_teardown(test_records_are_taken_while_it_lives, end),
		cmocka_unit_test_teardown(test_records_of_a_steady_stream_are_taken_by_the_handful,
					  end),
		cmocka_unit_test_teardown(test_records_outlive_who_wrote_them, end),
		cmocka_unit_test_teardown(test_records_are_taken_before_the_end, end),
		cmocka_unit_test(test_nothing_is_recorded_once_it_is_freed),
		cmocka_unit_test_teardown(test_records_bear_the_rules_they_were_judged_by, end),
		cmocka_unit_test_teardown(test_who_follows_in_silence_is_still_listened_to, end),
		cmocka_unit_test(test_who_asks_for_too_much_is_not_heard_for_a_while),
		cmocka_unit_test(test_who_asks_for_much_is_heard),
		cmocka_unit_test_teardown(test_packets_that_are_denied_do_not_fill_the_log, end),
	};
	int r = keeper_main(argc, argv);

	return r < 0 ? cmocka_run_group_tests(tests, set_up, tear_down) : r;
}
