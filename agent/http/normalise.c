/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One normal form for the request target, judged and forwarded alike. Whatever some server might
 * read as another path (a dot segment, an empty segment, an escaped separator, a second layer of
 * escapes, an overlong UTF-8 form) is refused: it has no honest use, and guessing how the far side
 * reads it is how path rules are walked around.
 */
#include <errno.h>
#include <sys/types.h>

#include "agent/core/json.h"
#include "agent/http/chars.h"
#include "agent/http/http1.h"

/*
 * Escapes that stay escapes. In a path none may hide a backslash, an escape or a control byte. %2F
 * is kept for rules that name it; no other lets it pass (policy/reading.h).
 */
static bool escape_is_kept(unsigned char c, bool query)
{
	if (query)
		return c != 0;
	return c > 0x20 ? c != '\\' && c != '%' && c != 0x7f : c == 0x20;
}

/* Reads up to cap escapes in a row ("%C3%A4") as bytes; returns how many. */
static size_t escapes_read(struct ex_span in, size_t at, char *out, size_t cap)
{
	size_t n = 0;

	for (; n < cap && in.len - at >= 3 && in.ptr[at] == '%'; at += 3) {
		int hi = ex_hex_value((unsigned char)in.ptr[at + 1]);
		int lo = ex_hex_value((unsigned char)in.ptr[at + 2]);

		if (hi < 0 || lo < 0)
			break;
		out[n++] = (char)(hi << 4 | lo);
	}
	return n;
}

struct writer {
	char *out;
	size_t len, cap;
};

static int put(struct writer *w, unsigned char c)
{
	if (w->len == w->cap)
		return -EINVAL;
	w->out[w->len++] = (char)c;
	return 0;
}

static int put_escape(struct writer *w, unsigned char c)
{
	static const char hex[] = "0123456789ABCDEF";

	if (put(w, '%') || put(w, (unsigned char)hex[c >> 4]) || put(w, (unsigned char)hex[c & 15]))
		return -EINVAL;
	return 0;
}

/* One or, for UTF-8 in a path, several escapes. Returns the input bytes used or -EINVAL. */
static ssize_t escape_copy(struct ex_span in, size_t at, bool query, struct writer *w)
{
	char b[4] = { 0 };
	size_t n = escapes_read(in, at, b, sizeof(b)), use = 1;
	unsigned char first = (unsigned char)b[0];
	uint32_t cp;

	if (n == 0)
		return -EINVAL;
	if (ex_is_unreserved(first))
		return put(w, first) ? -EINVAL : 3;
	if (!escape_is_kept(first, query))
		return -EINVAL;
	if (!query) {
		use = ex_utf8_decode(b, n, &cp);
		if (use == 0)
			return -EINVAL;
	}
	for (size_t i = 0; i < use; i++)
		if (put_escape(w, (unsigned char)b[i]))
			return -EINVAL;
	return (ssize_t)use * 3;
}

/* Bytes of the escapes at s that are one of those in list; 0: none is. */
static size_t escape_of(const char *s, size_t len, const char *const *list)
{
	if (len == 0 || s[0] != '%')
		return 0;
	for (; *list; list++) {
		size_t n = strlen(*list);

		if (len >= n && memcmp(s, *list, n) == 0)
			return n;
	}
	return 0;
}

/*
 * A segment in normal form that some server climbs by or drops: "." or "..", also with blanks or
 * dots behind (Windows cuts those off), with parameters behind, which servlet containers cut off
 * before they resolve dots ("/..;x/"), or with what ends the path of who has it unescaped
 * ("/..%3F"), and in look-alikes, which become dots where Unicode is folded (U+2024, U+2025,
 * U+FE52, U+FF0E). Also an empty one, unless it may be.
 */
static bool segment_is_treacherous(const char *seg, size_t len, bool may_be_empty)
{
	static const char *const dots[] = { "%20",       "%E2%80%A4", "%E2%80%A5",
					    "%EF%B9%92", "%EF%BC%8E", NULL };
	static const char *const semicolon[] = { "%3B", NULL };
	static const char *const ends[] = { "%3F", "%23", NULL };
	size_t i = 0;

	while (i < len && seg[i] != ';' && !escape_of(seg + i, len - i, semicolon)) {
		size_t n = seg[i] == '.' ? 1 : escape_of(seg + i, len - i, dots);

		if (n == 0)
			return i > 0 && escape_of(seg + i, len - i, ends);
		i += n;
	}
	return len > 0 || !may_be_empty;
}

/*
 * Parameters by which web frameworks let a POST be another method, and Google's APIs have other
 * header fields ("$httpHeaders"). Some make names of others: PHP takes ".method" and "+_method" for
 * "_method", and a parser of node's takes "[_method]" for it. So only letters and digits count, and
 * whether something else stands before them.
 */
