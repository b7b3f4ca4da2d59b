/* SPDX-License-Identifier: Apache-2.0 */
/* Between http2.c (the connection, what comes in) and http2_send.c (streams, what goes out). */
#ifndef EXEAT_AGENT_HTTP_HTTP2_PRIV_H
#define EXEAT_AGENT_HTTP_HTTP2_PRIV_H

#include <nghttp2/nghttp2.h>

#include "agent/http/http2_head.h"
#include "agent/http/http2_purse.h"

#define EX_H2_PSEUDO_MAX 5
#define EX_H2_NV_MAX     (EX_H1_HEADERS_MAX + EX_H2_PSEUDO_MAX)

struct ex_h2 {
	nghttp2_session *session;
	const struct ex_h2_events *ev;
	void *arg;
	bool server;
	bool broken; /* told the owner, or is about to */
	bool going;  /* GOAWAY is on its way, and says which streams were the last */
	struct ex_link *streams;

	struct ex_h2_block block; /* the header block under way: there is one at a time */
	nghttp2_rcbuf *kept[2 * EX_H2_NV_MAX];
	size_t n_kept;

	const uint8_t *chunk; /* given out by nghttp2, not yet pulled */
	size_t chunk_len;

	struct ex_h2_purse purse;
	size_t prepaid; /* faults whose reset is still to be sent */
};

struct ex_h2_stream *ex_h2_stream_new(struct ex_h2 *h, void *user);
void ex_h2_stream_free(struct ex_h2_stream *st);

#endif
