/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/identity.h"

#include <errno.h>
#include <openssl/err.h>

#include "agent/tls/hmac.h"
#include "agent/tls/internal.h"
#include "agent/tls/pem.h"

#define IDENTITIES_MAX 1024

struct ex_tls_identity {
	struct ex_tls_identity *next;
	uint32_t number;
	uint8_t digest[EX_MAC_LEN];
	STACK_OF(X509) * chain; /* the first one is shown, others go along; NULL: none is */
	X509_STORE *roots;      /* NULL: the usual */
};

static void identity_free(struct ex_tls_identity *id)
{
	sk_X509_pop_free(id->chain, X509_free);
	X509_STORE_free(id->roots);
	free(id);
}

void ex_tls_identities_done(struct ex_tls *tls)
{
	struct ex_tls_identity *next;

	for (struct ex_tls_identity *id = tls->identities; id; id = next) {
		next = id->next;
		identity_free(id);
	}
	tls->identities = NULL;
}

static struct ex_tls_identity *find(const struct ex_tls *tls, uint32_t number)
{
	struct ex_tls_identity *id = tls->identities;

	while (id && id->number != number)
		id = id->next;
	return id;
}

bool ex_tls_identity_holds(const struct ex_tls *tls, uint32_t number)
{
	return !number || find(tls, number);
}

/* Lengths as well: what ends where is part of the text. */
static int digest_of(struct ex_span chain, struct ex_span roots, uint8_t ret[static EX_MAC_LEN])
{
	const uint64_t lens[] = { chain.len, roots.len };
	const struct ex_span pieces[] = { { (const char *)lens, sizeof(lens) }, chain, roots };

	return ex_mac((struct ex_span){ 0 }, pieces, EX_ARRAY_SIZE(pieces), ret);
}

static X509_STORE *store_of(struct ex_span pem)
{
	STACK_OF(X509) *certs = ex_pem_certs(pem);
	X509_STORE *store = certs ? X509_STORE_new() : NULL;
	bool ok = store;

	for (int i = 0; ok && i < sk_X509_num(certs); i++)
		ok = X509_STORE_add_cert(store, sk_X509_value(certs, i)) == 1;
	sk_X509_pop_free(certs, X509_free);
	if (ok)
		return store;
	X509_STORE_free(store);
	return NULL;
}

int ex_tls_identity_add(struct ex_tls *tls, struct ex_span chain, struct ex_span roots)
{
	uint8_t digest[EX_MAC_LEN];
	struct ex_tls_identity *id;
	size_t n = 0;

	if (digest_of(chain, roots, digest) < 0)
		return -EIO;
	for (id = tls->identities; id; id = id->next, n++)
		if (ex_mac_eq(id->digest, digest))
			return (int)id->number;
	if (n >= IDENTITIES_MAX || tls->last_identity >= INT32_MAX)
		return -ENOSPC;
	id = calloc(1, sizeof(*id));
	if (!id)
		return -ENOMEM;
	memcpy(id->digest, digest, sizeof(digest));
	if (chain.len)
		id->chain = ex_pem_certs(chain);
	if (roots.len)
		id->roots = store_of(roots);
	if ((chain.len && !id->chain) || (roots.len && !id->roots)) {
		identity_free(id);
		return -EBADMSG;
	}
	id->number = ++tls->last_identity;
	id->next = tls->identities;
	tls->identities = id;
	return (int)id->number;
}

static bool is_among(uint32_t number, const uint32_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

void ex_tls_identities_keep(struct ex_tls *tls, const uint32_t *numbers, size_t n)
{
	struct ex_tls_identity **at = &tls->identities;

	while (*at) {
		struct ex_tls_identity *id = *at;

		if (is_among(id->number, numbers, n)) {
			at = &id->next;
			continue;
		}
		*at = id->next;
		identity_free(id); /* sessions hold what they need of it */
	}
}

/* ---- a session as one of them ---- */

/* The certificate with those above it; the key that belongs to it is asked. */
static bool show(struct ex_tls_session *s, STACK_OF(X509) * chain)
{
	X509 *cert = sk_X509_value(chain, 0);
	EVP_PKEY *key;
	bool ok;

	s->remote = calloc(1, sizeof(*s->remote));
	key = s->remote ? ex_tls_remote_key(cert, s->remote) : NULL;
	ok = key && SSL_use_certificate(s->ssl, cert) == 1 && SSL_use_PrivateKey(s->ssl, key) == 1;
	EVP_PKEY_free(key);
	for (int i = 1; ok && i < sk_X509_num(chain); i++)
		ok = SSL_add1_chain_cert(s->ssl, sk_X509_value(chain, i)) == 1;
	/* Nothing that nobody asked for; and what waits for a signature waits aside. */
	SSL_set_mode(s->ssl, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_ASYNC);
	return ok;
}

int ex_tls_become(struct ex_tls_session *s, uint32_t number)
{
	const struct ex_tls_identity *id = find(s->tls, number);
	bool ok = true;

	if (!id)
		return -ENOENT;
	s->identity = number;
	if (id->roots)
		ok = SSL_set1_verify_cert_store(s->ssl, id->roots) == 1;
	if (ok && id->chain)
		ok = show(s, id->chain);
	ERR_clear_error();
	return ok ? 0 : -EIO;
}

const struct ex_sign_request *ex_tls_wants_signature(const struct ex_tls_session *s)
{
	return s->remote && s->remote->waiting ? &s->remote->req : NULL;
}

void ex_tls_give_signature(struct ex_tls_session *s, const uint8_t *sig, size_t len)
{
	struct ex_tls_remote *r = s->remote;

	if (!r || !r->waiting)
		return;
	r->len = sig && len <= sizeof(r->sig) ? len : 0;
	if (r->len)
		memcpy(r->sig, sig, r->len);
	r->refused = r->len == 0;
	r->waiting = false;
}
