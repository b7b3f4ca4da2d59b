/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the relay share: http2_relay.c (the object, denials), http2_down.c (requests,
 * from the workload), http2_up.c (responses of an origin that speaks HTTP/2), http2_leg.c (of one
 * that speaks HTTP/1.1). Nobody else includes this.
 */
#ifndef EXEAT_AGENT_HTTP_HTTP2_RELAY_PRIV_H
#define EXEAT_AGENT_HTTP_HTTP2_RELAY_PRIV_H

#include "agent/http/authority.h"
#include "agent/http/http2_kept.h"
#include "agent/http/http2_leg.h"
#include "agent/http/http2_relay.h"

/* One request and its response. Lives until all it points to is over. */
struct ex_h2_exchange {
	struct ex_h2_relay *relay;
	struct ex_h2_exchange *next, **prev;
	struct ex_h2_stream *down; /* towards the workload; NULL: over */
	struct ex_h2_kept *kept;   /* an allowed request whose server is being dialled, or */
	struct ex_h2_stream *up;   /* ... on its way to an origin that speaks HTTP/2, or */
	struct ex_h2_leg *leg;     /* ... HTTP/1.1 */
	uint32_t identity;         /* as whom */
	bool by_leg;               /* it has, or had, one of these */
	bool req_done;             /* all of the request was read */
	bool open_ended;           /* how long it will be was not said, or it waits for a 100 */
	bool res_head, res_done;   /* final head, all of the response was read */
	bool own_body;             /* the body towards the workload is ours */
	bool held;                 /* ... and ends when the request does */
	size_t head_size;          /* its share in config.heads */
	struct ex_h2_kept *asked; /* an allowed request, as it was judged; NULL: no memory for it */
	size_t swallowed;         /* bytes of a denied request that were thrown away */
};

struct ex_h2_relay {
	struct ex_h2_relay_config config;
	char sni[EX_HOST_MAX + 1];
	enum ex_h2_origin origin;
	uint32_t identity; /* as whom it was dialled */
	struct ex_h2
		*end[2]; /* by enum ex_h2_side; the origin's once it is known to speak HTTP/2 */
	bool gone[2];    /* eof was told */
	struct ex_h2_exchange *exchanges;
	size_t n_exchanges, n_kept;
	struct ex_link *fresh; /* legs nobody carries yet, in order */
};

extern const struct ex_h2_events ex_h2_down_events, ex_h2_up_events;

/* NULL: too many, or out of memory. */
struct ex_h2_exchange *ex_h2_exchange_new(struct ex_h2_relay *r, struct ex_h2_stream *down);

/* A head of it goes on, or trailers: false when too much of that is under way already. */
bool ex_h2_exchange_takes(struct ex_h2_exchange *x, const struct ex_h2_head *head);

/* Frees it when nothing of it is left. */
void ex_h2_exchange_settle(struct ex_h2_exchange *x);

/*
 * Remembers what was asked. Without memory a failure is told in fewer words, and another policy
 * ends it.
 */
void ex_h2_exchange_note(struct ex_h2_exchange *x, const struct ex_h2_head *head);

/* An allowed request whose server is being dialled is not sent on, if this is one. */
void ex_h2_exchange_drop_kept(struct ex_h2_exchange *x);

/* Answers on x->down; nothing of the origin's was passed on yet. */
void ex_h2_exchange_deny(struct ex_h2_exchange *x, const struct ex_h2_head *head,
			 const struct ex_h1_denial *d);

/* len bytes of the body of a denied request. */
void ex_h2_exchange_swallow(struct ex_h2_exchange *x, size_t len);

/* The origin failed: said so when nothing of its answer was passed on, else cut off. */
void ex_h2_exchange_fail(struct ex_h2_exchange *x, enum ex_reason reason, const char *detail);

/* What a refusal of this request says, but for status, reason and rule. */
void ex_h2_denial_start(const struct ex_h2_head *head, struct ex_h1_denial *d);

/* A refusal of the relay's own, told to the audit. The exchange or its stream may be missing. */
void ex_h2_relay_refuse(struct ex_h2_relay *r, struct ex_h2_exchange *x,
			const struct ex_h2_head *head, enum ex_reason reason, const char *detail);

/* down.c: sends a judged request to the origin, whose protocol is known. False: it can not. */
bool ex_h2_exchange_forward(struct ex_h2_exchange *x, const struct ex_h2_head *head);

/* ---- leg.c ---- */

/* The request as HTTP/1.1; x->leg is set. 0 or negative errno. */
EX_MUST_CHECK int ex_h2_leg_new(struct ex_h2_exchange *x, const struct ex_h2_head *head);

/* Body bytes; they are consumed on the workload's end when they are on their way. */
EX_MUST_CHECK int ex_h2_leg_write(struct ex_h2_leg *leg, const void *bytes, size_t len);
EX_MUST_CHECK int ex_h2_leg_finish(struct ex_h2_leg *leg);

/* n bytes of the response have left the workload's end. */
void ex_h2_leg_drained(struct ex_h2_leg *leg, size_t n);

/* Frees it and tells nobody. */
void ex_h2_leg_destroy(struct ex_h2_leg *leg);

/*
 * The workload's stream is over, or the leg is given up: it is gone, if nobody carries it yet. The
 * exchange stays: settling it is the caller's.
 */
void ex_h2_leg_orphan(struct ex_h2_leg *leg);

#endif
