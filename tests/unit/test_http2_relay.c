/* SPDX-License-Identifier: Apache-2.0 */
/* Well-behaved peers: what passes, what is denied, and who waits for whom. */
#include "tests/unit/h2_ask.h"

static const struct seen *ask_and_wait(const struct request *q)
{
	int32_t id = ask(q);

	pump();
	return &w.workload.seen[id];
}

/* ---- allowed ---- */

static void test_request_and_response_pass(void **state)
{
	const struct seen *a, *o = &w.origin.seen[1];

	(void)state;
	w.origin.body = 1000;
	a = ask_and_wait(&(struct request){ .method = "POST",
					    .path = "/ok?x=1",
					    .names = { "content-type", "content-length" },
					    .values = { "application/json", "500" },
					    .body = 500 });
	assert_string_equal(a->status, "200");
	assert_has(a->fields, "server: test\n");
	assert_int_equal(a->body_len, 1000);
	assert_true(a->closed);
	assert_int_equal(a->error, 0);
	assert_string_equal(o->method, "POST");
	assert_string_equal(o->authority, "api.test");
	assert_string_equal(o->path, "/ok?x=1");
	assert_has(o->fields, "content-length: 500\n");
	assert_int_equal(o->body_len, 500);
	assert_int_equal(w.relay->n_exchanges, 0);
	assert_int_equal(w.judged, 1);
	assert_int_equal(w.refused, 0);
}

static void test_what_is_judged_is_what_is_sent(void **state)
{
	const struct seen *o = &w.origin.seen[1];

	(void)state;
	ask_and_wait(&(struct request){ .authority = "API.test:443",
					.path = "/ok/%7euser%2d/%c3%a4",
					.names = { "host", "x-http-method-override",
						   "x-original-url", "proxy-authorization",
						   "x_rewrite_url", "authorization", "te" },
					.values = { "api.TEST:443", "DELETE", "/evil", "secret",
						    "/evil", "Bearer t", "trailers" } });
	assert_string_equal(o->authority, "api.test:443");
	assert_string_equal(o->path, "/ok/~user-/%C3%A4");
	assert_string_equal(o->fields, "authorization: Bearer t (secret)\nte: trailers\n--\n");
}

static void test_fields_go_out_as_the_rules_edit_them(void **state)
{
	const struct seen *o = &w.origin.seen[1];

	(void)state;
	ask_and_wait(&(struct request){
		.path = "/ok/edit",
		.names = { "authorization", "accept", "x-drop", "x_drop", "x-add" },
		.values = { "Bearer mine", "*/*", "1", "2", "less" } });
	assert_string_equal(o->fields, "");
	ask_and_wait(&(struct request){ .path = "/ok/edit",
					.names = { "authorization", "accept", "x-drop", "x-add" },
					.values = { "Bearer mine", "*/*", "1", "less" } });
	assert_string_equal(o->fields, "accept: */*\nx-add: less\nauthorization: token (secret)\n"
				       "x-add: more (secret)\n--\n");
}

static void test_many_streams_at_once_each_with_its_own_verdict(void **state)
{
	(void)state;
	w.origin.body = 5000;
	for (int i = 0; i < 90; i++)
		ask(&(struct request){ .path = i % 3 ? "/ok" : "/no" });
	pump();
	for (int i = 0; i < 90; i++) {
		const struct seen *a = &w.workload.seen[2 * i + 1];

		assert_string_equal(a->status, i % 3 ? "200" : "403");
		assert_true(a->closed);
		if (i % 3)
			assert_int_equal(a->body_len, 5000);
	}
	assert_int_equal(w.origin.n_heads, 60);
	assert_int_equal(w.denied, 30);
	assert_int_equal(w.relay->n_exchanges, 0);
}

static void test_trailers_of_a_grpc_call_pass(void **state)
{
	const struct seen *a;

	(void)state;
	w.origin.body = 10;
	w.origin.trailers = true;
	a = ask_and_wait(&(struct request){ .method = "POST",
					    .path = "/ok.Service/Method",
					    .names = { "content-type", "te" },
					    .values = { "application/grpc", "trailers" },
					    .body = 5 });
	assert_string_equal(a->fields, "server: test\n--\ngrpc-status: 0\n--\n");
	assert_int_equal(a->body_len, 10);
	assert_true(a->end && a->closed && a->error == 0);
	/* an answer of trailers alone */
	w.origin.body = 0;
	a = ask_and_wait(&(struct request){ .path = "/ok" });
	assert_string_equal(a->fields, "server: test\n--\ngrpc-status: 0\n--\n");
}

