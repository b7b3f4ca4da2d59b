/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proxied HTTP/2 connection. Each request of the workload is judged on its own; one that is
 * denied is answered here (JSON body, or Trailers-Only for gRPC) and the origin never hears of it.
 * One that is allowed becomes a stream towards the origin when that speaks HTTP/2: two ends
 * (http2.h) back to back. To an origin that speaks HTTP/1.1 it becomes a request on a connection of
 * its own, a leg (http2_leg.h). Which of the two is asked when the first request has been allowed,
 * not before.
 *
 * No socket, no clock, no TLS: the caller moves bytes. With `in` and `out` the buffers of a side:
 *
 *	for each side:
 *		n = ex_h2_relay_feed(r, side, in, len, now);	broken when < 0
 *		consume n bytes of in
 *	for each side, while out has room:
 *		n = ex_h2_relay_pull(r, side, room, cap);	nothing more when 0
 *	a side that is at its end:	ex_h2_relay_eof(r, side)
 *	a side with ex_h2_relay_done():	flush out, then close
 *	ex_h2_relay_wants_origin():	connect, then ex_h2_relay_origin() or _failed()
 *	ex_h2_relay_next_leg():		a leg to be given a connection of its own
 *
 * Feed may leave bytes (the other end is behind): stop reading that socket, and feed again after
 * the next pull from the same side. Whatever was fed may give bytes to both sides.
 */
#ifndef EXEAT_AGENT_HTTP_HTTP2_RELAY_H
#define EXEAT_AGENT_HTTP_HTTP2_RELAY_H

#include "agent/http/http2.h"

enum ex_h2_side {
	EX_H2_WORKLOAD = 0,
	EX_H2_ORIGIN = 1,
};

/* What the origin speaks. */
enum ex_h2_origin {
	EX_H2_ORIGIN_UNKNOWN = 0,
	EX_H2_ORIGIN_H2,
	EX_H2_ORIGIN_H1,
};

#define EX_H2_HEADS_MAX (16 * 1024 * 1024)

struct ex_h2_relay_config {
	void *arg;
	/*
	 * Bytes of heads under way in all the relays that share it, which is as much as may be: by
	 * the table of HTTP/2 a head of 64 KiB is a hundred bytes long, and it is kept in several
	 * forms.
	 */
	size_t *heads;
	bool tls;           /* else h2c: the scheme has to be http */
	struct ex_span sni; /* canonical; when tls, every :authority has to be this name */
	uint16_t port;      /* the port dialled: what an :authority may name */
	/*
	 * Judges a well-formed request, writes the audit record, and returns true to let it pass.
	 * Else fills status, reason, rule and detail of *denial; the rest is filled in already.
	 * *edits, empty before, is what is to be done to the fields of a request that passes.
	 */
	bool (*judge)(void *arg, const struct ex_h1_head *head, struct ex_h1_denial *denial,
		      struct ex_header_edits *edits);
	/*
	 * As whom the server of a request that passes is spoken with (agent/tls/identity.h): those
	 * that share a connection are one.
	 */
	uint32_t (*identity)(void *arg, const struct ex_header_edits *edits);
	/*
	 * The same as judge for a request that was allowed and is under way as identity, when the
	 * policy has changed. Its head is empty when there was no memory to keep it.
	 */
	bool (*judge_again)(void *arg, const struct ex_h1_head *head, uint32_t identity,
			    struct ex_h1_denial *denial);
	/* The relay has refused a request by itself: for the audit record. Spans may be empty. */
	void (*refused)(void *arg, const struct ex_h1_denial *denial);
};

struct ex_h2_relay;
struct ex_h2_leg;

/* The config is copied, sni included. */
EX_MUST_CHECK int ex_h2_relay_new(const struct ex_h2_relay_config *config,
				  struct ex_h2_relay **ret);
void ex_h2_relay_free(struct ex_h2_relay *r);

/* As ex_h2_feed(), ex_h2_pull() and ex_h2_done(). */
ssize_t ex_h2_relay_feed(struct ex_h2_relay *r, enum ex_h2_side side, const void *bytes, size_t len,
			 uint64_t now_ms);
ssize_t ex_h2_relay_pull(struct ex_h2_relay *r, enum ex_h2_side side, void *out, size_t cap);
bool ex_h2_relay_done(const struct ex_h2_relay *r, enum ex_h2_side side);

/* An allowed request waits for the server. */
bool ex_h2_relay_wants_origin(const struct ex_h2_relay *r);

/*
 * As whom it is to be dialled now: as the request that waits for longest. What is not the same
 * identity's goes by legs from here on.
 */
uint32_t ex_h2_relay_identity(struct ex_h2_relay *r);

/* This is what it speaks: what waits is on its way. 0 or -ENOMEM. */
EX_MUST_CHECK int ex_h2_relay_origin(struct ex_h2_relay *r, enum ex_h2_origin origin);

/* It could not be had: what waits is answered with that. The next request asks for it again. */
void ex_h2_relay_origin_failed(struct ex_h2_relay *r, enum ex_reason reason, const char *detail);

/* The next request that needs a connection of its own; NULL: none. The caller frees it before r. */
struct ex_h2_leg *ex_h2_relay_next_leg(struct ex_h2_relay *r);

/* The socket of this side ended or broke: what it left open is answered or reset on the other. */
void ex_h2_relay_eof(struct ex_h2_relay *r, enum ex_h2_side side);

/* No new requests; the open ones go on, or are cut off at once, as when the policy changed. */
void ex_h2_relay_close(struct ex_h2_relay *r, bool now);

/* Another policy: every request under way is judged again; see config.judge_again. */
void ex_h2_relay_judge_again(struct ex_h2_relay *r);

#endif
