/* SPDX-License-Identifier: Apache-2.0 */
/*
 * c-ares reads resolv.conf, nsswitch.conf, LOCALDOMAIN and RES_OPTIONS only for what it was not
 * told; ex_channel_open() tells it everything. It reads /dev/urandom in ares_init_options(), for
 * query ids of its own, which are not used: behind the sandbox it does without.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "agent/core/sockaddr.h"
#include "agent/dns/message.h"
#include "agent/dns/resolver_channel.h"

enum {
	TRIES = 2,
	ROUND_MS = 1500, /* first round over all servers; the second takes twice as long */
	NO_FD = ARES_SOCKET_BAD,
	INBOX = 8,
	INBOX_BYTES = 4096, /* as much as c-ares reads */
};

/* ---- sockets ---- */

/* Which server is meant is known at connect only: until then the number is held by standard input.
 */
static ares_socket_t sock_open(int family, int type, int proto, void *arg)
{
	struct ex_channel *ch = arg;

	(void)family;
	(void)proto;
	ch->opening_tcp = type == SOCK_STREAM;
	return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static int sock_close(ares_socket_t fd, void *arg)
{
	(void)arg;
	return close(fd);
}

static const struct ex_resolver_server *server_of(const struct ex_channel *ch,
						  const struct sockaddr *sa)
{
	struct ex_ip ip;
	uint16_t port;

	if (!ex_sockaddr_read((const void *)sa, &ip, &port))
		return NULL;
	for (size_t i = 0; i < ch->n_servers; i++)
		if (ex_ip_eq(&ch->servers[i].ip, &ip) && ch->servers[i].port == port)
			return &ch->servers[i];
	return NULL;
}

static int sock_connect(ares_socket_t fd, const struct sockaddr *sa, ares_socklen_t len, void *arg)
{
	const struct ex_channel *ch = arg;
	const struct ex_resolver_server *server = server_of(ch, sa);
	EX_AUTO_CLOSE int dialled =
		server ? ch->dial(ch->dial_arg, server, ch->opening_tcp) : -EACCES;

	(void)len;
	if (dialled < 0) {
		errno = -dialled;
		return -1;
	}
	return dup3(dialled, fd, O_CLOEXEC) < 0 ? -1 : 0;
}

/*
 * c-ares reads until there is nothing more. What is there is had in one go; that there is no more
 * is then known without asking.
 */
static struct {
	struct mmsghdr v[INBOX];
	struct iovec iov[INBOX];
	struct sockaddr_storage from[INBOX];
	uint8_t buf[INBOX][INBOX_BYTES];
	unsigned n, at;
	unsigned ready; /* the last so many are as the kernel wants them */
	bool read;      /* in this call of ares_process_fd() */
} inbox;

static int fill_inbox(int fd)
{
	int n;

	for (unsigned i = 0; i < INBOX - inbox.ready; i++) {
		inbox.iov[i] = (struct iovec){ inbox.buf[i], INBOX_BYTES };
		inbox.v[i].msg_hdr = (struct msghdr){ .msg_name = &inbox.from[i],
						      .msg_namelen = sizeof(inbox.from[i]),
						      .msg_iov = &inbox.iov[i],
						      .msg_iovlen = 1 };
	}
	inbox.read = true;
	n = recvmmsg(fd, inbox.v, INBOX, MSG_DONTWAIT, NULL);
	inbox.n = n < 0 ? 0 : (unsigned)n;
	inbox.ready = INBOX - inbox.n;
	inbox.at = 0;
	return n < 0 ? -1 : 0;
}

static ares_ssize_t take_from_inbox(void *buf, size_t len, struct sockaddr *from,
				    ares_socklen_t *from_len)
{
	unsigned i = inbox.at++;
	size_t n = inbox.v[i].msg_len < len ? inbox.v[i].msg_len : len;
	socklen_t known = inbox.v[i].msg_hdr.msg_namelen;

	memcpy(buf, inbox.buf[i], n);
	memcpy(from, &inbox.from[i], known < *from_len ? known : *from_len);
	*from_len = known;
	return (ares_ssize_t)n;
}

static ares_ssize_t sock_recv(ares_socket_t fd, void *buf, size_t len, int flags,
			      struct sockaddr *from, ares_socklen_t *from_len, void *arg)
{
	(void)arg;
	if (!from) /* a stream */
		return recv(fd, buf, len, flags);
	if (!inbox.read && fill_inbox(fd) < 0)
		return -1;
	if (inbox.at < inbox.n)
		return take_from_inbox(buf, len, from, from_len);
	errno = EAGAIN;
	return -1;
}

/* Connected, so without an address; and without a signal, which is ignored in the proxy. */
static ares_ssize_t sock_send(ares_socket_t fd, const struct iovec *iov, int n, void *arg)
{
	(void)arg;
	return n == 1 ? write(fd, iov->iov_base, iov->iov_len) : writev(fd, iov, n);
}

static const struct ares_socket_functions sock_functions = {
	.asocket = sock_open,
	.aclose = sock_close,
	.aconnect = sock_connect,
	.arecvfrom = sock_recv,
	.asendv = sock_send,
};

/* ---- events ---- */

static void process(struct ex_channel *ch, int rfd, int wfd)
{
	ch->depth++;
	inbox.n = inbox.at = 0;
	inbox.read = false;
	ares_process_fd(ch->ares, rfd, wfd);
	ch->depth--;
}

static void on_socket(struct ex_watch *w, uint32_t events)
{
	struct ex_channel_sock *s = ex_container_of(w, struct ex_channel_sock, watch);
	bool in = events & (EPOLLIN | EPOLLERR | EPOLLHUP);

	/* c-ares would write first, and then not read what a server said before it closed */
	process(s->channel, in ? w->fd : NO_FD, in ? NO_FD : w->fd);
}

static struct ex_channel_sock *find_sock(struct ex_channel *ch, int fd)
{
	for (size_t i = 0; i < EX_CHANNEL_SOCKETS; i++)
		if (ch->socks[i].watch.fd == fd)
			return &ch->socks[i];
	return NULL;
}

/* c-ares wants other events for a socket, or is about to close it (none). */
static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct ex_channel *ch = arg;
	struct ex_channel_sock *s = find_sock(ch, fd);
	uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);

	if (events == 0) {
		if (s)
			ex_watch_stop(ch->loop, &s->watch);
		return;
	}
	if (s) {
		ex_watch_set(ch->loop, &s->watch, events);
		return;
	}
	s = find_sock(ch, NO_FD);
	if (!s || ex_watch_start(ch->loop, &s->watch, fd, events) < 0)
		return; /* not watched: its queries time out and go to the next server */
}

