/* SPDX-License-Identifier: Apache-2.0 */
/* A byte queue: bytes are appended at the end and consumed at the start. Zero-initialised = empty.
 */
#ifndef EXEAT_AGENT_CORE_BUF_H
#define EXEAT_AGENT_CORE_BUF_H

#include "exeat/util.h"

struct ex_buf {
	char *data;
	size_t start, end, cap;
};

static inline size_t ex_buf_len(const struct ex_buf *b)
{
	return b->end - b->start;
}

static inline const char *ex_buf_ptr(const struct ex_buf *b)
{
	return b->data ? b->data + b->start : ""; /* never NULL: arithmetic on that is undefined */
}

/* Room for n more bytes; write there, then ex_buf_commit(). NULL when out of memory. */
EX_MUST_CHECK char *ex_buf_reserve(struct ex_buf *b, size_t n);
void ex_buf_commit(struct ex_buf *b, size_t n);
EX_MUST_CHECK int ex_buf_append(struct ex_buf *b, const void *bytes, size_t n);

/* Emptied, the memory is kept for the next bytes; ex_buf_done() gives it back. */
void ex_buf_consume(struct ex_buf *b, size_t n);
void ex_buf_done(struct ex_buf *b);

/* Frees the buffers that are kept at hand for the next bytes. */
void ex_buf_drop_spares(void);

#endif
