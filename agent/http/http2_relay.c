/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http2_relay_priv.h"

#include <errno.h>

#include "agent/http/http2_denial.h"

/*
 * Streams towards the origin may outlive theirs towards the workload, to send the rest of a body.
 */
#define EXCHANGES_MAX (2 * EX_H2_STREAMS_MAX)

#define SWALLOW_MAX (256 * 1024) /* of a denied request, before its stream is reset */

/* ---- exchanges ---- */

struct ex_h2_exchange *ex_h2_exchange_new(struct ex_h2_relay *r, struct ex_h2_stream *down)
{
	struct ex_h2_exchange *x;

	if (r->n_exchanges >= EXCHANGES_MAX)
		return NULL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->relay = r;
	x->down = down;
	down->user = x;
	x->prev = &r->exchanges;
	x->next = r->exchanges;
	if (x->next)
		x->next->prev = &x->next;
	r->exchanges = x;
	r->n_exchanges++;
	return x;
}

bool ex_h2_exchange_takes(struct ex_h2_exchange *x, const struct ex_h2_head *head)
{
	size_t *all = x->relay->config.heads, size = ex_h2_head_size(head);

	if (*all + size > EX_H2_HEADS_MAX)
		return false;
	*all += size;
	x->head_size += size;
	return true;
}

static void exchange_drop(struct ex_h2_exchange *x)
{
	*x->relay->config.heads -= x->head_size;
	ex_h2_kept_free(x->kept);
	ex_h2_kept_free(x->asked);
	free(x);
}

static void exchange_free(struct ex_h2_exchange *x)
{
	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	x->relay->n_exchanges--;
	exchange_drop(x);
}

void ex_h2_exchange_note(struct ex_h2_exchange *x, const struct ex_h2_head *head)
{
	if (ex_h2_kept_new(head, &x->asked) < 0)
		x->asked = NULL;
}

/* Empty when there was no memory for it. */
static const struct ex_h2_head *asked_of(const struct ex_h2_exchange *x)
{
	static const struct ex_h2_head unknown;

	return x->asked ? &x->asked->head : &unknown;
}

void ex_h2_exchange_settle(struct ex_h2_exchange *x)
{
	if (!x->down && !x->up && !x->leg && !x->kept)
		exchange_free(x);
}

/* ---- denials ---- */

void ex_h2_denial_start(const struct ex_h2_head *head, struct ex_h1_denial *d)
{
	*d = (struct ex_h1_denial){
		.method = head->h.method,
		.host = head->h.host,
		.path = head->h.path,
		.head_only = ex_span_eq(head->h.method, EX_SPAN("HEAD")),
		.text = ex_h1_prefers_text(head->h.headers, head->h.n_headers),
	};
}

/*
 * Answers on x->down; nothing of the origin's was passed on yet. An answer that ends before its
 * request has the stream reset, and clients (curl 7.88 is one) then show the reset instead of the
 * answer: so it ends with the request, unless that is long, or may be waiting for the answer.
 */
void ex_h2_exchange_deny(struct ex_h2_exchange *x, const struct ex_h2_head *head,
			 const struct ex_h1_denial *d)
{
	x->own_body = x->res_head = x->res_done = true;
	x->held = !x->req_done && !x->open_ended;
	if (ex_h2_write_denial(x->down, head, d, x->held) < 0)
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
}

void ex_h2_exchange_swallow(struct ex_h2_exchange *x, size_t len)
{
	x->swallowed += len;
	if (!x->held || x->swallowed <= SWALLOW_MAX)
		return;
	x->held = false;
	if (ex_h2_finish(x->down, NULL) < 0) /* and the stream is reset, without error */
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
}

/* A refusal of the relay's own, told to the audit. st or its exchange may be missing. */
void ex_h2_relay_refuse(struct ex_h2_relay *r, struct ex_h2_exchange *x,
			const struct ex_h2_head *head, enum ex_reason reason, const char *detail)
{
	struct ex_h1_denial d;

	ex_h2_denial_start(head, &d);
	d.reason = reason;
	d.status = ex_h1_status(reason);
	d.detail = detail;
	r->config.refused(r->config.arg, &d);
	if (x && x->down)
		ex_h2_exchange_deny(x, head, &d);
}

