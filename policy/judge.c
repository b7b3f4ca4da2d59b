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
	for (size_t i = 0; i < rs->n_regexes; i++)
		ex_regex_free(rs->regexes[i]);
	free(rs->regexes);
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

static bool flow_has_peer(const struct ex_flow *flow, const struct ex_rpeer *peer)
{
	for (size_t i = 0; i < flow->n_names; i++) {
		if (ex_peer_has_name(peer, flow->names[i]))
			return true;
	}
	return false;
}

struct ex_decision ex_judge_l4(const struct ex_ruleset *rs, const struct ex_flow *flow)
{
	const struct ex_class *c = ex_ruleset_class(rs, &flow->dst);
	const struct ex_class *shell = ex_ruleset_shell(rs, &flow->dst);
	struct ex_merge m = { 0 };

	if (shell)
		ex_merge_class(&m, rs, shell, flow->proto, flow->port);
	if (m.verdict != EX_V_DENY)
		m = (struct ex_merge){ 0 };
	ex_merge_class(&m, rs, c, flow->proto, flow->port);
	for (size_t i = 0; !c->closed && i < rs->n_name_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[rs->name_peers[i]];

		if (flow_has_peer(flow, peer))
			ex_merge_peer(&m, rs, peer, flow->proto, flow->port);
	}
	if (m.verdict == EX_V_INVALID) {
		uint32_t miss = m.miss;

		m = ex_merge_default(rs, c->closed, flow->proto, flow->port);
		m.rule = m.verdict == EX_V_DENY ? miss : 0;
	}
	return (struct ex_decision){ m.verdict, m.reason, m.rule };
}

/* ---- DNS ---- */

/* May the workload ask any resolver of the world anything? Then asking ours is nothing more. */
static bool asks_anyone(const struct ex_ruleset *rs)
{
	const struct ex_dest_tree *trees[] = { &rs->tree4, &rs->tree6 };

	for (size_t i = 0; i < EX_ARRAY_SIZE(trees); i++) {
		const struct ex_class *c = &rs->classes[trees[i]->v[0].klass];
		struct ex_merge m = { 0 };

		ex_merge_class(&m, rs, c, IPPROTO_UDP, 53);
		if (m.verdict == EX_V_ALLOW || (m.verdict == EX_V_INVALID && rs->default_allow))
			return true;
	}
	return false;
}

static const struct ex_term *find_dns_term(const struct ex_ruleset *rs, struct ex_span name)
{
	for (size_t i = 0; i < rs->n_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[i];

		if (peer->n_terms && ex_peer_has_name(peer, name))
			return &peer->terms[0];
		for (size_t k = 0; k < peer->n_terms; k++) {
			const struct ex_ports *p = peer->terms[k].ports;

			if (!p || p->l7 != EX_L7_DNS || peer->terms[k].deny)
				continue;
			for (size_t j = 0; j < p->n_names; j++) {
				if (ex_name_match(&p->names[j], name))
					return &peer->terms[k];
			}
		}
	}
	return NULL;
}

struct ex_decision ex_judge_dns(const struct ex_ruleset *rs, struct ex_span name)
{
	const struct ex_term *t = find_dns_term(rs, name);

	if (t)
		return (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, t->rule };
	if (asks_anyone(rs))
		return (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, 0 };
	return (struct ex_decision){ EX_V_DENY, EX_R_DNS_NAME_DENIED, 0 };
}

static bool is_never_an_answer(const struct ex_ip *ip)
{
	static const struct ex_prefix never[] = {
		{ { { [10] = 0xff, [11] = 0xff } }, 104 },                         /* 0.0.0.0/8 */
		{ { { [10] = 0xff, [11] = 0xff, [12] = 127 } }, 104 },             /* 127.0.0.0/8 */
		{ { { [10] = 0xff, [11] = 0xff, [12] = 169, [13] = 254 } }, 112 }, /* link-local */
		{ { { [10] = 0xff, [11] = 0xff, [12] = 224 } }, 99 },              /* 224.0.0.0/3 */
		{ { { 0 } }, 128 },                                                /* :: */
		{ { { [15] = 1 } }, 128 },                                         /* ::1 */
		{ { { 0xfe, 0x80 } }, 10 },                                        /* link-local */
		{ { { 0xff } }, 8 },                                               /* multicast */
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(never); i++) {
		if (ex_prefix_has(&never[i], ip))
			return true;
	}
	return false;
}

/* The term that denies the class on every port. */
static const struct ex_term *find_full_deny(const struct ex_ruleset *rs, const struct ex_class *c)
{
	for (size_t i = 0; i < c->n_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[c->peers[i]];

		for (size_t k = 0; k < peer->n_terms; k++) {
			if (peer->terms[k].deny && !peer->terms[k].ports)
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

	if (is_never_an_answer(ip) || (ex_ip_embedded(ip, &hidden) && is_never_an_answer(&hidden)))
		return deny;
	if (c->host)
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

bool ex_ruleset_uses_dns(const struct ex_ruleset *rs)
{
	for (size_t i = 0; i < rs->n_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[i];

		if (peer->n_names)
			return true;
		for (size_t k = 0; k < peer->n_terms; k++) {
			const struct ex_ports *p = peer->terms[k].ports;

			if (p && p->l7 == EX_L7_DNS && p->n_names)
				return true;
		}
	}
	return false;
}
