/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <openssl/err.h>

#include "agent/tls/hmac.h"
#include "agent/tls/identity.h"

#define RECORD_MAX   (16 * 1024)
#define RECORD_EXTRA 64          /* header, tag and padding of one */
#define BULK         (64 * 1024) /* so much is sent at once, and twice as much read */
#define READS_MAX    5 /* of records at once: as many as make BULK of full ones, and one */

/* ---- callbacks of the server context ---- */

/* Called for each ClientHello, the one behind a HelloRetryRequest too, and when there is no SNI. */
int ex_tls_on_servername(SSL *ssl, int *alert, void *arg)
{
	const struct ex_tls_session *s = SSL_get_app_data(ssl);
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	char canonical[EX_SNI_MAX + 1];
	ssize_t n = ex_tls_name_canonical(ex_span_str(sni), canonical);

	(void)arg;
	if (n > 0 && (size_t)n == s->name_len && memcmp(canonical, s->name, s->name_len) == 0)
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A client that asks for neither of ours gets no_application_protocol (RFC 7301 3.2). */
int ex_tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct ex_tls_session *s = SSL_get_app_data(ssl);
	unsigned char *chosen;
	int r;

	(void)arg;
	r = s->allow_h2 ? SSL_select_next_proto(&chosen, out_len, EX_TLS_ALPN_BOTH, in, in_len)
			: SSL_select_next_proto(&chosen, out_len, EX_TLS_ALPN_ONLY_H1, in, in_len);
	if (r != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- making ---- */

struct ex_tls_session *ex_tls_session_new(struct ex_tls *tls, SSL_CTX *ctx, int fd,
					  struct ex_span name, const void *early, size_t early_len)
{
	struct ex_tls_session *s = calloc(1, sizeof(*s) + name.len + 1);
	BIO *bio;

	if (!s)
		return NULL;
	s->tls = tls;
	s->name_len = name.len;
	memcpy(s->name, name.ptr, name.len);
	s->error = "no error";
	s->ssl = SSL_new(ctx);
	bio = s->ssl ? ex_tls_bio_new(tls->bio, fd, early, early_len) : NULL;
	if (!bio) {
		SSL_free(s->ssl);
		free(s);
		return NULL;
	}
	SSL_set_bio(s->ssl, bio, bio); /* one reference serves both directions */
	SSL_set_app_data(s->ssl, s);
	return s;
}

/*
 * What a ticket is good for: the name it was given under, the same key, the same policy. OpenSSL
 * takes the ticket of another context for none, and shakes hands in full.
 */
static bool bind_tickets(SSL_CTX *ctx, struct ex_span name, bool rsa)
{
	const char kind = rsa ? 'r' : 'e';
	const struct ex_span pieces[] = { { &kind, 1 }, name };
	uint8_t context[EX_MAC_LEN];

	return ex_mac((struct ex_span){ NULL, 0 }, pieces, EX_ARRAY_SIZE(pieces), context) == 0 &&
	       SSL_CTX_set_session_id_context(ctx, context, sizeof(context)) == 1;
}

/* New sessions have it from their context: mostly it is the one that the session before had. */
static int show_leaf(struct ex_tls_leaves *l, X509 *leaf, struct ex_span name, bool rsa)
{
	if (l->shown == leaf)
		return 0;
	l->shown = NULL;
	if (SSL_CTX_use_cert_and_key(l->server, leaf, l->key, NULL, 1) != 1 ||
	    !bind_tickets(l->server, name, rsa))
		return -ENOMEM;
	l->shown = leaf; /* the context holds it, so there is no other one in its place */
	return 0;
}

static int accept_with(struct ex_tls *tls, struct ex_tls_leaves *leaves, int fd,
		       struct ex_span name, const void *early, size_t early_len, bool allow_h2,
		       struct ex_tls_session **ret)
{
	X509 *leaf = ex_tls_leaf_find(leaves, name); /* only canonical names have one */
	struct ex_tls_session *s;

	if (!leaf)
		return -ENOENT;
	if (show_leaf(leaves, leaf, name, leaves == &tls->rsa) < 0)
		return -ENOMEM;
	s = ex_tls_session_new(tls, leaves->server, fd, name, early, early_len);
	if (!s)
		return -ENOMEM;
	s->server = true;
	s->allow_h2 = allow_h2;
	SSL_set_accept_state(s->ssl);
	*ret = s;
	return 0;
}

int ex_tls_accept(struct ex_tls *tls, int fd, struct ex_span name, const void *early,
		  size_t early_len, bool allow_h2, struct ex_tls_session **ret)
{
	return accept_with(tls, &tls->ec, fd, name, early, early_len, allow_h2, ret);
}

int ex_tls_accept_rsa(struct ex_tls *tls, int fd, struct ex_span name, const void *early,
		      size_t early_len, bool allow_h2, struct ex_tls_session **ret)
{
	return accept_with(tls, &tls->rsa, fd, name, early, early_len, allow_h2, ret);
}

void ex_tls_session_free(struct ex_tls_session *s)
{
	if (!s)
		return;
	/* A handshake that stands still has to come to its end: it has a stack of its own. */
	if (s->ssl && SSL_waiting_for_async(s->ssl)) {
		s->remote->waiting = true; /* also where the signature is there: it goes nowhere */
		ex_tls_give_signature(s, NULL, 0);
		(void)SSL_do_handshake(s->ssl);
		ERR_clear_error();
	}
	/* Without a close_notify OpenSSL would take it that the session must not be resumed. */
	if (s->established && !s->broken)
		SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(s->ssl);
	free(s->remote);
	free(s);
}

/* ---- running ---- */

static int session_fail(struct ex_tls_session *s, int r, const char *text)
{
	s->broken = s->write_broken = true;
	s->error = text;
	return r;
}

/* Why did SSL_*() return ret? -EAGAIN and *want, or a fatal error; 0 for a close_notify. */
static int session_result(struct ex_tls_session *s, int ret, int saved_errno, uint32_t *want)
{
	long verify = SSL_get_verify_result(s->ssl);
	unsigned long e = ERR_peek_error();
	const char *text;

	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		*want = EPOLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*want = EPOLLOUT;
		return -EAGAIN;
	case SSL_ERROR_WANT_ASYNC: /* a signature: no event of the socket's */
		*want = 0;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return session_fail(s, saved_errno > 0 ? -saved_errno : -ECONNRESET,
				    "the connection broke");
	default:
		break;
	}
	if (!s->server && !s->established && verify != X509_V_OK)
		return session_fail(s, -EKEYREJECTED, X509_verify_cert_error_string(verify));
	if (s->remote && s->remote->refused)
		return session_fail(s, -EKEYREJECTED,
				    "the key of the client certificate cannot be used");
	if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
	    ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return session_fail(s, -ECONNRESET, "the connection ended without close_notify");
	if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
	    ERR_GET_REASON(e) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
		return session_fail(s, -ENOPROTOOPT, "the server does not speak HTTP/1.1");
	text = ERR_reason_error_string(e);
	return session_fail(s, -EPROTO, text ? text : "TLS error");
}

/* Before every SSL_*(): OpenSSL's error queue belongs to the thread, not to the session. */
static void forget_errors(void)
{
	ERR_clear_error();
	errno = 0;
}

static int session_enter(struct ex_tls_session *s)
{
	if (s->broken)
		return -EPIPE;
	ex_tls_bio_refill(SSL_get_rbio(s->ssl));
	forget_errors();
	return 0;
}

static bool alpn_is(const struct ex_tls_session *s, struct ex_span word)
{
	const unsigned char *p;
	unsigned int len;

	SSL_get0_alpn_selected(s->ssl, &p, &len);
	return ex_span_eq(word, (struct ex_span){ (const char *)p, len });
}

/* What OpenSSL promised, seen once more from outside before the first byte moves. */
static int session_check(struct ex_tls_session *s)
{
	bool known = alpn_is(s, EX_SPAN("http/1.1")) || alpn_is(s, (struct ex_span){ NULL, 0 }) ||
		     (s->allow_h2 && alpn_is(s, EX_SPAN("h2")));

	/* OpenSSL 3.0 takes any protocol from a server, offered or not. */
	if (!known)
		return session_fail(s, -EPROTO, "a protocol was chosen that was not offered");
	if (s->server)
		return SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name)
			       ? 0
			       : session_fail(s, -EPROTO, "no server name");
	if (!SSL_get0_peer_certificate(s->ssl) || SSL_get_verify_result(s->ssl) != X509_V_OK)
		return session_fail(s, -EKEYREJECTED, "the certificate was not verified");
	return 0;
}

