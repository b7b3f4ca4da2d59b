/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that nobody has to read move from socket to socket inside the kernel, through a pipe
 * (splice(2)). Worth it for bulk only: a pipe is two descriptors, so few are had at once, and a
 * connection that pauses gives its pipe back when others may want it.
 */
#ifndef EXEAT_AGENT_PROXY_PIPE_H
#define EXEAT_AGENT_PROXY_PIPE_H

#include "agent/proxy/side.h"

struct ex_pipe {
	int rd, wr;
	size_t fill; /* bytes in it */
};

struct ex_pipes; /* all of the process */

EX_MUST_CHECK int ex_pipes_new(struct ex_pipes **ret);

/* An empty pipe, or NULL when there are enough. */
struct ex_pipe *ex_pipe_get(struct ex_pipes *p);
void ex_pipe_put(struct ex_pipes *p, struct ex_pipe *pipe); /* accepts NULL */

/* So many are in use that one which is not needed just now should be given back. */
bool ex_pipes_are_few(const struct ex_pipes *p);

/*
 * Moves what there is, at most max bytes. 1 = something moved, 0 = nothing now, or, when from is
 * readable, nothing that goes this way: it is to be read. Or negative errno.
 */
int ex_pipe_fill(struct ex_pipe *pipe, struct ex_side *from, uint64_t max);
int ex_pipe_drain(struct ex_pipe *pipe, struct ex_side *to);

#endif
