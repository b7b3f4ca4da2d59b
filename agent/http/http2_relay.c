/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http2_relay.h"

#include <errno.h>

#include "agent/http/authority.h"
#include "agent/http/http2_denial.h"

/* Streams towards the origin may outlive theirs towards the workload, to send the rest of a body.
 */
#define EXCHANGES_MAX (2 * EX_H2_STREAMS_MAX)

#define SWALLOW_MAX (256 * 1024) /* of a denied request, before its stream is reset */

/* One request and its response. Lives until both streams are over. */
struct exchange {
	struct ex_h2_relay *relay;
	struct exchange *next, **prev;
	struct ex_h2_stream *down, *up; /* towards workload, origin; NULL: not yet, or over */
	bool req_done;                  /* all of the request was read */
	bool res_head, res_done;        /* final head, all of the response was read */
	bool own_body;                  /* the body towards the workload is ours */
	bool held;                      /* ... and ends when the request does */
	size_t swallowed;               /* bytes of a denied request that were thrown away */
};

struct ex_h2_relay {
	struct ex_h2_relay_config config;
	char sni[EX_HOST_MAX + 1];
	struct ex_h2 *end[2]; /* by enum ex_h2_side */
	bool gone[2];         /* eof was told */
	struct exchange *exchanges;
	size_t n_exchanges;
};

/* ---- exchanges ---- */

static struct exchange *exchange_new(struct ex_h2_relay *r, struct ex_h2_stream *down)
{
	struct exchange *x;

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

static void exchange_free(struct exchange *x)
{
	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	x->relay->n_exchanges--;
	free(x);
}

static void exchange_settle(struct exchange *x)
{
	if (!x->down && !x->up)
		exchange_free(x);
}

/* ---- denials ---- */

static void denial_start(const struct ex_h2_head *head, struct ex_h1_denial *d)
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
 * answer: so it ends with the request, unless that is long.
 */
static void exchange_deny(struct exchange *x, const struct ex_h2_head *head,
			  const struct ex_h1_denial *d)
{
	x->own_body = x->res_head = x->res_done = true;
	x->held = !x->req_done;
	if (ex_h2_write_denial(x->down, head, d, x->held) < 0)
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
}

static void exchange_swallow(struct exchange *x, size_t len)
{
	x->swallowed += len;
	if (!x->held || x->swallowed <= SWALLOW_MAX)
		return;
	x->held = false;
	if (ex_h2_finish(x->down, NULL) < 0) /* and the stream is reset, without error */
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
}

/* A refusal of the relay's own, told to the audit. st or its exchange may be missing. */
static void relay_refuse(struct ex_h2_relay *r, struct exchange *x, const struct ex_h2_head *head,
			 enum ex_reason reason, const char *detail)
{
	struct ex_h1_denial d;

	denial_start(head, &d);
	d.reason = reason;
	d.status = ex_h1_status(reason);
	d.detail = detail;
	r->config.refused(r->config.arg, &d);
	if (x && x->down)
		exchange_deny(x, head, &d);
}

/* ---- requests ---- */

/* Name of the TLS session = :authority, port dialled = its port, and the scheme that goes with it.
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

static void down_head(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head)
{
	struct ex_h2_relay *r = arg;
	struct exchange *x = exchange_new(r, st);
	struct ex_h1_denial d;
	enum ex_reason reason;
	const char *detail;

	if (!x) {
		ex_h2_reset(st, EX_H2_REFUSED_STREAM);
		return;
	}
	x->req_done = head->end;
	reason = request_agrees(r, head, &detail);
	if (reason != EX_R_ALLOWED) {
		relay_refuse(r, x, head, reason, detail);
		return;
	}
	denial_start(head, &d);
	d.reason = EX_R_HTTP_DENIED;
	d.status = 403;
	if (!r->config.judge(r->config.arg, &head->h, &d)) {
		exchange_deny(x, head, &d);
		return;
	}
	x->up = r->gone[EX_H2_ORIGIN] ? NULL : ex_h2_request(r->end[EX_H2_ORIGIN], head, x);
	if (!x->up)
		relay_refuse(r, x, head, EX_R_UPSTREAM_UNREACHABLE,
			     "the server's connection takes no more requests");
}

static void down_bad(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head,
		     enum ex_reason reason, const char *detail)
{
	struct ex_h2_relay *r = arg;
	struct exchange *x = st ? st->user : NULL;

	/* Trailers, or the head of a stream that has no exchange yet. */
	if (x) {
		relay_refuse(r, NULL, head, reason, detail);
		ex_h2_reset(st, EX_H2_PROTOCOL_ERROR);
		return;
	}
	if (st) {
		x = exchange_new(r, st);
		if (!x)
			ex_h2_reset(st, EX_H2_REFUSED_STREAM);
		else
			x->req_done = st->in_end;
	}
	relay_refuse(r, x, head, reason, detail);
}

static void down_data(void *arg, struct ex_h2_stream *st, const void *bytes, size_t len)
{
	struct ex_h2_relay *r = arg;
	struct exchange *x = st->user;

	if (x && x->up && ex_h2_write(x->up, bytes, len) == 0)
		return; /* consumed when drained */
	ex_h2_consume(r->end[EX_H2_WORKLOAD], st, len);
	if (x && x->up)
		ex_h2_reset(x->up, EX_H2_INTERNAL_ERROR);
	else if (x)
		exchange_swallow(x, len);
}

/* Trailers of a request are not judged by any rule, so they are not sent on. */
static void down_end(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *trailers)
{
	struct exchange *x = st->user;

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
}

static void down_drained(void *arg, struct ex_h2_stream *st, size_t n)
{
	struct ex_h2_relay *r = arg;
	const struct exchange *x = st->user;

	if (x && !x->own_body)
		ex_h2_consume(r->end[EX_H2_ORIGIN], x->up, n);
}

static void down_closed(void *arg, struct ex_h2_stream *st, enum ex_h2_error error)
{
	struct exchange *x = st->user;

	(void)arg;
	if (!x)
		return;
	x->down = NULL;
	/* A complete request is let through to its end, also when nobody waits for it any more. */
	if (x->up && (!x->req_done || error != EX_H2_NO_ERROR))
		ex_h2_reset(x->up, error == EX_H2_NO_ERROR ? EX_H2_CANCEL : error);
	exchange_settle(x);
}

static void down_goaway(void *arg)
{
	(void)arg; /* the workload opens nothing more; what is open goes on */
}

static const struct ex_h2_events down_events = {
	.head = down_head,
	.bad = down_bad,
	.data = down_data,
	.end = down_end,
	.drained = down_drained,
	.closed = down_closed,
	.goaway = down_goaway,
};

/* ---- responses ---- */

static void up_head(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head)
{
	struct exchange *x = st->user;

	(void)arg;
	if (head->h.status >= 200) {
		x->res_head = true;
		x->res_done = head->end;
	}
	if (x->down && ex_h2_respond(x->down, head) < 0)
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
}

/* The origin failed: said so when nothing of its answer was passed on, else cut off. */
static void exchange_fail(struct exchange *x, enum ex_reason reason, const char *detail)
{
	static const struct ex_h2_head none;

	if (!x->down || x->res_done)
		return;
	if (x->res_head)
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
	else
		relay_refuse(x->relay, x, &none, reason, detail);
}

static void up_bad(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head,
		   enum ex_reason reason, const char *detail)
{
	(void)arg;
	(void)head;
	(void)reason;
	if (!st)
		return; /* nghttp2 resets the stream: up_closed() */
	exchange_fail(st->user, EX_R_UPSTREAM_PROTOCOL, detail);
	ex_h2_reset(st, EX_H2_PROTOCOL_ERROR);
}

static void up_data(void *arg, struct ex_h2_stream *st, const void *bytes, size_t len)
{
	struct ex_h2_relay *r = arg;
	struct exchange *x = st->user;

	if (x->down && !x->own_body && ex_h2_write(x->down, bytes, len) == 0)
		return;
	ex_h2_consume(r->end[EX_H2_ORIGIN], st, len);
}

