/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/http/http2_leg_head.h"
#include "agent/http/http2_relay_priv.h"
#include "agent/http/websocket.h"

#define QUEUE_MAX (64 * 1024) /* of a response, written to the workload's end and not yet sent */

struct ex_h2_leg {
	struct ex_h2_exchange *x; /* NULL: over */
	struct ex_link fresh;     /* while nobody carries it */
	enum ex_h2_leg_state state;
	struct ex_h1 *res;
	struct ex_buf out;   /* to the server */
	struct ex_buf again; /* the whole request, when it may be sent twice */
	struct ex_buf early; /* for a WebSocket that is not open yet: until then it would be HTTP */
	size_t owed;         /* body bytes in out that are not consumed yet */
	size_t queued;       /* response bytes the workload has not been sent yet */
	uint64_t left;       /* of a request body of known length */
	char key[EX_WS_KEY_LEN + 1]; /* of a WebSocket */
	uint32_t identity;
	bool chunked, websocket;
	bool tunnel;   /* the WebSocket is open: bytes both ways */
	bool close;    /* no request after this one */
	bool finished; /* the server is told that no more comes */
	bool req_done, to_head, reused, answered, interim;
};

enum ex_h2_leg_state ex_h2_leg_state(const struct ex_h2_leg *leg)
{
	return leg->state;
}

uint32_t ex_h2_leg_identity(const struct ex_h2_leg *leg)
{
	return leg->identity;
}

bool ex_h2_leg_is_websocket(const struct ex_h2_leg *leg)
{
	return leg->websocket;
}

bool ex_h2_leg_may_reuse(const struct ex_h2_leg *leg)
{
	return !leg->websocket;
}

void ex_h2_leg_reuses(struct ex_h2_leg *leg)
{
	leg->reused = true;
}

bool ex_h2_leg_is_finished(const struct ex_h2_leg *leg)
{
	return leg->finished && leg->tunnel;
}

/* ---- the request ---- */

static int write_request(struct ex_h2_leg *leg, const struct ex_h2_head *head)
{
	struct ex_h2_leg_sent sent;
	int r = leg->websocket ? ex_ws_key(leg->key) : 0;

	if (r == 0)
		r = ex_h2_leg_put_request(&leg->out, head, leg->websocket ? leg->key : NULL, &sent);
	if (r < 0)
		return r;
	leg->chunked = sent.chunked;
	leg->left = sent.length;
	leg->close = sent.close;
	return ex_h1_may_repeat(&head->h)
		       ? ex_buf_append(&leg->again, ex_buf_ptr(&leg->out), ex_buf_len(&leg->out))
		       : 0;
}

static int expect_response(struct ex_h2_leg *leg)
{
	struct ex_h1 *res;
	int r = ex_h1_new(false, &res);

	if (r < 0)
		return r;
	ex_h1_free(leg->res);
	leg->res = res;
	ex_h1_expect_response_to(res, leg->to_head ? EX_SPAN("HEAD") : EX_SPAN("GET"));
	if (leg->websocket)
		ex_h1_expect_upgrade(res);
	return 0;
}

int ex_h2_leg_new(struct ex_h2_exchange *x, const struct ex_h2_head *head)
{
	struct ex_h2_leg *leg = calloc(1, sizeof(*leg));
	struct ex_link **end = &x->relay->fresh;
	int e;

	if (!leg)
		return -ENOMEM;
	leg->identity = x->identity;
	leg->websocket = head->websocket;
	leg->req_done = head->end || head->websocket;
	leg->to_head = ex_span_eq(head->h.method, EX_SPAN("HEAD"));
	e = expect_response(leg);
	if (e == 0)
		e = write_request(leg, head);
	if (e < 0) {
		ex_h2_leg_destroy(leg);
		return e;
	}
	leg->x = x;
	x->leg = leg;
	x->by_leg = true;
	while (*end)
		end = &(*end)->next;
	ex_link_add(end, &leg->fresh);
	return 0;
}

struct ex_h2_leg *ex_h2_relay_next_leg(struct ex_h2_relay *r)
{
	struct ex_link *first = r->fresh;

	if (!first)
		return NULL;
	ex_link_remove(first);
	return ex_container_of(first, struct ex_h2_leg, fresh);
}

int ex_h2_leg_write(struct ex_h2_leg *leg, const void *bytes, size_t len)
{
	int r = 0;

	if (len == 0)
		return 0;
	if (leg->websocket)
		r = ex_buf_append(leg->tunnel ? &leg->out : &leg->early, bytes, len);
	else if (leg->chunked || len <= leg->left)
		r = ex_h1_put_body(&leg->out, (struct ex_span){ bytes, len }, leg->chunked);
	else
		return -EPROTO; /* nghttp2 has counted them: cannot be */
	if (!leg->websocket && !leg->chunked)
		leg->left -= len;
	leg->owed += r == 0 ? len : 0;
	return r;
}

