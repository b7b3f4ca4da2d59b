/* SPDX-License-Identifier: Apache-2.0 */
/* The L3 part of a rule, as marks on the address space. */
#include "policy/lower.h"

#include <errno.h>

/*
 * A toEndpoints selector without a namespace, or labels of one, is about the policy's own; in a
 * cluster-wide policy about every endpoint that has a namespace, labels of it or not.
 */
static bool selects_endpoint(const struct ex_spec *spec, const struct ex_selector *s,
			     const struct ex_known_endpoint *ep)
{
	bool outside = spec->clusterwide ? ep->entity
					 : !s->names_its_labels && strcmp(ep->ns, spec->ns) != 0;

	if (!s->names_namespace && outside)
		return false;
	return ex_selector_match(s, &ep->labels);
}

int ex_mark_ip(struct ex_lowering *l, const struct ex_ip *ip, uint32_t peer, unsigned kinds)
{
	struct ex_prefix p = ex_prefix_make(ip, 128);

	return ex_marks_add(l->marks, &p, peer, kinds, 1);
}

int ex_mark_known(struct ex_lowering *l, const struct ex_ip *ip, uint32_t peer)
{
	int r = ex_mark_ip(l, ip, peer, EX_ADDR_ENDPOINT);

	if (r == 0)
		l->marks->v[l->marks->n - 1].known = true;
	return r;
}

/* Rules in the list that there are none of select nothing: the classes have no such peer. */
static int mark_reached(struct ex_lowering *l, const struct ex_reached_list *list)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->n; i++)
		if (list->v[i].rule == EX_REACHED_NONE || list->v[i].rule < l->rs->n_peers)
			r = ex_mark_known(l, &list->v[i].ip, list->v[i].rule);
	return r;
}

int ex_mark_all_known(struct ex_lowering *l)
{
	int r = 0;

	_Static_assert(EX_REACHED_NONE == EX_NO_PEER, "one number for it");
	if (l->in->reached)
		return mark_reached(l, l->in->reached);
	for (size_t i = 0; r == 0 && i < l->known->n; i++) {
		for (size_t k = 0; r == 0 && k < l->known->v[i].n_ips; k++)
			r = ex_mark_known(l, &l->known->v[i].ips[k], EX_NO_PEER);
	}
	return r;
}

static bool has_entity(const struct ex_peer *p, const struct ex_known_endpoint *ep)
{
	if (p->entities & (EX_ENTITY_ALL | EX_ENTITY_CLUSTER))
		return true;
	for (size_t i = 0; i < p->n_named; i++)
		if (ex_selector_match(&p->named[i], &ep->labels))
			return true;
	return false;
}

bool ex_lower_selects(const struct ex_spec *spec, const struct ex_peer *p,
		      const struct ex_known_endpoint *ep)
{
	if (p->kind == EX_PEER_ANY)
		return true;
	if (p->kind == EX_PEER_ENTITIES)
		return has_entity(p, ep);
	if (p->kind != EX_PEER_ENDPOINTS)
		return false;
	for (size_t i = 0; i < p->n_selectors; i++) {
		if (selects_endpoint(spec, &p->selectors[i], ep))
			return true;
	}
	return false;
}

static int mark_endpoint(struct ex_lowering *l, const struct ex_known_endpoint *ep, uint32_t peer)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < ep->n_ips; k++)
		r = ex_mark_known(l, &ep->ips[k], peer);
	return r;
}

static int lower_endpoints(struct ex_lowering *l, const struct ex_spec *spec,
			   const struct ex_egress *e, uint32_t peer)
{
	bool found = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->known->n; i++) {
		if (!ex_lower_selects(spec, &e->peer, &l->known->v[i]))
			continue;
		found = true;
		r = mark_endpoint(l, &l->known->v[i], peer);
	}
	/* an allow of nothing is safe; that a deny denies nothing should be known */
	if (r == 0 && !found && e->deny && e->peer.n_selectors)
		ex_diag_add(l->diags, e->pos, true, "give the endpoints file that has them",
			    "%s: no known endpoint has these labels: it denies nothing", e->where);
	return r;
}

