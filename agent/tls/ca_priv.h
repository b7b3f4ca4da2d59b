/* SPDX-License-Identifier: Apache-2.0 */
/* What ca.c and ca_load.c share. */
#ifndef EXEAT_AGENT_TLS_CA_PRIV_H
#define EXEAT_AGENT_TLS_CA_PRIV_H

#include <openssl/x509.h>

#include "agent/tls/ca.h"

struct ex_ca {
	EVP_PKEY *key;
	X509 *cert;
	char *pem; /* of cert */
	size_t pem_len;
};

/* Fills in pem. */
int ca_write_pem(struct ex_ca *ca);

#endif