static void test_interim_responses_and_head_pass(void **state)
{
	nghttp2_nv early[] = { nv(":status", "103"), nv("link", "</x>") };
	const struct seen *a;
	int32_t id;

	(void)state;
	w.origin.silent = true;
	id = ask(&(struct request){ .method = "HEAD" });
	pump();
	a = &w.workload.seen[id];
	nghttp2_submit_headers(w.origin.s, 0, 1, NULL, early, 2, NULL);
	pump();
	assert_string_equal(a->status, "103");
	assert_false(a->end);
	origin_answer(&w.origin, 1);
	pump();
	assert_string_equal(a->status, "200");
	assert_int_equal(a->heads, 2);
	assert_true(a->closed && a->error == 0);
}

/* ---- denied ---- */

static void test_denied_request_is_answered_here_and_only_here(void **state)
{
	const struct seen *a = ask_and_wait(&(struct request){ .path = "/no?secret" });

	(void)state;
	assert_string_equal(a->status, "403");
	assert_has(a->fields, "x-exeat-reason: http-denied\n");
	assert_has(a->fields, "content-type: application/json\n");
	assert_has(a->body, "\"code\":\"http-denied\"");
	assert_null(strstr(a->body, "secret"));
	assert_true(a->end && a->closed && a->error == 0);
	assert_int_equal(w.origin.n_heads, 0);
	/* the connection goes on */
	assert_string_equal(ask_and_wait(&(struct request){ 0 })->status, "200");
}

static void test_denial_is_text_for_who_accepts_nothing_else(void **state)
{
	const struct seen *a = ask_and_wait(&(struct request){
		.path = "/no", .names = { "accept" }, .values = { "text/plain" } });

	(void)state;
	assert_string_equal(a->status, "403");
	assert_has(a->fields, "content-type: text/plain");
	assert_has(a->body, "exeat denied GET api.test/no: ");
}

static void test_denied_head_has_no_body(void **state)
{
	const struct seen *a = ask_and_wait(&(struct request){ .method = "HEAD", .path = "/no" });

	(void)state;
	assert_string_equal(a->status, "403");
	assert_int_equal(a->body_len, 0);
	assert_true(a->end && a->closed);
}

/* The rest of the body is not wanted: answer, then RST_STREAM(NO_ERROR); the window is not lost. */
static void test_denied_upload_is_stopped_and_its_window_is_given_back(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		const struct seen *a = ask_and_wait(
			&(struct request){ .method = "POST", .path = "/no", .body = 1 << 20 });

		assert_string_equal(a->status, "403");
		assert_true(a->end && a->closed);
		assert_int_equal(a->error, 0);
	}
	assert_int_equal(w.origin.n_heads, 0);
	w.workload.seen[41].body_len = 0;
	ask_and_wait(&(struct request){ .method = "POST", .body = 1 << 20 });
	assert_int_equal(w.origin.seen[1].body_len, 1 << 20);
	assert_int_equal(w.relay->n_exchanges, 0);
}

static void test_denied_grpc_call_gets_trailers_only_permission_denied(void **state)
{
	static const char *const types[] = { "application/grpc", "application/grpc+proto",
					     "application/grpc;x" };
	const struct seen *a;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		a = ask_and_wait(&(struct request){ .method = "POST",
						    .path = "/evil.Service/%C3%A4",
						    .names = { "content-type", "te" },
						    .values = { types[i], "trailers" },
						    .body = 5 });
		assert_string_equal(a->status, "200");
		assert_int_equal(a->heads, 1);
		assert_has(a->fields, "content-type: application/grpc\n");
		assert_has(a->fields, "grpc-status: 7\n");
		assert_has(a->fields,
			   "grpc-message: exeat denied api.test/evil.Service/%25C3%25A4: ");
		assert_int_equal(a->body_len, 0);
		assert_true(a->end && a->closed && a->error == 0);
	}
	a = ask_and_wait(&(struct request){
		.path = "/no", .names = { "content-type" }, .values = { "application/grpc-web" } });
	assert_string_equal(a->status, "403");
}

/* A call both ways, say: its client ends when it has read the answer to its end, and not before. */
static void test_denial_does_not_wait_for_who_waits_for_it(void **state)
{
	static const struct request open_ended[] = {
		{ .path = "/no", .body = 5 },
		{ .path = "/no",
		  .names = { "content-length", "expect" },
		  .values = { "9", "100-continue" },
		  .body = 5 },
	};
	const struct seen *a;

	(void)state;
	w.workload.never_ends = true;
	for (size_t i = 0; i < EX_ARRAY_SIZE(open_ended); i++) {
		a = ask_and_wait(&open_ended[i]);
		assert_string_equal(a->status, "403");
		assert_true(a->end && a->closed && a->error == 0);
	}
	a = ask_and_wait(&(struct request){
		.path = "/no", .names = { "content-length" }, .values = { "9" }, .body = 5 });
	assert_string_equal(a->status, "403");
	assert_false(a->end); /* its end is near */
}

