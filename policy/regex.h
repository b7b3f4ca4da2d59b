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

/*
 * True when the pattern is a literal, or a literal and then ".*" (*ret_prefix): what it matches is,
 * or begins with, the text. Owned by re.
 */
bool ex_regex_literal(const struct ex_regex *re, const char **ret_text, size_t *ret_len,
		      bool *ret_prefix);

/* Roughly the bytes it takes, whatever it is asked. */
size_t ex_regex_size(const struct ex_regex *re);

/* Without the fast path: for the test that compares the two. */
bool ex_regex_match_slow(const struct ex_regex *re, const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif
