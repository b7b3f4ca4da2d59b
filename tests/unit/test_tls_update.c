/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.3 lets each side ask for new keys at any time, also while we wait for room to write. */
#include "tests/unit/tls_pair.h"

static uint8_t out[50000], in[sizeof(out)];

/* Our side, and bare OpenSSL at the other end. */
static void open_both(struct pair *p, struct foreign *f, bool we_serve)
{
	pair_open(p);
	if (we_serve) {
		foreign_open(f, false, p->fd[1]);
		assert_int_equal(accept_from(p, f, "api.openai.com", false), 0);
		assert_int_equal(SSL_read(f->ssl, in, 1), -1); /* a ticket */
		return;
	}
	f->ctx = SSL_CTX_new(TLS_method());
	f->ssl = origin_new(f->ctx, p->fd[1], ca, NAME);
	assert_int_equal(ex_tls_connect(tls, p->fd[0], NAME, 0, false, &p->server), 0);
	assert_int_equal(foreign_handshake(f, p->server), 0);
}

static void close_both(struct pair *p, struct foreign *f)
{
	foreign_close(f);
	pair_close(p);
}

static size_t fill_socket(struct ex_tls_session *s, size_t len)
{
	uint32_t want = 0;
	size_t sent = 0;
	ssize_t n;

	while ((n = ex_tls_write(s, out + sent % 251, len, &want)) > 0)
		sent += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(want, EPOLLOUT);
	return sent;
}

/* The peer reads all that was written, and we go on with the write that waits. */
static void drain(struct ex_tls_session *s, struct foreign *f, size_t sent, size_t len)
{
	uint32_t want;
	size_t got = 0, all = sent + len;
	bool done = false;

	while (got < all) {
		int m = SSL_read(f->ssl, in, sizeof(in));

		for (int i = 0; i < m; i++, got++)
			assert_int_equal(in[i], out[got / len * len % 251 + got % len]);
		if (m > 0)
			continue;
		assert_int_equal(SSL_get_error(f->ssl, m), SSL_ERROR_WANT_READ);
		if (!done) {
			ssize_t n = ex_tls_write(s, out + sent % 251, len, &want);

			assert_true(n == -EAGAIN || n == (ssize_t)len);
			done = n > 0;
		}
	}
	assert_true(done);
}

static void update_while_full(bool we_serve, size_t len)
{
	struct foreign f;
	struct pair p;
	uint32_t want = 0;
	size_t sent;

	open_both(&p, &f, we_serve);
	sent = fill_socket(p.server, len);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(SSL_key_update(f.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(f.ssl), 1);
		assert_int_equal(ex_tls_read(p.server, in, sizeof(in), &want), -EAGAIN);
		assert_int_equal(want, EPOLLIN);
		assert_int_equal(SSL_write(f.ssl, "ask", 3), 3);
		assert_int_equal(ex_tls_read(p.server, in, sizeof(in), &want), 3);
		assert_memory_equal(in, "ask", 3);
	}
	drain(p.server, &f, sent, len);
	assert_int_equal(ex_tls_write(p.server, "end", 3, &want), 3);
	assert_int_equal(SSL_read(f.ssl, in, sizeof(in)), 3);
	assert_memory_equal(in, "end", 3);
	close_both(&p, &f);
}

static void test_key_update_while_a_write_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7);
	for (int we_serve = 0; we_serve < 2; we_serve++) {
		update_while_full(we_serve, 100);
		update_while_full(we_serve, 16384);
		update_while_full(we_serve, 49000);
	}
}

/* The answer to one that comes when the socket is full leaves as soon as there is room. */
static void test_answer_to_a_key_update_leaves_without_a_write(void **state)
{
	struct foreign f;
	struct pair p;
	uint32_t want;
	char byte = 0;
	size_t n = 0;

	(void)state;
	open_both(&p, &f, true);
	while (send(p.fd[0], &byte, 1, MSG_DONTWAIT) == 1) /* no TLS: read off below */
		n++;
	for (int i = 0; i < 2; i++) { /* OpenSSL answers one when it sees the next */
		assert_int_equal(SSL_key_update(f.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(f.ssl), 1);
		assert_int_equal(ex_tls_read(p.server, in, sizeof(in), &want), -EAGAIN);
	}
	while (n--)
		assert_int_equal(recv(p.fd[1], &byte, 1, MSG_DONTWAIT), 1);
	assert_int_equal(recv(p.fd[1], &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
	assert_int_equal(ex_tls_read(p.server, in, sizeof(in), &want), -EAGAIN);
	assert_int_equal(recv(p.fd[1], &byte, 1, MSG_DONTWAIT | MSG_PEEK), 1);
	assert_int_equal(ex_tls_write(p.server, "end", 3, &want), 3);
	assert_int_equal(SSL_read(f.ssl, in, sizeof(in)), 3);
	close_both(&p, &f);
}

/* Who asks and asks, and reads nothing, is broken off before much is held for it. */
static void test_deny_endless_key_updates_of_who_reads_nothing(void **state)
{
	struct foreign f;
	struct pair p;
	uint32_t want = 0;
	int i;

	(void)state;
	open_both(&p, &f, true);
	fill_socket(p.server, 1000);
	for (i = 0; i < 10000; i++) {
		SSL_key_update(f.ssl, SSL_KEY_UPDATE_REQUESTED);
		if (SSL_do_handshake(f.ssl) != 1 ||
		    ex_tls_read(p.server, in, sizeof(in), &want) != -EAGAIN || want != EPOLLIN)
			break;
	}
	assert_in_range(i, 1000, 4500); /* of 22 bytes each: 96 KiB */
	assert_int_equal(want, EPOLLOUT);
	assert_true(ex_tls_write(p.server, out, 1000, &want) < 0);
	close_both(&p, &f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_update_while_a_write_waits),
		cmocka_unit_test(test_answer_to_a_key_update_leaves_without_a_write),
		cmocka_unit_test(test_deny_endless_key_updates_of_who_reads_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
