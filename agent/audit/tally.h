/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The most frequent denials, in fixed memory: when the table is full, a new one takes the place of
 * the rarest and inherits its count (the "space-saving" sketch), so what is frequent stays.
 */
#ifndef EXEAT_AGENT_AUDIT_TALLY_H
#define EXEAT_AGENT_AUDIT_TALLY_H

#include "agent/audit/audit.h"

#define EX_TALLY_SLOTS 64

struct ex_tally_slot {
	uint64_t count;
	enum ex_reason reason;
	char subject[256];
	char where[256];  /* policy and rule, "" when no rule was near */
	char remedy[512]; /* "" when there is none */
};

struct ex_tally {
	struct ex_tally_slot slots[EX_TALLY_SLOTS];
	size_t n;
};

void ex_tally_add(struct ex_tally *t, const struct ex_audit_record *rec,
		  const struct ex_rule_info *rule, uint64_t count);

/* Most frequent first. */
void ex_tally_sort(struct ex_tally *t);

#endif
