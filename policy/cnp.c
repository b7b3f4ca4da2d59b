/* SPDX-License-Identifier: Apache-2.0 */
/* Documents, specs and rules. */
#include "policy/cnp.h"

#define SPECS_MAX 10000

static void read_ignored(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d, (void)n, (void)out; /* free text, or bookkeeping of the API server */
}

/* ---- one rule ---- */

#define PEER_FIELDS                                                                                \
	{ "toEndpoints", ex_read_to_endpoints, NULL, NULL },                                       \
		{ "toCIDR", ex_read_to_cidr, NULL, NULL },                                         \
		{ "toCIDRSet", ex_read_to_cidrset, NULL, NULL },                                   \
		{ "toEntities", ex_read_to_entities, NULL, NULL },                                 \
		{ "toFQDNs", ex_read_to_fqdns, NULL, NULL },                                       \
		{ "toPorts", ex_read_to_ports, NULL, NULL },                                       \
		{ "toServices", NULL, "exeat does not know Kubernetes services",                   \
		  "use toEndpoints or toCIDR" },                                                   \
		{ "toGroups", NULL, "exeat does not ask a cloud for addresses", "use toCIDRSet" }, \
		{ "toNodes", NULL, "exeat does not know the nodes' labels", "use toCIDR" },        \
		{ "toRequires", NULL, "it was removed from CiliumNetworkPolicy",                   \
		  "use toEndpoints" },                                                             \
	{                                                                                          \
		"icmps", NULL, "ICMP rules are not implemented", "remove the rule"                 \
	}

static const struct ex_field egress_fields[] = {
	PEER_FIELDS,
	{ "authentication", NULL, "exeat has no mutual authentication", "remove it" },
};

static const struct ex_field deny_fields[] = {
	PEER_FIELDS,
};

struct spec_reader {
	struct ex_policy_set *set;
	struct ex_spec spec;
	const struct ex_node *egress, *deny;
	bool node_selector;
	int default_deny;   /* -1: not said */
	const char *prefix; /* "" or "specs[1]." */
};

static void read_rule(struct ex_decoder *d, const struct ex_node *n, struct spec_reader *sr,
		      struct ex_egress *e)
{
	struct ex_rule_reader rr = { .set = sr->set, .spec = &sr->spec, .egress = e };
	const struct ex_field *fields = e->deny ? deny_fields : egress_fields;
	size_t n_fields = e->deny ? EX_ARRAY_SIZE(deny_fields) : EX_ARRAY_SIZE(egress_fields);

	e->pos = n->pos;
	if (!ex_decode_map(d, n, fields, n_fields, &rr))
		return;
	if (!rr.l3 && (rr.has_ports || rr.has_icmps))
		e->peer.kind = EX_PEER_ANY;
}

static size_t list_len(const struct ex_node *n)
{
	return n && n->kind == EX_NODE_LIST ? n->n : 0;
}

static void read_rules(struct ex_decoder *d, const struct ex_node *n, struct spec_reader *sr,
		       bool deny)
{
	size_t mark, i = 0;

	if (!n)
		return;
	mark = ex_decode_push(d, n->key);
	if (ex_node_is_null(n) || (n->kind == EX_NODE_LIST && n->n == 0)) {
		ex_decode_error(d, n,
				deny ? "write at least one rule, or remove egressDeny"
				     : "write \"egress: [{}]\" to deny everything, or list rules",
				"is empty: it would allow or deny by accident");
		ex_decode_pop(d, mark);
		return;
	}
	if (ex_decode_list(d, n, EX_LIST_MAX, false)) {
		for (const struct ex_node *c = n->first; c; c = c->next) {
			struct ex_egress *e = &sr->spec.egress[sr->spec.n_egress++];
			size_t item = ex_decode_push_index(d, i);

			e->deny = deny;
			e->where = ex_arena_printf(d->arena, "%s%s[%zu]", sr->prefix, n->key, i++);
			read_rule(d, c, sr, e);
			ex_decode_pop(d, item);
		}
	}
	ex_decode_pop(d, mark);
}

/* ---- spec ---- */

