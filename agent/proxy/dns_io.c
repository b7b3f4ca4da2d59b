/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/epoll.h>

#include "agent/core/buf.h"
#include "agent/dns/message.h"
#include "agent/proxy/ask.h"
#include "agent/proxy/datagram.h"
#include "agent/proxy/dns_io.h"
#include "agent/proxy/extend.h"

#define UDP_ROUNDS  8     /* of EX_DATAGRAMS each, per wake-up */
#define QUERY_MAX   4096  /* bytes of one question; no honest one is near it */
#define STREAMS_MAX 64    /* TCP connections at once */
#define STREAM_MS   10000 /* for a whole question, and for its answer to be read */

struct ex_dns_io {
	struct ex_proxy *px;
	struct ex_listen udp, tcp;
	size_t n_streams;
	struct ex_extend extend;
	struct ex_datagrams box;
};

/* ---- what the gate calls ---- */

struct learning {
	void (*done)(void *done_arg, int err);
	void *done_arg;
};

static void on_learned(void *arg, const union ex_ipc_message *answer, int *fd)
{
	struct learning *l = arg;
	int err = answer->head.type == EX_IPC_LEARNED ? answer->done.err : -EPROTO;

	(void)fd;
	l->done(l->done_arg, err);
	free(l);
}

static int ask_to_learn(struct ex_proxy *px, const struct ex_dns_learn *what, struct learning *l)
{
	union ex_ipc_message msg = { .learn = { .head.type = EX_IPC_LEARN, .ttl = what->ttl } };

	if (what->n_addrs > EX_IPC_ADDRS_MAX || !ex_ipc_name_set(&msg.learn.name, what->name))
		return -EINVAL;
	msg.learn.n_addrs = (uint32_t)what->n_addrs;
	memcpy(msg.learn.addrs, what->addrs, what->n_addrs * sizeof(what->addrs[0]));
	return ex_ask_send(px->ask, &msg, on_learned, l);
}

static void learn(void *arg, const struct ex_dns_learn *what, void (*done)(void *done_arg, int err),
		  void *done_arg)
{
	struct learning *l = malloc(sizeof(*l));
	int r = -ENOMEM;

	if (l) {
		*l = (struct learning){ done, done_arg };
		r = ask_to_learn(arg, what, l);
	}
	if (r < 0) {
		free(l);
		done(done_arg, r);
	}
}

static void extend(void *arg, const struct ex_dns_learn *what)
{
	struct ex_proxy *px = arg;

	ex_extend_add(&px->dns_io->extend, what);
}

static void audit(void *arg, const void *client, const struct ex_dns_verdict *v)
{
	const struct ex_dns_client *from = client;
	struct ex_proxy *px = arg;
	struct ex_audit_record rec = { .app = EX_AUDIT_DNS,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = (uint8_t)v->decision.verdict,
				       .reason = (uint16_t)v->decision.reason,
				       .rule = v->decision.rule,
				       .proto = from->proto,
				       .src = from->src,
				       .dst = from->dst,
				       .sport = from->sport,
				       .dport = from->dport };

	if (v->question) {
		rec.qtype = v->question->type;
		ex_audit_set(rec.name, sizeof(rec.name),
			     (struct ex_span){ v->question->name, v->question->name_len });
	}
	if (v->answer) {
		rec.status = (uint16_t)(v->answer->rcode + 1);
		rec.ttl = v->answer->ttl;
		while (rec.n_ips < EX_AUDIT_IPS_MAX && rec.n_ips < v->answer->n_addrs) {
			rec.ips[rec.n_ips] = v->answer->addrs[rec.n_ips];
			rec.n_ips++;
		}
	}
	ex_ask_audit(px->ask, &rec);
}

/* What does not get as far as the gate. */
static void deny(struct ex_proxy *px, const struct ex_dns_client *from, enum ex_reason reason)
{
	const struct ex_dns_verdict v = { .decision = { EX_V_DENY, reason, 0 } };

	audit(px, from, &v);
}

const struct ex_dns_gate_ops ex_dns_io_ops = { .learn = learn, .extend = extend, .audit = audit };

/* ---- UDP: one waiting record a question ---- */

struct query {
	struct ex_dns_client client;
	struct ex_datagram from;
	int fd;
};

