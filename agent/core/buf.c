/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>

#include "agent/core/buf.h"

#define BUF_MIN 4096

/*
 * An idle connection holds no buffer, so with every message two are taken and given back: one to
 * read into, of a side's bound, and one to write into, of the smallest size. One of each size stays
 * at hand; the allocator would split and join large blocks every time. With the sanitizer each is
 * by itself, so that it sees when one is used that was given back.
 */
static const size_t spare_sizes[] = { BUF_MIN, 64 * 1024 };
static char *spares[EX_ARRAY_SIZE(spare_sizes)];

/* Where a spare one of this size is kept, or NULL. */
static char **spare_of(size_t cap)
{
	for (size_t i = 0; !EX_ASAN && i < EX_ARRAY_SIZE(spares); i++)
		if (spare_sizes[i] == cap)
			return &spares[i];
	return NULL;
}

static char *take(size_t cap)
{
	char **spare = spare_of(cap);

	return spare && *spare ? EX_TAKE_PTR(*spare) : malloc(cap);
}

static void give_back(char *data, size_t cap)
{
	char **spare = spare_of(cap);

	if (data && spare && !*spare)
		*spare = data;
	else
		free(data);
}

char *ex_buf_reserve(struct ex_buf *b, size_t n)
{
	size_t len = ex_buf_len(b), cap = b->cap ? b->cap : BUF_MIN;
	char *data;

	if (b->data && b->cap - b->end >= n)
		return b->data + b->end;
	if (b->start && b->cap - len >= n) {
		memmove(b->data, b->data + b->start, len);
		b->start = 0;
		b->end = len;
		return b->data + len;
	}
	while (cap - len < n) {
		if (cap > SIZE_MAX / 2)
			return NULL;
		cap *= 2;
	}
	data = take(cap);
	if (!data)
		return NULL;
	if (len)
		memcpy(data, b->data + b->start, len);
	give_back(b->data, b->cap);
	*b = (struct ex_buf){ .data = data, .end = len, .cap = cap };
	return data + len;
}

void ex_buf_commit(struct ex_buf *b, size_t n)
{
	assert(n <= b->cap - b->end);
	b->end += n;
}

int ex_buf_append(struct ex_buf *b, const void *bytes, size_t n)
{
	char *room;

	if (n == 0)
		return 0;
	room = ex_buf_reserve(b, n);
	if (!room)
		return -ENOMEM;
	memcpy(room, bytes, n);
	ex_buf_commit(b, n);
	return 0;
}

void ex_buf_consume(struct ex_buf *b, size_t n)
{
	assert(n <= ex_buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void ex_buf_done(struct ex_buf *b)
{
	give_back(b->data, b->cap);
	*b = (struct ex_buf){ 0 };
}

void ex_buf_drop_spares(void)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(spares); i++)
		free(EX_TAKE_PTR(spares[i]));
}
