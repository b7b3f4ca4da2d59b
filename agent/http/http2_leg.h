/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/2 request of the workload to an origin that speaks HTTP/1.1: written anew as HTTP/1.1
 * from the head that was judged, on a connection that carries nothing else meanwhile; its response
 * is read as strictly as any and written anew as HTTP/2. So no two requests ever share bytes: what
 * ends a body is known on both sides or the connection is closed.
 *
 * A WebSocket (RFC 8441) is one as well: a GET with Upgrade, and after the 101 bytes both ways.
 *
 * No socket: the relay gives a leg out (ex_h2_relay_next_leg()), its owner opens a connection,
 * moves bytes, and looks at ex_h2_leg_state() after each call. The owner frees it.
 */
#ifndef EXEAT_AGENT_HTTP_HTTP2_LEG_H
#define EXEAT_AGENT_HTTP_HTTP2_LEG_H

#include "agent/http/http1.h"
#include "agent/core/buf.h"

struct ex_h2_leg;

enum ex_h2_leg_state {
	EX_LEG_RUNS = 0,
	EX_LEG_REPEAT, /* a reused connection had ended: the same request on a new one */
	EX_LEG_KEEP,   /* over; the connection may carry another request */
	EX_LEG_CLOSE,  /* over, or given up: close the connection */
};

enum ex_h2_leg_state ex_h2_leg_state(const struct ex_h2_leg *leg);
void ex_h2_leg_free(struct ex_h2_leg *leg); /* given up, when it runs */

/* As whom the server is spoken with: a connection that was opened so, and is for no other. */
uint32_t ex_h2_leg_identity(const struct ex_h2_leg *leg);

/* Is this one of the connection's own, which must speak HTTP/1.1? */
bool ex_h2_leg_is_websocket(const struct ex_h2_leg *leg);

/*
 * May the request go out on a connection that was idle, whose server may just be ending it? Then it
 * is sent again only if that is the same as sending it once (RFC 9110 9.2.1).
 */
bool ex_h2_leg_may_reuse(const struct ex_h2_leg *leg);
void ex_h2_leg_reuses(struct ex_h2_leg *leg); /* it does */

/* A new connection is being made, after EX_LEG_REPEAT. */
void ex_h2_leg_resume(struct ex_h2_leg *leg);

/* What is to be sent changes places with *out, which is empty. True when there was something. */
bool ex_h2_leg_pull(struct ex_h2_leg *leg, struct ex_buf *out);

/* The server is to be told that no more comes, once all is sent. */
bool ex_h2_leg_is_finished(const struct ex_h2_leg *leg);

/* Bytes consumed; fewer than len when the workload has to read first. */
size_t ex_h2_leg_feed(struct ex_h2_leg *leg, const char *bytes, size_t len);

/* The server sends no more, all bytes were fed; broken: not in an orderly way. */
void ex_h2_leg_eof(struct ex_h2_leg *leg, bool broken);

/* The connection could not be had. */
void ex_h2_leg_failed(struct ex_h2_leg *leg, enum ex_reason reason, const char *detail);

#endif
