/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proxied HTTP/2 connection: two ends (http2.h) back to back. Each request of the workload is
 * judged on its own; one that is allowed becomes a stream towards the origin, one that is denied
 * is answered here (JSON body, or Trailers-Only for gRPC) and the origin never hears of it. Offer
 * h2 to the workload only when the origin has negotiated it: TLS with the origin comes first.
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

struct ex_h2_relay_config {
	void *arg;
	bool tls;           /* else h2c: the scheme has to be http */
	struct ex_span sni; /* canonical; when tls, every :authority has to be this name */
	uint16_t port;      /* the port dialled: what an :authority may name */
	/*
	 * Judges a well-formed request, writes the audit record, and returns true to let it pass.
	 * Else fills status, reason, rule and detail of *denial; the rest is filled in already.
	 */
	bool (*judge)(void *arg, const struct ex_h1_head *head, struct ex_h1_denial *denial);
	/* The relay has refused a request by itself: for the audit record. Spans may be empty. */
	void (*refused)(void *arg, const struct ex_h1_denial *denial);
};

struct ex_h2_relay;

/* The config is copied, sni included. */
EX_MUST_CHECK int ex_h2_relay_new(const struct ex_h2_relay_config *config,
				  struct ex_h2_relay **ret);
void ex_h2_relay_free(struct ex_h2_relay *r);

/* As ex_h2_feed(), ex_h2_pull() and ex_h2_done(). */
ssize_t ex_h2_relay_feed(struct ex_h2_relay *r, enum ex_h2_side side, const void *bytes, size_t len,
			 uint64_t now_ms);
ssize_t ex_h2_relay_pull(struct ex_h2_relay *r, enum ex_h2_side side, void *out, size_t cap);
bool ex_h2_relay_done(const struct ex_h2_relay *r, enum ex_h2_side side);

/* The socket of this side ended or broke: what it left open is answered or reset on the other. */
void ex_h2_relay_eof(struct ex_h2_relay *r, enum ex_h2_side side);

/* No new requests; the open ones go on (false) or are cut off, as when the policy changed (true).
 */
void ex_h2_relay_close(struct ex_h2_relay *r, bool now);

/* Requests under way: none means idle, for the caller's timers. */
size_t ex_h2_relay_streams(const struct ex_h2_relay *r);

#endif
