/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket, client side. Blocking, for commands; not for a loop. */
#ifndef EXEAT_AGENT_CONTROL_CLIENT_H
#define EXEAT_AGENT_CONTROL_CLIENT_H

#include "agent/core/json.h"
#include "agent/core/json_read.h"

#define EX_CONTROL_PATH "/run/exeat/agent.sock"

struct ex_control_error {
	char code[32]; /* of the answer; "unreachable", "timeout", "protocol": of ours */
	char message[512];
};

/*
 * Asks once: request is the whole line {"op":...}, without a newline. 0 and the answer (its
 * "result" is ex_jv_get(*ret, "result"); the caller frees with ex_jv_free(); NULL: nobody wants
 * it), or negative errno: -EREMOTEIO when the answer is an error, -ECONNREFUSED or -ENOENT when
 * nobody listens, -ETIMEDOUT. *err says it in words for every failure.
 */
EX_MUST_CHECK int ex_control_call(const char *path, struct ex_span request, int timeout_ms,
				  struct ex_jv **ret, struct ex_control_error *err);

/* A call that streams. */
struct ex_control_stream;
EX_MUST_CHECK int ex_control_stream_open(const char *path, struct ex_span request,
					 struct ex_control_stream **ret,
					 struct ex_control_error *err);
/*
 * The next line, valid until the next call: 1; 0 at the end; -ETIMEDOUT (timeout_ms < 0: waits);
 * -EREMOTEIO when the line is an error answer, then in *err.
 */
EX_MUST_CHECK int ex_control_stream_next(struct ex_control_stream *s, int timeout_ms,
					 struct ex_span *ret, struct ex_control_error *err);
void ex_control_stream_close(struct ex_control_stream *s);

#endif
