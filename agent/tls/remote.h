/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's half of sign.h: a key of which only the public half is here. OpenSSL, in the middle
 * of a handshake, is put aside (on a stack of its own, ASYNC_start_job(3)) until the signature
 * came. Within agent/tls.
 */
#ifndef EXEAT_AGENT_TLS_REMOTE_H
#define EXEAT_AGENT_TLS_REMOTE_H

#include <openssl/x509.h>

#include "agent/tls/sign.h"

struct ex_tls_remote {
	struct ex_sign_request req;
	bool waiting;
	bool refused;
	size_t len; /* of sig; 0: it was refused */
	uint8_t sig[EX_SIGN_MAX];
};

/* The key of cert, which asks r; r outlives it. NULL: of a kind that is not known, or no memory. */
EVP_PKEY *ex_tls_remote_key(const X509 *cert, struct ex_tls_remote *r);

#endif
