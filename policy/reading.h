/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers read in more than one way, in a path and in what stands beside it:
 *
 *	%2F		a slash to some, part of a segment to others
 *	; and %3B	before parameters, which servlet containers cut off; in a query, which ? or
 *			%3F begins, between them like &
 *	%3F and %23	the end of the path, where something has unescaped them (so also %3B), and
 *			%3F the beginning of a query
 *	%3A, %40, ...	the byte itself to nearly all, of those that need no escape in a path
 *	%20, %C3%A9	the byte, which can only come so; and any escape in a query, where + is a
 *			blank: for rules that deny, which may have it either way
 *	a field		that names another object, which a request reads or writes as well
 *
 * A rule that allows has to be met by every reading, or name what has more than one, where it has
 * it: no wildcard may have taken it. One that denies is met by any of them.
 */
#ifndef EXEAT_POLICY_READING_H
#define EXEAT_POLICY_READING_H

#include "policy/cnp.h"

/* In which ways the path, in normal form, can be read beyond the plain one: bits. */
unsigned ex_path_ways(struct ex_span path);

#define EX_WAY_SLASH 1  /* it holds a %2F, which a rule that allows has to name */
#define EX_WAY_PLAIN 32 /* it holds an escape of a byte that needs none */

/* Does the path meet a rule that allows? ways: of the path. */
bool ex_path_meets(const struct ex_http_match *m, struct ex_span path, unsigned ways);

/* The same for a rule that denies; it is about every query, when its path names none. */
bool ex_path_may_mean(const struct ex_http_match *m, struct ex_span path);

/* The readings of a path one by one, the first of which is the path itself. */
#define EX_PATH_TEXT 8192

struct ex_path_readings {
	struct ex_span path;
	unsigned ways, next; /* next: beyond ways when there is no more */
	uint64_t named;      /* what is left as it is; bit by bit, of what has several readings */
	char text[EX_PATH_TEXT];
};

/* False: it would take too much text, of a long path that can be read in many ways. */
bool ex_path_readings(struct ex_path_readings *r, struct ex_span path);
bool ex_path_next(struct ex_path_readings *r, struct ex_span *ret);

/* Does some field name another object? See ex_field_names_object(). */
bool ex_request_names_object(const struct ex_http_request *req);

/* Is each field that does so one that the rule names in headers or headerMatches? */
bool ex_rule_names_objects(const struct ex_http_match *m, const struct ex_http_request *req);

#endif
