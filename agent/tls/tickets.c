/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tickets for the workload's clients, under keys that all workers of an endpoint make from one
 * secret: whichever a client comes back to knows them. The secret is the endpoint's and the
 * policy's, so is a ticket; the name it is good for is in its context (session.c).
 */
#include "agent/tls/internal.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "agent/core/loop.h"
#include "agent/tls/hmac.h"

#define KEY_MS 3600000 /* then another one; tickets of the one before are still good */

#define NAME_LEN 16 /* RFC 5077 4 */
#define IV_LEN   16

/* By the hour of the machine, which no clock that is set changes. */
static int make_key(const struct ex_tls_tickets *t, uint64_t hour, struct ex_tls_ticket_key *ret)
{
	uint8_t *const parts[] = { ret->name, ret->cipher, ret->mac };
	int r = 0;

	for (uint8_t i = 0; i < EX_ARRAY_SIZE(parts) && r == 0; i++) {
		const struct ex_span pieces[] = {
			EX_SPAN("exeat ticket"),
			{ (const char *)&i, sizeof(i) },
			{ (const char *)&hour, sizeof(hour) },
		};

		r = ex_mac((struct ex_span){ (const char *)t->secret, sizeof(t->secret) }, pieces,
			   EX_ARRAY_SIZE(pieces), parts[i]);
	}
	return r;
}

static int make_keys(struct ex_tls_tickets *t, uint64_t hour)
{
	int r;

	if (t->made && t->hour == hour)
		return 0;
	t->made = false;
	r = make_key(t, hour, &t->keys[0]);
	if (r == 0)
		r = make_key(t, hour - 1, &t->keys[1]);
	t->hour = hour;
	t->made = r == 0;
	return r;
}

static bool use_mac(EVP_MAC_CTX *mac, const struct ex_tls_ticket_key *key)
{
	char digest[] = "SHA256";
	uint8_t copy[EX_MAC_LEN];
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, copy, sizeof(copy)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	memcpy(copy, key->mac, sizeof(copy));
	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(const struct ex_tls_ticket_key *key, unsigned char *name, unsigned char *iv,
		EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	memcpy(name, key->name, NAME_LEN);
	return RAND_bytes(iv, IV_LEN) == 1 &&
			       EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher,
						  iv) == 1 &&
			       use_mac(mac, key)
		       ? 1
		       : -1;
}

/* 0: shake hands in full; 1: good; 2: good, and the client gets a new one. */
static int unseal(const struct ex_tls_tickets *t, const unsigned char *name,
		  const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(t->keys); i++) {
		const struct ex_tls_ticket_key *key = &t->keys[i];

		if (memcmp(name, key->name, NAME_LEN) != 0)
			continue;
		if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) != 1 ||
		    !use_mac(mac, key))
			return -1;
		return i == 0 ? 1 : 2;
	}
	return 0;
}

int ex_tls_on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int enc)
{
	const struct ex_tls_session *s = SSL_get_app_data(ssl);
	struct ex_tls_tickets *t = &s->tls->tickets;

	if (make_keys(t, ex_clock_ms() / KEY_MS) < 0)
		return -1;
	return enc ? seal(&t->keys[0], name, iv, cipher, mac) : unseal(t, name, iv, cipher, mac);
}

void ex_tls_use_tickets(struct ex_tls *tls, const uint8_t secret[static EX_TICKET_SECRET_LEN])
{
	explicit_bzero(&tls->tickets, sizeof(tls->tickets));
	memcpy(tls->tickets.secret, secret, sizeof(tls->tickets.secret));
}
