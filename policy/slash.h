/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers read in more than one way. %2F in a path: a slash to some servers, part of a segment
 * to others. A rule that means neither in particular ("/v1/.*") must not be met by it, one that
 * denies must be met by both readings; and ";", see ex_path_may_mean().
 */
#ifndef EXEAT_POLICY_SLASH_H
#define EXEAT_POLICY_SLASH_H

#include "policy/cnp.h"

/* Does the path, in normal form and without its query, hold one? */
bool ex_path_hides_slash(struct ex_span path);

/*
 * Does the path meet the rule? With %2F in it only a rule whose own text says "%2F" can be met, and
 * only where it says so: each %2F has to be one that no wildcard took.
 */
bool ex_path_meets(const struct ex_http_match *m, struct ex_span path);

/*
 * For denies: does the path meet the rule in one of its readings? Behind a ";" are parameters,
 * which servlet containers cut off before they look for whom the request is.
 */
bool ex_path_may_mean(const struct ex_http_match *m, struct ex_span path);

#endif
