/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the policy says about a packet: the class of the address, then the rule of the class. See
 * the head of exeat/abi.h for why one lookup in each table is the whole answer.
 */
#ifndef EXEAT_DATAPATH_POLICY_H
#define EXEAT_DATAPATH_POLICY_H

#include "maps.bpf.h"

/* An explicit deny, as against "no rule allows it". */
INLINE bool judgement_denies(const struct judgement *j)
{
	return j->verdict == EX_V_DENY && j->reason != EX_R_DEFAULT_DENY;
}

/* Explicit deny, then allow, then steer, then default deny. */
INLINE int judgement_weight(const struct judgement *j)
{
	if (j->verdict == EX_V_ALLOW)
		return 2;
	if (j->verdict == EX_V_STEER)
		return 1;
	return judgement_denies(j) ? 3 : 0;
}

/* Both allow, and `other` only because audit mode holds back a rule that denies. */
INLINE bool judgement_audits(const struct judgement *to, const struct judgement *other)
{
	return to->verdict == EX_V_ALLOW && other->verdict == EX_V_ALLOW &&
	       to->reason != EX_R_POLICY_DENY && other->reason == EX_R_POLICY_DENY;
}

INLINE struct judgement judge_class(__u32 klass, __u8 proto, __u16 port)
{
	struct judgement j = { .verdict = EX_V_DENY, .reason = EX_R_DEFAULT_DENY };
	struct ex_rule_key key = {
		.prefixlen = 64,
		.klass = bpf_htonl(klass),
		.proto = bpf_htons(proto),
		.port = bpf_htons(port),
	};
	const struct ex_counted_rule *found;
	const struct ex_rule *rule;

	if (!klass)
		return j;
	found = bpf_map_lookup_elem(&ex_rules, &key);
	if (!found)
		return j;
	rule = &found->rule;
	j.rule = rule->rule;
	j.counter = found->counter;
	switch (rule->verdict) {
	case EX_V_ALLOW:
		j.verdict = EX_V_ALLOW;
		j.reason = rule->reason ? rule->reason : EX_R_ALLOWED;
		break;
	case EX_V_STEER:
		j.verdict = EX_V_STEER;
		j.kind = rule->kind;
		j.reason = EX_R_ALLOWED;
		break;
	case EX_V_DENY:
		j.reason = rule->reason;
		if (j.reason != EX_R_UNSPEC && j.reason != EX_R_ALLOWED)
			break;
		/* fallthrough */
	default: /* a torn or zeroed entry */
		j.reason = EX_R_INTERNAL;
	}
	return j;
}

INLINE struct judgement judge_prefix(const struct pkt *p, const union addr *ip, __u16 port)
{
	__u32 klass = dest_class(bpf_be64_to_cpu(ip->q[0]), bpf_be64_to_cpu(ip->q[1]), p->dests);

	return judge_class(klass, p->proto, port);
}

/*
 * The class of a name of the address, 0 when there is none. The kernel gives an entry that is
 * replaced or taken out to another name at once, also while it is read here. User space counts
 * before it gives one away: what was read holds when nothing was counted meanwhile. False: ask
 * again.
 */
INLINE bool name_class(const struct pkt *p, const union addr *ip, __u32 *ret)
{
	const struct ex_name_key key = { .policy = p->policy, .ip = ip->ip };
	__u32 zero = 0, turn;
	const volatile struct ex_state *state = bpf_map_lookup_elem(&ex_state, &zero);
	const volatile struct ex_name *name;

	if (!state)
		return false;
	turn = state->turn;
	read_fence();
	name = bpf_map_lookup_elem(&ex_names, &key);
	*ret = name && p->now < name->expires ? name->klass : 0;
	read_fence();
	return turn == state->turn;
}

/* Names are given away thousands of times a second, and read in nanoseconds. */
#define NAME_TRIES 4

INLINE struct judgement judge_name(const struct pkt *p, const union addr *ip, __u16 port)
{
	__u32 klass = 0;
	int i;

	for (i = 0; i < NAME_TRIES; i++)
		if (name_class(p, ip, &klass))
			return judge_class(klass, p->proto, port);
	return (struct judgement){ .verdict = EX_V_DENY, .reason = EX_R_INTERNAL };
}

INLINE void judgement_merge(struct judgement *to, struct judgement other)
{
	int weight = judgement_weight(to), more = judgement_weight(&other);

	if (more > weight || (more == weight && !to->rule) || judgement_audits(to, &other))
		*to = other;
}

/* Where nothing is forwarded, the proxy carries what is allowed; it can carry TCP and UDP. */
INLINE struct judgement judgement_carry(const struct pkt *p, struct judgement j)
{
	if (j.verdict != EX_V_ALLOW || !(p->flags & EX_EP_CARRY) || p->inward)
		return j;
	j.verdict = EX_V_STEER;
	j.reason = EX_R_ALLOWED; /* what audit mode holds back the proxy finds out by itself */
	j.kind = p->proto == IPPROTO_TCP   ? EX_KIND_TCP
		 : p->proto == IPPROTO_UDP ? EX_KIND_UDP
					   : EX_KIND_NONE;
	return j;
}

/* To the policy of what comes to the workload. */
INLINE void policy_turn(struct pkt *p)
{
	p->policy = p->ingress;
	p->dests = p->ingress_dests;
}

/*
 * Judges p->judged (the IPv4 address when one is embedded), with the names known for the address as
 * it was used; an explicit deny of the IPv6 form of an embedded address denies as well. The answer
 * is in p->rule.
 */
SUBPROG enum ex_reason policy_judge(struct pkt *p, __u16 port)
{
	struct judgement j, other;

	if (!p)
		return EX_R_INTERNAL;
	j = judge_prefix(p, &p->judged, port);
	if (!judgement_denies(&j)) /* nothing outweighs that */
		judgement_merge(&j, judge_name(p, pkt_remote(p), port));
	if (p->embeds) {
		other = judge_prefix(p, pkt_remote(p), port);
		if (judgement_denies(&other) || judgement_audits(&j, &other))
			judgement_merge(&j, other);
	}
	p->rule = judgement_carry(p, j);
	return p->rule.reason;
}

#endif
