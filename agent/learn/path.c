/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "agent/learn/path.h"

#define PATHS_MAX  4096
#define ALIKE_MIN  8    /* values of a segment that make it any segment */
#define HEX_MIN    16   /* length of a hexadecimal word that names one of many */
#define WORD_MIN   20   /* and of a word of letters and digits */
#define RECORD_MAX 1023 /* bytes of a path in a record */
#define UUID_LEN   36

/* ---- classes of segments ---- */

static bool is_all(struct ex_span s, int (*is)(int c))
{
	for (size_t i = 0; i < s.len; i++)
		if (!is((unsigned char)s.ptr[i]))
			return false;
	return s.len > 0;
}

static bool is_uuid(struct ex_span s)
{
	if (s.len != UUID_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s.ptr[i] != '-' : !isxdigit((unsigned char)s.ptr[i]))
			return false;
	}
	return true;
}

static bool has(struct ex_span s, int (*is)(int c))
{
	for (size_t i = 0; i < s.len; i++)
		if (is((unsigned char)s.ptr[i]))
			return true;
	return false;
}

static int is_word_byte(int c)
{
	return isalnum(c) || c == '-' || c == '_';
}

/* 0: a literal. */
static char class_of(struct ex_span s)
{
	if (is_all(s, isdigit))
		return EX_LEARN_NUMBER;
	if (is_uuid(s))
		return EX_LEARN_UUID;
	if (s.len >= HEX_MIN && is_all(s, isxdigit) && has(s, isdigit))
		return EX_LEARN_HEX;
	if (s.len >= WORD_MIN && is_all(s, is_word_byte) && has(s, isdigit) && has(s, isalpha))
		return EX_LEARN_WORD;
	return 0;
}

/* The next segment of a path or template from *at, which stands at its '/'. */
static struct ex_span segment_next(const char **at)
{
	const char *from = *at + 1;
	size_t len = strcspn(from, "/");

	*at = from + len;
	return (struct ex_span){ from, len };
}

/* ---- collecting ---- */

/* Whether the path can stand in a policy and in a fixture as it is. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* A rule's method is a pattern: what could mean more than itself is no method to allow. */
static bool is_method(const char *text)
{
	return text[0] && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_") == strlen(text);
}

static char *template_of(const char *path, size_t len)
{
	char *bare = strndup(path, len), *out = bare ? calloc(1, len + 1) : NULL, *to = out;
	const char *at = bare;

	while (out && *at == '/') {
		struct ex_span s = segment_next(&at);
		char class = class_of(s);

		*to++ = '/';
		if (class) {
			*to++ = class;
		} else {
			memcpy(to, s.ptr, s.len);
			to += s.len;
		}
	}
	free(bare);
	return out;
}

static struct ex_learn_path *find(struct ex_learn_paths *p, const char *method, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].method, method) == 0 && strcmp(p->v[i].path, path) == 0)
			return &p->v[i];
	return NULL;
}

static void path_done(struct ex_learn_path *path)
{
	free(path->method);
	free(path->path);
	free(path->example);
	free(path->first);
	*path = (struct ex_learn_path){ 0 };
}

/* Takes template. */
static int append(struct ex_learn_paths *p, const char *method, char *template, const char *path,
		  const char *time)
{
	struct ex_learn_path *v = reallocarray(p->v, p->n + 1, sizeof(*v));

	if (!v) {
		free(template);
		return -ENOMEM;
	}
	p->v = v;
	v[p->n] = (struct ex_learn_path){ .method = strdup(method),
					  .path = template,
					  .example = strdup(path),
					  .first = strdup(time) };
	p->n++; /* so that it is freed in any case */
	return v[p->n - 1].method && v[p->n - 1].example && v[p->n - 1].first ? 0 : -ENOMEM;
}

int ex_learn_paths_add(struct ex_learn_paths *p, const char *method, const char *path,
		       const char *time)
{
	size_t len = strcspn(path, "?");
	struct ex_learn_path *known;
	char *template;
	int r;

	if (path[0] != '/' || !is_plain(path) || !is_method(method))
		return -EINVAL;
	template = template_of(path, len);
	if (!template)
		return -ENOMEM;
	known = find(p, method, template);
	if (known) {
		free(template);
	} else if (p->n == PATHS_MAX || p->closed) {
		free(template);
		p->full = true;
		return 0;
	} else {
		r = append(p, method, template, path, time);
		if (r < 0)
			return r;
		known = &p->v[p->n - 1];
	}
	known->count++;
	known->query |= path[len] == '?';
	known->bare |= path[len] == '\0';
	known->cut |= strlen(path) >= RECORD_MAX;
	return 0;
}

/* ---- merging ---- */

