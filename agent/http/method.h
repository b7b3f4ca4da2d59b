/* SPDX-License-Identifier: Apache-2.0 */
/* Methods that may be asked for, in both versions of HTTP. */
#ifndef EXEAT_AGENT_HTTP_METHOD_H
#define EXEAT_AGENT_HTTP_METHOD_H

#include "exeat/reasons.h"
#include "exeat/util.h"

/*
 * EX_R_ALLOWED when a rule may allow it: a method of RFC 9110, WebDAV and its kin, as spelled
 * there. Servers differ over what they make of others ("get" is GET to some). Else why not, and
 * *detail.
 */
enum ex_reason ex_method_check(struct ex_span method, const char **detail);

/* Some servers expect no body with it and would take one for the next request. */
bool ex_method_is_bodiless(struct ex_span method);

#endif
