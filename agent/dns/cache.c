// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/cache.h"
#include "agent/dns/wire.h"

enum { MSG_MAX = 8192 }; /* an answer at all its bounds is shorter */

static uint64_t hash_question(const struct ex_dns_cache *c, const struct ex_dns_question *q)
{
	return ex_dns_hash(&c->key, (struct ex_span){ q->name, q->name_len }) ^ q->type;
}

/* Where the answer is or, when it is nowhere, the place to put it. */
static struct ex_dns_cached *place_of(struct ex_dns_cache *c, uint64_t hash)
{
	struct ex_dns_cached *set = c->places[hash % EX_DNS_CACHE_SETS];
	size_t oldest = 0;

	for (size_t i = 0; i < EX_DNS_CACHE_WAYS; i++) {
		if (set[i].msg && set[i].hash == hash)
			return &set[i];
		if (set[i].expires < set[oldest].expires)
			oldest = i;
	}
	return &set[oldest];
}

int ex_dns_cache_init(struct ex_dns_cache *c)
{
	return ex_dns_key_init(&c->key);
}

void ex_dns_cache_clear(struct ex_dns_cache *c)
{
	for (size_t i = 0; i < EX_DNS_CACHE_SETS; i++)
		for (size_t j = 0; j < EX_DNS_CACHE_WAYS; j++)
			free(c->places[i][j].msg);
	memset(c->places, 0, sizeof(c->places));
}

void ex_dns_cache_put(struct ex_dns_cache *c, const struct ex_dns_question *q,
		      const struct ex_dns_answer *a, uint64_t now_ms)
{
	uint64_t hash = hash_question(c, q);
	struct ex_dns_cached *p = place_of(c, hash);
	struct ex_dns_question plain = { .type = q->type };
	uint8_t buf[MSG_MAX] EX_UNSET;
	size_t len;

	memcpy(plain.name_sent, q->name, q->name_len + 1);
	len = ex_dns_build_reply(&plain, a, 0, NULL, buf, sizeof(buf));
	free(p->msg);
	*p = (struct ex_dns_cached){ .hash = hash,
				     .expires = now_ms + a->ttl * 1000ull,
				     .len = len,
				     .msg = len > 0 ? malloc(len) : NULL };
	if (p->msg)
		memcpy(p->msg, buf, len);
}

static void rotate(struct ex_dns_answer *a, unsigned by)
{
	struct ex_ip addrs[EX_DNS_ADDRS_MAX];

	if (a->n_addrs < 2)
		return;
	for (size_t i = 0; i < a->n_addrs; i++)
		addrs[i] = a->addrs[(i + by) % a->n_addrs];
	memcpy(a->addrs, addrs, a->n_addrs * sizeof(addrs[0]));
}

bool ex_dns_cache_get(struct ex_dns_cache *c, const struct ex_dns_question *q, uint64_t now_ms,
		      struct ex_dns_answer *ret)
{
	uint64_t hash = hash_question(c, q);
	struct ex_dns_cached *p = place_of(c, hash);
	struct ex_span name = { q->name, q->name_len };

	/* should two questions have one hash, the parser refuses the answer to the other */
	if (!p->msg || p->hash != hash || p->expires <= now_ms ||
	    ex_dns_parse_answer(p->msg, p->len, name, q->type, ret) < 0)
		return false;
	ret->ttl = (uint32_t)((p->expires - now_ms + 999) / 1000);
	rotate(ret, ++p->hits);
	return true;
}