static void on_udp_reply(void *arg, const void *reply, size_t len)
{
	struct query *q = arg;

	if (len)
		ex_datagram_reply(q->fd, &q->from, reply, len);
	free(q);
}

static void set_client(struct ex_dns_client *c, const struct ex_datagram *d)
{
	*c = (struct ex_dns_client){ d->src, d->dst, d->sport, d->dport, IPPROTO_UDP };
}

static void ask_by_udp(struct ex_dns_io *io, int fd, const struct ex_datagram *from,
		       const char *msg, size_t len)
{
	struct query *q = malloc(sizeof(*q));
	struct ex_dns_client client;

	set_client(&client, from);
	if (!q) {
		deny(io->px, &client, EX_R_LIMIT);
		return;
	}
	*q = (struct query){ client, *from, fd };
	ex_dns_gate_query(io->px->dns, &q->client, msg, len, false, on_udp_reply, q);
}

static void on_udp(struct ex_listen *l, int fd)
{
	struct ex_dns_io *io = ex_container_of(l, struct ex_dns_io, udp);
	struct ex_datagrams *box = &io->box;
	int n = EX_DATAGRAMS;

	for (int round = 0; round < UDP_ROUNDS && n == EX_DATAGRAMS; round++) {
		n = ex_datagram_receive_many(fd, box);
		for (int i = 0; i < n; i++) {
			ssize_t len = box->len[i];

			/* of one that is too long nothing is read, but it is on record */
			if (len >= 0 || len == -EMSGSIZE)
				ask_by_udp(io, fd, &box->at[i], box->bytes[i],
					   len < 0 ? 0 : (size_t)len);
		}
	}
}

/* ---- TCP (RFC 7766): one question at a time on a connection ---- */

struct stream {
	struct ex_dns_io *io;
	struct ex_watch watch;
	struct ex_timer timer;
	struct ex_defer free_later;
	struct ex_dns_client client;
	struct ex_buf in, out;
	bool asking;  /* a question is with the gate, which says whose it was */
	bool in_next; /* stream_next() is at work */
};

static void stream_free(struct ex_defer *d)
{
	free(ex_container_of(d, struct stream, free_later));
}

static void stream_close(struct stream *s)
{
	struct ex_loop *loop = s->io->px->loop;

	if (s->watch.fd < 0)
		return;
	ex_watch_close(loop, &s->watch);
	ex_timer_stop(loop, &s->timer);
	ex_buf_done(&s->in);
	ex_buf_done(&s->out);
	s->io->n_streams--;
	if (!s->asking)
		ex_defer(loop, &s->free_later);
}

static void stream_drop(struct stream *s)
{
	deny(s->io->px, &s->client, EX_R_LIMIT);
	stream_close(s);
}

static void stream_update(struct stream *s)
{
	uint32_t events = ex_buf_len(&s->out) ? EPOLLOUT : 0;

	if (!s->asking && !events)
		events = EPOLLIN;
	ex_watch_set(s->io->px->loop, &s->watch, events);
}

/* From one whole question to the next, however many bytes come in between. */
static bool stream_wait(struct stream *s)
{
	if (ex_timer_start(s->io->px->loop, &s->timer, STREAM_MS) == 0)
		return true;
	stream_drop(s);
	return false;
}

static void stream_flush(struct stream *s)
{
	while (ex_buf_len(&s->out)) {
		ssize_t n =
			send(s->watch.fd, ex_buf_ptr(&s->out), ex_buf_len(&s->out), MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			stream_close(s);
			return;
		}
		ex_buf_consume(&s->out, (size_t)n);
	}
	stream_update(s);
}

static void stream_next(struct stream *s);

static void on_stream_reply(void *arg, const void *reply, size_t len)
{
	struct stream *s = arg;
	uint8_t head[2] = { (uint8_t)(len >> 8), (uint8_t)len };

	s->asking = false;
	if (s->watch.fd < 0) { /* it was closed in between */
		ex_defer(s->io->px->loop, &s->free_later);
		return;
	}
	if (!len || len > 65535 || ex_buf_append(&s->out, head, 2) < 0 ||
	    ex_buf_append(&s->out, reply, len) < 0)
		stream_close(s);
	else
		stream_flush(s);
	if (s->watch.fd >= 0 && !s->in_next)
		stream_next(s);
}

