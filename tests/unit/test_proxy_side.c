/* SPDX-License-Identifier: Apache-2.0 */
/* One side of a connection, as the event loop drives it. */
#include <stddef.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading_goes_on_when_there_is_room_for_a_key_update),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
