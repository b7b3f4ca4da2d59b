/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection through the proxy, and how long it may be silent. The time is the test's own: when
 * nobody has anything to do, what is waited for has come.
 */
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

static void on_end(struct ex_timer *t)
{
	(void)t;
	ex_loop_quit(w.px.loop);
}

static void pass(uint64_t ms)
{
	assert_int_equal(ex_timer_start(w.px.loop, &w.end, ms), 0);
	assert_int_equal(ex_loop_run(w.px.loop), 0);
}

/* ---- the world ---- */

static struct sockaddr_in server_at(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, SERVER, &at.sin_addr), 1);
	return at;
}

static void have_server(void)
{
	struct sockaddr_in at = server_at(0);
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&ifr.ifr_addr, &at, sizeof(at));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	close(fd);
}

static int listen_at(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = server_at(port);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int dial(int listener)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void on_question(struct ex_watch *watch, uint32_t events)
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

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that has come begins so; "": the end has come. */
static void assert_hears(int fd, const char *begin)
{
	char got[4096] = "";
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_true(n >= 0);
	assert_int_equal(strncmp(got, begin, *begin ? strlen(begin) : sizeof(got)), 0);
}

static int error_of(int fd)
{
	char got;

	return recv(fd, &got, 1, MSG_DONTWAIT) < 0 ? errno : 0;
}

static void assert_broken_off(int fd)
{
	assert_int_equal(error_of(fd), ECONNRESET);
}

static void assert_hears_nothing(int fd)
{
	assert_int_equal(error_of(fd), EAGAIN);
}

static bool take_record(struct ex_audit_record *ret)
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

static int forget_records(void)
{
	struct ex_audit_record rec;

	return take_record(&rec) ? 1 + forget_records() : 0;
}

/* What was recorded since the last look is this, and so many before it. */
static void assert_recorded(int before, enum ex_verdict verdict, enum ex_reason reason)
{
	struct ex_audit_record rec;

	while (before--)
		assert_true(take_record(&rec));
	assert_true(take_record(&rec));
	assert_int_equal(rec.verdict, verdict);
	assert_int_equal(rec.reason, reason);
	assert_false(take_record(&rec));
}

static int open_proxy(void **state)
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
static void open_conn(uint16_t port, const char *said)
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

static int close_conn(void **state)
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
static void assert_lasts(uint64_t ms, uint64_t until)
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

/* ---- a half that was closed ---- */

static void test_request_of_a_client_that_has_ended(void **state)
{
	(void)state;
	open_conn(80, ASK);
	assert_hears(w.server, "GET / ");
	shutdown(w.client, SHUT_WR);
	pass(SECOND);
	assert_hears(w.server, ""); /* the end */
	assert_lasts(HALF * 3 / 4, HALF - 3 * SECOND);
	assert_broken_off(w.client);
}

static void test_stream_of_a_client_that_has_ended(void **state)
{
	(void)state;
	open_conn(81, "hello");
	assert_hears(w.server, "hello");
	shutdown(w.client, SHUT_WR);
	pass(SECOND);
	assert_hears(w.server, "");
	assert_lasts(HALF * 3 / 4, HALF - 3 * SECOND);
	assert_broken_off(w.client);
}

static void test_stream_of_a_server_that_has_ended(void **state)
{
	(void)state;
	open_conn(81, "hello");
	assert_hears(w.server, "hello");
	shutdown(w.server, SHUT_WR);
	pass(SECOND);
	assert_hears(w.client, "");
	assert_lasts(HALF * 3 / 4, HALF - 3 * SECOND);
	assert_broken_off(w.server);
}

/* Each byte that moves gives it as much time again. */
static void test_half_a_stream_goes_on_while_bytes_move(void **state)
{
	(void)state;
	open_conn(81, "hello");
	assert_hears(w.server, "hello");
	shutdown(w.client, SHUT_WR);
	for (int i = 0; i < 4; i++) {
		pass(HALF * 3 / 4);
		say(w.server, "more");
		pass(SECOND);
		assert_hears(w.client, "more");
	}
	assert_lasts(HALF * 3 / 4, HALF - 3 * SECOND);
}

/* ---- both ways open ---- */

static void test_silent_request(void **state)
{
	(void)state;
	open_conn(80, ASK);
	assert_lasts(HOUR - 60 * SECOND, HOUR + 60 * SECOND);
	assert_broken_off(w.client);
}

static void test_silent_stream(void **state)
{
	(void)state;
	open_conn(81, "hello");
	assert_hears(w.server, "hello");
	assert_lasts(HOUR - 60 * SECOND, HOUR + 60 * SECOND);
	assert_broken_off(w.client);
	assert_broken_off(w.server);
}

static void test_client_that_asks_no_more(void **state)
{
	(void)state;
	open_conn(80, ASK);
	say(w.server, ANSWER);
	pass(SECOND);
	assert_hears(w.client, "HTTP/1.1 200 ");
	assert_lasts(110 * SECOND, 130 * SECOND);
	assert_hears(w.client, "");
}

static void test_half_a_head(void **state)
{
	(void)state;
	open_conn(80, "GET / HTTP/1.1\r\nHo");
	assert_lasts(110 * SECOND, 130 * SECOND);
	assert_int_equal(w.server, -1);
}

static void test_client_that_says_nothing(void **state)
{
	(void)state;
	open_conn(80, "");
	assert_lasts(8 * SECOND, 12 * SECOND);
	assert_broken_off(w.client);
	assert_int_equal(w.server, -1);
}

static void test_refused_client_that_does_not_end(void **state)
{
	(void)state;
	open_conn(80, "GET /  HTTP/1.1\r\n\r\n");
	assert_lasts(20 * SECOND, 40 * SECOND);
	assert_hears(w.client, "HTTP/1.1 400 ");
	assert_hears(w.client, "");
}

static void test_dial_that_is_not_answered(void **state)
{
	(void)state;
	w.silent = true;
	open_conn(80, ASK);
	pass(8 * SECOND);
	assert_hears_nothing(w.client);
	pass(4 * SECOND);
	assert_hears(w.client, "HTTP/1.1 504 ");
}

/* ---- a body that ends with the connection ---- */

static void test_dial_that_the_parent_denies(void **state)
{
	(void)state;
	w.err = -ESTALE;
	open_conn(81, "what is to be said\r\n");
	assert_broken_off(w.client);
	assert_recorded(1, EX_V_DENY, EX_R_ADDRESS_NOT_OF_NAME);
}

static void break_off(int *fd)
{
	struct linger l = { .l_onoff = 1 };

	assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	close(EX_TAKE_FD(*fd));
	pass(SECOND);
}

static void open_until_end(const char *ask)
{
	open_conn(80, ask);
	assert_hears(w.server, "GET / ");
	say(w.server, "HTTP/1.1 200 OK\r\n\r\nso far");
	pass(SECOND);
	assert_hears(w.client, "HTTP/1.1 200 OK\r\n");
}

/* So much is not read to the end before there is an answer. */
static void test_client_that_breaks_off_behind_more_requests(void **state)
{
	static char more[100000];

	(void)state;
	memset(more, 'x', sizeof(more));
	open_conn(80, ASK "PUT / HTTP/1.1\r\nHost: " SERVER "\r\nContent-Length: 900000\r\n\r\n");
	assert_hears(w.server, "GET / ");
	assert_true(send(w.client, more, sizeof(more), MSG_DONTWAIT) > 0);
	pass(SECOND);
	assert_int_equal(w.px.n_conns, 1);
	break_off(&w.client);
	assert_hears(w.server, "");
	assert_int_equal(w.px.n_conns, 0);
}

static void test_body_until_the_end(void **state)
{
	(void)state;
	open_until_end(ASK);
	say(w.server, ", and the rest");
	close(EX_TAKE_FD(w.server));
	pass(SECOND);
	assert_hears(w.client, ", and the rest");
	assert_hears(w.client, "");
}

static void test_body_until_a_break(void **state)
{
	(void)state;
	open_until_end(ASK);
	break_off(&w.server);
	assert_broken_off(w.client);
}

/* As the kernel does it for a process that is killed. */
static void close_unsaid(void)
{
	struct ex_conn *c = ex_container_of(w.px.conns, struct ex_conn, link);

	ex_conn_close(c);
	pass(SECOND);
}

static void test_body_until_the_end_without_us(void **state)
{
	(void)state;
	open_until_end(ASK);
	close_unsaid();
	assert_broken_off(w.client);
}

/* A client of HTTP/1.0 knows no other end. */
static void test_chunks_for_an_old_client_without_us(void **state)
{
	(void)state;
	open_conn(80, "GET / HTTP/1.0\r\nHost: " SERVER "\r\n\r\n");
	say(w.server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nso far\r\n");
	pass(SECOND);
	assert_hears(w.client, "HTTP/1.1 200 OK\r\n");
	close_unsaid();
	assert_broken_off(w.client);
}

/* What it means it says: nothing to pay for. */
static void test_body_with_a_length_without_us(void **state)
{
	(void)state;
	open_conn(80, ASK);
	say(w.server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nso far");
	pass(SECOND);
	assert_hears(w.client, "HTTP/1.1 200 OK\r\n");
	close_unsaid();
	assert_hears(w.client, "");
}

/* ---- a client that reads slowly ---- */

#define BODY 100000 /* more than the sockets hold, and not enough for a pipe */

/* The server has said all of it; of what the client has not read most waits in the proxy. */
static void open_slow(const char *ask)
{
	static char answer[64 + BODY];
	int n = snprintf(answer, 64, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);
	int few = 4096, ours;

	open_conn(80, ask);
	assert_int_equal(setsockopt(w.client, SOL_SOCKET, SO_RCVBUF, &few, sizeof(few)), 0);
	ours = ex_container_of(w.px.conns, struct ex_conn, link)->client.fd;
	assert_int_equal(setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few)), 0);
	memset(answer + n, 'x', BODY);
	assert_int_equal(send(w.server, answer, (size_t)n + BODY, MSG_NOSIGNAL), n + BODY);
	pass(SECOND);
}

static void assert_reads_the_body(void)
{
	static char got[4096];
	size_t all = 0;
	ssize_t n;

	for (int quiet = 0; quiet < 60;) {
		n = recv(w.client, got, sizeof(got), MSG_DONTWAIT);
		all += n > 0 ? (size_t)n : 0;
		quiet = n > 0 ? 0 : quiet + 1;
		pass(10);
	}
	assert_in_range(all, BODY, BODY + 1000); /* with the head */
}

static void test_last_answer_for_a_client_that_pauses(void **state)
{
	(void)state;
	open_slow("GET / HTTP/1.1\r\nHost: " SERVER "\r\nConnection: close\r\n\r\n");
	pass(600 * SECOND);
	assert_reads_the_body();
	assert_hears(w.client, "");
}

static void test_answer_for_a_client_that_pauses(void **state)
{
	(void)state;
	open_slow(ASK);
	pass(600 * SECOND);
	assert_reads_the_body();
	assert_lasts(110 * SECOND, 130 * SECOND);
	assert_hears(w.client, "");
}

/* ---- a server that speaks first ---- */

static void open_greeted(void)
{
	open_conn(25, "");
	assert_true(w.server >= 0);
	say(w.server, "220 hello");
	pass(SECOND);
	assert_hears(w.client, "220 hello");
}

static void test_greeting_of_a_server_that_ends_is_recorded(void **state)
{
	(void)state;
	open_greeted();
	close(EX_TAKE_FD(w.server));
	pass(SECOND);
	assert_int_equal(w.px.n_conns, 0);
	assert_recorded(0, EX_V_ALLOW, EX_R_ALLOWED);
}

static void test_greeting_of_a_client_that_ends_is_recorded(void **state)
{
	(void)state;
	open_greeted();
	close(EX_TAKE_FD(w.client));
	pass(SECOND);
	assert_int_equal(w.px.n_conns, 0);
	assert_recorded(0, EX_V_ALLOW, EX_R_ALLOWED);
}

static void test_answered_greeting_is_recorded_once(void **state)
{
	(void)state;
	open_greeted();
	say(w.client, "EHLO me\r\n");
	pass(SECOND);
	assert_hears(w.server, "EHLO me\r\n");
	assert_recorded(0, EX_V_ALLOW, EX_R_ALLOWED);
}

/* ---- what is neither TLS nor HTTP ---- */

/* There is no end of a line behind it, but its own: it becomes nothing else. */
static void test_word_that_is_all_there_is(void **state)
{
	(void)state;
	open_conn(25, "QUIT");
	assert_int_equal(w.server, -1);
	shutdown(w.client, SHUT_WR);
	pass(SECOND);
	assert_hears(w.server, "QUIT");
	assert_recorded(0, EX_V_ALLOW, EX_R_ALLOWED);
}

static void test_beginning_of_http_or_tls_that_is_all_there_is(void **state)
{
	static const char *const all[] = { "PRI * HTTP/2.0\r\n", "\x16\x03\x01\x01" };

	for (size_t i = 0; i < EX_ARRAY_SIZE(all); i++) {
		open_conn(25, all[i]);
		shutdown(w.client, SHUT_WR);
		pass(SECOND);
		assert_int_equal(w.server, -1);
		assert_recorded(0, EX_V_DENY, EX_R_UNKNOWN_PROTOCOL);
		assert_int_equal(close_conn(state), 0);
	}
	w.client = w.listener = -1;
}

/* Nothing has gone to the server, but somebody listens to it. */
static void swap_to(const char *rest)
{
	struct ex_ruleset *old = w.px.rs;
	char text[1024];

	snprintf(text, sizeof(text),
		 "apiVersion: exeat.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: t}\n"
		 "spec:\n  egress:\n  - toFQDNs: [{matchName: mail.example}]\n    toPorts:\n"
		 "    - ports: [{port: \"25\", protocol: TCP}]\n%s",
		 rest);
	w.px.rs = test_compile(text);
	(void)forget_records();
	ex_conns_judge_again(&w.px);
	pass(SECOND);
	ex_ruleset_unref(w.px.rs);
	w.px.rs = old;
}

static void test_greeting_under_another_policy(void **state)
{
	(void)state;
	open_greeted();
	swap_to("");
	assert_int_equal(w.px.n_conns, 1);
	assert_hears_nothing(w.client);
	swap_to("      rules: {http: [{}]}\n");
	assert_recorded(0, EX_V_DENY, EX_R_POLICY_CHANGED);
	assert_broken_off(w.client);
	assert_broken_off(w.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_request_of_a_client_that_has_ended),
		T(test_stream_of_a_client_that_has_ended),
		T(test_stream_of_a_server_that_has_ended),
		T(test_half_a_stream_goes_on_while_bytes_move),
		T(test_silent_request),
		T(test_silent_stream),
		T(test_client_that_asks_no_more),
		T(test_half_a_head),
		T(test_client_that_says_nothing),
		T(test_refused_client_that_does_not_end),
		T(test_dial_that_is_not_answered),
		T(test_dial_that_the_parent_denies),
		T(test_client_that_breaks_off_behind_more_requests),
		T(test_body_until_the_end),
		T(test_body_until_a_break),
		T(test_body_until_the_end_without_us),
		T(test_chunks_for_an_old_client_without_us),
		T(test_body_with_a_length_without_us),
		T(test_last_answer_for_a_client_that_pauses),
		T(test_answer_for_a_client_that_pauses),
		T(test_greeting_of_a_server_that_ends_is_recorded),
		T(test_greeting_of_a_client_that_ends_is_recorded),
		T(test_answered_greeting_is_recorded_once),
		T(test_greeting_under_another_policy),
		T(test_word_that_is_all_there_is),
		T(test_beginning_of_http_or_tls_that_is_all_there_is),
	};

	return cmocka_run_group_tests(tests, open_proxy, NULL);
}