static void read_endpoint_selector(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct spec_reader *sr = out;

	sr->spec.endpoints = ex_arena_alloc(d->arena, 1, sizeof(*sr->spec.endpoints));
	if (sr->spec.endpoints)
		ex_read_selector(d, n, sr->spec.endpoints);
}

static void read_egress(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct spec_reader *sr = out;

	(void)d;
	sr->egress = n;
}

static void read_egress_deny(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct spec_reader *sr = out;

	(void)d;
	sr->deny = n;
}

static void read_deny_egress(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct spec_reader *sr = out;
	bool value;

	if (ex_decode_bool(d, n, &value))
		sr->default_deny = value;
}

static void read_default_deny(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = {
		{ "egress", read_deny_egress, NULL, NULL },
		{ "ingress", read_ignored, NULL, NULL },
	};

	(void)ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), out);
}

static const struct ex_field spec_fields[] = {
	{ "endpointSelector", read_endpoint_selector, NULL, NULL },
	{ "egress", read_egress, NULL, NULL },
	{ "egressDeny", read_egress_deny, NULL, NULL },
	{ "enableDefaultDeny", read_default_deny, NULL, NULL },
	{ "description", read_ignored, NULL, NULL },
	{ "labels", read_ignored, NULL, NULL },
	{ "nodeSelector", NULL, "exeat has no host policies", "use endpointSelector" },
	{ "ingress", NULL, "exeat decides what leaves a workload, not what enters",
	  "keep ingress rules in a policy of their own" },
	{ "ingressDeny", NULL, "exeat decides what leaves a workload, not what enters",
	  "keep ingress rules in a policy of their own" },
	{ "log", NULL, "exeat writes its own audit log", "remove it" },
};

static void read_spec(struct ex_decoder *d, const struct ex_node *n, struct ex_policy_set *set,
		      const struct ex_spec *proto, const char *prefix)
{
	struct spec_reader sr = {
		.set = set, .spec = *proto, .default_deny = -1, .prefix = prefix
	};
	struct ex_spec *slot;
	size_t total;

	sr.spec.pos = n->pos;
	if (!ex_decode_map(d, n, spec_fields, EX_ARRAY_SIZE(spec_fields), &sr))
		return;
	if (!sr.spec.endpoints)
		ex_decode_error(d, n, "write \"endpointSelector: {}\" for every workload",
				"needs the field endpointSelector");
	if (!sr.egress && !sr.deny)
		ex_decode_error(d, n, "write egress or egressDeny", "has no rules");
	total = list_len(sr.egress) + list_len(sr.deny);
	sr.spec.egress = ex_arena_alloc(d->arena, total, sizeof(*sr.spec.egress));
	slot = EX_VEC_ADD(&set->specs);
	if (!sr.spec.egress || !slot) {
		d->arena->oom = true;
		return;
	}
	read_rules(d, sr.egress, &sr, false);
	read_rules(d, sr.deny, &sr, true);
	sr.spec.default_deny = sr.default_deny != 0;
	*slot = sr.spec;
}

/* ---- document ---- */

struct doc_reader {
	const char *api, *kind, *name, *ns;
	const struct ex_node *spec, *specs;
};

static void read_text(struct ex_decoder *d, const struct ex_node *n, const char **ret)
{
	const char *text = ex_decode_text(d, n);

	if (text)
		*ret = ex_arena_strndup(d->arena, text, n->len);
}

static void read_api(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	read_text(d, n, &((struct doc_reader *)out)->api);
}

static void read_kind(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	read_text(d, n, &((struct doc_reader *)out)->kind);
}

