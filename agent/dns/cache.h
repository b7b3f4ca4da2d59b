/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers a gate has given, for as long as their TTL. One cache per workload: what one asks, or
 * makes a name server say, another never sees. A fixed number of places, four for one question; a
 * new answer takes the place of the one that ends first. Private to agent/dns.
 */
#ifndef EXEAT_AGENT_DNS_CACHE_H
#define EXEAT_AGENT_DNS_CACHE_H

#include "agent/dns/hash.h"
#include "agent/dns/message.h"

enum { EX_DNS_CACHE_SETS = 64, EX_DNS_CACHE_WAYS = 4 };

struct ex_dns_cached {
	uint64_t hash;    /* of the question */
	uint64_t expires; /* ms */
	unsigned hits;
	uint8_t *kept; /* what is used of the answer; it says itself whose answer it is */
};

struct ex_dns_cache {
	struct ex_dns_key key;
	struct ex_dns_cached places[EX_DNS_CACHE_SETS][EX_DNS_CACHE_WAYS];
};

EX_MUST_CHECK int ex_dns_cache_init(struct ex_dns_cache *c); /* on zeroed memory */
void ex_dns_cache_clear(struct ex_dns_cache *c);

/* Keeps the answer to q for a->ttl seconds. Without memory it is not kept. */
void ex_dns_cache_put(struct ex_dns_cache *c, const struct ex_dns_question *q,
		      const struct ex_dns_answer *a, uint64_t now_ms);

/* The answer to q with what remains of its TTL; each time another address comes first. */
bool ex_dns_cache_get(struct ex_dns_cache *c, const struct ex_dns_question *q, uint64_t now_ms,
		      struct ex_dns_answer *ret);

#endif
