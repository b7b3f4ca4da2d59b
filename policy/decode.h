/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From YAML nodes to typed values. A table per kind of map names every field there is; a key that
 * is in no table is an error, so nothing can be accepted and ignored.
 */
#ifndef EXEAT_POLICY_DECODE_H
#define EXEAT_POLICY_DECODE_H

#include "policy/yaml.h"

/* Where we are ("spec.egress[1].toPorts[0]") and what went wrong so far. */
struct ex_decoder {
	struct ex_arena *arena; /* what is decoded lives here */
	struct ex_diags *diags;
	size_t n_errors;
	char path[240];
	size_t path_len;
};

struct ex_field {
	const char *name;
	/* Reads the value into out; reports its own errors. NULL: the field is refused. */
	void (*read)(struct ex_decoder *d, const struct ex_node *n, void *out);
	const char *why;    /* refused: why */
	const char *remedy; /* refused: what to write instead */
};

void ex_decode_error(struct ex_decoder *d, const struct ex_node *n, const char *remedy,
		     const char *fmt, ...) EX_PRINTF(4, 5);
/* The same, at the key of a map's entry rather than at its value. */
void ex_decode_key_error(struct ex_decoder *d, const struct ex_node *n, const char *remedy,
			 const char *fmt, ...) EX_PRINTF(4, 5);
void ex_decode_warning(struct ex_decoder *d, const struct ex_node *n, const char *remedy,
		       const char *fmt, ...) EX_PRINTF(4, 5);

/* Every field of map n into out. False, with an error, when n is no map. */
bool ex_decode_map(struct ex_decoder *d, const struct ex_node *n, const struct ex_field *fields,
		   size_t n_fields, void *out);

/* False, with an error, when n is no list, is empty although !may_be_empty, or is over max. */
bool ex_decode_list(struct ex_decoder *d, const struct ex_node *n, size_t max, bool may_be_empty);

/* NULL, with an error, when n is no text: a bare number or truth value needs quotes to be one. */
const char *ex_decode_text(struct ex_decoder *d, const struct ex_node *n);
bool ex_decode_bool(struct ex_decoder *d, const struct ex_node *n, bool *ret);

/* Path keeping: push returns what pop needs. */
size_t ex_decode_push(struct ex_decoder *d, const char *key);
void ex_decode_pop(struct ex_decoder *d, size_t mark);

/*
 * The items of a list, each with its index in the path. The loop has to run to its end:
 *
 *	for (struct ex_item it = ex_item_first(d, list); it.c; ex_item_next(d, &it))
 */
struct ex_item {
	const struct ex_node *c; /* NULL: there is no other one */
	size_t i, mark;
};
struct ex_item ex_item_first(struct ex_decoder *d, const struct ex_node *list);
void ex_item_next(struct ex_decoder *d, struct ex_item *it);

/* Levenshtein distance without case, for "did you mean": of short texts, of others SIZE_MAX. */
size_t ex_edit_distance(const char *a, const char *b);

#endif
