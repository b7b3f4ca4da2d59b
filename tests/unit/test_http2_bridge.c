/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 to an origin of HTTP/2: what it sees as streams, and what comes back as text. */
#include "agent/http/http2_bridge.h"
#include "tests/unit/h2_peers.h"

static struct {
	struct ex_h2_bridge *b;
	struct ex_buf got; /* answers, as taken */
	bool broken;
} at;

static int open_bridge(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	memset(&at, 0, sizeof(at));
	peer_open(&w.origin, true);
	return ex_h2_bridge_new(&at.b);
}

static int close_bridge(void **state)
{
	(void)state;
	ex_h2_bridge_free(at.b);
	ex_buf_done(&at.got);
	nghttp2_session_del(w.origin.s);
	return 0;
}

static bool to_origin(void)
{
	static uint8_t buf[1024];
	bool moved = false;
	ssize_t n;

	while ((n = ex_h2_bridge_pull(at.b, buf, sizeof(buf))) > 0) {
		moved = true;
		assert_int_equal(nghttp2_session_mem_recv(w.origin.s, buf, (size_t)n), n);
	}
	return moved;
}

static bool from_origin(void)
{
	const uint8_t *p;
	bool moved = false;
	ssize_t n, r;

	while (!at.broken && (n = nghttp2_session_mem_send(w.origin.s, &p)) > 0) {
		moved = true;
		for (; n > 0 && !at.broken; p += r, n -= r) {
			r = ex_h2_bridge_feed(at.b, p, (size_t)n, 0);
			at.broken = r < 0;
			to_origin();
		}
	}
	return moved;
}

static void move(void)
{
	while (to_origin() || from_origin())
		;
}

static void take_all(void)
{
	while (ex_h2_bridge_take(at.b, &at.got, 700) > 0)
		move();
}

/* All of it goes in. */
static void ask_server(const char *text)
{
	assert_int_equal(ex_h2_bridge_put(at.b, text, strlen(text)), strlen(text));
	move();
}

static void assert_answer(const char *want)
{
	take_all();
	assert_int_equal(ex_buf_len(&at.got), strlen(want));
	assert_memory_equal(ex_buf_ptr(&at.got), want, strlen(want));
	ex_buf_consume(&at.got, strlen(want));
}

#define GET_OK "GET /ok HTTP/1.1\r\nHost: api.test\r\nConnection: keep-alive\r\n\r\n"
#define EMPTY_OK                                                                                   \
	"HTTP/1.1 200 \r\nserver: test\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"

static void test_request_becomes_a_stream(void **state)
{
	const struct seen *s = &w.origin.seen[1];

	(void)state;
	ask_server("POST /ok?a=~ HTTP/1.1\r\nHost: api.test\r\nX-Tenant: a\r\nContent-Length: 3\r\n"
		   "Connection: keep-alive\r\n\r\nabc");
	assert_string_equal(s->method, "POST");
	assert_string_equal(s->authority, "api.test");
	assert_string_equal(s->path, "/ok?a=~");
	assert_string_equal(s->fields, "x-tenant: a (secret)\ncontent-length: 3 (secret)\n--\n");
	assert_string_equal(s->body, "abc");
	assert_true(s->end);
	assert_answer(EMPTY_OK);
	assert_int_equal(ex_h2_bridge_state(at.b), EX_BRIDGE_OPEN);
}

static void test_chunks_end_where_the_stream_ends(void **state)
{
	(void)state;
	w.origin.body = 5;
	w.origin.trailers = 1;
	ask_server("POST /ok HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n"
		   "Connection: keep-alive\r\n\r\n3\r\nabc\r\n");
	assert_false(w.origin.seen[1].end);
	ask_server("0\r\n\r\n");
	assert_true(w.origin.seen[1].end);
	assert_string_equal(w.origin.seen[1].body, "abc");
	assert_null(strstr(w.origin.seen[1].fields, "transfer-encoding"));
	assert_answer("HTTP/1.1 200 \r\nserver: test\r\nTransfer-Encoding: chunked\r\n"
		      "Connection: keep-alive\r\n\r\n5\r\nxxxxx\r\n0\r\ngrpc-status: 0\r\n\r\n");
}

static void test_answers_without_a_body_have_none(void **state)
{
	(void)state;
	ask_server("HEAD /ok HTTP/1.1\r\nHost: api.test\r\nConnection: keep-alive\r\n\r\n");
	assert_answer("HTTP/1.1 200 \r\nserver: test\r\nConnection: keep-alive\r\n\r\n");
	w.origin.status = "204";
	ask_server(GET_OK);
	assert_answer("HTTP/1.1 204 \r\nserver: test\r\nConnection: keep-alive\r\n\r\n");
}

static void test_deny_a_body_where_none_can_be(void **state)
{
	(void)state;
	w.origin.status = "204";
	w.origin.body = 3;
	ask_server(GET_OK);
	assert_int_equal(ex_h2_bridge_state(at.b), EX_BRIDGE_BROKEN);
}

static void test_next_request_waits_for_the_answer(void **state)
{
	size_t one = strlen(GET_OK);

	(void)state;
	w.origin.silent = true;
	assert_int_equal(ex_h2_bridge_put(at.b, GET_OK GET_OK, 2 * one), one);
	move();
	assert_int_equal(w.origin.n_heads, 1);
	assert_int_equal(ex_h2_bridge_put(at.b, GET_OK, one), 0);
	origin_answer(&w.origin, 1);
	move();
	assert_int_equal(ex_h2_bridge_put(at.b, GET_OK, one), 0); /* it was not taken yet */
	assert_answer(EMPTY_OK);
	w.origin.silent = false;
	ask_server(GET_OK);
	assert_int_equal(w.origin.n_heads, 2);
	assert_answer(EMPTY_OK);
}

