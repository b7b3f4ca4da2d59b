/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys out of PEM. Within agent/tls. */
#ifndef EXEAT_AGENT_TLS_PEM_H
#define EXEAT_AGENT_TLS_PEM_H

#include <openssl/x509.h>

#include "exeat/util.h"

/* Every certificate; NULL when there is none, or one is broken. */
STACK_OF(X509) * ex_pem_certs(struct ex_span pem);

/* The first one; NULL: it cannot be read. */
X509 *ex_pem_cert(struct ex_span pem);

/* One without a passphrase; nobody is ever asked for one. NULL: it cannot be read. */
EVP_PKEY *ex_pem_key(struct ex_span pem);

BIO *ex_pem_bio(struct ex_span pem);

#endif
