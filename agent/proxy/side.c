/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/proxy/bridge.h"
#include "agent/proxy/pipe.h"
#include "agent/tls/session.h"

void ex_side_init(struct ex_side *s, void (*fn)(struct ex_watch *w, uint32_t events))
{
	*s = (struct ex_side){ .fd = -1, .watch = { .fd = -1, .fn = fn } };
}

/* Is there room for what the peer sends, and will it send any? */
static bool has_room(const struct ex_side *s)
{
	const struct ex_bridge *b = s->bridge;

	return !s->eof && ex_buf_len(&s->in) < EX_SIDE_BUF_MAX &&
	       (!b || (!b->eof && ex_buf_len(&b->in) < EX_SIDE_BUF_MAX));
}

static uint32_t interest(const struct ex_side *s)
{
	uint32_t events = 0;

	if (s->state == EX_SIDE_CONNECTING)
		return EPOLLOUT;
	if (s->state == EX_SIDE_HANDSHAKING)
		return s->tls_want;
	if (has_room(s))
		events |= s->read_wants ? s->read_wants : EPOLLIN;
	if (s->pipe && s->pipe->fill) /* the other side is behind: it says when to go on */
		events &= ~(uint32_t)EPOLLIN;
	if (s->pipe && (events & EPOLLIN)) /* it stops before urgent data: see pipe.c */
		events |= EPOLLPRI;
	if (ex_buf_len(s->bridge ? &s->bridge->out : &s->out) || (s->feed && s->feed->fill) ||
	    s->telling)
		events |= EPOLLOUT;
	if (s->tls && s->eof && !s->ending) /* that of the connection may be still to come */
		events |= EPOLLRDHUP;
	/*
	 * Level-triggered, epoll looks again at each socket that it has told of, mostly in vain.
	 * What read_plain() has not emptied is known to be readable, and every change of interest
	 * asks anew, so once is enough there. An end is told of once, too: no need to turn away.
	 */
	if (s->edge && ((events & EPOLLIN) || s->eof) && !s->tls && !s->pipe && !s->feed)
		events |= EPOLLIN | EPOLLET | EPOLLRDHUP | EPOLLPRI;
	return events;
}

int ex_side_open(struct ex_side *s, struct ex_loop *loop, int fd, bool connecting)
{
	int r;

	s->state = connecting ? EX_SIDE_CONNECTING : EX_SIDE_READY;
	r = ex_watch_start(loop, &s->watch, fd, interest(s));
	if (r < 0) {
		s->state = EX_SIDE_CLOSED;
		close(fd);
		return r;
	}
	s->fd = fd;
	return 0;
}

int ex_side_connected(struct ex_side *s)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	s->state = EX_SIDE_READY;
	return -err;
}

void ex_side_close(struct ex_side *s, struct ex_loop *loop)
{
	void (*fn)(struct ex_watch *, uint32_t) = s->watch.fn;

	if (s->tls)
		ex_tls_session_free(s->tls);
	if (s->watch.fd >= 0)
		ex_watch_close(loop, &s->watch);
	else if (s->fd >= 0)
		close(s->fd);
	ex_bridge_free(s->bridge);
	ex_buf_done(&s->in);
	ex_buf_done(&s->out);
	ex_side_init(s, fn);
}

void ex_side_move(struct ex_loop *loop, struct ex_side *from, struct ex_side *to)
{
	to->state = from->state;
	to->fd = from->fd;
	to->tls = from->tls;
	ex_watch_move(loop, &from->watch, &to->watch);
	ex_buf_done(&from->in);
	ex_buf_done(&from->out);
	ex_side_init(from, from->watch.fn);
}

static ssize_t read_tls(struct ex_side *s, char *to, size_t cap)
{
	ssize_t n;

	s->read_wants = 0;
	/* A key update into a full socket: reading has to wait for writing. */
	n = ex_tls_read(s->tls, to, cap, &s->read_wants);
	s->readable = n > 0 ? ex_tls_has_more(s->tls) : n != -EAGAIN;
	return n;
}

/* Less than asked for was all, unless it is ending; should more have come since, epoll tells. */
static ssize_t read_plain(struct ex_side *s, char *to, size_t cap)
{
	ssize_t n = recv(s->fd, to, cap, 0);

	s->readable = n >= 0 && ((size_t)n == cap || s->ending);
	return n < 0 ? -errno : n;
}

