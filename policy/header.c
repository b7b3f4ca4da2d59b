/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule is judged on what the client sent. A header that the proxy takes out would let a request
 * meet a rule by what the server never sees, so no rule may name one. Upgrade is none of them: it
 * is written anew.
 */
#include "policy/header.h"

#include <errno.h>
#include <stdio.h>

#include "exeat/text.h"
#include "policy/field.h"

bool ex_header_is_removed(struct ex_span name)
{
	if (ex_field_is(name, "upgrade"))
		return false;
	return ex_field_is(name, "te") || ex_field_is(name, "trailer") ||
	       ex_field_is_hop_by_hop(name) || ex_field_is_override(name);
}

bool ex_header_is_rewritten(struct ex_span name)
{
	return ex_field_kinds(name) & (EX_FIELD_HOP | EX_FIELD_OVERRIDE | EX_FIELD_REWRITTEN);
}

/* Spelled as the rule does, but for the case? */
static bool is_spelled(struct ex_span name, struct ex_span lower)
{
	if (name.len != lower.len)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (ex_lower(name.ptr[i]) != lower.ptr[i])
			return false;
	return true;
}

/*
 * ADD leaves what has the very name, since a second field is what it asks for; a field that only
 * looks like it goes, so that no server reads the workload's word for the rule's.
 */
static size_t drop(const struct ex_header_edit *e, struct ex_header *fields, bool *secret, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		bool same = is_spelled(fields[i].name, e->name);

		if (ex_field_same(fields[i].name, e->name) && !(same && e->op == EX_HEADER_ADD))
			continue;
		fields[kept] = fields[i];
		if (secret)
			secret[kept] = secret[i];
		kept++;
	}
	return kept;
}

ssize_t ex_headers_edit(const struct ex_header_edits *edits, struct ex_header *fields, bool *secret,
			size_t n, size_t cap)
{
	for (size_t i = 0; i < edits->n; i++) {
		const struct ex_header_edit *e = &edits->v[i];

		if (e->op == EX_HEADER_LOG)
			continue;
		n = drop(e, fields, secret, n);
		if (e->op == EX_HEADER_DELETE)
			continue;
		if (n >= cap)
			return -ENOSPC;
		fields[n] = (struct ex_header){ e->name, e->value };
		if (secret)
			secret[n] = true;
		n++;
	}
	return (ssize_t)n;
}

void ex_headers_describe(const struct ex_header_edits *edits, char *out, size_t size)
{
	static const char *const words[] = { "", "LOG", "ADD", "DELETE", "REPLACE" };
	const struct ex_origin *o = edits->origin;
	size_t len = 0;

	out[0] = '\0';
	if (o)
		len = (size_t)snprintf(out, size, "%s %s/%s",
				       o->chain.ptr ? "certificate" : "trust", o->ns, o->name);
	for (size_t i = 0; i < edits->n && len < size; i++) {
		const struct ex_header_edit *e = &edits->v[i];
		int n = snprintf(out + len, size - len, "%s%s %.*s", len ? ", " : "", words[e->op],
				 (int)e->name.len, e->name.ptr);

		len += n > 0 ? (size_t)n : 0;
	}
}
