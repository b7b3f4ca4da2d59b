/* SPDX-License-Identifier: Apache-2.0 */
/* CIDRs: toCIDR, toCIDRSet, the blocks of Kubernetes policies, and CIDR groups. */
#include "policy/cnp.h"

static bool read_prefix(struct ex_decoder *d, const struct ex_node *n, struct ex_prefix *ret)
{
	const char *text = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT], norm[EX_PREFIX_TEXT];
	char remedy[80] = "write ADDRESS/LENGTH, such as 192.0.2.0/24 or 2001:db8::/32";
	struct ex_ip ip;
	const char *wrong;
	bool host_bits;

	if (!text)
		return false;
	wrong = ex_prefix_parse(text, n->len, ret, &host_bits);
	if (wrong) {
		if (ex_ip_parse(text, &ip))
			(void)snprintf(remedy, sizeof(remedy), "for this one address write %s/%d",
				       text, ex_ip_is4(&ip) ? 32 : 128);
		ex_decode_error(d, n, remedy, "CIDR %s %s", ex_quote(text, n->len, quoted), wrong);
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

	if (!ex_rule_take_member(d, n, rr, EX_PEER_CIDR))
		return;
	peer->cidrs = ex_arena_alloc(d->arena, n->n, sizeof(*peer->cidrs));
	if (!peer->cidrs)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it)) {
		struct ex_cidr_item *item = &peer->cidrs[peer->n_cidrs];

		item->pos = it.c->pos;
		peer->n_cidrs += read_prefix(d, it.c, &item->prefix);
	}
}

struct cidr_reader {
	struct ex_cidr_item item;
	const struct ex_node *cidr, *group, *group_labels, *except;
};

static void read_cidr(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct cidr_reader *cr = out;

	if (read_prefix(d, n, &cr->item.prefix))
		cr->cidr = n;
}

static void read_group_ref(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct cidr_reader *cr = out;
	const char *name = ex_decode_text(d, n);

	cr->group = n;
	if (name)
		cr->item.group = ex_arena_strndup(d->arena, name, n->len);
}

static void read_group_selector(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct cidr_reader *cr = out;

	cr->group_labels = n;
	cr->item.group_labels = ex_arena_alloc(d->arena, 1, sizeof(*cr->item.group_labels));
	if (cr->item.group_labels)
		ex_read_selector(d, n, cr->item.group_labels);
}

static void read_except(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct cidr_reader *cr = out;

	if (ex_node_is_null(n) || !ex_decode_list(d, n, EX_LIST_MAX, true))
		return;
	cr->except = n;
	cr->item.except = ex_arena_alloc(d->arena, n->n, sizeof(*cr->item.except));
	if (!cr->item.except)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		cr->item.n_except += read_prefix(d, it.c, &cr->item.except[cr->item.n_except]);
}

/* Upstream checks this for a CIDR and leaves it alone for groups, where it cannot be known here. */
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

static bool read_item(struct ex_decoder *d, const struct ex_node *n, const struct ex_field *fields,
		      size_t n_fields, struct ex_cidr_item *ret)
{
	struct cidr_reader cr = { .item.pos = n->pos };
	size_t before = d->n_errors;

	if (!ex_decode_map(d, n, fields, n_fields, &cr) || d->n_errors > before)
		return false;
	if (!!cr.cidr + !!cr.group + !!cr.group_labels != 1) {
		ex_decode_error(d, n, "write cidr: ADDRESS/LENGTH",
				n_fields > 2 ? "needs exactly one of cidr, cidrGroupRef and "
					       "cidrGroupSelector"
					     : "needs the field cidr");
		return false;
	}
	if (cr.cidr)
		check_except(d, &cr);
	*ret = cr.item;
	return true;
}

bool ex_read_ip_block(struct ex_decoder *d, const struct ex_node *n, struct ex_cidr_item *ret)
{
	static const struct ex_field fields[] = {
		{ "cidr", read_cidr, NULL, NULL },
		{ "except", read_except, NULL, NULL },
	};

	return read_item(d, n, fields, EX_ARRAY_SIZE(fields), ret);
}

void ex_read_to_cidrset(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = {
		{ "cidr", read_cidr, NULL, NULL },
		{ "except", read_except, NULL, NULL },
		{ "cidrGroupRef", read_group_ref, NULL, NULL },
		{ "cidrGroupSelector", read_group_selector, NULL, NULL },
	};
	struct ex_rule_reader *rr = out;
	struct ex_peer *peer = &rr->egress->peer;

	if (!ex_rule_take_member(d, n, rr, EX_PEER_CIDR))
		return;
	peer->cidrs = ex_arena_alloc(d->arena, n->n, sizeof(*peer->cidrs));
	if (!peer->cidrs)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		peer->n_cidrs += read_item(d, it.c, fields, EX_ARRAY_SIZE(fields),
					   &peer->cidrs[peer->n_cidrs]);
}

static void read_external_cidrs(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_cidr_group *g = out;

	if (!ex_decode_list(d, n, EX_LIST_MAX, true))
		return;
	g->cidrs = ex_arena_alloc(d->arena, n->n, sizeof(*g->cidrs));
	if (!g->cidrs)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		g->n_cidrs += read_prefix(d, it.c, &g->cidrs[g->n_cidrs]);
}

void ex_read_cidr_group(struct ex_decoder *d, const struct ex_node *n, const char *name,
			const struct ex_node *labels, struct ex_cidr_group *ret)
{
	static const struct ex_field fields[] = {
		{ "externalCIDRs", read_external_cidrs, NULL, NULL },
	};

	ret->name = name;
	(void)ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), ret);
	if (!labels)
		return;
	ret->labels = ex_arena_alloc(d->arena, labels->n, sizeof(*ret->labels));
	for (const struct ex_node *c = labels->first; ret->labels && c; c = c->next) {
		struct ex_label *l = &ret->labels[ret->n_labels];

		if (c->kind != EX_NODE_SCALAR)
			continue;
		l->key = ex_arena_strndup(d->arena, c->key, strlen(c->key));
		l->value = ex_arena_strndup(d->arena, c->text, c->len);
		if (!l->key || !l->value)
			return;
		ret->n_labels++;
	}
}
