/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile HTTP/2 workload whose origin speaks HTTP/1.1 and is hostile too. The input is a script:
 * a byte of side (top bit) and length, then that many bytes for the workload's end or for one leg;
 * length 0 is an event. What goes out on a leg must be one request that was allowed, whole or the
 * beginning of one, and nothing behind it: the HTTP/1.1 reader says so.
 */
#include "agent/http/http2_leg.h"
#include "agent/http/http2_relay.h"
#include "tests/fuzz/fuzz.h"

#define LEGS_MAX 64

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

struct carried {
	struct ex_h2_leg *leg;
	struct ex_h1 *reader; /* of what goes out */
	struct ex_buf in;
	bool websocket, headed, ended;
};

static struct carried legs[LEGS_MAX];
static size_t n_legs;
static unsigned allowed, asked;
static size_t heads;

static bool judge(void *arg, const struct ex_h1_head *head, struct ex_h1_denial *d,
		  struct ex_header_edits *edits)
{
	(void)arg;
	(void)d;
	(void)edits;
	if (head->path.len < 3 || memcmp(head->path.ptr, "/ok", 3) != 0)
		return false;
	allowed++;
	return true;
}

static uint32_t identity(void *arg, const struct ex_header_edits *edits)
{
	(void)arg;
	(void)edits;
	return 0;
}

static void refused(void *arg, const struct ex_h1_denial *d)
{
	(void)arg;
	CHECK(d->status >= 400 && d->status < 600);
}

/* The bytes of a leg, read as a server would. */
static void check_out(struct carried *c, const char *bytes, size_t len)
{
	size_t used;

	while (len && !(c->websocket && c->ended)) {
		enum ex_h1_event ev = ex_h1_feed(c->reader, bytes, len, &used);

		CHECK(ev != EX_H1_BAD && ev != EX_H1_UPGRADED);
		CHECK(!c->ended || ev == EX_H1_MORE);
		if (ev == EX_H1_HEAD) {
			const struct ex_h1_head *h = ex_h1_head(c->reader);

			CHECK(!c->headed && ++asked <= allowed);
			CHECK(memcmp(h->path.ptr, "/ok", 3) == 0);
			CHECK(ex_span_eq(h->host, EX_SPAN("api.test")));
			c->headed = true;
		}
		c->ended |= ev == EX_H1_END;
		bytes += used;
		len -= used;
		if (ev == EX_H1_END)
			CHECK(c->websocket || len == 0);
		if (ev == EX_H1_MORE)
			break;
	}
}

static void drop(struct carried *c)
{
	ex_h2_leg_free(c->leg);
	ex_h1_free(c->reader);
	ex_buf_done(&c->in);
	*c = legs[--n_legs];
}

static void run_legs(struct ex_h2_relay *r)
{
	struct ex_h2_leg *leg;

	while (n_legs < LEGS_MAX && (leg = ex_h2_relay_next_leg(r))) {
		struct carried *c = &legs[n_legs++];

		*c = (struct carried){ .leg = leg, .websocket = ex_h2_leg_is_websocket(leg) };
		CHECK(ex_h1_new(true, &c->reader) == 0);
		if (ex_h2_leg_may_reuse(leg) && asked % 2)
			ex_h2_leg_reuses(leg);
	}
	for (size_t i = n_legs; i > 0; i--) {
		struct carried *c = &legs[i - 1];
		struct ex_buf out = { 0 };

		if (ex_h2_leg_pull(c->leg, &out))
			check_out(c, ex_buf_ptr(&out), ex_buf_len(&out));
		ex_buf_done(&out);
		if (ex_h2_leg_state(c->leg) == EX_LEG_REPEAT) {
			ex_h2_leg_resume(c->leg);
			ex_h1_free(c->reader);
			CHECK(ex_h1_new(true, &c->reader) == 0);
			asked -= c->headed;
			c->headed = c->ended = false;
		} else if (ex_h2_leg_state(c->leg) != EX_LEG_RUNS) {
			drop(c);
		}
	}
}

static void feed_leg(const uint8_t *data, size_t len)
{
	struct carried *c = n_legs ? &legs[data[0] % n_legs] : NULL;

	if (!c || ex_buf_len(&c->in) > 65536)
		return;
	CHECK(ex_buf_append(&c->in, data + 1, len - 1) == 0 || len == 1);
	ex_buf_consume(&c->in, ex_h2_leg_feed(c->leg, ex_buf_ptr(&c->in), ex_buf_len(&c->in)));
}

static void pull(struct ex_h2_relay *r)
{
	uint8_t to[4096];

	while (ex_h2_relay_pull(r, EX_H2_WORKLOAD, to, sizeof(to)) > 0)
		;
}

static void event(struct ex_h2_relay *r, bool origin, uint8_t which)
{
	if (!origin && which == 0)
		ex_h2_relay_eof(r, EX_H2_WORKLOAD);
	else if (!origin && which == 1)
		ex_h2_relay_close(r, true);
	else if (origin && which < 3 && n_legs)
		ex_h2_leg_eof(legs[0].leg, which == 1);
	else if (origin && n_legs)
		ex_h2_leg_failed(legs[0].leg, EX_R_UPSTREAM_UNREACHABLE, "no");
	else if (ex_h2_relay_wants_origin(r))
		CHECK(ex_h2_relay_origin(r, EX_H2_ORIGIN_H1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ex_h2_relay_config config = {
		.heads = &heads,
		.tls = true,
		.sni = EX_SPAN("api.test"),
		.port = 443,
		.judge = judge,
		.identity = identity,
		.refused = refused,
	};
	struct ex_h2_relay *r;
	uint64_t now = 0;

	allowed = asked = 0;
	if (ex_h2_relay_new(&config, &r) < 0)
		return 0;
	if (size && *data & 1)
		CHECK(ex_h2_relay_origin(r, EX_H2_ORIGIN_H1) == 0);
	ex_h2_relay_feed(r, EX_H2_WORKLOAD, preface, sizeof(preface) - 1, 0);
	while (size > 1) {
		bool origin = *data >> 7;
		size_t len = *data & 127;

		data++;
		size--;
		if (len == 0) {
			event(r, origin, *data % 5);
		} else {
			len = len < size ? len : size;
			if (origin)
				feed_leg(data, len);
			else
				ex_h2_relay_feed(r, EX_H2_WORKLOAD, data, len, now += 3);
			data += len;
			size -= len;
		}
		run_legs(r);
		if (now % 2)
			pull(r);
	}
	while (n_legs)
		drop(&legs[0]);
	ex_h2_relay_free(r);
	CHECK(heads == 0);
	return 0;
}
