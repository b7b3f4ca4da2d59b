/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name server for tests, on the test's own loop, at 127.0.0.1 over UDP and TCP. The zone is a
 * table in the test; a hook may answer in its place.
 */
#ifndef EXEAT_TESTS_DNS_SERVER_H
#define EXEAT_TESTS_DNS_SERVER_H

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "agent/core/loop.h"
#include "agent/dns/resolver.h"
#include "agent/dns/wire.h"
#include "agent/keeper/dial.h"

struct dns_record {
	const char *name;
	uint8_t rcode;
	uint32_t ttl;
	const char *cname;    /* or NULL */
	const char *addrs[4]; /* of both families */
};

struct dns_stream {
	struct ex_watch watch;
	struct dns_server *server;
};

struct dns_server {
	struct ex_loop *loop;
	struct ex_watch udp, tcp;
	struct dns_stream streams[8];
	const struct dns_record *zone; /* ends with a name of NULL: everything else is NXDOMAIN */
	unsigned n_udp, n_tcp;         /* queries seen */
	uint16_t last_id, last_port;
	struct ex_dns_question last;
	/*
	 * Changes the reply, in buf of EX_DNS_SERVER_MAX bytes; returns its new length, 0: say
	 * nothing.
	 */
	size_t (*hook)(struct dns_server *s, bool tcp, uint8_t *buf, size_t len);
};

enum { EX_DNS_SERVER_MAX = 16384 };

static inline size_t dns_server_answer(struct dns_server *s, bool tcp, const uint8_t *msg, size_t n,
				       uint8_t *buf)
{
	struct ex_dns_answer a = { .rcode = EX_DNS_NXDOMAIN };
	struct ex_dns_question *q = &s->last;
	size_t len;

	if (ex_dns_parse_query(msg, n, q) != 0)
		return 0;
	s->last_id = q->id;
	for (const struct dns_record *r = s->zone; r && r->name; r++) {
		if (strcmp(r->name, q->name) != 0)
			continue;
		a = (struct ex_dns_answer){ .rcode = r->rcode, .ttl = r->ttl };
		if (r->cname)
			memcpy(a.chain[a.n_chain++], r->cname, strlen(r->cname) + 1);
		for (size_t i = 0; i < 4 && r->addrs[i]; i++)
			if (!strchr(r->addrs[i], ':') == (q->type == EX_DNS_A) &&
			    ex_ip_parse(r->addrs[i], &a.addrs[a.n_addrs]))
				a.n_addrs++;
	}
	len = ex_dns_build_reply(q, &a, 0, NULL, buf, tcp ? EX_DNS_SERVER_MAX : q->udp_size);
	return s->hook ? s->hook(s, tcp, buf, len) : len;
}

static inline void dns_server_on_udp(struct ex_watch *w, uint32_t events)
{
	struct dns_server *s = ex_container_of(w, struct dns_server, udp);
	uint8_t msg[1024], buf[EX_DNS_SERVER_MAX];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(w->fd, msg, sizeof(msg), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len);
	size_t len;

	(void)events;
	if (n < 0)
		return;
	s->n_udp++;
	s->last_port = ntohs(from.sin_port);
	len = dns_server_answer(s, false, msg, (size_t)n, buf);
	if (len > 0)
		sendto(w->fd, buf, len, 0, (struct sockaddr *)&from, from_len);
}

/* One query per connection, which comes in one piece; then it is closed, whatever else came. */
static inline void dns_server_on_stream(struct ex_watch *w, uint32_t events)
{
	struct dns_stream *c = ex_container_of(w, struct dns_stream, watch);
	struct dns_server *s = c->server;
	uint8_t msg[1024], buf[2 + EX_DNS_SERVER_MAX];
	ssize_t n = recv(w->fd, msg, sizeof(msg), MSG_DONTWAIT);
	int fd = w->fd;

	(void)events;
	if (n > 2) {
		size_t len = (size_t)msg[0] << 8 | msg[1];

		s->n_tcp++;
		len = dns_server_answer(s, true, msg + 2, len < (size_t)n - 2 ? len : (size_t)n - 2,
					buf + 2);
		buf[0] = (uint8_t)(len >> 8);
		buf[1] = (uint8_t)len;
		if (len > 0)
			send(fd, buf, len + 2, MSG_NOSIGNAL);
	}
	ex_watch_stop(s->loop, w);
	close(fd);
}

