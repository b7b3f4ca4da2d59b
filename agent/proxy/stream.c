/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that is carried unread, after its verdict. */
#include "agent/proxy/conn.h"
#include "agent/proxy/pipe.h"

/* What was read on one side is what is to be written on the other: the buffers change places. */
static bool pass(struct ex_side *from, struct ex_side *to)
{
	struct ex_buf empty;

	if (!ex_buf_len(&from->in) || ex_buf_len(&to->out))
		return false;
	empty = to->out;
	to->out = from->in;
	from->in = empty;
	return true;
}

/*
 * A whole buffer at once, between sockets without TLS, is bulk: the next bytes need not come here.
 */
static void start_pipe(struct ex_conn *c, struct ex_side *from, struct ex_side *to)
{
	if (from->tls || to->tls || c->hold || from->eof || ex_buf_len(&to->out) < EX_SIDE_BUF_MAX)
		return;
	from->pipe = to->feed = ex_pipe_get(c->px->pipes);
}

void ex_conn_stop_pipe(struct ex_conn *c, struct ex_side *from, struct ex_side *to)
{
	if (!from->pipe)
		return;
	ex_pipe_put(c->px->pipes, from->pipe);
	from->pipe = to->feed = NULL;
	from->readable = true;
}

/* Others may have the pipe. Is there something to read that did not go through it? */
static bool pause_pipe(struct ex_conn *c, struct ex_side *from, struct ex_side *to)
{
	bool more = from->readable;

	ex_conn_stop_pipe(c, from, to);
	return more;
}

static bool pass_pipe(struct ex_conn *c, struct ex_side *from, struct ex_side *to)
{
	int in = ex_pipe_fill(from->pipe, from, UINT64_MAX), out = ex_pipe_drain(from->pipe, to);

	if (in < 0)
		ex_side_broke(from);
	if (out < 0) {
		ex_conn_reset(c);
		return false;
	}
	if (in == 0 && out == 0 && from->pipe->fill == 0)
		return pause_pipe(c, from, to);
	return in != 0 || out > 0;
}

static bool carry(struct ex_conn *c, struct ex_side *from, struct ex_side *to)
{
	if (from->pipe)
		return pass_pipe(c, from, to);
	/* The end is there already: it goes with the last bytes. */
	if (from->ending && ex_side_fill(from) < 0)
		ex_side_broke(from);
	if (!pass(from, to))
		return false;
	to->last = from->eof && !from->broken;
	start_pipe(c, from, to);
	return true;
}

static bool pass_end(struct ex_side *from, struct ex_side *to)
{
	if (!from->eof || from->broken || to->finished || !ex_side_ready(to) ||
	    ex_buf_len(&from->in) || ex_buf_len(&to->out) || from->pipe)
		return false;
	if (from->finished && !from->telling && !to->tls)
		to->finished = true; /* over both ways: closing says it */
	else
		ex_side_finish(to);
	return true;
}

bool ex_conn_stream(struct ex_conn *c)
{
	bool moved = c->hold ? ex_conn_pass_hello(c) : carry(c, &c->client, &c->server);

	if (c->state == EX_CONN_CLOSED)
		return false;
	if (c->hold != EX_HOLD_ANSWER)
		moved |= carry(c, &c->server, &c->client);
	if (c->state == EX_CONN_CLOSED)
		return false;
	moved |= pass_end(&c->client, &c->server);
	moved |= pass_end(&c->server, &c->client);
	if (c->client.finished && c->server.finished && !c->client.telling && !c->server.telling) {
		ex_conn_close(c);
		return false;
	}
	/* Broken off on one side: the other side must not take it for a whole. */
	if ((c->server.broken || c->client.broken) && !moved && !ex_buf_len(&c->client.out) &&
	    !c->client.feed) {
		ex_conn_reset(c);
		return false;
	}
	return moved;
}
