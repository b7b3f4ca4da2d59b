/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header conditions. All of a rule are judged on the request as it was sent, so that what one rule
 * writes into it cannot make another one match.
 */
#include "policy/field.h"
#include "policy/judge.h"

#include <strings.h>

static bool name_is(struct ex_span name, const char *want)
{
	return name.len == strlen(want) && strncasecmp(name.ptr, want, name.len) == 0;
}

/* The time says nothing about where they differ: a value may be a secret that is being guessed. */
static bool is_same_value(struct ex_span a, const struct ex_header_match *m)
{
	unsigned char diff = 0;

	if (a.len != m->value_len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		diff |= (unsigned char)(a.ptr[i] ^ m->value[i]);
	return diff == 0;
}

/*
 * A header that is there twice has no one value: only a presence test can be met by it.
 * *ret_alike: one is there that some server takes for it, however it is spelled.
 */
static bool match_header(const struct ex_header_match *m, const struct ex_http_request *req,
			 bool *ret_alike)
{
	const struct ex_header *found = NULL;
	size_t n = 0;

	*ret_alike = false;
	for (size_t i = 0; i < req->n_headers; i++) {
		if (!ex_field_same(req->headers[i].name, ex_span_str(m->name)))
			continue;
		*ret_alike = true;
		if (!name_is(req->headers[i].name, m->name))
			continue;
		found = &req->headers[i];
		n++;
	}
	if (!m->value)
		return n > 0;
	return n == 1 && is_same_value(found->value, m);
}

/* Two fields are to many the same as one with both values and a comma between (RFC 9110 5.3). */
static bool has_value(struct ex_span list, const struct ex_header_match *m)
{
	struct ex_span one;
	bool found;

	do {
		found = is_same_value(ex_span_trim(list), m) ||
			(ex_span_next(&list, &one) && is_same_value(one, m));
	} while (!found && list.ptr);
	return found;
}

static bool may_mean(const struct ex_header_match *m, const struct ex_http_request *req)
{
	for (size_t i = 0; i < req->n_headers; i++) {
		const struct ex_header *h = &req->headers[i];

		if (ex_field_same(h->name, ex_span_str(m->name)) &&
		    (m->never || !m->value || has_value(h->value, m)))
			return true;
	}
	return false;
}

bool ex_http_may_mean_headers(const struct ex_http_match *m, const struct ex_http_request *req)
{
	for (size_t i = 0; i < m->n_headers; i++)
		if (!may_mean(&m->headers[i], req))
			return false;
	for (size_t i = 0; i < m->n_matches; i++)
		if (!may_mean(&m->matches[i], req))
			return false;
	return true;
}

static bool is_known(struct ex_header_edits *edits, const struct ex_header_edit *e)
{
	for (size_t i = 0; i < edits->n; i++) {
		struct ex_header_edit *o = &edits->v[i];

		if (o->op == e->op && ex_span_eq(o->name, e->name) &&
		    o->value.len == e->value.len &&
		    (e->value.len == 0 || memcmp(o->value.ptr, e->value.ptr, e->value.len) == 0)) {
			o->rule = e->rule < o->rule ? e->rule : o->rule;
			return true;
		}
	}
	return false;
}

static void add_edit(struct ex_header_edits *edits, const struct ex_header_match *m, uint32_t rule)
{
	struct ex_header_edit e = { .op = m->op, .name = ex_span_str(m->lower), .rule = rule };

	if (m->op == EX_HEADER_ADD || m->op == EX_HEADER_REPLACE)
		e.value = (struct ex_span){ m->value, m->value_len };
	if (is_known(edits, &e))
		return;
	if (edits->n == EX_HEADER_EDITS_MAX)
		edits->full = true;
	else
		edits->v[edits->n++] = e;
}

/* DELETE has nothing to do where nothing is: the mismatch is met, and nothing happened. */
static bool match_or_edit(const struct ex_header_match *m, const struct ex_http_request *req,
			  struct ex_header_edits *edits, uint32_t rule)
{
	bool alike;

	if (m->never)
		return false;
	if (match_header(m, req, &alike))
		return true;
	if (m->mismatch != EX_MISMATCH_EDIT)
		return false;
	if (edits && (alike || m->op != EX_HEADER_DELETE))
		add_edit(edits, m, rule);
	return true;
}

static bool match_all(const struct ex_http_match *m, const struct ex_http_request *req,
		      struct ex_header_edits *edits)
{
	bool alike;

	for (size_t i = 0; i < m->n_headers; i++) {
		if (!match_header(&m->headers[i], req, &alike))
			return false;
	}
	for (size_t i = 0; i < m->n_matches; i++) {
		if (!match_or_edit(&m->matches[i], req, edits, m->rule))
			return false;
	}
	return true;
}

bool ex_http_match_headers(const struct ex_http_match *m, const struct ex_http_request *req,
			   struct ex_header_edits *edits)
{
	size_t before = edits ? edits->n : 0;
	bool was_full = edits && edits->full;

	if (match_all(m, req, edits))
		return true;
	if (edits) {
		edits->n = before;
		edits->full = was_full;
	}
	return false;
}

void ex_header_edits_sort(struct ex_header_edits *edits)
{
	for (size_t i = 1; i < edits->n; i++) {
		struct ex_header_edit e = edits->v[i];
		size_t k = i;

		for (; k > 0 && edits->v[k - 1].rule > e.rule; k--)
			edits->v[k] = edits->v[k - 1];
		edits->v[k] = e;
	}
}
