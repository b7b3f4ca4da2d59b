/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of the benchmark: one thread, N connections, HTTP/1.1 in plain text or TLS 1.3, each
 * answer checked for its status and its length. One line of JSON is the result.
 *
 *   load [-c CONNECTIONS] [-s SECONDS] [-m METHOD] [-u UPLOAD-BYTES] [-l ANSWER-BYTES] [-n] [-i]
 *        [-r CONNECTIONS-IN-ALL] [-f FIRST] URL
 *
 * -n: a new connection, and a full handshake, for each request. -i: each connection makes one
 * request and then stays idle until standard input ends. -r: so many connections, however long it
 * takes; %u in the URL's host counts them, from FIRST on. The names are looked up, an empty result
 * is printed, and it begins when standard input ends.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "bench/target.h"

#define HEAD_MAX    8192
#define BULK        (256 * 1024)
#define SAMPLES_MAX (1 << 20)

enum step { CONNECT, HANDSHAKE, SEND, HEAD, BODY, END };

struct conn {
	const struct target *to;
	int fd;
	uint32_t events;
	enum step step;
	SSL *ssl;
	uint64_t began;
	size_t sent; /* of head and body together */
	size_t head_len;
	uint64_t left; /* of the answer's body */
	int status;
	bool last; /* the server says that it closes */
	char head[HEAD_MAX];
};

static struct {
	unsigned connections, limit, first;
	double seconds;
	struct target_request req;
	long long answer; /* bytes, -1 = any */
	bool idle, tls;
} opt = { .connections = 1, .seconds = 1, .req.method = "GET", .answer = -1 };

static char bulk[BULK];
static struct target *targets;
static SSL_CTX *tls;
static int epoll_fd;
static uint64_t deadline;
static unsigned n_idle;
static struct {
	uint64_t requests, bytes, errors, wrong, connections;
} total;
static uint32_t *samples;
static size_t n_samples;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void want(struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (c->events == events)
		return;
	if (epoll_ctl(epoll_fd, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev))
		die("epoll_ctl");
	c->events = events;
}

static void conn_close(struct conn *c)
{
	SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	c->ssl = NULL;
	c->fd = -1;
	c->events = 0;
}

/* Another one, unless it is over. */
static void conn_open(struct conn *c)
{
	if (now_us() >= deadline || (opt.limit && total.connections >= opt.limit))
		return;
	c->to = &targets[opt.limit ? total.connections : 0];
	c->fd = socket(c->to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	/* Whatever the namespace has, which a confined command may not set: it paces as all others.
	 */
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	c->began = now_us();
	c->step = CONNECT;
	c->sent = c->head_len = 0;
	c->last = opt.req.close;
	if (connect(c->fd, (const struct sockaddr *)&c->to->addr, c->to->addr_len) &&
	    errno != EINPROGRESS)
		die("connect");
	total.connections++;
	want(c, EPOLLOUT);
}

static void conn_failed(struct conn *c)
{
	total.errors++;
	conn_close(c);
	conn_open(c);
}

/* >0 bytes, 0 end, -1 broken, -2 wait (and the events wanted are set) */
static ssize_t transfer(struct conn *c, bool write, void *buf, size_t len)
{
	ssize_t n;
	int e;

	if (!c->ssl) {
		n = write ? send(c->fd, buf, len, MSG_NOSIGNAL) : recv(c->fd, buf, len, 0);
		if (n >= 0)
			return n;
		if (errno != EAGAIN)
			return -1;
		want(c, write ? EPOLLOUT : EPOLLIN);
		return -2;
	}
	n = write ? SSL_write(c->ssl, buf, (int)len) : SSL_read(c->ssl, buf, (int)len);
	if (n > 0)
		return n;
	e = SSL_get_error(c->ssl, (int)n);
	if (e == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		return -1;
	want(c, e == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
	return -2;
}

static ssize_t step_connect(struct conn *c)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) || err)
		return -1;
	c->step = opt.tls ? HANDSHAKE : SEND;
	if (!opt.tls)
		return 1;
	c->ssl = SSL_new(tls);
	if (!c->ssl || !SSL_set_fd(c->ssl, c->fd) ||
	    !SSL_set_tlsext_host_name(c->ssl, c->to->host) || !SSL_set1_host(c->ssl, c->to->host))
		die("SSL_new");
	SSL_set_connect_state(c->ssl);
	return 1;
}

