/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate authority that outlives its process: out of PEM, and into it. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "agent/tls/ca_priv.h"
#include "agent/tls/pem.h"

static bool is_usable(const struct ex_ca *ca)
{
	return ca->key && ca->cert && X509_check_private_key(ca->cert, ca->key) == 1 &&
	       X509_check_ca(ca->cert) == 1 &&
	       X509_cmp_current_time(X509_get0_notAfter(ca->cert)) > 0;
}

/* Better said now than of each leaf: not every key signs SHA-256, not every CA names its own. */
static bool can_sign(const struct ex_ca *ca)
{
	struct ca_pattern any = { 0 };
	bool ok = ca_pattern_make(ca, ca->key, &any);

	ca_pattern_free(&any);
	return ok;
}

int ex_ca_load(struct ex_span key, struct ex_span cert, struct ex_ca **ret)
{
	struct ex_ca *ca = calloc(1, sizeof(*ca));
	int r = ca ? -EINVAL : -ENOMEM;

	if (ca) {
		ca->key = ex_pem_key(key);
		ca->cert = ex_pem_cert(cert);
		if (is_usable(ca))
			r = can_sign(ca) ? ca_finish(ca) : -EINVAL;
	}
	if (r < 0) {
		ex_ca_free(ca);
		return r;
	}
	*ret = ca;
	return 0;
}

int ex_ca_key_pem(const struct ex_ca *ca, char buf[static EX_CA_KEY_MAX])
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *data;
	long len = 0;

	if (bio && PEM_write_bio_PKCS8PrivateKey(bio, ca->key, NULL, NULL, 0, NULL, NULL) == 1)
		len = BIO_get_mem_data(bio, &data);
	if (len > 0 && len < EX_CA_KEY_MAX)
		memcpy(buf, data, (size_t)len);
	BIO_free(bio);
	return len > 0 && len < EX_CA_KEY_MAX ? (int)len : -EIO;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static size_t count_permitted(X509 *cert)
{
	NAME_CONSTRAINTS *nc = X509_get_ext_d2i(cert, NID_name_constraints, NULL, NULL);
	int n = nc && nc->permittedSubtrees ? sk_GENERAL_SUBTREE_num(nc->permittedSubtrees) : 0;

	NAME_CONSTRAINTS_free(nc);
	return n > 0 ? (size_t)n : 0;
}

static bool fingerprint_write(const X509 *cert, char out[static 3 * 32])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (X509_digest(cert, EVP_sha256(), digest, &len) != 1 || len != 32)
		return false;
	for (unsigned i = 0; i < len; i++)
		snprintf(out + (size_t)3 * i, 4 - (i == 31), i < 31 ? "%02X:" : "%02X", digest[i]);
	return true;
}

/* The common name, or all that it says of itself. */
static void subject_write(const X509 *cert, struct ex_ca_info *ret)
{
	const X509_NAME *name = X509_get_subject_name(cert);

	if (X509_NAME_get_text_by_NID(name, NID_commonName, ret->subject, sizeof(ret->subject)) <=
	    0)
		(void)X509_NAME_oneline(name, ret->subject, sizeof(ret->subject));
}

int ex_ca_describe(struct ex_span pem, struct ex_ca_info *ret)
{
	X509 *cert = ex_pem_cert(pem);
	int r = -EINVAL;

	memset(ret, 0, sizeof(*ret));
	if (cert && fingerprint_write(cert, ret->fingerprint)) {
		subject_write(cert, ret);
		ret->from = seconds_of(X509_get0_notBefore(cert));
		ret->to = seconds_of(X509_get0_notAfter(cert));
		ret->rsa = EVP_PKEY_is_a(X509_get0_pubkey(cert), "RSA");
		ret->n_permitted = count_permitted(cert);
		r = 0;
	}
	X509_free(cert);
	return r;
}
