/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/regex_set.h"

#include <errno.h>

#include "exeat/hash.h"

/* All of them have to be worth their number, so that no file can fill the memory. */
#define SIZE_BASE ((size_t)8 * 1024 * 1024)
#define SIZE_EACH ((size_t)8 * 1024)

static size_t bucket_of(const struct ex_regex_set *set, const char *text, size_t len)
{
	uint64_t h = ex_hash((struct ex_span){ text, len });

	return (size_t)(h ^ (h >> 32)) & (set->n_buckets - 1);
}

static void link_entry(struct ex_regex_set *set, uint32_t i)
{
	struct ex_regex_entry *e = &set->entries.v[i];
	uint32_t *bucket = &set->buckets[bucket_of(set, e->text, e->len)];

	e->next = *bucket;
	*bucket = i + 1;
}

static int grow(struct ex_regex_set *set)
{
	size_t n = set->n_buckets ? set->n_buckets * 2 : 64;
	uint32_t *buckets;

	if (set->entries.n < set->n_buckets)
		return 0;
	buckets = calloc(n, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	free(set->buckets);
	set->buckets = buckets;
	set->n_buckets = n;
	for (uint32_t i = 0; i < set->entries.n; i++)
		link_entry(set, i);
	return 0;
}

static const struct ex_regex *find(const struct ex_regex_set *set, const char *text, size_t len)
{
	uint32_t i = set->n_buckets ? set->buckets[bucket_of(set, text, len)] : 0;

	for (; i; i = set->entries.v[i - 1].next) {
		const struct ex_regex_entry *e = &set->entries.v[i - 1];

		if (e->len == len && memcmp(e->text, text, len) == 0)
			return e->re;
	}
	return NULL;
}

static int add(struct ex_regex_set *set, struct ex_arena *arena, const char *text, size_t len,
	       struct ex_regex *re)
{
	const char *copy = ex_arena_strndup(arena, text, len);
	struct ex_regex_entry *e;

	if (!copy || grow(set) < 0)
		return -ENOMEM;
	e = EX_VEC_ADD(&set->entries);
	if (!e)
		return -ENOMEM;
	*e = (struct ex_regex_entry){ .re = re, .text = copy, .len = len };
	link_entry(set, (uint32_t)set->entries.n - 1);
	return 0;
}

int ex_regex_set_get(struct ex_regex_set *set, struct ex_arena *arena, const char *text, size_t len,
		     const struct ex_regex **ret, char *err, size_t err_size)
{
	const struct ex_regex *known = find(set, text, len);
	struct ex_regex *re;
	int r;

	if (known) {
		*ret = known;
		return 0;
	}
	r = ex_regex_new(text, len, &re, err, err_size);
	if (r < 0)
		return r;
	set->size += ex_regex_size(re);
	if (set->size > SIZE_BASE + set->entries.n * SIZE_EACH)
		r = -E2BIG;
	else
		r = add(set, arena, text, len, re);
	if (r < 0)
		ex_regex_free(re);
	else
		*ret = re;
	return r;
}

void ex_regex_set_done(struct ex_regex_set *set)
{
	for (size_t i = 0; i < set->entries.n; i++)
		ex_regex_free(set->entries.v[i].re);
	free(set->entries.v);
	free(set->buckets);
	*set = (struct ex_regex_set){ 0 };
}
