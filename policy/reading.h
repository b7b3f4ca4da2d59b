/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers read in more than one way, in a path and in what stands beside it:
 *
 *	%2F		a slash to some, part of a segment to others
 *	; and %3B	before parameters, which servlet containers cut off
 *	%3F and %23	the end of the path, where something has unescaped them (so also %3B)
 *	a field		that names another object, which a request reads or writes as well
 *
 * A rule that allows has to be met by every reading, or name what has more than one; one that
 * denies is met by any of them.
 */
#ifndef EXEAT_POLICY_READING_H
#define EXEAT_POLICY_READING_H

#include "policy/cnp.h"

/* Does the path, in normal form and without its query, hold a %2F? */
bool ex_path_hides_slash(struct ex_span path);

/*
 * Does the path meet a rule that allows? With %2F in it only a rule whose own text says "%2F" can
 * be met, and only where it says so: each %2F has to be one that no wildcard took.
 */
bool ex_path_meets(const struct ex_http_match *m, struct ex_span path);

/* The same for a rule that denies; it is about every query, when its path names none. */
bool ex_path_may_mean(const struct ex_http_match *m, struct ex_span path);

/* The readings of a path one by one, the first of which is the path itself. */
#define EX_PATH_TEXT 8192

struct ex_path_readings {
	struct ex_span path;
	unsigned ways, next; /* next: beyond ways when there is no more */
	char text[EX_PATH_TEXT];
};

/* False: the path is too long for it, which none is that was read. */
bool ex_path_readings(struct ex_path_readings *r, struct ex_span path);
bool ex_path_next(struct ex_path_readings *r, struct ex_span *ret);

/* Does some field name another object? See ex_field_names_object(). */
bool ex_request_names_object(const struct ex_http_request *req);

/* Is each field that does so one that the rule names in headers or headerMatches? */
bool ex_rule_names_objects(const struct ex_http_match *m, const struct ex_http_request *req);

#endif
