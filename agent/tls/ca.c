/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/ca.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "agent/tls/ca_priv.h"
#include "agent/tls/name.h"

#define BACKDATE     (60 * 60) /* clocks differ */
#define LEAF_SECONDS (24 * 60 * 60)
#define DAYS_MAX     3650
#define RSA_BITS     3072

/* 128 random bits; the top one set, so that every serial has the same length and none is zero. */
static bool serial_set(X509 *cert)
{
	BIGNUM *bn = BN_new();
	bool ok = bn && BN_rand(bn, 128, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
		  BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));

	BN_free(bn);
	return ok;
}

static bool validity_set(X509 *cert, time_t from, time_t to)
{
	return ASN1_TIME_set(X509_getm_notBefore(cert), from) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), to);
}

static bool subject_add(X509 *cert, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), field, MBSTRING_ASC,
					  (const unsigned char *)value, -1, -1, 0) == 1;
}

/* value is always text of ours: this little language can do much. Names go through san_add(). */
static bool extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool san_add(X509 *cert, struct ex_span name)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *entry = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	bool ok = names && entry && text && ASN1_STRING_set(text, name.ptr, (int)name.len) == 1;

	if (!ok)
		ASN1_IA5STRING_free(text);
	else
		GENERAL_NAME_set0_value(entry, GEN_DNS, text);
	ok = ok && sk_GENERAL_NAME_push(names, entry) > 0;
	if (!ok)
		GENERAL_NAME_free(entry);
	ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	return ok;
}

/* What it may sign for, as an extension. */
static bool constraints_add(X509 *cert, const struct ex_ca_wish *wish)
{
	size_t max = sizeof("critical"), len;
	EX_AUTO_FREE char *text = NULL;

	if (!wish->n_permitted)
		return true;
	for (size_t i = 0; i < wish->n_permitted; i++)
		max += wish->permitted[i].len + sizeof(",permitted;DNS:");
	text = malloc(max);
	if (!text)
		return false;
	len = (size_t)snprintf(text, max, "critical");
	for (size_t i = 0; i < wish->n_permitted; i++) {
		struct ex_span name = wish->permitted[i];

		if (!ex_tls_name_is_canonical(name))
			return false;
		len += (size_t)snprintf(text + len, max - len, ",permitted;DNS:%.*s", (int)name.len,
					name.ptr);
	}
	return extension_add(cert, cert, NID_name_constraints, text);
}

static bool ca_build(struct ex_ca *ca, const struct ex_ca_wish *wish)
{
	time_t now = time(NULL);
	char cn[64];
	uint32_t suffix;

	if (RAND_bytes((unsigned char *)&suffix, sizeof(suffix)) != 1)
		return false;
	/* The suffix tells two CAs apart, also for stores that go by name. */
	snprintf(cn, sizeof(cn), "exeat CA %08x", suffix);
	return X509_set_version(ca->cert, X509_VERSION_3) && serial_set(ca->cert) &&
	       validity_set(ca->cert, now - BACKDATE, now + (time_t)wish->days * 24 * 60 * 60) &&
	       subject_add(ca->cert, "O", "exeat") && subject_add(ca->cert, "CN", cn) &&
	       X509_set_issuer_name(ca->cert, X509_get_subject_name(ca->cert)) &&
	       X509_set_pubkey(ca->cert, ca->key) &&
	       extension_add(ca->cert, ca->cert, NID_basic_constraints,
			     "critical,CA:TRUE,pathlen:0") &&
	       extension_add(ca->cert, ca->cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       extension_add(ca->cert, ca->cert, NID_subject_key_identifier, "hash") &&
	       extension_add(ca->cert, ca->cert, NID_authority_key_identifier, "keyid:always") &&
	       constraints_add(ca->cert, wish) && X509_sign(ca->cert, ca->key, EVP_sha256()) > 0;
}

int ca_write_pem(struct ex_ca *ca)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;
	int r = -ENOMEM;

	if (bio && PEM_write_bio_X509(bio, ca->cert) == 1) {
		len = BIO_get_mem_data(bio, &data);
		ca->pem = len > 0 ? malloc((size_t)len) : NULL;
		if (ca->pem) {
			memcpy(ca->pem, data, (size_t)len);
			ca->pem_len = (size_t)len;
			r = 0;
		}
	}
	BIO_free(bio);
	return r;
}