static bool is_override(struct ex_span name)
{
	static const char *const names[] = {
		"method",      "httpmethod",      "httpheaders",
		"xhttpmethod", "xmethodoverride", "xhttpmethodoverride"
	};
	char letters[sizeof("xhttpmethodoverride")] = "";
	bool led = false; /* "method" alone is a name like any */
	size_t n = 0;

	for (size_t i = 0; i < name.len; i++) {
		if (ex_char_is(name.ptr[i], EX_CHAR_ALNUM)) {
			if (n + 1 == sizeof(letters))
				return false;
			letters[n++] = ex_lower(name.ptr[i]);
		} else {
			led |= n == 0;
			i += name.ptr[i] == '%' ? 2 : 0; /* in normal form: two digits follow */
		}
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++)
		if (strcmp(letters, names[i]) == 0)
			return led || names[i][0] == 'x';
	return false;
}

static bool query_is_safe(const char *query, size_t len)
{
	size_t start = 0, end = 0;

	for (size_t i = 0; i <= len; i++) {
		bool separator = i == len || query[i] == '&' || query[i] == ';';

		if (end == start && (separator || query[i] == '=')) {
			if (is_override((struct ex_span){ query + start, i - start }))
				return false;
			end = i + 1; /* the rest, up to the next separator, is value */
		}
		if (separator)
			start = end = i + 1;
	}
	return true;
}

/*
 * The same of what some servers make a query of: what stands behind "&" in "/index.php?url=PATH",
 * or behind a "?" that was unescaped before the path is split.
 */
static bool path_is_no_query(const char *path, size_t len)
{
	char query[EX_H1_TARGET_MAX] EX_UNSET;
	bool begun = false;
	size_t n = 0;

	if (!memchr(path, '=', len) && !memchr(path, '%', len))
		return true;
	if (len > sizeof(query))
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = path[i];

		if (c == '%' && escapes_read((struct ex_span){ path, len }, i, &c, 1))
			i += 2;
		if (begun)
			query[n++] = (char)(c == '?' ? '&' : c);
		begun |= c == '?' || c == '&' || c == ';';
	}
	return query_is_safe(query, n);
}

/*
 * Segments end also at what only some servers read as a slash: %2F, and where Unicode is folded
 * U+2044, U+2215, U+FF0F, or as a backslash U+FF3C, U+FE68, U+2216 and, by Windows in Japan and
 * Korea, the yen and won signs. Beside one of these there may be nothing, and behind the last slash
 * ("/v1/").
 */
static bool path_is_safe(const char *path, size_t len)
{
	static const char *const slash[] = { "%2F", NULL };
	static const char *const alike[] = { "%E2%81%84", "%E2%88%95", "%EF%BC%8F",
					     "%EF%BC%BC", "%EF%B9%A8", "%E2%88%96",
					     "%C2%A5",    "%E2%82%A9", NULL };
	bool was_alike = false;
	size_t start = 1;

	for (size_t i = 1; i <= len; i++) {
		size_t escaped = escape_of(path + i, len - i, slash);
		size_t folded = escape_of(path + i, len - i, alike);

		if (i < len && path[i] != '/' && !escaped && !folded)
			continue;
		if (segment_is_treacherous(path + start, i - start,
					   i == len || folded || was_alike))
			return false;
		was_alike = folded;
		start = i + (escaped || folded ? escaped + folded : 1);
	}
	return true;
}

/*
 * Path or query, up to its end or a byte that may not be in it. Bytes that stand for themselves:
 * beyond RFC 3986, those that browsers leave unescaped, too. Returns where it stopped or -EINVAL.
 */
static ssize_t part_copy(struct ex_span in, size_t at, bool query, struct writer *w)
{
	ssize_t used = 1;

	while (at < in.len && used > 0) {
		size_t n = ex_chars_run(in.ptr + at, in.len - at,
					query ? EX_CHAR_QUERY : EX_CHAR_PATH);

		if (n > w->cap - w->len)
			return -EINVAL;
		memcpy(w->out + w->len, in.ptr + at, n);
		w->len += n;
		at += n;
		used = at < in.len && in.ptr[at] == '%' ? escape_copy(in, at, query, w) : 0;
		if (used < 0)
			return -EINVAL;
		at += (size_t)used;
	}
	return (ssize_t)at;
}

ssize_t ex_h1_normalise(struct ex_span target, char *out, size_t cap)
{
	struct writer w = { .out = out, .cap = cap };
	ssize_t at = part_copy(target, 0, false, &w);
	size_t path_len = w.len;

	if (target.len == 0 || target.ptr[0] != '/' || at < 0)
		return -EINVAL;
	if ((size_t)at < target.len && target.ptr[at] == '?')
		at = put(&w, '?') ? -EINVAL : part_copy(target, (size_t)at + 1, true, &w);
	if (at < 0 || (size_t)at != target.len || !path_is_safe(out, path_len) ||
	    !path_is_no_query(out, path_len))
		return -EINVAL;
	if (w.len > path_len && !query_is_safe(out + path_len + 1, w.len - path_len - 1))
		return -EINVAL;
	return (ssize_t)w.len;
}
