/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the policies of one text are for, without compiling them. A node with many policies and
 * endpoints compiles for each endpoint what concerns it, and for those that the same policies
 * select, once.
 */
#ifndef EXEAT_POLICY_SELECTS_H
#define EXEAT_POLICY_SELECTS_H

#include "policy/label.h"

struct ex_selects;
struct ex_spec;

/* Decodes all of it: 0; -EINVAL with an error in diags; -ENOMEM. Secrets are not looked for. */
EX_MUST_CHECK int ex_selects_read(const struct ex_text *text, struct ex_selects **ret,
				  struct ex_diags *diags);
void ex_selects_free(struct ex_selects *s);

/* How many specs it has (spec, or each of specs, of every object), and is the i-th for these? */
size_t ex_selects_count(const struct ex_selects *s);
bool ex_selects_match(const struct ex_selects *s, size_t i, const struct ex_label_set *labels);

/*
 * Blanks what is not wanted in text, a copy of what was read: each document, and each item of a
 * List, that has specs, none of which is (1 in wanted). What stays is where it was, line by line.
 */
void ex_selects_blank(const struct ex_selects *s, const uint8_t *wanted, char *text, size_t len);

/* Has it what policies of other texts may refer to (CiliumCIDRGroup)? */
bool ex_selects_is_shared(const struct ex_selects *s);

/* ---- for the compiler ---- */

struct ex_compile_input;
struct ex_policy_set;

/* The specs that the set gets from now on are chosen for the workload of in. 0 or -ENOMEM. */
EX_MUST_CHECK int ex_policy_choose_for(struct ex_policy_set *set,
				       const struct ex_compile_input *in);
/* Is the spec, which is about to be the last of the set, for that workload? */
bool ex_policy_chooses(const struct ex_policy_set *set, const struct ex_spec *spec);

#endif
