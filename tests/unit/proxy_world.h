/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection through the proxy, in a world of its own. The time is the test's: when nobody has
 * anything to do, what is waited for has come.
 */
#ifndef EXEAT_TESTS_PROXY_WORLD_H
#define EXEAT_TESTS_PROXY_WORLD_H

#include "policy_helper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/audit/pack.h"
#include "agent/core/ring.h"
#include "agent/dns/names.h"
#include "agent/proxy/ask.h"
#include "agent/proxy/conn.h"
#include "agent/proxy/pipe.h"
#include "agent/proxy/pool.h"
#include "exeat/abi.h"
#include "tests/unit/own_network.h"

#define SERVER  "198.51.100.9"
#define SECOND  1000ull
#define HOUR    (3600 * SECOND)
#define REAL_MS 10 /* so long bytes take from one socket to another at most */

static struct {
	struct ex_proxy px;
	struct ex_watch parent; /* the parent's end of what the proxy asks by */
	struct ex_timer end;
	struct ex_ring records;
	bool silent;        /* the parent does not dial */
	int err;            /* or says no */
	int listener;       /* the server's */
	int client, server; /* their ends; -1 = there is none */
} w;

/* ---- time ---- */

static uint64_t now_ms = 1000000;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	ts->tv_sec = (time_t)(now_ms / 1000);
	ts->tv_nsec = (long)(now_ms % 1000 * 1000000);
	return 0;
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int real = timeout < 0 || timeout > REAL_MS ? REAL_MS : timeout;
	int n = (int)syscall(SYS_epoll_pwait, fd, events, max, real, NULL, 0);

	if (n == 0 && timeout > 0)
		now_ms += (uint64_t)timeout;
	return n;
}

static inline void on_end(struct ex_timer *t)
{
	(void)t;
	ex_loop_quit(w.px.loop);
}

static inline void pass(uint64_t ms)
{
	assert_int_equal(ex_timer_start(w.px.loop, &w.end, ms), 0);
	assert_int_equal(ex_loop_run(w.px.loop), 0);
}

/* ---- the world ---- */

static inline struct sockaddr_in server_at(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, SERVER, &at.sin_addr), 1);
	return at;
}

static inline void have_server(void)
{
	struct sockaddr_in at = server_at(0);
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&ifr.ifr_addr, &at, sizeof(at));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	close(fd);
}

