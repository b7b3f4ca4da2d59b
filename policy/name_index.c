/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which toFQDNs peers have a name: exact names by hash, the few with wildcards one by one, so that
 * a judgement does not grow with the number of names in a policy. The table is made of the policy's
 * names only; what a workload asks for cannot make a chain longer.
 */
#include "policy/model.h"

#include <errno.h>

struct ex_name_entry {
	const struct ex_name_pattern *pattern;
	uint32_t peer;
	uint32_t next; /* index + 1 */
};

static size_t hash_name(const char *s, size_t len, size_t mask)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return (size_t)(h ^ (h >> 32)) & mask;
}

static size_t count_exact(const struct ex_ruleset *rs)
{
	size_t n = 0;

	for (size_t i = 0; i < rs->n_name_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[rs->name_peers[i]];

		for (size_t k = 0; k < peer->n_names; k++)
			n += peer->names[k].kind == EX_NAME_EXACT;
	}
	return n;
}

static void index_peer(struct ex_ruleset *rs, uint32_t id, uint32_t *n)
{
	struct ex_name_index *ix = &rs->name_index;
	const struct ex_rpeer *peer = &rs->peers[id];
	bool wild = false;

	for (size_t k = 0; k < peer->n_names; k++) {
		const struct ex_name_pattern *p = &peer->names[k];
		uint32_t *bucket;

		if (p->kind != EX_NAME_EXACT) {
			wild = true;
			continue;
		}
		bucket = &ix->buckets[hash_name(p->text, p->len, ix->mask)];
		ix->entries[*n] = (struct ex_name_entry){ p, id, *bucket };
		*bucket = ++*n;
	}
	if (wild)
		ix->wild[ix->n_wild++] = id;
}

int ex_name_index_build(struct ex_ruleset *rs)
{
	struct ex_name_index *ix = &rs->name_index;
	size_t exact = count_exact(rs), size = 16;
	uint32_t n = 0;

	while (size < exact * 2)
		size *= 2;
	ix->mask = size - 1;
	ix->buckets = ex_arena_alloc(&rs->arena, size, sizeof(*ix->buckets));
	ix->entries = ex_arena_alloc(&rs->arena, exact, sizeof(*ix->entries));
	ix->wild = ex_arena_alloc(&rs->arena, rs->n_name_peers, sizeof(*ix->wild));
	if (!ix->buckets || !ix->entries || !ix->wild)
		return -ENOMEM;
	/* from the last to the first, so that a chain begins with the first rule */
	for (size_t i = rs->n_name_peers; i > 0; i--)
		index_peer(rs, rs->name_peers[i - 1], &n);
	return 0;
}

void ex_name_find(const struct ex_ruleset *rs, struct ex_span name, struct ex_name_iter *it)
{
	const struct ex_name_index *ix = &rs->name_index;

	*it = (struct ex_name_iter){ .name = name };
	if (ix->buckets)
		it->entry = ix->buckets[hash_name(name.ptr, name.len, ix->mask)];
	it->wild = ix->n_wild;
}

const struct ex_rpeer *ex_name_next(const struct ex_ruleset *rs, struct ex_name_iter *it)
{
	const struct ex_name_index *ix = &rs->name_index;

	while (it->entry) {
		const struct ex_name_entry *e = &ix->entries[it->entry - 1];

		it->entry = e->next;
		if (!ex_name_match(e->pattern, it->name))
			continue;
		it->peer = e->peer;
		return &rs->peers[e->peer];
	}
	while (it->wild) {
		it->peer = ix->wild[--it->wild];
		if (ex_peer_has_name(&rs->peers[it->peer], it->name))
			return &rs->peers[it->peer];
	}
	return NULL;
}
