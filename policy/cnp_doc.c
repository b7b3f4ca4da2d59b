/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: what kinds there are, metadata, and the way to their specs. */
#include "policy/cnp.h"

#define SPECS_MAX 10000

struct doc_reader {
	struct ex_policy_set *set;
	const char *name, *ns;
	const struct ex_node *labels, *spec, *specs;
};

static void read_object_name(struct ex_decoder *d, const struct ex_node *n, const char **ret)
{
	const char *text = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	if (!text)
		return;
	*ret = ex_arena_strndup(d->arena, text, n->len);
	if (n->len == 0 || n->len > 253 ||
	    strspn(n->text, "abcdefghijklmnopqrstuvwxyz0123456789-.") != n->len)
		ex_decode_error(d, n, "use lower-case letters, digits, - and .",
				"%s is not an object name", ex_quote(n->text, n->len, quoted));
}

static void read_name(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	read_object_name(d, n, &((struct doc_reader *)out)->name);
}

static void read_namespace(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	read_object_name(d, n, &((struct doc_reader *)out)->ns);
}

static void read_labels(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	if (n->kind == EX_NODE_MAP)
		((struct doc_reader *)out)->labels = n;
	else if (!ex_node_is_null(n))
		ex_decode_error(d, n, "write labels: {key: value}", "must be a map");
}

static void read_metadata(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = {
		{ "name", read_name, NULL, NULL },
		{ "namespace", read_namespace, NULL, NULL },
		{ "labels", read_labels, NULL, NULL },
		/* bookkeeping of the API server and of those who use it: no part of the policy */
		{ "annotations", ex_read_nothing, NULL, NULL },
		{ "uid", ex_read_nothing, NULL, NULL },
		{ "resourceVersion", ex_read_nothing, NULL, NULL },
		{ "generation", ex_read_nothing, NULL, NULL },
		{ "creationTimestamp", ex_read_nothing, NULL, NULL },
		{ "managedFields", ex_read_nothing, NULL, NULL },
		{ "ownerReferences", ex_read_nothing, NULL, NULL },
		{ "finalizers", ex_read_nothing, NULL, NULL },
		{ "selfLink", ex_read_nothing, NULL, NULL },
	};

	(void)ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), out);
}

static void read_spec_node(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct doc_reader *)out)->spec = n;
}

static void read_specs_node(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct doc_reader *)out)->specs = n;
}

static void read_lost_description(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)out;
	ex_decode_warning(d, n, "move it under spec", "is no field of the object; it says nothing");
}

#define IN_SPEC(name)                                                                              \
	{                                                                                          \
		name, NULL, "it belongs into spec", "indent it, below spec:"                       \
	}

static const struct ex_field doc_fields[] = {
	{ "apiVersion", ex_read_nothing, NULL, NULL }, /* read by find_kind() */
	{ "kind", ex_read_nothing, NULL, NULL },
	{ "metadata", read_metadata, NULL, NULL },
	{ "spec", read_spec_node, NULL, NULL },
	{ "specs", read_specs_node, NULL, NULL },
	{ "status", ex_read_nothing, NULL, NULL },
	{ "description", read_lost_description, NULL, NULL },
	IN_SPEC("endpointSelector"),
	IN_SPEC("egress"),
	IN_SPEC("egressDeny"),
	IN_SPEC("ingress"),
	IN_SPEC("ingressDeny"),
};

/* ---- kinds ---- */

static void read_cnp(struct ex_decoder *d, const struct doc_reader *dr, const struct ex_spec *proto)
{
	ex_read_cnp_spec(d, dr->spec, dr->set, proto, "", false);
}

static void read_cnp_specs(struct ex_decoder *d, const struct doc_reader *dr,
			   const struct ex_spec *proto)
{
	if (!ex_decode_list(d, dr->specs, SPECS_MAX, false))
		return;
	for (struct ex_item it = ex_item_first(d, dr->specs); it.c; ex_item_next(d, &it)) {
		const char *prefix = ex_arena_printf(d->arena, "specs[%zu].", it.i);

		ex_read_cnp_spec(d, it.c, dr->set, proto, prefix ? prefix : "", false);
	}
}

