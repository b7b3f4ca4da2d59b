/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is legal but surely not meant. A warning never changes what a policy does; `check --strict`
 * makes it an error. All of it goes into l->diags, after classification.
 */
#ifndef EXEAT_POLICY_LINT_H
#define EXEAT_POLICY_LINT_H

#include "policy/lower.h"

/* Everything: what is below is a part of it. */
void ex_lint(struct ex_lowering *l);

/* lint_http.c: the requests of one entry of toPorts */
void ex_lint_http(struct ex_lowering *l, const struct ex_egress *e, const struct ex_ports *p);
/* lint_overlap.c: rules that make one another useless */
void ex_lint_overlaps(struct ex_lowering *l);

void ex_lint_warn(struct ex_lowering *l, struct ex_pos pos, const char *remedy, const char *fmt,
		  ...) EX_PRINTF(4, 5);

#endif
