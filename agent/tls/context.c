/* SPDX-License-Identifier: Apache-2.0 */
/* The process-wide half of agent/tls/session.h: contexts. The leaves are in leaves.c. */
#include "agent/tls/internal.h"

#include <errno.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define RESUMES_MAX    128
#define TICKETS        1 /* for each handshake */
#define TICKET_SECONDS 3600

/* The last ones are for clients so old that they know RSA only; OpenSSL goes by the key it is
 * given. */
#define SERVER_CIPHERS                                                                             \
	"ECDHE+ECDSA+AESGCM:ECDHE+ECDSA+CHACHA20:ECDHE+aRSA+AESGCM:ECDHE+aRSA+CHACHA20:"           \
	"ECDHE+aRSA+AES"

static void resume_drop(void *session)
{
	SSL_SESSION_free(session);
}

/* ---- contexts ---- */

/* What the machine's administrator writes in openssl.cnf is meant for other programs. */
bool ex_tls_forgo_config(void)
{
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1;
}

/*
 * Everything OpenSSL would fetch when first needed, fetched now: behind this the process may be
 * forbidden to open files. Randomness comes from getrandom(2).
 */
static int library_init(void)
{
	unsigned char byte;

	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
					OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS,
				NULL) != 1 ||
	    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL) !=
		    1 ||
	    OSSL_PROVIDER_available(NULL, "default") != 1 || RAND_bytes(&byte, 1) != 1 ||
	    RAND_priv_bytes(&byte, 1) != 1)
		return -EIO;
	return 0;
}

/* What both sides have in common. */
static bool context_harden(SSL_CTX *ctx, const char *tls12_ciphers)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1); /* one recv() a record instead of two */
	SSL_CTX_set_security_level(ctx, 2);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, tls12_ciphers) == 1;
}

int ex_tls_server_new(SSL_CTX **ret)
{
	SSL_CTX *ctx = *ret = SSL_CTX_new(TLS_server_method());

	if (!ctx || !context_harden(ctx, SERVER_CIPHERS) ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1 ||
	    SSL_CTX_set_num_tickets(ctx, TICKETS) != 1 || SSL_CTX_set_max_early_data(ctx, 0) != 1)
		return -EIO;
	/*
	 * Resumption by tickets only: nothing is kept for a client. Each is bound to a name, see
	 * bind_tickets(), and to a secret that ends with the policy.
	 */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ex_tls_on_ticket) != 1)
		return -EIO;
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN); /* a leaf goes alone: do not look for more */
	SSL_CTX_set_timeout(ctx, TICKET_SECONDS);
	SSL_CTX_set_tlsext_servername_callback(ctx, ex_tls_on_servername);
	SSL_CTX_set_alpn_select_cb(ctx, ex_tls_on_alpn, NULL);
	return 0;
}

static int client_new(struct ex_tls *tls, int roots)
{
	SSL_CTX *ctx = tls->client = SSL_CTX_new(TLS_client_method());
	int r;

	if (!ctx || !context_harden(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"))
		return -EIO;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	/* Resumption is ours: OpenSSL's own cache does not know of names. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, ex_tls_on_resumable);
	X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(ctx),
					X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	r = ex_roots_map(roots, &tls->roots);
	return r < 0 ? r : ex_roots_use(tls->roots, SSL_CTX_get_cert_store(ctx));
}

int ex_tls_new(int roots, struct ex_tls **ret)
{
	struct ex_tls *tls = calloc(1, sizeof(*tls));
	int r;

	if (!tls)
		return -ENOMEM;
	r = library_init();
	if (r == 0)
		r = ex_random(tls->tickets.secret, sizeof(tls->tickets.secret));
	if (r == 0)
		r = ex_tls_bare_init(&tls->bare);
	if (r == 0)
		r = ex_tls_leaves_init(&tls->ec, &tls->bare, false);
	if (r == 0)
		r = client_new(tls, roots);
	if (r == 0) {
		tls->bio = ex_tls_bio_method();
		r = tls->bio ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = ex_tls_cache_new(RESUMES_MAX, resume_drop, &tls->resumes);
	if (r < 0) {
		ex_tls_free(tls);
		return r;
	}
	*ret = tls;
	return 0;
}

void ex_tls_free(struct ex_tls *tls)
{
	if (!tls)
		return;
	ex_tls_cache_free(tls->resumes);
	ex_tls_identities_done(tls);
	SSL_CTX_free(tls->client);
	ex_roots_unmap(tls->roots);
	BIO_meth_free(tls->bio);
	ex_tls_leaves_done(&tls->ec);
	ex_tls_leaves_done(&tls->rsa);
	ex_tls_bare_done(&tls->bare);
	explicit_bzero(&tls->tickets, sizeof(tls->tickets));
	free(tls);
}
