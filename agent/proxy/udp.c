/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/epoll.h>

#include "agent/core/buf.h"
#include "agent/dns/names.h"
#include "agent/proxy/ask.h"
#include "agent/proxy/conn.h"
#include "agent/proxy/datagram.h"
#include "agent/proxy/dial.h"
#include "agent/proxy/udp.h"

#define FLOWS_MAX 1024
#define BUCKETS   1024
#define BATCH     64
#define IDLE_MS   60000
#define QUIET_MS  10000 /* after which one makes room for another */
#define BYTES_MAX 65535

struct flow {
	struct ex_udp *udp;
	struct flow *next;
	struct ex_ip src, dst;
	uint16_t sport, dport;
	struct ex_watch up;   /* to the server, in the outer namespace */
	struct ex_watch down; /* to the workload, speaking as the server */
	struct ex_timer timer;
	uint64_t heard; /* ms: the last datagram, either way */
	struct ex_defer free_later;
	struct ex_buf first; /* the datagram that began it, until there is a socket to send it */
	bool closed;
};

struct ex_udp {
	struct ex_proxy *px;
	struct ex_listen listen;
	struct flow *buckets[BUCKETS];
	size_t n_flows;
};

static size_t bucket_of(const struct ex_ip *src, uint16_t sport, const struct ex_ip *dst,
			uint16_t dport)
{
	uint32_t h = (uint32_t)sport << 16 | dport;

	for (size_t i = 0; i < 16; i++)
		h = (h ^ src->b[i] ^ (uint32_t)dst->b[i] << 8) * 0x01000193u;
	return (h ^ h >> 16) % BUCKETS;
}

static struct flow **find(struct ex_udp *u, const struct ex_datagram *d)
{
	struct flow **p = &u->buckets[bucket_of(&d->src, d->sport, &d->dst, d->dport)];

	while (*p && !((*p)->sport == d->sport && (*p)->dport == d->dport &&
		       ex_ip_eq(&(*p)->src, &d->src) && ex_ip_eq(&(*p)->dst, &d->dst)))
		p = &(*p)->next;
	return p;
}

static void flow_free(struct ex_defer *d)
{
	free(ex_container_of(d, struct flow, free_later));
}

static void flow_close(struct flow *f)
{
	struct ex_datagram key = {
		.src = f->src, .dst = f->dst, .sport = f->sport, .dport = f->dport
	};
	struct ex_loop *loop = f->udp->px->loop;
	struct flow **p;

	if (f->closed)
		return;
	f->closed = true;
	p = find(f->udp, &key);
	if (*p == f)
		*p = f->next;
	f->udp->n_flows--;
	ex_ask_cancel(f->udp->px->ask, f);
	ex_timer_stop(loop, &f->timer);
	ex_watch_close(loop, &f->up);
	ex_watch_close(loop, &f->down);
	ex_buf_done(&f->first);
	ex_defer(loop, &f->free_later);
}

static void on_idle(struct ex_timer *t)
{
	flow_close(ex_container_of(t, struct flow, timer));
}

static void audit(struct ex_proxy *px, const struct ex_datagram *d,
		  const struct ex_decision *decision, const char *why)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_L4,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = (uint8_t)decision->verdict,
				       .reason = (uint16_t)decision->reason,
				       .rule = decision->rule,
				       .proto = IPPROTO_UDP,
				       .src = d->src,
				       .dst = d->dst,
				       .sport = d->sport,
				       .dport = d->dport };

	ex_audit_set(rec.detail, sizeof(rec.detail), ex_span_str(why));
	ex_ask_audit(px->ask, &rec);
}

static void flow_deny(struct flow *f, enum ex_reason reason, uint32_t rule, const char *why)
{
	const struct ex_datagram d = {
		.src = f->src, .dst = f->dst, .sport = f->sport, .dport = f->dport
	};

	audit(f->udp->px, &d, &(struct ex_decision){ EX_V_DENY, reason, rule }, why);
	flow_close(f);
}

/* There is no room for what it takes. */
static void flow_drop(struct flow *f)
{
	flow_deny(f, EX_R_LIMIT, 0, "");
}

