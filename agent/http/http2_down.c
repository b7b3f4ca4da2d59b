/* SPDX-License-Identifier: Apache-2.0 */
/* The workload's end of the relay: each request is judged, then sent on, kept or denied. */
#include <errno.h>

#include "agent/http/edit.h"
#include "agent/http/http2_relay_priv.h"

/*
 * Name of the TLS session = :authority, port dialled = its port, and the scheme that goes with it.
 */
static enum ex_reason request_agrees(const struct ex_h2_relay *r, const struct ex_h2_head *head,
				     const char **detail)
{
	const struct ex_h2_relay_config *c = &r->config;
	uint16_t usual = c->tls ? 443 : 80;

	*detail = "scheme does not fit the connection";
	if (!ex_span_eq(head->scheme, c->tls ? EX_SPAN("https") : EX_SPAN("http")))
		return EX_R_HTTP_MALFORMED;
	*detail = ":authority is not the name this connection was made for";
	if (c->tls && (c->sni.len == 0 || !ex_span_eq(head->h.host, c->sni)))
		return EX_R_HOST_MISMATCH;
	if ((head->h.host_port ? head->h.host_port : usual) != c->port)
		return EX_R_HOST_MISMATCH;
	return EX_R_ALLOWED;
}

bool ex_h2_exchange_forward(struct ex_h2_exchange *x, const struct ex_h2_head *head)
{
	struct ex_h2_relay *r = x->relay;

	if (head->websocket || r->origin == EX_H2_ORIGIN_H1 || x->identity != r->identity)
		return ex_h2_leg_new(x, head) == 0;
	if (!r->gone[EX_H2_ORIGIN])
		x->up = ex_h2_request(r->end[EX_H2_ORIGIN], head, x);
	return x->up != NULL;
}

/* As in HTTP/1.1: the server is not asked. */
static int tell_to_continue(struct ex_h2_stream *st, const struct ex_h2_head *head)
{
	const struct ex_h2_head go_on = { .h = { .status = 100 } };

	return head->h.expect_continue && !head->end ? ex_h2_respond(st, &go_on) : 0;
}

/* The server is dialled for it; see ex_h2_relay_wants_origin(). */
static void request_keep(struct ex_h2_exchange *x, const struct ex_h2_head *head)
{
	if (ex_h2_kept_new(head, &x->kept) < 0)
		ex_h2_relay_refuse(x->relay, x, head, EX_R_INTERNAL, "out of memory");
	else
		x->relay->n_kept++;
}

static void down_head(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head)
{
	struct ex_h2_relay *r = arg;
	struct ex_h2_exchange *x = ex_h2_exchange_new(r, st);
	struct ex_header_edits edits = { 0 };
	struct ex_edited_head room;
	struct ex_h1_denial d;
	enum ex_reason reason;
	const char *detail;

	if (!x) {
		ex_h2_reset(st, EX_H2_REFUSED_STREAM);
		return;
	}
	x->req_done = head->end;
	x->open_ended = head->h.framing != EX_H1_LENGTH || head->h.expect_continue;
	reason = request_agrees(r, head, &detail);
	if (reason != EX_R_ALLOWED) {
		ex_h2_relay_refuse(r, x, head, reason, detail);
		return;
	}
	if (!ex_h2_exchange_takes(x, head)) {
		ex_h2_relay_refuse(r, x, head, EX_R_LIMIT, "too much of requests under way");
		return;
	}
	ex_h2_denial_start(head, &d);
	d.reason = EX_R_HTTP_DENIED;
	d.status = 403;
	if (!r->config.judge(r->config.arg, &head->h, &d, &edits)) {
		ex_h2_exchange_deny(x, head, &d);
		return;
	}
	if (tell_to_continue(st, head) < 0) {
		ex_h2_relay_refuse(r, x, head, EX_R_INTERNAL, "out of memory");
		return;
	}
	x->identity = r->config.identity(r->config.arg, &edits);
	ex_h2_exchange_note(x, head);
	head = ex_h2_head_edit(head, &edits, &room);
	if (r->origin == EX_H2_ORIGIN_UNKNOWN && !head->websocket)
		request_keep(x, head);
	else if (!ex_h2_exchange_forward(x, head))
		ex_h2_relay_refuse(r, x, head, EX_R_UPSTREAM_UNREACHABLE,
				   "the server's connection takes no more requests");
}

