/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lower.h"

#include <errno.h>
#include <netinet/in.h>

#define RULES_MAX 10000000

/* ---- which policies are for this workload ---- */

/* Of other policies than these it says nothing. */
static int check_chosen(const struct ex_lowering *l)
{
	if (!l->in->chosen || l->in->chosen->n == l->set->specs.n)
		return 0;
	ex_diag_add(l->diags, (struct ex_pos){ "policy", 0, 0 }, false,
		    "give the policies it was chosen from", "%zu specs, chosen from %zu",
		    l->set->specs.n, l->in->chosen->n);
	return -EINVAL;
}

static int keep_chosen(struct ex_lowering *l)
{
	size_t n = l->set->specs.n;
	uint8_t *v = ex_arena_alloc(&l->rs->arena, n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		v[i] = l->set->specs.v[i].chosen;
	l->rs->chosen = v;
	l->rs->n_chosen = n;
	return 0;
}

/* ---- terms and rule ids ---- */

static uint32_t add_info(struct ex_lowering *l, const struct ex_spec *spec, bool audit,
			 const char *where, struct ex_pos pos)
{
	struct ex_rule_info *info = &l->book->infos[l->book->n_rules++];

	*info = (struct ex_rule_info){
		.policy = spec->policy,
		.ns = spec->clusterwide ? "" : spec->ns,
		.where = where,
		.file = pos.file,
		.line = pos.line,
		.col = pos.col,
		.log = spec->log,
		.audit = audit,
	};
	return l->book->n_rules;
}

/* A peer with n terms; NULL: there is no memory. */
static struct ex_rpeer *add_peer(struct ex_lowering *l, size_t n)
{
	struct ex_rpeer *peer = &l->rs->peers[l->rs->n_peers++];

	peer->terms = ex_arena_alloc(&l->rs->arena, n, sizeof(*peer->terms));
	peer->n_terms = n;
	return peer->terms ? peer : NULL;
}

static uint32_t peer_id(const struct ex_lowering *l, const struct ex_rpeer *peer)
{
	return (uint32_t)(peer - l->rs->peers);
}

static int lower_ports(struct ex_lowering *l, const struct ex_spec *spec, const struct ex_egress *e,
		       struct ex_ports *p, struct ex_term *t)
{
	struct ex_arena *a = &l->rs->arena;

	t->ports = p;
	t->rule = add_info(l, spec, e->audit, ex_arena_printf(a, "%s.%s", e->where, p->where),
			   p->pos);
	if (p->origin) {
		p->origin->next = l->rs->origins;
		p->origin->index = l->rs->origins ? l->rs->origins->index + 1 : 0;
		l->rs->origins = p->origin;
	}
	for (size_t i = 0; i < p->n_http; i++) {
		struct ex_http_match *m = &p->http[i];
		const char *where =
			ex_arena_printf(a, "%s.%s.rules.http[%zu]", e->where, p->where, i);

		m->rule = add_info(l, spec, e->audit, where, m->pos);
		l->book->infos[m->rule - 1].origin = p->origin;
		for (size_t k = 0; k < m->n_matches; k++)
			l->rs->edits |= m->matches[k].mismatch == EX_MISMATCH_EDIT;
	}
	return ex_http_index_build(a, p);
}

/*
 * Port names stand for what each selected endpoint calls so: every such endpoint gets a peer of its
 * own, with the numbers that the names have there.
 */
static int lower_named_port(struct ex_lowering *l, const struct ex_term *from,
			    const struct ex_known_endpoint *ep, bool *found)
{
	static const uint8_t numbers[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	struct ex_arena *a = &l->rs->arena;
	struct ex_ports *p = ex_arena_alloc(a, 1, sizeof(*p));
	struct ex_rpeer *peer;

	if (!p)
		return -ENOMEM;
	*p = *from->ports;
	p->n = p->n_named = 0;
	p->v = ex_arena_alloc(a, from->ports->n_named * 3, sizeof(*p->v));
	if (!p->v)
		return -ENOMEM;
	for (size_t i = 0; i < from->ports->n_named; i++) {
		const struct ex_named_port *np = &from->ports->named[i];

		for (size_t k = 0; k < ep->n_ports; k++) {
			for (size_t j = 0; j < EX_ARRAY_SIZE(numbers); j++) {
				if (strcmp(ep->ports[k].name, np->name) != 0 ||
				    !(np->protos & (1u << j)))
					continue;
				p->v[p->n++] = (struct ex_portset){ .proto = numbers[j],
								    .lo = ep->ports[k].port,
								    .hi = ep->ports[k].port };
			}
		}
	}
	if (p->n == 0)
		return 0;
	*found = true;
	if (l->rs->n_peers >= l->n_peers_max)
		return -E2BIG;
	peer = add_peer(l, 1);
	if (!peer)
		return -ENOMEM;
	peer->terms[0] = *from;
	peer->terms[0].ports = p;
	l->rs->repeer.able = false; /* this peer is of this endpoint */
	for (size_t i = 0; i < ep->n_ips; i++) {
		int r = ex_mark_known(l, &ep->ips[i], peer_id(l, peer));

		if (r < 0)
			return r;
	}
	return 0;
}

static int lower_named_ports(struct ex_lowering *l, const struct ex_spec *spec,
			     const struct ex_egress *e, const struct ex_term *from)
{
	const struct ex_ports *p = from->ports;
	bool found = false;
	int r = 0;

	if (l->inward) {
		ex_diag_add(l->diags, p->pos, false, "write the number",
			    "%s.%s: what the workload itself calls port \"%s\" is not known",
			    e->where, p->where, p->named[0].name);
		return -EINVAL;
	}
	for (size_t i = 0; r == 0 && i < l->known->n; i++) {
		if (ex_lower_selects(spec, &e->peer, &l->known->v[i]))
			r = lower_named_port(l, from, &l->known->v[i], &found);
	}
	if (r < 0 || found)
		return r;
	/* an allow of nothing is safe, a deny of nothing is not */
	ex_diag_add(l->diags, p->pos, !e->deny,
		    "write the number, or give the endpoint ports: {NAME: NUMBER} in the endpoints "
		    "file",
		    "%s.%s: no endpoint that the rule selects has a port named \"%s\"", e->where,
		    p->where, p->named[0].name);
	return e->deny ? -EINVAL : 0;
}

bool ex_egress_is_open(const struct ex_egress *e)
{
	const unsigned world = EX_ENTITY_ALL | EX_ENTITY_WORLD4 | EX_ENTITY_WORLD6;

	if (e->deny)
		return false;
	return e->peer.kind == EX_PEER_ANY ||
	       (e->peer.kind == EX_PEER_ENTITIES && (e->peer.entities & world));
}

static int lower_rule(struct ex_lowering *l, const struct ex_spec *spec, struct ex_egress *e)
{
	size_t n = e->limits_ports ? e->n_ports : 1;
	struct ex_rpeer *peer = add_peer(l, n);

	if (!peer)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct ex_term *t = &peer->terms[i];

		t->deny = e->deny;
		t->audit = e->audit;
		t->fqdn = e->peer.kind == EX_PEER_FQDN;
		t->open = ex_egress_is_open(e);
		if (e->limits_ports && lower_ports(l, spec, e, &e->ports[i], t) < 0)
			return -ENOMEM;
		if (!e->limits_ports)
			t->rule = add_info(l, spec, e->audit, e->where, e->pos);
	}
	if (e->peer.kind == EX_PEER_FQDN) {
		peer->names = e->peer.names;
		peer->n_names = e->peer.n_names;
	}
	for (size_t i = 0; i < n; i++) {
		const struct ex_term t = peer->terms[i];
		int r = t.ports && t.ports->n_named ? lower_named_ports(l, spec, e, &t) : 0;

		if (r < 0)
			return r;
	}
	return ex_lower_peer(l, spec, e, peer_id(l, peer));
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
	struct ex_rpeer *peer = add_peer(l, 1);
	int r;

	if (!peer)
		return -ENOMEM;
	peer->terms[0].ports = &dns;
	r = ex_mark_both(l, peer_id(l, peer), EX_ADDR_DNS);
	for (size_t i = 0; r == 0 && i < l->in->n_dns_ips; i++)
		r = ex_mark_ip(l, &l->in->dns_ips[i], EX_NO_PEER, EX_ADDR_DNS);
	return r;
}

static int lower_reserved(struct ex_lowering *l)
{
	struct ex_rpeer *peer = add_peer(l, 1);

	if (!peer)
		return -ENOMEM;
	peer->terms[0].deny = peer->terms[0].reserved = true;
	for (size_t i = 0; i < ex_n_reserved_prefixes; i++) {
		const struct ex_reserved *res = &ex_reserved_prefixes[i];
		struct ex_prefix p;
		bool host_bits;
		int r;

		if (res->metadata && !l->in->deny_metadata)
			continue;
		if (ex_prefix_parse(res->cidr, strlen(res->cidr), &p, &host_bits))
			return -EINVAL;
		r = ex_marks_add(l->marks, &p, peer_id(l, peer),
				 EX_ADDR_WORLD | EX_ADDR_ENDPOINT | EX_ADDR_HOST, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int mark_addresses(struct ex_lowering *l)
{
	int r = ex_mark_both(l, EX_NO_PEER, EX_ADDR_WORLD);

	for (size_t i = 0; r == 0 && i < l->in->n_host_ips; i++)
		r = ex_mark_ip(l, &l->in->host_ips[i], EX_NO_PEER, EX_ADDR_HOST);
	return r == 0 ? ex_mark_all_known(l) : r;
}

/* What the workload serves, to everybody: where no policy turns default deny on. */
static int lower_served(struct ex_lowering *l)
{
	const struct ex_inward *in = l->in->inward;
	struct ex_arena *a = &l->rs->arena;
	struct ex_ports *p = ex_arena_alloc(a, 1, sizeof(*p));
	struct ex_rpeer *peer = add_peer(l, 1);

	if (!p || !peer)
		return -ENOMEM;
	p->v = ex_arena_alloc(a, in->n, sizeof(*p->v));
	if (!p->v)
		return -ENOMEM;
	for (p->n = 0; p->n < in->n; p->n++) {
		const struct ex_served *s = &in->v[p->n];

		p->v[p->n] = (struct ex_portset){
			.any_proto = s->proto == 0, .proto = s->proto, .lo = s->lo, .hi = s->hi
		};
	}
	peer->terms[0].ports = p;
	return ex_mark_both(l, peer_id(l, peer), EX_ADDR_WORLD | EX_ADDR_ENDPOINT | EX_ADDR_HOST);
}

/* ---- all of it ---- */

static void count_rules(const struct ex_spec_rules *dir, size_t n_known, size_t *peers,
			size_t *infos)
{
	for (size_t i = 0; i < dir->n; i++) {
		const struct ex_egress *e = &dir->rules[i];

		*peers += 1;
		*infos += 1 + e->n_ports;
		for (size_t k = 0; k < e->n_ports; k++) {
			*peers += e->ports[k].n_named ? n_known : 0;
			*infos += e->ports[k].n_http;
		}
	}
}

static int alloc_rules(struct ex_lowering *l)
{
	struct ex_ruleset *rs = l->rs;
	size_t n_peers = 2, n_infos = 0; /* two: the DNS gate and the reserved prefixes */
	size_t unused = 0;

	for (size_t i = 0; i < l->set->specs.n; i++) {
		const struct ex_spec *spec = &l->set->specs.v[i];

		count_rules(ex_lower_direction(l, spec), l->known->n, &n_peers, &n_infos);
		/* the book has room for both */
		if (l->book == rs && l->in->inward)
			count_rules(&spec->ingress, 0, &unused, &n_infos);
	}
	if (n_infos > RULES_MAX || n_peers > RULES_MAX)
		return -E2BIG;
	rs->peers = ex_arena_alloc(&rs->arena, n_peers, sizeof(*rs->peers));
	l->n_peers_max = (uint32_t)n_peers;
	if (l->book == rs)
		rs->infos = ex_arena_alloc(&rs->arena, n_infos, sizeof(*rs->infos));
	return rs->peers && l->book->infos ? 0 : -ENOMEM;
}

/* Zero policies about egress would mean "everything": never by silence. */
static int check_selected(struct ex_lowering *l, size_t selected, size_t about_egress)
{
	struct ex_pos pos = { l->set->specs.n ? l->set->specs.v[0].pos.file : "policy", 0, 0 };

	if (about_egress)
		return 0;
	if (l->in->allow_unselected) {
		l->rs->unselected = true;
		return 0;
	}
	if (l->set->specs.n == 0)
		ex_diag_add(l->diags, pos, false, "write a CiliumNetworkPolicy",
			    "there is no policy");
	else if (selected == 0)
		ex_diag_add(l->diags, pos, false,
			    "give the labels of its endpointSelector: -l KEY=VALUE",
			    "no policy selects this workload by its labels");
	else
		ex_diag_add(l->diags, pos, false,
			    "add \"egress: [{}]\" to deny everything; a policy about ingress alone "
			    "is for a node: check it with --ingress",
			    "no policy for this workload says anything about egress");
	return -ENOENT;
}

/*
 * Default deny is in force when one enforcing policy asks for it; it is only recorded when all that
 * ask for it audit.
 */
static void choose_default(struct ex_lowering *l, size_t *selected, size_t *about)
{
	bool enforced = false, audited = false;

	for (size_t i = 0; i < l->set->specs.n; i++) {
		const struct ex_spec *spec = &l->set->specs.v[i];
		const struct ex_spec_rules *dir = ex_lower_direction(l, spec);

		if (!spec->chosen)
			continue;
		*selected += 1;
		*about += dir->about;
		enforced |= dir->default_deny && !spec->audit;
		audited |= dir->default_deny && spec->audit;
	}
	l->rs->default_allow = !enforced;
	l->rs->default_audit = !enforced && audited;
}

static int lower_specs(struct ex_lowering *l, size_t *selected, size_t *about)
{
	int r = alloc_rules(l);

	if (r < 0)
		return r;
	l->rs->repeer.able = l->in->repeers;
	choose_default(l, selected, about);
	for (size_t i = 0; r == 0 && i < l->set->specs.n; i++) {
		const struct ex_spec *spec = &l->set->specs.v[i];
		const struct ex_spec_rules *dir = ex_lower_direction(l, spec);

		if (!spec->chosen)
			continue;
		for (size_t k = 0; r == 0 && k < dir->n; k++) {
			/* what an auditing policy allows must not open an enforcing one */
			if (spec->audit && !dir->rules[k].deny && !l->rs->default_allow)
				continue;
			r = lower_rule(l, spec, &dir->rules[k]);
		}
	}
	return r;
}

static int finish(struct ex_lowering *l, int r)
{
	if (r == 0)
		r = mark_addresses(l);
	if (r == 0)
		r = ex_lower_names(l->rs);
	if (r == 0 && l->rs->arena.oom)
		r = -ENOMEM;
	return r;
}

int ex_lower_outward(struct ex_lowering *l)
{
	size_t selected = 0, about = 0;
	int r = check_chosen(l);

	if (r == 0)
		r = keep_chosen(l);
	if (r == 0)
		r = lower_specs(l, &selected, &about);
	if (r == 0)
		r = check_selected(l, selected, about);
	l->rs->deny_metadata = l->in->deny_metadata;
	if (r == 0)
		r = lower_dns_gate(l);
	if (r == 0)
		r = lower_reserved(l);
	return finish(l, r);
}

int ex_lower_inward(struct ex_lowering *l)
{
	size_t selected = 0, about = 0;
	int r = lower_specs(l, &selected, &about);
	bool served = l->rs->default_allow;

	/* open is what is served, never all: a ruleset of terms alone */
	l->rs->default_allow = l->rs->default_audit = false;
	l->rs->unselected = about == 0;
	if (r == 0 && served)
		r = lower_served(l);
	return finish(l, r);
}
