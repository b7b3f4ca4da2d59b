/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys of client certificates (originatingTLS). They stay on the privileged side, in a
 * signer; the proxy, in the middle of a handshake, asks for the one signature that proves them. So
 * a proxy that was taken over can use a certificate while it lives, and take no key along.
 *
 * What is signed has the form of a signature: a digest, or the encoding of one. Nobody gets the
 * bare private operation of RSA, which would decrypt as well.
 */
#ifndef EXEAT_AGENT_TLS_SIGN_H
#define EXEAT_AGENT_TLS_SIGN_H

#include "exeat/util.h"

#define EX_KEY_ID_LEN 32
#define EX_SIGN_MAX   512 /* RSA with 4096 bits */

enum ex_sign_kind {
	EX_SIGN_INVALID = 0,
	EX_SIGN_ECDSA, /* bytes: a digest */
	EX_SIGN_PKCS1, /* bytes: a digest of SHA-2 */
	EX_SIGN_PSS,   /* bytes: one encoded by EMSA-PSS (RFC 8017 9.1.1), as long as the key */
};

struct ex_sign_request {
	uint8_t key[EX_KEY_ID_LEN]; /* SHA-256 of the certificate */
	uint32_t kind;              /* enum ex_sign_kind */
	uint32_t len;
	uint8_t bytes[EX_SIGN_MAX];
};

struct ex_signer;

EX_MUST_CHECK int ex_signer_new(struct ex_signer **ret);
void ex_signer_free(struct ex_signer *s); /* wipes the keys; accepts NULL */

/* PEM: a certificate, which others may follow, and its key. One it has is not added again. */
EX_MUST_CHECK int ex_signer_add(struct ex_signer *s, struct ex_span chain, struct ex_span key);

/* The signature's length; -ENOENT: no such key; -EINVAL: that is nothing to be signed; -EIO. */
EX_MUST_CHECK int ex_signer_sign(const struct ex_signer *s, const struct ex_sign_request *req,
				 uint8_t sig[static EX_SIGN_MAX]);

/* For the same signer in another program of this process: its keys one by one, DER. */
#define EX_KEY_DER_MAX 4096
size_t ex_signer_count(const struct ex_signer *s);
EX_MUST_CHECK int ex_signer_give(const struct ex_signer *s, size_t i, uint8_t id[EX_KEY_ID_LEN],
				 uint8_t der[static EX_KEY_DER_MAX]);
EX_MUST_CHECK int ex_signer_take(struct ex_signer *s, const uint8_t id[EX_KEY_ID_LEN],
				 struct ex_span der);

/* What is wrong with the certificates and the key of a rule, or NULL. For
 * ex_origin_use_checker(). */
struct ex_origin;
const char *ex_tls_check_origin(const struct ex_origin *o);

#endif
