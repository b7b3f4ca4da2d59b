/* SPDX-License-Identifier: Apache-2.0 */
/* Example requests, for comparing what two rulesets make of them. */
#ifndef EXEAT_POLICY_EXAMPLE_H
#define EXEAT_POLICY_EXAMPLE_H

#include "policy/explain.h"

/*
 * Example requests: for every tuple of rs some that meet it, some just outside of it, and some that
 * no rule speaks of; in each part of the address space that rs or other, which is to be asked the
 * same, tells apart.
 */
void ex_examples(const struct ex_ruleset *rs, const struct ex_ruleset *other,
		 void (*fn)(void *arg, const struct ex_probe *p), void *arg);

/* The request in the words of `explain --to`, or "DNS NAME TYPE". */
const char *ex_example_text(const struct ex_probe *p, char *buf, size_t size);

/* Which text of those that an expression has. */
struct ex_variant {
	unsigned pick; /* of alternatives the one with this number, or the last */
	bool more;     /* what may be missing is there, and what may come again does */
};

/*
 * A text that the whole expression matches; false when none was found (not every expression has a
 * simple one). fallback: what to use when it is NULL. *most is raised to what other variants it
 * has.
 */
bool ex_example_of_regex(const char *pattern, const char *fallback, struct ex_variant want,
			 char *buf, size_t size, struct ex_variant *most);

#endif
