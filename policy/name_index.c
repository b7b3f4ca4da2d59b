/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which patterns of a policy have a name, without looking at all of them. A pattern is filed under
 * its fixed tail: the labels behind the last one that has a star, of an exact name all of it. A
 * name has as many tails as labels, and each is looked up. Patterns without a fixed tail are tried
 * one by one. The table is made of the policy's patterns only; what a workload asks for cannot make
 * a chain longer.
 */
#include "policy/model.h"

#include <errno.h>

#include "exeat/hash.h"

struct ex_name_entry {
	struct ex_name_slot slot;
	uint32_t next; /* index + 1 */
};

static size_t bucket_of(const struct ex_name_index *ix, uint64_t h)
{
	return (size_t)(h ^ (h >> 32)) & ix->mask;
}

/* Empty: the pattern has none. */
static struct ex_span fixed_tail(const struct ex_name_pattern *p)
{
	struct ex_span tail = { p->text, p->len };

	if (p->kind == EX_NAME_NONE || p->kind == EX_NAME_ANY)
		return (struct ex_span){ p->text, 0 };
	for (size_t i = p->len; i > 0; i--) {
		const char *dot;

		if (p->text[i - 1] != '*')
			continue;
		dot = memchr(p->text + i, '.', p->len - i);
		tail.ptr = dot ? dot + 1 : p->text + p->len;
		tail.len = (size_t)(p->text + p->len - tail.ptr);
		break;
	}
	return tail;
}

/* From the last byte to the first, so that a tail's hash is on the way to that of a longer one. */
static uint64_t hash_tail(struct ex_span tail)
{
	uint64_t h = EX_HASH_START;

	for (size_t i = tail.len; i > 0; i--)
		h = ex_hash_step(h, (unsigned char)tail.ptr[i - 1]);
	return h;
}

int ex_name_index_build(struct ex_arena *arena, const struct ex_name_slot *slots, size_t n,
			struct ex_name_index *ret)
{
	struct ex_name_index ix = { .mask = 15 };

	if (n == 0) {
		*ret = (struct ex_name_index){ 0 };
		return 0;
	}
	while (ix.mask + 1 < n * 2)
		ix.mask = ix.mask * 2 + 1;
	ix.buckets = ex_arena_alloc(arena, ix.mask + 1, sizeof(*ix.buckets));
	ix.entries = ex_arena_alloc(arena, n, sizeof(*ix.entries));
	ix.loose = ex_arena_alloc(arena, n, sizeof(*ix.loose));
	if (!ix.buckets || !ix.entries || !ix.loose)
		return -ENOMEM;
	/* from the last to the first, so that a chain begins with the first rule */
	for (size_t i = n; i > 0; i--) {
		struct ex_span tail = fixed_tail(slots[i - 1].pattern);
		uint32_t *bucket;

		ix.entries[i - 1].slot = slots[i - 1];
		if (tail.len == 0) {
			ix.loose[ix.n_loose++] = (uint32_t)(i - 1);
			continue;
		}
		bucket = &ix.buckets[bucket_of(&ix, hash_tail(tail))];
		ix.entries[i - 1].next = *bucket;
		*bucket = (uint32_t)i;
	}
	*ret = ix;
	return 0;
}

void ex_name_find(const struct ex_name_index *ix, struct ex_span name, struct ex_name_iter *it)
{
	*it = (struct ex_name_iter){ .ix = ix,
				     .name = name,
				     .left = ix->buckets ? name.len : 0,
				     .hash = EX_HASH_START,
				     .loose = ix->n_loose };
}

/* The chain of the next longer tail; false behind the whole name. */
static bool next_tail(struct ex_name_iter *it)
{
	const struct ex_name_index *ix = it->ix;

	while (it->left) {
		it->hash = ex_hash_step(it->hash, (unsigned char)it->name.ptr[--it->left]);
		if (it->left && it->name.ptr[it->left - 1] != '.')
			continue;
		it->entry = ix->buckets[bucket_of(ix, it->hash)];
		if (it->entry)
			return true;
	}
	return false;
}

const struct ex_name_slot *ex_name_next(struct ex_name_iter *it)
{
	const struct ex_name_index *ix = it->ix;

	while (it->entry || next_tail(it)) {
		const struct ex_name_entry *e = &ix->entries[it->entry - 1];

		it->entry = e->next;
		if (ex_name_match(e->slot.pattern, it->name))
			return &e->slot;
	}
	while (it->loose) {
		const struct ex_name_entry *e = &ix->entries[ix->loose[--it->loose]];

		if (ex_name_match(e->slot.pattern, it->name))
			return &e->slot;
	}
	return NULL;
}
