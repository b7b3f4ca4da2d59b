/* SPDX-License-Identifier: Apache-2.0 */
/* A side that is written and read as HTTP/1.1, while its peer speaks HTTP/2 (http2_bridge.h). */
#ifndef EXEAT_AGENT_PROXY_BRIDGE_H
#define EXEAT_AGENT_PROXY_BRIDGE_H

#include "agent/proxy/side.h"

struct ex_h2_bridge;

struct ex_bridge {
	struct ex_h2_bridge *h2;
	struct ex_buf in, out; /* of the peer, to the peer: the side's own are in HTTP/1.1 */
	bool eof;              /* the peer's; the side's follows when all answers are taken */
};

/* From now on: 0 or -ENOMEM. Ends with the side. */
EX_MUST_CHECK int ex_bridge_begin(struct ex_side *s);
void ex_bridge_free(struct ex_bridge *b); /* accepts NULL */

/* The peer's bytes were received, or not: what they say in HTTP/1.1. As ex_side_fill(). */
int ex_bridge_fill(struct ex_side *s);

/* What the side has to say, in the peer's words. As ex_side_flush(). */
int ex_bridge_speak(struct ex_side *s);

#endif
