/* SPDX-License-Identifier: Apache-2.0 */
/* Example requests: for every tuple of a ruleset some that meet it, and some just outside of it. */
#ifndef EXEAT_POLICY_EXAMPLE_H
#define EXEAT_POLICY_EXAMPLE_H

#include "policy/explain.h"

void ex_examples(const struct ex_ruleset *rs, void (*fn)(void *arg, const struct ex_probe *p),
		 void *arg);

/* The request in the words of `explain --to`. */
const char *ex_example_text(const struct ex_probe *p, char *buf, size_t size);

/*
 * A text that the whole expression matches; false when none was found (not every expression has a
 * simple one). fallback: what to use when re is NULL.
 */
bool ex_example_of_regex(const char *pattern, const char *fallback, char *buf, size_t size);

#endif
