/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

BIO *ex_pem_bio(struct ex_span pem)
{
	return pem.len && pem.len < INT32_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
}

static bool push(STACK_OF(X509) * certs, X509 *cert)
{
	if (sk_X509_push(certs, cert) > 0)
		return true;
	X509_free(cert);
	return false;
}

X509 *ex_pem_cert(struct ex_span pem)
{
	BIO *bio = ex_pem_bio(pem);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;

	ERR_clear_error();
	BIO_free(bio);
	return cert;
}

STACK_OF(X509) * ex_pem_certs(struct ex_span pem)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	BIO *bio = ex_pem_bio(pem);
	bool ok = certs && bio;
	unsigned long e;
	X509 *cert;

	ERR_clear_error();
	while (ok && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)))
		ok = push(certs, cert);
	e = ERR_peek_last_error(); /* that no other follows, or why it cannot be read */
	ok = ok && sk_X509_num(certs) > 0 && ERR_GET_LIB(e) == ERR_LIB_PEM &&
	     ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(bio);
	if (ok)
		return certs;
	sk_X509_pop_free(certs, X509_free);
	return NULL;
}

EVP_PKEY *ex_pem_key(struct ex_span pem)
{
	BIO *bio = ex_pem_bio(pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	ERR_clear_error();
	BIO_free(bio);
	return key;
}
