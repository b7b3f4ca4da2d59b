/* SPDX-License-Identifier: Apache-2.0 */
/* A workload that writes its frames by hand. */
#include "tests/unit/h2_frames.h"

static size_t usual_block(uint8_t *p)
{
	size_t n = literal(p, EX_SPAN(":method"), EX_SPAN("POST"));

	n += literal(p + n, EX_SPAN(":scheme"), EX_SPAN("https"));
	n += literal(p + n, EX_SPAN(":authority"), EX_SPAN("api.test"));
	return n + literal(p + n, EX_SPAN(":path"), EX_SPAN("/ok"));
}

static void put_request(uint32_t id, uint8_t flags)
{
	uint8_t block[256];

	put_frame(HEADERS, END_HEADERS | flags, id, block, usual_block(block));
}

static void begin(void)
{
	out.len = 0;
	put("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	put_frame(SETTINGS, 0, 0, "", 0);
}

/* What the relay has to say to the workload goes into a real client that counts. */
static void listen_in(void)
{
	relay_gives(EX_H2_WORKLOAD, &w.workload);
}

static int hostile_open(void **state)
{
	const uint8_t *p;

	world_open(state);
	while (nghttp2_session_mem_send(w.workload.s, &p) > 0)
		;
	begin();
	return 0;
}

/* ---- floods ---- */

static void test_flood_of_answers_owed_is_cut_off(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		put_frame(PING, 0, 0, "12345678", 8);
	assert_int_equal(feed(), -EPROTO);
	assert_int_equal(feed(), 0);
	listen_in();
	assert_true(w.workload.goaway);
	assert_int_equal(w.workload.goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_true(ex_h2_relay_done(w.relay, EX_H2_WORKLOAD));
}

static void test_flood_of_frames_that_carry_nothing_is_cut_off(void **state)
{
	static const struct {
		uint8_t type, flags;
		uint32_t id;
		const char *payload;
		size_t len;
	} floods[] = {
		{ PING, 0, 0, "12345678", 8 },
		{ PING, ACK, 0, "12345678", 8 },
		{ SETTINGS, 0, 0, "", 0 },
		{ WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4 },
		{ WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4 },
		{ PRIORITY, 0, 1, "\0\0\0\0\1", 5 },
		{ PRIORITY, 0, 99, "\0\0\0\0\1", 5 },
		{ DATA, 0, 1, "", 0 },
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(floods); i++) {
		ssize_t r = 0;
		int n = 0;

		put_request(1, 0);
		while (r >= 0 && n < 5000) {
			put_frame(floods[i].type, floods[i].flags, floods[i].id, floods[i].payload,
				  floods[i].len);
			r = feed();
			relay_gives(EX_H2_WORKLOAD, &(struct peer){ 0 });
			n++;
		}
		assert_int_equal(r, -EPROTO);
		assert_in_range(n, 500, 1500);
		world_close(state);
		hostile_open(state);
	}
}

static void test_a_ping_now_and_then_is_served_for_ever(void **state)
{
	(void)state;
	put_request(1, 0);
	for (int i = 0; i < 20000; i++) {
		put_frame(PING, 0, 0, "12345678", 8);
		w.now += 50;
		assert_true(feed() > 0);
		listen_in();
	}
}

static void test_rapid_reset_is_cut_off_and_the_origin_is_spared(void **state)
{
	uint32_t id, cut_off = 0;

	(void)state;
	w.origin.silent = true;
	for (id = 1; id < 4000; id += 2) {
		put_request(id, END_STREAM);
		put_frame(RST_STREAM, 0, id, "\0\0\0\x08", 4);
		feed();
		listen_in();
		relay_gives(EX_H2_ORIGIN, &w.origin);
		if (!cut_off && w.workload.goaway)
			cut_off = id;
	}
	assert_in_range(cut_off, 300, 500); /* two ids a stream, a burst of 200 */
	assert_true(w.judged <= 202);
	assert_true(w.origin.n_heads <= 202);
	assert_true(ex_h2_relay_done(w.relay, EX_H2_WORKLOAD));
}

/* Malformed streams cost us RST_STREAMs that a client need not read. */
static void test_flood_of_malformed_streams_is_cut_off(void **state)
{
	uint8_t block[256];
	size_t n;

	(void)state;
	for (uint32_t id = 1; id < 1000; id += 2) {
		n = usual_block(block);
		n += literal(block + n, EX_SPAN("connection"), EX_SPAN("close"));
		put_frame(HEADERS, END_HEADERS | END_STREAM, id, block, n);
	}
	assert_int_equal(feed(), -EPROTO);
	assert_in_range(w.refused, 60, 70);
	assert_int_equal(w.judged, 0);
}

static void test_continuations_without_end_are_cut_off(void **state)
{
	uint8_t block[256];

	(void)state;
	put_frame(HEADERS, END_STREAM, 1, block, usual_block(block));
	for (int i = 0; i < 20; i++)
		put_frame(CONT, 0, 1, "", 0);
	assert_int_equal(feed(), -EPROTO);
	assert_int_equal(w.judged, 0);
}

/* A field of len bytes, more than 127, which stays in the table. */
static size_t literal_indexed(uint8_t *to, size_t len)
{
	to[0] = 0x40;
	to[1] = 1;
	to[2] = 'a';
	to[3] = 0x7f; /* 127, and the rest in two times seven bits */
	to[4] = (uint8_t)(0x80 | ((len - 127) & 127));
	to[5] = (uint8_t)((len - 127) >> 7);
	memset(to + 6, 'v', len);
	return 6 + len;
}

/* One entry of 4000 bytes in the table, then a reference to it with every byte. */
static void test_hpack_bomb_is_refused_at_the_bound(void **state)
{
	static uint8_t block[16000];
	size_t n = usual_block(block);

	(void)state;
	n += literal_indexed(block + n, 3900);
	memset(block + n, 0x80 | 62, 10000);
	n += 10000;
	put_frame(HEADERS, END_HEADERS | END_STREAM, 1, block, n);
	assert_true(feed() > 0);
	listen_in();
	assert_string_equal(w.workload.seen[1].status, "");
	assert_int_equal(w.refused_reason, EX_R_HTTP_TOO_LARGE);
	assert_int_equal(w.judged, 0);
	/* the connection survives it */
	put_request(3, END_STREAM);
	assert_true(feed() > 0);
	assert_int_equal(w.judged, 1);
}

/* One after the other, each on a stream of its own: it is the work of decoding them that is
 * bounded. */
static void test_flood_of_hpack_bombs_is_cut_off(void **state)
{
	static uint8_t block[16000];
	uint32_t id;
	ssize_t r = 1;

	(void)state;
	for (id = 1; id < 200 && r > 0; id += 2) {
		size_t n = usual_block(block);

		n += literal_indexed(block + n, 3900);
		memset(block + n, 0x80 | 62, 10000);
		put_frame(HEADERS, END_HEADERS | END_STREAM, id, block, n + 10000);
		r = feed();
		listen_in();
	}
	assert_int_equal(r, -EPROTO);
	assert_in_range(id, 3, 9);
	assert_int_equal(w.judged, 0);
}

/* Frames that nghttp2 passes over in silence. */
static void test_flood_of_frames_that_mean_nothing_is_cut_off(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t id;
	} floods[] = { { 0x42, 0 }, { 0xff, 7 }, { DATA, 1 }, { 0x0a, 1 } };

	for (size_t i = 0; i < EX_ARRAY_SIZE(floods); i++) {
		int n = 0;

		put_request(1, END_STREAM);
		feed();
		listen_in();
		relay_gives(EX_H2_ORIGIN, &w.origin);
		while (n++ < 5000) {
			put_frame(floods[i].type, 0, floods[i].id, "", 0);
			if (feed() < 0)
				break;
			listen_in();
		}
		assert_in_range(n, 900, 1300);
		world_close(state);
		hostile_open(state);
	}
}

/* The peer has us reset its streams: what it asked for was begun each time. */
static void test_flood_of_provoked_resets_is_cut_off(void **state)
{
	uint8_t block[256];
	uint32_t id;
	ssize_t r = 1;

	(void)state;
	w.origin.silent = true;
	for (id = 1; id < 4000 && r > 0; id += 2) {
		size_t n = usual_block(block);

		n += literal(block + n, EX_SPAN("content-length"), EX_SPAN("1"));
		put_frame(HEADERS, END_HEADERS, id, block, n);
		put_frame(DATA, END_STREAM, id, "xx", 2);
		r = feed();
		listen_in();
		relay_gives(EX_H2_ORIGIN, &w.origin);
	}
	assert_int_equal(r, -EPROTO);
	assert_true(w.judged <= 90);
	assert_true(w.origin.n_heads <= 90);
}

/* By the table, a head is a hundred bytes on the wire and 60 KiB in memory. */
static void test_large_heads_at_once_are_bounded(void **state)
{
	static uint8_t block[5000];

	(void)state;
	w.heads = w.others = EX_H2_HEADS_MAX - 150 * 1024;
	w.origin.silent = true;
	for (uint32_t id = 1; id < 20; id += 2) {
		size_t n = usual_block(block);

		if (id == 1)
			n += literal_indexed(block + n, 3900);
		memset(block + n, 0x80 | 62, 14);
		put_frame(HEADERS, END_HEADERS | END_STREAM, id, block, n + 14);
		assert_true(feed() > 0);
		listen_in();
	}
	assert_int_equal(w.judged, 2);
	assert_int_equal(w.refused, 8);
	assert_int_equal(w.refused_reason, EX_R_LIMIT);
	/* what is over makes room */
	put_frame(RST_STREAM, 0, 1, "\0\0\0\x08", 4);
	feed();
	put_request(21, END_STREAM);
	assert_true(feed() > 0);
	assert_int_equal(w.judged, 3);
}

static void test_streams_at_once_are_bounded(void **state)
{
	(void)state;
	w.origin.silent = true;
	for (uint32_t id = 1; id < 2 * 150; id += 2)
		put_request(id, 0);
	feed();
	assert_int_equal(w.judged, EX_H2_STREAMS_MAX);
	assert_int_equal(w.relay->n_exchanges, EX_H2_STREAMS_MAX);
}

/* Nothing is read while the answers pile up; reading goes on when they are taken. */
static void test_nothing_is_read_while_nobody_takes_the_answers(void **state)
{
	static uint8_t bytes[1 << 20];
	size_t len, off;
	ssize_t r;

	(void)state;
	for (uint32_t id = 1; id < 8000; id += 2)
		put_request(id, 0); /* most of them one too many: RST_STREAM(REFUSED_STREAM) */
	len = out.len;
	memcpy(bytes, out.b, len);
	r = ex_h2_relay_feed(w.relay, EX_H2_WORKLOAD, bytes, len, 0);
	assert_in_range(r, 1, len / 4);
	for (off = (size_t)r; off < len; off += (size_t)r) {
		listen_in();
		r = ex_h2_relay_feed(w.relay, EX_H2_WORKLOAD, bytes + off, len - off, 0);
		assert_true(r > 0);
	}
}

/* ---- messages ---- */

#define F(n, v)                                                                                    \
	{                                                                                          \
		EX_SPAN(n), EX_SPAN(v)                                                             \
	}
static const struct {
	struct ex_header f[8];
} bad_blocks[] = {
	/* pseudo-fields: missing, twice, unknown, late, empty, of a response */
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test") } },
	{ { F(":method", "GET"), F(":authority", "api.test"), F(":path", "/ok") } },
	{ { F(":scheme", "https"), F(":authority", "api.test"), F(":path", "/ok") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":path", "/ok") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":path", "/ok"),
	    F("host", "api.test") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test"),
	    F(":path", "/ok"), F(":path", "/no") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test"),
	    F(":authority", "api.test"), F(":path", "/ok") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test"),
	    F(":path", "/ok"), F(":evil", "x") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test"), F("a", "b"),
	    F(":path", "/ok") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test"),
	    F(":path", "") } },
	{ { F(":method", ""), F(":scheme", "https"), F(":authority", "api.test"),
	    F(":path", "/ok") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", ""), F(":path", "/ok") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test"),
	    F(":path", "/ok"), F(":status", "200") } },
	{ { F(":method", "CONNECT"), F(":authority", "api.test") } },
	{ { F(":method", "CONNECT"), F(":protocol", "websocket"), F(":scheme", "https"),
	    F(":authority", "api.test"), F(":path", "/ok") } },
	{ { F(":method", "CONNECT"), F(":scheme", "https"), F(":authority", "api.test"),
	    F(":path", "/ok") } },
	/* bytes */
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test\0.evil"),
	    F(":path", "/ok") } },
	{ { F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test"),
	    F(":path", "/ok\r\nx: y") } },
	{ { F(":method", "GET\0"), F(":scheme", "https"), F(":authority", "api.test"),
	    F(":path", "/ok") } },
};