static inline int listen_at(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = server_at(port);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static inline int dial(int listener)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static inline void on_question(struct ex_watch *watch, uint32_t events)
{
	union ex_ipc_message msg = { 0 };
	int fd = -1, passed;

	(void)events;
	if (ex_ipc_receive(watch->fd, &msg, &fd) <= 0 || msg.head.type != EX_IPC_DIAL || w.silent)
		return;
	passed = dial(w.listener);
	assert_int_equal(fcntl(passed, F_SETFL, O_NONBLOCK), 0);
	w.server = accept(w.listener, NULL, NULL);
	msg.done = (struct ex_ipc_done){ .head = { EX_IPC_DIALLED, msg.head.id }, .err = w.err };
	assert_int_equal(ex_ipc_send(watch->fd, &msg, sizeof(msg.done), w.err ? -1 : passed, true),
			 0);
	close(passed);
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that has come begins so; "": the end has come. */
static inline void assert_hears(int fd, const char *begin)
{
	char got[4096] = "";
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_true(n >= 0);
	assert_int_equal(strncmp(got, begin, *begin ? strlen(begin) : sizeof(got)), 0);
}

static inline int error_of(int fd)
{
	char got;

	return recv(fd, &got, 1, MSG_DONTWAIT) < 0 ? errno : 0;
}

static inline void assert_broken_off(int fd)
{
	assert_int_equal(error_of(fd), ECONNRESET);
}

static inline void assert_hears_nothing(int fd)
{
	assert_int_equal(error_of(fd), EAGAIN);
}

static inline bool take_record(struct ex_audit_record *ret)
{
	uint8_t entry[EX_AUDIT_PACKED_MAX];
	uint32_t until, tag;
	int n;

	assert_int_equal(ex_ring_look(&w.records, &until), 0);
	n = ex_ring_take(&w.records, until, &tag, entry, sizeof(entry));
	ex_ring_release(&w.records);
	assert_true(n == 0 || ex_audit_unpack(&(struct ex_span){ (char *)entry, (size_t)n }, ret));
	return n > 0;
}

static inline int forget_records(void)
{
	struct ex_audit_record rec;

	return take_record(&rec) ? 1 + forget_records() : 0;
}

/* What was recorded since the last look is this, and so many before it. */
static inline void assert_recorded(int before, enum ex_verdict verdict, enum ex_reason reason)
{
	struct ex_audit_record rec;

	while (before--)
		assert_true(take_record(&rec));
	assert_true(take_record(&rec));
	assert_int_equal(rec.verdict, verdict);
	assert_int_equal(rec.reason, reason);
	assert_false(take_record(&rec));
}

static inline int open_proxy(void **state)
{
	static const char policy[] = HEAD "  egress:\n"
					  "  - toCIDR: [" SERVER "/32]\n"
					  "    toPorts:\n"
					  "    - ports: [{port: \"80\", protocol: TCP}]\n"
					  "      rules: {http: [{}]}\n"
					  "    - ports: [{port: \"81\", protocol: TCP}]\n"
					  "  - toFQDNs: [{matchName: mail.example}]\n"
					  "    toPorts:\n"
					  "    - ports: [{port: \"25\", protocol: TCP}]\n";
	struct ex_ip ip = test_ip(SERVER);
	int pair[2], ring = ex_ring_new();

	(void)state;
	if (!own_network())
		return -1;
	have_server();
	w.px.rs = test_compile(policy);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(ex_loop_new(&w.px.loop), 0);
	assert_int_equal(ex_ask_new(w.px.loop, pair[0], ring, &w.px.ask), 0);
	assert_int_equal(ex_pool_new(w.px.loop, &w.px.pool), 0);
	assert_int_equal(ex_pipes_new(&w.px.pipes), 0);
	assert_int_equal(ex_names_new(16, &w.px.names), 0);
	assert_int_equal(ex_names_add(w.px.names, &ip, EX_SPAN("mail.example"), now_ms, 24 * HOUR),
			 0);
	assert_int_equal(ex_ring_map(&w.records, ring), 0);
	ex_turns_init(&w.px.turns, w.px.loop);
	w.parent.fn = on_question;
	w.end.fn = on_end;
	assert_int_equal(ex_watch_start(w.px.loop, &w.parent, pair[1], EPOLLIN), 0);
	return 0;
}

/* A client has connected, has said this, and the proxy has had a second for it. */
static inline void open_conn(uint16_t port, const char *said)
{
	struct sockaddr_storage from;
	int fd;

	w.listener = listen_at(port);
	w.client = dial(w.listener);
	w.server = -1;
	fd = ex_listen_accept(w.listener, &from);
	assert_true(fd >= 0);
	ex_conn_accept(&w.px, fd, &from, false);
	say(w.client, said);
	pass(SECOND);
}

static inline int close_conn(void **state)
{
	(void)state;
	(void)forget_records();
	close(w.client);
	close(w.server);
	close(w.listener);
	w.silent = false;
	w.err = 0;
	pass(60 * SECOND);
	assert_int_equal(w.px.n_conns, 0);
	return 0;
}

/* It is open for so long, and over a little later. */
static inline void assert_lasts(uint64_t ms, uint64_t until)
{
	pass(ms);
	assert_int_equal(w.px.n_conns, 1);
	pass(until - ms);
	assert_int_equal(w.px.n_conns, 0);
}

#define ASK    "GET / HTTP/1.1\r\nHost: " SERVER "\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* So long the kernel gate knows a flow of which one end was seen: both have to hear it by then. */
#define HALF (ex_flow_timeout(IPPROTO_TCP, EX_FLOW_CLOSING) / (EX_SEC / SECOND))

#define T(test) cmocka_unit_test_teardown(test, close_conn)

#endif
