/* SPDX-License-Identifier: Apache-2.0 */
/* headers and headerMatches of a rules.http item. */
#include "exeat/text.h"
#include "policy/cnp.h"
#include "policy/header.h"

#include <errno.h>
#include <strings.h>

#define HEADERS_MAX 64

static bool is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return len > 0;
}

static bool is_host(struct ex_span name)
{
	return name.len == 4 && strncasecmp(name.ptr, "host", 4) == 0;
}

static bool is_refused(struct ex_span name)
{
	return is_host(name) || ex_header_is_removed(name);
}

static void check_header(struct ex_decoder *d, const struct ex_node *n, struct ex_span name)
{
	char quoted[EX_QUOTE_TEXT];

	if (is_host(name))
		ex_decode_error(d, n, "write host: instead",
				"the header Host is not matched: the field host is, and binds the "
				"name to the address");
	if (ex_header_is_removed(name))
		ex_decode_error(
			d, n, "leave it out: it never reaches the server",
			"exeat removes the header %s from requests, so no rule can rely on it",
			ex_quote(name.ptr, name.len, quoted));
}

/* What can be read in a field: blanks around it are none of it. */
static bool is_value(struct ex_span v)
{
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.ptr[i];

		if (c < 0x20 ? c != '\t' : c == 0x7f)
			return false;
	}
	return ex_span_trim(v).len == v.len;
}

/* ---- headers ---- */

/* "Name" or "Name: value", split at the first blank. */
static void read_header(struct ex_decoder *d, const struct ex_node *n, struct ex_header_match *ret)
{
	const char *text = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];
	const char *blank;
	size_t len;

	if (!text)
		return;
	blank = strchr(text, ' ');
	len = blank ? (size_t)(blank - text) : n->len;
	if (len && text[len - 1] == ':')
		len--;
	if (!is_token(text, len)) {
		ex_decode_error(d, n, "write \"Name\" or \"Name: value\"", "%s has no header name",
				ex_quote(text, n->len, quoted));
		return;
	}
	check_header(d, n, (struct ex_span){ text, len });
	ret->name = ex_arena_strndup(d->arena, text, len);
	if (blank) {
		ret->value_len = strlen(blank + 1);
		ret->value = ex_arena_strndup(d->arena, blank + 1, ret->value_len);
		if (!is_value(ex_span_str(blank + 1)))
			ex_decode_error(d, n,
					"write one blank behind the colon, and none at the end",
					"%s has a value that no header can have",
					ex_quote(text, n->len, quoted));
	}
}

void ex_read_headers(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_http_reader *hr = out;
	struct ex_http_match *m = &hr->match;

	if (ex_node_is_null(n) || !ex_decode_list(d, n, HEADERS_MAX, true))
		return;
	m->headers = ex_arena_alloc(d->arena, n->n, sizeof(*m->headers));
	if (!m->headers)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		read_header(d, it.c, &m->headers[m->n_headers++]);
}

/* ---- headerMatches ---- */

struct match_reader {
	struct ex_http_reader *hr;
	struct ex_header_match match;
	const struct ex_node *name, *secret, *mismatch;
};

static void read_match_name(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct match_reader *mr = out;
	const char *text = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT], *lower;

	mr->name = n;
	if (!text)
		return;
	if (!is_token(text, n->len))
		ex_decode_error(d, n, NULL, "%s is not a header name",
				ex_quote(text, n->len, quoted));
	check_header(d, n, ex_span_str(text));
	mr->match.name = ex_arena_strndup(d->arena, text, n->len);
	lower = ex_arena_strndup(d->arena, text, n->len);
	for (char *p = lower; p && *p; p++)
		*p = ex_lower(*p);
	mr->match.lower = lower;
}

/* An empty value is none: then the header only has to be there. */
static void read_match_value(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct match_reader *mr = out;
	const char *text = n->kind == EX_NODE_SCALAR && n->len == 0 ? "" : ex_decode_text(d, n);

	if (!text || n->len == 0)
		return;
	mr->match.value = ex_arena_strndup(d->arena, text, n->len);
	mr->match.value_len = n->len;
}

static void read_match_secret(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct match_reader *)out)->secret = n;
}

static void read_mismatch(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct {
		const char *word;
		enum ex_header_op op;
	} ops[] = {
		{ "LOG", EX_HEADER_LOG },
		{ "ADD", EX_HEADER_ADD },
		{ "DELETE", EX_HEADER_DELETE },
		{ "REPLACE", EX_HEADER_REPLACE },
	};
	struct match_reader *mr = out;
	const char *word = n->kind == EX_NODE_SCALAR && n->len == 0 ? "" : ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	if (!word || n->len == 0) /* upstream: the same as none */
		return;
	mr->mismatch = n;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].word, word) != 0)
			continue;
		mr->match.mismatch = EX_MISMATCH_EDIT;
		mr->match.op = ops[i].op;
		return;
	}
	ex_decode_error(d, n, "write LOG, ADD, DELETE or REPLACE, or leave it out",
			"unknown action %s", ex_quote(word, n->len, quoted));
}

