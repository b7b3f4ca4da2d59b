/* SPDX-License-Identifier: Apache-2.0 */
/* spec of a CiliumNetworkPolicy, and its rules. */
#include "policy/cnp.h"

void ex_read_nothing(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d, (void)n, (void)out;
}

/* ---- one rule ---- */

static void read_authentication(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	const struct ex_node *mode = ex_node_get(n, "mode");

	(void)out;
	if (n->kind != EX_NODE_MAP || n->n != 1 || !mode || mode->kind != EX_NODE_SCALAR ||
	    strcmp(mode->text, "disabled") != 0)
		ex_decode_key_error(d, n, "remove it, or write mode: disabled",
				    "not supported: exeat has no mutual authentication");
}

/* clang-format off */
#define L3_FIELDS(dir)                                                                             \
	{ dir "Endpoints", ex_read_to_endpoints, NULL, NULL },                                     \
	{ dir "CIDR", ex_read_to_cidr, NULL, NULL },                                               \
	{ dir "CIDRSet", ex_read_to_cidrset, NULL, NULL },                                         \
	{ dir "Entities", ex_read_to_entities, NULL, NULL },                                       \
	{ dir "Groups", NULL, "exeat does not ask a cloud for addresses", "use " dir "CIDRSet" },  \
	{ dir "Nodes", NULL, "exeat does not know the nodes' labels",                              \
	  "use " dir "CIDR, or " dir "Entities: [remote-node]" },                                  \
	{ dir "Requires", NULL, "it was removed from CiliumNetworkPolicy",                         \
	  "use " dir "Endpoints with matchExpressions" },                                          \
	{ "toPorts", ex_read_to_ports, NULL, NULL },                                               \
	{ "icmps", ex_read_icmps, NULL, NULL }
/* clang-format on */

static const struct ex_field egress_fields[] = {
	L3_FIELDS("to"),
	{ "toFQDNs", ex_read_to_fqdns, NULL, NULL },
	{ "toServices", NULL, "exeat does not know Kubernetes services",
	  "use toEndpoints with the service's own selector, or toCIDR" },
	{ "authentication", read_authentication, NULL, NULL },
};

static const struct ex_field deny_fields[] = {
	L3_FIELDS("to"),
	{ "toFQDNs", ex_read_to_fqdns, NULL, NULL },
	{ "toServices", NULL, "exeat does not know Kubernetes services",
	  "use toEndpoints with the service's own selector, or toCIDR" },
};

static const struct ex_field ingress_fields[] = {
	L3_FIELDS("from"),
	{ "authentication", read_authentication, NULL, NULL },
};

static const struct ex_field ingress_deny_fields[] = {
	L3_FIELDS("from"),
};

struct rule_kind {
	const struct ex_field *fields;
	size_t n_fields;
	bool deny, ingress;
};

static const struct rule_kind rule_kinds[] = {
	{ egress_fields, EX_ARRAY_SIZE(egress_fields), false, false },
	{ deny_fields, EX_ARRAY_SIZE(deny_fields), true, false },
	{ ingress_fields, EX_ARRAY_SIZE(ingress_fields), false, true },
	{ ingress_deny_fields, EX_ARRAY_SIZE(ingress_deny_fields), true, true },
};

struct spec_reader {
	struct ex_policy_set *set;
	struct ex_spec spec;
	const struct ex_node *lists[EX_ARRAY_SIZE(rule_kinds)]; /* in the order of rule_kinds */
	int default_deny;                                       /* -1: not said */
	const char *prefix;                                     /* "" or "specs[1]." */
};

static void read_rule(struct ex_decoder *d, const struct ex_node *n, struct spec_reader *sr,
		      const struct rule_kind *kind, struct ex_egress *e)
{
	struct ex_rule_reader rr = {
		.set = sr->set, .spec = &sr->spec, .egress = e, .ingress = kind->ingress
	};

	e->pos = n->pos;
	e->deny = kind->deny;
	if (!ex_decode_map(d, n, kind->fields, kind->n_fields, &rr))
		return;
	if (!rr.l3 && rr.ports)
		e->peer.kind = EX_PEER_ANY;
}

