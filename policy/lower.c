/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lower.h"

#include <errno.h>
#include <netinet/in.h>

#define RULES_MAX 10000000

/* ---- which policies are for this workload ---- */

/*
 * A namespaced policy is for workloads of its namespace. A workload that says nothing about its
 * namespace (a command run by hand) is taken to be in the policy's.
 */
static bool spec_selects(const struct ex_spec *spec, const struct ex_compile_input *in)
{
	struct ex_label_set labels = { in->labels, in->n_labels };
	const char *ns;

	if (in->n_labels == 0)
		return true;
	ns = ex_label_get(&labels, EX_LABEL_NAMESPACE);
	if (!spec->clusterwide && ns && strcmp(ns, spec->ns) != 0)
		return false;
	return ex_selector_match(spec->endpoints, &labels);
}

/* ---- L3 ---- */

/* A toEndpoints selector without a namespace is about the policy's own (cluster-wide: about any).
 */
static bool selects_endpoint(const struct ex_spec *spec, const struct ex_selector *s,
			     const struct ex_known_endpoint *ep)
{
	if (!s->names_namespace && !spec->clusterwide && strcmp(ep->ns, spec->ns) != 0)
		return false;
	return ex_selector_match(s, &ep->labels);
}

static int mark_ip(struct ex_lowering *l, const struct ex_ip *ip, uint32_t peer, unsigned kinds)
{
	struct ex_prefix p = ex_prefix_make(ip, 128);

	return ex_marks_add(l->marks, &p, peer, kinds, 1);
}

