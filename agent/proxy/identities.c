/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/identities.h"

#include <errno.h>

#include "agent/tls/identity.h"

static int add(struct ex_tls *tls, const struct ex_origin *o, struct ex_identities *ids)
{
	int number = ex_tls_identity_add(tls, o->chain, o->roots);

	if (number == 0 || o->index >= ids->n)
		return -EBADMSG;
	if (number > 0)
		ids->v[o->index] = (uint32_t)number;
	return number < 0 ? number : 0;
}

int ex_identities_new(struct ex_tls *tls, const struct ex_ruleset *rs, struct ex_identities *ret)
{
	const struct ex_origin *first = ex_ruleset_origins(rs);
	struct ex_identities ids = { .n = first ? first->index + 1 : 0 };
	int r = 0;

	ids.v = calloc(ids.n + 1, sizeof(*ids.v));
	if (!ids.v)
		return -ENOMEM;
	for (const struct ex_origin *o = first; o && r == 0; o = o->next)
		r = add(tls, o, &ids);
	if (r < 0) {
		free(ids.v);
		return r;
	}
	*ret = ids;
	return 0;
}

void ex_identities_drop(struct ex_tls *tls, struct ex_identities *ids,
			const struct ex_identities *in_force)
{
	free(ids->v);
	*ids = (struct ex_identities){ 0 };
	ex_tls_identities_keep(tls, in_force->v, in_force->n);
}

void ex_identities_swap(struct ex_tls *tls, struct ex_identities *old, struct ex_identities *with)
{
	free(old->v);
	*old = *with;
	*with = (struct ex_identities){ 0 };
	ex_tls_identities_keep(tls, old->v, old->n);
}