static inline void dns_server_on_tcp(struct ex_watch *w, uint32_t events)
{
	struct dns_server *s = ex_container_of(w, struct dns_server, tcp);
	int fd = accept(w->fd, NULL, NULL);

	(void)events;
	for (size_t i = 0; i < EX_ARRAY_SIZE(s->streams); i++) {
		struct dns_stream *c = &s->streams[i];

		if (c->watch.slot)
			continue;
		c->server = s;
		c->watch.fn = dns_server_on_stream;
		if (ex_watch_start(s->loop, &c->watch, fd, EPOLLIN) == 0)
			return;
	}
	close(fd);
}

/* Listens on one free port for both; false when there is none. */
static inline bool dns_server_start(struct dns_server *s, struct ex_loop *loop,
				    struct ex_resolver_server *ret)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*s = (struct dns_server){ .loop = loop,
				  .udp.fn = dns_server_on_udp,
				  .tcp.fn = dns_server_on_tcp };
	if (bind(tcp, (struct sockaddr *)&at, len) || listen(tcp, 64) ||
	    getsockname(tcp, (struct sockaddr *)&at, &len) ||
	    bind(udp, (struct sockaddr *)&at, len) ||
	    ex_watch_start(loop, &s->udp, udp, EPOLLIN) < 0 ||
	    ex_watch_start(loop, &s->tcp, tcp, EPOLLIN) < 0)
		return false;
	*ret = (struct ex_resolver_server){ .ip = ex_ip_from4(&at.sin_addr),
					    .port = ntohs(at.sin_port) };
	return true;
}

static inline void dns_server_stop(struct dns_server *s)
{
	int udp = s->udp.fd, tcp = s->tcp.fd;

	ex_watch_stop(s->loop, &s->udp);
	ex_watch_stop(s->loop, &s->tcp);
	close(udp);
	if (tcp >= 0)
		close(tcp);
}

/* From now on nobody is there. */
static inline void dns_server_refuse_tcp(struct dns_server *s)
{
	int tcp = s->tcp.fd;

	ex_watch_stop(s->loop, &s->tcp);
	close(tcp);
}

/* How the resolver comes to its servers, where no parent makes the sockets. */
static inline int dns_dial(void *arg, const struct ex_resolver_server *s, bool tcp)
{
	(void)arg;
	return ex_dial(&s->ip, s->port, tcp ? IPPROTO_TCP : IPPROTO_UDP, s->scope, false);
}

/* Runs the loop for ms, or until ex_loop_quit(). */
struct dns_stop {
	struct ex_timer timer;
	struct ex_defer defer;
	struct ex_loop *loop;
};

static inline void dns_stop_now(struct ex_defer *d)
{
	ex_loop_quit(ex_container_of(d, struct dns_stop, defer)->loop);
}

static inline void dns_stop_fired(struct ex_timer *t)
{
	struct dns_stop *stop = ex_container_of(t, struct dns_stop, timer);

	ex_defer(stop->loop, &stop->defer);
}

static inline void dns_run(struct ex_loop *loop, uint64_t ms)
{
	struct dns_stop stop = { .timer.fn = dns_stop_fired,
				 .defer.fn = dns_stop_now,
				 .loop = loop };

	if (ex_timer_start(loop, &stop.timer, ms) < 0 || ex_loop_run(loop) < 0)
		abort();
	ex_timer_stop(loop, &stop.timer);
}

#endif