static void down_bad(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head,
		     enum ex_reason reason, const char *detail)
{
	struct ex_h2_relay *r = arg;
	struct ex_h2_exchange *x = st ? st->user : NULL;

	/* Trailers, or the head of a stream that has no exchange yet. */
	if (x) {
		ex_h2_relay_refuse(r, NULL, head, reason, detail);
		ex_h2_reset(st, EX_H2_PROTOCOL_ERROR);
		return;
	}
	if (st) {
		x = ex_h2_exchange_new(r, st);
		if (!x)
			ex_h2_reset(st, EX_H2_REFUSED_STREAM);
		else
			x->req_done = st->in_end;
	}
	ex_h2_relay_refuse(r, x, head, reason, detail);
}

/* 0: sent on, or will be, and consumed then. */
static int pass_data(struct ex_h2_exchange *x, const void *bytes, size_t len)
{
	if (x->up)
		return ex_h2_write(x->up, bytes, len);
	if (x->leg)
		return ex_h2_leg_write(x->leg, bytes, len);
	return x->kept ? ex_buf_append(&x->kept->body, bytes, len) : -ENOENT;
}

static void down_data(void *arg, struct ex_h2_stream *st, const void *bytes, size_t len)
{
	struct ex_h2_relay *r = arg;
	struct ex_h2_exchange *x = st->user;
	int e = x ? pass_data(x, bytes, len) : -ENOENT;

	if (e == 0)
		return;
	ex_h2_consume(r->end[EX_H2_WORKLOAD], st, len);
	if (!x)
		return;
	if (e == -ENOENT)
		ex_h2_exchange_swallow(x, len);
	else if (x->up)
		ex_h2_reset(x->up, EX_H2_INTERNAL_ERROR);
	else
		ex_h2_reset(st, EX_H2_INTERNAL_ERROR); /* half a request must not look whole */
}

/* Trailers of a request are not judged by any rule, so they are not sent on. */
static void down_end(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *trailers)
{
	struct ex_h2_exchange *x = st->user;

	(void)arg;
	(void)trailers;
	if (!x)
		return;
	x->req_done = true;
	if (x->held && ex_h2_finish(st, NULL) < 0)
		ex_h2_reset(st, EX_H2_INTERNAL_ERROR);
	x->held = false;
	if (x->up && ex_h2_finish(x->up, NULL) < 0)
		ex_h2_reset(x->up, EX_H2_INTERNAL_ERROR);
	if (x->leg && ex_h2_leg_finish(x->leg) < 0)
		ex_h2_reset(st, EX_H2_INTERNAL_ERROR);
	if (x->kept)
		x->kept->ended = true;
}

static void down_drained(void *arg, struct ex_h2_stream *st, size_t n)
{
	struct ex_h2_relay *r = arg;
	const struct ex_h2_exchange *x = st->user;

	if (!x || x->own_body)
		return;
	if (x->leg)
		ex_h2_leg_drained(x->leg, n);
	else if (!x->by_leg)
		ex_h2_consume(r->end[EX_H2_ORIGIN], x->up, n);
}

static void down_closed(void *arg, struct ex_h2_stream *st, enum ex_h2_error error)
{
	struct ex_h2_exchange *x = st->user;

	(void)arg;
	if (!x)
		return;
	x->down = NULL;
	/* A complete request is let through to its end, also when nobody waits for it any more. */
	if (x->up && (!x->req_done || error != EX_H2_NO_ERROR))
		ex_h2_reset(x->up, error == EX_H2_NO_ERROR ? EX_H2_CANCEL : error);
	if (x->leg)
		ex_h2_leg_orphan(x->leg);
	ex_h2_exchange_drop_kept(x);
	ex_h2_exchange_settle(x);
}

static void down_goaway(void *arg)
{
	(void)arg; /* the workload opens nothing more; what is open goes on */
}

const struct ex_h2_events ex_h2_down_events = {
	.head = down_head,
	.bad = down_bad,
	.data = down_data,
	.end = down_end,
	.drained = down_drained,
	.closed = down_closed,
	.goaway = down_goaway,
};
