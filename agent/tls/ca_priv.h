/* SPDX-License-Identifier: Apache-2.0 */
/* What ca.c, ca_load.c and ca_spki.c share. */
#ifndef EXEAT_AGENT_TLS_CA_PRIV_H
#define EXEAT_AGENT_TLS_CA_PRIV_H

#include <openssl/x509.h>

#include "agent/tls/ca.h"

#define CA_KEYS_MAX 16
#define CA_SPKI_MAX 320 /* RSA of 2048 bits: 294 */

struct ca_key {
	X509_PUBKEY *key; /* NULL: none */
	size_t len;
	unsigned char spki[CA_SPKI_MAX];
};

struct ex_ca {
	EVP_PKEY *key;
	X509 *cert;
	char *pem; /* of cert */
	size_t pem_len;
	struct ca_key keys[CA_KEYS_MAX]; /* the oldest gives way */
	unsigned next_key;
};

/* Fills in pem. */
int ca_write_pem(struct ex_ca *ca);

/* A SubjectPublicKeyInfo of an untrusted proxy; it stays the CA's. NULL: not one of those we take.
 */
const X509_PUBKEY *ca_spki_read(struct ex_ca *ca, const void *spki, size_t len);
bool ca_spki_set(X509 *cert, const X509_PUBKEY *key);
void ca_spki_forget(struct ex_ca *ca);

#endif
