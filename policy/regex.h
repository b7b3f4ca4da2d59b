/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string pattern that must match the whole input: RE2 syntax, linear time, compiled once. The
 * only interface to RE2. Patterns without metacharacters and "literal.*" never reach RE2 at run
 * time; they give the same answer (tests/unit/test_policy_regex.c compares them).
 */
#ifndef EXEAT_POLICY_REGEX_H
#define EXEAT_POLICY_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EX_REGEX_LEN_MAX 4096

struct ex_regex;

/*
 * 0; -EINVAL with the reason in err (always terminated); -ENOMEM. The pattern's memory for matching
 * is bounded; a pattern whose program would be larger is -EINVAL.
 */
int ex_regex_new(const char *pattern, size_t len, struct ex_regex **ret, char *err,
		 size_t err_size);
void ex_regex_free(struct ex_regex *re); /* accepts NULL */
bool ex_regex_match(const struct ex_regex *re, const char *text, size_t len);

/* Without the fast path: for the test that compares the two. */
bool ex_regex_match_slow(const struct ex_regex *re, const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif
