/* SPDX-License-Identifier: Apache-2.0 */
/* Real handshakes in one process: our server side against our client side over a socketpair. */
#include <stddef.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/tls/hello.h"
#include "tests/unit/tls_pair.h"

/* ---- good ---- */

static void test_handshake_and_data_both_ways(void **state)
{
	struct pair p;
	char byte;
	uint32_t want;

	(void)state;
	pair_connect(&p, NAME, NAME, false, false);
	assert_int_equal(p.server_r, 0);
	assert_int_equal(p.client_r, 0);
	assert_false(ex_tls_is_h2(p.server));
	assert_moves(p.client, p.server, "GET / HTTP/1.1\r\n\r\n");
	assert_moves(p.server, p.client, "HTTP/1.1 200 OK\r\n\r\n");
	assert_true(ex_tls_shutdown(p.client));
	assert_int_equal(ex_tls_read(p.server, &byte, 1, &want), 0);
	assert_true(ex_tls_shutdown(p.server));
	pair_close(&p);
}

static void test_h2_is_chosen_only_when_both_allow_it(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct pair p;

		pair_connect(&p, NAME, NAME, i & 1, i & 2);
		assert_int_equal(p.server_r, 0);
		assert_int_equal(p.client_r, 0);
		assert_int_equal(ex_tls_is_h2(p.server), i == 3);
		assert_int_equal(ex_tls_is_h2(p.client), i == 3);
		pair_close(&p);
	}
}

static void test_early_bytes_come_before_the_socket(void **state)
{
	static uint8_t early[EX_HELLO_MAX];

	(void)state;
	for (size_t cut = 1; cut < 2048; cut = cut * 3 + 1) {
		struct pair p;
		struct ex_hello hello;
		uint32_t want;
		ssize_t n;

		pair_open(&p);
		assert_int_equal(ex_tls_connect(tls, p.fd[1], NAME, 0, false, &p.client), 0);
		assert_int_equal(ex_tls_handshake(p.client, &want), -EAGAIN);
		n = recv(p.fd[0], early, sizeof(early), MSG_PEEK);
		assert_int_equal(ex_hello_parse(early, (size_t)n, &hello), EX_HELLO_DONE);
		assert_string_equal(hello.sni, "api.openai.com");
		n = recv(p.fd[0], early, cut, 0);
		assert_true(n > 0);
		assert_int_equal(
			ex_tls_accept(tls, p.fd[0], NAME, early, (size_t)n, false, &p.server), 0);
		memset(early, 0, sizeof(early)); /* it was copied */
		pair_handshake(&p);
		assert_int_equal(p.server_r, 0);
		assert_int_equal(p.client_r, 0);
		assert_moves(p.client, p.server, "x");
		pair_close(&p);
	}
}

/* Moves at most n bytes; false when nothing moved. */
static bool relay(int from, int to, size_t n)
{
	char buf[64];
	ssize_t got = recv(from, buf, n, MSG_DONTWAIT);

	if (got <= 0)
		return false;
	assert_int_equal(send(to, buf, (size_t)got, 0), got);
	return true;
}

static void test_transport_of_one_byte_at_a_time(void **state)
{
	int left[2], right[2];
	struct pair p = { 0 };
	uint32_t want;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, left), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, right), 0);
	assert_int_equal(ex_tls_accept(tls, left[0], NAME, NULL, 0, false, &p.server), 0);
	assert_int_equal(ex_tls_connect(tls, right[0], NAME, 0, false, &p.client), 0);
	p.server_r = p.client_r = -EAGAIN;
	for (int i = 0; i < 20000 && (p.server_r || p.client_r); i++) {
		if (p.client_r)
			p.client_r = ex_tls_handshake(p.client, &want);
		if (p.server_r)
			p.server_r = ex_tls_handshake(p.server, &want);
		assert_true(p.client_r == 0 || p.client_r == -EAGAIN);
		assert_true(p.server_r == 0 || p.server_r == -EAGAIN);
		relay(left[1], right[1], 1);
		relay(right[1], left[1], 1);
	}
	assert_int_equal(p.server_r, 0);
	assert_int_equal(p.client_r, 0);
	ex_tls_session_free(p.server);
	ex_tls_session_free(p.client);
	for (int i = 0; i < 2; i++) {
		close(left[i]);
		close(right[i]);
	}
}