static int receive(struct ex_side *s, struct ex_buf *in, bool *eof)
{
	size_t room = EX_SIDE_BUF_MAX - ex_buf_len(in);
	char *to = ex_buf_reserve(in, room);
	ssize_t n;

	if (!to)
		return -ENOMEM;
	n = s->tls ? read_tls(s, to, room) : read_plain(s, to, room);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n < 0)
		return (int)n;
	*eof = n == 0;
	ex_buf_commit(in, (size_t)n);
	return 1;
}

int ex_side_fill(struct ex_side *s)
{
	int r = 0, more;

	if (!ex_side_ready(s) || s->eof || s->pipe || ex_buf_len(&s->in) >= EX_SIDE_BUF_MAX)
		return 0;
	if ((s->readable || s->hup) && has_room(s))
		r = s->bridge ? receive(s, &s->bridge->in, &s->bridge->eof)
			      : receive(s, &s->in, &s->eof);
	if (!s->bridge || r < 0)
		return r;
	more = ex_bridge_fill(s);
	return more < 0 ? more : r | more;
}

static ssize_t write_some(struct ex_side *s, const struct ex_buf *out)
{
	size_t len = ex_buf_len(out);
	ssize_t n;

	if (s->tls)
		return ex_tls_write(s->tls, ex_buf_ptr(out), len, &s->tls_want);
	/* The end goes in the same packet as the last bytes. */
	n = send(s->fd, ex_buf_ptr(out), len, MSG_NOSIGNAL | (s->last ? MSG_MORE : 0));
	return n < 0 ? -errno : n;
}

/* Of a peer that broke off nothing is awaited, neither room. */
static void tell_end(struct ex_side *s)
{
	s->telling = s->tls && !s->hup && !ex_tls_shutdown(s->tls);
	if (!s->telling)
		(void)shutdown(s->fd, SHUT_WR);
}

int ex_side_flush(struct ex_side *s)
{
	int moved = s->bridge && ex_side_ready(s) ? ex_bridge_speak(s) : 0;
	struct ex_buf *out = s->bridge ? &s->bridge->out : &s->out;

	while (moved >= 0 && ex_side_ready(s) && ex_buf_len(out)) {
		ssize_t n = write_some(s, out);

		/* TLS told to wait may have sent a part. */
		s->wrote |= n > 0 || (n == -EAGAIN && s->tls);
		if (n == -EAGAIN || n == -EINTR)
			return moved;
		if (n < 0)
			return (int)n;
		ex_buf_consume(out, (size_t)n);
		moved = 1;
	}
	if (s->telling) {
		tell_end(s);
		moved |= !s->telling;
	}
	return moved;
}

int ex_side_handshake(struct ex_side *s)
{
	int r = ex_tls_handshake(s->tls, &s->tls_want);

	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return r;
	s->state = EX_SIDE_READY;
	s->readable = true;
	s->tls_want = 0;
	return 1;
}

void ex_side_finish(struct ex_side *s)
{
	if (s->finished || s->fd < 0)
		return;
	s->finished = true;
	tell_end(s);
}

void ex_side_set_abrupt(struct ex_side *s, bool abrupt)
{
	struct linger l = { .l_onoff = abrupt };

	if (s->fd < 0 || s->abrupt == abrupt)
		return;
	s->abrupt = abrupt;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

bool ex_side_is_idle(const struct ex_side *s)
{
	if (s->eof || s->hup || ex_buf_len(&s->in))
		return false;
	/* Frames of HTTP/2 say themselves which request they answer. */
	return s->bridge || !s->tls || ex_tls_is_idle(s->tls);
}

void ex_side_update(struct ex_side *s, struct ex_loop *loop)
{
	if (!ex_buf_len(&s->in))
		ex_buf_done(&s->in);
	if (!ex_buf_len(&s->out))
		ex_buf_done(&s->out);
	if (s->fd < 0)
		return;
	if (s->hup)
		ex_watch_stop(loop, &s->watch);
	else
		ex_watch_set(loop, &s->watch, interest(s));
}
