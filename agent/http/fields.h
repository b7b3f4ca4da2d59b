/* SPDX-License-Identifier: Apache-2.0 */
/* Field names with a meaning for a proxy, for both versions of HTTP. */
#ifndef EXEAT_AGENT_HTTP_FIELDS_H
#define EXEAT_AGENT_HTTP_FIELDS_H

#include "exeat/util.h"

/* Same field name when case and "_" for "-" are ignored, as CGI-like servers do. */
bool ex_field_is(struct ex_span name, const char *lower_case);

/* The same for two names as sent. */
bool ex_field_same(struct ex_span a, struct ex_span b);

/* This hop's own business (RFC 9110 7.6.1). */
bool ex_field_is_hop_by_hop(struct ex_span name);

/* Would make some servers act on another method, path or host than the one judged. */
bool ex_field_is_override(struct ex_span name);

#endif