static void test_failed_grpc_call_is_told_in_its_own_words(void **state)
{
	int32_t id;

	(void)state;
	w.origin.silent = true;
	id = ask(&(struct request){ .path = "/ok.Service/Method",
				    .names = { "content-type" },
				    .values = { "application/grpc" },
				    .body = 5 });
	pump();
	ex_h2_relay_eof(w.relay, EX_H2_ORIGIN);
	pump();
	assert_string_equal(w.workload.seen[id].status, "200");
	assert_has(w.workload.seen[id].fields, "grpc-status: 14\n");
	assert_int_equal(w.refused_reason, EX_R_UPSTREAM_UNREACHABLE);
}

static void test_deny_requests_whose_names_disagree(void **state)
{
	static const struct {
		struct request q;
		const char *status;
		enum ex_reason reason;
	} cases[] = {
		{ { .authority = "evil.test" }, "421", EX_R_HOST_MISMATCH },
		{ { .authority = "api.test.evil.test" }, "421", EX_R_HOST_MISMATCH },
		{ { .authority = "x.api.test" }, "421", EX_R_HOST_MISMATCH },
		{ { .authority = "api.test:8443" }, "421", EX_R_HOST_MISMATCH },
		{ { .authority = "127.0.0.1" }, "421", EX_R_HOST_MISMATCH },
		{ { .authority = "[::1]" }, "421", EX_R_HOST_MISMATCH },
		{ { .authority = "user@api.test" }, "400", EX_R_HTTP_MALFORMED },
		{ { .authority = "api.test,evil" }, "400", EX_R_HTTP_MALFORMED },
		{ { .authority = "api.test/" }, NULL, EX_R_HTTP_MALFORMED },
		{ { .scheme = "http" }, "400", EX_R_HTTP_MALFORMED },
		{ { .scheme = "HTTPS" }, "400", EX_R_HTTP_MALFORMED },
		{ { .scheme = "file" }, "400", EX_R_HTTP_MALFORMED },
		{ { .names = { "host" }, .values = { "evil.test" } }, "400", EX_R_HTTP_MALFORMED },
		{ { .names = { "host" }, .values = { "api.test:80" } },
		  "400",
		  EX_R_HTTP_MALFORMED },
		{ { .names = { "host_" }, .values = { "x" } }, "200", 0 },
		{ { .names = { "content_length" }, .values = { "9" } },
		  "400",
		  EX_R_HTTP_MALFORMED },
		{ { .names = { "transfer_encoding" }, .values = { "chunked" } },
		  "400",
		  EX_R_HTTP_MALFORMED },
		{ { .path = "/ok/../no" }, "400", EX_R_HTTP_MALFORMED },
		{ { .path = "/ok/%2e%2e/no" }, "400", EX_R_HTTP_MALFORMED },
		{ { .path = "/ok//no" }, "400", EX_R_HTTP_MALFORMED },
		{ { .path = "/ok%2f../no" }, "400", EX_R_HTTP_MALFORMED },
		{ { .path = "/ok%00" }, "400", EX_R_HTTP_MALFORMED },
		{ { .path = "/ok\\no" }, "400", EX_R_HTTP_MALFORMED },
		{ { .path = "/ok#no" }, "400", EX_R_HTTP_MALFORMED },
		{ { .path = "*", .method = "OPTIONS" }, "400", EX_R_HTTP_MALFORMED },
		{ { .method = "TRACE" }, "403", EX_R_HTTP_DENIED },
		{ { .method = "TRACK" }, "403", EX_R_HTTP_DENIED },
		{ { .method = "G T" }, NULL, EX_R_HTTP_MALFORMED },
		{ { .path = "http://evil.test/" }, NULL, EX_R_HTTP_MALFORMED },
		{ { 0 }, "200", 0 }, /* the twin */
	};
	unsigned refusals = 0;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		const struct seen *a = ask_and_wait(&cases[i].q);

		if (cases[i].status)
			assert_string_equal(a->status, cases[i].status);
		else
			assert_string_not_equal(a->status, "200");
		refusals += cases[i].reason != 0;
		assert_int_equal(w.refused, refusals);
		if (cases[i].reason)
			assert_int_equal(w.refused_reason, cases[i].reason);
	}
	assert_int_equal(w.origin.n_heads, 2);
}

