/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads JSON; the only user of jansson. A tree is read once and belongs to who read it; the
 * values in it are borrowed from it. Readers never fail on a missing key or on another type: they
 * say so, and the caller decides. Depth is bounded by jansson (2048), size by the caller.
 */
#ifndef EXEAT_AGENT_CORE_JSON_READ_H
#define EXEAT_AGENT_CORE_JSON_READ_H

#include "exeat/util.h"

struct ex_jv; /* a value in a tree, or the whole tree */

/*
 * Reads exactly one JSON object (nothing behind it, no key twice, no NUL in strings). 0, -EBADMSG
 * with one line about where and why in err, or -ENOMEM.
 */
#define EX_JV_ERROR_MAX 208
EX_MUST_CHECK int ex_jv_read(struct ex_span text, struct ex_jv **ret,
			     char err[static EX_JV_ERROR_MAX]);
void ex_jv_free(struct ex_jv *tree); /* what ex_jv_read() gave; NULL is fine */

/* The value of a key; NULL when v is NULL, no object, or has no such key. */
const struct ex_jv *ex_jv_get(const struct ex_jv *v, const char *key);

/* NULL when there is no such string. */
const char *ex_jv_string(const struct ex_jv *v, const char *key);
/* The same, "" when there is none. */
const char *ex_jv_word(const struct ex_jv *v, const char *key);
/* False when there is no such integer, or it is outside of min..max. */
bool ex_jv_integer(const struct ex_jv *v, const char *key, int64_t min, int64_t max, int64_t *ret);
/* What `otherwise` says when there is no such boolean. */
bool ex_jv_bool(const struct ex_jv *v, const char *key, bool otherwise);

/* The value itself, out of an array or an object: its text, or NULL when it is no string. */
const char *ex_jv_text(const struct ex_jv *v);

/* What it is, for those who do not take another thing for an empty one. NULL is neither. */
bool ex_jv_is_array(const struct ex_jv *v);
bool ex_jv_is_object(const struct ex_jv *v);

/* Elements of an array; 0 and NULL when v is none. */
size_t ex_jv_count(const struct ex_jv *v);
const struct ex_jv *ex_jv_at(const struct ex_jv *v, size_t i);

/* Walks an object in the order of the text: fn for each key, until it returns other than 0. */
int ex_jv_each(const struct ex_jv *v, int (*fn)(void *arg, const char *key, const struct ex_jv *v),
	       void *arg);

/* As JSON on one line, ASCII only, keys in their order; the caller frees. NULL: no memory. */
char *ex_jv_print(const struct ex_jv *v);

#endif
