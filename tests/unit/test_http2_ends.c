/* SPDX-License-Identifier: Apache-2.0 */
/* A relay whose streams or connections end before they are done, on either side. */
#include "tests/unit/h2_ask.h"

/* Who reads there that its stream was not among the last sends it once more, somewhere else. */
static void test_request_behind_a_goaway_that_is_not_sent_yet_is_not_done(void **state)
{
	int32_t before = ask(&(struct request){ 0 }), behind;

	(void)state;
	pump();
	ex_h2_relay_close(w.relay, false);
	behind = ask(&(struct request){ .body = 5 });
	pump();
	assert_string_equal(w.workload.seen[before].status, "200");
	assert_int_equal(w.workload.seen[behind].error, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(w.judged, 1);
	assert_int_equal(w.origin.n_heads, 1);
	assert_int_equal(w.relay->n_exchanges, 0);
}

static void test_reset_of_the_origin_reaches_the_workload(void **state)
{
	static const uint32_t codes[][2] = {
		{ NGHTTP2_REFUSED_STREAM, NGHTTP2_REFUSED_STREAM },
		{ NGHTTP2_CANCEL, NGHTTP2_CANCEL },
		{ NGHTTP2_NO_ERROR, NGHTTP2_NO_ERROR }, /* behind a 502 */
		{ 0x12345678, NGHTTP2_INTERNAL_ERROR },
	};

	(void)state;
	w.origin.silent = true;
	for (size_t i = 0; i < EX_ARRAY_SIZE(codes); i++) {
		int32_t id = ask(&(struct request){ 0 });

		pump();
		nghttp2_submit_rst_stream(w.origin.s, 0, id, codes[i][0]);
		pump();
		assert_true(w.workload.seen[id].closed);
		assert_int_equal(w.workload.seen[id].error, codes[i][1]);
	}
}

/* node's server, under load: all of the body, then RST_STREAM(NO_ERROR) and no END_STREAM */
static void test_body_before_a_reset_still_arrives(void **state)
{
	static const uint32_t codes[] = { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL };

	(void)state;
	w.origin.never_ends = w.workload.hold_windows = true;
	w.origin.body = 60000;
	for (int i = 0; i < 2; i++)
		ask(&(struct request){ 0 });
	pump();
	for (int i = 0; i < 2; i++)
		nghttp2_submit_rst_stream(w.origin.s, 0, 2 * i + 1, codes[i]);
	pump();
	/* one stream is through, the other waits for the window of the connection */
	assert_true(w.workload.seen[1].closed != w.workload.seen[3].closed);
	nghttp2_session_consume_connection(w.workload.s, 65535);
	pump();
	for (int i = 0; i < 2; i++) {
		const struct seen *a = &w.workload.seen[2 * i + 1];

		assert_int_equal(a->body_len, 60000);
		assert_false(a->end);
		assert_true(a->closed);
		assert_int_equal(a->error, codes[i]);
	}
	assert_int_equal(w.relay->n_exchanges, 0);
}

static void test_goaway_of_the_origin_is_passed_on_and_open_streams_end(void **state)
{
	const struct seen *a;
	int32_t id;

	(void)state;
	w.origin.silent = true;
	id = ask(&(struct request){ 0 });
	pump();
	nghttp2_submit_goaway(w.origin.s, 0, 1, 0, NULL, 0);
	pump();
	assert_true(w.workload.goaway);
	assert_int_equal(w.workload.goaway_error, 0);
	origin_answer(&w.origin, 1);
	pump();
	a = &w.workload.seen[id];
	assert_string_equal(a->status, "200");
	assert_true(ex_h2_relay_done(w.relay, EX_H2_WORKLOAD));
	assert_true(ex_h2_relay_done(w.relay, EX_H2_ORIGIN));
}

static void test_lost_origin_is_told_as_502_or_reset(void **state)
{
	nghttp2_nv ok = nv(":status", "200");
	int32_t waiting, half;

	(void)state;
	w.origin.silent = true;
	waiting = ask(&(struct request){ 0 });
	half = ask(&(struct request){ 0 });
	pump();
	nghttp2_submit_headers(w.origin.s, 0, half, NULL, &ok, 1, NULL);
	pump();
	ex_h2_relay_eof(w.relay, EX_H2_ORIGIN);
	ex_h2_relay_eof(w.relay, EX_H2_ORIGIN);
	pump();
	assert_string_equal(w.workload.seen[waiting].status, "502");
	assert_has(w.workload.seen[waiting].body, "upstream-unreachable");
	assert_true(w.workload.seen[half].closed);
	assert_int_equal(w.workload.seen[half].error, NGHTTP2_INTERNAL_ERROR);
	assert_true(w.workload.goaway);
}

static void test_upload_to_a_lost_origin_is_answered_to_its_end(void **state)
{
	int32_t id;

	(void)state;
	w.origin.silent = w.origin.hold_windows = true;
	id = ask(&(struct request){ .body = 1 << 20 });
	pump();
	ex_h2_relay_eof(w.relay, EX_H2_ORIGIN);
	pump();
	assert_string_equal(w.workload.seen[id].status, "502");
	assert_true(w.workload.seen[id].end && w.workload.seen[id].closed);
	assert_int_equal(w.workload.seen[id].error, 0);
}

static void test_lost_workload_cancels_at_the_origin(void **state)
{
	(void)state;
	w.origin.silent = true;
	ask(&(struct request){ 0 });
	pump();
	ex_h2_relay_eof(w.relay, EX_H2_WORKLOAD);
	pump();
	assert_true(w.origin.seen[1].closed);
	assert_int_equal(w.origin.seen[1].error, NGHTTP2_CANCEL);
	assert_true(ex_h2_relay_done(w.relay, EX_H2_ORIGIN));
}

static void test_close_lets_open_streams_end_or_cuts_them(void **state)
{
	(void)state;
	w.origin.silent = true;
	ask(&(struct request){ 0 });
	pump();
	ex_h2_relay_close(w.relay, false);
	pump();
	assert_true(w.workload.goaway);
	assert_false(ex_h2_relay_done(w.relay, EX_H2_WORKLOAD));
	ex_h2_relay_close(w.relay, true);
	pump();
	assert_int_equal(w.workload.goaway_error, NGHTTP2_CANCEL);
	assert_true(ex_h2_relay_done(w.relay, EX_H2_WORKLOAD));
	assert_true(ex_h2_relay_done(w.relay, EX_H2_ORIGIN));
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_request_behind_a_goaway_that_is_not_sent_yet_is_not_done),
		T(test_reset_of_the_origin_reaches_the_workload),
		T(test_body_before_a_reset_still_arrives),
		T(test_goaway_of_the_origin_is_passed_on_and_open_streams_end),
		T(test_lost_origin_is_told_as_502_or_reset),
		T(test_upload_to_a_lost_origin_is_answered_to_its_end),
		T(test_lost_workload_cancels_at_the_origin),
		T(test_close_lets_open_streams_end_or_cuts_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
