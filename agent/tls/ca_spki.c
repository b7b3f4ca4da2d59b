/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys that leaves are made over: those of the proxies, one or two each. OpenSSL takes longer
 * to read and to write a key than to sign: both are done once.
 */
#include "agent/tls/ca_priv.h"

#include <string.h>
#include <openssl/evp.h>

/*
 * The key comes from the unprivileged proxy, so it is bytes of an enemy until proven otherwise. A
 * P-256 SubjectPublicKeyInfo has one shape: this head and an uncompressed point. OpenSSL's decoder
 * sees nothing else.
 */
static X509_PUBKEY *read_p256(const void *spki, size_t len)
{
	static const uint8_t head[] = {
		0x30, 0x59,                                           /* SubjectPublicKeyInfo */
		0x30, 0x13,                                           /* algorithm */
		0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, /* ecPublicKey */
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, /* prime256v1 */
		0x03, 0x42, 0x00,                                           /* bit string */
		0x04,                                                       /* uncompressed */
	};
	const unsigned char *p = spki;
	EVP_PKEY_CTX *ctx = NULL;
	X509_PUBKEY *key;

	if (len != sizeof(head) + 64 || memcmp(spki, head, sizeof(head)) != 0)
		return NULL;
	key = d2i_X509_PUBKEY(NULL, &p, (long)len);
	if (key && X509_PUBKEY_get0(key))
		ctx = EVP_PKEY_CTX_new(X509_PUBKEY_get0(key), NULL);
	if (!ctx || EVP_PKEY_public_check(ctx) != 1) { /* on the curve? */
		X509_PUBKEY_free(key);
		key = NULL;
	}
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* The same for RSA: a modulus of 2048 bits, the usual exponent. */
static X509_PUBKEY *read_rsa(const void *spki, size_t len)
{
	static const uint8_t head[] = {
		0x30, 0x82, 0x01, 0x22,                               /* SubjectPublicKeyInfo */
		0x30, 0x0d,                                           /* algorithm */
		0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, /* rsaEncryption */
		0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00, /* bit string */
		0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00, /* modulus */
	};
	static const uint8_t tail[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };
	const unsigned char *p = spki;
	X509_PUBKEY *key;
	EVP_PKEY *pkey;

	if (len != sizeof(head) + 256 + sizeof(tail) || memcmp(p, head, sizeof(head)) != 0 ||
	    memcmp(p + len - sizeof(tail), tail, sizeof(tail)) != 0)
		return NULL;
	key = d2i_X509_PUBKEY(NULL, &p, (long)len);
	pkey = key ? X509_PUBKEY_get0(key) : NULL;
	if (!pkey || EVP_PKEY_get_bits(pkey) != 2048) {
		X509_PUBKEY_free(key);
		key = NULL;
	}
	return key;
}

static void forget(struct ca_key *key)
{
	ca_pattern_free(&key->pattern);
	key->len = 0;
}

void ca_spki_forget(struct ex_ca *ca)
{
	for (size_t i = 0; i < CA_KEYS_MAX; i++)
		forget(&ca->keys[i]);
}

/* Takes key. */
static const struct ca_key *keep(struct ex_ca *ca, X509_PUBKEY *key, const void *spki, size_t len)
{
	struct ca_key *slot = &ca->keys[ca->next_key++ % CA_KEYS_MAX];
	bool ok;

	forget(slot);
	ok = ca_pattern_make(ca, X509_PUBKEY_get0(key), &slot->pattern);
	X509_PUBKEY_free(key);
	if (!ok)
		return NULL;
	memcpy(slot->spki, spki, len);
	slot->len = len;
	return slot;
}

const struct ca_key *ca_spki_read(struct ex_ca *ca, const void *spki, size_t len)
{
	X509_PUBKEY *key;

	if (len == 0 || len > CA_SPKI_MAX)
		return NULL;
	for (size_t i = 0; i < CA_KEYS_MAX; i++)
		if (ca->keys[i].len == len && memcmp(ca->keys[i].spki, spki, len) == 0)
			return &ca->keys[i];
	key = read_p256(spki, len);
	if (!key)
		key = read_rsa(spki, len);
	return key ? keep(ca, key, spki, len) : NULL;
}
