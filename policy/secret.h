/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule's secret {namespace, name} stands for. */
#ifndef EXEAT_POLICY_SECRET_H
#define EXEAT_POLICY_SECRET_H

#include "policy/arena.h"
#include "policy/compile.h"
#include "policy/ruleset.h"

#define EX_SECRET_MAX 4096 /* bytes of one value */

/*
 * Finds the value: in the list of in, else in DIR/NS/NAME, which holds exactly one file, as
 * Kubernetes mounts a secret, or is one. One line feed at the end is no part of it. 0; -ENOENT when
 * there is none; -EINVAL with *why (our words, none of the value's). The value is malloc'ed.
 */
EX_MUST_CHECK int ex_secret_find(const struct ex_compile_input *in, const char *ns,
				 const char *name, struct ex_span *ret, const char **why);

#endif
