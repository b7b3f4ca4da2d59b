/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that speaks HTTP/2 only, for a client of HTTP/1.1. What goes in is HTTP/1.1 as we wrote
 * it, from a request that was judged; it is read back by the reader of any request and becomes a
 * stream. What the server answers is written as HTTP/1.1, for the reader of any answer. So nobody
 * else has to know, and nothing passes that one of the strict readers did not understand.
 *
 * One request at a time. No socket, no clock: the caller moves bytes.
 */
#ifndef EXEAT_AGENT_HTTP_HTTP2_BRIDGE_H
#define EXEAT_AGENT_HTTP_HTTP2_BRIDGE_H

#include <sys/types.h>

#include "agent/core/buf.h"

struct ex_h2_bridge;

EX_MUST_CHECK int ex_h2_bridge_new(struct ex_h2_bridge **ret);
void ex_h2_bridge_free(struct ex_h2_bridge *b); /* accepts NULL */

/*
 * Requests, in HTTP/1.1: bytes consumed, fewer than len while the server is behind or has not
 * answered the request before. -EPROTO: a request that cannot be sent on (an upgrade), -ENOMEM.
 */
ssize_t ex_h2_bridge_put(struct ex_h2_bridge *b, const char *bytes, size_t len);

/* Answers, in HTTP/1.1: at most max bytes are appended to *to. How many, or -ENOMEM. */
ssize_t ex_h2_bridge_take(struct ex_h2_bridge *b, struct ex_buf *to, size_t max);

/*
 * The server's side, as ex_h2_feed() and ex_h2_pull(). Feed may leave bytes while too much waits to
 * be sent: feed the rest after a pull.
 */
ssize_t ex_h2_bridge_feed(struct ex_h2_bridge *b, const void *bytes, size_t len, uint64_t now_ms);
ssize_t ex_h2_bridge_pull(struct ex_h2_bridge *b, void *out, size_t cap);

enum ex_h2_bridge_state {
	EX_BRIDGE_OPEN = 0,
	EX_BRIDGE_ENDED,  /* all answers are whole; the server takes no more requests */
	EX_BRIDGE_BROKEN, /* an answer is missing, or not whole */
};

/* What the reader of the answers has to know once it has taken all there is. */
enum ex_h2_bridge_state ex_h2_bridge_state(const struct ex_h2_bridge *b);

#endif
