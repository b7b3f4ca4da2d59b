/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THE lookup, in the order that both gates obey:
 *   1. a reserved deny
 *   2. an egressDeny term
 *   3. an allow term without L7 part: the union makes any L7 list for the same tuple useless
 *   4. a steer term: DNS before sniffing, because the DNS listener understands less
 *   5. nothing
 * Of equals the first rule wins, in whatever order they are looked at, so that the same policy
 * names the same rule every time.
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

/* Of more names the index knows sooner. */
#define FEW_NAMES 8

bool ex_peer_names(const struct ex_ruleset *rs, const struct ex_rpeer *peer, struct ex_span name)
{
	const struct ex_name_slot *slot;
	struct ex_name_iter it;

	if (peer->n_names <= FEW_NAMES)
		return ex_peer_has_name(peer, name);
	ex_name_find(&rs->name_index, name, &it);
	while ((slot = ex_name_next(&it))) {
		if (&rs->peers[slot->peer] == peer)
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

/* A deny term, whose ports match. */
static struct ex_merge judge_deny(const struct ex_term *t, uint8_t proto)
{
	struct ex_merge m = { .verdict = EX_V_DENY, .rule = t->rule };

	m.reason = t->reserved ? EX_R_RESERVED_DENY : EX_R_POLICY_DENY;
	/* in TCP the proxy sees which name or request it is; elsewhere the address has to do */
	if (ex_term_denies_by_content(t) && proto == IPPROTO_TCP)
		m = (struct ex_merge){ .look = true };
	else if (t->ports && t->ports->l7 == EX_L7_HTTP)
		m = (struct ex_merge){ 0 };
	if (t->audit && m.verdict == EX_V_DENY)
		m = (struct ex_merge){ .would = t->rule };
	return m;
}

static struct ex_merge judge_allow(const struct ex_ruleset *rs, const struct ex_term *t,
				   uint8_t proto)
{
	enum ex_l7_kind l7 = t->ports ? t->ports->l7 : EX_L7_NONE;
	struct ex_merge m = { .verdict = EX_V_STEER, .reason = EX_R_ALLOWED, .rule = t->rule };

	switch (l7) {
	case EX_L7_NONE:
		/* TCP can be bound to the name (SNI, Host); the rest cannot. Where the default is
		 * to allow, the proxy has to see the name only if there is a list as well. */
		if (!t->fqdn || proto != IPPROTO_TCP) {
			m.verdict = EX_V_ALLOW;
			return m;
		}
		if (rs->default_allow)
			return (struct ex_merge){ .bare = t->rule };
		m.kind = EX_KIND_TCP;
		return m;
	case EX_L7_HTTP:
	case EX_L7_SNI:
		m.kind = EX_KIND_TCP;
		return m;
	case EX_L7_DNS:
		m.kind = EX_KIND_DNS;
		return m;
	}
	return (struct ex_merge){ .verdict = EX_V_DENY, .reason = EX_R_INTERNAL, .rule = t->rule };
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

void ex_merge_term(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_term *t,
		   uint8_t proto)
{
	struct ex_merge one = t->deny ? judge_deny(t, proto) : judge_allow(rs, t, proto);

	m->look |= one.look;
	if (one.would && (!m->would || one.would < m->would))
		m->would = one.would;
	if (one.bare && (!m->bare || one.bare < m->bare))
		m->bare = one.bare;
	if (rank(&one) < rank(m) || (rank(&one) == rank(m) && one.rule >= m->rule))
		return;
	m->verdict = one.verdict;
	m->kind = one.kind;
	m->reason = one.reason;
	m->rule = one.rule;
}

void ex_merge_peer(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_rpeer *peer,
		   uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < peer->n_terms; i++) {
		const struct ex_term *t = &peer->terms[i];

		if (ex_ports_has(t->ports, proto, port))
			ex_merge_term(m, rs, t, proto);
		else if (!t->deny && !m->miss)
			m->miss = t->rule;
	}
}

void ex_merge_class(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_class *c,
		    uint8_t proto, uint16_t port)
{
	struct ex_term_iter it;
	const struct ex_term *t;

	ex_class_find(c, proto, port, &it);
	while ((t = ex_class_next(rs, &it)))
		ex_merge_term(m, rs, t, proto);
	/* It says something only where no allow matched: then the first one is the first that
	 * missed. */
	if (!m->miss)
		m->miss = ex_class_first_allow(rs, c);
}

/*
 * Where the proxy would have to look for some toFQDNs rule with an L7 part, if the address is of
 * its names: what other names' rules say does not matter.
 */
static struct ex_merge find_named_steer(const struct ex_ruleset *rs, uint8_t proto, uint16_t port)
{
	struct ex_merge m = { 0 };

	for (size_t i = 0; i < rs->n_name_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[rs->name_peers[i]];

		for (size_t k = 0; k < peer->n_terms; k++) {
			const struct ex_term *t = &peer->terms[k];

			if (!t->deny && t->ports && t->ports->l7 != EX_L7_NONE &&
			    ex_ports_has(t->ports, proto, port))
				ex_merge_term(&m, rs, t, proto);
		}
	}
	return m;
}

/*
 * What holds where no term matches. With default allow a flow still goes to the proxy when some
 * toFQDNs rule with an L7 part has its port: only there is it known whether that rule is meant.
 */
static void merge_default(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_class *c,
			  uint8_t proto, uint16_t port)
{
	struct ex_merge named;

	m->verdict = EX_V_DENY;
	m->reason = EX_R_DEFAULT_DENY;
	m->rule = m->miss;
	if (!rs->default_allow || c->host)
		return;
	m->verdict = EX_V_ALLOW;
	m->reason = rs->default_audit && !m->bare ? EX_R_DEFAULT_DENY : EX_R_ALLOWED;
	m->rule = m->bare;
	if (c->closed)
		return;
	named = find_named_steer(rs, proto, port);
	if (named.verdict == EX_V_STEER) {
		m->verdict = EX_V_STEER;
		m->kind = named.kind;
	}
}

/* A deny by name is about every address of the world: a server name can be sent to any of them. */
static bool has_name_deny(const struct ex_ruleset *rs, uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < rs->n_name_denies; i++) {
		const struct ex_rpeer *peer = &rs->peers[rs->name_denies[i]];

		for (size_t k = 0; k < peer->n_terms; k++) {
			if (ex_ports_has(peer->terms[k].ports, proto, port))
				return true;
		}
	}
	return false;
}

void ex_merge_finish(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_class *c,
		     uint8_t proto, uint16_t port)
{
	if (m->verdict == EX_V_INVALID)
		merge_default(m, rs, c, proto, port);
	if (m->verdict != EX_V_ALLOW || proto != IPPROTO_TCP)
		return;
	if (m->look || (!c->closed && has_name_deny(rs, proto, port))) {
		m->verdict = EX_V_STEER;
		m->kind = EX_KIND_TCP;
	}
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
