/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/slash.h"

#include "policy/regex.h"

#define PATH_MAX_BYTES 8192
#define SLASHES_MAX    8 /* each costs some matches */

static const char escaped[] = "%2F";
#define ESCAPED_LEN (sizeof(escaped) - 1)

/* The next %2F of the path at or behind `from`; NULL: none before the query or the end. */
static const char *find_slash(struct ex_span path, size_t from)
{
	for (size_t i = from; i < path.len && path.ptr[i] != '?'; i++)
		if (path.len - i >= ESCAPED_LEN && memcmp(path.ptr + i, escaped, ESCAPED_LEN) == 0)
			return path.ptr + i;
	return NULL;
}

bool ex_path_hides_slash(struct ex_span path)
{
	return find_slash(path, 0) != NULL;
}

static bool match(const struct ex_http_match *m, struct ex_span path)
{
	return !m->path || ex_regex_match(m->path, path.ptr ? path.ptr : "", path.len);
}

/*
 * Was the %2F at `at` matched as such? Then nothing else in its place is: no other escape, as "."
 * or "%.." would match, and not its own characters in another order, as a class would.
 */
static bool is_named(const struct ex_http_match *m, struct ex_span path, size_t at)
{
	static const char *const others[] = { "%1F", "%F2", "F2%" };
	char text[PATH_MAX_BYTES];

	memcpy(text, path.ptr, path.len);
	for (size_t i = 0; i < EX_ARRAY_SIZE(others); i++) {
		memcpy(text + at, others[i], ESCAPED_LEN);
		if (match(m, (struct ex_span){ text, path.len }))
			return false;
	}
	return true;
}

bool ex_path_meets(const struct ex_http_match *m, struct ex_span path)
{
	const char *at = find_slash(path, 0);
	size_t n = 0;

	if (!at)
		return match(m, path);
	if (!m->written_path || !strstr(m->written_path, escaped) || path.len > PATH_MAX_BYTES ||
	    !match(m, path))
		return false;
	for (; at; at = find_slash(path, (size_t)(at - path.ptr) + ESCAPED_LEN))
		if (++n > SLASHES_MAX || !is_named(m, path, (size_t)(at - path.ptr)))
			return false;
	return true;
}

/*
 * The path as some server reads it, its query untouched: with a slash for each %2F, without what
 * stands behind a ";" in each segment, or both. out has room for it. Returns its length.
 */
static size_t read_as(struct ex_span path, bool slashes, bool cut, char *out)
{
	const char *query = path.len ? memchr(path.ptr, '?', path.len) : NULL;
	size_t end = query ? (size_t)(query - path.ptr) : path.len, len = 0;
	bool in_parameters = false;

	for (size_t i = 0; i < end; i++) {
		bool slash = slashes && end - i >= ESCAPED_LEN &&
			     memcmp(path.ptr + i, escaped, ESCAPED_LEN) == 0;
		char c = slash ? '/' : path.ptr[i];

		i += slash ? ESCAPED_LEN - 1 : 0;
		in_parameters = cut && c != '/' && (in_parameters || c == ';');
		if (!in_parameters)
			out[len++] = c;
	}
	memcpy(out + len, path.ptr + end, path.len - end);
	return len + path.len - end;
}

bool ex_path_may_mean(const struct ex_http_match *m, struct ex_span path)
{
	char text[PATH_MAX_BYTES];

	if (match(m, path))
		return true;
	if (!ex_path_hides_slash(path) && !(path.len && memchr(path.ptr, ';', path.len)))
		return false;
	if (path.len > sizeof(text))
		return true;
	for (int way = 1; way < 4; way++) {
		size_t len = read_as(path, way & 1, way & 2, text);

		if (match(m, (struct ex_span){ text, len }))
			return true;
	}
	return false;
}
