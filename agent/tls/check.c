/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates of originatingTLS, looked at before a policy with them is in force. */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "agent/tls/pem.h"
#include "agent/tls/sign.h"
#include "policy/ruleset.h"

/* It would go where certificates go. */
static bool has_key(struct ex_span pem)
{
	static const char words[] = "PRIVATE KEY-----";

	return memmem(pem.ptr, pem.len, words, sizeof(words) - 1);
}

static const char *check_key(const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "EC") && bits >= 256 && bits <= 521)
		return NULL;
	if (EVP_PKEY_is_a(key, "RSA") && bits >= 2048 && bits <= 8 * EX_SIGN_MAX)
		return NULL;
	return "has a key of a kind that cannot be used: make one of ECDSA, or RSA with 2048 to "
	       "4096 bits";
}

static const char *check_pair(const X509 *cert, struct ex_span key_pem)
{
	EVP_PKEY *key = ex_pem_key(key_pem);
	const char *why = NULL;

	if (!key)
		why = "has a private key that cannot be read (one with a passphrase cannot)";
	else if (X509_check_private_key(cert, key) != 1)
		why = "has a private key that is not the one of its certificate";
	else if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
		why = "has a certificate that has expired";
	else if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0)
		why = "has a certificate that is not valid yet";
	else
		why = check_key(key);
	EVP_PKEY_free(key);
	return why;
}

static const char *check_chain(const struct ex_origin *o)
{
	STACK_OF(X509) * certs;
	const char *why;

	if (has_key(o->chain))
		return "has a private key among its certificates: give it an item of its own";
	certs = ex_pem_certs(o->chain);
	if (!certs)
		return "has a certificate that cannot be read: PEM is expected";
	why = check_pair(sk_X509_value(certs, 0), o->key);
	sk_X509_pop_free(certs, X509_free);
	return why;
}

static bool have_ended(const STACK_OF(X509) * certs)
{
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (X509_cmp_current_time(X509_get0_notAfter(sk_X509_value(certs, i))) > 0)
			return false;
	return true;
}

static const char *check_roots(const struct ex_origin *o)
{
	STACK_OF(X509) * certs;
	const char *why = NULL;

	if (has_key(o->roots))
		return "has a private key among its CA certificates";
	certs = ex_pem_certs(o->roots);
	if (!certs)
		why = "has a CA certificate that cannot be read: PEM is expected";
	else if (have_ended(certs))
		why = "has no CA certificate that has not expired";
	sk_X509_pop_free(certs, X509_free);
	return why;
}

const char *ex_tls_check_origin(const struct ex_origin *o)
{
	const char *why = o->roots.ptr ? check_roots(o) : NULL;

	return why || !o->chain.ptr ? why : check_chain(o);
}
