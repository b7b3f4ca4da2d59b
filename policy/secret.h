/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule's secret {namespace, name} stands for. */
#ifndef EXEAT_POLICY_SECRET_H
#define EXEAT_POLICY_SECRET_H

#include "policy/arena.h"
#include "policy/compile.h"
#include "policy/ruleset.h"

#define EX_SECRET_MAX      4096 /* bytes of a value for a header */
#define EX_SECRET_ITEM_MAX (1024 * 1024)

struct ex_origin;
struct ex_secret_ref;

/*
 * Finds the value: in the list of in, else in files. DIR/NS/NAME holds the items, as Kubernetes
 * mounts a secret; for a ref without item exactly one, or is a file itself. One line feed at the
 * end is no part of a value for a header. 0; -ENOENT when there is none; -EINVAL with *why (our
 * words, none of the value's). The value is malloc'ed; it is empty for a key that is kept
 * elsewhere.
 */
EX_MUST_CHECK int ex_secret_find(const struct ex_compile_input *in, const struct ex_secret_ref *ref,
				 struct ex_span *ret, const char **why);

/* Is there such a folder at all? 0, or -EINVAL and why. */
EX_MUST_CHECK int ex_secrets_check(const char *dir, struct ex_diags *diags);

/* Is it the one that the ref names? */
bool ex_secret_is(const struct ex_secret *s, const struct ex_secret_ref *ref);

/*
 * What certificates and keys are, policy/ does not know: check() says what is wrong with these, or
 * NULL. Without one, no policy compiles that has originatingTLS, but by who is not given the keys:
 * for him they were checked.
 */
void ex_origin_use_checker(const char *(*check)(const struct ex_origin *o));
const char *ex_origin_check(const struct ex_origin *o);

#endif
