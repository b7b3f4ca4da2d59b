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

#define DAYS_MAX 3650
#define RSA_BITS 3072

/* 128 random bits; the top one set, so that every serial has the same length and none is zero. */
static bool serial_set(X509 *cert)
{
	BIGNUM *bn = BN_new();
	bool ok = bn && BN_rand(bn, 128, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
		  BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));

	BN_free(bn);
	return ok;
}

bool ca_validity_set(X509 *cert, time_t from, time_t to)
{
	return ASN1_TIME_set(X509_getm_notBefore(cert), from) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), to);
}

bool ca_subject_add(X509 *cert, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), field, MBSTRING_ASC,
					  (const unsigned char *)value, -1, -1, 0) == 1;
}

/* value is always text of ours, and no name: this little language can do much. */
bool ca_extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
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

/*
 * What it may sign for, as an extension. A constraint on names says nothing about addresses (RFC
 * 5280 4.2.1.10), so these are excluded.
 */
#define NO_ADDRESSES "critical,excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::"

static bool constraints_add(X509 *cert, const struct ex_ca_wish *wish)
{
	size_t max = sizeof(NO_ADDRESSES), len;
	EX_AUTO_FREE char *text = NULL;

	if (!wish->n_permitted)
		return true;
	for (size_t i = 0; i < wish->n_permitted; i++)
		max += wish->permitted[i].len + sizeof(",permitted;DNS:");
	text = malloc(max);
	if (!text)
		return false;
	len = (size_t)snprintf(text, max, NO_ADDRESSES);
	for (size_t i = 0; i < wish->n_permitted; i++) {
		struct ex_span name = wish->permitted[i];

		if (!ex_tls_name_is_canonical(name))
			return false;
		len += (size_t)snprintf(text + len, max - len, ",permitted;DNS:%.*s", (int)name.len,
					name.ptr);
	}
	return ca_extension_add(cert, cert, NID_name_constraints, text);
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
	       ca_validity_set(ca->cert, now - CA_BACKDATE,
			       now + (time_t)wish->days * 24 * 60 * 60) &&
	       ca_subject_add(ca->cert, "O", "exeat") && ca_subject_add(ca->cert, "CN", cn) &&
	       X509_set_issuer_name(ca->cert, X509_get_subject_name(ca->cert)) &&
	       X509_set_pubkey(ca->cert, ca->key) &&
	       ca_extension_add(ca->cert, ca->cert, NID_basic_constraints,
				"critical,CA:TRUE,pathlen:0") &&
	       ca_extension_add(ca->cert, ca->cert, NID_key_usage,
				"critical,keyCertSign,cRLSign") &&
	       ca_extension_add(ca->cert, ca->cert, NID_subject_key_identifier, "hash") &&
	       ca_extension_add(ca->cert, ca->cert, NID_authority_key_identifier, "keyid:always") &&
	       constraints_add(ca->cert, wish) && X509_sign(ca->cert, ca->key, EVP_sha256()) > 0;
}

static int write_pem(struct ex_ca *ca)
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

int ca_finish(struct ex_ca *ca)
{
	struct tm end;
	int critical; /* -1: there are none; -2, or none that can be read: not ours */

	if (ASN1_TIME_to_tm(X509_get0_notAfter(ca->cert), &end) != 1)
		return -EINVAL;
	ca->until = timegm(&end);
	ca->constraints = X509_get_ext_d2i(ca->cert, NID_name_constraints, &critical, NULL);
	if (!ca->constraints && critical != -1)
		return -EINVAL;
	return write_pem(ca);
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
	r = ca->key && ca->cert && ca_build(ca, wish) ? ca_finish(ca) : -EIO;
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
	NAME_CONSTRAINTS_free(ca->constraints);
	ca_spki_forget(ca);
	free(ca->pem);
	free(ca);
}

struct ex_span ex_ca_pem(const struct ex_ca *ca)
{
	return (struct ex_span){ ca->pem, ca->pem_len };
}
