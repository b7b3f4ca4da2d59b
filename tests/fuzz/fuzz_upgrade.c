/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket's start: a request, and the server's answer to it. Only an upgrade to websocket is sent
 * on as one; only a 101 that answers such a request, and says websocket, ends HTTP; and where it
 * ends does not depend on how the bytes were cut.
 *
 * Input: the request, a NUL, the answer.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/http_rewrite.h"

struct answer {
	enum ex_h1_event last;
	unsigned events;
	uint16_t status;
	bool websocket;
	size_t used;
};

static bool has_line(const char *text, size_t len, const char *lower)
{
	size_t n = strlen(lower);

	for (size_t i = 0; i + n <= len; i++)
		if ((i == 0 || text[i - 1] == '\n') && strncasecmp(text + i, lower, n) == 0)
			return true;
	return false;
}

/* What goes to the server: an upgrade is in it when, and only when, it is one to websocket. */
static void check_request(const struct ex_h1_head *head, bool websocket)
{
	struct ex_buf out = { 0 };
	const char *text;
	size_t n;

	CHECK(ex_h1_put_request(&out, head, false, websocket) == 0);
	text = ex_buf_ptr(&out);
	n = ex_buf_len(&out);
	CHECK(has_line(text, n, "upgrade:") == websocket);
	CHECK(has_line(text, n, "connection: upgrade") == websocket);
	CHECK(!has_line(text, n, "http2-settings:"));
	ex_buf_done(&out);
}

static void read_answer(const char *bytes, size_t len, size_t piece, struct ex_span method,
			bool upgrade, struct answer *a)
{
	struct ex_h1 *p;
	size_t used, give;

	memset(a, 0, sizeof(*a));
	CHECK(ex_h1_new(false, &p) == 0);
	ex_h1_expect_response_to(p, method);
	if (upgrade)
		ex_h1_expect_upgrade(p);
	do {
		give = len - a->used < piece ? len - a->used : piece;
		a->last = ex_h1_feed(p, bytes + a->used, give, &used);
		CHECK(used <= give);
		a->used += used;
		if (a->last == EX_H1_HEAD || a->last == EX_H1_UPGRADED) {
			a->status = ex_h1_head(p)->status;
			a->websocket = ex_h1_upgrade_is_websocket(ex_h1_head(p));
		}
		a->events += a->last == EX_H1_HEAD || a->last == EX_H1_END;
	} while (a->last != EX_H1_BAD && a->last != EX_H1_UPGRADED &&
		 (a->last != EX_H1_MORE || (used && a->used < len)));
	if (a->last == EX_H1_UPGRADED) {
		CHECK(upgrade && a->status == 101);
	} else {
		CHECK(a->status != 101 || a->last == EX_H1_BAD || upgrade);
	}
	ex_h1_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data, *end = size ? memchr(bytes, '\0', size) : NULL;
	struct answer whole, cut;
	struct ex_h1 *p;
	size_t used, rest;
	bool websocket;

	if (!end || size > 4096)
		return 0;
	rest = size - (size_t)(end + 1 - bytes);
	CHECK(ex_h1_new(true, &p) == 0);
	if (ex_h1_feed(p, bytes, (size_t)(end - bytes), &used) == EX_H1_HEAD) {
		websocket = ex_h1_upgrade_is_websocket(ex_h1_head(p));
		CHECK(!websocket || ex_h1_head(p)->upgrade.len > 0);
		check_request(ex_h1_head(p), websocket);
		read_answer(end + 1, rest, SIZE_MAX, ex_h1_head(p)->method, websocket, &whole);
		read_answer(end + 1, rest, 1, ex_h1_head(p)->method, websocket, &cut);
		CHECK(whole.last == cut.last && whole.status == cut.status &&
		      whole.events == cut.events);
		CHECK(whole.last != EX_H1_UPGRADED || whole.used == cut.used);
	}
	ex_h1_free(p);
	return 0;
}