/* Each alone makes a good block bad. */
static const struct ex_header bad_fields[] = {
	F("connection", "close"),
	F("keep-alive", "x"),
	F("proxy-connection", "x"),
	F("upgrade", "h2c"),
	F("te", "gzip"),
	F("transfer-encoding", "chunked"),
	F("Upper", "x"),
	F("a b", "x"),
	F("a:", "x"),
	F("", "x"),
	F("a", "x\r\ny: z"),
	F("a", "x\0y"),
	F("a", "x\ny"),
	F("content-length", "x"),
	F("content-length", "-1"),
	F("a\0", "x"),
	F("a\r\nb", "x"),
	F("content-length", "+1"),
};
#undef F

static void test_deny_header_blocks_against_the_rules(void **state)
{
	uint8_t block[512];
	uint32_t id = 1;
	size_t n;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad_blocks); i++, id += 2) {
		n = 0;
		for (size_t k = 0; k < 8 && bad_blocks[i].f[k].name.ptr; k++)
			n += literal(block + n, bad_blocks[i].f[k].name, bad_blocks[i].f[k].value);
		put_frame(HEADERS, END_HEADERS | END_STREAM, id, block, n);
		assert_true(feed() > 0);
		listen_in();
		if (w.refused != (id + 1) / 2 || w.judged)
			fail_msg("block %zu was not refused", i);
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad_fields); i++, id += 2) {
		n = usual_block(block);
		n += literal(block + n, bad_fields[i].name, bad_fields[i].value);
		put_frame(HEADERS, END_HEADERS | END_STREAM, id, block, n);
		assert_true(feed() > 0);
		listen_in();
		if (w.refused != (id + 1) / 2 || w.judged)
			fail_msg("field %zu was not refused", i);
	}
	/* the twin */
	put_request(id, END_STREAM);
	assert_true(feed() > 0);
	assert_int_equal(w.judged, 1);
}

