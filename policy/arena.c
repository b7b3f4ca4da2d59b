/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/arena.h"

#include <stdarg.h>
#include <stdio.h>

#define BLOCK_SIZE ((size_t)64 * 1024)
#define ALIGN      _Alignof(max_align_t)

struct ex_arena_block {
	struct ex_arena_block *next;
	size_t used, size;
	_Alignas(max_align_t) char data[];
};

void ex_arena_done(struct ex_arena *a)
{
	struct ex_arena_block *b = a->head;

	while (b) {
		struct ex_arena_block *next = b->next;

		free(b);
		b = next;
	}
	*a = (struct ex_arena){ .limit = a->limit };
}

static struct ex_arena_block *block_new(struct ex_arena *a, size_t want)
{
	/* One large object must not hide the room that is left in the current block. */
	bool behind = a->head && want > BLOCK_SIZE / 4;
	size_t size = behind || want > BLOCK_SIZE ? want : BLOCK_SIZE;
	size_t limit = a->limit ? a->limit : EX_ARENA_LIMIT;
	struct ex_arena_block *b;

	if (size > limit || a->used > limit - size)
		return NULL;
	b = malloc(sizeof(*b) + size);
	if (!b)
		return NULL;
	b->used = 0;
	b->size = size;
	a->used += size;
	if (behind) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	return b;
}

void *ex_arena_alloc(struct ex_arena *a, size_t n, size_t size)
{
	struct ex_arena_block *b = a->head;
	size_t want;
	void *p;

	if (a->oom || __builtin_mul_overflow(n, size, &want) || want > EX_ARENA_LIMIT) {
		a->oom = true;
		return NULL;
	}
	want = (want + ALIGN - 1) & ~(ALIGN - 1);
	if (want == 0)
		want = ALIGN;
	if (!b || b->size - b->used < want) {
		b = block_new(a, want);
		if (!b) {
			a->oom = true;
			return NULL;
		}
	}
	p = b->data + b->used;
	b->used += want;
	return memset(p, 0, want);
}

char *ex_arena_strndup(struct ex_arena *a, const char *s, size_t len)
{
	char *p;

	if (len >= EX_ARENA_LIMIT) {
		a->oom = true;
		return NULL;
	}
	p = ex_arena_alloc(a, len + 1, 1);
	if (p && len)
		memcpy(p, s, len);
	return p;
}

char *ex_arena_printf(struct ex_arena *a, const char *fmt, ...)
{
	EX_AUTO_FREE char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		a->oom = true;
		return NULL;
	}
	return ex_arena_strndup(a, text, (size_t)n);
}

bool ex_vec_reserve(void *array_ptr, size_t *cap, size_t n, size_t size)
{
	void **array = array_ptr;
	size_t want, bytes;
	void *p;

	if (n < *cap)
		return true;
	want = *cap ? *cap * 2 : 8;
	if (__builtin_mul_overflow(want, size, &bytes) || bytes > EX_ARENA_LIMIT)
		return false;
	p = realloc(*array, bytes);
	if (!p)
		return false;
	*array = p;
	*cap = want;
	return true;
}
