/* SPDX-License-Identifier: Apache-2.0 */
/* Lifetime, the L4 judgement, and DNS. */
#include "policy/model.h"

#include <netinet/in.h>

struct ex_ruleset *ex_ruleset_ref(struct ex_ruleset *rs)
{
	if (rs)
		atomic_fetch_add_explicit(&rs->refs, 1, memory_order_relaxed);
	return rs;
}

struct ex_ruleset *ex_ruleset_unref(struct ex_ruleset *rs)
{
	if (!rs || atomic_fetch_sub_explicit(&rs->refs, 1, memory_order_acq_rel) != 1)
		return NULL;
	ex_ruleset_unref(rs->ingress);
	if (rs->repeer.rules) {
		rs->n_secrets = 0; /* they, and the regexes, are its */
		rs->secrets = NULL;
	}
	ex_regex_set_done(&rs->regexes);
	for (size_t i = 0; i < rs->n_secrets; i++) {
		char *value = (char *)(uintptr_t)rs->secrets[i].value.ptr;

		explicit_bzero(value, rs->secrets[i].value.len);
		free(value);
	}
	free(rs->secrets);
	ex_repeer_done(rs);
	ex_arena_done(&rs->arena);
	free(rs);
	return NULL;
}

const struct ex_rule_info *ex_ruleset_rule(const struct ex_ruleset *rs, uint32_t rule)
{
	return rule && rule <= rs->n_rules ? &rs->infos[rule - 1] : NULL;
}

uint32_t ex_ruleset_n_rules(const struct ex_ruleset *rs)
{
	return rs->n_rules;
}

bool ex_ruleset_rule_is_ingress(const struct ex_ruleset *rs, uint32_t rule)
{
	return rule > rs->n_egress_rules;
}

/* An allow that only audit mode gives carries the reason and the rule that would have denied. */
static struct ex_decision to_decision(const struct ex_merge *m)
{
	if (m->verdict != EX_V_DENY && m->would)
		return (struct ex_decision){ m->verdict, EX_R_POLICY_DENY, m->would };
	return (struct ex_decision){ m->verdict, m->reason, m->rule };
}

struct ex_decision ex_judge_l4(const struct ex_ruleset *rs, const struct ex_flow *flow)
{
	const struct ex_class *c = ex_ruleset_class(rs, &flow->dst);
	const struct ex_class *shell = ex_ruleset_shell(rs, &flow->dst);
	struct ex_merge m = { 0 };

	if (shell)
		ex_merge_class(&m, rs, shell, flow->proto, flow->port);
	if (m.verdict != EX_V_DENY)
		m = (struct ex_merge){ .would = m.would };
	ex_merge_class(&m, rs, c, flow->proto, flow->port);
	for (size_t i = 0; !c->closed && i < flow->n_names; i++) {
		const struct ex_name_slot *slot;
		struct ex_name_iter it;

		ex_name_find(&rs->name_index, flow->names[i], &it);
		while ((slot = ex_name_next(&it)))
			ex_merge_peer(&m, rs, &rs->peers[slot->peer], flow->proto, flow->port);
	}
	ex_merge_finish(&m, rs, c, flow->proto, flow->port);
	return to_decision(&m);
}

/* ---- DNS ---- */

/* May the workload ask any resolver of the world anything? Then asking ours is nothing more. */
static bool asks_anyone(const struct ex_ruleset *rs, struct ex_merge *ret)
{
	const struct ex_dest_tree *trees[] = { &rs->tree4, &rs->tree6 };

	for (size_t i = 0; i < EX_ARRAY_SIZE(trees); i++) {
		const struct ex_class *c = &rs->classes[trees[i]->v[0].klass];
		struct ex_merge m = { 0 };

		ex_merge_class(&m, rs, c, IPPROTO_UDP, 53);
		ex_merge_finish(&m, rs, c, IPPROTO_UDP, 53);
		if (m.verdict == EX_V_ALLOW) {
			*ret = m;
			return true;
		}
	}
	return false;
}

/* Of the terms whose patterns have the name the one of the first rule, or NULL. */
static const struct ex_term *find_named_term(const struct ex_ruleset *rs,
					     const struct ex_name_index *ix, struct ex_span name)
{
	const struct ex_term *first = NULL;
	const struct ex_name_slot *slot;
	struct ex_name_iter it;

	ex_name_find(ix, name, &it);
	while ((slot = ex_name_next(&it))) {
		const struct ex_term *t = &rs->peers[slot->peer].terms[slot->term];

		if (!first || t->rule < first->rule)
			first = t;
	}
	return first;
}

/* An enforcing deny before an auditing one, then the first rule. */
static bool is_rather(const struct ex_term *t, const struct ex_term *than)
{
	if (!than || t->audit != than->audit)
		return !than || than->audit;
	return t->rule < than->rule;
}

/*
 * The term that allows the question, and the one that denies it: on every port, since a name may
 * still be good for the others. serverNames without an address mean the addresses of these names,
 * so these may be asked for as well.
 */
