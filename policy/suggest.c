/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/suggest.h"

#include <stdarg.h>
#include <stdio.h>

#include "policy/field.h"

struct text {
	char *out;
	size_t len, cap;
	bool full;
};

EX_PRINTF(2, 3) static void put(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	if (t->full)
		return;
	va_start(ap, format);
	n = vsnprintf(t->out + t->len, t->cap - t->len, format, ap);
	va_end(ap);
	t->full = n < 0 || (size_t)n >= t->cap - t->len;
	t->len += t->full ? 0 : (size_t)n;
}

static void put_byte(struct text *t, char c)
{
	t->full |= t->cap - t->len < 2;
	if (t->full)
		return;
	t->out[t->len++] = c;
	t->out[t->len] = '\0';
}

/*
 * As a regular expression in single quotes that takes this path only, with any query when it has
 * one.
 */
static void put_path(struct text *t, struct ex_span path)
{
	const char *query = path.len ? memchr(path.ptr, '?', path.len) : NULL;
	size_t len = query ? (size_t)(query - path.ptr) : path.len;

	for (size_t i = 0; i < len && !t->full; i++) {
		char c = path.ptr[i];

		t->full |= c <= 0x20 || c >= 0x7f;
		if (strchr(".+*?()[]{}|^$\\", c))
			put_byte(t, '\\');
		else if (c == '\'')
			put_byte(t, '\'');
		put_byte(t, c);
	}
	put(t, "%s", query ? "(\\?.*)?" : "");
}

/* Fields that a rule has to name, each once. */
static void put_objects(struct text *t, const struct ex_http_request *req)
{
	size_t n = 0;

	for (size_t i = 0; i < req->n_headers && !t->full; i++) {
		struct ex_span name = req->headers[i].name;
		bool said = !ex_field_names_object(name);

		for (size_t k = 0; k < i && !said; k++)
			said = ex_field_same(req->headers[k].name, name);
		if (said)
			continue;
		put(t, "%s\"%.*s\"", n++ ? ", " : ", headers: [", (int)name.len, name.ptr);
	}
	put(t, "%s", n ? "]" : "");
}

static bool is_method(struct ex_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] < 'A' || s.ptr[i] > 'Z') && s.ptr[i] != '-')
			return false;
	return s.len > 0 && s.len <= 32;
}

bool ex_suggest_http(const struct ex_http_request *req, char *out, size_t cap)
{
	struct text t = { .out = out, .cap = cap, .full = !is_method(req->method) };

	out[0] = '\0';
	put(&t, "{method: \"%.*s\", path: '", (int)req->method.len, req->method.ptr);
	put_path(&t, req->path);
	if (req->destination.len) {
		put(&t, "|");
		put_path(&t, req->destination);
	}
	put(&t, "'");
	put_objects(&t, req);
	put(&t, "}");
	if (t.full)
		out[0] = '\0';
	return !t.full;
}
