/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS sessions of the proxy (OpenSSL), non-blocking, over a socket fd. Server side towards the
 * workload with a leaf certificate per name, client side towards the origin, verified.
 */
#ifndef EXEAT_AGENT_TLS_SESSION_H
#define EXEAT_AGENT_TLS_SESSION_H

#include "exeat/util.h"

/* One per process: contexts, leaf key, leaf cache. */
struct ex_tls;
struct ex_tls_session;

/* OpenSSL reads no openssl.cnf in this process, if this is called before it is used. */
EX_MUST_CHECK bool ex_tls_forgo_config(void);

/* roots: what upstream certificates are verified against (roots.h); may be closed then. */
EX_MUST_CHECK int ex_tls_new(int roots, struct ex_tls **ret);
void ex_tls_free(struct ex_tls *tls);

/* Public half of the leaf key, DER SubjectPublicKeyInfo; owned by tls. */
struct ex_span ex_tls_leaf_spki(const struct ex_tls *tls);

/*
 * The same of the RSA key, for clients that cannot do with the other (struct ex_hello's rsa_only).
 * It is made when first asked for. 0 or -EIO.
 */
EX_MUST_CHECK int ex_tls_rsa_spki(struct ex_tls *tls, struct ex_span *ret);

/* Leaf cache, bounded LRU by canonical name; one for each of the two keys. */
bool ex_tls_has_leaf(struct ex_tls *tls, struct ex_span name);
bool ex_tls_has_rsa_leaf(struct ex_tls *tls, struct ex_span name);
EX_MUST_CHECK int ex_tls_add_leaf(struct ex_tls *tls, struct ex_span name, const void *der,
				  size_t len);

/*
 * Server side. fd still holds the ClientHello unread, or `early` holds what was already read of the
 * stream (copied). The session aborts when OpenSSL reads another SNI than `name`. ALPN: h2 is
 * offered only when allow_h2. -ENOENT when there is no leaf for the name.
 */
EX_MUST_CHECK int ex_tls_accept(struct ex_tls *tls, int fd, struct ex_span name, const void *early,
				size_t early_len, bool allow_h2, struct ex_tls_session **ret);
EX_MUST_CHECK int ex_tls_accept_rsa(struct ex_tls *tls, int fd, struct ex_span name,
				    const void *early, size_t early_len, bool allow_h2,
				    struct ex_tls_session **ret);

/*
 * A client that comes back need not shake hands in full when it has a ticket that was given under
 * the same secret, by whichever process, for the same name. At the start nobody else has it.
 */
#define EX_TICKET_SECRET_LEN 32
void ex_tls_use_tickets(struct ex_tls *tls, const uint8_t secret[static EX_TICKET_SECRET_LEN]);

/*
 * Client side: SNI and verified host name are `name`. As an identity (identity.h; 0 = none), which
 * never goes on with an earlier session. alpn_h2: offer h2 before http/1.1.
 */
EX_MUST_CHECK int ex_tls_connect(struct ex_tls *tls, int fd, struct ex_span name, uint32_t identity,
				 bool alpn_h2, struct ex_tls_session **ret);
void ex_tls_session_free(struct ex_tls_session *s); /* does not close fd */

/*
 * Names are canonical host names; anything else is -EINVAL. After ex_tls_new() no file is opened.
 *
 * 0 = done; -EAGAIN = wait for *want (EPOLLIN or EPOLLOUT); other negative errno = broken. For the
 * client side -EKEYREJECTED means the certificate was not accepted; ex_tls_error() says why.
 * Without *want it waits for a signature (identity.h). -ENOPROTOOPT: the origin wants none of the
 * protocols it was offered. -EAGAIN may also mean that this peer had its share of the loop: the
 * socket stays readable. A write that was told -EAGAIN is repeated with the same bytes (they may
 * have moved, and more may follow). After an error other than -EAGAIN the session is good for
 * ex_tls_error() and ex_tls_session_free() only.
 */
int ex_tls_handshake(struct ex_tls_session *s, uint32_t *want);
/*
 * Several records at once, as they come. 0 = close_notify; an end without it is -ECONNRESET. Read
 * while ex_tls_has_more() before waiting for the socket: the session may hold bytes, or have seen
 * the end, which the socket no longer shows. After a write has failed because the peer is gone,
 * what it sent before can still be read.
 */
ssize_t ex_tls_read(struct ex_tls_session *s, void *buf, size_t len, uint32_t *want);
/* Is there anything to be read before the socket shows more, or the end? False is certain. */
bool ex_tls_has_more(const struct ex_tls_session *s);
/* May write several records at once, and is done when all of them are in the socket. */
ssize_t ex_tls_write(struct ex_tls_session *s, const void *buf, size_t len, uint32_t *want);
/* close_notify, once. False: the socket has no room for it, ask again when it has. */
EX_MUST_CHECK bool ex_tls_shutdown(struct ex_tls_session *s);
const char *ex_tls_error(const struct ex_tls_session *s);
/* Nothing of the peer's is held in the session, read or not: only the socket can have more. */
bool ex_tls_is_idle(const struct ex_tls_session *s);
bool ex_tls_is_h2(const struct ex_tls_session *s);

#endif