/* What was announced and what comes differ: the origin must not take it for a whole request. */
static void test_body_that_differs_from_its_length_is_reset_at_the_origin(void **state)
{
	static const char *const bodies[] = { "1234", "123456", "", NULL };
	uint32_t id = 1;

	(void)state;
	w.origin.silent = true;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bodies); i++, id += 2) {
		uint8_t block[256];
		size_t n = usual_block(block);

		n += literal(block + n, EX_SPAN("content-length"), EX_SPAN("5"));
		put_frame(HEADERS, END_HEADERS | (bodies[i] ? 0 : END_STREAM), id, block, n);
		if (bodies[i])
			put_frame(DATA, END_STREAM, id, bodies[i], strlen(bodies[i]));
		assert_true(feed() > 0);
		pump();
		assert_false(w.origin.seen[id].end);
		assert_true(w.origin.seen[id].closed || w.origin.seen[id].heads == 0);
	}
}

static void test_request_trailers_are_not_sent_on(void **state)
{
	uint8_t block[64];

	(void)state;
	put_request(1, 0);
	put_frame(DATA, 0, 1, "abc", 3);
	put_frame(HEADERS, END_HEADERS | END_STREAM, 1, block,
		  literal(block, EX_SPAN("x-http-method-override"), EX_SPAN("DELETE")));
	assert_true(feed() > 0);
	pump();
	assert_true(w.origin.seen[1].end);
	assert_int_equal(w.origin.seen[1].body_len, 3);
	assert_string_equal(w.origin.seen[1].fields, "--\n");
}

