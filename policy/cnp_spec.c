/* SPDX-License-Identifier: Apache-2.0 */
/* spec of a CiliumNetworkPolicy, and its rules. */
#include "policy/cnp.h"
#include "policy/selects.h"

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

/* The last field of each is not there in rules that deny. */
static const struct ex_field egress_fields[] = {
	{ "preset", NULL, "only an EgressPolicy has presets",
	  "write apiVersion: exeat.dev/v1alpha1 and kind: EgressPolicy" },
	L3_FIELDS("to"),
	{ "toFQDNs", ex_read_to_fqdns, NULL, NULL },
	{ "toServices", NULL, "exeat does not know Kubernetes services",
	  "use toEndpoints with the service's own selector, or toCIDR" },
	{ "authentication", read_authentication, NULL, NULL },
};

static const struct ex_field ingress_fields[] = {
	L3_FIELDS("from"),
	{ "fromFQDNs", NULL, "who comes is known by address, not by name",
	  "use fromCIDR or fromEndpoints" },
	{ "authentication", read_authentication, NULL, NULL },
};

/* What an EgressPolicy may say: no more about destinations, more about what is done. */
static const struct ex_field own_fields[] = {
	L3_FIELDS("to"),
	{ "toFQDNs", ex_read_to_fqdns, NULL, NULL },
	{ "enforcement", ex_read_rule_enforcement, NULL, NULL },
	{ "preset", NULL, "a preset stands alone in its list item", "write \"- preset: NAME\"" },
	{ "tls", ex_read_tls, NULL, NULL },
};

struct rule_kind {
	const struct ex_field *fields;
	size_t n_fields;
	bool deny, ingress;
};

enum { LIST_EGRESS, LIST_EGRESS_DENY, LIST_INGRESS, LIST_INGRESS_DENY };

static const struct rule_kind rule_kinds[] = {
	{ egress_fields, EX_ARRAY_SIZE(egress_fields), false, false },
	{ egress_fields, EX_ARRAY_SIZE(egress_fields) - 1, true, false },
	{ ingress_fields, EX_ARRAY_SIZE(ingress_fields), false, true },
	{ ingress_fields, EX_ARRAY_SIZE(ingress_fields) - 1, true, true },
};

static const struct rule_kind own_kinds[] = {
	{ own_fields, EX_ARRAY_SIZE(own_fields), false, false },
	{ own_fields, EX_ARRAY_SIZE(own_fields) - 1, true, false },
};

/* A line names a preset that has many: so that a small file stays small. */
#define PRESET_RULES_MAX 10000

struct spec_reader {
	struct ex_policy_set *set;
	struct ex_spec spec;
	const struct ex_node *lists[EX_ARRAY_SIZE(rule_kinds)]; /* in the order of rule_kinds */
	int deny_egress, deny_ingress;                          /* by default; -1: not said */
	const char *prefix;                                     /* "" or "specs[1]." */
	bool own;
};

static void read_rule(struct ex_decoder *d, const struct ex_node *n, struct spec_reader *sr,
		      const struct rule_kind *kind, struct ex_egress *e)
{
	struct ex_rule_reader rr = { .set = sr->set,
				     .spec = &sr->spec,
				     .egress = e,
				     .ingress = kind->ingress,
				     .own = sr->own };

	e->pos = n->pos;
	e->deny = kind->deny;
	e->audit = sr->spec.audit;
	if (!ex_decode_map(d, n, kind->fields, kind->n_fields, &rr))
		return;
	if (!rr.l3 && rr.ports)
		e->peer.kind = EX_PEER_ANY;
	if (sr->own)
		ex_finish_own_rule(d, n, &rr);
}

static void read_item(struct ex_decoder *d, const struct ex_node *n, struct spec_reader *sr,
		      const struct rule_kind *kind, const char *where)
{
	size_t before = d->n_errors;
	const struct ex_node *preset = sr->own ? ex_preset_rules(d, n, kind->deny, sr->set) : NULL;
	struct ex_spec_rules *dir = kind->ingress ? &sr->spec.ingress : &sr->spec.egress;
	struct ex_egress *e;
	size_t i = 0;

	if (d->n_errors > before)
		return; /* there is no such preset */
	if (!preset) {
		e = &dir->rules[dir->n++];
		e->where = where;
		read_rule(d, n, sr, kind, e);
		return;
	}
	sr->set->n_preset_rules += preset->n;
	if (sr->set->n_preset_rules > PRESET_RULES_MAX) {
		ex_decode_error(
			d, n, "name a preset once, in a policy that selects all who need it",
			"the presets stand for more than %d rules together", PRESET_RULES_MAX);
		return;
	}
	for (const struct ex_node *c = preset->first; c; c = c->next) {
		e = &dir->rules[dir->n++];
		e->where = ex_arena_printf(d->arena, "%s.preset[%zu]", where, i++);
		read_rule(d, c, sr, kind, e);
	}
}

