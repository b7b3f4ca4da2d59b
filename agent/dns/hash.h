/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyed hash of short byte strings, for tables whose keys a stranger chooses: without the key,
 * collisions cannot be prepared.
 */
#ifndef EXEAT_AGENT_DNS_HASH_H
#define EXEAT_AGENT_DNS_HASH_H

#include <errno.h>
#include <sys/random.h>

#include "exeat/util.h"

struct ex_dns_key {
	uint64_t k[2];
};

EX_MUST_CHECK static inline int ex_dns_key_init(struct ex_dns_key *key)
{
	return getrandom(key, sizeof(*key), 0) == sizeof(*key) ? 0 : -EIO;
}

static inline uint64_t ex_dns_hash_mix(const struct ex_dns_key *key, uint64_t h, uint64_t word)
{
	__uint128_t product = (__uint128_t)(h ^ word) * (key->k[1] | 1);

	return (uint64_t)product ^ (uint64_t)(product >> 64) ^ key->k[0];
}

/* Never 0, so that 0 can mark an empty place. */
static inline uint64_t ex_dns_hash(const struct ex_dns_key *key, struct ex_span s)
{
	uint64_t h = key->k[0] ^ s.len, word;

	for (; s.len >= sizeof(word); s.ptr += sizeof(word), s.len -= sizeof(word)) {
		memcpy(&word, s.ptr, sizeof(word));
		h = ex_dns_hash_mix(key, h, word);
	}
	if (s.len > 0) {
		word = 0;
		memcpy(&word, s.ptr, s.len);
		h = ex_dns_hash_mix(key, h, word);
	}
	h ^= h >> 32;
	return h ? h : 1;
}

#endif
