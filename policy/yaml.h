/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML text to a tree of plain data with places. Only what a policy needs: maps with unique string
 * keys, lists, scalars. Anchors, aliases, tags and merge keys are refused, so that nothing can
 * stand for more than it shows. Depth, size and number of nodes are bounded.
 */
#ifndef EXEAT_POLICY_YAML_H
#define EXEAT_POLICY_YAML_H

#include "policy/arena.h"
#include "policy/diag.h"

#define EX_YAML_SIZE_MAX  ((size_t)16 * 1024 * 1024)
#define EX_YAML_DEPTH_MAX 32
#define EX_YAML_KEYS_MAX  512     /* in one map */
#define EX_YAML_NODES_MAX 1000000 /* in one file: about 130 MiB of tree */

enum ex_node_kind {
	EX_NODE_SCALAR,
	EX_NODE_MAP,
	EX_NODE_LIST,
};

struct ex_node {
	enum ex_node_kind kind;
	bool plain; /* scalar: written without quotes */
	struct ex_pos pos;
	const char *text; /* scalar: its bytes, never with a NUL inside, NUL-terminated */
	size_t len;
	const char *key; /* when the parent is a map */
	struct ex_pos key_pos;
	struct ex_node *first, *last, *next; /* children in order; next sibling */
	size_t n;                            /* children */
	/* Of a map, and of a list: its characters of the text; of a document those between its
	 * marks. */
	uint32_t from, to;
};

struct ex_docs {
	struct ex_node **v; /* NULL for an empty document is never there: those are skipped */
	size_t n, cap;
};

/*
 * Parses every document of text. 0; -EINVAL with an error in diags; -ENOMEM. The nodes live in
 * arena and point to file, which has to outlive them; docs->v is the caller's to free.
 */
EX_MUST_CHECK int ex_yaml_parse(const char *text, size_t len, const char *file,
				struct ex_arena *arena, struct ex_diags *diags,
				struct ex_docs *docs);

/* What can be read, up to one byte more than ex_yaml_parse() takes. The caller frees. */
EX_MUST_CHECK int ex_yaml_text(int fd, char **ret, size_t *ret_len);

/* The same from a file; a missing or unreadable file is an error in diags. */
EX_MUST_CHECK int ex_yaml_read(const char *file, struct ex_arena *arena, struct ex_diags *diags,
			       struct ex_docs *docs);

const struct ex_node *ex_node_get(const struct ex_node *map, const char *key);
bool ex_node_is_null(const struct ex_node *n);
const char *ex_node_kind_name(const struct ex_node *n);

/* What to do about a file that cannot be read (errno, positive), or NULL. */
const char *ex_yaml_remedy(int err);

#endif