static int lower_endpoints(struct ex_lowering *l, const struct ex_spec *spec,
			   const struct ex_peer *p, uint32_t peer)
{
	for (size_t i = 0; i < l->known->n; i++) {
		const struct ex_known_endpoint *ep = &l->known->v[i];
		bool selected = false;

		for (size_t s = 0; s < p->n_selectors && !selected; s++)
			selected = selects_endpoint(spec, &p->selectors[s], ep);
		for (size_t k = 0; selected && k < ep->n_ips; k++) {
			int r = mark_ip(l, &ep->ips[k], peer, EX_ADDR_ENDPOINT);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int prefix_order(const void *a, const void *b)
{
	return ex_prefix_cmp(a, b);
}

/* Marks "out" at every excepted prefix, once: those inside of another one add nothing. */
static int lower_excepts(struct ex_lowering *l, const struct ex_cidr_item *item, uint32_t peer,
			 unsigned kinds)
{
	const struct ex_prefix *last = NULL;

	if (item->n_except == 0)
		return 0;
	qsort(item->except, item->n_except, sizeof(*item->except), prefix_order);
	for (size_t i = 0; i < item->n_except; i++) {
		int r;

		if (last && ex_prefix_covers(last, &item->except[i]))
			continue;
		last = &item->except[i];
		r = ex_marks_add(l->marks, last, peer, kinds, -1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int lower_cidrs(struct ex_lowering *l, const struct ex_peer *p, uint32_t peer, bool deny)
{
	/* An allowed CIDR is never about the host itself; a denied one is: closed on both sides. */
	unsigned kinds = deny ? EX_ADDR_WORLD | EX_ADDR_HOST : EX_ADDR_WORLD;

	for (size_t i = 0; i < p->n_cidrs; i++) {
		int r = ex_marks_add(l->marks, &p->cidrs[i].prefix, peer, kinds, 1);

		if (r == 0)
			r = lower_excepts(l, &p->cidrs[i], peer, kinds);
		if (r < 0)
			return r;
	}
	return 0;
}

static int mark_family(struct ex_lowering *l, uint32_t peer, bool four, unsigned kinds)
{
	static const struct ex_prefix v4 = { { { [10] = 0xff, [11] = 0xff } }, 96 };
	static const struct ex_prefix v6 = { { { 0 } }, 0 };

	return ex_marks_add(l->marks, four ? &v4 : &v6, peer, kinds, 1);
}

static int mark_both(struct ex_lowering *l, uint32_t peer, unsigned kinds)
{
	int r = mark_family(l, peer, true, kinds);

	return r < 0 ? r : mark_family(l, peer, false, kinds);
}

static int lower_entities(struct ex_lowering *l, uint32_t entities, uint32_t peer)
{
	unsigned both = 0;
	int r = 0;

	if (entities & EX_ENTITY_ALL)
		both |= EX_ADDR_WORLD | EX_ADDR_ENDPOINT | EX_ADDR_HOST;
	if (entities & EX_ENTITY_CLUSTER)
		both |= EX_ADDR_ENDPOINT | EX_ADDR_HOST;
	if (entities & EX_ENTITY_HOST)
		both |= EX_ADDR_HOST;
	if (both)
		r = mark_both(l, peer, both);
	if (r == 0 && (entities & EX_ENTITY_WORLD4))
		r = mark_family(l, peer, true, EX_ADDR_WORLD);
	if (r == 0 && (entities & EX_ENTITY_WORLD6))
		r = mark_family(l, peer, false, EX_ADDR_WORLD);
	return r;
}

static int lower_peer(struct ex_lowering *l, const struct ex_spec *spec, const struct ex_egress *e,
		      uint32_t peer)
{
	switch (e->peer.kind) {
	case EX_PEER_NONE:
	case EX_PEER_FQDN:
		return 0;
	case EX_PEER_ANY:
		return mark_both(l, peer, EX_ADDR_WORLD | EX_ADDR_ENDPOINT | EX_ADDR_HOST);
	case EX_PEER_ENDPOINTS:
		return lower_endpoints(l, spec, &e->peer, peer);
	case EX_PEER_CIDR:
		return lower_cidrs(l, &e->peer, peer, e->deny);
	case EX_PEER_ENTITIES:
		return lower_entities(l, e->peer.entities, peer);
	}
	return -EINVAL;
}

/* ---- terms and rule ids ---- */

static uint32_t add_info(struct ex_lowering *l, const struct ex_spec *spec, const char *where,
			 struct ex_pos pos)
{
	struct ex_rule_info *info = &l->rs->infos[l->rs->n_rules++];

	*info = (struct ex_rule_info){ spec->policy, spec->clusterwide ? "" : spec->ns,
				       where,        pos.file,
				       pos.line,     pos.col };
	return l->rs->n_rules;
}

static void lower_ports(struct ex_lowering *l, const struct ex_spec *spec,
			const struct ex_egress *e, struct ex_ports *p, struct ex_term *t)
{
	struct ex_arena *a = &l->rs->arena;

	t->ports = p;
	t->rule = add_info(l, spec, ex_arena_printf(a, "%s.%s", e->where, p->where), p->pos);
	for (size_t i = 0; i < p->n_http; i++)
		p->http[i].rule = add_info(
			l, spec, ex_arena_printf(a, "%s.%s.rules.http[%zu]", e->where, p->where, i),
			p->http[i].pos);
}

static int lower_rule(struct ex_lowering *l, const struct ex_spec *spec, struct ex_egress *e)
{
	uint32_t id = (uint32_t)l->rs->n_peers++;
	struct ex_rpeer *peer = &l->rs->peers[id];
	size_t n = e->limits_ports ? e->n_ports : 1;

	peer->terms = ex_arena_alloc(&l->rs->arena, n, sizeof(*peer->terms));
	if (!peer->terms)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct ex_term *t = &peer->terms[i];

		t->deny = e->deny;
		t->fqdn = e->peer.kind == EX_PEER_FQDN;
		if (e->limits_ports)
			lower_ports(l, spec, e, &e->ports[i], t);
		else
			t->rule = add_info(l, spec, e->where, e->pos);
	}
	peer->n_terms = n;
	if (e->peer.kind == EX_PEER_FQDN) {
		peer->names = e->peer.names;
		peer->n_names = e->peer.n_names;
	}
	return lower_peer(l, spec, e, id);
}

/* ---- what the policy does not say ---- */

/* The DNS gate: anybody may ask it, and nothing else may be done with its address. */
static int lower_dns_gate(struct ex_lowering *l)
{
	static struct ex_portset ports[] = {
		{ .proto = IPPROTO_UDP, .lo = 53, .hi = 53 },
		{ .proto = IPPROTO_TCP, .lo = 53, .hi = 53 },
	};
	static const struct ex_ports dns = { .v = ports, .n = 2, .l7 = EX_L7_DNS };
	uint32_t id = (uint32_t)l->rs->n_peers++;
	struct ex_rpeer *peer = &l->rs->peers[id];
	int r = mark_both(l, id, EX_ADDR_DNS);

	peer->terms = ex_arena_alloc(&l->rs->arena, 1, sizeof(*peer->terms));
	if (!peer->terms)
		return -ENOMEM;
	peer->terms[0].ports = &dns;
	peer->n_terms = 1;
	for (size_t i = 0; r == 0 && i < l->in->n_dns_ips; i++)
		r = mark_ip(l, &l->in->dns_ips[i], EX_NO_PEER, EX_ADDR_DNS);
	return r;
}

static int lower_reserved(struct ex_lowering *l)
{
	uint32_t id = (uint32_t)l->rs->n_peers++;
	struct ex_rpeer *peer = &l->rs->peers[id];

	peer->terms = ex_arena_alloc(&l->rs->arena, 1, sizeof(*peer->terms));
	if (!peer->terms)
		return -ENOMEM;
	peer->terms[0].deny = peer->terms[0].reserved = true;
	peer->n_terms = 1;
	for (size_t i = 0; i < ex_n_reserved_prefixes; i++) {
		const struct ex_reserved *res = &ex_reserved_prefixes[i];
		struct ex_prefix p;
		bool host_bits;
		int r;

		if (res->metadata && !l->in->deny_metadata)
			continue;
		if (ex_prefix_parse(res->cidr, strlen(res->cidr), &p, &host_bits))
			return -EINVAL;
		r = ex_marks_add(l->marks, &p, id, EX_ADDR_WORLD | EX_ADDR_ENDPOINT | EX_ADDR_HOST,
				 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int mark_addresses(struct ex_lowering *l)
{
	int r = mark_both(l, EX_NO_PEER, EX_ADDR_WORLD);

	for (size_t i = 0; r == 0 && i < l->in->n_host_ips; i++)
		r = mark_ip(l, &l->in->host_ips[i], EX_NO_PEER, EX_ADDR_HOST);
	for (size_t i = 0; r == 0 && i < l->known->n; i++) {
		for (size_t k = 0; r == 0 && k < l->known->v[i].n_ips; k++)
			r = mark_ip(l, &l->known->v[i].ips[k], EX_NO_PEER, EX_ADDR_ENDPOINT);
	}
	return r;
}

/* ---- all of it ---- */

static void count_rules(const struct ex_spec *spec, size_t *peers, size_t *infos)
{
	*peers += spec->n_egress;
	for (size_t i = 0; i < spec->n_egress; i++) {
		const struct ex_egress *e = &spec->egress[i];

		*infos += 1 + e->n_ports;
		for (size_t k = 0; k < e->n_ports; k++)
			*infos += e->ports[k].n_http;
	}
}

static int lower_specs(struct ex_lowering *l)
{
	struct ex_ruleset *rs = l->rs;
	size_t n_peers = 2, n_infos = 0, selected = 0;
	int r = 0;

	for (size_t i = 0; i < l->n_specs; i++)
		count_rules(&l->specs[i], &n_peers, &n_infos);
	if (n_infos > RULES_MAX)
		return -E2BIG;
	rs->peers = ex_arena_alloc(&rs->arena, n_peers, sizeof(*rs->peers));
	rs->infos = ex_arena_alloc(&rs->arena, n_infos, sizeof(*rs->infos));
	if (!rs->peers || !rs->infos)
		return -ENOMEM;
	rs->default_allow = true;
	for (size_t i = 0; i < l->n_specs; i++) {
		const struct ex_spec *spec = &l->specs[i];

		if (!spec_selects(spec, l->in))
			continue;
		selected++;
		rs->default_allow &= !spec->default_deny;
		for (size_t k = 0; r == 0 && k < spec->n_egress; k++)
			r = lower_rule(l, spec, &spec->egress[k]);
	}
	if (r == 0 && selected == 0) {
		ex_diag_add(l->diags, (struct ex_pos){ "policy", 0, 0 }, false,
			    "give the labels of its endpointSelector: -l KEY=VALUE",
			    "no policy selects this workload by its labels");
		r = -EINVAL;
	}
	return r;
}

static int list_name_peers(struct ex_ruleset *rs)
{
	uint32_t *v = ex_arena_alloc(&rs->arena, rs->n_peers, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < rs->n_peers; i++) {
		if (rs->peers[i].names)
			v[rs->n_name_peers++] = i;
	}
	rs->name_peers = v;
	return 0;
}

int ex_lower(struct ex_lowering *l)
{
	int r = lower_specs(l);

	if (r == 0)
		r = lower_dns_gate(l);
	if (r == 0)
		r = lower_reserved(l);
	if (r == 0)
		r = mark_addresses(l);
	if (r == 0)
		r = list_name_peers(l->rs);
	if (r == 0 && l->rs->arena.oom)
		r = -ENOMEM;
	return r;
}
