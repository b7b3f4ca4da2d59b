/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the compiler: typed policies to peers, terms and marks. */
#ifndef EXEAT_POLICY_LOWER_H
#define EXEAT_POLICY_LOWER_H

#include "policy/endpoints.h"
#include "policy/model.h"

struct ex_lowering {
	const struct ex_compile_input *in;
	struct ex_ruleset *rs;
	struct ex_diags *diags;
	const struct ex_known_endpoints *known;
	struct ex_marks *marks;
	const struct ex_policy_set *set;
	bool inward;             /* ingress: the addresses are those of who comes */
	struct ex_ruleset *book; /* its rules are numbered and described there; may be rs */
	uint32_t n_peers_max;    /* room in rs->peers */
};

/* lower_peer.c: the marks of one peer. */
EX_MUST_CHECK int ex_lower_peer(struct ex_lowering *l, const struct ex_spec *spec,
				const struct ex_egress *e, uint32_t peer);
/* Does the peer, of a rule of this policy, select the endpoint by what it is? */
bool ex_lower_selects(const struct ex_spec *spec, const struct ex_peer *p,
		      const struct ex_known_endpoint *ep);
/*
 * Does the rule name no address? Anyone may claim a name in a ClientHello or a Host field: a rule
 * that lets it go anywhere has to mean an address that the name was resolved to.
 */
bool ex_egress_is_open(const struct ex_egress *e);
EX_MUST_CHECK int ex_mark_ip(struct ex_lowering *l, const struct ex_ip *ip, uint32_t peer,
			     unsigned kinds);
/* An address of an endpoint, and that the peer selects it. */
EX_MUST_CHECK int ex_mark_known(struct ex_lowering *l, const struct ex_ip *ip, uint32_t peer);
/* What ex_lower_peer() makes of the endpoints, for a rule that looked at them before. */
EX_MUST_CHECK int ex_lower_look(struct ex_lowering *l, const struct ex_look *look);
/* What every known address is. */
EX_MUST_CHECK int ex_mark_all_known(struct ex_lowering *l);
EX_MUST_CHECK int ex_mark_both(struct ex_lowering *l, uint32_t peer, unsigned kinds);

/* lower_names.c: the indexes of names, from peers and terms. */
EX_MUST_CHECK int ex_lower_names(struct ex_ruleset *rs);

/*
 * Fills rs (infos, peers, terms) from the specs that select the workload, and marks. 0, -ENOMEM, or
 * -ENOENT with an error in diags when no policy selects the workload.
 */
EX_MUST_CHECK int ex_lower_outward(struct ex_lowering *l);
/* The same of ingress, into a ruleset of its own, after ex_lower_outward() into l->book. */
EX_MUST_CHECK int ex_lower_inward(struct ex_lowering *l);

static inline const struct ex_spec_rules *ex_lower_direction(const struct ex_lowering *l,
							     const struct ex_spec *spec)
{
	return l->inward ? &spec->ingress : &spec->egress;
}

/* ex_compile() from memory; one of each; names in diags are policy.yaml and endpoints.yaml. For
 * tests. */
EX_MUST_CHECK int ex_compile_text(const char *policy, size_t len, const char *endpoints,
				  size_t endpoints_len, const struct ex_compile_input *in,
				  struct ex_ruleset **ret, struct ex_diags *diags);

#endif