/*
 * OpenSSL gives its buffers, of 16 KiB, back when what they were for is done; but not while it
 * waits in a handshake, nor the one for writing that it sets up to read a ticket or a key update,
 * which many a server sends with its first answer.
 */
static void give_back_buffers(struct ex_tls_session *s)
{
	if (!SSL_has_pending(s->ssl))
		(void)SSL_free_buffers(s->ssl);
}

int ex_tls_handshake(struct ex_tls_session *s, uint32_t *want)
{
	int r = session_enter(s);

	if (r < 0)
		return r;
	if (s->established)
		return 0;
	r = SSL_do_handshake(s->ssl);
	if (r != 1) {
		r = session_result(s, r, errno, want);
		give_back_buffers(s);
		return r ? r : session_fail(s, -ECONNRESET, "closed during the handshake");
	}
	r = session_check(s);
	s->established = r == 0;
	SSL_clear_mode(s->ssl, SSL_MODE_ASYNC);
	ex_tls_bio_keep(SSL_get_wbio(s->ssl));
	return r;
}

/* A peer that fills what it is given sends more: fewer calls, for as long as it does. */
static void widen(struct ex_tls_session *s, size_t n)
{
	if (s->bulk || n < RECORD_MAX)
		return;
	s->bulk = true;
	SSL_set_default_read_buffer_len(s->ssl, 2 * BULK);
}

