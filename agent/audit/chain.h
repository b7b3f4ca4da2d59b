/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain that makes a log tamper-evident. Each record ends in
 *
 *   ,"n":12,"kid":"k1","prev":"<mac of record 11>","mac":"<HMAC of the line up to here>"}
 *
 * mac covers prev, so no record can be changed, taken out, put in or moved without the key: a
 * change breaks the record's own mac, everything else breaks prev. Without a key (kid "") it is a
 * plain hash, which finds accidents, not attackers.
 */
#ifndef EXEAT_AGENT_AUDIT_CHAIN_H
#define EXEAT_AGENT_AUDIT_CHAIN_H

#include <sys/types.h>

#include "agent/audit/key.h"
#include "agent/tls/hmac.h"

#define EX_CHAIN_TAIL_MAX 256 /* what sealing adds to a line, at most */

struct ex_chain {
	uint64_t n;              /* of the last record */
	uint8_t mac[EX_MAC_LEN]; /* of the last record; zero before the first */
};

/*
 * Seals a JSON line that ends in "}\n" and has room for EX_CHAIN_TAIL_MAX more. Returns the new
 * length or negative errno. *next is the chain behind it; the caller takes it over when the line
 * was written.
 */
ssize_t ex_chain_seal(const struct ex_chain *chain, const struct ex_audit_key *key, char *line,
		      size_t len, struct ex_chain *next);

/* What a sealed line says of itself; spans point into the line. */
struct ex_chain_link {
	uint64_t n;
	struct ex_span kid, type;
	uint8_t prev[EX_MAC_LEN], mac[EX_MAC_LEN];
	struct ex_span body; /* what the mac covers */
};

/* line without its newline. False when it is not a sealed line. */
bool ex_chain_parse(struct ex_span line, struct ex_chain_link *ret);

/* Is the mac right? False also when its key is not known. */
bool ex_chain_authentic(const struct ex_chain_link *link, const struct ex_audit_keys *keys);

/* Lower-case hex; out holds 2 * len + 1. */
void ex_hex_encode(const uint8_t *bytes, size_t len, char *out);
/* hex.len must be 2 * len. */
bool ex_hex_decode(struct ex_span hex, uint8_t *out, size_t len);

#endif
