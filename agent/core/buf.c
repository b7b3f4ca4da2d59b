/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>

#include "agent/core/buf.h"

#define BUF_MIN 4096

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
	data = malloc(cap);
	if (!data)
		return NULL;
	if (len)
		memcpy(data, b->data + b->start, len);
	free(b->data);
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
	free(b->data);
	*b = (struct ex_buf){ 0 };
}
