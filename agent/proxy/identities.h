/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As whom the servers of requests are spoken with (originatingTLS): what the rules of a policy say,
 * as numbers of agent/tls/identity.h. The private keys are the parent's; what a handshake needs of
 * them is asked for.
 */
#ifndef EXEAT_AGENT_PROXY_IDENTITIES_H
#define EXEAT_AGENT_PROXY_IDENTITIES_H

#include "policy/ruleset.h"

struct ex_tls;

struct ex_identities {
	uint32_t *v; /* by the index of an origin */
	size_t n;
};

/* 0 or negative errno, also when a certificate cannot be read: then the policy is not followed. */
EX_MUST_CHECK int ex_identities_new(struct ex_tls *tls, const struct ex_ruleset *rs,
				    struct ex_identities *ret);

/* A policy that does not come into force after all: also after a new() that failed. */
void ex_identities_drop(struct ex_tls *tls, struct ex_identities *ids,
			const struct ex_identities *in_force);

/* They are those in force; what *old has besides is nobody any more. *old is emptied. */
void ex_identities_swap(struct ex_tls *tls, struct ex_identities *old, struct ex_identities *with);

/* edits: of a judgement by the ruleset of ids. 0: as nobody. */
static inline uint32_t ex_identity_of(const struct ex_identities *ids,
				      const struct ex_header_edits *edits)
{
	return edits->origin ? ids->v[edits->origin->index] : 0;
}

#endif
