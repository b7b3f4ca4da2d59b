/* SPDX-License-Identifier: Apache-2.0 */
/* What ca.c, ca_leaf.c, ca_load.c and ca_spki.c share. */
#ifndef EXEAT_AGENT_TLS_CA_PRIV_H
#define EXEAT_AGENT_TLS_CA_PRIV_H

#include <time.h>
#include <openssl/x509v3.h>

#include "agent/tls/ca.h"

#define CA_KEYS_MAX 16

#define CA_BACKDATE (60 * 60) /* clocks differ */

struct ca_part {
	unsigned char *der;
	size_t len;
};

/* What all leaves over a key have in common, beside it. */
struct ca_pattern {
	struct ca_part algorithm, issuer, subject, extensions;
};

struct ca_key {
	size_t len; /* of spki; 0: none */
	unsigned char spki[EX_SPKI_MAX];
	struct ca_pattern pattern;
};

struct ex_ca {
	EVP_PKEY *key;
	X509 *cert;
	time_t until;                  /* cert's end */
	NAME_CONSTRAINTS *constraints; /* cert's; NULL: none */
	char *pem;                     /* of cert */
	size_t pem_len;
	struct ca_key keys[CA_KEYS_MAX]; /* the oldest gives way */
	unsigned next_key;
};

/* The rest of what is known of cert: 0, -EINVAL, -ENOMEM. */
EX_MUST_CHECK int ca_finish(struct ex_ca *ca);

bool ca_validity_set(X509 *cert, time_t from, time_t to);
bool ca_subject_add(X509 *cert, const char *field, const char *value);
bool ca_extension_add(X509 *cert, X509 *issuer, int nid, const char *value);

/* Of a key that was read and found good. */
bool ca_pattern_make(const struct ex_ca *ca, EVP_PKEY *key, struct ca_pattern *ret);
void ca_pattern_free(struct ca_pattern *p);

/* A SubjectPublicKeyInfo of an untrusted proxy; it stays the CA's. NULL: not one of those we take.
 */
const struct ca_key *ca_spki_read(struct ex_ca *ca, const void *spki, size_t len);
void ca_spki_forget(struct ex_ca *ca);

#endif
