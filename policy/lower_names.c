/* SPDX-License-Identifier: Apache-2.0 */
/* What of a ruleset is found by name: toFQDNs, rules.dns, and serverNames that may be asked for. */
#include "policy/lower.h"

#include <errno.h>

struct slots {
	struct ex_name_slot *v;
	size_t n, cap;
};

static int add_slot(struct slots *s, const struct ex_name_pattern *pattern, uint32_t peer,
		    uint32_t term)
{
	struct ex_name_slot *slot = EX_VEC_ADD(s);

	if (!slot)
		return -ENOMEM;
	*slot = (struct ex_name_slot){ pattern, peer, term };
	return 0;
}

struct collector {
	struct slots names, dns, sni;
	bool audited, enforced; /* some rules.dns are */
};

/*
 * serverNames without an address mean the addresses of these names. Not stars alone: any question
 * at all would carry what the workload knows to whoever answers it.
 */
static int collect_term(struct collector *c, const struct ex_term *t, uint32_t peer, uint32_t term)
{
	const struct ex_ports *p = t->ports;
	int r = 0;

	for (size_t i = 0; p && r == 0 && i < p->n_names; i++) {
		if (p->l7 == EX_L7_DNS)
			r = add_slot(&c->dns, &p->names[i], peer, term);
		else if (t->open && !ex_name_is_all_wild(&p->names[i]))
			r = add_slot(&c->sni, &p->names[i], peer, term);
	}
	return r;
}

static int collect_peer(struct collector *c, const struct ex_rpeer *peer, uint32_t id)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < peer->n_names; i++)
		r = add_slot(&c->names, &peer->names[i], id, 0);
	for (size_t k = 0; r == 0 && k < peer->n_terms; k++) {
		const struct ex_term *t = &peer->terms[k];

		if (t->ports && t->ports->l7 == EX_L7_DNS && t->ports->n_names)
			*(t->audit ? &c->audited : &c->enforced) = true;
		r = collect_term(c, t, id, (uint32_t)k);
	}
	return r;
}

static bool reads_requests(const struct ex_rpeer *peer)
{
	for (size_t k = 0; k < peer->n_terms; k++) {
		if (peer->terms[k].ports && peer->terms[k].ports->l7 == EX_L7_HTTP)
			return true;
	}
	return false;
}

static int list_peers(struct ex_ruleset *rs)
{
	uint32_t *names = ex_arena_alloc(&rs->arena, rs->n_peers, sizeof(*names));
	uint32_t *denies = ex_arena_alloc(&rs->arena, rs->n_peers, sizeof(*denies));
	uint32_t *http = ex_arena_alloc(&rs->arena, rs->n_peers, sizeof(*http));

	if (!names || !denies || !http)
		return -ENOMEM;
	for (uint32_t i = 0; i < rs->n_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[i];

		if (!peer->names && reads_requests(peer))
			http[rs->n_http_peers++] = i;
		if (!peer->names)
			continue;
		names[rs->n_name_peers++] = i;
		if (peer->n_terms && peer->terms[0].deny)
			denies[rs->n_name_denies++] = i;
	}
	rs->name_peers = names;
	rs->name_denies = denies;
	rs->http_peers = http;
	return 0;
}

int ex_lower_names(struct ex_ruleset *rs)
{
	struct collector c = { 0 };
	int r = list_peers(rs);

	for (uint32_t i = 0; r == 0 && i < rs->n_peers; i++)
		r = collect_peer(&c, &rs->peers[i], i);
	if (r == 0)
		r = ex_name_index_build(&rs->arena, c.names.v, c.names.n, &rs->name_index);
	if (r == 0)
		r = ex_name_index_build(&rs->arena, c.dns.v, c.dns.n, &rs->dns_index);
	if (r == 0)
		r = ex_name_index_build(&rs->arena, c.sni.v, c.sni.n, &rs->sni_index);
	rs->dns_rules = c.dns.n > 0;
	rs->dns_audit = c.audited && !c.enforced;
	rs->open_names = c.sni.n > 0;
	free(c.names.v);
	free(c.dns.v);
	free(c.sni.v);
	return r;
}
