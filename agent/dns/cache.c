// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/cache.h"
#include "agent/dns/wire.h"

enum { MSG_MAX = 8192 }; /* an answer at all its bounds is shorter */

static struct ex_dns_cached *place_of(struct ex_dns_cache *c, const struct ex_dns_question *q)
{
	uint64_t hash = ex_dns_hash(&c->key, (struct ex_span){ q->name, q->name_len });

	return &c->places[(hash ^ q->type) % EX_DNS_CACHE_PLACES];
}

int ex_dns_cache_init(struct ex_dns_cache *c)
{
	return ex_dns_key_init(&c->key);
}

void ex_dns_cache_clear(struct ex_dns_cache *c)
{
	for (size_t i = 0; i < EX_DNS_CACHE_PLACES; i++) {
		free(c->places[i].msg);
		c->places[i] = (struct ex_dns_cached){ 0 };
	}
}

void ex_dns_cache_put(struct ex_dns_cache *c, const struct ex_dns_question *q,
		      const struct ex_dns_answer *a, uint64_t now_ms)
{
	struct ex_dns_cached *p = place_of(c, q);
	struct ex_dns_question plain = { .type = q->type };
	uint8_t buf[MSG_MAX], *msg;
	size_t len;

	memcpy(plain.name_sent, q->name, q->name_len + 1);
	len = ex_dns_build_reply(&plain, a, 0, NULL, buf, sizeof(buf));
	msg = len > 0 ? malloc(len) : NULL;
	if (!msg)
		return;
	memcpy(msg, buf, len);
	free(p->msg);
	*p = (struct ex_dns_cached){ .expires = now_ms + a->ttl * 1000ull, .len = len, .msg = msg };
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
	struct ex_dns_cached *p = place_of(c, q);
	struct ex_span name = { q->name, q->name_len };

	/* the parser refuses an answer to another question, which this place may hold */
	if (!p->msg || p->expires <= now_ms ||
	    ex_dns_parse_answer(p->msg, p->len, name, q->type, ret) < 0)
		return false;
	ret->ttl = (uint32_t)((p->expires - now_ms + 999) / 1000);
	rotate(ret, ++p->hits);
	return true;
}
