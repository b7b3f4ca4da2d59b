/* SPDX-License-Identifier: Apache-2.0 */
/* The L3 members of an egress rule: at most one kind in a rule. */
#include "policy/cnp.h"

bool ex_rule_take_member(struct ex_decoder *d, const struct ex_node *n, struct ex_rule_reader *rr,
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
	peer->pos = n->pos;
	return true;
}

void ex_read_to_endpoints(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	struct ex_peer *peer = &rr->egress->peer;

	if (!ex_rule_take_member(d, n, rr, EX_PEER_ENDPOINTS))
		return;
	if (n->n == 0)
		ex_decode_warning(d, n, "write [{}] for every endpoint of the namespace",
				  "an empty list selects nothing");
	peer->selectors = ex_arena_alloc(d->arena, n->n, sizeof(*peer->selectors));
	if (!peer->selectors)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		ex_read_selector(d, it.c, &peer->selectors[peer->n_selectors++]);
}

static const struct {
	const char *name;
	uint32_t bits;
} entities[] = {
	{ "all", EX_ENTITY_ALL },
	{ "world", EX_ENTITY_WORLD4 | EX_ENTITY_WORLD6 },
	{ "world-ipv4", EX_ENTITY_WORLD4 },
	{ "world-ipv6", EX_ENTITY_WORLD6 },
	{ "host", EX_ENTITY_HOST },
	{ "cluster", EX_ENTITY_CLUSTER },
	{ "cluster-mesh", EX_ENTITY_CLUSTER }, /* exeat knows one cluster */
	{ "none", 0 },
	{ "kube-apiserver", EX_ENTITY_NAMED },
	{ "remote-node", EX_ENTITY_NAMED },
	{ "health", EX_ENTITY_NAMED },
	{ "ingress", EX_ENTITY_NAMED },
	{ "init", EX_ENTITY_NAMED },
	{ "unmanaged", EX_ENTITY_NAMED },
};

/* The selector of endpoints with the label reserved:WORD. */
static bool add_named(struct ex_decoder *d, const char *word, struct ex_peer *peer)
{
	struct ex_selector *s = &peer->named[peer->n_named];

	s->terms = ex_arena_alloc(d->arena, 1, sizeof(*s->terms));
	if (!s->terms)
		return false;
	s->terms[0].op = EX_LABEL_EXISTS;
	s->terms[0].key = ex_arena_printf(d->arena, "reserved:%s", word);
	if (!s->terms[0].key)
		return false;
	s->n_terms = 1;
	s->names_namespace = true;
	peer->n_named++;
	return true;
}

static void read_entity(struct ex_decoder *d, const struct ex_node *n, struct ex_peer *peer)
{
	const char *word = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	if (!word)
		return;
	for (size_t i = 0; i < EX_ARRAY_SIZE(entities); i++) {
		if (strcmp(entities[i].name, word) != 0)
			continue;
		peer->entities |= entities[i].bits;
		if (entities[i].bits == EX_ENTITY_NAMED)
			(void)add_named(d, word, peer);
		return;
	}
	ex_decode_error(d, n,
			"write one of all, world, world-ipv4, world-ipv6, host, cluster, "
			"kube-apiserver, remote-node, none",
			"unknown entity %s", ex_quote(word, n->len, quoted));
}

void ex_read_to_entities(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	struct ex_peer *peer = &rr->egress->peer;

	if (!ex_rule_take_member(d, n, rr, EX_PEER_ENTITIES))
		return;
	peer->named = ex_arena_alloc(d->arena, n->n, sizeof(*peer->named));
	if (!peer->named)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		read_entity(d, it.c, peer);
}

struct fqdn_reader {
	struct ex_name_pattern pattern;
	bool name, wild;
	uint8_t types;
};

static const char *name_remedy(const char *text, bool wildcard)
{
	if (strpbrk(text, ":/@"))
		return "write the name alone: ports go into toPorts, paths into rules.http";
	return wildcard ? "write a name such as *.example.com"
			: "write a name such as api.example.com, or use matchPattern";
}

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
		ex_decode_error(d, n, name_remedy(text, wildcard), "%s %s",
				ex_quote(text, n->len, quoted), wrong);
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

static void read_type(struct ex_decoder *d, const struct ex_node *n, struct fqdn_reader *fr)
{
	static const struct {
		const char *word;
		uint8_t bit;
	} types[] = {
		{ "A", 0 },
		{ "AAAA", 0 },
		{ "TXT", EX_ASK_TXT },
		{ "SRV", EX_ASK_SRV },
		{ "MX", EX_ASK_MX },
		{ "PTR", EX_ASK_PTR },
	};
	const char *text = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	for (size_t i = 0; text && i < EX_ARRAY_SIZE(types); i++) {
		if (strcmp(text, types[i].word) == 0) {
			fr->types |= types[i].bit;
			return;
		}
	}
	if (text)
		ex_decode_error(d, n, "write TXT, SRV, MX or PTR; A and AAAA always go with them",
				"record type %s cannot be asked for",
				ex_quote(text, n->len, quoted));
}

/* Only rules.dns of an EgressPolicy has them. */
static void read_types(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	if (!ex_decode_list(d, n, EX_LIST_MAX, false))
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		read_type(d, it.c, out);
}

struct ex_name_pattern *ex_read_name_selectors(struct ex_decoder *d, const struct ex_node *n,
					       bool types, size_t *ret_n)
{
	static const struct ex_field fields[] = {
		{ "matchName", read_match_name, NULL, NULL },
		{ "matchPattern", read_match_pattern, NULL, NULL },
		{ "types", read_types, NULL, NULL }, /* the last one: not everywhere */
	};
	size_t n_fields = EX_ARRAY_SIZE(fields) - (types ? 0 : 1);
	struct ex_name_pattern *v = ex_arena_alloc(d->arena, n->n, sizeof(*v));
	size_t i = 0;

	if (!v)
		return NULL;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it)) {
		struct fqdn_reader fr = { .name = false };

		if (!ex_decode_map(d, it.c, fields, n_fields, &fr))
			continue;
		if (fr.name == fr.wild)
			ex_decode_error(d, it.c, "write one of them",
					"needs either matchName or matchPattern");
		fr.pattern.types = fr.types;
		v[i++] = fr.pattern;
	}
	*ret_n = i;
	return v;
}

void ex_read_to_fqdns(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	struct ex_peer *peer = &rr->egress->peer;

	if (rr->egress->deny && !rr->own) {
		ex_decode_key_error(d, n,
				    "deny the addresses with toCIDR, or use kind EgressPolicy",
				    "toFQDNs cannot be denied");
		return;
	}
	if (ex_rule_take_member(d, n, rr, EX_PEER_FQDN))
		peer->names = ex_read_name_selectors(d, n, false, &peer->n_names);
}
