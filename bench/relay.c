/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of the benchmark: a relay that reads nothing of what it carries. It takes connections
 * that nft's tproxy brings, connects to where they wanted to go, and copies; what any proxy in user
 * space costs at the least.
 *
 *   relay PORT rw|splice
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUF  (128 * 1024)
#define PIPE (1024 * 1024)

struct pair;

struct side {
	int fd;
	struct side *peer;
	struct pair *pair;
	size_t held; /* bytes read here that the peer has not taken */
	size_t at;
	char *buf;
	int pipe[2];
	bool eof;
	uint32_t events;
};

struct pair {
	struct side side[2];
	struct pair *next_dead;
	bool dead;
};

static int epoll_fd;
static in_port_t own_port;
static bool by_splice;
static struct pair *dead;

static void watch(struct side *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	if (s->events == events)
		return;
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &ev);
	s->events = events;
}

static void update(struct side *s)
{
	watch(s, (s->eof || s->held ? 0 : EPOLLIN) | (s->peer->held ? EPOLLOUT : 0));
}

/* Freed after the round: an event for the other side may still be in it. */
static void pair_end(struct pair *p)
{
	if (p->dead)
		return;
	p->dead = true;
	p->next_dead = dead;
	dead = p;
	for (int i = 0; i < 2; i++) {
		close(p->side[i].fd);
		if (p->side[i].pipe[0] > 0) {
			close(p->side[i].pipe[0]);
			close(p->side[i].pipe[1]);
		}
	}
}

static void reap(void)
{
	while (dead) {
		struct pair *p = dead;

		dead = p->next_dead;
		free(p->side[0].buf);
		free(p->side[1].buf);
		free(p);
	}
}

static ssize_t take(struct side *s)
{
	if (!by_splice)
		return recv(s->fd, s->buf, BUF, 0);
	return splice(s->fd, NULL, s->pipe[1], NULL, PIPE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

static ssize_t give(struct side *s)
{
	if (!by_splice)
		return send(s->peer->fd, s->buf + s->at, s->held, MSG_NOSIGNAL);
	return splice(s->pipe[0], NULL, s->peer->fd, NULL, s->held,
		      SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

/* false: the pair is over */
static bool move(struct side *s)
{
	ssize_t n;

	for (;;) {
		if (!s->held && !s->eof) {
			n = take(s);
			if (n < 0)
				return errno == EAGAIN;
			s->eof = n == 0;
			s->held = (size_t)n;
			s->at = 0;
			if (s->eof)
				(void)shutdown(s->peer->fd, SHUT_WR);
		}
		if (!s->held)
			return true;
		n = give(s);
		if (n < 0)
			return errno == EAGAIN;
		s->held -= (size_t)n;
		s->at += (size_t)n;
		if (s->held || !by_splice)
			return true;
	}
}

static void side_run(struct side *s, uint32_t events)
{
	struct side *peer = s->peer;

	if (s->pair->dead)
		return;
	if (((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !move(s)) ||
	    ((events & EPOLLOUT) && !move(peer)) ||
	    (s->eof && peer->eof && !s->held && !peer->held)) {
		pair_end(s->pair);
		return;
	}
	update(s);
	update(peer);
}

static bool side_open(struct side *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };

	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	s->events = EPOLLIN;
	if (by_splice) {
		if (pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC))
			return false;
		(void)fcntl(s->pipe[0], F_SETPIPE_SZ, PIPE);
	} else {
		s->buf = malloc(BUF);
	}
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) == 0;
}

static void accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct sockaddr_in to;
	socklen_t len = sizeof(to);
	struct pair *p;

	if (fd < 0)
		return;
	if (getsockname(fd, (struct sockaddr *)&to, &len))
		exit(1);
	/* Not steered, but meant for us: who looks whether we are up. Going on would lead here. */
	if (to.sin_port == own_port) {
		close(fd);
		return;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		exit(1);
	p->side[0] = (struct side){ .fd = fd, .peer = &p->side[1], .pair = p };
	p->side[1] =
		(struct side){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
			       .peer = &p->side[0],
			       .pair = p };
	if (connect(p->side[1].fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS) {
		pair_end(p);
		return;
	}
	if (!side_open(&p->side[0]) || !side_open(&p->side[1]))
		pair_end(p);
}

int main(int argc, char **argv)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	struct epoll_event events[256], ev = { .events = EPOLLIN };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int n;

	if (argc != 3)
		return 2;
	own_port = any.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	by_splice = strcmp(argv[2], "splice") == 0;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
	    setsockopt(listener, SOL_IP, IP_TRANSPARENT, &(int){ 1 }, sizeof(int)) ||
	    bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 4096) ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &ev)) {
		perror("relay");
		return 1;
	}
	for (;;) {
		n = epoll_wait(epoll_fd, events, 256, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				side_run(events[i].data.ptr, events[i].events);
			else
				accept_one(listener);
		}
		reap();
	}
}
