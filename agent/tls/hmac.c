/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/hmac.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

static int hash(const struct ex_span *pieces, size_t n, uint8_t ret[static EX_MAC_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

	for (size_t i = 0; i < n && ok; i++)
		ok = EVP_DigestUpdate(ctx, pieces[i].ptr, pieces[i].len);
	ok = ok && EVP_DigestFinal_ex(ctx, ret, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

int ex_mac(struct ex_span key, const struct ex_span *pieces, size_t n,
	   uint8_t ret[static EX_MAC_LEN])
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac;
	EVP_MAC_CTX *ctx;
	size_t len = 0;
	int ok;

	if (key.len == 0)
		return hash(pieces, n, ret);
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	ok = ctx && EVP_MAC_init(ctx, (const unsigned char *)key.ptr, key.len, params);
	for (size_t i = 0; i < n && ok; i++)
		ok = EVP_MAC_update(ctx, (const unsigned char *)pieces[i].ptr, pieces[i].len);
	ok = ok && EVP_MAC_final(ctx, ret, &len, EX_MAC_LEN) && len == EX_MAC_LEN;
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return ok ? 0 : -EIO;
}

bool ex_mac_eq(const uint8_t a[static EX_MAC_LEN], const uint8_t b[static EX_MAC_LEN])
{
	return CRYPTO_memcmp(a, b, EX_MAC_LEN) == 0;
}

int ex_random(uint8_t *ret, size_t len)
{
	return len <= INT_MAX && RAND_bytes(ret, (int)len) == 1 ? 0 : -EIO;
}
