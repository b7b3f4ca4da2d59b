// SPDX-License-Identifier: Apache-2.0
/*
 * c-ares on our loop.
 *
 * c-ares 1.18 keeps one UDP socket per server open as long as any query waits, so under load one
 * source port would serve for hours. A resolver therefore has a pool of channels: one channel takes
 * PER_PORT queries, then the next idle one is used; an idle channel has no socket, so that its next
 * query leaves from a fresh port. Query ids come from getrandom(), not from c-ares' generator.
 *
 * c-ares reads resolv.conf, nsswitch.conf, LOCALDOMAIN and RES_OPTIONS only for what it was not
 * told; channel_open() tells it everything. It reads /dev/urandom once, in ares_init_options().
 */
#include <ares.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "agent/dns/resolver.h"
#include "agent/dns/wire.h"

enum {
	CHANNELS = 8,
	SERVERS_MAX = 3, /* as resolv.conf(5) */
	SOCKETS_MAX = 2 * SERVERS_MAX,
	PER_PORT = 32,
	PENDING_MAX = 512,
	TRIES = 2,
	ROUND_MS = 1500, /* first round over all servers; the second takes twice as long */
	TICK_MS = 50,
	NO_FD = ARES_SOCKET_BAD,
};

struct channel;

struct sock {
	struct ex_watch watch;
	struct channel *channel;
};

struct channel {
	struct ex_resolver *r;
	ares_channel ares;
	unsigned pending; /* queries not answered yet */
	unsigned used;    /* queries since it was idle */
	struct sock socks[SOCKETS_MAX];
};

struct ex_resolver {
	struct ex_loop *loop;
	struct ex_timer tick; /* runs while anything is pending */
	struct ex_defer free_later;
	struct channel *current;
	unsigned pending, depth; /* depth: inside c-ares */
	bool dead, ticking;
	size_t n_servers;
	struct ex_resolver_server servers[SERVERS_MAX];
	struct channel channels[CHANNELS];
};

struct ex_resolve {
	struct channel *channel;
	void (*fn)(void *arg, int err, const void *msg, size_t len); /* NULL: cancelled */
	void *arg;
	bool edns, starting;
	int err; /* of a query that failed while starting */
	uint16_t type;
	char name[EX_DNS_NAME_MAX + 1];
};

static void on_reply(void *arg, int status, int timeouts, unsigned char *msg, int len);

/* ---- sockets ---- */

static ares_socket_t sock_open(int family, int type, int proto, void *arg)
{
	(void)arg;
	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
}

static int sock_close(ares_socket_t fd, void *arg)
{
	(void)arg;
	return close(fd);
}

/* c-ares 1.18 has no scope ids; a link-local server gets its interface here. */
static int sock_connect(ares_socket_t fd, const struct sockaddr *sa, ares_socklen_t len, void *arg)
{
	const struct channel *ch = arg;
	struct sockaddr_in6 in6;

	if (sa->sa_family != AF_INET6)
		return connect(fd, sa, len);
	memcpy(&in6, sa, sizeof(in6));
	for (size_t i = 0; i < ch->r->n_servers; i++) {
		const struct ex_resolver_server *s = &ch->r->servers[i];

		if (memcmp(s->ip.b, &in6.sin6_addr, sizeof(s->ip.b)) == 0)
			in6.sin6_scope_id = s->scope;
	}
	return connect(fd, (const struct sockaddr *)&in6, sizeof(in6));
}

static ares_ssize_t sock_recv(ares_socket_t fd, void *buf, size_t len, int flags,
			      struct sockaddr *from, ares_socklen_t *from_len, void *arg)
{
	(void)arg;
	return recvfrom(fd, buf, len, flags, from, from_len);
}

static ares_ssize_t sock_send(ares_socket_t fd, const struct iovec *iov, int n, void *arg)
{
	struct msghdr m = { .msg_iovlen = (size_t)n };

	(void)arg;
	memcpy(&m.msg_iov, &iov, sizeof(iov)); /* sendmsg() does not write to it */
	return sendmsg(fd, &m, MSG_NOSIGNAL);
}

static const struct ares_socket_functions sock_functions = {
	.asocket = sock_open,
	.aclose = sock_close,
	.aconnect = sock_connect,
	.arecvfrom = sock_recv,
	.asendv = sock_send,
};

/* ---- driving c-ares ---- */

