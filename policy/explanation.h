/* SPDX-License-Identifier: Apache-2.0 */
/* What `exeat policy explain` found out about one request, and its two ways to say it. */
#ifndef EXEAT_POLICY_EXPLANATION_H
#define EXEAT_POLICY_EXPLANATION_H

#include <stdio.h>

#include "policy/explain.h"

struct ex_explanation {
	struct ex_ruleset *rs;
	struct ex_probe probe;
	struct ex_decision decision;
	enum ex_step step;
	struct ex_header_edits edits;
	struct ex_rule_status *rules; /* of every rule */
};

void ex_explanation_text(const struct ex_explanation *e, FILE *out);
void ex_explanation_json(const struct ex_explanation *e, FILE *out);

/* Shared by both: the smallest edit that would change the verdict, in lines; malloc'd. */
char *ex_explanation_edit(const struct ex_explanation *e);

/* Whether the decision's rule said so, rather than being the nearest of those that did not. */
bool ex_explanation_is_by_rule(const struct ex_explanation *e);

const char *ex_step_word(enum ex_step step);
const char *ex_header_op_word(enum ex_header_op op);

#endif