static void touch(struct flow *f)
{
	f->heard = ex_loop_now(f->udp->px->loop);
	if (ex_timer_start(f->udp->px->loop, &f->timer, IDLE_MS) < 0)
		flow_drop(f);
}

/* One end says that nobody is there. A workload that is gone needs no word. */
static void flow_broke(struct flow *f, int fd, int err)
{
	char why[EX_DIAL_WHY];

	if (fd == f->up.fd)
		flow_deny(f, ex_dial_reason(NULL, -err, why), 0, why);
	else
		flow_close(f);
}

/* The word that an end is not there comes with whatever is tried next. False: the flow is over. */
static bool pass_on(struct flow *f, int to, const char *buf, size_t len)
{
	if (send(to, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ECONNREFUSED)
		return true;
	flow_broke(f, to, ECONNREFUSED);
	return false;
}

/* From one connected socket to the other, some datagrams at a time. */
static void carry(struct flow *f, int from, int to)
{
	char buf[BYTES_MAX];

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(from, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0 && errno == EMSGSIZE)
			continue; /* the one that a router had no room for is lost, no other */
		if (n < 0) {
			flow_broke(f, from, errno);
			return;
		}
		if (!pass_on(f, to, buf, (size_t)n))
			return;
	}
	touch(f);
}

static void on_up(struct ex_watch *w, uint32_t events)
{
	struct flow *f = ex_container_of(w, struct flow, up);

	(void)events;
	carry(f, f->up.fd, f->down.fd);
}

static void on_down(struct ex_watch *w, uint32_t events)
{
	struct flow *f = ex_container_of(w, struct flow, down);

	(void)events;
	carry(f, f->down.fd, f->up.fd);
}

/* Takes fd, if it is one. False: the flow is over, and that it did not get far is on record. */
static bool watch(struct flow *f, struct ex_watch *w, int fd, uint32_t events)
{
	int r = fd < 0 ? fd : ex_watch_start(f->udp->px->loop, w, fd, events);
	char why[EX_DIAL_WHY];

	if (r == 0)
		return true;
	if (fd >= 0)
		close(fd);
	flow_deny(f, ex_dial_reason(NULL, r, why), 0, why);
	return false;
}

static void on_socket(void *arg, const union ex_ipc_message *answer, int *passed)
{
	int fd = ex_ipc_passed(answer, EX_IPC_UDP_READY, passed);
	struct flow *f = arg;

	if (!watch(f, &f->down, fd, EPOLLIN))
		return;
	/* Only now can answers be passed on: they waited in the socket. */
	ex_watch_set(f->udp->px->loop, &f->up, EPOLLIN);
}

static void on_dialled(void *arg, const union ex_ipc_message *answer, int *passed)
{
	int fd = ex_ipc_passed(answer, EX_IPC_DIALLED, passed);
	struct flow *f = arg;
	union ex_ipc_message msg = { .udp = { .head.type = EX_IPC_UDP,
					      .src = f->src,
					      .dst = f->dst,
					      .sport = f->sport,
					      .dport = f->dport } };

	if (!watch(f, &f->up, fd, 0))
		return;
	(void)send(fd, ex_buf_ptr(&f->first), ex_buf_len(&f->first), MSG_DONTWAIT | MSG_NOSIGNAL);
	ex_buf_done(&f->first);
	if (ex_ask_send(f->udp->px->ask, &msg, on_socket, f) < 0)
		flow_drop(f);
}

/* now: names that expired before it do not count. */
static struct ex_decision judge(struct ex_proxy *px, const struct ex_ip *dst, uint16_t dport,
				uint64_t now)
{
	struct ex_span names[EX_NAMES_PER_ADDR_MAX];
	struct ex_flow flow = { .dst = *dst, .port = dport, .proto = IPPROTO_UDP, .names = names };

	flow.n_names = ex_names_of(px->names, dst, now, names, EX_NAMES_PER_ADDR_MAX);
	return ex_judge_l4(px->rs, &flow);
}

/*
 * A client that takes another port for each of its questions leaves them all open: then the one
 * that has been quiet for longest makes room.
 */
