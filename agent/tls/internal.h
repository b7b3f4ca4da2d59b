/* SPDX-License-Identifier: Apache-2.0 */
/* What bio.c, context.c, session.c, client.c and identity.c share. Nobody else includes this. */
#ifndef EXEAT_AGENT_TLS_INTERNAL_H
#define EXEAT_AGENT_TLS_INTERNAL_H

#include <openssl/provider.h>
#include <openssl/ssl.h>

#include "agent/tls/cache.h"
#include "agent/tls/hmac.h"
#include "agent/tls/remote.h"
#include "agent/tls/roots.h"
#include "agent/tls/session.h"

struct ex_tls_identity;

/*
 * A context of OpenSSL's without algorithms. A certificate that is read in it is taken apart as
 * ever, only its key stays undecoded.
 */
struct ex_tls_bare {
	OSSL_LIB_CTX *ctx;
	OSSL_PROVIDER *none;
};

/* A key of ours, and the leaves towards the workload that were made over it. */
struct ex_tls_leaves {
	const struct ex_tls_bare *bare;
	EVP_PKEY *key;
	unsigned char *spki;
	size_t spki_len;
	struct ex_tls_cache *cache; /* struct leaf, see leaves.c */
	SSL_CTX *server;            /* of those sessions; shows the leaf that was asked for last */
	const X509 *shown;          /* that one; NULL: none */
};

struct ex_tls_ticket_key {
	uint8_t name[EX_MAC_LEN]; /* the first 16 bytes are told */
	uint8_t cipher[EX_MAC_LEN], mac[EX_MAC_LEN];
};

/* See tickets.c. */
struct ex_tls_tickets {
	uint8_t secret[EX_TICKET_SECRET_LEN];
	bool made;
	uint64_t hour;                    /* keys are of */
	struct ex_tls_ticket_key keys[2]; /* of this hour and the one before */
};

struct ex_tls {
	SSL_CTX *client;
	BIO_METHOD *bio;
	struct ex_roots *roots;
	struct ex_tls_tickets tickets;
	struct ex_tls_bare bare;
	struct ex_tls_leaves ec, rsa; /* rsa: once it was asked for */
	struct ex_tls_cache
		*resumes; /* SSL_SESSION: of origins, each good for one more connection */
	struct ex_tls_identity *identities;
	uint32_t last_identity;
};

struct ex_tls_session {
	struct ex_tls *tls;
	SSL *ssl;
	bool server;
	bool allow_h2; /* server: may choose it; client: offered it */
	bool established;
	bool broken; /* a fatal error happened: OpenSSL forbids SSL_shutdown() */
	bool write_broken;
	bool bulk;       /* more than a record came at once: there is room for more now */
	size_t promised; /* bytes to be written whose records are held: done when these are sent */
	const char *error; /* static text, never the peer's bytes */
	uint32_t identity; /* client: as whom; see identity.h */
	struct ex_tls_remote *remote;
	size_t name_len;
	char name[];
};

/*
 * bio.c: the transport of a session. Reads the early bytes (copied), then the socket; a call of
 * SSL_read() may take only so much from the socket (ex_tls_bio_refill() before each), so that a
 * peer sending endless records without data, such as key updates, cannot hold the event loop.
 */
BIO_METHOD *ex_tls_bio_method(void);
BIO *ex_tls_bio_new(const BIO_METHOD *method, int fd, const void *early, size_t early_len);
void ex_tls_bio_refill(BIO *bio);

/*
 * From here on what is written is held, room bytes and more if need be, until it is sent: 0 = all
 * of it, and nothing is held any more; -EAGAIN or another negative errno.
 */
void ex_tls_bio_hold(BIO *bio, size_t room);
int ex_tls_bio_send(BIO *bio);
bool ex_tls_bio_holds(BIO *bio);

/*
 * From here on what the socket does not take is held in the same way: OpenSSL cannot answer a key
 * update while a part of a record waits to be written, and breaks off.
 */
void ex_tls_bio_keep(BIO *bio);

/* The last look at the socket took all it had. */
bool ex_tls_bio_is_drained(BIO *bio);

/* context.c: for the sessions towards the workload; -EIO. */
EX_MUST_CHECK int ex_tls_server_new(SSL_CTX **ret);

/* leaf_read.c */
EX_MUST_CHECK int ex_tls_bare_init(struct ex_tls_bare *b);
void ex_tls_bare_done(struct ex_tls_bare *b);

/*
 * leaf_read.c: a key, P-256 or RSA, that leaves are read with; and a leaf, byte for byte as it
 * came. NULL: broken, or not over the key of l.
 */
EVP_PKEY *ex_tls_leaf_key(const struct ex_tls_bare *b, bool rsa);
X509 *ex_tls_leaf_read(const struct ex_tls_leaves *l, const void *der, size_t len);

/* leaves.c: P-256, or RSA. 0 or -EIO, -ENOMEM. */
EX_MUST_CHECK int ex_tls_leaves_init(struct ex_tls_leaves *l, const struct ex_tls_bare *b,
				     bool rsa);
void ex_tls_leaves_done(struct ex_tls_leaves *l);

/* leaves.c: the leaf for name, or NULL; owned by l. */
X509 *ex_tls_leaf_find(struct ex_tls_leaves *l, struct ex_span name);

/* NULL when out of memory. name is canonical. */
struct ex_tls_session *ex_tls_session_new(struct ex_tls *tls, SSL_CTX *ctx, int fd,
					  struct ex_span name, const void *early, size_t early_len);

/* roots.c: the store looks there, too. r outlives it. */
EX_MUST_CHECK int ex_roots_use(struct ex_roots *r, X509_STORE *store);

/* tickets.c: see SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
int ex_tls_on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int enc);

/* identity.c: before the handshake. 0, -ENOENT, or -EIO. */
EX_MUST_CHECK int ex_tls_become(struct ex_tls_session *s, uint32_t number);
void ex_tls_identities_done(struct ex_tls *tls);

#define EX_TLS_ALPN_BOTH    (const unsigned char *)"\x02h2\x08http/1.1", 12
#define EX_TLS_ALPN_ONLY_H1 (const unsigned char *)"\x08http/1.1", 9

/* client.c, session.c: callbacks of the contexts; each finds its session by SSL_get_app_data(). */
int ex_tls_on_resumable(SSL *ssl, SSL_SESSION *session);
int ex_tls_on_servername(SSL *ssl, int *alert, void *arg);
int ex_tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned int in_len, void *arg);

#endif
