/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decode.h"

#include <strings.h>

#include "exeat/text.h"

static void vreport(struct ex_decoder *d, struct ex_pos pos, bool warning, const char *remedy,
		    const char *fmt, va_list ap) EX_PRINTF(5, 0);
static void vreport(struct ex_decoder *d, struct ex_pos pos, bool warning, const char *remedy,
		    const char *fmt, va_list ap)
{
	char what[480];

	(void)vsnprintf(what, sizeof(what), fmt, ap);
	if (!warning)
		d->n_errors++;
	ex_diag_add(d->diags, pos, warning, remedy, "%s%s%s", d->path, d->path_len ? ": " : "",
		    what);
}

void ex_decode_error(struct ex_decoder *d, const struct ex_node *n, const char *remedy,
		     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vreport(d, n->pos, false, remedy, fmt, ap);
	va_end(ap);
}

void ex_decode_key_error(struct ex_decoder *d, const struct ex_node *n, const char *remedy,
			 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vreport(d, n->key ? n->key_pos : n->pos, false, remedy, fmt, ap);
	va_end(ap);
}

void ex_decode_warning(struct ex_decoder *d, const struct ex_node *n, const char *remedy,
		       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vreport(d, n->pos, true, remedy, fmt, ap);
	va_end(ap);
}

static size_t push_text(struct ex_decoder *d, const char *fmt, ...) EX_PRINTF(2, 3);
static size_t push_text(struct ex_decoder *d, const char *fmt, ...)
{
	size_t mark = d->path_len, room = sizeof(d->path) - d->path_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(d->path + d->path_len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		d->path_len += (size_t)n < room ? (size_t)n : room - 1;
	return mark;
}

size_t ex_decode_push(struct ex_decoder *d, const char *key)
{
	return push_text(d, "%s%s", d->path_len ? "." : "", key);
}

void ex_decode_pop(struct ex_decoder *d, size_t mark)
{
	d->path_len = mark;
	d->path[mark] = '\0';
}

static struct ex_item item_at(struct ex_decoder *d, const struct ex_node *c, size_t i)
{
	return (struct ex_item){ c, i, c ? push_text(d, "[%zu]", i) : d->path_len };
}

struct ex_item ex_item_first(struct ex_decoder *d, const struct ex_node *list)
{
	return item_at(d, list->first, 0);
}

void ex_item_next(struct ex_decoder *d, struct ex_item *it)
{
	ex_decode_pop(d, it->mark);
	*it = item_at(d, it->c->next, it->i + 1);
}

static const struct ex_field *find_field(const struct ex_field *fields, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

size_t ex_edit_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), row[40];

	if (la >= EX_ARRAY_SIZE(row) || lb >= EX_ARRAY_SIZE(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diag = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t cost = diag + (ex_lower(a[i - 1]) != ex_lower(b[j - 1]));

			diag = row[j];
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			if (row[j] + 1 < cost)
				cost = row[j] + 1;
			row[j] = cost;
		}
	}
	return row[lb];
}

/* What was meant: a letter in four may be wrong, or one; more would be a guess. */
static const struct ex_field *nearest(const struct ex_field *fields, size_t n, const char *key)
{
	const struct ex_field *best = NULL;
	size_t len = strlen(key), least = len < 8 ? 2 : len / 4 + 1;

	for (size_t i = 0; i < n; i++) {
		size_t far = ex_edit_distance(fields[i].name, key);

		if (far >= least)
			continue;
		least = far;
		best = &fields[i];
	}
	return best;
}

static void add_known(char *remedy, size_t size, const struct ex_field *fields, size_t n_fields)
{
	size_t len = strlen(remedy), before = len;

	for (size_t i = 0; i < n_fields; i++) {
		if (!fields[i].read || len + strlen(fields[i].name) + 2 >= size)
			continue;
		(void)snprintf(remedy + len, size - len, "%s %s", len > before ? "," : "",
			       fields[i].name);
		len = strlen(remedy);
	}
}