static void read_own(struct ex_decoder *d, const struct doc_reader *dr, const struct ex_spec *proto)
{
	ex_read_cnp_spec(d, dr->spec, dr->set, proto, "", true);
}

static void read_k8s(struct ex_decoder *d, const struct doc_reader *dr, const struct ex_spec *proto)
{
	ex_read_k8s_spec(d, dr->spec, dr->set, proto);
}

static void read_cidr_group(struct ex_decoder *d, const struct doc_reader *dr,
			    const struct ex_spec *proto)
{
	struct ex_cidr_group *group = EX_VEC_ADD(&dr->set->groups);

	if (group)
		ex_read_cidr_group(d, dr->spec, proto->policy, dr->labels, group);
	else
		d->arena->oom = true;
}

typedef void read_fn(struct ex_decoder *d, const struct doc_reader *dr,
		     const struct ex_spec *proto);

struct doc_kind {
	const char *api, *kind;
	bool clusterwide;
	read_fn *read, *read_specs; /* of spec and of specs; NULL: it has no specs */
};

static const struct doc_kind doc_kinds[] = {
	{ "cilium.io/v2", "CiliumNetworkPolicy", false, read_cnp, read_cnp_specs },
	{ "cilium.io/v2", "CiliumClusterwideNetworkPolicy", true, read_cnp, read_cnp_specs },
	{ "cilium.io/v2", "CiliumCIDRGroup", true, read_cidr_group, NULL },
	{ "cilium.io/v2alpha1", "CiliumCIDRGroup", true, read_cidr_group, NULL },
	{ "networking.k8s.io/v1", "NetworkPolicy", false, read_k8s, NULL },
	{ "exeat.dev/v1alpha1", "EgressPolicy", false, read_own, NULL },
};

static const struct doc_kind *find_kind(struct ex_decoder *d, const struct ex_node *n)
{
	const struct ex_node *api = ex_node_get(n, "apiVersion"), *kind = ex_node_get(n, "kind");
	const char *known_api = NULL;
	char quoted[EX_QUOTE_TEXT], remedy[80];

	if (n->kind != EX_NODE_MAP || !api || !kind || api->kind != EX_NODE_SCALAR ||
	    kind->kind != EX_NODE_SCALAR) {
		ex_decode_error(d, n,
				"begin with \"apiVersion: cilium.io/v2\" and \"kind: "
				"CiliumNetworkPolicy\"",
				"is not a policy: %s missing",
				kind  ? "apiVersion is"
				: api ? "kind is"
				      : "apiVersion and kind are");
		return NULL;
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(doc_kinds); i++) {
		if (strcmp(kind->text, doc_kinds[i].kind) != 0)
			continue;
		if (strcmp(api->text, doc_kinds[i].api) == 0)
			return &doc_kinds[i];
		known_api = doc_kinds[i].api;
	}
	if (known_api) {
		(void)snprintf(remedy, sizeof(remedy), "use %s", known_api);
		ex_decode_error(d, api, remedy, "apiVersion %s is not supported",
				ex_quote(api->text, api->len, quoted));
	} else {
		ex_decode_error(d, kind,
				"use CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, "
				"CiliumCIDRGroup, NetworkPolicy or EgressPolicy",
				"kind %s is not supported",
				ex_quote(kind->text, kind->len, quoted));
	}
	return NULL;
}

static bool check_document(struct ex_decoder *d, const struct ex_node *n,
			   const struct doc_kind *kind, const struct doc_reader *dr)
{
	const struct ex_node *meta = ex_node_get(n, "metadata");

	if (!dr->name)
		ex_decode_error(d, meta ? meta : n, "write metadata: {name: NAME}",
				"the object has no metadata.name");
	if (kind->clusterwide && dr->ns)
		ex_decode_error(d, meta, "remove metadata.namespace",
				"%s is cluster-wide: it has no namespace", kind->kind);
	if (dr->specs && !kind->read_specs) {
		ex_decode_key_error(d, dr->specs, "write spec", "%s has no specs", kind->kind);
		return false;
	}
	if (dr->spec || dr->specs)
		return true;
	ex_decode_error(d, n, "write spec", "the object has no spec");
	return false;
}