static void destroy(struct ex_resolver *r)
{
	r->dead = true;
	for (size_t i = 0; i < CHANNELS; i++)
		if (r->channels[i].ares)
			ares_destroy(r->channels[i].ares);
	ex_timer_stop(r->loop, &r->tick);
	free(r);
}

static void free_deferred(struct ex_defer *d)
{
	destroy(ex_container_of(d, struct ex_resolver, free_later));
}

static void process(struct channel *ch, int rfd, int wfd)
{
	struct ex_resolver *r = ch->r;

	r->depth++;
	ares_process_fd(ch->ares, rfd, wfd);
	r->depth--;
}

static void on_socket(struct ex_watch *w, uint32_t events)
{
	struct sock *s = ex_container_of(w, struct sock, watch);
	bool in = events & (EPOLLIN | EPOLLERR | EPOLLHUP);

	process(s->channel, in ? w->fd : NO_FD, events & EPOLLOUT ? w->fd : NO_FD);
}

static struct sock *find_sock(struct channel *ch, int fd)
{
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		if (ch->socks[i].watch.fd == fd)
			return &ch->socks[i];
	return NULL;
}

/* c-ares wants other events for a socket, or is about to close it (none). */
static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct channel *ch = arg;
	struct sock *s = find_sock(ch, fd);
	uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);

	if (events == 0) {
		if (s)
			ex_watch_stop(ch->r->loop, &s->watch);
		return;
	}
	if (s) {
		ex_watch_set(ch->r->loop, &s->watch, events);
		return;
	}
	s = find_sock(ch, NO_FD);
	if (!s || ex_watch_start(ch->r->loop, &s->watch, fd, events) < 0)
		return; /* not watched: its queries time out and go to the next server */
}

/* A steady tick instead of ares_timeout(), which walks all queries each time. */
static void on_tick(struct ex_timer *t)
{
	struct ex_resolver *r = ex_container_of(t, struct ex_resolver, tick);

	for (size_t i = 0; i < CHANNELS && !r->dead; i++)
		if (r->channels[i].pending > 0)
			process(&r->channels[i], NO_FD, NO_FD);
	r->ticking = r->pending > 0 && !r->dead && ex_timer_start(r->loop, t, TICK_MS) == 0;
}

/* ---- channels ---- */

static int set_servers(struct channel *ch)
{
	struct ares_addr_port_node nodes[SERVERS_MAX] = { 0 };
	const struct ex_resolver *r = ch->r;

	for (size_t i = 0; i < r->n_servers; i++) {
		const struct ex_resolver_server *s = &r->servers[i];
		struct ares_addr_port_node *n = &nodes[i];

		n->next = i + 1 < r->n_servers ? n + 1 : NULL;
		n->family = ex_ip_is4(&s->ip) ? AF_INET : AF_INET6;
		if (n->family == AF_INET)
			memcpy(&n->addr.addr4, s->ip.b + 12, 4);
		else
			memcpy(&n->addr.addr6, s->ip.b, 16);
		n->udp_port = n->tcp_port = s->port;
	}
	return ares_set_servers_ports(ch->ares, nodes) == ARES_SUCCESS ? 0 : -EINVAL;
}

static int channel_open(struct ex_resolver *r, struct channel *ch)
{
	char lookups[] = "b";
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = (int)(ROUND_MS / r->n_servers),
		.tries = TRIES,
		.ndots = 1,
		.lookups = lookups,
		.ednspsz = EX_DNS_UDP_MAX,
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = ch,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
		   ARES_OPT_LOOKUPS | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB | ARES_OPT_SERVERS |
		   ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_NOROTATE;

	ch->r = r;
	for (size_t i = 0; i < SOCKETS_MAX; i++) {
		ch->socks[i].channel = ch;
		ch->socks[i].watch.fd = NO_FD;
		ch->socks[i].watch.fn = on_socket;
	}
	if (ares_init_options(&ch->ares, &o, mask) != ARES_SUCCESS) {
		ch->ares = NULL;
		return -ENOMEM;
	}
	ares_set_socket_functions(ch->ares, &sock_functions, ch);
	return set_servers(ch);
}

/* The current channel until its port is worn; then an idle one; else the least busy. */
static struct channel *pick_channel(struct ex_resolver *r)
{
	struct channel *best = r->current;

