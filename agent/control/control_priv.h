/* SPDX-License-Identifier: Apache-2.0 */
/* What control.c and conn.c share. Nobody else includes this. */
#ifndef EXEAT_AGENT_CONTROL_CONTROL_PRIV_H
#define EXEAT_AGENT_CONTROL_CONTROL_PRIV_H

#include <sys/un.h>

#include "agent/control/control.h"
#include "agent/core/buf.h"

#define EX_CONTROL_OPS_MAX 64

struct ex_control_op {
	const char *name;
	ex_control_fn fn;
	void *arg;
};

struct ex_control {
	struct ex_loop *loop;
	struct ex_watch listener;
	struct ex_timer pause; /* accept() found no descriptor */
	int fd;
	uint64_t netns; /* cookie of the namespace we serve */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	gid_t group;
	unsigned n_conns, max_conns;
	struct ex_control_conn *conns;
	struct ex_control_op ops[EX_CONTROL_OPS_MAX];
	size_t n_ops;
};

struct ex_control_conn {
	struct ex_control *control;
	struct ex_control_conn *next, **link; /* in control->conns */
	struct ex_watch watch;
	struct ex_timer timer; /* a client that neither asks nor reads is closed */
	struct ex_defer work;
	struct ucred peer;
	struct ex_buf in, out;
	size_t scanned;       /* bytes of in known to hold no newline */
	struct ex_call *call; /* being answered */
	bool eof;             /* the client asks nothing more */
	bool ending;          /* closed when out is empty */
	bool dead;
};

struct ex_call {
	struct ex_control_conn *conn; /* NULL: gone */
	struct ucred peer;
	struct ex_jv *request;
	struct ex_json result;
	void (*gone)(void *arg, struct ex_call *call);
	void *gone_arg;
	void (*room)(void *arg, struct ex_call *call); /* NULL: nobody waits for it */
	void *room_arg;
};

/* conn.c; fd is taken. */
EX_MUST_CHECK int ex_control_conn_new(struct ex_control *c, int fd, const struct ucred *peer);
/* Ends its call, closes and frees. Not from its own callbacks. */
void ex_control_conn_free(struct ex_control_conn *conn);

/* An error answer as a line with its newline; 0 when it did not fit. */
size_t ex_control_error_line(char *out, size_t cap, const char *code, const char *message);

#endif
