/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 of the workload to an origin of HTTP/1.1: what goes out on a leg, and when. */
#include "agent/http/http2_leg.h"
#include "agent/tls/websocket.h"
#include "tests/unit/h2_peers.h"

static int open_unknown(void **state)
{
	const struct ex_h2_relay_config config = {
		.heads = &w.heads,
		.tls = true,
		.sni = EX_SPAN("api.test"),
		.port = 443,
		.judge = judge,
		.identity = identity,
		.refused = refused,
	};

	(void)state;
	memset(&w, 0, sizeof(w));
	assert_int_equal(ex_h2_relay_new(&config, &w.relay), 0);
	peer_open(&w.workload, false);
	return 0;
}

static int open_h1(void **state)
{
	(void)open_unknown(state);
	return ex_h2_relay_origin(w.relay, EX_H2_ORIGIN_H1);
}

static int32_t ask(const char *method, const char *path, const char *name, const char *value,
		   size_t body)
{
	nghttp2_data_provider data = { .source.ptr = &w.workload, .read_callback = peer_body };
	nghttp2_nv fields[] = { nv(":method", method), nv(":scheme", "https"),
				nv(":authority", "api.test"), nv(":path", path),
				nv(name ? name : "x", name ? value : "y") };
	int32_t id =
		nghttp2_submit_request(w.workload.s, NULL, fields, 5, body ? &data : NULL, NULL);

	assert_true(id > 0);
	w.workload.to_send[id % IDS] = body;
	pump();
	return id;
}

static struct ex_h2_leg *next_leg(void)
{
	struct ex_h2_leg *leg = ex_h2_relay_next_leg(w.relay);

	assert_non_null(leg);
	return leg;
}

static void assert_sends(struct ex_h2_leg *leg, const char *want)
{
	struct ex_buf out = { 0 };

	assert_int_equal(ex_h2_leg_pull(leg, &out), *want != '\0');
	assert_int_equal(ex_buf_len(&out), strlen(want));
	if (*want)
		assert_memory_equal(ex_buf_ptr(&out), want, strlen(want));
	ex_buf_done(&out);
}

static void answer(struct ex_h2_leg *leg, const char *text)
{
	assert_int_equal(ex_h2_leg_feed(leg, text, strlen(text)), strlen(text));
	pump();
}

static void test_request_is_written_in_one_way(void **state)
{
	struct ex_h2_leg *leg;
	int32_t id = ask("GET", "/ok?a=%7e", "x-tenant", "a", 0);

	(void)state;
	leg = next_leg();
	assert_sends(leg, "GET /ok?a=~ HTTP/1.1\r\nHost: api.test\r\nx-tenant: a\r\n"
			  "Connection: keep-alive\r\n\r\n");
	answer(leg, "HTTP/1.1 200 OK\r\nServer: T\r\nContent-Length: 2\r\n\r\nok");
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_KEEP);
	assert_string_equal(w.workload.seen[id].status, "200");
	assert_non_null(strstr(w.workload.seen[id].fields, "server: T\n"));
	assert_string_equal(w.workload.seen[id].body, "ok");
	assert_true(w.workload.seen[id].closed && !w.workload.seen[id].error);
	ex_h2_leg_free(leg);
}

static void test_body_has_the_framing_of_the_stream(void **state)
{
	struct ex_h2_leg *leg;

	(void)state;
	ask("POST", "/ok", NULL, NULL, 3);
	leg = next_leg();
	assert_sends(leg, "POST /ok HTTP/1.1\r\nHost: api.test\r\nx: y\r\n"
			  "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
			  "3\r\nxxx\r\n0\r\n\r\n");
	ex_h2_leg_free(leg);
	ask("POST", "/ok", "content-length", "3", 3);
	leg = next_leg();
	assert_sends(leg, "POST /ok HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\n"
			  "Connection: keep-alive\r\n\r\nxxx");
	ex_h2_leg_free(leg);
	ask("POST", "/ok", NULL, NULL, 0);
	leg = next_leg();
	assert_sends(leg, "POST /ok HTTP/1.1\r\nHost: api.test\r\nx: y\r\nContent-Length: 0\r\n"
			  "Connection: keep-alive\r\n\r\n");
	ex_h2_leg_free(leg);
}