static void read_at(struct ex_decoder *d, const char *key, const struct doc_reader *dr,
		    const struct ex_spec *proto, read_fn *read)
{
	size_t mark = ex_decode_push(d, key);

	read(d, dr, proto);
	ex_decode_pop(d, mark);
}

static void read_object(struct ex_decoder *d, const struct ex_node *n, struct ex_policy_set *set)
{
	const struct doc_kind *kind = find_kind(d, n);
	size_t before = set->specs.n;
	struct doc_reader dr = { .set = set };
	struct ex_spec proto = { 0 };

	if (!kind || !ex_decode_map(d, n, doc_fields, EX_ARRAY_SIZE(doc_fields), &dr) ||
	    !check_document(d, n, kind, &dr))
		return;
	proto.policy = dr.name ? dr.name : "";
	proto.ns = dr.ns ? dr.ns : "default";
	proto.clusterwide = kind->clusterwide;
	if (dr.spec)
		read_at(d, "spec", &dr, &proto, kind->read);
	if (dr.specs)
		read_at(d, "specs", &dr, &proto, kind->read_specs);
	for (size_t i = before; i < set->specs.n; i++) {
		set->specs.v[i].from = n->from;
		set->specs.v[i].to = n->to;
	}
}

/* ---- several objects in one, as "kubectl get -o yaml", or the API server, prints them ---- */

static void read_items(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	if (!ex_decode_list(d, n, EX_LIST_MAX, true))
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		if (!ex_node_is_null(it.c))
			read_object(d, it.c, out);
}

static const struct ex_field list_fields[] = {
	{ "apiVersion", ex_read_nothing, NULL, NULL },
	{ "kind", ex_read_nothing, NULL, NULL },
	{ "metadata", ex_read_nothing, NULL, NULL },
	{ "items", read_items, NULL, NULL },
};

static bool has_text(const struct ex_node *n, const char *key, const char *text)
{
	const struct ex_node *c = ex_node_get(n, key);

	return c && c->kind == EX_NODE_SCALAR && strcmp(c->text, text) == 0;
}

/* A List of anything, or one of a kind: CiliumNetworkPolicyList. */
static bool is_list(const struct ex_node *n)
{
	char kind[64];

	if (has_text(n, "apiVersion", "v1") && has_text(n, "kind", "List"))
		return true;
	for (size_t i = 0; i < EX_ARRAY_SIZE(doc_kinds); i++) {
		(void)snprintf(kind, sizeof(kind), "%sList", doc_kinds[i].kind);
		if (has_text(n, "apiVersion", doc_kinds[i].api) && has_text(n, "kind", kind))
			return true;
	}
	return false;
}

void ex_policy_read(struct ex_decoder *d, const struct ex_docs *docs, struct ex_policy_set *set)
{
	for (size_t i = 0; i < docs->n; i++) {
		const struct ex_node *n = docs->v[i];

		ex_decode_pop(d, 0);
		if (!is_list(n))
			read_object(d, n, set);
		else if (ex_decode_map(d, n, list_fields, EX_ARRAY_SIZE(list_fields), set) &&
			 !ex_node_get(n, "items"))
			ex_decode_error(d, n, "write items: [POLICY, ...]",
					"the List has no items");
	}
}

void ex_policy_set_done(struct ex_policy_set *set)
{
	ex_regex_set_done(&set->regexes);
	free(set->specs.v);
	free(set->groups.v);
	memset(&set->specs, 0, sizeof(set->specs));
	memset(&set->groups, 0, sizeof(set->groups)); /* secrets are the ruleset's by now */
}