static void read_rules(struct ex_decoder *d, const struct ex_node *n, struct spec_reader *sr,
		       const struct rule_kind *kind)
{
	size_t mark = ex_decode_push(d, n->key);

	if (ex_node_is_null(n) || (n->kind == EX_NODE_LIST && n->n == 0)) {
		ex_decode_error(d, n,
				kind->deny ? "write at least one rule, or remove the field"
					   : "write [{}] to deny everything, or list rules",
				"is empty: it would allow or deny by accident");
	} else if (ex_decode_list(d, n, EX_LIST_MAX, false)) {
		for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
			read_item(d, it.c, sr, kind,
				  ex_arena_printf(d->arena, "%s%s[%zu]", sr->prefix, n->key, it.i));
	}
	ex_decode_pop(d, mark);
}

/* ---- spec ---- */

static const char elsewhere[] = "move the policy to that namespace, or use "
				"CiliumClusterwideNetworkPolicy";

/*
 * A namespaced policy is about its own namespace, whatever matchLabels say: as upstream, which puts
 * its own label there. What matchExpressions say holds beside it.
 */
static bool drops_foreign_namespace(struct ex_decoder *d, const struct ex_node *n,
				    const struct ex_spec *spec, const struct ex_label_term *t)
{
	if (t->op != EX_LABEL_IN || t->n_values != 1 ||
	    !ex_label_key_eq(t->key, EX_LABEL_NAMESPACE) || strcmp(t->values[0], spec->ns) == 0)
		return false;
	if (!t->plain) {
		ex_decode_warning(d, n, elsewhere,
				  "names another namespace than the policy's own, \"%s\", "
				  "and so selects nobody",
				  spec->ns);
		return false;
	}
	ex_decode_warning(d, n, elsewhere,
			  "names another namespace than the policy's own, \"%s\", "
			  "which it is about all the same",
			  spec->ns);
	return true;
}

static void drop_foreign_namespace(struct ex_decoder *d, const struct ex_node *n,
				   const struct ex_spec *spec)
{
	struct ex_selector *s = spec->endpoints;
	size_t kept = 0;

	for (size_t i = 0; i < s->n_terms; i++)
		if (!drops_foreign_namespace(d, n, spec, &s->terms[i]))
			s->terms[kept++] = s->terms[i];
	s->n_terms = kept;
}

static void read_endpoint_selector(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct spec_reader *sr = out;

	sr->spec.endpoints = ex_arena_alloc(d->arena, 1, sizeof(*sr->spec.endpoints));
	if (!sr->spec.endpoints)
		return;
	ex_read_selector(d, n, sr->spec.endpoints);
	if (!sr->spec.clusterwide)
		drop_foreign_namespace(d, n, &sr->spec);
}

static void read_egress(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct spec_reader *)out)->lists[LIST_EGRESS] = n;
}

static void read_egress_deny(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct spec_reader *)out)->lists[LIST_EGRESS_DENY] = n;
}

/* Nothing can enter a workload of `exeat run`; there the rules are only checked. */
void ex_warn_ingress(struct ex_decoder *d, const struct ex_node *n, const struct ex_policy_set *set)
{
	if (!set->in || !set->in->inward)
		ex_decode_warning(
			d, n,
			"keep ingress rules in a policy of their own; check --ingress is for those",
			"only the node agent enforces it: under `exeat run` nothing "
			"comes in, whatever is allowed");
}

static void read_ingress(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct spec_reader *sr = out;

	ex_warn_ingress(d, n, sr->set);
	sr->lists[LIST_INGRESS] = n;
}

static void read_ingress_deny(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct spec_reader *sr = out;

	ex_warn_ingress(d, n, sr->set);
	sr->lists[LIST_INGRESS_DENY] = n;
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
		sr->deny_egress = value;
}

static void read_deny_ingress(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct spec_reader *sr = out;
	bool value;

	if (ex_decode_bool(d, n, &value))
		sr->deny_ingress = value;
}

