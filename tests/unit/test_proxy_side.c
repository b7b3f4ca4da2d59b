/* SPDX-License-Identifier: Apache-2.0 */
/* One side of a connection, as the event loop drives it. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>

#include "agent/proxy/pipe.h"
#include "agent/proxy/side.h"
#include "tests/unit/tls_pair.h"

static void on_event(struct ex_watch *w, uint32_t events)
{
	ex_side_note(ex_container_of(w, struct ex_side, watch), events);
}

/* Asks for one key update after the other and reads none, until there is no room for an answer. */
static void fill_with_key_updates(struct ex_side *s, struct foreign *f)
{
	for (int i = 0; i < 100000 && s->read_wants != EPOLLOUT; i++) {
		assert_int_equal(SSL_key_update(f->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(f->ssl), 1);
		s->readable = true;
		assert_int_equal(ex_side_fill(s), 0);
	}
	assert_int_equal(s->read_wants, EPOLLOUT);
}

/* A peer could have the loop run round for nothing: it is woken for room that is there. */
static void test_reading_goes_on_when_there_is_room_for_a_key_update(void **state)
{
	static char answers[1 << 20];
	struct ex_loop *loop;
	struct ex_side s;
	struct foreign f;
	struct pair p;

	(void)state;
	assert_int_equal(ex_loop_new(&loop), 0);
	pair_open(&p);
	foreign_open(&f, false, p.fd[1]);
	assert_int_equal(accept_from(&p, &f, "api.openai.com", false), 0);
	ex_side_init(&s, on_event);
	assert_int_equal(ex_side_open(&s, loop, p.fd[0], false), 0);
	s.tls = p.server;
	fill_with_key_updates(&s, &f);
	assert_int_equal(SSL_write(f.ssl, "hello", 5), 5);
	ex_side_update(&s, loop);
	assert_int_equal(s.watch.events, EPOLLOUT);

	assert_true(recv(p.fd[1], answers, sizeof(answers), 0) > 0);
	while (recv(p.fd[1], answers, sizeof(answers), 0) > 0)
		;
	ex_side_note(&s, EPOLLOUT);
	assert_int_equal(ex_side_fill(&s), 1);
	assert_int_equal(ex_buf_len(&s.in), 5);
	ex_side_update(&s, loop);
	assert_int_equal(s.watch.events, EPOLLIN);

	ex_side_close(&s, loop);
	foreign_close(&f);
	close(p.fd[1]);
	ex_loop_free(loop);
}

static void read_records(struct foreign *f, size_t most)
{
	char byte[2];

	for (size_t i = 0; i < most && SSL_read(f->ssl, byte, sizeof(byte)) == 1; i++)
		;
}

/* The last byte has left, and there is no room for another. */
static void fill_to_the_last_byte(struct ex_side *s, struct foreign *f)
{
	for (int i = 0; i < 100000 && !ex_buf_len(&s->out); i++) {
		assert_int_equal(ex_buf_append(&s->out, "x", 1), 0);
		assert_in_range(ex_side_flush(s), 0, 1);
	}
	assert_int_equal(ex_buf_len(&s->out), 1);
	read_records(f, 1);
	assert_int_equal(ex_side_flush(s), 1);
	assert_int_equal(ex_buf_len(&s->out), 0);
}

/* Without it the peer takes all of what it was sent for cut short. */
static void test_close_notify_waits_for_room(void **state)
{
	struct ex_loop *loop;
	struct ex_side s;
	struct foreign f;
	struct pair p;
	char byte;

	(void)state;
	assert_int_equal(ex_loop_new(&loop), 0);
	pair_open(&p);
	foreign_open(&f, false, p.fd[1]);
	assert_int_equal(accept_from(&p, &f, "api.openai.com", false), 0);
	ex_side_init(&s, on_event);
	assert_int_equal(ex_side_open(&s, loop, p.fd[0], false), 0);
	s.tls = p.server;
	fill_to_the_last_byte(&s, &f); /* it reads tickets, too, which leaves more room */
	fill_to_the_last_byte(&s, &f);
	ex_side_finish(&s);
	ex_side_update(&s, loop);
	assert_true(s.watch.events & EPOLLOUT);
	assert_int_equal(ex_side_flush(&s), 0);

	read_records(&f, SIZE_MAX);
	assert_int_equal(SSL_get_error(f.ssl, 0), SSL_ERROR_WANT_READ);
	assert_int_equal(ex_side_flush(&s), 1);
	assert_int_equal(SSL_read(f.ssl, &byte, 1), 0);
	assert_int_equal(SSL_get_error(f.ssl, 0), SSL_ERROR_ZERO_RETURN);
	assert_int_equal(recv(p.fd[1], &byte, 1, MSG_DONTWAIT), 0);
	ex_side_update(&s, loop);
	assert_false(s.watch.events & EPOLLOUT);

	ex_side_close(&s, loop);
	foreign_close(&f);
	close(p.fd[1]);
	ex_loop_free(loop);
}

/* ---- plain ---- */

/* ret[0] is a side's, and non-blocking. */
static void connect_pair(int ret[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	ret[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ret[1], (struct sockaddr *)&at, sizeof(at)), 0);
	ret[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(ret[0] >= 0);
	assert_int_equal(setsockopt(ret[0], IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
	close(listener);
}

static bool arrives(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void open_plain(struct ex_side *s, struct ex_loop **loop, int fd[2])
{
	assert_int_equal(ex_loop_new(loop), 0);
	connect_pair(fd);
	ex_side_init(s, on_event);
	s->edge = true;
	assert_int_equal(ex_side_open(s, *loop, fd[0], false), 0);
}

static void close_plain(struct ex_side *s, struct ex_loop *loop, const int fd[2])
{
	ex_side_close(s, loop);
	close(fd[1]);
	ex_loop_free(loop);
}

static void test_last_bytes_and_the_end_leave_together(void **state)
{
	struct ex_loop *loop;
	struct ex_side s;
	char got[8];
	int fd[2];

	(void)state;
	open_plain(&s, &loop, fd);
	assert_int_equal(ex_buf_append(&s.out, "more", 4), 0);
	assert_int_equal(ex_side_flush(&s), 1);
	assert_true(arrives(fd[1], 2000));
	assert_int_equal(recv(fd[1], got, sizeof(got), 0), 4);

	assert_int_equal(ex_buf_append(&s.out, "last", 4), 0);
	s.last = true;
	assert_int_equal(ex_side_flush(&s), 1);
	assert_false(arrives(fd[1], 20));
	ex_side_finish(&s);
	assert_true(arrives(fd[1], 2000));
	assert_int_equal(recv(fd[1], got, sizeof(got), 0), 4);
	assert_int_equal(recv(fd[1], got, sizeof(got), MSG_DONTWAIT), 0);
	close_plain(&s, loop, fd);
}

/* Its peer may go on listening: turning away from its end would cost a call for each. */
static void test_ended_side_is_watched_as_before(void **state)
{
	struct ex_loop *loop;
	struct ex_side s;
	uint32_t events;
	int fd[2];

	(void)state;
	open_plain(&s, &loop, fd);
	events = s.watch.events;
	assert_true(events & EPOLLET);
	assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
	ex_side_note(&s, EPOLLIN | EPOLLRDHUP);
	assert_true(arrives(fd[0], 2000));
	assert_int_equal(ex_side_fill(&s), 1);
	assert_true(s.eof);
	ex_side_update(&s, loop);
	assert_int_equal(s.watch.events, events);
	/* but told of each time anew it would turn in circles */
	s.edge = false;
	ex_side_update(&s, loop);
	assert_int_equal(s.watch.events, 0);
	close_plain(&s, loop, fd);
}

/* Before urgent data a pipe has no more to say: it is to be read, and is no end. */
static void test_pipe_does_not_take_urgent_data_for_the_end(void **state)
{
	struct ex_pipes *pipes;
	struct ex_pipe *pipe;
	struct ex_loop *loop;
	struct ex_side s;
	int fd[2];

	(void)state;
	open_plain(&s, &loop, fd);
	assert_int_equal(ex_pipes_new(&pipes), 0);
	pipe = ex_pipe_get(pipes);
	assert_int_equal(send(fd[1], "before", 6, 0), 6);
	assert_int_equal(send(fd[1], "!", 1, MSG_OOB), 1);
	assert_true(arrives(fd[0], 2000));
	ex_side_note(&s, EPOLLIN | EPOLLPRI);
	assert_int_equal(ex_pipe_fill(pipe, &s, 100), 1);
	assert_int_equal(pipe->fill, 6);
	pipe->fill = 0; /* as if it had gone on */
	for (int end = 0; end < 2; end++) {
		assert_int_equal(ex_pipe_fill(pipe, &s, 100), 0);
		assert_true(s.readable);
		assert_false(s.eof);
		assert_int_equal(send(fd[1], "behind", 6, MSG_NOSIGNAL), end ? -1 : 6);
		shutdown(fd[1], SHUT_WR);
	}
	while (!s.eof)
		assert_in_range(ex_side_fill(&s), 0, 1);
	assert_int_equal(ex_buf_len(&s.in), 6);
	assert_memory_equal(ex_buf_ptr(&s.in), "behind", 6);
	pipe->fill = 1; /* it still has something */
	ex_pipe_put(pipes, pipe);
	free(pipes);
	close_plain(&s, loop, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading_goes_on_when_there_is_room_for_a_key_update),
		cmocka_unit_test(test_close_notify_waits_for_room),
		cmocka_unit_test(test_last_bytes_and_the_end_leave_together),
		cmocka_unit_test(test_ended_side_is_watched_as_before),
		cmocka_unit_test(test_pipe_does_not_take_urgent_data_for_the_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
