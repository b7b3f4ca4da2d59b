/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors: matchLabels and matchExpressions. */
#include "exeat/text.h"
#include "policy/cnp.h"

#define TERMS_MAX  256
#define VALUES_MAX 1024

struct selector_reader {
	struct ex_label_term terms[TERMS_MAX];
	size_t n;
};

/* A key may have a source prefix and a DNS prefix: "k8s:example.com/name". */
static bool check_key(struct ex_decoder *d, const struct ex_node *n, const char *key)
{
	char quoted[EX_QUOTE_TEXT];
	size_t len = strlen(key);

	if (len == 0 || len > 512) {
		ex_decode_key_error(d, n, NULL, "a label key has 1 to 512 characters");
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (ex_is_alnum(key[i]) || strchr("-_./:", key[i]))
			continue;
		ex_decode_key_error(d, n,
				    "use letters, digits and - _ . / :", "%s is not a label key",
				    ex_quote(key, len, quoted));
		return false;
	}
	return true;
}

static bool check_value(struct ex_decoder *d, const struct ex_node *n, const char *value)
{
	char quoted[EX_QUOTE_TEXT];
	size_t len = strlen(value);

	for (size_t i = 0; i < len; i++) {
		if (ex_is_alnum(value[i]) || strchr("-_./:", value[i]))
			continue;
		ex_decode_error(d, n, "use letters, digits and - _ .", "%s is not a label value",
				ex_quote(value, len, quoted));
		return false;
	}
	return true;
}

static struct ex_label_term *add_term(struct ex_decoder *d, const struct ex_node *n,
				      struct selector_reader *sr)
{
	if (sr->n == TERMS_MAX) {
		ex_decode_error(d, n, NULL, "a selector has at most %d terms", TERMS_MAX);
		return NULL;
	}
	return &sr->terms[sr->n++];
}

static const char *keep(struct ex_decoder *d, const char *text)
{
	return ex_arena_strndup(d->arena, text, strlen(text));
}

static void read_match_labels(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct selector_reader *sr = out;

	if (ex_node_is_null(n))
		return;
	if (n->kind != EX_NODE_MAP) {
		ex_decode_error(d, n, "write \"key: value\" lines here", "must be a map, but is %s",
				ex_node_kind_name(n));
		return;
	}
	for (const struct ex_node *c = n->first; c; c = c->next) {
		/* an empty value is a legal label value */
		const char *value =
			c->kind == EX_NODE_SCALAR && c->len == 0 ? "" : ex_decode_text(d, c);
		struct ex_label_term *t;
		const char **values;

		if (!value || !check_key(d, c, c->key) || !check_value(d, c, value))
			continue;
		t = add_term(d, c, sr);
		values = ex_arena_alloc(d->arena, 1, sizeof(*values));
		if (!t || !values)
			return;
		values[0] = keep(d, value);
		*t = (struct ex_label_term){ EX_LABEL_IN, keep(d, c->key), values, 1, true };
	}
}

static void read_expr_key(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_label_term *term = out;
	const char *key = ex_decode_text(d, n);

	if (key && check_key(d, n, key))
		term->key = keep(d, key);
}

static void read_expr_operator(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct {
		const char *word;
		enum ex_label_op op;
	} ops[] = {
		{ "In", EX_LABEL_IN },
		{ "NotIn", EX_LABEL_NOT_IN },
		{ "Exists", EX_LABEL_EXISTS },
		{ "DoesNotExist", EX_LABEL_NOT_EXISTS },
	};
	struct ex_label_term *term = out;
	const char *word = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	for (size_t i = 0; word && i < EX_ARRAY_SIZE(ops); i++) {
		if (strcmp(word, ops[i].word) == 0) {
			term->op = ops[i].op;
			return;
		}
	}
	if (word)
		ex_decode_error(d, n, "write In, NotIn, Exists or DoesNotExist",
				"unknown operator %s", ex_quote(word, strlen(word), quoted));
}

static void read_expr_values(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_label_term *term = out;
	const char **values;
	size_t i = 0;

	if (ex_node_is_null(n) || !ex_decode_list(d, n, VALUES_MAX, true))
		return;
	values = ex_arena_alloc(d->arena, n->n, sizeof(*values));
	if (!values)
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		const char *v =
			c->kind == EX_NODE_SCALAR && c->len == 0 ? "" : ex_decode_text(d, c);

		if (v && check_value(d, c, v))
			values[i++] = keep(d, v);
	}
	term->values = values;
	term->n_values = i;
}

static void read_expression(struct ex_decoder *d, const struct ex_node *n,
			    struct selector_reader *sr)
{
	static const struct ex_field fields[] = {
		{ "key", read_expr_key, NULL, NULL },
		{ "operator", read_expr_operator, NULL, NULL },
		{ "values", read_expr_values, NULL, NULL },
	};
	struct ex_label_term term = { 0 };
	size_t before = d->n_errors;
	struct ex_label_term *t;
	bool takes_values;

	if (!ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), &term) || d->n_errors > before)
		return;
	if (!term.key || term.op == EX_LABEL_NEVER) {
		ex_decode_error(d, n, NULL, "needs key and operator");
		return;
	}
	takes_values = term.op == EX_LABEL_IN || term.op == EX_LABEL_NOT_IN;
	if (takes_values != (term.n_values > 0)) {
		ex_decode_error(d, n, NULL,
				takes_values ? "In and NotIn need values"
					     : "Exists and DoesNotExist take no values");
		return;
	}
	t = add_term(d, n, sr);
	if (t)
		*t = term;
}

static void read_match_expressions(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	if (ex_node_is_null(n) || !ex_decode_list(d, n, TERMS_MAX, true))
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		read_expression(d, it.c, out);
}

static void note_namespace(const char *key, struct ex_selector *s)
{
	static const struct ex_span labels = EX_SPAN("io.cilium.k8s.namespace.labels.");
	struct ex_span source, name;

	ex_label_split(key, &source, &name);
	s->names_namespace |= ex_span_eq(source, EX_SPAN("reserved")) ||
			      ex_span_eq(name, EX_SPAN(EX_LABEL_NAMESPACE));
	s->names_its_labels |=
		name.len >= labels.len && memcmp(name.ptr, labels.ptr, labels.len) == 0;
}

void ex_read_selector(struct ex_decoder *d, const struct ex_node *n, struct ex_selector *ret)
{
	static const struct ex_field fields[] = {
		{ "matchLabels", read_match_labels, NULL, NULL },
		{ "matchExpressions", read_match_expressions, NULL, NULL },
	};
	struct selector_reader sr = { .n = 0 };

	if (!ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), &sr))
		return;
	ret->terms = ex_arena_alloc(d->arena, sr.n, sizeof(*ret->terms));
	if (!ret->terms)
		return;
	if (sr.n)
		memcpy(ret->terms, sr.terms, sr.n * sizeof(*ret->terms));
	ret->n_terms = sr.n;
	for (size_t i = 0; i < sr.n; i++)
		note_namespace(sr.terms[i].key, ret);
}