static void test_deny_too_many_or_too_large_fields(void **state)
{
	static char big[70000];
	nghttp2_nv fields[4 + 129];
	const struct seen *a;

	(void)state;
	fields[0] = nv(":method", "GET");
	fields[1] = nv(":scheme", "https");
	fields[2] = nv(":authority", "api.test");
	fields[3] = nv(":path", "/ok");
	for (size_t i = 4; i < EX_ARRAY_SIZE(fields); i++)
		fields[i] = nv("a", "b");
	nghttp2_submit_request(w.workload.s, NULL, fields, 4 + 128, NULL, NULL);
	nghttp2_submit_request(w.workload.s, NULL, fields, 4 + 129, NULL, NULL);
	pump();
	assert_string_equal(w.workload.seen[1].status, "200");
	assert_string_equal(w.workload.seen[3].status, "431");
	memset(big, 'a', 33000);
	a = ask_and_wait(&(struct request){ .names = { "a", "b" }, .values = { big, big } });
	assert_string_equal(a->status, "431");
	assert_int_equal(w.refused_reason, EX_R_HTTP_TOO_LARGE);
	memcpy(big, "/ok", 3);
	big[8193] = '\0';
	a = ask_and_wait(&(struct request){ .path = big });
	assert_string_equal(a->status, "431");
	big[8192] = '\0';
	a = ask_and_wait(&(struct request){ .path = big });
	assert_string_equal(a->status, "200");
}

/* ---- back-pressure ---- */

static void test_slow_workload_stops_the_origin(void **state)
{
	(void)state;
	w.workload.hold_windows = true;
	w.origin.body = 64 << 20;
	for (int i = 0; i < 4; i++)
		ask(&(struct request){ 0 });
	pump();
	/* what the workload took, and our window towards the origin on top */
	assert_true(w.from_origin < 65535 + 512 * 1024 + 16384);
	assert_true(w.workload.seen[1].body_len <= 65535);
	/* it reads on, and everything comes */
	w.workload.hold_windows = false;
	w.origin.body = 0;
	for (int32_t id = 1; id < 8; id += 2)
		nghttp2_session_consume(w.workload.s, id, w.workload.seen[id].body_len);
	for (int i = 0; i < 400 && !w.workload.seen[7].closed; i++)
		pump();
	for (int32_t id = 1; id < 8; id += 2)
		assert_int_equal(w.workload.seen[id].body_len, 64 << 20);
}

static void test_slow_origin_stops_the_workload(void **state)
{
	size_t sent;

	(void)state;
	w.origin.hold_windows = true;
	ask(&(struct request){ .method = "POST", .body = 8 << 20 });
	pump();
	sent = (8 << 20) - w.workload.to_send[1];
	assert_true(w.origin.seen[1].body_len <= 65535);
	assert_in_range(sent, 65535, 2 * 65535 + 16384);
	w.origin.hold_windows = false;
	nghttp2_session_consume(w.origin.s, 1, w.origin.seen[1].body_len);
	pump();
	assert_int_equal(w.origin.seen[1].body_len, 8 << 20);
	assert_string_equal(w.workload.seen[1].status, "200");
}

/* A stream that is cut off half-way gives its share of the connection window back. */
static void test_cancelled_downloads_do_not_eat_the_window(void **state)
{
	const struct seen *a;

	(void)state;
	w.origin.body = 1 << 20;
	w.workload.hold_windows = true;
	for (int i = 0; i < 30; i++) {
		int32_t id = ask(&(struct request){ 0 });

		pump();
		nghttp2_submit_rst_stream(w.workload.s, 0, id, NGHTTP2_CANCEL);
		nghttp2_session_consume_connection(w.workload.s, w.workload.seen[id].body_len);
		pump();
		assert_true(w.origin.seen[id].closed);
		assert_int_equal(w.origin.seen[id].error, NGHTTP2_CANCEL);
	}
	assert_int_equal(w.relay->n_exchanges, 0);
	w.workload.hold_windows = false;
	a = ask_and_wait(&(struct request){ 0 });
	assert_int_equal(a->body_len, 1 << 20);
}

/* ---- the origin's ends ---- */

static void test_early_answer_ends_the_upload(void **state)
{
	const struct seen *a;
	int32_t id;

	(void)state;
	w.origin.silent = w.origin.hold_windows = true;
	w.origin.status = "413";
	id = ask(&(struct request){ .method = "POST", .body = 8 << 20 });
	pump();
	origin_answer(&w.origin, 1);
	pump();
	nghttp2_submit_rst_stream(w.origin.s, 0, 1, NGHTTP2_NO_ERROR);
	pump();
	a = &w.workload.seen[id];
	assert_string_equal(a->status, "413");
	assert_true(a->end && a->closed && a->error == 0);
	assert_int_equal(w.relay->n_exchanges, 0);
}

