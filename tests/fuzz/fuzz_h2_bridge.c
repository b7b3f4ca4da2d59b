/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile HTTP/2 server behind a client of HTTP/1.1. The input is a script: a byte of length,
 * then that many bytes from the server; length 0 is the next request, or a piece of its body. What
 * comes out must be at most one answer for each request, with nothing behind it: the HTTP/1.1
 * reader of answers says so, until it finds one it does not take.
 */
#include "agent/http/http1.h"
#include "agent/http/http2_bridge.h"
#include "tests/fuzz/fuzz.h"

static struct {
	struct ex_h2_bridge *b;
	struct ex_h1 *reader; /* of the answers */
	struct ex_buf answer;
	unsigned asked, answered;
	bool refused; /* the reader took no more */
	size_t left;  /* of the request's body */
} f;

static const char head[] = "POST /ok HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\n"
			   "Connection: keep-alive\r\n\r\n";

static void ask(void)
{
	ssize_t n;

	if (f.left) {
		n = ex_h2_bridge_put(f.b, "xxxxx", 1);
		f.left -= n > 0;
	} else if (f.asked == f.answered && !ex_buf_len(&f.answer)) {
		n = ex_h2_bridge_put(f.b, head, sizeof(head) - 1);
		CHECK(n <= 0 || n == sizeof(head) - 1);
		f.asked += n > 0;
		f.left = n > 0 ? 5 : 0;
		ex_h1_expect_response_to(f.reader, EX_SPAN("POST"));
	}
}

static void read_answer(void)
{
	enum ex_h1_event ev = EX_H1_HEAD;
	bool interim = false;
	size_t used;

	while (!f.refused && (ev != EX_H1_MORE || ex_buf_len(&f.answer))) {
		ev = ex_h1_feed(f.reader, ex_buf_ptr(&f.answer), ex_buf_len(&f.answer), &used);
		ex_buf_consume(&f.answer, used);
		CHECK(ev != EX_H1_UPGRADED);
		if (ev == EX_H1_HEAD)
			interim = ex_h1_head(f.reader)->status < 200;
		if (ev == EX_H1_END && !interim)
			CHECK(++f.answered <= f.asked);
		f.refused = ev == EX_H1_BAD;
	}
}

static void exchange(void)
{
	char room[4096];

	while (ex_h2_bridge_pull(f.b, room, sizeof(room)) > 0)
		;
	while (!f.refused && ex_h2_bridge_take(f.b, &f.answer, 1000) > 0)
		read_answer();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&f, 0, sizeof(f));
	CHECK(ex_h2_bridge_new(&f.b) == 0 && ex_h1_new(false, &f.reader) == 0);
	ask();
	exchange();
	while (size && ex_h2_bridge_state(f.b) != EX_BRIDGE_BROKEN) {
		size_t len = *data++;

		size--;
		if (len > size)
			len = size;
		if (!len)
			ask();
		else if (ex_h2_bridge_feed(f.b, data, len, 1) < 0)
			CHECK(ex_h2_bridge_state(f.b) == EX_BRIDGE_BROKEN);
		data += len;
		size -= len;
		exchange();
	}
	ex_h1_free(f.reader);
	ex_buf_done(&f.answer);
	ex_h2_bridge_free(f.b);
	return 0;
}
