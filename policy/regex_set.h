/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The regular expressions of a policy, each compiled once however many rules have it, and bounded
 * together: some bytes of text make hundreds of KiB of program.
 */
#ifndef EXEAT_POLICY_REGEX_SET_H
#define EXEAT_POLICY_REGEX_SET_H

#include "policy/arena.h"
#include "policy/regex.h"

struct ex_regex_entry {
	struct ex_regex *re;
	const char *text;
	size_t len;
	uint32_t next; /* index + 1 */
};

struct ex_regex_set {
	EX_VEC(struct ex_regex_entry) entries;
	uint32_t *buckets;
	size_t n_buckets; /* 0, or a power of two */
	size_t size;      /* of all programs */
};

/*
 * 0 and the expression, which the set owns; -EINVAL with the reason in err; -E2BIG when all of them
 * are too large together; -ENOMEM. The set keeps a copy of the text in arena.
 */
EX_MUST_CHECK int ex_regex_set_get(struct ex_regex_set *set, struct ex_arena *arena,
				   const char *text, size_t len, const struct ex_regex **ret,
				   char *err, size_t err_size);
void ex_regex_set_done(struct ex_regex_set *set);

#endif
