/* SPDX-License-Identifier: Apache-2.0 */
/* Another policy while streams of HTTP/2 are open. */
#include "tests/unit/h2_ask.h"

static void test_policy_change_ends_streams_that_are_not_allowed_on_both_sides(void **state)
{
	nghttp2_nv ok = nv(":status", "200");
	int32_t keep, waiting, half;

	(void)state;
	w.origin.silent = true;
	keep = ask(&(struct request){
		.path = "/ok/keep", .names = { "x-team" }, .values = { "blue" } });
	waiting = ask(&(struct request){ .path = "/ok/gone/1" });
	half = ask(&(struct request){ .path = "/ok/gone/2" });
	pump();
	nghttp2_submit_headers(w.origin.s, 0, half, NULL, &ok, 1, NULL);
	pump();
	ex_h2_relay_judge_again(w.relay);
	pump();
	assert_int_equal(w.judged_again, 3);
	assert_int_equal(w.fields_kept, 1);
	assert_int_equal(w.refused, 0); /* recorded by whoever judged */
	assert_string_equal(w.workload.seen[waiting].status, "403");
	assert_has(w.workload.seen[waiting].body, "policy-changed");
	assert_string_equal(w.workload.seen[half].status, "200");
	assert_true(w.workload.seen[half].closed);
	assert_int_equal(w.workload.seen[half].error, NGHTTP2_CANCEL);
	assert_int_equal(w.origin.seen[waiting].error, NGHTTP2_CANCEL);
	assert_int_equal(w.origin.seen[half].error, NGHTTP2_CANCEL);
	assert_false(w.workload.goaway);

	assert_false(w.workload.seen[keep].closed);
	origin_answer(&w.origin, keep);
	pump();
	assert_string_equal(w.workload.seen[keep].status, "200");
	assert_int_equal(w.workload.seen[keep].error, 0);
	assert_int_equal(w.relay->n_exchanges, 0);
}

static void test_policy_change_ends_an_upload_and_gives_its_window_back(void **state)
{
	int32_t id;

	(void)state;
	w.origin.hold_windows = true;
	for (int i = 0; i < 20; i++) { /* more than the connection's window in all */
		id = ask(&(struct request){ .path = "/ok/gone", .body = 60000 });
		pump();
		ex_h2_relay_judge_again(w.relay);
		pump();
		assert_true(w.workload.seen[id].closed ||
			    strcmp(w.workload.seen[id].status, "403") == 0);
		nghttp2_submit_rst_stream(w.workload.s, 0, id, NGHTTP2_CANCEL);
		pump();
	}
	assert_true(nghttp2_session_get_remote_window_size(w.workload.s) > 0);
	assert_int_equal(w.relay->n_exchanges, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_policy_change_ends_streams_that_are_not_allowed_on_both_sides),
		T(test_policy_change_ends_an_upload_and_gives_its_window_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