static ssize_t step_handshake(struct conn *c)
{
	int r = SSL_do_handshake(c->ssl), e;

	if (r == 1) {
		c->step = SEND;
		return 1;
	}
	e = SSL_get_error(c->ssl, r);
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		return -1;
	want(c, e == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
	return -2;
}

static ssize_t step_send(struct conn *c)
{
	size_t head = c->to->request_len, left = head + opt.req.upload - c->sent;
	ssize_t n;

	if (left == 0) {
		c->step = HEAD;
		return 1;
	}
	if (c->sent < head) /* a small body goes along */
		n = transfer(c, true, (void *)(uintptr_t)(c->to->request + c->sent),
			     opt.req.upload <= REQUEST_MAX - head ? left : head - c->sent);
	else
		n = transfer(c, true, bulk, left < BULK ? left : BULK);
	if (n > 0)
		c->sent += (size_t)n;
	return n;
}

static bool read_head(struct conn *c, const char *end)
{
	const char *line = strcasestr(c->head, "\r\ncontent-length:");
	const char *close = strcasestr(c->head, "\r\nconnection: close\r\n");

	if (strncmp(c->head, "HTTP/1.1 ", 9))
		return false;
	c->status = (int)strtol(c->head + 9, NULL, 10);
	if (c->status != 204 && (!line || line > end))
		return false;
	c->left = c->status == 204 ? 0 : strtoull(line + 17, NULL, 10);
	if ((c->status != 200 && c->status != 201 && c->status != 204) ||
	    (opt.answer >= 0 && c->left != (uint64_t)opt.answer))
		total.wrong++;
	c->last |= close && close < end + 2;
	return true;
}

static ssize_t step_head(struct conn *c)
{
	ssize_t n = transfer(c, false, c->head + c->head_len, HEAD_MAX - 1 - c->head_len);
	char *end;
	size_t more;

	if (n <= 0)
		return n == 0 ? -1 : n;
	c->head_len += (size_t)n;
	c->head[c->head_len] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (!end)
		return c->head_len < HEAD_MAX - 1 ? 1 : -1;
	if (!read_head(c, end))
		return -1;
	more = c->head_len - (size_t)(end + 4 - c->head);
	total.bytes += more;
	c->step = BODY;
	if (more > c->left)
		return -1;
	c->left -= more;
	return 1;
}

static ssize_t answered(struct conn *c)
{
	uint64_t now = now_us();

	total.requests++;
	samples[n_samples++ % SAMPLES_MAX] = (uint32_t)(now - c->began);
	c->step = END;
	if (c->last)
		return 1;
	if (opt.idle) {
		n_idle++;
		want(c, EPOLLRDHUP);
		return -2;
	}
	c->began = now;
	c->sent = c->head_len = 0;
	c->step = SEND;
	return now < deadline ? 1 : 0;
}

static ssize_t step_body(struct conn *c)
{
	ssize_t n;

	if (c->left == 0)
		return answered(c);
	n = transfer(c, false, bulk, c->left < BULK ? c->left : BULK);
	if (n == 0)
		return -1;
	if (n > 0) {
		c->left -= (uint64_t)n;
		total.bytes += (uint64_t)n;
	}
	return n;
}

/* The server was asked to close; anything else that comes is an error. */
static ssize_t step_end(struct conn *c)
{
	ssize_t n = transfer(c, false, bulk, BULK);

	return n > 0 ? -1 : n;
}

static void conn_run(struct conn *c)
{
	static ssize_t (*const steps[])(struct conn *) = {
		[CONNECT] = step_connect, [HANDSHAKE] = step_handshake, [SEND] = step_send,
		[HEAD] = step_head,       [BODY] = step_body,           [END] = step_end,
	};
	ssize_t n;

	do {
		n = steps[c->step](c);
	} while (n > 0);
	if (n == -1) {
		conn_failed(c);
	} else if (n == 0) {
		conn_close(c);
		conn_open(c);
	}
}

static int by_size(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void report(double seconds)
{
	size_t n = n_samples < SAMPLES_MAX ? n_samples : SAMPLES_MAX;
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	qsort(samples, n, sizeof(*samples), by_size);
	printf("{\"requests\": %llu, \"seconds\": %.3f, \"bytes\": %llu, \"errors\": %llu, "
	       "\"wrong\": %llu, \"connections\": %llu, \"p50\": %u, \"p99\": %u, \"idle\": %u, "
	       "\"cpu\": %.6f}\n",
	       (unsigned long long)total.requests, seconds, (unsigned long long)total.bytes,
	       (unsigned long long)total.errors, (unsigned long long)total.wrong,
	       (unsigned long long)total.connections, n ? samples[n / 2] : 0,
	       n ? samples[n - 1 - n / 100] : 0, n_idle,
	       (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	fflush(stdout);
}

static void parse_options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "c:s:m:u:l:r:f:ni")) != -1) {
		switch (o) {
		case 'c':
			opt.connections = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			opt.seconds = strtod(optarg, NULL);
			break;
		case 'm':
			opt.req.method = optarg;
			break;
		case 'u':
			opt.req.upload = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			opt.answer = strtoll(optarg, NULL, 10);
			break;
		case 'r':
			opt.limit = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'f':
			opt.first = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			opt.req.close = true;
			break;
		case 'i':
			opt.idle = true;
			break;
		default:
			exit(2);
		}
	}
	if (optind + 1 != argc)
		exit(2);
	targets =
		targets_new(argv[optind], opt.first, opt.limit ? opt.limit : 1, &opt.req, &opt.tls);
}

