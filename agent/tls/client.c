/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions towards servers: how they begin, and how later ones begin with less. */
#include "agent/tls/internal.h"

#include <errno.h>
#include <time.h>

#define RESUME_SECONDS 3600

/*
 * The origin lets a later connection skip certificate and signature. Such a session is kept under
 * the name it was verified for and offered for no other: OpenSSL does not check the name again. One
 * as an identity is not kept: it would show a certificate, or trust, where no rule says so.
 */
int ex_tls_on_resumable(SSL *ssl, SSL_SESSION *session)
{
	const struct ex_tls_session *s = SSL_get_app_data(ssl);

	if (s->server || s->identity || s->broken || SSL_get_verify_result(ssl) != X509_V_OK ||
	    !SSL_SESSION_is_resumable(session))
		return 0;
	if (SSL_SESSION_get_timeout(session) > RESUME_SECONDS)
		SSL_SESSION_set_timeout(session, RESUME_SECONDS);
	ex_tls_cache_put(s->tls->resumes, (struct ex_span){ s->name, s->name_len }, session);
	return 1; /* the reference is ours */
}

static bool resume_usable(const SSL_SESSION *old)
{
	long age = (long)time(NULL) - SSL_SESSION_get_time(old);

	/* One from the future: the clock was put back, and its age is not known. */
	return SSL_SESSION_is_resumable(old) && age >= 0 && age < SSL_SESSION_get_timeout(old);
}

/* In TLS 1.3 each is offered once (RFC 8446 C.4) and the origin gives new ones. */
static int resume(struct ex_tls_session *s, struct ex_span name)
{
	SSL_SESSION *old = ex_tls_cache_take(s->tls->resumes, name);
	bool ok = true, again = false;

	if (old && resume_usable(old)) {
		ok = SSL_set_session(s->ssl, old) == 1;
		again = SSL_SESSION_get_protocol_version(old) < TLS1_3_VERSION;
	}
	if (again)
		ex_tls_cache_put(s->tls->resumes, name, old);
	else
		SSL_SESSION_free(old);
	return ok ? 0 : -ENOMEM;
}

int ex_tls_connect(struct ex_tls *tls, int fd, struct ex_span name, uint32_t identity, bool alpn_h2,
		   struct ex_tls_session **ret)
{
	struct ex_tls_session *s;
	int r;

	if (!ex_tls_name_is_canonical(name))
		return -EINVAL;
	s = ex_tls_session_new(tls, tls->client, fd, name, NULL, 0);
	if (!s)
		return -ENOMEM;
	s->allow_h2 = alpn_h2;
	SSL_set_connect_state(s->ssl);
	r = identity ? ex_tls_become(s, identity) : resume(s, name);
	/* SSL_set_alpn_protos() alone returns 0 for success. */
	if (r == 0 && (alpn_h2 ? SSL_set_alpn_protos(s->ssl, EX_TLS_ALPN_BOTH)
			       : SSL_set_alpn_protos(s->ssl, EX_TLS_ALPN_ONLY_H1)) != 0)
		r = -ENOMEM;
	if (r == 0 &&
	    (SSL_set1_host(s->ssl, s->name) != 1 || SSL_set_tlsext_host_name(s->ssl, s->name) != 1))
		r = -ENOMEM;
	if (r < 0) {
		ex_tls_session_free(s);
		return r;
	}
	*ret = s;
	return 0;
}
