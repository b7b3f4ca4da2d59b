/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header conditions. All of a rule are judged on the request as it was sent, so that what one rule
 * writes into it cannot make another one match.
 */
#include "exeat/text.h"
#include "policy/field.h"
#include "policy/judge.h"

#include <strings.h>

static bool name_is(struct ex_span name, const char *want)
{
	return name.len == strlen(want) && strncasecmp(name.ptr, want, name.len) == 0;
}

/* The time says nothing about where they differ: a value may be a secret that is being guessed. */
static bool is_same(struct ex_span a, struct ex_span b)
{
	unsigned char diff = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		diff |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
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
	return n == 1 && is_same(found->value, (struct ex_span){ m->value, m->value_len });
}

/* ---- of denies ---- */

/* Letters are alike in upper and lower case; time as above. */
static bool is_alike(struct ex_span a, struct ex_span b)
{
	unsigned char diff = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		diff |= (unsigned char)(ex_lower(a.ptr[i]) ^ ex_lower(b.ptr[i]));
	return diff == 0;
}

/*
 * What the fields of one name hold between commas: to many servers all of them are one list (RFC
 * 9110 5.3), in which empty ones count for nothing. Semicolons are for Cookie, and for parameters
 * that a server drops.
 */
struct values {
	const struct ex_http_request *req;
	struct ex_span name, rest; /* rest: of the field before next */
	size_t next;
};

static bool next_item(struct ex_span *list, struct ex_span *ret)
{
	while (list->len) {
		size_t n = 0;

		while (n < list->len && list->ptr[n] != ',' && list->ptr[n] != ';')
			n++;
		*ret = ex_span_trim((struct ex_span){ list->ptr, n });
		n += n < list->len;
		list->ptr += n;
		list->len -= n;
		if (ret->len)
			return true;
	}
	return false;
}

static bool next_value(struct values *v, struct ex_span *ret)
{
	while (!next_item(&v->rest, ret)) {
		const struct ex_header *h;

		if (v->next == v->req->n_headers)
			return false;
		h = &v->req->headers[v->next++];
		if (ex_field_same(h->name, v->name))
			v->rest = h->value;
	}
	return true;
}

/* Do all values of the list come next? */
static bool comes_next(struct values v, struct ex_span list)
{
	struct ex_span want, got;

	while (next_item(&list, &want))
		if (!next_value(&v, &got) || !is_alike(got, want))
			return false;
	return true;
}

static bool may_mean(const struct ex_header_match *m, const struct ex_http_request *req)
{
	struct values v = { .req = req, .name = ex_span_str(m->name) };
	struct ex_span whole = { m->value, m->value_len }, list = whole, one;

	for (size_t i = 0; i < req->n_headers; i++) {
		const struct ex_header *h = &req->headers[i];

		if (ex_field_same(h->name, v.name) &&
		    (m->never || !m->value || is_alike(ex_span_trim(h->value), whole)))
			return true;
	}
	if (m->never || !next_item(&list, &one))
		return false;
	do {
		if (comes_next(v, whole))
			return true;
	} while (next_value(&v, &one));
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