static void test_deny_makes_no_leg(void **state)
{
	int32_t id = ask("GET", "/no", NULL, NULL, 0);

	(void)state;
	assert_null(ex_h2_relay_next_leg(w.relay));
	assert_string_equal(w.workload.seen[id].status, "403");
	id = ask("GET", "/ok", "x", "a\r\nHost: evil", 0);
	assert_null(ex_h2_relay_next_leg(w.relay));
	assert_string_not_equal(w.workload.seen[id].status, "200");
}

static void test_cancelled_stream_gives_up_its_connection(void **state)
{
	int32_t id = ask("GET", "/ok", NULL, NULL, 0);
	struct ex_h2_leg *leg = next_leg();

	(void)state;
	nghttp2_submit_rst_stream(w.workload.s, 0, id, NGHTTP2_CANCEL);
	pump();
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_CLOSE);
	assert_int_equal(w.relay->n_exchanges, 0);
	ex_h2_leg_free(leg);
}

/* While all connections that there may be are taken, legs wait in the relay: it may end first. */
static void test_legs_that_nobody_took_go_with_their_streams(void **state)
{
	int32_t one = ask("GET", "/ok/1", NULL, NULL, 0), two = ask("GET", "/ok/2", NULL, NULL, 0);
	struct ex_h2_leg *leg;

	(void)state;
	ask("GET", "/ok/3", NULL, NULL, 0);
	nghttp2_submit_rst_stream(w.workload.s, 0, two, NGHTTP2_CANCEL);
	pump();
	leg = next_leg();
	assert_sends(leg, "GET /ok/1 HTTP/1.1\r\nHost: api.test\r\nx: y\r\n"
			  "Connection: keep-alive\r\n\r\n");
	assert_int_equal(w.relay->n_exchanges, 2);
	nghttp2_submit_rst_stream(w.workload.s, 0, one, NGHTTP2_CANCEL);
	pump();
	ex_h2_leg_free(leg);
	assert_non_null(w.relay->fresh);
	ex_h2_relay_eof(w.relay, EX_H2_WORKLOAD);
	assert_null(w.relay->fresh);
	assert_null(ex_h2_relay_next_leg(w.relay));
}

/* What they had sent, and was still here, gives its share of the connection's window back. */
static void test_cancelled_uploads_do_not_eat_the_window(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) { /* more than the window in all */
		int32_t id = ask("POST", "/ok", NULL, NULL, 60000);
		struct ex_h2_leg *leg = ex_h2_relay_next_leg(w.relay);

		nghttp2_submit_rst_stream(w.workload.s, 0, id, NGHTTP2_CANCEL);
		pump();
		if (leg)
			ex_h2_leg_free(leg);
	}
	assert_true(nghttp2_session_get_remote_window_size(w.workload.s) > 60000);
	assert_int_equal(w.relay->n_exchanges, 0);
}

static void test_large_heads_of_answers_are_bounded(void **state)
{
	static char hints[60000];
	int32_t id = ask("GET", "/ok", NULL, NULL, 0);
	struct ex_h2_leg *leg = next_leg();

	(void)state;
	snprintf(hints, sizeof(hints), "HTTP/1.1 103 Early Hints\r\nLink: %0*d\r\n\r\n", 59900, 0);
	w.heads = EX_H2_HEADS_MAX - 150 * 1024;
	answer(leg, hints);
	answer(leg, hints);
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_RUNS);
	answer(leg, hints);
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_CLOSE);
	assert_string_equal(w.workload.seen[id].status, "503");
	assert_non_null(strstr(w.workload.seen[id].body, "\"limit\""));
	ex_h2_leg_free(leg);
}

