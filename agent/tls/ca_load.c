/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate authority that outlives its process: out of PEM, and into it. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "agent/tls/ca_priv.h"

/* No question is ever asked: a key with a passphrase is one that cannot be read. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static BIO *bio_of(struct ex_span pem)
{
	return pem.len && pem.len < INT32_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
}

static bool is_usable(const struct ex_ca *ca)
{
	return ca->key && ca->cert && X509_check_private_key(ca->cert, ca->key) == 1 &&
	       X509_check_ca(ca->cert) == 1 &&
	       X509_cmp_current_time(X509_get0_notAfter(ca->cert)) > 0;
}

int ex_ca_load(struct ex_span key, struct ex_span cert, struct ex_ca **ret)
{
	struct ex_ca *ca = calloc(1, sizeof(*ca));
	BIO *key_bio = bio_of(key), *cert_bio = bio_of(cert);
	int r = ca ? -EINVAL : -ENOMEM;

	if (ca && key_bio && cert_bio) {
		ca->key = PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, NULL);
		ca->cert = PEM_read_bio_X509(cert_bio, NULL, no_passphrase, NULL);
		if (is_usable(ca))
			r = ca_write_pem(ca);
	}
	BIO_free(key_bio);
	BIO_free(cert_bio);
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
