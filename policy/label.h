/* SPDX-License-Identifier: Apache-2.0 */
/* Label sets and label selectors. */
#ifndef EXEAT_POLICY_LABEL_H
#define EXEAT_POLICY_LABEL_H

#include "policy/compile.h"

#define EX_LABEL_NAMESPACE "io.kubernetes.pod.namespace"

enum ex_label_op {
	EX_LABEL_NEVER = 0, /* zeroed: matches nothing */
	EX_LABEL_IN,
	EX_LABEL_NOT_IN,
	EX_LABEL_EXISTS,
	EX_LABEL_NOT_EXISTS,
};

/* key is "source:key" or "key"; without a source any source matches. */
struct ex_label_term {
	enum ex_label_op op;
	const char *key;
	const char *const *values;
	size_t n_values;
	bool plain; /* of matchLabels */
};

/* Every term must hold; no term = everything. */
struct ex_selector {
	struct ex_label_term *terms;
	size_t n_terms;
	bool names_namespace; /* some term is about the namespace, or about an entity */
	bool names_its_labels;
};

struct ex_label_set {
	const struct ex_label *v;
	size_t n;
};

/* Splits "source:key" into its parts; the source is "any" when there is none. */
void ex_label_split(const char *key, struct ex_span *ret_source, struct ex_span *ret_key);
bool ex_label_key_eq(const char *selector_key, const char *label_key);
const char *ex_label_get(const struct ex_label_set *set, const char *key);

/* Appends the labels that follow from a namespace, at most EX_LABELS_IMPLIED, unless they are
 * there. */
#define EX_LABELS_IMPLIED 3
void ex_labels_imply(struct ex_label *v, size_t *n, const char *ns);
bool ex_selector_match(const struct ex_selector *s, const struct ex_label_set *set);

#endif
