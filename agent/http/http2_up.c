/* SPDX-License-Identifier: Apache-2.0 */
/* The origin's end of the relay, when it speaks HTTP/2. */
#include "agent/http/http2_relay_priv.h"

static void up_head(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head)
{
	struct ex_h2_exchange *x = st->user;

	(void)arg;
	if (!x->down || x->own_body)
		return;
	if (!ex_h2_exchange_takes(x, head)) {
		ex_h2_exchange_fail(x, EX_R_LIMIT, "too much of answers under way");
		ex_h2_reset(st, EX_H2_CANCEL);
		return;
	}
	if (head->h.status >= 200) {
		x->res_head = true;
		x->res_done = head->end;
	}
	if (ex_h2_respond(x->down, head) < 0)
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
}

static void up_bad(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head,
		   enum ex_reason reason, const char *detail)
{
	(void)arg;
	(void)head;
	(void)reason;
	if (!st)
		return; /* nghttp2 resets the stream: up_closed() */
	ex_h2_exchange_fail(st->user, EX_R_UPSTREAM_PROTOCOL, detail);
	ex_h2_reset(st, EX_H2_PROTOCOL_ERROR);
}

static void up_data(void *arg, struct ex_h2_stream *st, const void *bytes, size_t len)
{
	struct ex_h2_relay *r = arg;
	struct ex_h2_exchange *x = st->user;

	if (x->down && !x->own_body && ex_h2_write(x->down, bytes, len) == 0)
		return;
	ex_h2_consume(r->end[EX_H2_ORIGIN], st, len);
}

static void up_end(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *trailers)
{
	struct ex_h2_exchange *x = st->user;

	(void)arg;
	x->res_done = true;
	if (!x->down || x->own_body)
		return;
	if ((trailers && !ex_h2_exchange_takes(x, trailers)) || ex_h2_finish(x->down, trailers) < 0)
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
}

static void up_drained(void *arg, struct ex_h2_stream *st, size_t n)
{
	struct ex_h2_relay *r = arg;
	const struct ex_h2_exchange *x = st->user;

	ex_h2_consume(r->end[EX_H2_WORKLOAD], x->down, n);
}

static void up_closed(void *arg, struct ex_h2_stream *st, enum ex_h2_error error)
{
	struct ex_h2_exchange *x = st->user;

	(void)arg;
	x->up = NULL;
	/*
	 * REFUSED_STREAM tells the client that it may try again. Some servers end a response with
	 * NO_ERROR instead of END_STREAM; that is passed on as it is, behind what they sent.
	 */
	if (x->down && !x->res_done) {
		if (error == EX_H2_PROTOCOL_ERROR || (error == EX_H2_NO_ERROR && !x->res_head))
			ex_h2_exchange_fail(x, EX_R_UPSTREAM_PROTOCOL,
					    "the stream had no proper answer");
		else
			ex_h2_reset_after(x->down, error);
	}
	ex_h2_exchange_settle(x);
}

static void up_goaway(void *arg)
{
	struct ex_h2_relay *r = arg;

	ex_h2_goaway(r->end[EX_H2_WORKLOAD], EX_H2_NO_ERROR);
}

const struct ex_h2_events ex_h2_up_events = {
	.head = up_head,
	.bad = up_bad,
	.data = up_data,
	.end = up_end,
	.drained = up_drained,
	.closed = up_closed,
	.goaway = up_goaway,
};
