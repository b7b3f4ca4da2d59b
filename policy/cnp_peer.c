/* SPDX-License-Identifier: Apache-2.0 */
/* The L3 members of an egress rule: at most one kind in a rule. */
#include "policy/cnp.h"

/* True when this is the rule's first L3 member and it has items; reports otherwise. */
static bool open_member(struct ex_decoder *d, const struct ex_node *n, struct ex_rule_reader *rr,
			enum ex_peer_kind kind)
{
	struct ex_peer *peer = &rr->egress->peer;

	if (rr->l3) {
		ex_decode_key_error(d, n, "write one rule for each of them",
				    "combining %s and %s in one rule is not supported", rr->l3->key,
				    n->key);
		return false;
	}
	rr->l3 = n;
	if (!ex_decode_list(d, n, EX_LIST_MAX, kind == EX_PEER_ENDPOINTS))
		return false;
	peer->kind = kind;
	return true;
}

void ex_read_to_endpoints(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	struct ex_peer *peer = &rr->egress->peer;
	size_t i = 0;

	if (!open_member(d, n, rr, EX_PEER_ENDPOINTS))
		return;
	if (n->n == 0)
		ex_decode_warning(d, n, "write [{}] for every endpoint of the namespace",
				  "an empty list selects nothing");
	peer->selectors = ex_arena_alloc(d->arena, n->n, sizeof(*peer->selectors));
	if (!peer->selectors)
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		size_t mark = ex_decode_push_index(d, i);

		ex_read_selector(d, c, &peer->selectors[i++]);
		ex_decode_pop(d, mark);
	}
	peer->n_selectors = i;
}

static bool read_prefix(struct ex_decoder *d, const struct ex_node *n, struct ex_prefix *ret)
{
	const char *text = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT], norm[EX_PREFIX_TEXT], remedy[80];
	const char *wrong;
	bool host_bits;

	if (!text)
		return false;
	wrong = ex_prefix_parse(text, n->len, ret, &host_bits);
	if (wrong) {
		ex_decode_error(d, n, "write ADDRESS/LENGTH, such as 192.0.2.0/24 or 2001:db8::/32",
				"CIDR %s %s", ex_quote(text, n->len, quoted), wrong);
		return false;
	}
	if (host_bits) {
		(void)snprintf(remedy, sizeof(remedy), "write %s", ex_prefix_text(ret, norm));
		ex_decode_warning(d, n, remedy, "CIDR %s has host bits set; it means the whole %s",
				  ex_quote(text, n->len, quoted), norm);
	}
	return true;
}

void ex_read_to_cidr(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	struct ex_peer *peer = &rr->egress->peer;
	size_t i = 0;

	if (!open_member(d, n, rr, EX_PEER_CIDR))
		return;
	peer->cidrs = ex_arena_alloc(d->arena, n->n, sizeof(*peer->cidrs));
	if (!peer->cidrs)
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		size_t mark = ex_decode_push_index(d, i++);

		if (read_prefix(d, c, &peer->cidrs[peer->n_cidrs].prefix))
			peer->n_cidrs++;
		ex_decode_pop(d, mark);
	}
}

struct cidr_reader {
	struct ex_cidr_item item;
	const struct ex_node *except;
	bool have_cidr;
};

static void read_cidr(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct cidr_reader *cr = out;

	cr->have_cidr = read_prefix(d, n, &cr->item.prefix);
}

static void read_except(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct cidr_reader *cr = out;
	size_t i = 0;

	if (ex_node_is_null(n) || !ex_decode_list(d, n, EX_LIST_MAX, true))
		return;
	cr->except = n;
	cr->item.except = ex_arena_alloc(d->arena, n->n, sizeof(*cr->item.except));
	if (!cr->item.except)
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		if (read_prefix(d, c, &cr->item.except[i]))
			i++;
	}
	cr->item.n_except = i;
}

static void check_except(struct ex_decoder *d, const struct cidr_reader *cr)
{
	char outer[EX_PREFIX_TEXT], inner[EX_PREFIX_TEXT];

	for (size_t i = 0; i < cr->item.n_except; i++) {
		const struct ex_prefix *e = &cr->item.except[i];

		if (ex_prefix_covers(&cr->item.prefix, e) &&
		    ex_prefix_is4(&cr->item.prefix) == ex_prefix_is4(e))
			continue;
		ex_decode_error(d, cr->except, "list only prefixes inside cidr",
				"except %s is not inside cidr %s", ex_prefix_text(e, inner),
				ex_prefix_text(&cr->item.prefix, outer));
	}
}

