/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a leaf that was just minted becomes a certificate of OpenSSL's. Decoding the key in it would
 * take longer than minting it did, and the key is always ours: so it is read where no key can be
 * decoded, and gets ours.
 */
#include "agent/tls/internal.h"

#include <errno.h>
#include <openssl/err.h>

#include "agent/tls/ca.h"

#define RSA_BITS 2048

int ex_tls_bare_init(struct ex_tls_bare *b)
{
	b->ctx = OSSL_LIB_CTX_new();
	/* Without this one the context would get all that there is. */
	b->none = b->ctx ? OSSL_PROVIDER_load(b->ctx, "null") : NULL;
	return b->none ? 0 : -EIO;
}

void ex_tls_bare_done(struct ex_tls_bare *b)
{
	if (b->none)
		(void)OSSL_PROVIDER_unload(b->none);
	OSSL_LIB_CTX_free(b->ctx);
	*b = (struct ex_tls_bare){ 0 };
}

/*
 * OpenSSL writes a key of a provider by an encoder, and then decodes what it wrote. One that was
 * read without providers it writes itself. Either will do; the second takes a hundredth.
 */
static EVP_PKEY *read_bare(const struct ex_tls_bare *b, const EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int len = i2d_PrivateKey(key, &der);
	const unsigned char *p = der;
	EVP_PKEY *ret = NULL;

	if (len > 0) {
		ret = d2i_PrivateKey_ex(EVP_PKEY_get_base_id(key), NULL, &p, len, b->ctx, NULL);
		OPENSSL_clear_free(der, (size_t)len);
	}
	if (ret && EVP_PKEY_eq(ret, key) != 1) {
		EVP_PKEY_free(ret);
		ret = NULL;
	}
	ERR_clear_error();
	return ret;
}

EVP_PKEY *ex_tls_leaf_key(const struct ex_tls_bare *b, bool rsa)
{
	EVP_PKEY *key = rsa ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
	EVP_PKEY *bare = key ? read_bare(b, key) : NULL;

	if (!bare)
		return key;
	EVP_PKEY_free(key);
	return bare;
}

static bool is_over(const struct ex_tls_leaves *l, X509 *cert)
{
	const X509_PUBKEY *key = X509_get_X509_PUBKEY(cert);
	unsigned char spki[EX_SPKI_MAX], *p = spki;
	int len = i2d_X509_PUBKEY(key, NULL);

	return len > 0 && (size_t)len == l->spki_len && (size_t)len <= sizeof(spki) &&
	       i2d_X509_PUBKEY(key, &p) == len && memcmp(spki, l->spki, l->spki_len) == 0;
}

/* What a client is sent has to be what the CA has signed. */
static bool is_written_as(X509 *cert, const void *der, size_t len)
{
	unsigned char buf[EX_LEAF_MAX], *p = buf;
	int n = i2d_X509(cert, NULL);

	return n > 0 && (size_t)n == len && (size_t)n <= sizeof(buf) && i2d_X509(cert, &p) == n &&
	       memcmp(buf, der, len) == 0;
}

X509 *ex_tls_leaf_read(const struct ex_tls_leaves *l, const void *der, size_t len)
{
	const unsigned char *p = der;
	X509 *cert = X509_new_ex(l->bare->ctx, NULL);

	/* It frees a certificate that it cannot read. */
	if (cert && !d2i_X509(&cert, &p, (long)len))
		cert = NULL;
	if (cert && (!is_over(l, cert) || X509_set_pubkey(cert, l->key) != 1 ||
		     !is_written_as(cert, der, len))) {
		X509_free(cert);
		cert = NULL;
	}
	ERR_clear_error();
	return cert;
}
