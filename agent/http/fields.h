/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a message as a proxy sees them, for both versions of HTTP. */
#ifndef EXEAT_AGENT_HTTP_FIELDS_H
#define EXEAT_AGENT_HTTP_FIELDS_H

#include "policy/field.h"
#include "policy/ruleset.h"

/*
 * Is a name there twice, one of them spelled with "_" or the like? CGI-like servers take "X_Tenant"
 * beside "X-Tenant" for one field, of which a rule has judged only the other.
 */
bool ex_fields_have_twins(const struct ex_header *fields, size_t n);

/* How many have the name, see ex_field_is(); *ret is the last of them, or NULL. */
size_t ex_fields_find(const struct ex_header *fields, size_t n, const char *lower_case,
		      const struct ex_header **ret);

/* Names become lower case (RFC 9113 8.2), in text, which has room for all of them. */
void ex_fields_lower(struct ex_header *fields, size_t n, char *text);

/* Plain decimal without sign or leading zero, below 2^63 (RFC 9112 6.3: one valid value). */
EX_MUST_CHECK int ex_field_length(struct ex_span value, uint64_t *ret);

/*
 * May stand in the trailers of a response that is sent on: nothing that frames, routes,
 * authenticates or changes how the content is read, which a client might mix in with the head.
 */
bool ex_field_may_trail(struct ex_span name);

/*
 * Do they authenticate the connection, and with it whatever comes next on it, rather than the
 * request (NTLM, Negotiate: RFC 4559)?
 */
bool ex_fields_bind_connection(const struct ex_header *fields, size_t n);

#endif
