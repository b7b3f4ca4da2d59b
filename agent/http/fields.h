/* SPDX-License-Identifier: Apache-2.0 */
/* Field names with a meaning for a proxy, for both versions of HTTP. */
#ifndef EXEAT_AGENT_HTTP_FIELDS_H
#define EXEAT_AGENT_HTTP_FIELDS_H

#include "policy/ruleset.h"

/* The same to a CGI-like server: see ex_field_is(). */
bool ex_field_same(struct ex_span a, struct ex_span b);

/*
 * Same field name to a CGI-like server: case does not count, and whatever is neither letter nor
 * digit is one and the same ("_" for "-" in most, any such byte in some).
 */
static inline bool ex_field_is(struct ex_span name, const char *lower_case)
{
	size_t len = strlen(lower_case);

	return name.len == len && ex_field_same(name, (struct ex_span){ lower_case, len });
}

/* What a name means to a proxy, or to some server behind it. */
enum ex_field_kind {
	EX_FIELD_FRAMING = 1,   /* Host, Content-Length or Transfer-Encoding to some server */
	EX_FIELD_HOP = 2,       /* this hop's own business (RFC 9110 7.6.1) */
	EX_FIELD_OVERRIDE = 4,  /* to some, another method, path or host than the one judged */
	EX_FIELD_REWRITTEN = 8, /* of HTTP/1.1: not copied, but written anew by what was parsed */
};

/* Of the name, compared as by ex_field_is(); asked for every field of every message. */
unsigned ex_field_kinds(struct ex_span name);

/*
 * Is a name there twice, one of them spelled with "_" or the like? CGI-like servers take "X_Tenant"
 * beside "X-Tenant" for one field, of which a rule has judged only the other.
 */
bool ex_fields_have_twins(const struct ex_header *fields, size_t n);

/* Names become lower case (RFC 9113 8.2), in text, which has room for all of them. */
void ex_fields_lower(struct ex_header *fields, size_t n, char *text);

/* Plain decimal without sign or leading zero, below 2^63 (RFC 9112 6.3: one valid value). */
EX_MUST_CHECK int ex_field_length(struct ex_span value, uint64_t *ret);

static inline bool ex_field_is_framing(struct ex_span name)
{
	return ex_field_kinds(name) & EX_FIELD_FRAMING;
}

static inline bool ex_field_is_hop_by_hop(struct ex_span name)
{
	return ex_field_kinds(name) & EX_FIELD_HOP;
}

static inline bool ex_field_is_override(struct ex_span name)
{
	return ex_field_kinds(name) & EX_FIELD_OVERRIDE;
}

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