static void up_end(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *trailers)
{
	struct exchange *x = st->user;

	(void)arg;
	x->res_done = true;
	if (x->down && !x->own_body && ex_h2_finish(x->down, trailers) < 0)
		ex_h2_reset(x->down, EX_H2_INTERNAL_ERROR);
}

static void up_drained(void *arg, struct ex_h2_stream *st, size_t n)
{
	struct ex_h2_relay *r = arg;
	const struct exchange *x = st->user;

	ex_h2_consume(r->end[EX_H2_WORKLOAD], x->down, n);
}

static void up_closed(void *arg, struct ex_h2_stream *st, enum ex_h2_error error)
{
	struct exchange *x = st->user;

	(void)arg;
	x->up = NULL;
	/*
	 * REFUSED_STREAM tells the client that it may try again. Some servers end a response with
	 * NO_ERROR instead of END_STREAM; that is passed on as it is, behind what they sent.
	 */
	if (x->down && !x->res_done) {
		if (error == EX_H2_PROTOCOL_ERROR || (error == EX_H2_NO_ERROR && !x->res_head))
			exchange_fail(x, EX_R_UPSTREAM_PROTOCOL, "the stream had no proper answer");
		else
			ex_h2_reset_after(x->down, error);
	}
	exchange_settle(x);
}

static void up_goaway(void *arg)
{
	struct ex_h2_relay *r = arg;

	ex_h2_goaway(r->end[EX_H2_WORKLOAD], EX_H2_NO_ERROR);
}

static const struct ex_h2_events up_events = {
	.head = up_head,
	.bad = up_bad,
	.data = up_data,
	.end = up_end,
	.drained = up_drained,
	.closed = up_closed,
	.goaway = up_goaway,
};

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
	e = ex_h2_new(true, &down_events, r, &r->end[EX_H2_WORKLOAD]);
	if (e == 0)
		e = ex_h2_new(false, &up_events, r, &r->end[EX_H2_ORIGIN]);
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
	for (struct exchange *x = r->exchanges, *next; x; x = next) {
		next = x->next;
		free(x);
	}
	free(r);
}

ssize_t ex_h2_relay_feed(struct ex_h2_relay *r, enum ex_h2_side side, const void *bytes, size_t len,
			 uint64_t now_ms)
{
	return ex_h2_feed(r->end[side], bytes, len, now_ms);
}

ssize_t ex_h2_relay_pull(struct ex_h2_relay *r, enum ex_h2_side side, void *out, size_t cap)
{
	return ex_h2_pull(r->end[side], out, cap);
}

bool ex_h2_relay_done(const struct ex_h2_relay *r, enum ex_h2_side side)
{
	return r->gone[side] || ex_h2_done(r->end[side]);
}

void ex_h2_relay_eof(struct ex_h2_relay *r, enum ex_h2_side side)
{
	struct exchange *next;

	if (r->gone[side])
		return;
	r->gone[side] = true;
	for (struct exchange *x = r->exchanges; x; x = next) {
		next = x->next;
		if (side == EX_H2_WORKLOAD && x->up)
			ex_h2_reset(x->up, EX_H2_CANCEL);
		else if (side == EX_H2_ORIGIN)
			exchange_fail(x, EX_R_UPSTREAM_UNREACHABLE,
				      "the server closed the connection");
	}
	ex_h2_goaway(r->end[!side], EX_H2_NO_ERROR);
}

void ex_h2_relay_close(struct ex_h2_relay *r, bool now)
{
	enum ex_h2_error error = now ? EX_H2_CANCEL : EX_H2_NO_ERROR;

	ex_h2_goaway(r->end[EX_H2_WORKLOAD], error);
	ex_h2_goaway(r->end[EX_H2_ORIGIN], error);
}

size_t ex_h2_relay_streams(const struct ex_h2_relay *r)
{
	return r->n_exchanges;
}