void ex_read_to_cidrset(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = {
		{ "cidr", read_cidr, NULL, NULL },
		{ "except", read_except, NULL, NULL },
		{ "cidrGroupRef", NULL, "CIDR groups are not read yet", "write the CIDRs here" },
		{ "cidrGroupSelector", NULL, "CIDR groups are not read yet",
		  "write the CIDRs here" },
	};
	struct ex_rule_reader *rr = out;
	struct ex_peer *peer = &rr->egress->peer;
	size_t i = 0;

	if (!open_member(d, n, rr, EX_PEER_CIDR))
		return;
	peer->cidrs = ex_arena_alloc(d->arena, n->n, sizeof(*peer->cidrs));
	if (!peer->cidrs)
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		size_t mark = ex_decode_push_index(d, i++), before = d->n_errors;
		struct cidr_reader cr = { .item.node = c };

		if (ex_decode_map(d, c, fields, EX_ARRAY_SIZE(fields), &cr) &&
		    d->n_errors == before) {
			if (!cr.have_cidr)
				ex_decode_error(d, c, "write cidr: ADDRESS/LENGTH",
						"needs the field cidr");
			else
				check_except(d, &cr);
			peer->cidrs[peer->n_cidrs++] = cr.item;
		}
		ex_decode_pop(d, mark);
	}
}

static const struct {
	const char *name;
	uint32_t bits;
	const char *why; /* refused */
} entities[] = {
	{ "all", EX_ENTITY_ALL, NULL },
	{ "world", EX_ENTITY_WORLD4 | EX_ENTITY_WORLD6, NULL },
	{ "world-ipv4", EX_ENTITY_WORLD4, NULL },
	{ "world-ipv6", EX_ENTITY_WORLD6, NULL },
	{ "host", EX_ENTITY_HOST, NULL },
	{ "cluster", EX_ENTITY_CLUSTER, NULL },
	{ "none", 0, NULL },
	{ "cluster-mesh", 0, "exeat knows one cluster" },
	{ "init", 0, "exeat has no such endpoints" },
	{ "ingress", 0, "it means the proxy of another program" },
	{ "unmanaged", 0, "exeat has no such endpoints" },
	{ "remote-node", 0, "exeat does not know the other nodes" },
	{ "health", 0, "exeat has no such endpoints" },
	{ "kube-apiserver", 0, "exeat does not know its address" },
};

static void read_entity(struct ex_decoder *d, const struct ex_node *n, struct ex_peer *peer)
{
	const char *word = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	if (!word)
		return;
	for (size_t i = 0; i < EX_ARRAY_SIZE(entities); i++) {
		if (strcmp(entities[i].name, word) != 0)
			continue;
		if (entities[i].why)
			ex_decode_error(d, n, "name the addresses: toCIDR, or toEndpoints",
					"entity \"%s\" is not supported: %s", word,
					entities[i].why);
		peer->entities |= entities[i].bits;
		return;
	}
	ex_decode_error(d, n, "write all, world, world-ipv4, world-ipv6, host, cluster or none",
			"unknown entity %s", ex_quote(word, n->len, quoted));
}

void ex_read_to_entities(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	size_t i = 0;

	if (!open_member(d, n, rr, EX_PEER_ENTITIES))
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		size_t mark = ex_decode_push_index(d, i++);

		read_entity(d, c, &rr->egress->peer);
		ex_decode_pop(d, mark);
	}
}

struct fqdn_reader {
	struct ex_name_pattern pattern;
	bool name, wild;
};

static void read_pattern(struct ex_decoder *d, const struct ex_node *n, struct fqdn_reader *fr,
			 bool wildcard)
{
	const char *text = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];
	const char *wrong;

	if (!text)
		return;
	wrong = ex_name_pattern_parse(text, n->len, wildcard, d->arena, &fr->pattern);
	if (wrong)
		ex_decode_error(d, n,
				wildcard ? "write a name such as *.example.com"
					 : "write a name such as api.example.com, or use "
					   "matchPattern",
				"%s %s", ex_quote(text, n->len, quoted), wrong);
}

static void read_match_name(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct fqdn_reader *fr = out;

	fr->name = true;
	read_pattern(d, n, fr, false);
}

static void read_match_pattern(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct fqdn_reader *fr = out;

	fr->wild = true;
	read_pattern(d, n, fr, true);
}

struct ex_name_pattern *ex_read_name_selectors(struct ex_decoder *d, const struct ex_node *n,
					       size_t *ret_n)
{
	static const struct ex_field fields[] = {
		{ "matchName", read_match_name, NULL, NULL },
		{ "matchPattern", read_match_pattern, NULL, NULL },
	};
	struct ex_name_pattern *v = ex_arena_alloc(d->arena, n->n, sizeof(*v));
	size_t i = 0;

	if (!v)
		return NULL;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		size_t mark = ex_decode_push_index(d, i);
		struct fqdn_reader fr = { .name = false };

		if (ex_decode_map(d, c, fields, EX_ARRAY_SIZE(fields), &fr)) {
			if (fr.name == fr.wild)
				ex_decode_error(d, c, "write one of them",
						"needs either matchName or matchPattern");
			v[i++] = fr.pattern;
		}
		ex_decode_pop(d, mark);
	}
	*ret_n = i;
	return v;
}

void ex_read_to_fqdns(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	struct ex_peer *peer = &rr->egress->peer;

	if (rr->egress->deny) {
		ex_decode_key_error(d, n, "deny the addresses with toCIDR, or allow fewer names",
				    "toFQDNs cannot be denied");
		return;
	}
	if (open_member(d, n, rr, EX_PEER_FQDN))
		peer->names = ex_read_name_selectors(d, n, &peer->n_names);
}