static void test_full_socket_says_wait_for_room_and_nothing_is_lost(void **state)
{
	static uint8_t out[16384], in[16384];
	size_t sent = 0, got = 0;
	struct pair p;
	uint32_t want = 0;
	ssize_t n;

	(void)state;
	pair_connect(&p, NAME, NAME, false, false);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7);
	while ((n = ex_tls_write(p.server, out + sent % sizeof(out),
				 sizeof(out) - sent % sizeof(out), &want)) > 0)
		sent += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(want, EPOLLOUT);
	while (got < sent) {
		n = ex_tls_read(p.client, in, sizeof(in), &want);
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(in[i], out[(got + (size_t)i) % sizeof(out)]);
		got += (size_t)n;
	}
	pair_close(&p);
}

/* Several records in one go: done when the last byte is in the socket, and repeated until then. */
static void test_many_records_at_once_arrive_in_order(void **state)
{
	static uint8_t out[50000], in[sizeof(out)];
	size_t rounds = 0, waits = 0, got = 0;
	uint32_t want = 0;
	struct pair p;
	ssize_t n;

	(void)state;
	pair_connect(&p, NAME, NAME, false, false);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	while (rounds < 40 || got < rounds * sizeof(out)) {
		n = rounds < 40 ? ex_tls_write(p.server, out, sizeof(out), &want) : 0;
		assert_true(n == 0 || n == -EAGAIN || n == (ssize_t)sizeof(out));
		rounds += n > 0;
		waits += n == -EAGAIN;
		if (n > 0)
			continue;
		n = ex_tls_read(p.client, in, sizeof(out) - got % sizeof(out), &want);
		assert_true(n > 0 || n == -EAGAIN);
		if (n > 0)
			assert_memory_equal(in, out + got % sizeof(out), (size_t)n);
		got += n > 0 ? (size_t)n : 0;
	}
	assert_true(waits > 0);
	assert_false(ex_tls_has_more(p.client) && ex_tls_read(p.client, in, 1, &want) > 0);
	pair_close(&p);
}

/* What is on its way when the session says goodbye, or has to answer a key update, keeps its place.
 */
static void test_held_records_keep_their_place(void **state)
{
	static uint8_t out[50000], in[sizeof(out)];
	uint32_t want = 0;
	struct foreign f;
	struct pair p;
	ssize_t n;
	size_t got = 0, sent = 0;

	(void)state;
	pair_open(&p);
	foreign_open(&f, false, p.fd[1]);
	assert_int_equal(accept_from(&p, &f, "api.openai.com", false), 0);
	while ((n = ex_tls_write(p.server, out, sizeof(out), &want)) > 0)
		sent += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(SSL_key_update(f.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	assert_int_equal(SSL_write(f.ssl, "x", 1), 1);
	assert_int_equal(ex_tls_read(p.server, in, 1, &want), 1);
	while (got < sent + sizeof(out)) {
		int m = SSL_read(f.ssl, in, sizeof(in));

		if (m > 0)
			got += (size_t)m;
		else
			assert_int_equal(ex_tls_write(p.server, out, sizeof(out), &want),
					 (ssize_t)sizeof(out));
	}
	assert_int_equal(ex_tls_write(p.server, "end", 3, &want), 3);
	assert_int_equal(SSL_read(f.ssl, in, sizeof(in)), 3);
	assert_memory_equal(in, "end", 3);
	foreign_close(&f);
	pair_close(&p);
}

static void test_write_of_many_records_to_a_peer_that_is_gone(void **state)
{
	static uint8_t out[50000];
	uint32_t want;
	struct pair p;

	(void)state;
	pair_connect(&p, NAME, NAME, false, false);
	while (ex_tls_write(p.server, out, sizeof(out), &want) > 0)
		;
	shutdown(p.fd[1], SHUT_RD);
	assert_int_equal(ex_tls_write(p.server, out, sizeof(out), &want), -EPIPE);
	assert_int_equal(ex_tls_write(p.server, out, sizeof(out), &want), -EPIPE);
	pair_close(&p);
}

/* In place of the library's: a connection that breaks between two calls. -1: it holds. */
static int sends_left = -1;

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	if (sends_left == 0) {
		errno = ECONNRESET;
		return -1;
	}
	if (sends_left > 0) {
		sends_left--;
		len /= 2;
	}
	return sendto(fd, buf, len, flags, NULL, 0);
}

/* Whoever asks whether it may be sent once more, elsewhere, has to know. */
static void test_a_part_that_has_left_is_told_before_the_error(void **state)
{
	static uint8_t out[50000];
	uint32_t want;
	struct pair p;

	(void)state;
	pair_connect(&p, NAME, NAME, false, false);
	sends_left = 1;
	assert_int_equal(ex_tls_write(p.server, out, sizeof(out), &want), -EAGAIN);
	assert_int_equal(ex_tls_write(p.server, out, sizeof(out), &want), -ECONNRESET);
	sends_left = -1;
	pair_close(&p);
	pair_connect(&p, NAME, NAME, false, false);
	sends_left = 0;
	assert_int_equal(ex_tls_write(p.server, out, sizeof(out), &want), -ECONNRESET);
	sends_left = -1;
	pair_close(&p);
}

/* ---- deny ---- */

static void test_deny_client_that_wants_another_name(void **state)
{
	struct pair p;

	(void)state;
	pair_connect(&p, NAME, EX_SPAN("api.openai.co"), false, false);
	assert_int_equal(p.server_r, -EPROTO);
	assert_int_equal(p.client_r, -EPROTO);
	assert_non_null(strstr(ex_tls_error(p.client), "unrecognized name"));
	pair_close(&p);
}

static void test_deny_upstream_signed_by_a_stranger(void **state)
{
	struct ex_ca *stranger;
	struct pair p;

	(void)state;
	assert_int_equal(ex_ca_new(2, &stranger), 0);
	assert_int_equal(add_leaf_of(stranger, EX_SPAN("evil.com"), EX_SPAN("evil.com")), 0);
	pair_connect(&p, EX_SPAN("evil.com"), EX_SPAN("evil.com"), false, false);
	assert_int_equal(p.client_r, -EKEYREJECTED);
	assert_non_null(strstr(ex_tls_error(p.client), "certificate"));
	assert_true(p.server_r < 0);
	/* and it stays broken */
	assert_int_equal(ex_tls_handshake(p.client, &(uint32_t){ 0 }), -EPIPE);
	assert_true(ex_tls_write(p.client, "x", 1, &(uint32_t){ 0 }) < 0);
	pair_close(&p);
	ex_ca_free(stranger);
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *len,
		     const unsigned char *in, unsigned int in_len, void *arg)
{
	(void)ssl;
	(void)in;
	(void)in_len;
	(void)arg;
	*out = (const unsigned char *)"h2";
	*len = 2;
	return SSL_TLSEXT_ERR_OK;
}

static void test_deny_upstream_that_chooses_what_was_not_offered(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	(void)state;
	SSL_CTX_set_alpn_select_cb(ctx, choose_h2, NULL);
	for (int h2 = 0; h2 < 2; h2++) {
		struct foreign f = { .ctx = ctx };
		struct pair p;

		pair_open(&p);
		f.ssl = origin_new(ctx, p.fd[0], ca, NAME);
		assert_int_equal(ex_tls_connect(tls, p.fd[1], NAME, 0, h2, &p.client), 0);
		assert_int_equal(foreign_handshake(&f, p.client), h2 ? 0 : -EPROTO);
		SSL_free(f.ssl);
		pair_close(&p);
	}
	SSL_CTX_free(ctx);
}

static void test_name_is_compared_without_case_and_its_absence_is_denied(void **state)
{
	static const char *const snis[] = { "API.OpenAI.com", NULL, "api.openai.com.",
					    "localhost" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(snis); i++) {
		struct foreign f;
		struct pair p;

		pair_open(&p);
		foreign_open(&f, false, p.fd[1]);
		assert_int_equal(accept_from(&p, &f, snis[i], false), i == 0 ? 0 : -EPROTO);
		foreign_close(&f);
		pair_close(&p);
	}
}

/* A second ClientHello, asked for by HelloRetryRequest, is held to the name as the first is. */
static void test_deny_client_that_changes_its_name_behind_a_retry(void **state)
{
	static const char *const second[] = { "api.openai.com", "evil.com" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(second); i++) {
		struct foreign f;
		struct pair p;
		uint32_t want;

		pair_open(&p);
		foreign_open(&f, false, p.fd[1]);
		SSL_set1_groups_list(f.ssl,
				     "P-521:P-256"); /* a key share for a group we do not take */
		SSL_set_tlsext_host_name(f.ssl, "api.openai.com");
		assert_int_equal(ex_tls_accept(tls, p.fd[0], NAME, NULL, 0, false, &p.server), 0);
		SSL_do_handshake(f.ssl);
		assert_int_equal(ex_tls_handshake(p.server, &want), -EAGAIN);
		SSL_set_tlsext_host_name(f.ssl, second[i]);
		SSL_do_handshake(f.ssl);
		assert_int_equal(foreign_handshake(&f, p.server), i == 0 ? 0 : -EPROTO);
		foreign_close(&f);
		pair_close(&p);
	}
}

static void test_deny_client_that_speaks_no_protocol_of_ours(void **state)
{
	static const struct {
		struct ex_span alpn;
		bool allow_h2, ok;
	} cases[] = {
		{ { "\2h2", 3 }, false, false },
		{ { "\2h2", 3 }, true, true },
		{ { "\3foo", 4 }, true, false },
		{ { "\2h2\x08http/1.1", 12 }, false, true },
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		struct foreign f;
		struct pair p;

		pair_open(&p);
		foreign_open(&f, false, p.fd[1]);
		SSL_set_alpn_protos(f.ssl, (const unsigned char *)cases[i].alpn.ptr,
				    (unsigned int)cases[i].alpn.len);
		assert_int_equal(accept_from(&p, &f, "api.openai.com", cases[i].allow_h2),
				 cases[i].ok ? 0 : -EPROTO);
		foreign_close(&f);
		pair_close(&p);
	}
}

static void test_deny_tls_1_1_and_allow_tls_1_2(void **state)
{
	static const int versions[] = { TLS1_1_VERSION, TLS1_2_VERSION };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(versions); i++) {
		struct foreign f;
		struct pair p;

		pair_open(&p);
		foreign_open(&f, false, p.fd[1]);
		SSL_set_security_level(f.ssl, 0);
		SSL_set_min_proto_version(f.ssl, TLS1_VERSION);
		SSL_set_max_proto_version(f.ssl, versions[i]);
		assert_int_equal(accept_from(&p, &f, "api.openai.com", false), i ? 0 : -EPROTO);
		foreign_close(&f);
		pair_close(&p);
	}
}

static void test_renegotiation_is_refused(void **state)
{
	struct foreign f;
	struct pair p;
	uint32_t want;
	char byte;

	(void)state;
	pair_open(&p);
	foreign_open(&f, false, p.fd[1]);
	SSL_set_max_proto_version(f.ssl, TLS1_2_VERSION);
	assert_int_equal(accept_from(&p, &f, "api.openai.com", false), 0);
	assert_int_equal(SSL_renegotiate(f.ssl), 1);
	SSL_do_handshake(f.ssl);
	assert_int_equal(ex_tls_read(p.server, &byte, 1, &want), -EAGAIN); /* a warning goes back */
	assert_int_not_equal(SSL_do_handshake(f.ssl), 1);
	foreign_close(&f);
	pair_close(&p);
}

static void test_end_without_close_notify_is_an_error(void **state)
{
	struct pair p;
	char byte;
	uint32_t want;

	(void)state;
	pair_connect(&p, NAME, NAME, false, false);
	shutdown(p.fd[1], SHUT_WR);
	assert_int_equal(ex_tls_read(p.server, &byte, 1, &want), -ECONNRESET);
	assert_true(ex_tls_write(p.server, "x", 1, &want) < 0);
	assert_true(ex_tls_shutdown(p.server)); /* harmless */
	pair_close(&p);
}

static void test_last_words_are_read_after_a_write_has_failed(void **state)
{
	struct pair p;
	char buf[8];
	uint32_t want;

	(void)state;
	pair_connect(&p, NAME, NAME, false, false);
	assert_int_equal(ex_tls_write(p.server, "bye", 3, &want), 3);
	assert_true(ex_tls_shutdown(p.server));
	shutdown(p.fd[0], SHUT_RD);
	assert_int_equal(ex_tls_write(p.client, "x", 1, &want), -EPIPE);
	assert_int_equal(ex_tls_write(p.client, "x", 1, &want), -EPIPE);
	assert_true(ex_tls_shutdown(p.client));
	assert_int_equal(ex_tls_read(p.client, buf, sizeof(buf), &want), 3);
	assert_memory_equal(buf, "bye", 3);
	assert_int_equal(ex_tls_read(p.client, buf, sizeof(buf), &want), 0);
	pair_close(&p);
}

/*
 * A peer that sends endless key updates gets its share of the loop and no more: without a byte of
 * data, or with one here and there.
 */
