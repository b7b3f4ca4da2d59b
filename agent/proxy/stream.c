/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that is carried unread, after its verdict. */
#include "agent/proxy/conn.h"

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

static bool pass_end(struct ex_side *from, struct ex_side *to)
{
	if (!from->eof || to->finished || !ex_side_ready(to) || ex_buf_len(&from->in) ||
	    ex_buf_len(&to->out))
		return false;
	ex_side_finish(to);
	return true;
}

bool ex_conn_stream(struct ex_conn *c)
{
	bool moved = c->hold ? ex_conn_pass_hello(c) : pass(&c->client, &c->server);

	if (c->state == EX_CONN_CLOSED)
		return false;
	if (c->hold != EX_HOLD_ANSWER)
		moved |= pass(&c->server, &c->client);
	moved |= pass_end(&c->client, &c->server);
	moved |= pass_end(&c->server, &c->client);
	if (c->client.finished && c->server.finished) {
		ex_conn_close(c);
		return false;
	}
	/* Broken off on one side: the other side must not take it for a whole. */
	if ((c->server.broken || c->client.broken) && !moved && !ex_buf_len(&c->client.out)) {
		ex_conn_reset(c);
		return false;
	}
	return moved;
}