static void test_reused_connection_that_had_ended_is_not_an_answer(void **state)
{
	static const char request[] = "GET /ok HTTP/1.1\r\nHost: api.test\r\nx: y\r\n"
				      "Connection: keep-alive\r\n\r\n";
	struct ex_h2_leg *leg;
	int32_t id = ask("GET", "/ok", NULL, NULL, 0);

	(void)state;
	leg = next_leg();
	assert_true(ex_h2_leg_may_reuse(leg));
	ex_h2_leg_reuses(leg);
	assert_sends(leg, request);
	ex_h2_leg_eof(leg, false);
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_REPEAT);
	ex_h2_leg_resume(leg);
	assert_sends(leg, request);
	ex_h2_leg_eof(leg, false); /* a fresh one: now it is a failure */
	pump();
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_CLOSE);
	assert_string_equal(w.workload.seen[id].status, "502");
	ex_h2_leg_free(leg);
}

static void test_request_that_may_have_been_read_is_not_sent_again(void **state)
{
	struct ex_h2_leg *leg;
	int32_t id = ask("POST", "/ok", NULL, NULL, 0);

	(void)state;
	leg = next_leg();
	assert_true(ex_h2_leg_may_reuse(leg));
	ex_h2_leg_reuses(leg);
	assert_sends(leg, "POST /ok HTTP/1.1\r\nHost: api.test\r\nx: y\r\n"
			  "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n");
	ex_h2_leg_eof(leg, true);
	pump();
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_CLOSE);
	assert_string_equal(w.workload.seen[id].status, "502");
	ex_h2_leg_free(leg);
}

/* The client may ask again, and will be let in when it has asked for the name anew. */
static void test_request_whose_name_has_expired_is_refused_unread(void **state)
{
	struct ex_h2_leg *leg;
	int32_t id = ask("POST", "/ok", NULL, NULL, 0);

	(void)state;
	leg = next_leg();
	ex_h2_leg_failed(leg, EX_R_ADDRESS_NOT_OF_NAME, "it has expired");
	pump();
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_CLOSE);
	assert_true(w.workload.seen[id].closed);
	assert_int_equal(w.workload.seen[id].error, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(w.refused_reason, EX_R_ADDRESS_NOT_OF_NAME);
	ex_h2_leg_free(leg);
}

static void test_bytes_behind_an_answer_end_the_connection(void **state)
{
	static const char more[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n";
	struct ex_h2_leg *leg;

	(void)state;
	ask("GET", "/ok", NULL, NULL, 0);
	leg = next_leg();
	assert_true(ex_h2_leg_feed(leg, more, sizeof(more) - 1) < sizeof(more) - 1);
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_CLOSE);
	ex_h2_leg_free(leg);
}

static int32_t connect_websocket(void)
{
	nghttp2_data_provider data = { .source.ptr = &w.workload, .read_callback = peer_body };
	nghttp2_nv fields[] = { nv(":method", "CONNECT"), nv(":protocol", "websocket"),
				nv(":scheme", "https"),   nv(":authority", "api.test"),
				nv(":path", "/ok"),       nv("sec-websocket-version", "13") };
	int32_t id = nghttp2_submit_request(w.workload.s, NULL, fields, 6, &data, NULL);

	w.workload.to_send[id % IDS] = 5;
	w.workload.never_ends = true;
	pump();
	return id;
}

/* The key the leg has drawn, out of the request it sends. */
static void read_key(struct ex_h2_leg *leg, char key[static EX_WS_KEY_LEN + 1])
{
	struct ex_buf out = { 0 };
	const char *at;

	assert_true(ex_h2_leg_pull(leg, &out));
	assert_memory_equal(ex_buf_ptr(&out), "GET /ok HTTP/1.1\r\n", 18);
	at = memmem(ex_buf_ptr(&out), ex_buf_len(&out), "sec-websocket-key: ", 19);
	assert_non_null(at);
	memcpy(key, at + 19, EX_WS_KEY_LEN);
	key[EX_WS_KEY_LEN] = '\0';
	/* nothing of the client's behind the head, before the server agrees */
	assert_memory_equal(ex_buf_ptr(&out) + ex_buf_len(&out) - 4, "\r\n\r\n", 4);
	ex_buf_done(&out);
}

