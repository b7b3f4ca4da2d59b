/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves. Between those over one key only serial number, dates and name differ: OpenSSL writes all
 * the rest once, and a leaf is that with these put in between, and signed.
 */
#include <errno.h>
#include <time.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "agent/tls/ca_priv.h"
#include "agent/tls/name.h"

#define LEAF_SECONDS (24 * 60 * 60)
#define SERIAL_LEN   16

/* ---- what they have in common ---- */

static bool pattern_build(const struct ex_ca *ca, EVP_PKEY *key, X509 *cert)
{
	time_t now = time(NULL);

	/*
	 * The name stands in the SAN only, where everyone looks; a common name could not hold 253
	 * bytes. The subject is not empty because the SAN would have to be critical then. Signed to
	 * have the algorithm in it.
	 */
	return X509_set_version(cert, X509_VERSION_3) && ca_validity_set(cert, now, now) &&
	       ca_subject_add(cert, "O", "exeat") &&
	       X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) &&
	       X509_set_pubkey(cert, key) &&
	       ca_extension_add(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       ca_extension_add(cert, ca->cert, NID_key_usage, "critical,digitalSignature") &&
	       ca_extension_add(cert, ca->cert, NID_ext_key_usage, "serverAuth") &&
	       ca_extension_add(cert, ca->cert, NID_subject_key_identifier, "hash") &&
	       ca_extension_add(cert, ca->cert, NID_authority_key_identifier, "keyid:always") &&
	       X509_sign(cert, ca->key, EVP_sha256()) > 0;
}

static bool part_set(struct ca_part *p, int len)
{
	p->len = len > 0 ? (size_t)len : 0;
	return len > 0;
}

static bool extensions_write(X509 *cert, struct ca_part *p)
{
	int n = X509_get_ext_count(cert), len = 0;
	unsigned char *at;

	for (int i = 0; i < n; i++)
		len += i2d_X509_EXTENSION(X509_get_ext(cert, i), NULL);
	at = p->der = OPENSSL_malloc((size_t)len);
	for (int i = 0; at && i < n; i++)
		(void)i2d_X509_EXTENSION(X509_get_ext(cert, i), &at);
	return at && part_set(p, len);
}

void ca_pattern_free(struct ca_pattern *p)
{
	OPENSSL_free(p->algorithm.der);
	OPENSSL_free(p->issuer.der);
	OPENSSL_free(p->subject.der);
	OPENSSL_free(p->extensions.der);
	*p = (struct ca_pattern){ 0 };
}

bool ca_pattern_make(const struct ex_ca *ca, EVP_PKEY *key, struct ca_pattern *ret)
{
	X509 *cert = X509_new();
	bool ok = cert && pattern_build(ca, key, cert) &&
		  part_set(&ret->algorithm,
			   i2d_X509_ALGOR(X509_get0_tbs_sigalg(cert), &ret->algorithm.der)) &&
		  part_set(&ret->issuer,
			   i2d_X509_NAME(X509_get_issuer_name(cert), &ret->issuer.der)) &&
		  part_set(&ret->subject,
			   i2d_X509_NAME(X509_get_subject_name(cert), &ret->subject.der)) &&
		  extensions_write(cert, &ret->extensions);

	X509_free(cert);
	if (!ok)
		ca_pattern_free(ret);
	return ok;
}

/* ---- DER, written from its end on, where lengths are known ---- */

struct der {
	uint8_t *at; /* NULL: it did not go */
	uint8_t buf[EX_LEAF_MAX];
};

static void der_begin(struct der *d)
{
	d->at = d->buf + sizeof(d->buf);
}

static size_t der_len(const struct der *d)
{
	return d->at ? (size_t)(d->buf + sizeof(d->buf) - d->at) : 0;
}

static void put(struct der *d, const void *bytes, size_t len)
{
	if (!d->at || len > (size_t)(d->at - d->buf)) {
		d->at = NULL;
		return;
	}
	d->at -= len;
	memcpy(d->at, bytes, len);
}

static void put_part(struct der *d, const struct ca_part *p)
{
	put(d, p->der, p->len);
}

/* What was put since there were `before` bytes is the content of this. */
static void wrap(struct der *d, uint8_t tag, size_t before)
{
	size_t len = der_len(d) - before;
	uint8_t high = (uint8_t)(len >> 8), low = (uint8_t)len;

	if (!d->at)
		return;
	if (len < 0x80)
		put(d, (uint8_t[]){ tag, low }, 2);
	else if (len < 0x100)
		put(d, (uint8_t[]){ tag, 0x81, low }, 3);
	else
		put(d, (uint8_t[]){ tag, 0x82, high, low }, 4);
}

/* ---- what differs ---- */

#define DER_SEQUENCE   0x30
#define DER_INTEGER    0x02
#define DER_BITS       0x03
#define DER_OCTETS     0x04
#define DER_EXTENSIONS 0xa3 /* TBSCertificate's [3] */
#define DER_DNS_NAME   0x82 /* GeneralName's [2] */

