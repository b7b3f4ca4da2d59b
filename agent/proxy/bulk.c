/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of HTTP/1.1 that go on as they come: what of them both readers know to be body moves
 * through a pipe, between two sockets without TLS.
 */
#include <errno.h>

#include "agent/proxy/bulk.h"
#include "agent/proxy/pipe.h"

#define WORTH (128 * 1024) /* bytes still to come, for which a pipe is set up */

void ex_conn_bulk_begin(struct ex_conn *c, struct ex_side *from, struct ex_side *to,
			const struct ex_h1 *reader)
{
	if (from->pipe || from->tls || to->tls || from->eof || ex_buf_len(&from->in) ||
	    !ex_side_ready(from) || !ex_side_ready(to) || ex_h1_body_rest(reader) < WORTH)
		return;
	from->pipe = to->feed = ex_pipe_get(c->px->pipes);
}

/*
 * The end of what may go through it, or something that cannot; or a pause, in which others may need
 * it more.
 */
static bool is_over(const struct ex_conn *c, const struct ex_side *from, const struct ex_h1 *reader,
		    bool moved)
{
	return from->eof || ex_h1_body_rest(reader) == 0 ||
	       (!moved && (from->readable || ex_pipes_are_few(c->px->pipes)));
}

bool ex_conn_bulk_pass(struct ex_conn *c, struct ex_side *from, struct ex_side *to,
		       struct ex_h1 *reader)
{
	struct ex_pipe *pipe = from->pipe;
	size_t before = pipe->fill;
	int in = ex_pipe_fill(pipe, from, ex_h1_body_rest(reader)), out;

	ex_h1_body_skip(reader, pipe->fill - before);
	out = ex_pipe_drain(pipe, to);
	if (in < 0)
		ex_side_broke(from);
	if (out < 0 && out != -EPIPE && out != -ECONNRESET) {
		ex_conn_reset(c); /* what follows must not close the gap */
		return false;
	}
	/* Nobody reads there any more: writing the rest shows it, as without a pipe. */
	if (out < 0 || (pipe->fill == 0 && is_over(c, from, reader, in || out))) {
		ex_conn_stop_pipe(c, from, to);
		return true;
	}
	return in != 0 || out != 0;
}
