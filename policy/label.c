/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/label.h"

#define CLUSTER_LABEL "io.cilium.k8s.policy.cluster"
#define NS_NAME_LABEL "io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name"

void ex_label_split(const char *key, struct ex_span *ret_source, struct ex_span *ret_key)
{
	const char *colon = strchr(key, ':');

	if (colon) {
		*ret_source = (struct ex_span){ key, (size_t)(colon - key) };
		*ret_key = ex_span_str(colon + 1);
	} else {
		*ret_source = EX_SPAN("any");
		*ret_key = ex_span_str(key);
	}
}

/* A label without a source is the workload's own, as Kubernetes knows it. */
bool ex_label_key_eq(const char *selector_key, const char *label_key)
{
	struct ex_span ssrc, skey, lsrc, lkey;

	ex_label_split(selector_key, &ssrc, &skey);
	ex_label_split(label_key, &lsrc, &lkey);
	if (!strchr(label_key, ':'))
		lsrc = EX_SPAN("k8s");
	if (!ex_span_eq(skey, lkey))
		return false;
	return ex_span_eq(ssrc, EX_SPAN("any")) || ex_span_eq(lsrc, EX_SPAN("any")) ||
	       ex_span_eq(ssrc, lsrc);
}

const char *ex_label_get(const struct ex_label_set *set, const char *key)
{
	for (size_t i = 0; i < set->n; i++) {
		if (ex_label_key_eq(key, set->v[i].key))
			return set->v[i].value;
	}
	return NULL;
}

static void add_missing(struct ex_label *v, size_t *n, const char *key, const char *value)
{
	const struct ex_label_set set = { v, *n };

	if (value && !ex_label_get(&set, key))
		v[(*n)++] = (struct ex_label){ key, value };
}

void ex_labels_imply(struct ex_label *v, size_t *n, const char *ns)
{
	add_missing(v, n, EX_LABEL_NAMESPACE, ns);
	add_missing(v, n, NS_NAME_LABEL, ns);
	add_missing(v, n, CLUSTER_LABEL, "default");
}

static bool term_match(const struct ex_label_term *t, const struct ex_label_set *set)
{
	bool found = false, listed = false;

	for (size_t i = 0; i < set->n; i++) {
		if (!ex_label_key_eq(t->key, set->v[i].key))
			continue;
		found = true;
		for (size_t k = 0; k < t->n_values && !listed; k++)
			listed = strcmp(set->v[i].value, t->values[k]) == 0;
	}
	switch (t->op) {
	case EX_LABEL_NEVER:
		return false;
	case EX_LABEL_IN:
		return found && listed;
	case EX_LABEL_NOT_IN:
		return !listed;
	case EX_LABEL_EXISTS:
		return found;
	case EX_LABEL_NOT_EXISTS:
		return !found;
	}
	return false;
}

bool ex_selector_match(const struct ex_selector *s, const struct ex_label_set *set)
{
	for (size_t i = 0; i < s->n_terms; i++) {
		if (!term_match(&s->terms[i], set))
			return false;
	}
	return true;
}
