/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses to ask about: one for each part of the address space that rules tell apart. */
#ifndef EXEAT_POLICY_PLACE_H
#define EXEAT_POLICY_PLACE_H

#include "policy/model.h"

struct ex_place {
	struct ex_ip ip;
	const struct ex_class *c; /* of rs */
	uint64_t classes;         /* of both rulesets */
};

/*
 * An address of everything that rs tells apart, and of what other makes several things of: *ret is
 * the caller's to free. 0 or -ENOMEM.
 */
EX_MUST_CHECK int ex_places(const struct ex_ruleset *rs, const struct ex_ruleset *other,
			    struct ex_place **ret, size_t *ret_n);

/* Of the world, and in no prefix that rs or other names, if there is such an address. */
struct ex_ip ex_place_of_world(const struct ex_ruleset *rs, const struct ex_ruleset *other,
			       bool four);

#endif
