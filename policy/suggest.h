/* SPDX-License-Identifier: Apache-2.0 */
/* The http rule that would allow a request, as text: for people who have been denied. */
#ifndef EXEAT_POLICY_SUGGEST_H
#define EXEAT_POLICY_SUGGEST_H

#include "policy/ruleset.h"

/*
 * {method: "GET", path: '/v1', headers: ["X-Copy-From"]}: YAML in one line. Of the request its
 * method, path, destination and fields are looked at. False, and "" in out: there is nothing to
 * suggest, or no room for it. ASCII only.
 */
bool ex_suggest_http(const struct ex_http_request *req, char *out, size_t cap);

#endif