static void test_bad_frames_break_the_connection(void **state)
{
	static const struct {
		uint8_t type, flags;
		uint32_t id;
		const char *payload;
		size_t len;
	} bad[] = {
		{ DATA, 0, 0, "x", 1 },                     /* on the connection */
		{ DATA, 0, 7, "x", 1 },                     /* on an idle stream */
		{ HEADERS, END_HEADERS, 2, "\x82", 1 },     /* even id */
		{ HEADERS, END_HEADERS, 3, "\xff\xff", 2 }, /* HPACK: no such index */
		{ HEADERS, END_HEADERS, 3, "\x00\x7f", 2 }, /* HPACK: cut off */
		{ CONT, END_HEADERS, 1, "", 0 },            /* continues nothing */
		{ PUSH, END_HEADERS, 1, "\0\0\0\2", 4 },    /* clients do not push */
		{ SETTINGS, 0, 0, "abc", 3 },
		{ SETTINGS, 0, 1, "", 0 },
		{ SETTINGS, ACK, 0, "\0\1\0\0\0\0", 6 },
		{ SETTINGS, 0, 0, "\0\2\0\0\0\2", 6 },         /* ENABLE_PUSH = 2 */
		{ SETTINGS, 0, 0, "\0\4\xff\xff\xff\xff", 6 }, /* window of 2^32-1 */
		{ SETTINGS, 0, 0, "\0\5\0\0\0\1", 6 },         /* frames of one byte */
		{ PING, 0, 0, "1234567", 7 },
		{ PING, 0, 1, "12345678", 8 },
		{ WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4 },
		{ WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4 },
		{ RST_STREAM, 0, 0, "\0\0\0\0", 4 },
		{ RST_STREAM, 0, 9, "\0\0\0\0", 4 }, /* of an idle stream */
		{ GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0", 8 },
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		put_request(1, 0);
		put_frame(bad[i].type, bad[i].flags, bad[i].id, bad[i].payload, bad[i].len);
		feed();
		listen_in();
		if (!w.workload.goaway || w.workload.goaway_error == 0)
			fail_msg("frame %zu was taken", i);
		/* and nothing moves any more */
		put_request(3, END_STREAM);
		feed();
		assert_int_equal(w.judged, 1);
		world_close(state);
		hostile_open(state);
	}
}

static void test_other_protocols_are_not_taken(void **state)
{
	(void)state;
	out.len = 0;
	put("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n", 34);
	assert_int_equal(feed(), -EPROTO);
	world_close(state);
	hostile_open(state);
	out.len = 0;
	put("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	put_request(1, END_STREAM); /* before SETTINGS */
	feed();
	assert_int_equal(w.judged, 0);
}

/* Bytes one by one, and the same bytes at once, are the same requests. */
static void test_any_split_of_the_bytes_is_the_same(void **state)
{
	static uint8_t bytes[4096];
	size_t len;

	(void)state;
	put_request(1, END_STREAM);
	put_request(3, 0);
	put_frame(DATA, END_STREAM, 3, "hello", 5);
	len = out.len;
	memcpy(bytes, out.b, len);
	for (size_t i = 0; i < len; i++) {
		put(bytes + i, 1);
		/* the preface and SETTINGS of hostile_open() are in bytes */
		if (i == 0) {
			out.len = 0;
			put(bytes, 1);
		}
		assert_int_equal(feed(), 1);
	}
	pump();
	assert_int_equal(w.judged, 2);
	assert_string_equal(w.origin.seen[1].path, "/ok");
	assert_string_equal(w.origin.seen[3].body, "hello");
	assert_true(w.origin.seen[3].end);
}

#define T(f) cmocka_unit_test_setup_teardown(f, hostile_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_flood_of_answers_owed_is_cut_off),
		T(test_flood_of_frames_that_carry_nothing_is_cut_off),
		T(test_a_ping_now_and_then_is_served_for_ever),
		T(test_rapid_reset_is_cut_off_and_the_origin_is_spared),
		T(test_flood_of_malformed_streams_is_cut_off),
		T(test_continuations_without_end_are_cut_off),
		T(test_hpack_bomb_is_refused_at_the_bound),
		T(test_flood_of_hpack_bombs_is_cut_off),
		T(test_flood_of_frames_that_mean_nothing_is_cut_off),
		T(test_flood_of_provoked_resets_is_cut_off),
		T(test_large_heads_at_once_are_bounded),
		T(test_streams_at_once_are_bounded),
		T(test_nothing_is_read_while_nobody_takes_the_answers),
		T(test_deny_header_blocks_against_the_rules),
		T(test_body_that_differs_from_its_length_is_reset_at_the_origin),
		T(test_request_trailers_are_not_sent_on),
		T(test_bad_frames_break_the_connection),
		T(test_other_protocols_are_not_taken),
		T(test_any_split_of_the_bytes_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