int ex_h2_leg_finish(struct ex_h2_leg *leg)
{
	bool ended;

	if (leg->websocket) {
		leg->finished = true;
		return 0;
	}
	if (leg->left)
		return -EPROTO;
	ended = leg->req_done;
	leg->req_done = true;
	return ended ? 0 : ex_h1_put_end(&leg->out, leg->chunked, NULL, 0);
}

bool ex_h2_leg_pull(struct ex_h2_leg *leg, struct ex_buf *out)
{
	struct ex_buf empty = *out;

	if (!ex_buf_len(&leg->out) || leg->state != EX_LEG_RUNS)
		return false;
	*out = leg->out;
	leg->out = empty;
	ex_h2_consume(leg->x->relay->end[EX_H2_WORKLOAD], leg->x->down, leg->owed);
	leg->owed = 0;
	return true;
}

/* ---- the response ---- */

/* The exchange needs the leg no more. */
static void part(struct ex_h2_leg *leg, enum ex_h2_leg_state state)
{
	struct ex_h2_exchange *x = leg->x;

	leg->state = state;
	leg->x = NULL;
	if (!x)
		return;
	ex_h2_consume(x->relay->end[EX_H2_WORKLOAD], x->down, leg->owed);
	leg->owed = 0;
	x->leg = NULL;
}

/* The same, and the exchange may end with it. */
static void detach(struct ex_h2_leg *leg, enum ex_h2_leg_state state)
{
	struct ex_h2_exchange *x = leg->x;

	part(leg, state);
	if (x)
		ex_h2_exchange_settle(x);
}

static void fail(struct ex_h2_leg *leg, enum ex_reason reason, const char *detail)
{
	if (leg->x)
		ex_h2_exchange_fail(leg->x, reason, detail);
	detach(leg, EX_LEG_CLOSE);
}

void ex_h2_leg_failed(struct ex_h2_leg *leg, enum ex_reason reason, const char *detail)
{
	if (leg->state == EX_LEG_RUNS)
		fail(leg, reason, detail);
}

/* The reused connection was over before it said a word, to a request that may go out twice. */
static bool repeat(struct ex_h2_leg *leg)
{
	if (!leg->reused || leg->answered || !ex_buf_len(&leg->again) || expect_response(leg) < 0)
		return false;
	leg->reused = false;
	ex_buf_done(&leg->out);
	leg->out = leg->again;
	leg->again = (struct ex_buf){ 0 };
	leg->state = EX_LEG_REPEAT;
	return true;
}

static void response_broke(struct ex_h2_leg *leg)
{
	if (repeat(leg))
		return;
	fail(leg, EX_R_UPSTREAM_PROTOCOL,
	     leg->reused && !leg->answered ? "the server ended a kept connection without an answer"
					   : "the server closed or did not speak HTTP/1.1");
}

void ex_h2_leg_resume(struct ex_h2_leg *leg)
{
	if (leg->state == EX_LEG_REPEAT)
		leg->state = EX_LEG_RUNS;
}

/* What was said before the server agreed: now it is no HTTP to it. */
static int open_tunnel(struct ex_h2_leg *leg)
{
	size_t len = ex_buf_len(&leg->early);
	int r = len ? ex_buf_append(&leg->out, ex_buf_ptr(&leg->early), len) : 0;

	ex_buf_done(&leg->early);
	leg->tunnel = r == 0;
	return r;
}

static int on_head(struct ex_h2_leg *leg)
{
	const struct ex_h1_head *h = ex_h1_head(leg->res);
	bool switched = h->status == 101;
	int r = 0;

	if (!ex_h2_exchange_takes(leg->x, &(struct ex_h2_head){ .h = *h })) {
		fail(leg, EX_R_LIMIT, "too much of answers under way");
		return 0;
	}
	leg->interim = h->status < 200 && !switched;
	/* 200 opens the tunnel of a CONNECT, so only the 101 of a WebSocket may become one. */
	if (leg->websocket && (switched || h->status / 100 == 2) &&
	    !ex_websocket_opens(h, leg->key))
		return -EPROTO;
	if (switched)
		r = open_tunnel(leg);
	if (r < 0)
		return r;
	if (!leg->interim) {
		leg->x->res_head = true;
		leg->close |= h->close || h->framing == EX_H1_UNTIL_CLOSE || switched;
	}
	return ex_h2_leg_respond(leg->x->down, h, switched);
}