/* Entities that the endpoints file describes. Denying one that it does not know denies nothing. */
static int lower_named_entities(struct ex_lowering *l, const struct ex_egress *e, uint32_t peer)
{
	const struct ex_peer *p = &e->peer;
	int r = 0;

	for (size_t i = 0; i < p->n_named; i++) {
		bool found = false;

		for (size_t k = 0; r == 0 && k < l->known->n; k++) {
			if (!ex_selector_match(&p->named[i], &l->known->v[k].labels))
				continue;
			found = true;
			r = mark_endpoint(l, &l->known->v[k], peer);
		}
		if (r < 0)
			return r;
		if (found)
			continue;
		ex_diag_add(l->diags, p->pos, !e->deny,
			    "give its addresses in the endpoints file, with that label",
			    "%s.%sEntities: no known address has the label %s", e->where,
			    l->inward ? "from" : "to", p->named[i].terms[0].key);
		if (e->deny)
			return -EINVAL;
	}
	return 0;
}

int ex_lower_look(struct ex_lowering *l, const struct ex_look *look)
{
	int r = lower_named_entities(l, look->egress, look->peer);

	return r == 0 && look->egress->peer.kind == EX_PEER_ENDPOINTS
		       ? lower_endpoints(l, look->spec, look->egress, look->peer)
		       : r;
}

/* Now, and whenever there are others. */
static int look_at_known(struct ex_lowering *l, const struct ex_spec *spec,
			 const struct ex_egress *e, uint32_t peer)
{
	struct ex_look own = { spec, e, peer }, *kept;
	struct ex_spec *scope;

	if (l->in->reached)
		return 0; /* others have looked */
	if (l->rs->repeer.able) {
		kept = EX_VEC_ADD(&l->rs->repeer.looks);
		scope = ex_arena_alloc(&l->rs->arena, 1, sizeof(*scope));
		if (!kept || !scope)
			return -ENOMEM;
		*scope = (struct ex_spec){ .ns = spec->ns, .clusterwide = spec->clusterwide };
		*kept = (struct ex_look){ scope, e, peer };
	}
	return ex_lower_look(l, &own);
}

static int prefix_order(const void *a, const void *b)
{
	return ex_prefix_cmp(a, b);
}

/*
 * One prefix less the excepted ones. Each exception counts once: those inside of another one, or
 * outside of the prefix (possible for groups), say nothing.
 */
static int lower_prefix(struct ex_lowering *l, const struct ex_prefix *p,
			const struct ex_cidr_item *item, uint32_t peer, unsigned kinds)
{
	const struct ex_prefix *last = NULL;
	int r;

	for (size_t i = 0; i < item->n_except; i++) {
		if (ex_prefix_is4(p) == ex_prefix_is4(&item->except[i]) &&
		    ex_prefix_covers(&item->except[i], p))
			return 0;
	}
	r = ex_marks_add(l->marks, p, peer, kinds, 1);
	for (size_t i = 0; r == 0 && i < item->n_except; i++) {
		const struct ex_prefix *e = &item->except[i];

		if (ex_prefix_is4(p) != ex_prefix_is4(e) || !ex_prefix_covers(p, e) ||
		    (last && ex_prefix_covers(last, e)))
			continue;
		last = e;
		r = ex_marks_add(l->marks, e, peer, kinds, -1);
	}
	return r;
}

static bool item_has_group(const struct ex_cidr_item *item, const struct ex_cidr_group *g)
{
	struct ex_label_set labels = { g->labels, g->n_labels };

	if (item->group)
		return strcmp(item->group, g->name) == 0;
	return ex_selector_match(item->group_labels, &labels);
}