/* The server has as much room as its clients have: a workload that reads nothing may know it. */
static void test_large_heads_of_answers_are_bounded(void **state)
{
	static char large[3900];
	nghttp2_nv hints[16] = { nv(":status", "103") };
	const struct seen *a = &w.workload.seen[1];

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	for (size_t i = 1; i < EX_ARRAY_SIZE(hints); i++)
		hints[i] = nv("link", large);
	w.heads = w.others = EX_H2_HEADS_MAX - 150 * 1024;
	w.origin.silent = true;
	ask(&(struct request){ 0 });
	pump();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(a->heads, i);
		nghttp2_submit_headers(w.origin.s, 0, 1, NULL, hints, EX_ARRAY_SIZE(hints), NULL);
		pump();
	}
	assert_string_equal(a->status, "503");
	assert_has(a->body, "\"limit\"");
	assert_true(w.origin.seen[1].closed);
	assert_int_equal(w.relay->n_exchanges, 0);
}

static void test_malformed_answer_is_told_as_502(void **state)
{
	static const char *const bad[][2] = {
		{ "connection", "close" },   { "transfer-encoding", "chunked" },
		{ "content-length", "abc" }, { ":path", "/" },
		{ "upgrade", "h2c" },
	};

	(void)state;
	w.origin.silent = true;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		nghttp2_nv fields[] = { nv(":status", "200"), nv(bad[i][0], bad[i][1]) };
		int32_t id = ask(&(struct request){ 0 });

		pump();
		nghttp2_submit_headers(w.origin.s, NGHTTP2_FLAG_END_STREAM, id, NULL, fields, 2,
				       NULL);
		pump();
		assert_string_equal(w.workload.seen[id].status, "502");
		assert_int_equal(w.refused_reason, EX_R_UPSTREAM_PROTOCOL);
		assert_true(w.workload.seen[id].closed);
	}
	assert_int_equal(w.relay->n_exchanges, 0);
}

static void test_flood_of_interim_responses_is_cut_off(void **state)
{
	nghttp2_nv early = nv(":status", "102");
	int32_t id;

	(void)state;
	w.origin.silent = true;
	id = ask(&(struct request){ 0 });
	pump();
	for (int i = 0; i < 20; i++) {
		nghttp2_submit_headers(w.origin.s, 0, id, NULL, &early, 1, NULL);
		pump();
	}
	assert_int_equal(w.workload.seen[id].heads, 8 + 1);
	assert_string_equal(w.workload.seen[id].status, "502");
	assert_true(w.origin.seen[id].closed);
}

static void test_push_of_the_origin_breaks_its_connection(void **state)
{
	(void)state;
	w.origin.silent = true;
	ask(&(struct request){ 0 });
	pump();
	/* PUSH_PROMISE of stream 2 on stream 1, by hand: nghttp2 would not send it */
	ex_h2_relay_feed(w.relay, EX_H2_ORIGIN, "\0\0\5\5\4\0\0\0\1\0\0\0\2\x82", 14, 0);
	pump();
	assert_true(w.origin.goaway);
	assert_int_equal(w.origin.goaway_error, NGHTTP2_PROTOCOL_ERROR);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_request_and_response_pass),
		T(test_what_is_judged_is_what_is_sent),
		T(test_fields_go_out_as_the_rules_edit_them),
		T(test_many_streams_at_once_each_with_its_own_verdict),
		T(test_trailers_of_a_grpc_call_pass),
		T(test_interim_responses_and_head_pass),
		T(test_denied_request_is_answered_here_and_only_here),
		T(test_denial_is_text_for_who_accepts_nothing_else),
		T(test_denied_head_has_no_body),
		T(test_denied_upload_is_stopped_and_its_window_is_given_back),
		T(test_denied_grpc_call_gets_trailers_only_permission_denied),
		T(test_denial_does_not_wait_for_who_waits_for_it),
		T(test_failed_grpc_call_is_told_in_its_own_words),
		T(test_deny_requests_whose_names_disagree),
		T(test_deny_too_many_or_too_large_fields),
		T(test_slow_workload_stops_the_origin),
		T(test_slow_origin_stops_the_workload),
		T(test_cancelled_downloads_do_not_eat_the_window),
		T(test_early_answer_ends_the_upload),
		T(test_large_heads_of_answers_are_bounded),
		T(test_malformed_answer_is_told_as_502),
		T(test_flood_of_interim_responses_is_cut_off),
		T(test_push_of_the_origin_breaks_its_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