/* Gives one whole question to the gate; false when there is none, or an answer is still due. */
static bool ask_one(struct stream *s)
{
	const uint8_t *p = (const uint8_t *)ex_buf_ptr(&s->in);
	char msg[QUERY_MAX];
	size_t len;

	if (s->asking || ex_buf_len(&s->out) || ex_buf_len(&s->in) < 2)
		return false;
	len = (size_t)p[0] << 8 | p[1];
	if (len > QUERY_MAX) {
		deny(s->io->px, &s->client, EX_R_DNS_MALFORMED);
		stream_close(s);
		return false;
	}
	if (ex_buf_len(&s->in) < 2 + len || !stream_wait(s))
		return false;
	memcpy(msg, p + 2, len);
	ex_buf_consume(&s->in, 2 + len);
	s->asking = true;
	ex_dns_gate_query(s->io->px->dns, &s->client, msg, len, true, on_stream_reply, s);
	return s->watch.fd >= 0;
}

/* A question may be answered while it is asked: the next one is taken here, not from the answer. */
static void stream_next(struct stream *s)
{
	s->in_next = true;
	while (ask_one(s))
		;
	s->in_next = false;
	if (s->watch.fd >= 0)
		stream_update(s);
}

static void stream_read(struct stream *s)
{
	char *to = ex_buf_reserve(&s->in, 2 + QUERY_MAX);
	ssize_t n;

	if (!to) {
		stream_drop(s);
		return;
	}
	n = recv(s->watch.fd, to, 2 + QUERY_MAX, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		stream_close(s);
		return;
	}
	ex_buf_commit(&s->in, (size_t)n);
	stream_next(s);
}

static void on_stream(struct ex_watch *w, uint32_t events)
{
	struct stream *s = ex_container_of(w, struct stream, watch);

	if (events & (EPOLLERR | EPOLLHUP)) {
		stream_close(s);
	} else if (events & EPOLLOUT) {
		stream_flush(s);
		if (s->watch.fd >= 0)
			stream_next(s);
	} else {
		stream_read(s);
	}
}

static void on_stream_timeout(struct ex_timer *t)
{
	struct stream *s = ex_container_of(t, struct stream, timer);

	if (ex_buf_len(&s->in)) /* what has come of a question is not answered */
		deny(s->io->px, &s->client, EX_R_TIMEOUT);
	stream_close(s);
}

static int stream_new(struct ex_dns_io *io, int fd)
{
	struct ex_dns_client from = { .proto = IPPROTO_TCP };
	struct stream *s;

	if (!ex_socket_ends(fd, &from.dst, &from.dport, &from.src, &from.sport))
		return -EIO;
	s = io->n_streams < STREAMS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		deny(io->px, &from, EX_R_LIMIT);
		return -EBUSY;
	}
	s->io = io;
	s->watch.fn = on_stream;
	s->timer.fn = on_stream_timeout;
	s->free_later.fn = stream_free;
	s->client = from;
	if (ex_watch_start(io->px->loop, &s->watch, fd, EPOLLIN) < 0) {
		deny(io->px, &from, EX_R_LIMIT);
		free(s);
		return -EIO;
	}
	io->n_streams++;
	(void)stream_wait(s); /* else it was closed, with its descriptor */
	return 0;
}

/* Without a descriptor for it the client asks again. */
static void on_accept(struct ex_listen *l, int listener)
{
	struct ex_dns_io *io = ex_container_of(l, struct ex_dns_io, tcp);
	int fd = ex_listen_accept(listener, NULL);

	if (fd >= 0 && stream_new(io, fd) < 0)
		close(fd);
	if (fd < 0 && fd != -EAGAIN)
		ex_listen_pause(l);
}

int ex_dns_io_new(struct ex_proxy *px, const int sockets[static EX_SOCK_MAX],
		  struct ex_dns_io **ret)
{
	struct ex_dns_io *io = calloc(1, sizeof(*io));
	int r;

	if (!io)
		return -ENOMEM;
	io->px = px;
	ex_extend_init(&io->extend, px);
	r = ex_listen_start(&io->udp, px->loop, sockets + EX_SOCK_DNS_UDP4, on_udp);
	if (r == 0)
		r = ex_listen_start(&io->tcp, px->loop, sockets + EX_SOCK_DNS_TCP4, on_accept);
	if (r < 0) {
		free(io); /* only at start: the process ends */
		return r;
	}
	*ret = io;
	return 0;
}