static void report_unknown(struct ex_decoder *d, const struct ex_node *n,
			   const struct ex_field *fields, size_t n_fields)
{
	const struct ex_field *meant = nearest(fields, n_fields, n->key);
	char quoted[EX_QUOTE_TEXT], remedy[400] = "known fields:";

	if (!meant)
		add_known(remedy, sizeof(remedy), fields, n_fields);
	else if (meant->read)
		(void)snprintf(remedy, sizeof(remedy), "write \"%s\"", meant->name);
	else
		(void)snprintf(remedy, sizeof(remedy), "%s is not supported: %s", meant->name,
			       meant->remedy ? meant->remedy : meant->why);
	ex_decode_key_error(d, n, remedy, "unknown field %s",
			    ex_quote(n->key, strlen(n->key), quoted));
}

bool ex_decode_map(struct ex_decoder *d, const struct ex_node *n, const struct ex_field *fields,
		   size_t n_fields, void *out)
{
	if (n->kind != EX_NODE_MAP) {
		char remedy[400] = "write \"key: value\" lines here; known fields:";

		add_known(remedy, sizeof(remedy), fields, n_fields);
		ex_decode_error(d, n, remedy, "must be a map, but is %s", ex_node_kind_name(n));
		return false;
	}
	for (const struct ex_node *c = n->first; c; c = c->next) {
		const struct ex_field *f = find_field(fields, n_fields, c->key);
		size_t mark;

		if (!f) {
			report_unknown(d, c, fields, n_fields);
			continue;
		}
		mark = ex_decode_push(d, c->key);
		if (f->read)
			f->read(d, c, out);
		else
			ex_decode_key_error(d, c, f->remedy, "not supported: %s", f->why);
		ex_decode_pop(d, mark);
	}
	return true;
}

bool ex_decode_list(struct ex_decoder *d, const struct ex_node *n, size_t max, bool may_be_empty)
{
	if (n->kind != EX_NODE_LIST) {
		ex_decode_error(d, n, "write a list: one \"- \" line per item",
				"must be a list, but is %s", ex_node_kind_name(n));
		return false;
	}
	if (n->n == 0 && !may_be_empty) {
		ex_decode_error(d, n, "write at least one item, or remove the field",
				"is an empty list");
		return false;
	}
	if (n->n > max) {
		ex_decode_error(d, n, "split the rule into several",
				"has %zu items; the limit is %zu", n->n, max);
		return false;
	}
	return true;
}

/* What a plain scalar is to the API server: a text only if it looks like nothing else. */
static bool looks_like_text(const char *s)
{
	static const char *const words[] = { "true", "false", "yes",   "no",    "on",
					     "off",  ".inf",  "-.inf", "+.inf", ".nan" };
	char *end;

	for (size_t i = 0; i < EX_ARRAY_SIZE(words); i++) {
		if (strcasecmp(s, words[i]) == 0)
			return false;
	}
	if (!strchr("0123456789+-.", s[0]) ||
	    strspn(s, "0123456789+-._xXoOeEabcdefABCDEF") != strlen(s))
		return true;
	(void)strtod(s, &end);
	if (end != s && *end == '\0')
		return false;
	return strspn(s, "0123456789_") != strlen(s) && strncmp(s, "0o", 2) != 0;
}

const char *ex_decode_text(struct ex_decoder *d, const struct ex_node *n)
{
	char quoted[EX_QUOTE_TEXT];

	if (n->kind != EX_NODE_SCALAR || ex_node_is_null(n)) {
		ex_decode_error(d, n, "write a text", "must be a text, but is %s",
				ex_node_kind_name(n));
		return NULL;
	}
	if (n->plain && !looks_like_text(n->text)) {
		ex_decode_error(d, n, "put it in quotes",
				"%s without quotes is a number or a truth value, not a text",
				ex_quote(n->text, n->len, quoted));
		return NULL;
	}
	return n->text;
}

bool ex_decode_bool(struct ex_decoder *d, const struct ex_node *n, bool *ret)
{
	if (n->kind == EX_NODE_SCALAR && n->plain) {
		if (strcmp(n->text, "true") == 0) {
			*ret = true;
			return true;
		}
		if (strcmp(n->text, "false") == 0) {
			*ret = false;
			return true;
		}
	}
	ex_decode_error(d, n, "write true or false, without quotes", "must be true or false");
	return false;
}