static void wait_for_end_of_input(void)
{
	while (getchar() != EOF)
		;
}

/* Bulk that began before the end is let come to its end, so that what is counted is whole. */
static bool over(const struct conn *conns)
{
	unsigned i;

	if (opt.idle)
		return n_idle + total.errors >= opt.connections || now_us() > deadline;
	if (now_us() < deadline && (!opt.limit || total.connections < opt.limit))
		return false;
	for (i = 0; i < opt.connections; i++)
		if (conns[i].fd >= 0)
			return now_us() > deadline + 5000000;
	return true;
}

int main(int argc, char **argv)
{
	struct epoll_event events[256];
	struct conn *conns;
	uint64_t began;
	unsigned i;
	int n;

	memset(bulk, 'x', sizeof(bulk));
	parse_options(argc, argv);
	conns = calloc(opt.connections, sizeof(*conns));
	samples = malloc(SAMPLES_MAX * sizeof(*samples));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	tls = SSL_CTX_new(TLS_client_method());
	if (!conns || !samples || epoll_fd < 0 || !tls || !SSL_CTX_set_default_verify_paths(tls))
		die("setup");
	SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	/* The length says whether an answer is whole, and not how the connection ends. */
	SSL_CTX_set_options(tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	for (i = 0; i < opt.connections; i++)
		conns[i].fd = -1;
	if (opt.limit) {
		puts("{}");
		fflush(stdout);
		wait_for_end_of_input();
	}
	began = now_us();
	deadline = began + (uint64_t)(opt.seconds * 1e6);
	for (i = 0; i < opt.connections; i++)
		conn_open(&conns[i]);
	while (!over(conns)) {
		n = epoll_wait(epoll_fd, events, 256, 100);
		for (int k = 0; k < n; k++)
			conn_run(events[k].data.ptr);
	}
	report((double)(now_us() - began) / 1e6);
	if (opt.idle)
		wait_for_end_of_input();
	return 0;
}
