/* SPDX-License-Identifier: Apache-2.0 */
/* The privileged side's half of sign.h. */
#include "agent/tls/sign.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>

#include "agent/tls/pem.h"

#define KEYS_MAX 1024

struct entry {
	uint8_t id[EX_KEY_ID_LEN];
	EVP_PKEY *key;
};

struct ex_signer {
	struct entry *v;
	size_t n;
};

int ex_signer_new(struct ex_signer **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void ex_signer_free(struct ex_signer *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		EVP_PKEY_free(s->v[i].key);
	free(s->v);
	free(s);
}

static const struct entry *find(const struct ex_signer *s, const uint8_t id[EX_KEY_ID_LEN])
{
	for (size_t i = 0; i < s->n; i++)
		if (memcmp(s->v[i].id, id, EX_KEY_ID_LEN) == 0)
			return &s->v[i];
	return NULL;
}

/* The key is the signer's. */
static int add(struct ex_signer *s, const uint8_t id[EX_KEY_ID_LEN], EVP_PKEY *key)
{
	struct entry *v = s->n < KEYS_MAX ? reallocarray(s->v, s->n + 1, sizeof(*v)) : NULL;

	if (!v) {
		EVP_PKEY_free(key);
		return s->n < KEYS_MAX ? -ENOMEM : -ENOSPC;
	}
	s->v = v;
	memcpy(v[s->n].id, id, EX_KEY_ID_LEN);
	v[s->n++].key = key;
	return 0;
}

int ex_signer_add(struct ex_signer *s, struct ex_span chain, struct ex_span key_pem)
{
	STACK_OF(X509) *certs = ex_pem_certs(chain);
	EVP_PKEY *key = ex_pem_key(key_pem);
	uint8_t id[EVP_MAX_MD_SIZE];
	bool ok = certs && key &&
		  X509_digest(sk_X509_value(certs, 0), EVP_sha256(), id, NULL) == 1 &&
		  X509_check_private_key(sk_X509_value(certs, 0), key) == 1;

	sk_X509_pop_free(certs, X509_free);
	if (ok && !find(s, id))
		return add(s, id, key);
	EVP_PKEY_free(key);
	return ok ? 0 : -EINVAL;
}

size_t ex_signer_count(const struct ex_signer *s)
{
	return s->n;
}

int ex_signer_give(const struct ex_signer *s, size_t i, uint8_t id[EX_KEY_ID_LEN],
		   uint8_t der[static EX_KEY_DER_MAX])
{
	unsigned char *at = der;
	int len = i2d_PrivateKey(s->v[i].key, NULL);

	if (len <= 0 || len > EX_KEY_DER_MAX)
		return -EIO;
	memcpy(id, s->v[i].id, EX_KEY_ID_LEN);
	return i2d_PrivateKey(s->v[i].key, &at);
}

int ex_signer_take(struct ex_signer *s, const uint8_t id[EX_KEY_ID_LEN], struct ex_span der)
{
	const unsigned char *at = (const unsigned char *)der.ptr;
	EVP_PKEY *key =
		der.len <= EX_KEY_DER_MAX ? d2i_AutoPrivateKey(NULL, &at, (long)der.len) : NULL;

	return key ? add(s, id, key) : -EINVAL;
}

/* ---- what may be signed ---- */

static const EVP_MD *digest_of(size_t len)
{
	switch (len) {
	case 32:
		return EVP_sha256();
	case 48:
		return EVP_sha384();
	case 64:
		return EVP_sha512();
	default:
		return NULL;
	}
}

/* RFC 8017 B.2.1: out ^= MGF1(seed). */
static bool unmask(const EVP_MD *md, const uint8_t *seed, size_t seed_len, uint8_t *out, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t mask[EVP_MAX_MD_SIZE];
	size_t step = (size_t)EVP_MD_get_size(md);
	bool ok = ctx;

	for (size_t at = 0; at < len && ok; at += step) {
		uint32_t n = (uint32_t)(at / step);
		uint8_t count[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
				     (uint8_t)n };

		ok = EVP_DigestInit_ex(ctx, md, NULL) == 1 &&
		     EVP_DigestUpdate(ctx, seed, seed_len) == 1 &&
		     EVP_DigestUpdate(ctx, count, sizeof(count)) == 1 &&
		     EVP_DigestFinal_ex(ctx, mask, NULL) == 1;
		for (size_t i = 0; i < step && at + i < len && ok; i++)
			out[at + i] ^= mask[i];
	}
	EVP_MD_CTX_free(ctx);
	return ok;
}

/*
 * RFC 8017 9.1.2 as far as it goes without the message: masked DB || H || 0xbc, and DB is zeros,
 * 0x01, a salt as long as the digest (as TLS has it). Of a key with 8k bits EM has 8k - 1.
 */
static bool is_pss_by(const EVP_MD *md, const uint8_t *em, size_t len)
{
	size_t h_len = (size_t)EVP_MD_get_size(md), db_len = len - h_len - 1;
	uint8_t db[EX_SIGN_MAX];

	if (len < 2 * h_len + 2 || em[len - 1] != 0xbc || em[0] & 0x80)
		return false;
	memcpy(db, em, db_len);
	if (!unmask(md, em + db_len, h_len, db, db_len))
		return false;
	db[0] &= 0x7f;
	for (size_t i = 0; i < db_len - h_len - 1; i++)
		if (db[i])
			return false;
	return db[db_len - h_len - 1] == 0x01;
}

static bool is_pss(const EVP_PKEY *key, const uint8_t *em, size_t len)
{
	return EVP_PKEY_get_bits(key) % 8 == 0 && len == (size_t)EVP_PKEY_get_bits(key) / 8 &&
	       (is_pss_by(EVP_sha256(), em, len) || is_pss_by(EVP_sha384(), em, len) ||
		is_pss_by(EVP_sha512(), em, len));
}

/* ---- signing ---- */

static bool prepare(EVP_PKEY_CTX *ctx, const EVP_PKEY *key, const struct ex_sign_request *req)
{
	bool rsa = EVP_PKEY_is_a(key, "RSA");
	const EVP_MD *md = digest_of(req->len);

	switch (req->kind) {
	case EX_SIGN_ECDSA:
		return EVP_PKEY_is_a(key, "EC") && md;
	case EX_SIGN_PKCS1:
		return rsa && md && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_signature_md(ctx, md) == 1;
	case EX_SIGN_PSS:
		return rsa && is_pss(key, req->bytes, req->len) &&
		       EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1;
	default:
		return false;
	}
}

int ex_signer_sign(const struct ex_signer *s, const struct ex_sign_request *req,
		   uint8_t sig[static EX_SIGN_MAX])
{
	const struct entry *e = find(s, req->key);
	size_t len = EX_SIGN_MAX;
	EVP_PKEY_CTX *ctx;
	int r = -EINVAL;

	if (!e)
		return -ENOENT;
	ctx = EVP_PKEY_CTX_new(e->key, NULL);
	if (!ctx || EVP_PKEY_sign_init(ctx) != 1)
		r = -EIO;
	else if (req->len <= sizeof(req->bytes) && prepare(ctx, e->key, req))
		r = EVP_PKEY_sign(ctx, sig, &len, req->bytes, req->len) == 1 ? (int)len : -EIO;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return r;
}