/* Answered before all of it was sent: what is left goes out first, and counts for nobody else. */
static void test_next_request_waits_for_the_rest_of_this_one(void **state)
{
	static char body[100000];

	(void)state;
	w.origin.silent = w.origin.hold_windows = true;
	ask_server("POST /ok HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100000\r\n"
		   "Connection: keep-alive\r\n\r\n");
	assert_int_equal(ex_h2_bridge_put(at.b, body, sizeof(body)), sizeof(body));
	move();
	assert_false(w.origin.seen[1].end);
	origin_answer(&w.origin, 1);
	move();
	assert_answer(EMPTY_OK);
	assert_int_equal(ex_h2_bridge_put(at.b, GET_OK, strlen(GET_OK)), 0);
	w.origin.silent = w.origin.hold_windows = false;
	nghttp2_session_consume(w.origin.s, 1, w.origin.seen[1].body_len);
	move();
	assert_true(w.origin.seen[1].end);
	for (int i = 0; i < 3; i++) {
		ask_server(GET_OK);
		assert_answer(EMPTY_OK);
	}
	assert_int_equal(ex_h2_bridge_state(at.b), EX_BRIDGE_OPEN);
}

static void test_deny_an_upgrade(void **state)
{
	static const char text[] = "GET /ok HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\n"
				   "Upgrade: websocket\r\n\r\n";

	(void)state;
	assert_int_equal(ex_h2_bridge_put(at.b, text, strlen(text)), -EPROTO);
	move();
	assert_int_equal(w.origin.n_heads, 0);
	assert_int_equal(ex_h2_bridge_state(at.b), EX_BRIDGE_BROKEN);
}

static void test_reset_is_no_answer(void **state)
{
	(void)state;
	w.origin.silent = true;
	ask_server(GET_OK);
	nghttp2_submit_rst_stream(w.origin.s, 0, 1, NGHTTP2_REFUSED_STREAM);
	move();
	assert_answer("");
	assert_int_equal(ex_h2_bridge_state(at.b), EX_BRIDGE_BROKEN);
}

static void test_half_an_answer_does_not_look_whole(void **state)
{
	(void)state;
	w.origin.body = 3;
	w.origin.never_ends = true;
	ask_server(GET_OK);
	nghttp2_submit_rst_stream(w.origin.s, 0, 1, NGHTTP2_NO_ERROR);
	move();
	assert_answer("HTTP/1.1 200 \r\nserver: test\r\nTransfer-Encoding: chunked\r\n"
		      "Connection: keep-alive\r\n\r\n3\r\nxxx\r\n");
	assert_int_equal(ex_h2_bridge_state(at.b), EX_BRIDGE_BROKEN);
}

static void test_goaway_ends_it_after_the_answer(void **state)
{
	(void)state;
	w.origin.silent = true;
	ask_server(GET_OK);
	nghttp2_submit_goaway(w.origin.s, 0, 1, NGHTTP2_NO_ERROR, NULL, 0);
	move();
	assert_int_equal(ex_h2_bridge_state(at.b), EX_BRIDGE_OPEN);
	origin_answer(&w.origin, 1);
	move();
	assert_answer(EMPTY_OK);
	assert_int_equal(ex_h2_bridge_state(at.b), EX_BRIDGE_ENDED);
}

static void test_deny_a_field_that_would_be_two_lines(void **state)
{
	nghttp2_nv fields[] = { nv(":status", "200"), nv("x", "a\r\nSet-Cookie: b") };

	(void)state;
	w.origin.silent = true;
	ask_server(GET_OK);
	nghttp2_submit_response(w.origin.s, 1, fields, 2, NULL);
	move();
	assert_answer("");
	assert_int_equal(ex_h2_bridge_state(at.b), EX_BRIDGE_BROKEN);
}

/* What neither side has read yet is bounded, whichever of the two is slow. */
static void test_slow_reader_stops_the_writer(void **state)
{
	static char piece[1 << 20];
	size_t in = 0;
	ssize_t n;

	(void)state;
	w.origin.silent = w.origin.hold_windows = true;
	ask_server("POST /ok HTTP/1.1\r\nHost: api.test\r\nContent-Length: 9000000\r\n"
		   "Connection: keep-alive\r\n\r\n");
	while ((n = ex_h2_bridge_put(at.b, piece, sizeof(piece))) > 0) {
		in += (size_t)n;
		move();
	}
	assert_int_equal(n, 0);
	assert_true(in < 4 * sizeof(piece));
	w.origin.body = 9000000;
	origin_answer(&w.origin, 1);
	move();
	assert_int_equal(w.origin.to_send[1] > 8000000, 1);
	take_all();
	assert_int_equal(w.origin.to_send[1], 0);
	assert_true(ex_buf_len(&at.got) > 9000000);
	assert_memory_equal(ex_buf_ptr(&at.got) + ex_buf_len(&at.got) - 7, "\r\n0\r\n\r\n", 7);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_bridge, close_bridge)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_request_becomes_a_stream),
		TEST(test_chunks_end_where_the_stream_ends),
		TEST(test_answers_without_a_body_have_none),
		TEST(test_deny_a_body_where_none_can_be),
		TEST(test_next_request_waits_for_the_answer),
		TEST(test_next_request_waits_for_the_rest_of_this_one),
		TEST(test_deny_an_upgrade),
		TEST(test_reset_is_no_answer),
		TEST(test_half_an_answer_does_not_look_whole),
		TEST(test_goaway_ends_it_after_the_answer),
		TEST(test_deny_a_field_that_would_be_two_lines),
		TEST(test_slow_reader_stops_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
