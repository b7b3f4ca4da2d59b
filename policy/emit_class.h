/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the emitter: the rule entries of one class. */
#ifndef EXEAT_POLICY_EMIT_CLASS_H
#define EXEAT_POLICY_EMIT_CLASS_H

#include "policy/emit.h"
#include "policy/model.h"

struct ex_rule_sink {
	EX_VEC(struct ex_rule_entry) rules;
	bool names; /* of a name class: what it does not say is left to the static class */
};

EX_MUST_CHECK int ex_emit_class(const struct ex_ruleset *rs, const struct ex_class *c,
				uint32_t klass, struct ex_rule_sink *out);

#endif
