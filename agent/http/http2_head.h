/* SPDX-License-Identifier: Apache-2.0 */
/* What the fields of an HTTP/2 header block mean. Pure; between http2.c and http2_head.c only. */
#ifndef EXEAT_AGENT_HTTP_HTTP2_HEAD_H
#define EXEAT_AGENT_HTTP_HTTP2_HEAD_H

#include "agent/http/authority.h"
#include "agent/http/http2.h"

/* Fields of the block under way, pseudo-fields apart; each pseudo-field once (nghttp2 checks). */
struct ex_h2_block {
	struct ex_span method, scheme, authority, path, status, protocol;
	struct ex_header fields[EX_H1_HEADERS_MAX];
	bool secret[EX_H1_HEADERS_MAX];
	size_t n, size;
	bool too_large;
	bool malformed; /* held a field that HTTP/2 does not allow */

	/* what head points to besides the fields */
	struct ex_h2_head head;
	struct ex_authority host;
	char authority_text[EX_AUTHORITY_MAX + 1];
	char path_text[EX_H1_TARGET_MAX];
};

void ex_h2_block_reset(struct ex_h2_block *b);
/* False when the field was not kept: the head is too large, which reading it will say. */
bool ex_h2_block_add(struct ex_h2_block *b, struct ex_span name, struct ex_span value, bool secret);

/* Each fills b->head as far as it gets: EX_R_ALLOWED, or why not and *detail. */
enum ex_reason ex_h2_read_request(struct ex_h2_block *b, bool end, const char **detail);
enum ex_reason ex_h2_read_response(struct ex_h2_block *b, bool end, const char **detail);
enum ex_reason ex_h2_read_trailers(struct ex_h2_block *b, const char **detail);

/* Is this field to be sent on? */
bool ex_h2_forwards(struct ex_span name, bool request);

#endif
