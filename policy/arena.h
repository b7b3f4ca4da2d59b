/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bump allocator: everything of one ruleset (or one YAML tree) lives and dies together. Running out
 * of memory is sticky: every later allocation fails too, so a caller may check once at the end of a
 * step instead of after every field.
 */
#ifndef EXEAT_POLICY_ARENA_H
#define EXEAT_POLICY_ARENA_H

#include "exeat/util.h"

struct ex_arena {
	struct ex_arena_block *head;
	size_t used;  /* what all blocks have room for */
	size_t limit; /* 0 = EX_ARENA_LIMIT */
	bool oom;
};

#define EX_ARENA_LIMIT ((size_t)1 << 30)

void ex_arena_done(struct ex_arena *a);

/* Zeroed memory aligned for any type, or NULL. */
void *ex_arena_alloc(struct ex_arena *a, size_t n, size_t size);
char *ex_arena_strndup(struct ex_arena *a, const char *s, size_t len);
char *ex_arena_printf(struct ex_arena *a, const char *fmt, ...) EX_PRINTF(2, 3);

/*
 * Grows a heap array so that one more element fits; false on no memory. For arrays that are
 * collected before their length is known; the owner frees them.
 */
bool ex_vec_reserve(void *array_ptr, size_t *cap, size_t n, size_t size);

#define EX_VEC(type)                                                                               \
	struct {                                                                                   \
		type *v;                                                                           \
		size_t n, cap;                                                                     \
	}

/* Appends and yields a pointer to the new zeroed element, or NULL. */
#define EX_VEC_ADD(vec)                                                                            \
	(ex_vec_reserve(&(vec)->v, &(vec)->cap, (vec)->n, sizeof(*(vec)->v))                       \
		 ? memset(&(vec)->v[(vec)->n++], 0, sizeof(*(vec)->v))                             \
		 : NULL)

#endif
