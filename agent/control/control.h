/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket, server side; docs/control.md is the protocol, client.h the other side.
 *
 * A request is a line {"op":"endpoint.add",...}; it is answered with a line {"ok":true,"result":{}}
 * or {"ok":false,"error":{"code":"...","message":"..."}}. Requests of one client are answered in
 * order, one at a time. Nothing here waits for a client: who does not read is cut off.
 *
 * Who may ask: the peer's socket must be of our own network namespace, whatever path leads to it,
 * so that no workload can; and it must be root, or of the group. A call is one request. Its op
 * ends it exactly once, at once or later, by ex_call_ok(), ex_call_error() or ex_call_end(); the
 * call is gone then. When the client goes away first the call stays, and what is sent is dropped.
 */
#ifndef EXEAT_AGENT_CONTROL_CONTROL_H
#define EXEAT_AGENT_CONTROL_CONTROL_H

#include <sys/socket.h>

#include "agent/core/json.h"
#include "agent/core/json_read.h"
#include "agent/core/loop.h"

#define EX_CONTROL_LINE_MAX   (1 << 20) /* bytes of a request */
#define EX_CONTROL_ANSWER_MAX (16 << 20)

struct ex_control;
struct ex_call;

struct ex_control_config {
	const char *path; /* of a socket file, made with mode 0660; "@name": abstract */
	gid_t group;      /* may ask besides root; 0 = nobody else */
	unsigned clients; /* at most; 0 = 64 */
	int inherited;    /* a listening socket kept over a restart, taken; 0 = none */
};

/*
 * -EADDRINUSE when somebody answers at path, -EEXIST when it is no socket; a dead socket file is
 * replaced. The loop is borrowed and outlives it.
 */
EX_MUST_CHECK int ex_control_new(struct ex_loop *loop, const struct ex_control_config *config,
				 struct ex_control **ret);
/* Ends all calls (their gone functions are called) and removes the socket file. The loop must not
 * run any more. */
void ex_control_free(struct ex_control *c);

/* The listening socket, to be kept over a restart. */
int ex_control_fd(const struct ex_control *c);

/* op is borrowed (a literal). fn is called for each request of this op. */
typedef void (*ex_control_fn)(void *arg, struct ex_call *call);
EX_MUST_CHECK int ex_control_add(struct ex_control *c, const char *op, ex_control_fn fn, void *arg);

/* ---- a call ---- */

/* The request, valid as long as the call. */
const struct ex_jv *ex_call_request(const struct ex_call *call);
const struct ucred *ex_call_peer(const struct ex_call *call);

/* Where the op writes the members of "result", before ex_call_ok(). Bounded: full is an error. */
struct ex_json *ex_call_result(struct ex_call *call);
void ex_call_ok(struct ex_call *call);
/* code: a word of docs/control.md ("invalid", "not-found", …). */
void ex_call_error(struct ex_call *call, const char *code, const char *fmt, ...) EX_PRINTF(3, 4);

/* ---- a call that streams: any number of lines, then ex_call_end() ---- */

/*
 * Sends a line (one JSON object, without its newline). -ENOBUFS when the client does not keep up
 * (more than 256 KiB wait): the line is left out, which is the op's to tell; -EPIPE when it is
 * gone.
 */
EX_MUST_CHECK int ex_call_send(struct ex_call *call, struct ex_span line);
/* fn is called once, from the loop, when what was sent has left: there is room for more. */
void ex_call_on_room(struct ex_call *call, void (*fn)(void *arg, struct ex_call *call), void *arg);
void ex_call_end(struct ex_call *call); /* closes the connection when all was sent */

/* fn is called once when the client goes away before the end; then the op ends the call itself. */
void ex_call_on_gone(struct ex_call *call, void (*fn)(void *arg, struct ex_call *call), void *arg);

#endif
