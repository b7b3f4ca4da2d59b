/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/reading.h"

#include "exeat/text.h"
#include "policy/field.h"
#include "policy/regex.h"

#define TRIED_MAX     8 /* each costs some matches */
#define BITS          64
#define READINGS_TEXT (32 * 1024) /* of all readings of a path; each rule may match that much */

/* Ways to read a path; any of them may go together. */
enum {
	WAY_SLASH = EX_WAY_SLASH, /* %2F is a slash */
	WAY_CUT = 2,              /* ; begins parameters, which are cut off; behind %3F it is & */
	WAY_CUT_ESCAPED = 4,      /* so does %3B */
	WAY_QUERY = 8,            /* %3F ends the path */
	WAY_FRAGMENT = 16,        /* %23 does */
	WAY_PLAIN = EX_WAY_PLAIN, /* an escape is the byte it stands for, %3F so before a query */
	WAY_NO_QUERY = 64,        /* there is no query */
	WAY_PART = 128,           /* in a query ; is & */
	WAY_TEXT = 256, /* every other escape is its byte, in a query too, and + there a blank */
	WAYS = 512,
};

#define WAYS_TO_CUT (WAY_CUT | WAY_CUT_ESCAPED)
#define WAYS_TO_END (WAY_QUERY | WAY_FRAGMENT)

/* What has more than one reading: a semicolon, or an escape. */
struct mark {
	size_t at, len;
	unsigned ways; /* 0: it has but one */
	char plain;    /* what it stands for */
};

static size_t path_len(struct ex_span path)
{
	const char *query = path.len ? memchr(path.ptr, '?', path.len) : NULL;

	return query ? (size_t)(query - path.ptr) : path.len;
}

/* Of the bytes that stand for themselves in a path those that are often escaped nevertheless. */
static unsigned ways_of_escape(char plain)
{
	switch (plain) {
	case '/':
		return WAY_SLASH;
	case '?':
		return WAY_QUERY | WAY_PLAIN;
	case '#':
		return WAY_FRAGMENT;
	case ';':
		return WAY_CUT_ESCAPED | WAY_PLAIN;
	}
	return plain && strchr("!$&'()*+,:=@[]^|", plain) ? WAY_PLAIN : 0;
}

static struct mark mark_at(struct ex_span path, size_t at)
{
	const char *s = path.ptr + at;
	struct mark k = { .at = at, .len = 1, .plain = s[0] };
	int hi, lo;

	if (s[0] == ';')
		k.ways = WAY_CUT;
	if (s[0] != '%' || path.len - at < 3)
		return k;
	hi = ex_hex_value(s[1]);
	lo = ex_hex_value(s[2]);
	if (hi < 0 || lo < 0)
		return k;
	k.len = 3;
	k.plain = (char)(hi << 4 | lo);
	k.ways = ways_of_escape(k.plain);
	return k;
}

/* The next one at or behind k->at; false: there is none. path_end: see path_len(). */
static bool find_mark(struct ex_span path, size_t path_end, struct mark *k)
{
	const char *semicolon;
	size_t at = k->at;

	for (; at < path_end; at++) {
		if (path.ptr[at] != ';' && path.ptr[at] != '%')
			continue;
		*k = mark_at(path, at);
		if (k->ways)
			return true;
	}
	semicolon = at < path.len ? memchr(path.ptr + at, ';', path.len - at) : NULL;
	if (semicolon)
		*k = (struct mark){ (size_t)(semicolon - path.ptr), 1, WAY_PART, ';' };
	return semicolon;
}

unsigned ex_path_ways(struct ex_span path)
{
	size_t end = path_len(path);
	unsigned ways = end < path.len ? WAY_NO_QUERY : 0;

	for (struct mark k = { 0 }; find_mark(path, end, &k); k.at += k.len)
		ways |= k.ways;
	return ways;
}

/* What a rule that denies may name by the byte: a blank, "é", all that a query can hold. */
static bool has_text(struct ex_span path)
{
	size_t end = path_len(path);
	struct mark k;

	for (size_t at = 0; at < end; at += k.len) {
		k = mark_at(path, at);
		if (k.len == 3 && !k.ways)
			return true;
	}
	for (size_t at = end; at < path.len; at++)
		if (path.ptr[at] == '+' || mark_at(path, at).len == 3)
			return true;
	return false;
}

static bool match(const struct ex_http_match *m, struct ex_span path)
{
	return !m->path || ex_regex_match(m->path, path.ptr ? path.ptr : "", path.len);
}

#define OTHERS 4

/*
 * Something else in the mark's place, nth of OTHERS. Of an escape: its characters in another order,
 * one beside it that no normal form has (a digit's, a letter's, a dot's), a control byte, UTF-8.
 */
static void put_other(char *at, struct ex_span mark, size_t nth)
{
	static const char *const escapes[] = { "%1F", "%F2" };

	memcpy(at, mark.ptr, mark.len);
	if (mark.len == 1) {
		at[0] = "aA0,"[nth];
	} else if (nth >= 2) {
		memcpy(at, escapes[nth - 2], mark.len);
	} else if (nth == 1) {
		at[2] = at[1] == '2' ? 'E' : '5';
	} else {
		memmove(at, at + 1, mark.len - 1);
		at[mark.len - 1] = mark.ptr[0];
	}
}

static bool is_written(const struct ex_http_match *m, struct ex_span path, const struct mark *k)
{
	return m->written_path &&
	       memmem(m->written_path, strlen(m->written_path), path.ptr + k->at, k->len);
}

/*
 * Was it, which the rule's text has, matched as such? Then nothing else in its place is: no other
 * byte or escape, as "." or "%.." would take, and not its own characters in another order, as
 * a class would.
 */