static void read_rules(struct ex_decoder *d, const struct ex_node *n, struct spec_reader *sr,
		       const struct rule_kind *kind)
{
	size_t mark, i = 0;

	mark = ex_decode_push(d, n->key);
	if (ex_node_is_null(n) || (n->kind == EX_NODE_LIST && n->n == 0)) {
		ex_decode_error(d, n,
				kind->deny ? "write at least one rule, or remove the field"
					   : "write [{}] to deny everything, or list rules",
				"is empty: it would allow or deny by accident");
	} else if (ex_decode_list(d, n, EX_LIST_MAX, false)) {
		for (const struct ex_node *c = n->first; c; c = c->next) {
			struct ex_egress scratch = { 0 };
			struct ex_egress *e =
				kind->ingress ? &scratch : &sr->spec.egress[sr->spec.n_egress++];
			size_t item = ex_decode_push_index(d, i);

			e->where = ex_arena_printf(d->arena, "%s%s[%zu]", sr->prefix, n->key, i++);
			read_rule(d, c, sr, kind, e);
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
	(void)d;
	((struct spec_reader *)out)->lists[0] = n;
}

static void read_egress_deny(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct spec_reader *)out)->lists[1] = n;
}

/* Nothing can enter a confined workload, so ingress rules open nothing; they are still checked. */
static void warn_ingress(struct ex_decoder *d, const struct ex_node *n)
{
	ex_decode_warning(d, n, "keep ingress rules in a policy of their own",
			  "exeat decides what leaves: no rule here lets anything in");
}

static void read_ingress(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	warn_ingress(d, n);
	((struct spec_reader *)out)->lists[2] = n;
}

static void read_ingress_deny(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	warn_ingress(d, n);
	((struct spec_reader *)out)->lists[3] = n;
}

/* Shown with every verdict of the rules, so it has to be short and harmless. */
static void read_log_value(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct spec_reader *sr = out;
	const char *text = ex_decode_text(d, n);

	if (!text)
		return;
	for (size_t i = 0; i < n->len; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e || n->len > 32) {
			ex_decode_error(d, n, NULL, "has at most 32 printable characters");
			return;
		}
	}
	sr->spec.log = ex_arena_strndup(d->arena, text, n->len);
}

static void read_log(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = { { "value", read_log_value, NULL, NULL } };

	(void)ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), out);
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
		{ "ingress", ex_read_nothing, NULL, NULL },
	};

	(void)ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), out);
}

static const struct ex_field spec_fields[] = {
	{ "endpointSelector", read_endpoint_selector, NULL, NULL },
	{ "egress", read_egress, NULL, NULL },
	{ "egressDeny", read_egress_deny, NULL, NULL },
	{ "enableDefaultDeny", read_default_deny, NULL, NULL },
	{ "description", ex_read_nothing, NULL, NULL },
	{ "labels", ex_read_nothing, NULL, NULL },
	{ "nodeSelector", NULL, "exeat confines workloads, not nodes",
	  "use endpointSelector, or leave this policy to the host's firewall" },
	{ "ingress", read_ingress, NULL, NULL },
	{ "ingressDeny", read_ingress_deny, NULL, NULL },
	{ "log", read_log, NULL, NULL },
};

static size_t list_len(const struct ex_node *n)
{
	return n && n->kind == EX_NODE_LIST ? n->n : 0;
}

/* Upstream: a direction is default deny when it has rules, unless told otherwise. */
static void finish_spec(struct ex_decoder *d, const struct ex_node *n, struct spec_reader *sr)
{
	bool has_egress = sr->lists[0] || sr->lists[1], any = has_egress;
	struct ex_spec *slot;

	any |= sr->lists[2] || sr->lists[3];
	if (!sr->spec.endpoints)
		ex_decode_error(d, n, "write \"endpointSelector: {}\" for every workload",
				"needs the field endpointSelector");
	if (!any)
		ex_decode_error(d, n, "write egress or egressDeny", "has no rules");
	sr->spec.egress = ex_arena_alloc(d->arena, list_len(sr->lists[0]) + list_len(sr->lists[1]),
					 sizeof(*sr->spec.egress));
	slot = EX_VEC_ADD(&sr->set->specs);
	if (!sr->spec.egress || !slot) {
		d->arena->oom = true;
		return;
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(rule_kinds); i++) {
		if (sr->lists[i])
			read_rules(d, sr->lists[i], sr, &rule_kinds[i]);
	}
	sr->spec.about_egress = has_egress || sr->default_deny >= 0;
	sr->spec.default_deny = sr->default_deny < 0 ? has_egress : sr->default_deny;
	*slot = sr->spec;
}

void ex_read_cnp_spec(struct ex_decoder *d, const struct ex_node *n, struct ex_policy_set *set,
		      const struct ex_spec *proto, const char *prefix)
{
	struct spec_reader sr = {
		.set = set, .spec = *proto, .default_deny = -1, .prefix = prefix
	};

	sr.spec.pos = n->pos;
	if (ex_decode_map(d, n, spec_fields, EX_ARRAY_SIZE(spec_fields), &sr))
		finish_spec(d, n, &sr);
}
