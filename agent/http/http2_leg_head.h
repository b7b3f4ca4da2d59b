/* SPDX-License-Identifier: Apache-2.0 */
/* What a leg (http2_leg.h) is told by one version of HTTP, in the words of the other. */
#ifndef EXEAT_AGENT_HTTP_HTTP2_LEG_HEAD_H
#define EXEAT_AGENT_HTTP_HTTP2_LEG_HEAD_H

#include "agent/http/http2.h"

/* How the body of the request that was written goes on. */
struct ex_h2_leg_sent {
	bool chunked;
	uint64_t length; /* of a body that does not go in chunks; 0: there is none */
	bool close;      /* no request may come behind this one */
};

/* The request as HTTP/1.1, appended to out. ws_key: it opens a WebSocket with this key, or NULL. */
EX_MUST_CHECK int ex_h2_leg_put_request(struct ex_buf *out, const struct ex_h2_head *head,
					const char *ws_key, struct ex_h2_leg_sent *ret);

/* The answer as HTTP/2; tunnel: a WebSocket is open, which is 200 there. */
EX_MUST_CHECK int ex_h2_leg_respond(struct ex_h2_stream *to, const struct ex_h1_head *from,
				    bool tunnel);

/* Its end, with the trailers that res has read. */
EX_MUST_CHECK int ex_h2_leg_end(struct ex_h2_stream *to, const struct ex_h1 *res);

#endif
