/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host name patterns: those of toFQDNs and rules.dns, and the slightly different ones of
 * serverNames. Names that are matched are canonical (lower case, no trailing dot); "" is the root.
 */
#ifndef EXEAT_POLICY_NAME_H
#define EXEAT_POLICY_NAME_H

#include "policy/arena.h"

#define EX_NAME_PATTERN_MAX 255

enum ex_name_kind {
	EX_NAME_NONE = 0, /* zeroed: matches nothing */
	EX_NAME_EXACT,
	EX_NAME_ANY,  /* every name, the root included */
	EX_NAME_GLOB, /* label by label; '*' = zero or more of [-a-zA-Z0-9_] */
	EX_NAME_TAIL, /* one or more labels, then the glob */
	EX_NAME_SNI,  /* as GLOB, and a label "**" = one or more labels, wherever it stands */
};

struct ex_name_pattern {
	enum ex_name_kind kind;
	const char *text; /* canonical; of EX_NAME_TAIL without the leading stars and dot */
	size_t len;
	const char *written; /* as in the policy */
	uint8_t types;       /* of rules.dns: EX_ASK_* */
};

/* What may be asked for of a name besides its addresses. */
enum {
	EX_ASK_TXT = 1u << 0,
	EX_ASK_SRV = 1u << 1,
	EX_ASK_MX = 1u << 2,
	EX_ASK_PTR = 1u << 3,
};

/* NULL when the pattern was taken, else what is wrong with it. Memory from arena. */
const char *ex_name_pattern_parse(const char *text, size_t len, bool wildcard,
				  struct ex_arena *arena, struct ex_name_pattern *ret);
const char *ex_sni_pattern_parse(const char *text, size_t len, struct ex_arena *arena,
				 struct ex_name_pattern *ret);

/* Stars alone, which name nothing in particular. */
bool ex_name_is_all_wild(const struct ex_name_pattern *p);

bool ex_name_match(const struct ex_name_pattern *p, struct ex_span name);

#endif
