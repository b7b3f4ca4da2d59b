/* SPDX-License-Identifier: Apache-2.0 */
/* A denial as an HTTP/2 answer. Between http2_relay.c and http2_denial.c only. */
#ifndef EXEAT_AGENT_HTTP_HTTP2_DENIAL_H
#define EXEAT_AGENT_HTTP_HTTP2_DENIAL_H

#include "agent/http/http2.h"

/*
 * The same status and body as in HTTP/1.1; to a gRPC call its own kind of refusal, status 200 and
 * grpc-status in the one header block there is ("Trailers-Only"). hold: the body is written, its
 * end is left to the caller. 0 or negative errno.
 */
EX_MUST_CHECK int ex_h2_write_denial(struct ex_h2_stream *st, const struct ex_h2_head *request,
				     const struct ex_h1_denial *d, bool hold);

#endif