static int lower_groups(struct ex_lowering *l, const struct ex_cidr_item *item, uint32_t peer,
			unsigned kinds)
{
	bool found = false;
	int r = 0;

	for (size_t i = 0; i < l->set->groups.n; i++) {
		const struct ex_cidr_group *g = &l->set->groups.v[i];

		if (!item_has_group(item, g))
			continue;
		found = true;
		for (size_t k = 0; r == 0 && k < g->n_cidrs; k++)
			r = lower_prefix(l, &g->cidrs[k], item, peer, kinds);
	}
	if (found)
		return r;
	ex_diag_add(l->diags, item->pos, false, "give the file with the CiliumCIDRGroup, too",
		    item->group ? "there is no CiliumCIDRGroup named \"%s\""
				: "no CiliumCIDRGroup has the labels of cidrGroupSelector%s",
		    item->group ? item->group : "");
	return -EINVAL;
}

static int lower_cidrs(struct ex_lowering *l, const struct ex_peer *p, uint32_t peer, bool deny)
{
	/* An allowed CIDR is never about the host itself; a denied one is: closed on both sides. */
	unsigned kinds = deny ? EX_ADDR_WORLD | EX_ADDR_HOST : EX_ADDR_WORLD;
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n_cidrs; i++) {
		struct ex_cidr_item *item = &p->cidrs[i];

		if (item->n_except)
			qsort(item->except, item->n_except, sizeof(*item->except), prefix_order);
		if (item->group || item->group_labels)
			r = lower_groups(l, item, peer, kinds);
		else
			r = lower_prefix(l, &item->prefix, item, peer, kinds);
	}
	return r;
}

static int mark_family(struct ex_lowering *l, uint32_t peer, bool four, unsigned kinds)
{
	static const struct ex_prefix v4 = { { { [10] = 0xff, [11] = 0xff } }, 96 };
	static const struct ex_prefix v6 = { { { 0 } }, 0 };

	return ex_marks_add(l->marks, four ? &v4 : &v6, peer, kinds, 1);
}

int ex_mark_both(struct ex_lowering *l, uint32_t peer, unsigned kinds)
{
	int r = mark_family(l, peer, true, kinds);

	return r < 0 ? r : mark_family(l, peer, false, kinds);
}

static int lower_entities(struct ex_lowering *l, const struct ex_spec *spec,
			  const struct ex_egress *e, uint32_t peer)
{
	uint32_t entities = e->peer.entities;
	unsigned both = 0;
	int r = e->peer.n_named ? look_at_known(l, spec, e, peer) : 0;

	if (entities & EX_ENTITY_ALL)
		both |= EX_ADDR_WORLD | EX_ADDR_ENDPOINT | EX_ADDR_HOST;
	if (entities & EX_ENTITY_CLUSTER)
		both |= EX_ADDR_ENDPOINT | EX_ADDR_HOST;
	if (entities & EX_ENTITY_HOST)
		both |= EX_ADDR_HOST;
	if (r == 0 && both)
		r = ex_mark_both(l, peer, both);
	if (r == 0 && (entities & EX_ENTITY_WORLD4))
		r = mark_family(l, peer, true, EX_ADDR_WORLD);
	if (r == 0 && (entities & EX_ENTITY_WORLD6))
		r = mark_family(l, peer, false, EX_ADDR_WORLD);
	return r;
}

int ex_lower_peer(struct ex_lowering *l, const struct ex_spec *spec, const struct ex_egress *e,
		  uint32_t peer)
{
	switch (e->peer.kind) {
	case EX_PEER_NONE:
	case EX_PEER_FQDN:
		return 0;
	case EX_PEER_ANY:
		return ex_mark_both(l, peer, EX_ADDR_WORLD | EX_ADDR_ENDPOINT | EX_ADDR_HOST);
	case EX_PEER_ENDPOINTS:
		return look_at_known(l, spec, e, peer);
	case EX_PEER_CIDR:
		return lower_cidrs(l, &e->peer, peer, e->deny);
	case EX_PEER_ENTITIES:
		return lower_entities(l, spec, e, peer);
	}
	return -EINVAL;
}
