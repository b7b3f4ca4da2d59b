/* SPDX-License-Identifier: Apache-2.0 */
/* What bio.c, context.c and session.c share. Nobody else includes this. */
#ifndef EXEAT_AGENT_TLS_INTERNAL_H
#define EXEAT_AGENT_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "agent/tls/cache.h"
#include "agent/tls/session.h"

struct ex_tls {
	SSL_CTX *server, *client;
	BIO_METHOD *bio;
	EVP_PKEY *key; /* of every leaf */
	unsigned char *spki;
	size_t spki_len;
	struct ex_tls_cache *leaves; /* X509: towards the workload */
	struct ex_tls_cache
		*resumes; /* SSL_SESSION: of origins, each good for one more connection */
};

struct ex_tls_session {
	struct ex_tls *tls;
	SSL *ssl;
	bool server;
	bool allow_h2; /* server: may choose it; client: offered it */
	bool established;
	bool broken; /* a fatal error happened: OpenSSL forbids SSL_shutdown() */
	bool write_broken;
	size_t name_len;
	char name[EX_SNI_MAX + 1];
	const char *error; /* static text, never the peer's bytes */
};

/*
 * bio.c: the transport of a session. Reads the early bytes (copied), then the socket; a call of
 * SSL_read() may take only so much from the socket (ex_tls_bio_refill() before each), so that a
 * peer sending endless records without data, such as key updates, cannot hold the event loop.
 */
BIO_METHOD *ex_tls_bio_method(void);
BIO *ex_tls_bio_new(const BIO_METHOD *method, int fd, const void *early, size_t early_len);
void ex_tls_bio_refill(BIO *bio);

/* context.c: the leaf for name, or NULL; owned by tls. */
X509 *ex_tls_leaf_find(struct ex_tls *tls, struct ex_span name);

/* session.c: callbacks of the contexts; each finds its session by SSL_get_app_data(). */
int ex_tls_on_resumable(SSL *ssl, SSL_SESSION *session);
int ex_tls_on_servername(SSL *ssl, int *alert, void *arg);
int ex_tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned int in_len, void *arg);

#endif
