/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of HTTP fields that mean something to a proxy or to some server behind it: the proxy
 * removes them, or writes them anew, and no rule may rely on them.
 */
#ifndef EXEAT_POLICY_FIELD_H
#define EXEAT_POLICY_FIELD_H

#include "exeat/util.h"

/* 0: the same to a CGI-like server, see ex_field_is(); else in what order they stand. */
int ex_field_compare(struct ex_span a, struct ex_span b);

static inline bool ex_field_same(struct ex_span a, struct ex_span b)
{
	return a.len == b.len && ex_field_compare(a, b) == 0;
}

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
 * Does a field of this name name an object beside the one of the path, which the request reads,
 * links or writes as well (x-amz-copy-source)? Of Destination see agent/http/destination.h.
 */
bool ex_field_names_object(struct ex_span name);

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

#endif