static void find_dns_terms(const struct ex_ruleset *rs, struct ex_span name,
			   const struct ex_term **allow, const struct ex_term **deny)
{
	const struct ex_term *named = NULL;
	const struct ex_name_slot *slot;
	struct ex_name_iter it;

	*deny = NULL;
	ex_name_find(&rs->name_index, name, &it);
	while ((slot = ex_name_next(&it))) {
		const struct ex_rpeer *peer = &rs->peers[slot->peer];

		for (size_t k = 0; k < peer->n_terms; k++) {
			const struct ex_term *t = &peer->terms[k];

			if (!t->deny && (!named || t->rule < named->rule))
				named = t;
			if (t->deny && !t->ports && is_rather(t, *deny))
				*deny = t;
		}
	}
	*allow = find_named_term(rs, &rs->dns_index, name);
	if (!*allow)
		*allow = named;
	if (!*allow)
		*allow = find_named_term(rs, &rs->sni_index, name);
}

struct ex_decision ex_judge_dns(const struct ex_ruleset *rs, struct ex_span name)
{
	const struct ex_term *deny, *allow;
	struct ex_decision d = { EX_V_DENY, EX_R_DNS_NAME_DENIED, 0 };
	struct ex_merge any = { 0 };

	find_dns_terms(rs, name, &allow, &deny);
	if (rs->deny_metadata && ex_name_is_metadata(name)) {
		d.reason = EX_R_RESERVED_DENY;
		return d;
	}
	if (deny && !deny->audit)
		return (struct ex_decision){ EX_V_DENY, EX_R_POLICY_DENY, deny->rule };
	if (allow)
		d = (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, allow->rule };
	else if (asks_anyone(rs, &any))
		d = (struct ex_decision){ EX_V_ALLOW, any.reason, 0 };
	else if (rs->dns_audit)
		d.verdict = EX_V_ALLOW;
	if (deny && d.verdict == EX_V_ALLOW)
		d = (struct ex_decision){ EX_V_ALLOW, EX_R_POLICY_DENY, deny->rule };
	return d;
}

static uint8_t type_bit(uint16_t type)
{
	switch (type) {
	case 12:
		return EX_ASK_PTR;
	case 15:
		return EX_ASK_MX;
	case 16:
		return EX_ASK_TXT;
	case 33:
		return EX_ASK_SRV;
	}
	return 0;
}

struct ex_decision ex_judge_dns_type(const struct ex_ruleset *rs, struct ex_span name,
				     uint16_t type)
{
	struct ex_decision d = ex_judge_dns(rs, name);
	const struct ex_term *first = NULL;
	const struct ex_name_slot *slot;
	struct ex_name_iter it;

	if (d.verdict != EX_V_ALLOW)
		return d;
	ex_name_find(&rs->dns_index, name, &it);
	while ((slot = ex_name_next(&it))) {
		const struct ex_term *t = &rs->peers[slot->peer].terms[slot->term];

		if ((slot->pattern->types & type_bit(type)) && (!first || t->rule < first->rule))
			first = t;
	}
	if (!first)
		return (struct ex_decision){ EX_V_DENY, EX_R_DNS_TYPE_DENIED, d.rule };
	return (struct ex_decision){ EX_V_ALLOW, d.reason, first->rule };
}

/* No place for a name even where metadata is open; the others are ex_reserved_prefixes. */
static bool is_link_local(const struct ex_ip *ip)
{
	static const struct ex_prefix v4 = {
		{ { [10] = 0xff, [11] = 0xff, [12] = 169, [13] = 254 } }, 112
	};
	static const struct ex_prefix v6 = { { { 0xfe, 0x80 } }, 10 };

	return ex_prefix_has(&v4, ip) || ex_prefix_has(&v6, ip);
}

/* The term that denies the class on every port. */
static const struct ex_term *find_full_deny(const struct ex_ruleset *rs, const struct ex_class *c)
{
	for (size_t i = 0; i < c->n_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[c->peers[i]];

		for (size_t k = 0; k < peer->n_terms; k++) {
			if (peer->terms[k].deny && !peer->terms[k].ports && !peer->terms[k].audit)
				return &peer->terms[k];
		}
	}
	return NULL;
}

struct ex_decision ex_judge_answer(const struct ex_ruleset *rs, const struct ex_ip *ip)
{
	const struct ex_class *c = ex_ruleset_class(rs, ip), *shell = ex_ruleset_shell(rs, ip);
	struct ex_decision deny = { EX_V_DENY, EX_R_DNS_ANSWER_DENIED, 0 };
	const struct ex_term *t;
	struct ex_ip hidden;

	if (c->host || is_link_local(ip) || (ex_ip_embedded(ip, &hidden) && is_link_local(&hidden)))
		return deny;
	t = find_full_deny(rs, c);
	if (!t && shell)
		t = find_full_deny(rs, shell);
	if (t) {
		deny.rule = t->rule;
		return deny;
	}
	return (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, 0 };
}

bool ex_ruleset_is_unselected(const struct ex_ruleset *rs)
{
	return rs->unselected;
}

const struct ex_ruleset *ex_ruleset_ingress(const struct ex_ruleset *rs)
{
	return rs->ingress;
}

const struct ex_origin *ex_ruleset_origins(const struct ex_ruleset *rs)
{
	return rs->origins;
}

struct ex_chosen ex_ruleset_chosen(const struct ex_ruleset *rs)
{
	return (struct ex_chosen){ rs->chosen, rs->n_chosen };
}

const struct ex_secret *ex_ruleset_secret(const struct ex_ruleset *rs, size_t i)
{
	return i < rs->n_secrets ? &rs->secrets[i] : NULL;
}

bool ex_ruleset_uses_dns(const struct ex_ruleset *rs)
{
	return rs->n_name_peers || rs->dns_rules || rs->open_names;
}
