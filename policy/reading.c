/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/reading.h"

#include "policy/field.h"
#include "policy/regex.h"

#define SLASHES_MAX 8 /* each costs some matches */

static const char escaped[] = "%2F";
#define ESCAPED_LEN (sizeof(escaped) - 1)

/* Ways to read a path; any of them may go together. */
enum {
	WAY_SLASH = 1,    /* %2F is a slash */
	WAY_CUT = 2,      /* there are no parameters */
	WAY_END = 4,      /* %3F and %23 end it */
	WAY_NO_QUERY = 8, /* there is no query */
	WAYS = 16,
};

static size_t path_len(struct ex_span path)
{
	const char *query = path.len ? memchr(path.ptr, '?', path.len) : NULL;

	return query ? (size_t)(query - path.ptr) : path.len;
}

static bool is_at(struct ex_span path, size_t i, const char *escape)
{
	return path.len - i >= ESCAPED_LEN && memcmp(path.ptr + i, escape, ESCAPED_LEN) == 0;
}

/* The next %2F of the path at or behind `from`; NULL: none before the query or the end. */
static const char *find_slash(struct ex_span path, size_t from)
{
	size_t len = path_len(path);
	const char *at, *end;

	if (len <= from)
		return NULL;
	end = path.ptr + len;
	for (at = path.ptr + from; at < end && (at = memchr(at, '%', (size_t)(end - at))); at++)
		if (is_at(path, (size_t)(at - path.ptr), escaped))
			return at;
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
	char text[EX_PATH_TEXT] EX_UNSET;

	memcpy(text, path.ptr, path.len);
	for (size_t i = 0; i < EX_ARRAY_SIZE(others); i++) {
		memcpy(text + at, others[i], ESCAPED_LEN);
		if (match(m, (struct ex_span){ text, path.len }))
			return false;
	}
	return true;
}

static bool slashes_are_named(const struct ex_http_match *m, struct ex_span path)
{
	const char *at = find_slash(path, 0);
	size_t n = 0;

	if (at && (!m->written_path || !strstr(m->written_path, escaped)))
		return false;
	for (; at; at = find_slash(path, (size_t)(at - path.ptr) + ESCAPED_LEN))
		if (++n > SLASHES_MAX || !is_named(m, path, (size_t)(at - path.ptr)))
			return false;
	return true;
}

/*
 * The ways in which the path can be read. Those that the text of a rule names are none: it has
 * thought of them. NULL: nothing is named.
 */
static unsigned ways_of(struct ex_span path, const char *named)
{
	static const struct {
		char text[ESCAPED_LEN + 1];
		unsigned way;
	} marks[] = {
		{ "%2F", WAY_SLASH }, { "%3B", WAY_CUT }, { "%3F", WAY_END }, { "%23", WAY_END }
	};
	size_t len = path_len(path);
	unsigned ways = len < path.len ? WAY_NO_QUERY : 0;
	const char *at = path.ptr, *end;

	if (len == 0)
		return ways;
	end = path.ptr + len;
	if (memchr(path.ptr, ';', len) && !(named && strchr(named, ';')))
		ways |= WAY_CUT;
	while (at < end && (at = memchr(at, '%', (size_t)(end - at)))) {
		for (size_t k = 0; k < EX_ARRAY_SIZE(marks); k++)
			if (is_at(path, (size_t)(at - path.ptr), marks[k].text) &&
			    !(named && strstr(named, marks[k].text)))
				ways |= marks[k].way;
		at++;
	}
	return ways;
}

/* The path read in these ways. out has room for it. Returns its length. */
static size_t read_as(struct ex_span path, unsigned ways, char *out)
{
	size_t end = path_len(path), len = 0;
	bool in_parameters = false;

	for (size_t i = 0; i < end; i++) {
		bool slash = (ways & WAY_SLASH) && is_at(path, i, escaped);
		char c = slash ? '/' : path.ptr[i];

		if ((ways & WAY_END) && (is_at(path, i, "%3F") || is_at(path, i, "%23")))
			break;
		i += slash ? ESCAPED_LEN - 1 : 0;
		in_parameters = (ways & WAY_CUT) && c != '/' &&
				(in_parameters || c == ';' || is_at(path, i, "%3B"));
		if (!in_parameters)
			out[len++] = c;
	}
	if (ways & WAY_NO_QUERY)
		return len;
	memcpy(out + len, path.ptr + end, path.len - end);
	return len + path.len - end;
}

bool ex_path_readings(struct ex_path_readings *r, struct ex_span path)
{
	r->path = path;
	r->ways = ways_of(path, NULL);
	r->next = 0;
	return path.len <= sizeof(r->text);
}

/* The next subset of all ways. */
bool ex_path_next(struct ex_path_readings *r, struct ex_span *ret)
{
	unsigned ways = r->next;

	if (ways == WAYS)
		return false;
	r->next = ways == r->ways ? WAYS : (ways - r->ways) & r->ways;
	*ret = ways ? (struct ex_span){ r->text, read_as(r->path, ways, r->text) } : r->path;
	return true;
}

bool ex_path_meets(const struct ex_http_match *m, struct ex_span path)
{
	struct ex_path_readings r EX_UNSET;
	struct ex_span text;

	if (path.len > EX_PATH_TEXT || !match(m, path) || !slashes_are_named(m, path))
		return false;
	r.path = path;
	r.next = 0;
	r.ways = ways_of(path, m->written_path) & (WAY_CUT | WAY_END);
	while (r.ways && ex_path_next(&r, &text))
		if (!match(m, text))
			return false;
	return true;
}

bool ex_path_may_mean(const struct ex_http_match *m, struct ex_span path)
{
	struct ex_path_readings r EX_UNSET;
	struct ex_span text;

	if (!ex_path_readings(&r, path))
		return true;
	while (ex_path_next(&r, &text))
		if (match(m, text))
			return true;
	return false;
}

/* ---- fields ---- */

bool ex_request_names_object(const struct ex_http_request *req)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (ex_field_names_object(req->headers[i].name))
			return true;
	return false;
}

static bool names_field(const struct ex_http_match *m, struct ex_span name)
{
	for (size_t i = 0; i < m->n_headers; i++)
		if (ex_field_same(ex_span_str(m->headers[i].name), name))
			return true;
	for (size_t i = 0; i < m->n_matches; i++)
		if (ex_field_same(ex_span_str(m->matches[i].name), name))
			return true;
	return false;
}

bool ex_rule_names_objects(const struct ex_http_match *m, const struct ex_http_request *req)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (ex_field_names_object(req->headers[i].name) &&
		    !names_field(m, req->headers[i].name))
			return false;
	return true;
}