static int on_bytes(struct ex_h2_leg *leg, struct ex_span bytes)
{
	int r = ex_h2_write(leg->x->down, bytes.ptr, bytes.len);

	if (r == 0)
		leg->queued += bytes.len;
	return r;
}

static int on_end(struct ex_h2_leg *leg)
{
	int r;

	if (leg->interim) {
		leg->interim = false;
		return 0;
	}
	r = ex_h2_leg_end(leg->x->down, leg->res);
	leg->x->res_done = r == 0;
	return r;
}

/* True while there is more to be read. */
static bool take_event(struct ex_h2_leg *leg, enum ex_h1_event ev)
{
	int r = 0;

	switch (ev) {
	case EX_H1_HEAD:
		r = on_head(leg);
		break;
	case EX_H1_BODY:
		r = on_bytes(leg, ex_h1_body(leg->res));
		break;
	case EX_H1_END:
		r = on_end(leg);
		if (r < 0 || !leg->x->res_done)
			break;
		detach(leg, leg->close || !leg->req_done || ex_buf_len(&leg->out) ? EX_LEG_CLOSE
										  : EX_LEG_KEEP);
		return false;
	case EX_H1_MORE:
	case EX_H1_UPGRADED:
		return false;
	case EX_H1_BAD:
		response_broke(leg);
		return false;
	}
	if (r < 0)
		fail(leg, EX_R_UPSTREAM_PROTOCOL, "the answer can not be sent on in HTTP/2");
	return r == 0;
}

/* The rest of what is fed belongs to the WebSocket. */
static size_t feed_tunnel(struct ex_h2_leg *leg, const char *bytes, size_t len)
{
	size_t room = QUEUE_MAX > leg->queued ? QUEUE_MAX - leg->queued : 0;
	size_t n = len < room ? len : room;

	if (n && on_bytes(leg, (struct ex_span){ bytes, n }) < 0)
		fail(leg, EX_R_INTERNAL, "out of memory");
	return n;
}

size_t ex_h2_leg_feed(struct ex_h2_leg *leg, const char *bytes, size_t len)
{
	size_t off = 0;
	bool more = true;

	while (more && leg->state == EX_LEG_RUNS && leg->x->down && !leg->tunnel &&
	       leg->queued < QUEUE_MAX) {
		size_t used = 0;
		enum ex_h1_event ev = ex_h1_feed(leg->res, bytes + off, len - off, &used);

		off += used;
		leg->answered |= used > 0;
		more = take_event(leg, ev);
	}
	if (leg->state == EX_LEG_RUNS && leg->tunnel)
		off += feed_tunnel(leg, bytes + off, len - off);
	/* A server that says more than it was asked is asked no more. */
	if (leg->state == EX_LEG_KEEP && off < len)
		leg->state = EX_LEG_CLOSE;
	return off;
}

void ex_h2_leg_eof(struct ex_h2_leg *leg, bool broken)
{
	enum ex_h1_event ev;

	if (leg->state != EX_LEG_RUNS)
		return;
	if (leg->tunnel) {
		if (broken)
			ex_h2_reset_after(leg->x->down, EX_H2_CANCEL);
		else if (ex_h2_finish(leg->x->down, NULL) < 0)
			ex_h2_reset(leg->x->down, EX_H2_INTERNAL_ERROR);
		leg->x->res_done = true;
		detach(leg, EX_LEG_CLOSE);
		return;
	}
	/* Broken off is not closed: a body until the end may be cut short. */
	ev = broken ? EX_H1_BAD : ex_h1_eof(leg->res);
	(void)take_event(leg, ev == EX_H1_MORE ? EX_H1_BAD : ev);
}

void ex_h2_leg_drained(struct ex_h2_leg *leg, size_t n)
{
	leg->queued -= n < leg->queued ? n : leg->queued;
}

void ex_h2_leg_orphan(struct ex_h2_leg *leg)
{
	part(leg, EX_LEG_CLOSE);
	if (leg->fresh.at) /* nobody will ever free it */
		ex_h2_leg_destroy(leg);
}

/* ---- the end ---- */

void ex_h2_leg_destroy(struct ex_h2_leg *leg)
{
	ex_link_remove(&leg->fresh);
	ex_h1_free(leg->res);
	ex_buf_done(&leg->out);
	ex_buf_done(&leg->again);
	ex_buf_done(&leg->early);
	free(leg);
}

void ex_h2_leg_free(struct ex_h2_leg *leg)
{
	detach(leg, EX_LEG_CLOSE);
	ex_h2_leg_destroy(leg);
}
