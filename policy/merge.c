/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THE lookup, in the order that both gates obey:
 *   1. a reserved deny
 *   2. an egressDeny term
 *   3. an allow term without L7 part: the union makes any L7 list for the same tuple useless
 *   4. a steer term: DNS before sniffing, because the DNS listener understands less
 *   5. nothing
 * Of equals the first rule wins, so that the same policy names the same rule every time.
 */
#include "policy/model.h"

#include <netinet/in.h>

bool ex_ports_has(const struct ex_ports *p, uint8_t proto, uint16_t port)
{
	if (!p)
		return true;
	for (size_t i = 0; i < p->n; i++) {
		const struct ex_portset *s = &p->v[i];

		if (s->any_proto || (s->proto == proto && s->lo <= port && port <= s->hi))
			return true;
	}
	return false;
}

bool ex_peer_has_name(const struct ex_rpeer *peer, struct ex_span name)
{
	for (size_t i = 0; i < peer->n_names; i++) {
		if (ex_name_match(&peer->names[i], name))
			return true;
	}
	return false;
}

static struct ex_merge judge_term(const struct ex_ruleset *rs, const struct ex_term *t,
				  uint8_t proto)
{
	enum ex_l7_kind l7 = t->ports ? t->ports->l7 : EX_L7_NONE;
	struct ex_merge m = { .verdict = EX_V_DENY, .rule = t->rule };

	if (t->deny) {
		m.reason = t->reserved ? EX_R_RESERVED_DENY : EX_R_POLICY_DENY;
		return m;
	}
	m.reason = EX_R_ALLOWED;
	switch (l7) {
	case EX_L7_NONE:
		/* TCP can be bound to the name (SNI, Host); the rest cannot, nor what is open
		 * anyway */
		m.verdict = t->fqdn && proto == IPPROTO_TCP && !rs->default_allow ? EX_V_STEER
										  : EX_V_ALLOW;
		m.kind = m.verdict == EX_V_STEER ? EX_KIND_TCP : EX_KIND_NONE;
		return m;
	case EX_L7_HTTP:
	case EX_L7_SNI:
		m.verdict = EX_V_STEER;
		m.kind = EX_KIND_TCP;
		return m;
	case EX_L7_DNS:
		m.verdict = EX_V_STEER;
		m.kind = EX_KIND_DNS;
		return m;
	}
	m.reason = EX_R_INTERNAL;
	return m;
}

static int rank(const struct ex_merge *m)
{
	switch (m->verdict) {
	case EX_V_INVALID:
		return 0;
	case EX_V_STEER:
		return m->kind == EX_KIND_DNS ? 2 : 1;
	case EX_V_ALLOW:
		return 3;
	case EX_V_DENY:
		return m->reason == EX_R_RESERVED_DENY ? 5 : 4;
	}
	return 6;
}

void ex_merge_peer(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_rpeer *peer,
		   uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < peer->n_terms; i++) {
		const struct ex_term *t = &peer->terms[i];
		uint32_t miss = m->miss;
		struct ex_merge one;

		if (!ex_ports_has(t->ports, proto, port)) {
			if (!t->deny && !m->miss)
				m->miss = t->rule;
			continue;
		}
		one = judge_term(rs, t, proto);
		if (rank(&one) > rank(m)) {
			*m = one;
			m->miss = miss;
		}
	}
}

void ex_merge_class(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_class *c,
		    uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < c->n_peers; i++)
		ex_merge_peer(m, rs, &rs->peers[c->peers[i]], proto, port);
}

struct ex_merge ex_merge_default(const struct ex_ruleset *rs, bool closed, uint8_t proto,
				 uint16_t port)
{
	struct ex_merge m = { .verdict = EX_V_DENY, .reason = EX_R_DEFAULT_DENY };
	struct ex_merge named = { 0 };

	if (!rs->default_allow || closed)
		return m;
	for (size_t i = 0; i < rs->n_name_peers; i++)
		ex_merge_peer(&named, rs, &rs->peers[rs->name_peers[i]], proto, port);
	m = (struct ex_merge){ .verdict = EX_V_ALLOW, .reason = EX_R_ALLOWED };
	if (named.verdict == EX_V_STEER) {
		m.verdict = EX_V_STEER;
		m.kind = named.kind;
	}
	return m;
}

static const struct ex_class *find_class(const struct ex_ruleset *rs,
					 const struct ex_dest_tree *tree, const struct ex_ip *ip)
{
	struct ex_prefix want = { *ip, 128 };
	size_t lo = 0, hi = tree->n; /* [lo-1] <= want < [hi] */
	uint32_t i;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ex_prefix_cmp(&tree->v[mid].prefix, &want) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* The last one not after want is inside every prefix that covers want. */
	for (i = (uint32_t)lo - 1; lo && i != EX_NO_NODE; i = tree->v[i].up) {
		if (ex_prefix_has(&tree->v[i].prefix, ip))
			return &rs->classes[tree->v[i].klass];
	}
	return &rs->classes[0];
}

const struct ex_class *ex_ruleset_class(const struct ex_ruleset *rs, const struct ex_ip *ip)
{
	struct ex_ip hidden;

	if (ex_ip_is4(ip))
		return find_class(rs, &rs->tree4, ip);
	if (ex_ip_embedded(ip, &hidden))
		return find_class(rs, &rs->tree4, &hidden);
	return find_class(rs, &rs->tree6, ip);
}

const struct ex_class *ex_ruleset_shell(const struct ex_ruleset *rs, const struct ex_ip *ip)
{
	struct ex_ip hidden;

	return ex_ip_embedded(ip, &hidden) ? find_class(rs, &rs->tree6, ip) : NULL;
}
