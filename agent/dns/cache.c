/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dns/cache.h"

/* An answer as it is kept: this, the name asked for, then what there is of each, without gaps. */
struct head {
	uint16_t type;
	uint8_t name_len, rcode, n_chain, n_addrs, n_records;
};

#define KEPT_MAX (sizeof(struct head) + EX_DNS_NAME_MAX + sizeof(struct ex_dns_answer))

_Static_assert(EX_DNS_NAME_MAX <= UINT8_MAX && EX_DNS_CHAIN_MAX <= UINT8_MAX &&
		       EX_DNS_ADDRS_MAX <= UINT8_MAX && EX_DNS_RECORDS_MAX <= UINT8_MAX,
	       "counts fit the head");

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
		if (set[i].kept && set[i].hash == hash)
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
			free(c->places[i][j].kept);
	memset(c->places, 0, sizeof(c->places));
}

static size_t data_len(const struct ex_dns_answer *a)
{
	size_t len = 0;

	for (size_t i = 0; i < a->n_records; i++)
		len += a->record_len[i];
	return len;
}

static uint8_t *put(uint8_t *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

static size_t pack(const struct ex_dns_question *q, const struct ex_dns_answer *a, uint8_t *out)
{
	struct head h = { .type = q->type,
			  .name_len = (uint8_t)q->name_len,
			  .rcode = a->rcode,
			  .n_chain = (uint8_t)a->n_chain,
			  .n_addrs = (uint8_t)a->n_addrs,
			  .n_records = (uint8_t)a->n_records };
	uint8_t *to = put(out, &h, sizeof(h));

	to = put(to, q->name, q->name_len);
	for (size_t i = 0; i < a->n_chain; i++)
		to = put(to, a->chain[i], strlen(a->chain[i]) + 1);
	to = put(to, a->addrs, a->n_addrs * sizeof(a->addrs[0]));
	to = put(to, a->record_len, a->n_records * sizeof(a->record_len[0]));
	to = put(to, a->records, data_len(a));
	return (size_t)(to - out);
}

static const uint8_t *get(const uint8_t *from, void *to, size_t len)
{
	memcpy(to, from, len);
	return from + len;
}

/* All but the TTL. False: it is the answer to another question, whose hash is the same. */
static bool unpack(const uint8_t *kept, const struct ex_dns_question *q, struct ex_dns_answer *ret)
{
	struct head h;
	const uint8_t *from = get(kept, &h, sizeof(h));

	if (h.type != q->type || h.name_len != q->name_len ||
	    memcmp(from, q->name, q->name_len) != 0)
		return false;
	from += h.name_len;
	ex_dns_answer_init(ret, h.rcode);
	ret->n_chain = h.n_chain;
	ret->n_addrs = h.n_addrs;
	ret->n_records = h.n_records;
	for (size_t i = 0; i < ret->n_chain; i++)
		from = get(from, ret->chain[i], strlen((const char *)from) + 1);
	from = get(from, ret->addrs, ret->n_addrs * sizeof(ret->addrs[0]));
	from = get(from, ret->record_len, ret->n_records * sizeof(ret->record_len[0]));
	(void)get(from, ret->records, data_len(ret));
	return true;
}

void ex_dns_cache_put(struct ex_dns_cache *c, const struct ex_dns_question *q,
		      const struct ex_dns_answer *a, uint64_t now_ms)
{
	uint64_t hash = hash_question(c, q);
	struct ex_dns_cached *p = place_of(c, hash);
	uint8_t buf[KEPT_MAX] EX_UNSET, *kept;
	size_t len = pack(q, a, buf);

	kept = realloc(p->kept, len);
	if (!kept)
		free(p->kept);
	*p = (struct ex_dns_cached){ .hash = hash,
				     .expires = now_ms + a->ttl * 1000ull,
				     .kept = kept };
	if (kept)
		memcpy(kept, buf, len);
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

	if (!p->kept || p->hash != hash || p->expires <= now_ms || !unpack(p->kept, q, ret))
		return false;
	ret->ttl = (uint32_t)((p->expires - now_ms + 999) / 1000);
	rotate(ret, ++p->hits);
	return true;
}