static void put_name(struct der *d, struct ex_span name)
{
	static const uint8_t subject_alt_name[] = { 0x06, 0x03, 0x55, 0x1d, 0x11 };
	size_t before = der_len(d);

	put(d, name.ptr, name.len);
	wrap(d, DER_DNS_NAME, before);
	wrap(d, DER_SEQUENCE, before);
	wrap(d, DER_OCTETS, before);
	put(d, subject_alt_name, sizeof(subject_alt_name));
	wrap(d, DER_SEQUENCE, before);
}

static void put_time(struct der *d, time_t when)
{
	ASN1_TIME *t = ASN1_TIME_set(NULL, when);
	unsigned char buf[32], *p = buf;
	int len = t ? i2d_ASN1_TIME(t, NULL) : -1;

	if (len > 0 && (size_t)len <= sizeof(buf) && i2d_ASN1_TIME(t, &p) == len)
		put(d, buf, (size_t)len);
	else
		d->at = NULL;
	ASN1_TIME_free(t);
}

/* A day, but not beyond the end of the CA. */
static void put_validity(struct der *d, const struct ex_ca *ca)
{
	time_t from = time(NULL) - CA_BACKDATE, until = from + LEAF_SECONDS;
	size_t before = der_len(d);

	put_time(d, until < ca->until ? until : ca->until);
	put_time(d, from);
	wrap(d, DER_SEQUENCE, before);
}

/* 128 random bits; the top one set, so that every serial has the same length and none is zero. */
static void put_serial(struct der *d)
{
	uint8_t serial[1 + SERIAL_LEN] = { 0 }; /* the first: it is not negative */
	size_t before = der_len(d);

	if (RAND_bytes(serial + 1, SERIAL_LEN) != 1)
		d->at = NULL;
	serial[1] |= 0x80;
	put(d, serial, sizeof(serial));
	wrap(d, DER_INTEGER, before);
}

/* TBSCertificate, RFC 5280 4.1. */
static void put_content(struct der *d, const struct ex_ca *ca, const struct ca_key *key,
			struct ex_span name)
{
	static const uint8_t version_3[] = { 0xa0, 0x03, 0x02, 0x01, 0x02 };

	put_name(d, name);
	put_part(d, &key->pattern.extensions);
	wrap(d, DER_SEQUENCE, 0);
	wrap(d, DER_EXTENSIONS, 0);
	put(d, key->spki, key->len);
	put_part(d, &key->pattern.subject);
	put_validity(d, ca);
	put_part(d, &key->pattern.issuer);
	put_part(d, &key->pattern.algorithm);
	put_serial(d);
	put(d, version_3, sizeof(version_3));
	wrap(d, DER_SEQUENCE, 0);
}

static void put_signature(struct der *d, const struct ex_ca *ca, const struct der *content)
{
	static const uint8_t no_bits_left = 0;
	unsigned char sig[EX_LEAF_MAX] EX_UNSET;
	size_t len = sizeof(sig);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, ca->key) == 1 &&
	    EVP_DigestSign(ctx, sig, &len, content->at, der_len(content)) == 1)
		put(d, sig, len);
	else
		d->at = NULL;
	EVP_MD_CTX_free(ctx);
	put(d, &no_bits_left, sizeof(no_bits_left));
	wrap(d, DER_BITS, 0);
}

/* Who uses the CA would refuse a name that it is not permitted: better said here. */
static bool is_permitted(const struct ex_ca *ca, const struct der *leaf)
{
	const unsigned char *p = leaf->at;
	X509 *cert;
	bool ok;

	if (!ca->constraints)
		return true;
	cert = d2i_X509(NULL, &p, (long)der_len(leaf));
	/* which also collects the names that are looked at */
	ok = cert && X509_check_purpose(cert, X509_PURPOSE_SSL_SERVER, 0) == 1 &&
	     NAME_CONSTRAINTS_check(cert, ca->constraints) == X509_V_OK;
	X509_free(cert);
	return ok;
}

int ex_ca_sign(struct ex_ca *ca, struct ex_span name, const void *spki, size_t spki_len,
	       uint8_t buf[static EX_LEAF_MAX])
{
	const struct ca_key *key;
	struct der content EX_UNSET, leaf EX_UNSET;

	if (!ex_tls_name_is_canonical(name))
		return -EINVAL;
	if (ca->until <= time(NULL))
		return -EKEYEXPIRED;
	key = ca_spki_read(ca, spki, spki_len);
	if (!key)
		return -EINVAL;
	der_begin(&content);
	put_content(&content, ca, key, name);
	if (!content.at)
		return -EIO;
	der_begin(&leaf);
	put_signature(&leaf, ca, &content);
	put_part(&leaf, &key->pattern.algorithm);
	put(&leaf, content.at, der_len(&content));
	wrap(&leaf, DER_SEQUENCE, 0);
	if (!leaf.at)
		return -EIO;
	if (!is_permitted(ca, &leaf))
		return -EACCES;
	memcpy(buf, leaf.at, der_len(&leaf));
	return (int)der_len(&leaf);
}