/* ---- life ---- */

static int set_servers(struct ex_channel *ch)
{
	struct ares_addr_port_node nodes[EX_CHANNEL_SERVERS] = { 0 };

	for (size_t i = 0; i < ch->n_servers; i++) {
		const struct ex_resolver_server *s = &ch->servers[i];
		struct ares_addr_port_node *n = &nodes[i];

		n->next = i + 1 < ch->n_servers ? n + 1 : NULL;
		n->family = ex_ip_is4(&s->ip) ? AF_INET : AF_INET6;
		if (n->family == AF_INET)
			memcpy(&n->addr.addr4, s->ip.b + 12, 4);
		else
			memcpy(&n->addr.addr6, s->ip.b, 16);
		n->udp_port = n->tcp_port = s->port;
	}
	return ares_set_servers_ports(ch->ares, nodes) == ARES_SUCCESS ? 0 : -EINVAL;
}

int ex_channel_open(struct ex_channel *ch, const struct ex_resolver_server *servers, size_t n,
		    int flags)
{
	char lookups[] = "b";
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS | flags,
		.timeout = (int)(ROUND_MS / n),
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

	ch->n_servers = n;
	memcpy(ch->servers, servers, n * sizeof(*servers));
	for (size_t i = 0; i < EX_CHANNEL_SOCKETS; i++) {
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

/* c-ares closes the sockets of servers that are set anew. */
int ex_channel_renew(struct ex_channel *ch)
{
	return ch->ares ? set_servers(ch) : 0;
}

void ex_channel_close(struct ex_channel *ch)
{
	if (ch->ares)
		ares_destroy(ch->ares);
	ch->ares = NULL;
}

void ex_channel_send(struct ex_channel *ch, const unsigned char *msg, int len, ares_callback fn,
		     void *arg)
{
	ch->depth++;
	ares_send(ch->ares, msg, len, fn, arg);
	ch->depth--;
}

void ex_channel_check_timeouts(struct ex_channel *ch)
{
	process(ch, NO_FD, NO_FD);
}