	if (best->pending == 0 || best->used < PER_PORT)
		return best;
	for (size_t i = 0; i < CHANNELS; i++)
		if (r->channels[i].pending < best->pending)
			best = &r->channels[i];
	r->current = best;
	return best;
}

/* ---- queries ---- */

static int send_query(struct ex_resolve *q)
{
	struct channel *ch = q->channel;
	unsigned char *msg;
	uint16_t id;
	int len;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return -EIO;
	if (ares_create_query(q->name, EX_DNS_CLASS_IN, q->type, id, 1, &msg, &len,
			      q->edns ? EX_DNS_UDP_MAX : 0) != ARES_SUCCESS)
		return -EINVAL;
	ch->r->depth++;
	ares_send(ch->ares, msg, len, on_reply, q);
	ch->r->depth--;
	ares_free_string(msg);
	return 0;
}

static void finish(struct ex_resolve *q, int err, const void *msg, size_t len)
{
	q->channel->pending--;
	q->channel->r->pending--;
	if (q->fn && !q->channel->r->dead)
		q->fn(q->arg, err, msg, len);
	free(q);
}

/*
 * A server that does not know EDNS says FORMERR, without an OPT record. c-ares repeats the query by
 * itself the first time on a channel and then leaves it to us.
 */
static bool refuses_edns(const struct ex_resolve *q, const unsigned char *msg, int len)
{
	return q->edns && len >= 12 && (msg[3] & 0xf) == EX_DNS_FORMERR && msg[10] == 0 &&
	       msg[11] == 0;
}

static int error_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct ex_resolve *q = arg;
	int err = error_of(status);

	(void)timeouts;
	if (q->starting) {
		q->err = err ? err : -EIO;
		return;
	}
	if (err == 0 && refuses_edns(q, msg, len) && !q->channel->r->dead) {
		q->edns = false;
		q->starting = true;
		err = send_query(q);
		q->starting = false;
		if (err == 0 && q->err == 0)
			return;
		err = err ? err : q->err;
	}
	if (err)
		finish(q, err, NULL, 0);
	else
		finish(q, 0, msg, (size_t)len);
}

int ex_resolver_query(struct ex_resolver *r, const char *name, uint16_t type,
		      void (*fn)(void *arg, int err, const void *msg, size_t len), void *arg,
		      struct ex_resolve **ret)
{
	struct ex_resolve *q;
	size_t len = strlen(name);
	int err;

	if (r->dead || r->pending >= PENDING_MAX)
		return -EBUSY;
	if (len == 0 || len > EX_DNS_NAME_MAX)
		return -EINVAL;
	if (!r->ticking) { /* without a tick nothing would ever time out */
		err = ex_timer_start(r->loop, &r->tick, TICK_MS);
		if (err < 0)
			return err;
		r->ticking = true;
	}
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	*q = (struct ex_resolve){ .channel = pick_channel(r),
				  .fn = fn,
				  .arg = arg,
				  .edns = true,
				  .starting = true,
				  .type = type };
	memcpy(q->name, name, len + 1);
	err = send_query(q);
	if (err == 0)
		err = q->err;
	if (err < 0) {
		free(q);
		return err;
	}
	q->starting = false;
	q->channel->used = q->channel->pending == 0 ? 1 : q->channel->used + 1;
	q->channel->pending++;
	r->pending++;
	*ret = q;
	return 0;
}

void ex_resolver_cancel(struct ex_resolve *q)
{
	q->fn = NULL; /* c-ares cannot forget one query; it ends by itself */
}

/* ---- life ---- */

int ex_resolver_new(struct ex_loop *loop, const struct ex_resolver_server *servers, size_t n,
		    struct ex_resolver **ret)
{
	struct ex_resolver *r;
	int err = 0;

	if (n == 0)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->tick.fn = on_tick;
	r->free_later.fn = free_deferred;
	r->current = &r->channels[0];
	r->n_servers = n < SERVERS_MAX ? n : SERVERS_MAX;
	memcpy(r->servers, servers, r->n_servers * sizeof(*servers));
	for (size_t i = 0; i < CHANNELS && err == 0; i++)
		err = channel_open(r, &r->channels[i]);
	if (err < 0) {
		destroy(r);
		return err;
	}
	*ret = r;
	return 0;
}

void ex_resolver_free(struct ex_resolver *r)
{
	if (!r)
		return;
	r->dead = true;
	if (r->depth == 0)
		destroy(r);
	else
		ex_defer(r->loop, &r->free_later);
}
