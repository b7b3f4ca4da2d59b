/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths that were seen, made into the patterns of rules. What names one thing of many (numbers,
 * UUIDs, long hexadecimal or random words) becomes a class; a segment that took many values, the
 * rest being the same, becomes any segment. Everything else stays as it was: a rule that is too
 * narrow is seen at once, one that is too wide is not.
 */
#ifndef EXEAT_AGENT_LEARN_PATH_H
#define EXEAT_AGENT_LEARN_PATH_H

#include "exeat/util.h"

#define EX_LEARN_PATTERN_MAX 4096

/* In a template a segment is a literal, or one of these bytes alone. */
enum ex_learn_class {
	EX_LEARN_NUMBER = 1,
	EX_LEARN_UUID = 2,
	EX_LEARN_HEX = 3,
	EX_LEARN_WORD = 4,
	EX_LEARN_ANY = 5,
};

struct ex_learn_path { /* one method and template */
	char *method;
	char *path;    /* template, without its query; owned */
	char *example; /* as first seen, with its query */
	char *first;   /* time */
	uint64_t count;
	bool bare, query; /* seen without a query, with one */
	bool cut;         /* longer than a record holds */
};

struct ex_learn_paths {
	struct ex_learn_path *v;
	size_t n;
	bool closed; /* by whoever counts them: nothing new is taken */
	bool full;   /* more than are kept: what came later is not there */
};

/* 0 or -ENOMEM. -EINVAL: no such method or path can stand in a policy. */
EX_MUST_CHECK int ex_learn_paths_add(struct ex_learn_paths *p, const char *method, const char *path,
				     const char *time);

/* Merges what differs in one segment only, and sorts by first time. */
EX_MUST_CHECK int ex_learn_paths_merge(struct ex_learn_paths *p);
void ex_learn_paths_done(struct ex_learn_paths *p);

/* The regular expression that rules.http[].path wants. */
void ex_learn_pattern(const struct ex_learn_path *path, char out[static EX_LEARN_PATTERN_MAX]);

#endif