static void flood_with_key_updates(int data_every)
{
	int size = 8 << 20, before, after;
	BIO *flood = BIO_new(BIO_s_mem());
	struct foreign f;
	struct pair p;
	uint32_t want;
	char in[64], *bytes;
	ssize_t n;
	long len;

	pair_open(&p);
	foreign_open(&f, false, p.fd[1]);
	assert_int_equal(accept_from(&p, &f, "api.openai.com", false), 0);
	SSL_set0_wbio(f.ssl, flood);
	for (int i = 0; i < 20000; i++) {
		SSL_key_update(f.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
		assert_int_equal(SSL_do_handshake(f.ssl), 1);
		if (data_every && i % data_every == 0)
			assert_int_equal(SSL_write(f.ssl, "x", 1), 1);
	}
	len = BIO_get_mem_data(flood, &bytes);
	setsockopt(p.fd[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (send(p.fd[1], bytes, (size_t)len, MSG_DONTWAIT) != len)
		skip(); /* not root: no buffer of that size */
	assert_int_equal(ioctl(p.fd[0], FIONREAD, &before), 0);
	n = ex_tls_read(p.server, in, sizeof(in), &want);
	assert_int_equal(n, data_every ? 1 + 256 * 1024 / (27 * data_every) : -EAGAIN);
	assert_int_equal(ioctl(p.fd[0], FIONREAD, &after), 0);
	assert_int_equal(before - after, 256 * 1024);
	foreign_close(&f);
	pair_close(&p);
}

static void test_flood_of_key_updates_does_not_hold_the_loop(void **state)
{
	(void)state;
	flood_with_key_updates(0);
	flood_with_key_updates(4000);
}

static void test_deny_roots_that_are_not_certificates(void **state)
{
	static const char broken[] =
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	struct ex_span pem = ex_ca_pem(ca);
	EX_AUTO_FREE char *two = calloc(1, pem.len + sizeof(broken));
	struct ex_tls *t;

	(void)state;
	assert_int_equal(tls_new(EX_SPAN(""), &t), -EBADMSG);
	assert_int_equal(tls_new(EX_SPAN("hello"), &t), -EBADMSG);
	assert_int_equal(tls_new(ex_span_str(broken), &t), -EBADMSG);
	memcpy(two, pem.ptr, pem.len);
	memcpy(two + pem.len, broken, sizeof(broken));
	assert_int_equal(tls_new(ex_span_str(two), &t), -EBADMSG);
	memcpy(two + pem.len, "# end", 6);
	assert_int_equal(tls_new(ex_span_str(two), &t), 0);
	ex_tls_free(t);
}

/* ---- no file once running ---- */

static void forbid_files(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_open, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { .len = EX_ARRAY_SIZE(code), .filter = code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		_exit(2);
}

static void test_no_file_is_opened_once_running(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		uint8_t der[EX_LEAF_MAX];
		struct ex_span pem = ex_ca_pem(ca), spki;
		struct pair p;
		int len;

		/* as the proxy does: a fresh ex_tls, then the filter, then work */
		if (tls_new(pem, &tls) < 0)
			_exit(3);
		forbid_files();
		spki = ex_tls_leaf_spki(tls);
		len = ex_ca_sign(ca, NAME, spki.ptr, spki.len, der);
		if (len < 0 || ex_tls_add_leaf(tls, NAME, der, (size_t)len) < 0)
			_exit(4);
		pair_connect(&p, NAME, NAME, true, true);
		_exit(p.server_r || p.client_r ? 5 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_file_is_opened_once_running),
		cmocka_unit_test(test_handshake_and_data_both_ways),
		cmocka_unit_test(test_h2_is_chosen_only_when_both_allow_it),
		cmocka_unit_test(test_early_bytes_come_before_the_socket),
		cmocka_unit_test(test_transport_of_one_byte_at_a_time),
		cmocka_unit_test(test_full_socket_says_wait_for_room_and_nothing_is_lost),
		cmocka_unit_test(test_many_records_at_once_arrive_in_order),
		cmocka_unit_test(test_held_records_keep_their_place),
		cmocka_unit_test(test_write_of_many_records_to_a_peer_that_is_gone),
		cmocka_unit_test(test_a_part_that_has_left_is_told_before_the_error),
		cmocka_unit_test(test_deny_client_that_wants_another_name),
		cmocka_unit_test(test_deny_upstream_signed_by_a_stranger),
		cmocka_unit_test(test_deny_upstream_that_chooses_what_was_not_offered),
		cmocka_unit_test(test_name_is_compared_without_case_and_its_absence_is_denied),
		cmocka_unit_test(test_deny_client_that_changes_its_name_behind_a_retry),
		cmocka_unit_test(test_deny_client_that_speaks_no_protocol_of_ours),
		cmocka_unit_test(test_deny_tls_1_1_and_allow_tls_1_2),
		cmocka_unit_test(test_renegotiation_is_refused),
		cmocka_unit_test(test_end_without_close_notify_is_an_error),
		cmocka_unit_test(test_last_words_are_read_after_a_write_has_failed),
		cmocka_unit_test(test_flood_of_key_updates_does_not_hold_the_loop),
		cmocka_unit_test(test_deny_roots_that_are_not_certificates),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