void ex_h2_exchange_fail(struct ex_h2_exchange *x, enum ex_reason reason, const char *detail)
{
	if (!x->down || x->res_done)
		return;
	if (x->res_head) {
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
	} else if (reason == EX_R_ADDRESS_NOT_OF_NAME) {
		/* It was allowed, and will be when the client has asked for the name anew. */
		ex_h2_relay_refuse(x->relay, NULL, asked_of(x), reason, detail);
		ex_h2_reset(x->down, EX_H2_REFUSED_STREAM);
	} else {
		ex_h2_relay_refuse(x->relay, x, asked_of(x), reason, detail);
	}
}

/* ---- the connection ---- */

int ex_h2_relay_new(const struct ex_h2_relay_config *config, struct ex_h2_relay **ret)
{
	struct ex_h2_relay *r;
	int e;

	if (config->sni.len >= sizeof(r->sni))
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->config = *config;
	if (config->sni.len)
		memcpy(r->sni, config->sni.ptr, config->sni.len);
	r->config.sni.ptr = r->sni;
	e = ex_h2_new(true, &ex_h2_down_events, r, &r->end[EX_H2_WORKLOAD]);
	if (e < 0) {
		ex_h2_relay_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

void ex_h2_relay_free(struct ex_h2_relay *r)
{
	if (!r)
		return;
	ex_h2_free(r->end[EX_H2_WORKLOAD]);
	ex_h2_free(r->end[EX_H2_ORIGIN]);
	for (struct ex_h2_exchange *x = r->exchanges, *next; x; x = next) {
		next = x->next;
		if (x->leg) /* nobody carries it: the others were freed by their owners */
			ex_h2_leg_destroy(x->leg);
		exchange_drop(x);
	}
	free(r);
}

ssize_t ex_h2_relay_feed(struct ex_h2_relay *r, enum ex_h2_side side, const void *bytes, size_t len,
			 uint64_t now_ms)
{
	return r->end[side] ? ex_h2_feed(r->end[side], bytes, len, now_ms) : -EPROTO;
}

ssize_t ex_h2_relay_pull(struct ex_h2_relay *r, enum ex_h2_side side, void *out, size_t cap)
{
	return r->end[side] ? ex_h2_pull(r->end[side], out, cap) : 0;
}

bool ex_h2_relay_done(const struct ex_h2_relay *r, enum ex_h2_side side)
{
	return r->gone[side] || (r->end[side] && ex_h2_done(r->end[side]));
}

/* What an exchange has towards the origin. */
static void exchange_abandon(struct ex_h2_exchange *x)
{
	if (x->up)
		ex_h2_reset(x->up, EX_H2_CANCEL);
	if (x->leg)
		ex_h2_leg_orphan(x->leg);
}

void ex_h2_relay_eof(struct ex_h2_relay *r, enum ex_h2_side side)
{
	struct ex_h2_exchange *next;

	if (r->gone[side])
		return;
	r->gone[side] = true;
	for (struct ex_h2_exchange *x = r->exchanges; x; x = next) {
		next = x->next;
		if (side == EX_H2_ORIGIN && x->up)
			ex_h2_exchange_fail(x, EX_R_UPSTREAM_UNREACHABLE,
					    "the server closed the connection");
		if (side == EX_H2_WORKLOAD || x->up)
			exchange_abandon(x);
	}
	if (r->end[!side])
		ex_h2_goaway(r->end[!side], EX_H2_NO_ERROR);
}

void ex_h2_relay_close(struct ex_h2_relay *r, bool now)
{
	enum ex_h2_error error = now ? EX_H2_CANCEL : EX_H2_NO_ERROR;

	ex_h2_goaway(r->end[EX_H2_WORKLOAD], error);
	if (r->end[EX_H2_ORIGIN])
		ex_h2_goaway(r->end[EX_H2_ORIGIN], error);
}

/* ---- the origin ---- */

bool ex_h2_relay_wants_origin(const struct ex_h2_relay *r)
{
	return r->origin == EX_H2_ORIGIN_UNKNOWN && r->n_kept > 0;
}

uint32_t ex_h2_relay_identity(struct ex_h2_relay *r)
{
	/* They stand in the order of their coming, the last one first. */
	for (const struct ex_h2_exchange *x = r->exchanges; x; x = x->next)
		if (x->kept)
			r->identity = x->identity;
	return r->identity;
}

static struct ex_h2_kept *take_kept(struct ex_h2_exchange *x)
{
	if (x->kept)
		x->relay->n_kept--;
	return EX_TAKE_PTR(x->kept);
}

/* The request that waited, with what came of its body; the other way of saying it is a failure. */
static void send_kept(struct ex_h2_exchange *x)
{
	struct ex_h2_kept *k = take_kept(x);
	struct ex_span body = { ex_buf_ptr(&k->body), ex_buf_len(&k->body) };
	int r = ex_h2_exchange_forward(x, &k->head) ? 0 : -EPROTO;

	if (r == 0 && body.len)
		r = x->up ? ex_h2_write(x->up, body.ptr, body.len)
			  : ex_h2_leg_write(x->leg, body.ptr, body.len);
	if (r == 0 && k->ended && !k->head.end)
		r = x->up ? ex_h2_finish(x->up, NULL) : ex_h2_leg_finish(x->leg);
	if (r < 0) {
		exchange_abandon(x);
		ex_h2_exchange_fail(x, EX_R_INTERNAL, "the request could not be sent on");
	}
	ex_h2_kept_free(k);
	ex_h2_exchange_settle(x);
}

int ex_h2_relay_origin(struct ex_h2_relay *r, enum ex_h2_origin origin)
{
	struct ex_h2_exchange *next, *x;
	int e;

	if (origin == EX_H2_ORIGIN_H2) {
		e = ex_h2_new(false, &ex_h2_up_events, r, &r->end[EX_H2_ORIGIN]);
		if (e < 0)
			return e;
	}
	r->origin = origin;
	/* They stand in the order of their coming, the last one first. */
	for (x = r->exchanges; x && x->next;)
		x = x->next;
	for (; x; x = next) {
		next = x->prev == &r->exchanges
			       ? NULL
			       : ex_container_of(x->prev, struct ex_h2_exchange, next);
		if (x->kept)
			send_kept(x);
	}
	return 0;
}

void ex_h2_exchange_drop_kept(struct ex_h2_exchange *x)
{
	if (!x->kept)
		return;
	ex_h2_consume(x->relay->end[EX_H2_WORKLOAD], x->down, ex_buf_len(&x->kept->body));
	ex_h2_kept_free(take_kept(x));
}

void ex_h2_relay_origin_failed(struct ex_h2_relay *r, enum ex_reason reason, const char *detail)
{
	struct ex_h2_exchange *next;

	for (struct ex_h2_exchange *x = r->exchanges; x; x = next) {
		next = x->next;
		if (!x->kept)
			continue;
		ex_h2_exchange_fail(x, reason, detail);
		ex_h2_exchange_drop_kept(x);
		ex_h2_exchange_settle(x);
	}
}

/* ---- another policy ---- */

static void exchange_judge_again(struct ex_h2_exchange *x)
{
	const struct ex_h2_relay_config *c = &x->relay->config;
	const struct ex_h2_head *head = asked_of(x);
	struct ex_h1_denial d;

	ex_h2_denial_start(head, &d);
	if (c->judge_again(c->arg, &head->h, x->identity, &d))
		return;
	ex_h2_exchange_drop_kept(x);
	if (x->down && !x->res_head)
		ex_h2_exchange_deny(x, head, &d);
	else if (x->down && !x->res_done)
		ex_h2_reset(x->down, EX_H2_CANCEL);
	x->res_done = true;
	exchange_abandon(x);
}

void ex_h2_relay_judge_again(struct ex_h2_relay *r)
{
	for (struct ex_h2_exchange *x = r->exchanges, *next; x; x = next) {
		next = x->next;
		if (x->up || x->leg || x->kept)
			exchange_judge_again(x);
	}
}
