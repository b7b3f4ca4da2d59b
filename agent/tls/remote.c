/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys with methods of their own. OpenSSL 3.0 calls that deprecated in favour of providers; one
 * that does no more than this has ten times the code, and the interface is there until OpenSSL 4.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "agent/tls/remote.h"

#include <errno.h>
#include <openssl/async.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

/* True: r->sig is there. The handshake stands still meanwhile, and nothing else does. */
static bool ask(struct ex_tls_remote *r, enum ex_sign_kind kind, const uint8_t *bytes, size_t len)
{
	if (!r || !ASYNC_get_current_job() || len > sizeof(r->req.bytes))
		return false;
	r->req.kind = kind;
	r->req.len = (uint32_t)len;
	memcpy(r->req.bytes, bytes, len);
	r->waiting = true;
	while (r->waiting)
		if (ASYNC_pause_job() != 1)
			return false;
	return r->len > 0;
}

/* ---- ECDSA ---- */

static int ec_index = -1;

static ECDSA_SIG *ec_sign(const unsigned char *digest, int len, const BIGNUM *kinv,
			  const BIGNUM *rp, EC_KEY *key)
{
	struct ex_tls_remote *r = EC_KEY_get_ex_data(key, ec_index);
	const unsigned char *at;

	if (kinv || rp || len <= 0 || !ask(r, EX_SIGN_ECDSA, digest, (size_t)len))
		return NULL;
	at = r->sig;
	return d2i_ECDSA_SIG(NULL, &at, (long)r->len);
}

static EC_KEY_METHOD *ec_method(void)
{
	static EC_KEY_METHOD *method;
	int (*sign)(int, const unsigned char *, int, unsigned char *, unsigned *, const BIGNUM *,
		    const BIGNUM *, EC_KEY *);

	if (method)
		return method;
	ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	method = ec_index < 0 ? NULL : EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	if (!method)
		return NULL;
	EC_KEY_METHOD_get_sign(method, &sign, NULL, NULL);
	EC_KEY_METHOD_set_sign(method, sign, NULL, ec_sign);
	return method;
}

static EVP_PKEY *ec_key(EVP_PKEY *public, struct ex_tls_remote *r)
{
	const EC_KEY_METHOD *method = ec_method();
	EC_KEY *key = NULL;
	EVP_PKEY *ret;

	if (method && EVP_PKEY_get0_EC_KEY(public))
		key = EC_KEY_dup(EVP_PKEY_get0_EC_KEY(public));
	ret = EVP_PKEY_new();
	if (key && ret && EC_KEY_set_method(key, method) == 1 &&
	    EC_KEY_set_ex_data(key, ec_index, r) == 1 && EVP_PKEY_assign_EC_KEY(ret, key) == 1)
		return ret;
	EC_KEY_free(key);
	EVP_PKEY_free(ret);
	return NULL;
}

/* ---- RSA ---- */

static int rsa_index = -1;

/* Its length is that of the key's modulus, for which there is room. */
static int rsa_result(const struct ex_tls_remote *r, const RSA *key, unsigned char *to)
{
	if (r->len != (size_t)RSA_size(key))
		return -1;
	memcpy(to, r->sig, r->len);
	return (int)r->len;
}

/* PKCS #1 v1.5, of a digest. */
static int rsa_sign(int digest, const unsigned char *bytes, unsigned len, unsigned char *to,
		    unsigned *ret_len, const RSA *key)
{
	struct ex_tls_remote *r = RSA_get_ex_data(key, rsa_index);
	int n;

	/* The signer goes by the length, which SHA-3 and others share. */
	if ((digest != NID_sha256 && digest != NID_sha384 && digest != NID_sha512) ||
	    !ask(r, EX_SIGN_PKCS1, bytes, len))
		return 0;
	n = rsa_result(r, key, to);
	*ret_len = n > 0 ? (unsigned)n : 0;
	return n > 0;
}

/* PSS comes here encoded. */
static int rsa_private(int len, const unsigned char *from, unsigned char *to, RSA *key, int padding)
{
	struct ex_tls_remote *r = RSA_get_ex_data(key, rsa_index);

	if (padding != RSA_NO_PADDING || len <= 0 || !ask(r, EX_SIGN_PSS, from, (size_t)len))
		return -1;
	return rsa_result(r, key, to);
}

static int rsa_decrypt(int len, const unsigned char *from, unsigned char *to, RSA *key, int padding)
{
	(void)len;
	(void)from;
	(void)to;
	(void)key;
	(void)padding;
	return -1;
}

static const RSA_METHOD *rsa_method(void)
{
	static RSA_METHOD *method;

	if (method)
		return method;
	rsa_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	method = rsa_index < 0 ? NULL : RSA_meth_dup(RSA_PKCS1_OpenSSL());
	if (!method || RSA_meth_set_priv_enc(method, rsa_private) != 1 ||
	    RSA_meth_set_priv_dec(method, rsa_decrypt) != 1 ||
	    RSA_meth_set_sign(method, rsa_sign) != 1) {
		RSA_meth_free(method);
		method = NULL;
	}
	return method;
}

static EVP_PKEY *rsa_key(EVP_PKEY *public, struct ex_tls_remote *r)
{
	const RSA_METHOD *method = rsa_method();
	RSA *key = NULL;
	EVP_PKEY *ret;

	if (method && EVP_PKEY_get0_RSA(public))
		key = RSAPublicKey_dup(EVP_PKEY_get0_RSA(public));
	ret = EVP_PKEY_new();
	if (key && ret && RSA_set_method(key, method) == 1 &&
	    RSA_set_ex_data(key, rsa_index, r) == 1 && EVP_PKEY_assign_RSA(ret, key) == 1)
		return ret;
	RSA_free(key);
	EVP_PKEY_free(ret);
	return NULL;
}

EVP_PKEY *ex_tls_remote_key(const X509 *cert, struct ex_tls_remote *r)
{
	EVP_PKEY *public = X509_get0_pubkey(cert);

	if (!public || X509_digest(cert, EVP_sha256(), r->req.key, NULL) != 1)
		return NULL;
	return EVP_PKEY_is_a(public, "EC")    ? ec_key(public, r)
	       : EVP_PKEY_is_a(public, "RSA") ? rsa_key(public, r)
					      : NULL;
}
