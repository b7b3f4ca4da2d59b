/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions over a socketpair: ours against ours, or against bare OpenSSL. */
#ifndef EXEAT_TESTS_TLS_PAIR_H
#define EXEAT_TESTS_TLS_PAIR_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <openssl/ssl.h>

#include "agent/tls/ca.h"
#include "agent/tls/roots.h"
#include "agent/tls/session.h"

#define NAME EX_SPAN("api.openai.com")

static struct ex_ca *ca;
static struct ex_tls *tls;   /* trusts ca */
static EVP_PKEY *origin_key; /* of the bare OpenSSL servers */

static inline int tls_new(struct ex_span pem, struct ex_tls **ret)
{
	int fd = ex_roots_new(pem), r = fd < 0 ? fd : ex_tls_new(fd, ret);

	if (fd >= 0)
		close(fd);
	return r;
}

static inline int add_leaf_of(struct ex_ca *by, struct ex_span name, struct ex_span cert_name)
{
	uint8_t der[EX_LEAF_MAX];
	struct ex_span spki = ex_tls_leaf_spki(tls);
	int len = ex_ca_sign(by, cert_name, spki.ptr, spki.len, der);

	return len < 0 ? len : ex_tls_add_leaf(tls, name, der, (size_t)len);
}

static inline int setup(void **state)
{
	struct ex_span pem;

	(void)state;
	assert_int_equal(ex_ca_new(2, &ca), 0);
	pem = ex_ca_pem(ca);
	assert_int_equal(tls_new(pem, &tls), 0);
	assert_int_equal(add_leaf_of(ca, NAME, NAME), 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(origin_key);
	ex_tls_free(tls);
	ex_ca_free(ca);
	return 0;
}

/* ---- a pair of sessions ---- */

struct pair {
	int fd[2]; /* server, client */
	struct ex_tls_session *server, *client;
	int server_r, client_r; /* of the handshake */
};

static inline void pair_open(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd), 0);
}

static inline void pair_close(struct pair *p)
{
	ex_tls_session_free(p->server);
	ex_tls_session_free(p->client);
	close(p->fd[0]);
	close(p->fd[1]);
}

static inline void pair_handshake(struct pair *p)
{
	uint32_t want;

	p->server_r = p->client_r = -EAGAIN;
	for (int i = 0; i < 1000 && (p->server_r == -EAGAIN || p->client_r == -EAGAIN); i++) {
		if (p->client_r == -EAGAIN)
			p->client_r = ex_tls_handshake(p->client, &want);
		if (p->server_r == -EAGAIN)
			p->server_r = ex_tls_handshake(p->server, &want);
		/* who gave up sends nothing more */
		if (p->client_r < 0 && p->client_r != -EAGAIN)
			shutdown(p->fd[1], SHUT_WR);
		if (p->server_r < 0 && p->server_r != -EAGAIN)
			shutdown(p->fd[0], SHUT_WR);
	}
}

static inline void pair_connect(struct pair *p, struct ex_span server_name,
				struct ex_span client_name, bool server_h2, bool client_h2)
{
	pair_open(p);
	assert_int_equal(ex_tls_accept(tls, p->fd[0], server_name, NULL, 0, server_h2, &p->server),
			 0);
	assert_int_equal(ex_tls_connect(tls, p->fd[1], client_name, 0, client_h2, &p->client), 0);
	pair_handshake(p);
}

static inline void assert_moves(struct ex_tls_session *from, struct ex_tls_session *to,
				const char *text)
{
	char buf[64];
	uint32_t want = 0;
	ssize_t n = ex_tls_write(from, text, strlen(text), &want);

	assert_int_equal(n, strlen(text));
	n = ex_tls_read(to, buf, sizeof(buf), &want);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, (size_t)n);
	assert_int_equal(ex_tls_read(to, buf, sizeof(buf), &want), -EAGAIN);
	assert_int_equal(want, EPOLLIN);
}

/* ---- a foreign peer, bare OpenSSL, for what our own sides never do ---- */

struct foreign {
	SSL_CTX *ctx;
	SSL *ssl;
};

static inline void foreign_open(struct foreign *f, bool server, int fd)
{
	f->ctx = SSL_CTX_new(TLS_method());
	f->ssl = SSL_new(f->ctx);
	SSL_set_fd(f->ssl, fd);
	if (server)
		SSL_set_accept_state(f->ssl);
	else
		SSL_set_connect_state(f->ssl);
}

static inline void foreign_close(struct foreign *f)
{
	SSL_free(f->ssl);
	SSL_CTX_free(f->ctx);
}

static inline int foreign_handshake(struct foreign *f, struct ex_tls_session *s)
{
	uint32_t want;
	int r = -EAGAIN;

	for (int i = 0; i < 100 && r == -EAGAIN; i++) {
		SSL_do_handshake(f->ssl);
		r = ex_tls_handshake(s, &want);
	}
	SSL_do_handshake(f->ssl);
	return r;
}

static inline int accept_from(struct pair *p, struct foreign *f, const char *sni, bool allow_h2)
{
	if (sni)
		SSL_set_tlsext_host_name(f->ssl, sni);
	assert_int_equal(ex_tls_accept(tls, p->fd[0], NAME, NULL, 0, allow_h2, &p->server), 0);
	return foreign_handshake(f, p->server);
}

/* ---- an origin: one context, certificates of several names ---- */

static inline SSL *origin_new(SSL_CTX *ctx, int fd, struct ex_ca *by, struct ex_span name)
{
	uint8_t der[EX_LEAF_MAX], spki[128];
	const unsigned char *p = der;
	unsigned char *q = spki;
	SSL *ssl = SSL_new(ctx);
	X509 *leaf;
	int len;

	if (!origin_key)
		origin_key = EVP_EC_gen("P-256");
	len = ex_ca_sign(by, name, spki, (size_t)i2d_PUBKEY(origin_key, &q), der);
	leaf = d2i_X509(NULL, &p, len);
	assert_int_equal(SSL_use_certificate(ssl, leaf), 1);
	assert_int_equal(SSL_use_PrivateKey(ssl, origin_key), 1);
	X509_free(leaf);
	SSL_set_fd(ssl, fd);
	SSL_set_accept_state(ssl);
	return ssl;
}

#endif