static void read_object_name(struct ex_decoder *d, const struct ex_node *n, const char **ret)
{
	char quoted[EX_QUOTE_TEXT];

	read_text(d, n, ret);
	if (!*ret)
		return;
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

static void read_metadata(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = {
		{ "name", read_name, NULL, NULL },
		{ "namespace", read_namespace, NULL, NULL },
		{ "labels", read_ignored, NULL, NULL },
		{ "annotations", read_ignored, NULL, NULL },
		{ "uid", read_ignored, NULL, NULL },
		{ "resourceVersion", read_ignored, NULL, NULL },
		{ "generation", read_ignored, NULL, NULL },
		{ "creationTimestamp", read_ignored, NULL, NULL },
		{ "managedFields", read_ignored, NULL, NULL },
		{ "ownerReferences", read_ignored, NULL, NULL },
		{ "finalizers", read_ignored, NULL, NULL },
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

static const struct ex_field doc_fields[] = {
	{ "apiVersion", read_api, NULL, NULL },    { "kind", read_kind, NULL, NULL },
	{ "metadata", read_metadata, NULL, NULL }, { "spec", read_spec_node, NULL, NULL },
	{ "specs", read_specs_node, NULL, NULL },  { "status", read_ignored, NULL, NULL },
};

static void read_specs(struct ex_decoder *d, const struct doc_reader *dr, struct ex_policy_set *set,
		       const struct ex_spec *proto)
{
	size_t mark, i = 0;

	if (dr->spec) {
		mark = ex_decode_push(d, "spec");
		read_spec(d, dr->spec, set, proto, "");
		ex_decode_pop(d, mark);
	}
	if (!dr->specs)
		return;
	mark = ex_decode_push(d, "specs");
	if (ex_decode_list(d, dr->specs, SPECS_MAX, false)) {
		for (const struct ex_node *c = dr->specs->first; c; c = c->next) {
			const char *prefix = ex_arena_printf(d->arena, "specs[%zu].", i);
			size_t item = ex_decode_push_index(d, i++);

			read_spec(d, c, set, proto, prefix ? prefix : "");
			ex_decode_pop(d, item);
		}
	}
	ex_decode_pop(d, mark);
}

static bool check_kind(struct ex_decoder *d, const struct ex_node *n)
{
	const struct ex_node *api = ex_node_get(n, "apiVersion"), *kind = ex_node_get(n, "kind");
	char quoted[EX_QUOTE_TEXT];

	if (n->kind != EX_NODE_MAP || !api || !kind || api->kind != EX_NODE_SCALAR ||
	    kind->kind != EX_NODE_SCALAR) {
		ex_decode_error(d, n,
				"begin with \"apiVersion: cilium.io/v2\" and \"kind: "
				"CiliumNetworkPolicy\"",
				"is not a policy: apiVersion and kind are missing");
		return false;
	}
	if (strcmp(kind->text, "CiliumNetworkPolicy") != 0) {
		ex_decode_error(d, kind, "use CiliumNetworkPolicy", "kind %s is not supported",
				ex_quote(kind->text, kind->len, quoted));
		return false;
	}
	if (strcmp(api->text, "cilium.io/v2") != 0) {
		ex_decode_error(d, api, "use cilium.io/v2", "apiVersion %s is not supported",
				ex_quote(api->text, api->len, quoted));
		return false;
	}
	return true;
}

static void read_document(struct ex_decoder *d, const struct ex_node *n, struct ex_policy_set *set)
{
	struct doc_reader dr = { 0 };
	struct ex_spec proto = { 0 };
	const struct ex_node *meta;

	if (!check_kind(d, n) || !ex_decode_map(d, n, doc_fields, EX_ARRAY_SIZE(doc_fields), &dr))
		return;
	if (!dr.name) {
		meta = ex_node_get(n, "metadata");
		ex_decode_error(d, meta ? meta : n, "write metadata: {name: NAME}",
				"the policy has no metadata.name");
	}
	if (!dr.spec && !dr.specs)
		ex_decode_error(d, n, "write spec", "the policy has neither spec nor specs");
	proto.policy = dr.name ? dr.name : "";
	proto.ns = dr.ns ? dr.ns : "default";
	read_specs(d, &dr, set, &proto);
}

void ex_policy_read(struct ex_decoder *d, const struct ex_docs *docs, struct ex_policy_set *set)
{
	for (size_t i = 0; i < docs->n; i++) {
		d->path_len = 0;
		d->path[0] = '\0';
		read_document(d, docs->v[i], set);
	}
}

void ex_policy_set_done(struct ex_policy_set *set)
{
	for (size_t i = 0; i < set->regexes.n; i++)
		ex_regex_free(set->regexes.v[i]);
	free(set->regexes.v);
	free(set->specs.v);
	set->regexes.n = set->specs.n = 0;
	set->regexes.v = NULL;
	set->specs.v = NULL;
}
