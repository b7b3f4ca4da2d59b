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
 * SubjectPublicKeyInfo of those we take has one shape: OpenSSL's decoder sees nothing else.
 */
struct shape {
	size_t len, head_len, tail_len;
	const uint8_t *head, *tail;
};

/* P-256: an uncompressed point. */
static const uint8_t p256_head[] = {
	0x30, 0x59,                                                 /* SubjectPublicKeyInfo */
	0x30, 0x13,                                                 /* algorithm */
	0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,       /* ecPublicKey */
	0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, /* prime256v1 */
	0x03, 0x42, 0x00,                                           /* bit string */
	0x04,                                                       /* uncompressed */
};
static const struct shape p256 = { .len = sizeof(p256_head) + 64,
				   .head = p256_head,
				   .head_len = sizeof(p256_head) };

/* RSA: a modulus of 2048 bits, the usual exponent. */
static const uint8_t rsa_head[] = {
	0x30, 0x82, 0x01, 0x22,                               /* SubjectPublicKeyInfo */
	0x30, 0x0d,                                           /* algorithm */
	0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, /* rsaEncryption */
	0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00, /* bit string */
	0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00, /* modulus */
};
static const uint8_t rsa_tail[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };
static const struct shape rsa = {
	.len = sizeof(rsa_head) + 256 + sizeof(rsa_tail),
	.head = rsa_head,
	.head_len = sizeof(rsa_head),
	.tail = rsa_tail,
	.tail_len = sizeof(rsa_tail),
};

static bool has_shape(const struct shape *s, const uint8_t *spki, size_t len)
{
	return len == s->len && memcmp(spki, s->head, s->head_len) == 0 &&
	       (!s->tail_len || memcmp(spki + len - s->tail_len, s->tail, s->tail_len) == 0);
}

static bool is_on_curve(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool ok = ctx && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static X509_PUBKEY *read_key(const void *spki, size_t len)
{
	bool ec = has_shape(&p256, spki, len);
	const unsigned char *p = spki;
	X509_PUBKEY *key;
	EVP_PKEY *pkey;

	if (!ec && !has_shape(&rsa, spki, len))
		return NULL;
	key = d2i_X509_PUBKEY(NULL, &p, (long)len);
	pkey = key ? X509_PUBKEY_get0(key) : NULL;
	if (pkey && (ec ? is_on_curve(pkey) : EVP_PKEY_get_bits(pkey) == 2048))
		return key;
	X509_PUBKEY_free(key);
	return NULL;
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

	if (len == 0 || len > EX_SPKI_MAX)
		return NULL;
	for (size_t i = 0; i < CA_KEYS_MAX; i++)
		if (ca->keys[i].len == len && memcmp(ca->keys[i].spki, spki, len) == 0)
			return &ca->keys[i];
	key = read_key(spki, len);
	return key ? keep(ca, key, spki, len) : NULL;
}