static bool is_named(const struct ex_http_match *m, struct ex_span path, const struct mark *k)
{
	struct ex_span mark = { path.ptr + k->at, k->len };
	char text[EX_PATH_TEXT] EX_UNSET;

	memcpy(text, path.ptr, path.len);
	for (size_t i = 0; i < OTHERS; i++) {
		put_other(text + k->at, mark, i);
		if (match(m, (struct ex_span){ text, path.len }))
			return false;
	}
	return true;
}

/*
 * Which of the marks the rule has thought of, bit by bit; they have one reading then. *ret_ways:
 * those of the others.
 */
static uint64_t find_named(const struct ex_http_match *m, struct ex_span path, unsigned *ret_ways)
{
	size_t end = path_len(path), n = 0, n_tried = 0;
	uint64_t named = 0;

	*ret_ways = 0;
	for (struct mark k = { 0 }; find_mark(path, end, &k); k.at += k.len, n++) {
		bool tried = n < BITS && n_tried < TRIED_MAX && is_written(m, path, &k);

		n_tried += tried;
		if (tried && is_named(m, path, &k))
			named |= UINT64_C(1) << n;
		else
			*ret_ways |= k.ways;
	}
	return named;
}

/* How much from here on is neither a mark nor ends parameters. */
static size_t plain_len(struct ex_span path, size_t at, size_t end)
{
	size_t from = at;

	while (at < end && path.ptr[at] != ';' && path.ptr[at] != '%' && path.ptr[at] != '/')
		at++;
	return at - from;
}

static bool has_bit(uint64_t named, size_t n)
{
	return n < BITS && named >> n & 1;
}

/* The query, of which the first mark is the nth. */
static size_t read_query(struct ex_span query, unsigned ways, uint64_t named, size_t n, char *out)
{
	size_t len = 0;
	struct mark k;

	if (!(ways & (WAY_PART | WAY_TEXT))) {
		memcpy(out, query.ptr, query.len);
		return query.len;
	}
	for (size_t at = 0; at < query.len; at += k.len) {
		k = mark_at(query, at);
		if (query.ptr[at] == ';' && ways & WAY_PART && !has_bit(named, n++))
			k.plain = '&';
		else if (query.ptr[at] == '+' && ways & WAY_TEXT)
			k.plain = ' ';
		else if (!(ways & WAY_TEXT))
			k = (struct mark){ .len = 1, .plain = query.ptr[at] };
		out[len++] = k.plain;
	}
	return len;
}

/* The path read in these ways, but for marks that are named. out has room. Returns its length. */
static size_t read_as(struct ex_span path, unsigned ways, uint64_t named, char *out)
{
	bool in_parameters = false, in_query = false, ended = false;
	size_t end = path_len(path), len = 0, n = 0;
	struct mark k;

	for (size_t at = 0; at < end; at += k.len) {
		k = (struct mark){ .len = plain_len(path, at, end) };
		if (k.len == 0)
			k = mark_at(path, at);
		if (k.len == 3 && k.plain && !k.ways)
			k.ways = WAY_TEXT;
		else if (k.ways && has_bit(named, n++))
			k.ways = 0;
		k.ways &= ways;
		ended |= k.ways & WAYS_TO_END;
		in_query |= k.ways && k.plain == '?';
		if (k.ways & WAYS_TO_CUT && in_query)
			k.plain = '&';
		else if (k.ways & WAYS_TO_CUT)
			in_parameters = true;
		if ((k.len == 1 || k.ways) && (k.plain == '/' || k.plain == '?'))
			in_parameters = false;
		if (in_parameters || ended)
			continue;
		if (k.ways)
			out[len] = k.plain;
		else
			memcpy(out + len, path.ptr + at, k.len);
		len += k.ways ? 1 : k.len;
	}
	if (ways & WAY_NO_QUERY || end == path.len)
		return len;
	path.ptr += end;
	path.len -= end;
	return len + read_query(path, ways, named, n, out + len);
}

/* False: reading it in all of these ways would take longer than a request is worth. */
static bool begin(struct ex_path_readings *r, struct ex_span path, unsigned ways)
{
	r->path = path;
	r->ways = ways;
	r->named = 0;
	r->next = 0;
	return path.len <= sizeof(r->text) && path.len << __builtin_popcount(ways) <= READINGS_TEXT;
}

bool ex_path_readings(struct ex_path_readings *r, struct ex_span path)
{
	return begin(r, path, ex_path_ways(path) | (has_text(path) ? WAY_TEXT : 0));
}

/* The next subset of all ways. */
bool ex_path_next(struct ex_path_readings *r, struct ex_span *ret)
{
	unsigned ways = r->next;

	if (ways == WAYS)
		return false;
	r->next = ways == r->ways ? WAYS : (ways - r->ways) & r->ways;
	*ret = ways ? (struct ex_span){ r->text, read_as(r->path, ways, r->named, r->text) }
		    : r->path;
	return true;
}

bool ex_path_meets(const struct ex_http_match *m, struct ex_span path, unsigned ways)
{
	struct ex_path_readings r EX_UNSET;
	struct ex_span text;
	uint64_t named;

	if (!m->path)
		return !(ways & WAY_SLASH);
	if (path.len > EX_PATH_TEXT || !match(m, path))
		return false;
	if (!(ways & ~(unsigned)WAY_NO_QUERY))
		return true;
	named = find_named(m, path, &ways);
	if (ways & WAY_SLASH || !begin(&r, path, ways))
		return false;
	r.named = named;
	(void)ex_path_next(&r, &text); /* the path as it is */
	while (ex_path_next(&r, &text))
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