static ssize_t read_one(struct ex_tls_session *s, char *buf, size_t len, uint32_t *want)
{
	size_t n;
	int r = SSL_read_ex(s->ssl, buf, len, &n);

	if (r != 1)
		return session_result(s, r, errno, want);
	widen(s, n);
	return (ssize_t)n;
}

ssize_t ex_tls_read(struct ex_tls_session *s, void *buf, size_t len, uint32_t *want)
{
	size_t got = 0, reads = 0;
	int r = s->established && len ? session_enter(s) : -EINVAL;
	ssize_t n;

	if (r < 0)
		return r;
	/* Answers to key updates; what is wrong shows to who writes. */
	if (ex_tls_bio_holds(SSL_get_wbio(s->ssl)))
		(void)ex_tls_bio_send(SSL_get_wbio(s->ssl));
	for (;;) {
		n = read_one(s, (char *)buf + got, len - got, want);
		got += n > 0 ? (size_t)n : 0;
		if (n <= 0 || got == len || ++reads == READS_MAX || !ex_tls_has_more(s))
			break;
		forget_errors();
	}
	give_back_buffers(s);
	return got ? (ssize_t)got : n;
}

/* What ended shows it again. */
bool ex_tls_has_more(const struct ex_tls_session *s)
{
	return s->broken || SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN ||
	       SSL_has_pending(s->ssl) || !ex_tls_bio_is_drained(SSL_get_rbio(s->ssl));
}

static ssize_t send_held(struct ex_tls_session *s, uint32_t *want)
{
	size_t n = s->promised;
	int r = ex_tls_bio_send(SSL_get_wbio(s->ssl));

	if (r == -EAGAIN) {
		*want = EPOLLOUT;
		return r;
	}
	s->promised = 0;
	s->write_broken = r < 0;
	return r < 0 ? r : (ssize_t)n;
}

static ssize_t write_one(struct ex_tls_session *s, const char *buf, size_t len, uint32_t *want)
{
	size_t n;
	int r = SSL_write_ex(s->ssl, buf, len, &n);

	if (r == 1)
		return (ssize_t)n;
	if (SSL_get_error(s->ssl, r) == SSL_ERROR_SYSCALL) {
		/* The peer reads no more; what it said before can still be read. */
		s->write_broken = true;
		return errno > 0 ? -errno : -EPIPE;
	}
	r = session_result(s, r, errno, want);
	return r ? r : -EPIPE; /* we sent close_notify ourselves */
}

/* Several records, sent in one go. What is wrong with a later one shows when it is tried again. */
static ssize_t write_many(struct ex_tls_session *s, const char *buf, size_t len, uint32_t *want)
{
	ssize_t n = 0;

	if (len > BULK)
		len = BULK;
	ex_tls_bio_hold(SSL_get_wbio(s->ssl), len + (len / RECORD_MAX + 1) * RECORD_EXTRA);
	while (s->promised < len &&
	       (n = write_one(s, buf + s->promised, len - s->promised, want)) > 0)
		s->promised += (size_t)n;
	if (s->promised)
		return send_held(s, want);
	(void)ex_tls_bio_send(SSL_get_wbio(s->ssl)); /* an alert at most */
	return n;
}

static ssize_t write_few(struct ex_tls_session *s, const char *buf, size_t len, uint32_t *want)
{
	ssize_t n = write_one(s, buf, len, want);

	if (n <= 0 || !ex_tls_bio_holds(SSL_get_wbio(s->ssl)))
		return n;
	s->promised = (size_t)n;
	*want = EPOLLOUT;
	return -EAGAIN;
}

ssize_t ex_tls_write(struct ex_tls_session *s, const void *buf, size_t len, uint32_t *want)
{
	int r = s->established && len ? session_enter(s) : -EINVAL;
	ssize_t n;

	if (r < 0)
		return r;
	if (s->write_broken)
		return -EPIPE;
	if (s->promised || ex_tls_bio_holds(SSL_get_wbio(s->ssl))) {
		n = send_held(s, want);
		if (n != 0)
			return n;
	}
	return len > RECORD_MAX ? write_many(s, buf, len, want) : write_few(s, buf, len, want);
}

bool ex_tls_shutdown(struct ex_tls_session *s)
{
	int r;

	if (!s->established || s->write_broken || session_enter(s) < 0)
		return true;
	/* The second time OpenSSL would read, for the peer's. */
	if (!(SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN))
		(void)SSL_shutdown(s->ssl);
	r = ex_tls_bio_send(SSL_get_wbio(s->ssl));
	ERR_clear_error();
	return r != -EAGAIN;
}

const char *ex_tls_error(const struct ex_tls_session *s)
{
	return s->error;
}

bool ex_tls_is_idle(const struct ex_tls_session *s)
{
	return !s->broken && SSL_has_pending(s->ssl) == 0;
}

bool ex_tls_is_h2(const struct ex_tls_session *s)
{
	return s->established && alpn_is(s, EX_SPAN("h2"));
}
