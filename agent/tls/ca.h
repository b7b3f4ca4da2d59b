/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local certificate authority. Lives in the privileged parent; the key never leaves it but for
 * a file of root's. The proxy has one leaf key of its own and asks for a certificate per name.
 */
#ifndef EXEAT_AGENT_TLS_CA_H
#define EXEAT_AGENT_TLS_CA_H

#include "exeat/util.h"

struct ex_ca;

/* A fresh ECDSA P-256 CA, valid from an hour ago for `days`, name-constrained to nothing. */
EX_MUST_CHECK int ex_ca_new(int days, struct ex_ca **ret);

/* One that is to stay. */
struct ex_ca_wish {
	int days;
	bool rsa; /* RSA with 3072 bits, for clients that cannot verify ECDSA */
	/* Canonical names: it may sign for these and what is below them, for nothing else. */
	const struct ex_span *permitted;
	size_t n_permitted;
};

/* -EINVAL: days beyond ten years, a name that is none. */
EX_MUST_CHECK int ex_ca_make(const struct ex_ca_wish *wish, struct ex_ca **ret);
void ex_ca_free(struct ex_ca *ca); /* wipes the key */

/*
 * One that was made before. -EINVAL: not a key and a certificate of it that may sign others and has
 * not expired.
 */
EX_MUST_CHECK int ex_ca_load(struct ex_span key, struct ex_span cert, struct ex_ca **ret);

/* Its key in PEM, to be kept where only root reads; the caller wipes it. Length or negative errno.
 */
#define EX_CA_KEY_MAX 8192
EX_MUST_CHECK int ex_ca_key_pem(const struct ex_ca *ca, char buf[static EX_CA_KEY_MAX]);

/* What stands in the first certificate of a PEM text. 0 or -EINVAL. */
struct ex_ca_info {
	char subject[128];
	char fingerprint[3 * 32]; /* SHA-256, as openssl x509 -fingerprint prints it */
	int64_t from, to;         /* seconds since 1970 */
	bool rsa;
	size_t n_permitted;
};
EX_MUST_CHECK int ex_ca_describe(struct ex_span pem, struct ex_ca_info *ret);

/* The CA certificate in PEM, owned by ca. */
struct ex_span ex_ca_pem(const struct ex_ca *ca);

/*
 * Signs a leaf for a canonical host name over the public key `spki` (DER SubjectPublicKeyInfo,
 * P-256 or RSA with 2048 bits). Writes DER to buf; returns its length or negative errno (-EINVAL:
 * name or key refused; -EKEYEXPIRED: the CA has ended).
 */
#define EX_LEAF_MAX 2048
#define EX_SPKI_MAX 320 /* RSA: 294 */
int ex_ca_sign(struct ex_ca *ca, struct ex_span name, const void *spki, size_t spki_len,
	       uint8_t buf[static EX_LEAF_MAX]);

/* The system's roots (first usual bundle path that exists, or $SSL_CERT_FILE), PEM; malloc'd. */
EX_MUST_CHECK int ex_trust_read_system(char **ret_pem, size_t *ret_len);

#endif