static void read_default_deny(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = {
		{ "egress", read_deny_egress, NULL, NULL },
		{ "ingress", read_deny_ingress, NULL, NULL },
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

static void read_spec_enforcement(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	ex_read_enforcement(d, n, &((struct spec_reader *)out)->spec.audit);
}

static const struct ex_field own_spec_fields[] = {
	{ "endpointSelector", read_endpoint_selector, NULL, NULL },
	{ "egress", read_egress, NULL, NULL },
	{ "egressDeny", read_egress_deny, NULL, NULL },
	{ "enforcement", read_spec_enforcement, NULL, NULL },
	{ "description", ex_read_nothing, NULL, NULL },
	{ "log", read_log, NULL, NULL },
};

/* Room for the rules of a list: an item may be a preset, which is several. */
static size_t count_rules(struct ex_decoder *d, const struct spec_reader *sr,
			  const struct ex_node *list)
{
	size_t n = 0;

	if (!list || list->kind != EX_NODE_LIST)
		return 0;
	for (const struct ex_node *c = list->first; c; c = c->next) {
		/* an unknown preset is reported when the rule is read */
		struct ex_diags quiet = { 0 };
		struct ex_decoder dry = { .arena = d->arena, .diags = &quiet };
		const struct ex_node *preset =
			sr->own ? ex_preset_rules(&dry, c, true, sr->set) : NULL;

		n += preset ? preset->n : 1;
		ex_diags_done(&quiet);
	}
	return n;
}

/*
 * The rules of allow and the one behind it. Upstream: a direction is default deny when it has
 * rules, unless told otherwise (default_deny; -1: it was not).
 */
static void alloc_direction(struct ex_decoder *d, const struct spec_reader *sr, size_t allow,
			    int default_deny, struct ex_spec_rules *ret)
{
	const struct ex_node *const *lists = sr->lists + allow;
	bool any = lists[0] || lists[1];
	size_t n = count_rules(d, sr, lists[0]) + count_rules(d, sr, lists[1]);

	*ret = (struct ex_spec_rules){ .rules = ex_arena_alloc(d->arena, n, sizeof(*ret->rules)),
				       .about = any || default_deny >= 0,
				       .default_deny = default_deny < 0 ? any : default_deny };
}

static void finish_spec(struct ex_decoder *d, const struct ex_node *n, struct spec_reader *sr)
{
	struct ex_spec *slot;
	bool any = false;

	for (size_t i = 0; i < EX_ARRAY_SIZE(rule_kinds); i++)
		any |= sr->lists[i] != NULL;
	if (!sr->spec.endpoints && !ex_node_get(n, "nodeSelector"))
		ex_decode_error(d, n, "write \"endpointSelector: {}\" for every workload",
				"needs the field endpointSelector");
	if (!any)
		ex_decode_error(d, n, "write egress or egressDeny", "has no rules");
	alloc_direction(d, sr, LIST_EGRESS, sr->deny_egress, &sr->spec.egress);
	alloc_direction(d, sr, LIST_INGRESS, sr->deny_ingress, &sr->spec.ingress);
	sr->spec.chosen = ex_policy_chooses(sr->set, &sr->spec); /* before its secrets are read */
	slot = EX_VEC_ADD(&sr->set->specs);
	if (!sr->spec.egress.rules || !sr->spec.ingress.rules || !slot) {
		d->arena->oom = true;
		return;
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(rule_kinds); i++) {
		if (sr->lists[i])
			read_rules(d, sr->lists[i], sr, sr->own ? &own_kinds[i] : &rule_kinds[i]);
	}
	*slot = sr->spec;
}

void ex_read_cnp_spec(struct ex_decoder *d, const struct ex_node *n, struct ex_policy_set *set,
		      const struct ex_spec *proto, const char *prefix, bool own)
{
	struct spec_reader sr = { .set = set,
				  .spec = *proto,
				  .deny_egress = -1,
				  .deny_ingress = -1,
				  .prefix = prefix,
				  .own = own };
	const struct ex_field *fields = own ? own_spec_fields : spec_fields;
	size_t n_fields = own ? EX_ARRAY_SIZE(own_spec_fields) : EX_ARRAY_SIZE(spec_fields);

	sr.spec.pos = n->pos;
	if (own) /* the one field that may be left out: every workload */
		sr.spec.endpoints = ex_arena_alloc(d->arena, 1, sizeof(*sr.spec.endpoints));
	if (ex_decode_map(d, n, fields, n_fields, &sr))
		finish_spec(d, n, &sr);
}