static bool has_room(struct ex_udp *u)
{
	struct flow *quiet = NULL;

	if (u->n_flows < ex_proxy_share(u->px, FLOWS_MAX))
		return true;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct flow *f = u->buckets[i]; f; f = f->next)
			if (!quiet || f->heard < quiet->heard)
				quiet = f;
	if (!quiet || ex_loop_now(u->px->loop) - quiet->heard < QUIET_MS)
		return false;
	flow_close(quiet);
	return true;
}

static struct flow *flow_new(struct ex_udp *u, const struct ex_datagram *d)
{
	struct ex_decision decision = judge(u->px, &d->dst, d->dport, ex_loop_now(u->px->loop));
	struct flow *f = NULL;

	if (decision.verdict == EX_V_STEER)
		decision = (struct ex_decision){ EX_V_DENY, EX_R_UNSUPPORTED, decision.rule };
	if (decision.verdict == EX_V_ALLOW && has_room(u))
		f = calloc(1, sizeof(*f));
	if (decision.verdict == EX_V_ALLOW && !f)
		decision = (struct ex_decision){ EX_V_DENY, EX_R_LIMIT, decision.rule };
	audit(u->px, d, &decision, "");
	if (!f)
		return NULL;
	*f = (struct flow){ .udp = u,
			    .src = d->src,
			    .dst = d->dst,
			    .sport = d->sport,
			    .dport = d->dport,
			    .up = { .fd = -1, .fn = on_up },
			    .down = { .fd = -1, .fn = on_down },
			    .timer.fn = on_idle,
			    .heard = ex_loop_now(u->px->loop),
			    .free_later.fn = flow_free };
	*find(u, d) = f;
	u->n_flows++;
	if (ex_dial_ask(u->px->ask, &f->dst, f->dport, IPPROTO_UDP, false, on_dialled, f) < 0) {
		flow_drop(f);
		return NULL;
	}
	return f;
}

/* What comes while the sockets are being made is lost, but for the first: datagrams may be. */
static void forward(struct flow *f, const char *buf, size_t len)
{
	if (f->up.fd >= 0)
		(void)pass_on(f, f->up.fd, buf, len);
	else if (!ex_buf_len(&f->first) && ex_buf_append(&f->first, buf, len) < 0)
		flow_drop(f);
}

static void on_datagrams(struct ex_listen *l, int listener)
{
	struct ex_udp *u = ex_container_of(l, struct ex_udp, listen);
	char buf[BYTES_MAX];

	for (int i = 0; i < BATCH; i++) {
		struct ex_datagram d;
		struct flow *f;
		ssize_t n = ex_datagram_receive(listener, buf, sizeof(buf), &d);

		if (n == -EBADMSG || n == -EMSGSIZE)
			continue;
		if (n < 0)
			return;
		ex_proxy_catch_up(u->px);
		f = *find(u, &d);
		if (!f)
			f = flow_new(u, &d);
		if (!f)
			continue;
		forward(f, buf, (size_t)n);
		if (!f->closed)
			touch(f);
	}
}

/* The name it began under counts, though it may have expired since. */
#define LATE_MS 3600000

static void flow_judge_again(struct flow *f)
{
	struct ex_proxy *px = f->udp->px;
	uint64_t now = ex_loop_now(px->loop);
	struct ex_decision again = judge(px, &f->dst, f->dport, now > LATE_MS ? now - LATE_MS : 0);

	if (again.verdict != EX_V_ALLOW)
		flow_deny(f, EX_R_POLICY_CHANGED, again.rule, "");
}

void ex_udp_judge_again(struct ex_udp *u)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct flow *f = u->buckets[i], *next; f; f = next) {
			next = f->next;
			flow_judge_again(f);
		}
	}
}

int ex_udp_new(struct ex_proxy *px, const int sockets[static EX_SOCK_MAX], struct ex_udp **ret)
{
	struct ex_udp *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	u->px = px;
	r = ex_listen_start(&u->listen, px->loop, sockets + EX_SOCK_UDP4, on_datagrams);
	if (r < 0) {
		free(u); /* only at start: the process ends */
		return r;
	}
	*ret = u;
	return 0;
}