int ex_ca_make(const struct ex_ca_wish *wish, struct ex_ca **ret)
{
	struct ex_ca *ca;
	int r;

	if (wish->days < 1 || wish->days > DAYS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < wish->n_permitted; i++)
		if (!ex_tls_name_is_canonical(wish->permitted[i]))
			return -EINVAL;
	ca = calloc(1, sizeof(*ca));
	if (!ca)
		return -ENOMEM;
	ca->key = wish->rsa ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
	ca->cert = X509_new();
	r = ca->key && ca->cert && ca_build(ca, wish) ? ca_write_pem(ca) : -EIO;
	if (r < 0) {
		ex_ca_free(ca);
		return r;
	}
	*ret = ca;
	return 0;
}

int ex_ca_new(int days, struct ex_ca **ret)
{
	return ex_ca_make(&(struct ex_ca_wish){ .days = days }, ret);
}

void ex_ca_free(struct ex_ca *ca)
{
	if (!ca)
		return;
	EVP_PKEY_free(ca->key); /* OpenSSL clears the private number */
	X509_free(ca->cert);
	ca_spki_forget(ca);
	free(ca->pem);
	free(ca);
}

struct ex_span ex_ca_pem(const struct ex_ca *ca)
{
	return (struct ex_span){ ca->pem, ca->pem_len };
}

/* A day, but not beyond the end of the CA. */
static bool leaf_validity_set(const struct ex_ca *ca, X509 *cert, time_t from)
{
	const ASN1_TIME *end = X509_get0_notAfter(ca->cert);

	if (!validity_set(cert, from, from + LEAF_SECONDS))
		return false;
	return ASN1_TIME_compare(end, X509_get0_notAfter(cert)) >= 0 ||
	       X509_set1_notAfter(cert, end) == 1;
}

/* Who uses the CA would refuse a name that it is not permitted: better said here. */
static bool is_permitted(const struct ex_ca *ca, X509 *leaf)
{
	NAME_CONSTRAINTS *nc = X509_get_ext_d2i(ca->cert, NID_name_constraints, NULL, NULL);
	bool ok = !nc || NAME_CONSTRAINTS_check(leaf, nc) == X509_V_OK;

	NAME_CONSTRAINTS_free(nc);
	return ok;
}

static bool leaf_build(const struct ex_ca *ca, struct ex_span name, const X509_PUBKEY *key,
		       X509 *cert)
{
	time_t now = time(NULL);

	/*
	 * The name stands in the SAN only, where everyone looks; a common name could not hold 253
	 * bytes. The subject is not empty because the SAN would have to be critical then.
	 */
	return X509_set_version(cert, X509_VERSION_3) && serial_set(cert) &&
	       leaf_validity_set(ca, cert, now - BACKDATE) && subject_add(cert, "O", "exeat") &&
	       X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) &&
	       ca_spki_set(cert, key) &&
	       extension_add(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       extension_add(cert, ca->cert, NID_key_usage, "critical,digitalSignature") &&
	       extension_add(cert, ca->cert, NID_ext_key_usage, "serverAuth") &&
	       extension_add(cert, ca->cert, NID_subject_key_identifier, "hash") &&
	       extension_add(cert, ca->cert, NID_authority_key_identifier, "keyid:always") &&
	       san_add(cert, name) && X509_sign(cert, ca->key, EVP_sha256()) > 0;
}

static int leaf_write(X509 *cert, uint8_t buf[static EX_LEAF_MAX])
{
	unsigned char *p = buf;
	int len = i2d_X509(cert, NULL);

	return len > 0 && len <= EX_LEAF_MAX ? i2d_X509(cert, &p) : -EIO;
}

int ex_ca_sign(struct ex_ca *ca, struct ex_span name, const void *spki, size_t spki_len,
	       uint8_t buf[static EX_LEAF_MAX])
{
	const X509_PUBKEY *key;
	X509 *cert;
	int r = -EIO;

	if (!ex_tls_name_is_canonical(name))
		return -EINVAL;
	key = ca_spki_read(ca, spki, spki_len);
	if (!key)
		return -EINVAL;
	cert = X509_new();
	if (cert && leaf_build(ca, name, key, cert))
		r = is_permitted(ca, cert) ? leaf_write(cert, buf) : -EACCES;
	X509_free(cert);
	return r;
}