static void test_websocket_opens_with_the_right_answer_only(void **state)
{
	static const char *const wrong[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
	};
	char key[EX_WS_KEY_LEN + 1], accept[EX_WS_ACCEPT_LEN + 1], text[300];
	struct ex_h2_leg *leg;
	int32_t id;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(wrong); i++) {
		id = connect_websocket();
		leg = next_leg();
		assert_true(ex_h2_leg_is_websocket(leg));
		(void)ex_h2_leg_feed(leg, wrong[i], strlen(wrong[i]));
		pump();
		assert_string_equal(w.workload.seen[id].status, "502");
		assert_int_equal(ex_h2_leg_state(leg), EX_LEG_CLOSE);
		assert_sends(leg, "");
		ex_h2_leg_free(leg);
	}
	id = connect_websocket();
	leg = next_leg();
	read_key(leg, key);
	assert_int_equal(ex_ws_accept(key, accept), 0);
	snprintf(text, sizeof(text),
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		 "Sec-WebSocket-Accept: %s\r\n\r\nGET /x HTTP/1.1\r\n",
		 accept);
	answer(leg, text);
	assert_string_equal(w.workload.seen[id].status, "200");
	assert_string_equal(w.workload.seen[id].body, "GET /x HTTP/1.1\r\n");
	assert_sends(leg, "xxxxx"); /* what was held */
	assert_int_equal(ex_h2_leg_state(leg), EX_LEG_RUNS);
	ex_h2_leg_free(leg);
}

static void test_server_is_wanted_after_a_verdict(void **state)
{
	int32_t id;

	(void)state;
	assert_false(ex_h2_relay_wants_origin(w.relay));
	ask("GET", "/no", NULL, NULL, 0);
	assert_false(ex_h2_relay_wants_origin(w.relay));
	id = ask("POST", "/ok", NULL, NULL, 3);
	assert_true(ex_h2_relay_wants_origin(w.relay));
	ex_h2_relay_origin_failed(w.relay, EX_R_UPSTREAM_UNREACHABLE, "no");
	pump();
	assert_string_equal(w.workload.seen[id].status, "502");
	assert_false(ex_h2_relay_wants_origin(w.relay));
	ask("GET", "/ok?1", NULL, NULL, 0);
	ask("GET", "/ok?2", NULL, NULL, 0);
	assert_int_equal(ex_h2_relay_origin(w.relay, EX_H2_ORIGIN_H1), 0);
	for (int i = 1; i <= 2; i++) {
		struct ex_h2_leg *leg = next_leg();
		char want[100];

		snprintf(want, sizeof(want),
			 "GET /ok?%d HTTP/1.1\r\nHost: api.test\r\nx: y\r\n"
			 "Connection: keep-alive\r\n\r\n",
			 i);
		assert_sends(leg, want);
		ex_h2_leg_free(leg);
	}
}

static int close_world(void **state)
{
	(void)state;
	ex_h2_relay_free(w.relay);
	nghttp2_session_del(w.workload.s);
	return 0;
}

#define H1(t)      cmocka_unit_test_setup_teardown(t, open_h1, close_world)
#define UNKNOWN(t) cmocka_unit_test_setup_teardown(t, open_unknown, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		H1(test_request_is_written_in_one_way),
		H1(test_body_has_the_framing_of_the_stream),
		H1(test_deny_makes_no_leg),
		H1(test_cancelled_stream_gives_up_its_connection),
		H1(test_legs_that_nobody_took_go_with_their_streams),
		H1(test_cancelled_uploads_do_not_eat_the_window),
		H1(test_large_heads_of_answers_are_bounded),
		H1(test_reused_connection_that_had_ended_is_not_an_answer),
		H1(test_request_that_may_have_been_read_is_not_sent_again),
		H1(test_request_whose_name_has_expired_is_refused_unread),
		H1(test_bytes_behind_an_answer_end_the_connection),
		H1(test_websocket_opens_with_the_right_answer_only),
		UNKNOWN(test_server_is_wanted_after_a_verdict),
		UNKNOWN(test_cancelled_uploads_do_not_eat_the_window),
	};

	(void)world_open;
	(void)world_close;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
