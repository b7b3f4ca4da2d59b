/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/cache.h"

#include <errno.h>

#include "exeat/hash.h"

struct entry {
	uint64_t hash;
	uint64_t used; /* tick of the last use */
	void *value;   /* NULL: free */
	uint8_t name_len;
	char name[EX_SNI_MAX];
};

struct ex_tls_cache {
	void (*drop)(void *value);
	uint64_t tick; /* one per use */
	size_t n, max; /* entries that were ever used, and may be */
	struct entry entries[];
};

int ex_tls_cache_new(size_t max, void (*drop)(void *value), struct ex_tls_cache **ret)
{
	struct ex_tls_cache *c = calloc(1, sizeof(*c) + max * sizeof(c->entries[0]));

	if (!c)
		return -ENOMEM;
	c->drop = drop;
	c->max = max;
	*ret = c;
	return 0;
}

void ex_tls_cache_free(struct ex_tls_cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		if (c->entries[i].value)
			c->drop(c->entries[i].value);
	free(c);
}

/* A few hundred entries: one sweep costs less than keeping an index would. */
static struct entry *entry_find(struct ex_tls_cache *c, struct ex_span name)
{
	uint64_t hash = ex_hash(name);

	for (size_t i = 0; i < c->n; i++) {
		struct entry *e = &c->entries[i];

		if (e->hash == hash && e->value &&
		    ex_span_eq(name, (struct ex_span){ e->name, e->name_len }))
			return e;
	}
	return NULL;
}

static struct entry *entry_for(struct ex_tls_cache *c, struct ex_span name)
{
	struct entry *e = entry_find(c, name), *oldest = NULL;

	if (e)
		return e;
	if (c->n < c->max)
		return &c->entries[c->n++];
	for (e = c->entries; e < c->entries + c->n; e++)
		if (!oldest || !e->value || (oldest->value && e->used < oldest->used))
			oldest = e;
	return oldest;
}

void *ex_tls_cache_get(struct ex_tls_cache *c, struct ex_span name)
{
	struct entry *e = entry_find(c, name);

	if (!e)
		return NULL;
	e->used = ++c->tick;
	return e->value;
}

void *ex_tls_cache_take(struct ex_tls_cache *c, struct ex_span name)
{
	struct entry *e = entry_find(c, name);

	return e ? EX_TAKE_PTR(e->value) : NULL;
}

void ex_tls_cache_put(struct ex_tls_cache *c, struct ex_span name, void *value)
{
	struct entry *e = name.len <= EX_SNI_MAX ? entry_for(c, name) : NULL;

	if (!e) {
		c->drop(value);
		return;
	}
	if (e->value)
		c->drop(e->value);
	e->value = value;
	e->hash = ex_hash(name);
	e->used = ++c->tick;
	e->name_len = (uint8_t)name.len;
	memcpy(e->name, name.ptr, name.len);
}