/* How far a and b are the same, from their ends; the second end goes no further than the first. */
static size_t same_begin(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

static size_t same_end(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t n = 0;

	while (n < a_len && n < b_len && a[a_len - 1 - n] == b[b_len - 1 - n])
		n++;
	return n;
}

static size_t count_slashes(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '/';
	return n;
}

#define ALIKE_ALL SIZE_MAX /* no segment differs */

/* Are a and b the same but for one segment? Which, or ALIKE_ALL. */
static bool is_alike(const struct ex_learn_path *a, const struct ex_learn_path *b, size_t *ret)
{
	size_t begin = same_begin(a->path, b->path);
	const char *x = a->path + begin, *y = b->path + begin;
	size_t x_len = strlen(x), y_len = strlen(y), end = same_end(x, x_len, y, y_len);

	if (strcmp(a->method, b->method) != 0 || memchr(x, '/', x_len - end) ||
	    memchr(y, '/', y_len - end))
		return false;
	*ret = x_len || y_len ? count_slashes(a->path, begin) - 1 : ALIKE_ALL;
	return true;
}

static int make_any(struct ex_learn_path *path, size_t which)
{
	static const char any[] = { EX_LEARN_ANY };
	char *out = calloc(1, strlen(path->path) + 2), *to = out;
	const char *at = path->path;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; *at == '/'; i++) {
		struct ex_span s = segment_next(&at);

		if (i == which)
			s = (struct ex_span){ any, 1 };
		*to++ = '/';
		memcpy(to, s.ptr, s.len);
		to += s.len;
	}
	free(path->path);
	path->path = out;
	return 0;
}

static void absorb(struct ex_learn_path *into, struct ex_learn_path *from)
{
	into->count += from->count;
	into->bare |= from->bare;
	into->query |= from->query;
	into->cut |= from->cut;
	path_done(from);
}

/* Takes everything behind v[i] that is like it but for one segment into it. */
static void absorb_alike(struct ex_learn_paths *p, size_t i, size_t segment)
{
	size_t kept = i + 1, which;

	for (size_t k = i + 1; k < p->n; k++) {
		struct ex_learn_path path = p->v[k];

		if (is_alike(&p->v[i], &path, &which) && (which == segment || which == ALIKE_ALL))
			absorb(&p->v[i], &path);
		else
			p->v[kept++] = path;
	}
	p->n = kept;
}

/* The first segment, from that one on, in which enough of those behind v[i] differ from it. */
static bool find_merge(const struct ex_learn_paths *p, size_t i, size_t *segment)
{
	uint16_t alike[RECORD_MAX + 1] = { 0 };
	size_t all = 1, which, n = count_slashes(p->v[i].path, strlen(p->v[i].path));

	for (size_t k = i + 1; k < p->n; k++) {
		if (!is_alike(&p->v[i], &p->v[k], &which))
			continue;
		if (which == ALIKE_ALL)
			all++;
		else if (which <= RECORD_MAX)
			alike[which]++;
	}
	for (; *segment < n && *segment <= RECORD_MAX; ++*segment)
		if (all + alike[*segment] >= ALIKE_MIN)
			return true;
	return false;
}

static int merge_from(struct ex_learn_paths *p, size_t i)
{
	for (size_t segment = 0; find_merge(p, i, &segment); segment++) {
		int r = make_any(&p->v[i], segment);

		if (r < 0)
			return r;
		absorb_alike(p, i, segment);
	}
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct ex_learn_path *x = a, *y = b;
	int r = strcmp(x->first, y->first);

	return r ? r : strcmp(x->path, y->path);
}

int ex_learn_paths_merge(struct ex_learn_paths *p)
{
	for (size_t i = 0; i < p->n; i++) {
		int r = merge_from(p, i);

		if (r < 0)
			return r;
	}
	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_time);
	return 0;
}

void ex_learn_paths_done(struct ex_learn_paths *p)
{
	for (size_t i = 0; i < p->n; i++)
		path_done(&p->v[i]);
	free(p->v);
	*p = (struct ex_learn_paths){ 0 };
}

/* ---- patterns ---- */

static const char *class_pattern(char class)
{
	switch ((enum ex_learn_class) class) {
	case EX_LEARN_NUMBER:
		return "[0-9]+";
	case EX_LEARN_UUID:
		return "[0-9a-fA-F-]{36}";
	case EX_LEARN_HEX:
		return "[0-9a-fA-F]+";
	case EX_LEARN_WORD:
		return "[A-Za-z0-9_-]+";
	case EX_LEARN_ANY:
		break;
	}
	return "[^/]+";
}

void ex_learn_pattern(const struct ex_learn_path *path, char out[static EX_LEARN_PATTERN_MAX])
{
	size_t n = 0;
	const char *tail;

	/* A record's path, every byte of it escaped, and a class for each segment: it fits. */
	for (const char *p = path->path; *p && n < EX_LEARN_PATTERN_MAX - 64; p++) {
		if (*p <= EX_LEARN_ANY) {
			n += (size_t)snprintf(out + n, EX_LEARN_PATTERN_MAX - n, "%s",
					      class_pattern(*p));
			continue;
		}
		if (strchr(".+*?()|[]{}^$\\", *p))
			out[n++] = '\\';
		out[n++] = *p;
	}
	tail = path->cut ? ".*" : !path->query ? "" : path->bare ? "(\\?.*)?" : "\\?.*";
	snprintf(out + n, EX_LEARN_PATTERN_MAX - n, "%s", tail);
}