/* A secret goes before the value; one that is not there leaves the value, or nothing to match. */
static void use_secret(struct ex_decoder *d, struct match_reader *mr,
		       const struct ex_secret_ref *ref)
{
	const char *why = NULL;
	int r;
	const struct ex_secret *s = ex_policy_secret(d, mr->hr->rule->set, ref, &r, &why);
	struct ex_header_match *m = &mr->match;

	if (s) {
		m->value = s->value.ptr;
		m->value_len = s->value.len;
		m->secret = true;
		return;
	}
	if (r == -ENOENT) {
		m->never = !m->value;
		ex_decode_warning(d, mr->secret,
				  "give the folder that has NAMESPACE/NAME: --secrets DIR",
				  "there is no secret %s/%s: %s", ref->ns, ref->name,
				  m->value                     ? "the value is taken in its place"
				  : mr->hr->rule->egress->deny ? "the rule denies every value"
							       : "the rule matches nothing");
	} else if (r == -ENOMEM) {
		d->arena->oom = true;
	} else {
		m->never = true;
		ex_decode_error(d, mr->secret, "a secret is one line of text in one file",
				"the secret %s", why);
	}
}

static void read_secret(struct ex_decoder *d, struct match_reader *mr)
{
	struct ex_secret_ref ref = { .ns = mr->hr->rule->spec->ns };
	size_t before = d->n_errors, mark = ex_decode_push(d, "secret");

	mr->match.never = true; /* until it is known; of others than the workload it never is */
	ex_read_secret_ref(d, mr->secret, &ref);
	if (d->n_errors == before && mr->hr->rule->spec->chosen) {
		mr->match.never = false;
		use_secret(d, mr, &ref);
	}
	ex_decode_pop(d, mark);
}

/* What an action cannot mean, or would undo what was judged. */
static void check_action(struct ex_decoder *d, const struct match_reader *mr)
{
	const struct ex_header_match *m = &mr->match;
	char quoted[EX_QUOTE_TEXT];
	struct ex_span name;

	if (m->mismatch != EX_MISMATCH_EDIT || !m->name)
		return;
	name = ex_span_str(m->name);
	if (is_refused(name))
		return; /* was told */
	if (mr->hr->rule->egress->deny)
		ex_decode_error(d, mr->mismatch, "remove it",
				"a deny rule sends nothing on, so it has no mismatch");
	else if (m->op != EX_HEADER_LOG && ex_header_is_rewritten(name))
		ex_decode_error(
			d, mr->mismatch, "use LOG, or leave mismatch out",
			"exeat writes the header %s anew from what it has judged, so no rule "
			"can change it",
			ex_quote(name.ptr, name.len, quoted));
	else if ((m->op == EX_HEADER_ADD || m->op == EX_HEADER_REPLACE) && !m->value && !m->never)
		ex_decode_error(d, mr->mismatch, "write value, or secret",
				"ADD and REPLACE need something to write");
}

static void check_value(struct ex_decoder *d, const struct ex_node *n,
			const struct match_reader *mr)
{
	const struct ex_header_match *m = &mr->match;

	if (m->value && !m->secret && !is_value((struct ex_span){ m->value, m->value_len }))
		ex_decode_error(d, n, "write one line, without blanks around it",
				"has a value that no header can have");
}

static void read_header_match(struct ex_decoder *d, const struct ex_node *n,
			      struct ex_http_reader *hr)
{
	static const struct ex_field fields[] = {
		{ "name", read_match_name, NULL, NULL },
		{ "value", read_match_value, NULL, NULL },
		{ "secret", read_match_secret, NULL, NULL },
		{ "mismatch", read_mismatch, NULL, NULL },
	};
	struct match_reader mr = { .hr = hr };

	if (!ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), &mr))
		return;
	if (!mr.name)
		ex_decode_error(d, n, "write name: HEADER", "needs the field name");
	if (mr.secret)
		read_secret(d, &mr);
	check_action(d, &mr);
	check_value(d, n, &mr);
	hr->match.writes_secret |= mr.match.secret && (mr.match.op == EX_HEADER_ADD ||
						       mr.match.op == EX_HEADER_REPLACE);
	hr->match.matches[hr->match.n_matches++] = mr.match;
}

void ex_read_header_matches(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_http_reader *hr = out;
	struct ex_http_match *m = &hr->match;

	if (ex_node_is_null(n) || !ex_decode_list(d, n, HEADERS_MAX, true))
		return;
	m->matches = ex_arena_alloc(d->arena, n->n, sizeof(*m->matches));
	if (!m->matches)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		read_header_match(d, it.c, hr);
}
