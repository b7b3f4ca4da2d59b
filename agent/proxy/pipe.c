/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "agent/proxy/pipe.h"

#define PIPES_MAX 64
#define PIPE_SIZE (1024 * 1024) /* what an unprivileged process may ask for */

struct ex_pipes {
	struct ex_pipe all[PIPES_MAX];
	struct ex_pipe *free[PIPES_MAX]; /* open and empty */
	size_t n_free, n_open;
};

int ex_pipes_new(struct ex_pipes **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static bool pipe_open(struct ex_pipe *pipe)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	(void)fcntl(fd[1], F_SETPIPE_SZ, PIPE_SIZE); /* smaller does, too */
	*pipe = (struct ex_pipe){ .rd = fd[0], .wr = fd[1] };
	return true;
}

struct ex_pipe *ex_pipe_get(struct ex_pipes *p)
{
	if (p->n_free)
		return p->free[--p->n_free];
	for (size_t i = 0; p->n_open < PIPES_MAX && i < PIPES_MAX; i++) {
		if (p->all[i].wr)
			continue;
		if (!pipe_open(&p->all[i]))
			return NULL;
		p->n_open++;
		return &p->all[i];
	}
	return NULL;
}

void ex_pipe_put(struct ex_pipes *p, struct ex_pipe *pipe)
{
	if (!pipe)
		return;
	if (pipe->fill == 0) {
		p->free[p->n_free++] = pipe;
		return;
	}
	/* Bytes of one connection are never left to another. */
	close(pipe->rd);
	close(pipe->wr);
	*pipe = (struct ex_pipe){ 0 };
	p->n_open--;
}

bool ex_pipes_are_few(const struct ex_pipes *p)
{
	return p->n_open - p->n_free > PIPES_MAX / 2;
}

int ex_pipe_fill(struct ex_pipe *pipe, struct ex_side *from, uint64_t max)
{
	ssize_t n;

	/* While the other side is behind, what comes gathers in the socket: fewer, larger moves. */
	if (!ex_side_ready(from) || from->eof || max == 0 || pipe->fill ||
	    (!from->readable && !from->hup))
		return 0;
	n = splice(from->fd, NULL, pipe->wr, NULL, max < PIPE_SIZE ? (size_t)max : PIPE_SIZE,
		   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	/*
	 * Before urgent data splice(2) says what it says where there is nothing more, or the end:
	 * only reading goes beyond it, or finds the end.
	 */
	if (n == 0 || (n < 0 && errno == EAGAIN)) {
		from->readable = n == 0 || from->ending;
		return 0;
	}
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	pipe->fill += (size_t)n;
	return 1;
}

int ex_pipe_drain(struct ex_pipe *pipe, struct ex_side *to)
{
	ssize_t n;

	if (!ex_side_ready(to) || ex_buf_len(&to->out) || pipe->fill == 0)
		return 0;
	n = splice(pipe->rd, NULL, to->fd, NULL, pipe->fill, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	pipe->fill -= (size_t)n;
	return n > 0;
}
