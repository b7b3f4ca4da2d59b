/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The http rules of a long list by path. A literal path is filed under all of it, a prefix
 * ("/v1/models.*") under its part up to the last slash; every such part of a request's path is
 * looked up. Other expressions are tried one by one. The list is made of the policy only, so a
 * workload cannot make a chain longer; how often a path is looked up is bounded by its slashes.
 */
#include "policy/model.h"

#include <errno.h>

#include "exeat/hash.h"

#define SHORT_LIST 16 /* rules; below, trying is as fast */

struct http_entry {
	uint32_t rule; /* in the list */
	uint32_t next; /* index + 1 */
};

struct ex_http_index {
	uint32_t *buckets;
	size_t mask;
	struct http_entry *entries;
	uint32_t *loose; /* rules, descending */
	size_t n_loose;
};

static size_t bucket_of(const struct ex_http_index *ix, uint64_t h)
{
	return (size_t)(h ^ (h >> 32)) & ix->mask;
}

/* What the rule is filed under; false: it can only be tried. */
static bool file_key(const struct ex_http_match *m, struct ex_span *ret)
{
	bool prefix;
	size_t len;

	if (!m->path || !ex_regex_literal(m->path, &ret->ptr, &len, &prefix))
		return false;
	while (prefix && len && ret->ptr[len - 1] != '/')
		len--;
	ret->len = len;
	return len > 0;
}

int ex_http_index_build(struct ex_arena *arena, struct ex_ports *ports)
{
	struct ex_http_index *ix;
	size_t n = ports->n_http;

	if (n <= SHORT_LIST)
		return 0;
	ix = ex_arena_alloc(arena, 1, sizeof(*ix));
	if (!ix)
		return -ENOMEM;
	ix->mask = 15;
	while (ix->mask + 1 < n * 2)
		ix->mask = ix->mask * 2 + 1;
	ix->buckets = ex_arena_alloc(arena, ix->mask + 1, sizeof(*ix->buckets));
	ix->entries = ex_arena_alloc(arena, n, sizeof(*ix->entries));
	ix->loose = ex_arena_alloc(arena, n, sizeof(*ix->loose));
	if (!ix->buckets || !ix->entries || !ix->loose)
		return -ENOMEM;
	for (size_t i = n; i > 0; i--) {
		struct ex_span key;
		uint32_t *bucket;

		if (!file_key(&ports->http[i - 1], &key)) {
			ix->loose[ix->n_loose++] = (uint32_t)(i - 1);
			continue;
		}
		bucket = &ix->buckets[bucket_of(ix, ex_hash(key))];
		ix->entries[i - 1] = (struct http_entry){ (uint32_t)(i - 1), *bucket };
		*bucket = (uint32_t)i;
	}
	ports->index = ix;
	return 0;
}

void ex_http_find(const struct ex_ports *ports, struct ex_span path, struct ex_http_iter *it)
{
	*it = (struct ex_http_iter){ .ports = ports, .path = path, .hash = EX_HASH_START };
	if (ports->index)
		it->loose = ports->index->n_loose;
}

/* The chain of the next longer part of the path; false behind the whole path. */
static bool next_part(struct ex_http_iter *it)
{
	const struct ex_http_index *ix = it->ports->index;

	while (it->at < it->path.len) {
		char c = it->path.ptr[it->at++];

		it->hash = ex_hash_step(it->hash, (unsigned char)c);
		if (c != '/' && it->at < it->path.len)
			continue;
		it->entry = ix->buckets[bucket_of(ix, it->hash)];
		if (it->entry)
			return true;
	}
	return false;
}

const struct ex_http_match *ex_http_next(struct ex_http_iter *it)
{
	const struct ex_http_index *ix = it->ports->index;

	if (!ix)
		return it->next < it->ports->n_http ? &it->ports->http[it->next++] : NULL;
	if (it->entry || next_part(it)) {
		const struct http_entry *e = &ix->entries[it->entry - 1];

		it->entry = e->next;
		return &it->ports->http[e->rule];
	}
	return it->loose ? &it->ports->http[ix->loose[--it->loose]] : NULL;
}
