/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dot in a pattern matches only a dot and a star never matches one, so pattern and name are
 * compared label by label; inside a label the usual "go back to the last star" needs no recursion
 * and at most len(label) * len(pattern label) steps.
 */
#include "policy/name.h"

#include "exeat/text.h"

static bool is_name_char(char c)
{
	return ex_is_alnum(c) || c == '-' || c == '_';
}

static const char *check_alphabet(const char *text, size_t len, bool wildcard)
{
	if (len == 0)
		return "is empty";
	if (len > EX_NAME_PATTERN_MAX)
		return "is longer than 255 characters";
	for (size_t i = 0; i < len; i++) {
		if (is_name_char(text[i]) || text[i] == '.')
			continue;
		if (text[i] == '*' && wildcard)
			continue;
		if (text[i] == '*')
			return "has a star, which only matchPattern may have";
		return "has a character other than A-Z a-z 0-9 - _ . (write non-ASCII names as "
		       "A-labels, xn--...)";
	}
	return NULL;
}

static bool is_stars(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] != '*')
			return false;
	}
	return len > 0;
}

/* Lower case, one trailing dot removed, runs of stars made one. */
static char *canonical_pattern(const char *text, size_t len, bool squeeze, struct ex_arena *arena,
			       size_t *ret_len)
{
	char *out = ex_arena_alloc(arena, len + 1, 1);
	size_t o = 0;

	if (!out)
		return NULL;
	if (len && text[len - 1] == '.')
		len--;
	for (size_t i = 0; i < len; i++) {
		if (squeeze && text[i] == '*' && o && out[o - 1] == '*')
			continue;
		out[o++] = ex_lower(text[i]);
	}
	out[o] = '\0';
	*ret_len = o;
	return out;
}

const char *ex_name_pattern_parse(const char *text, size_t len, bool wildcard,
				  struct ex_arena *arena, struct ex_name_pattern *ret)
{
	struct ex_name_pattern p = { .kind = EX_NAME_EXACT };
	const char *wrong = check_alphabet(text, len, wildcard);
	size_t stars = 0;

	if (wrong)
		return wrong;
	p.written = ex_arena_strndup(arena, text, len);
	while (stars < len && text[stars] == '*')
		stars++;
	if (stars && (stars == len || (stars + 1 == len && text[stars] == '.'))) {
		p.kind = EX_NAME_ANY;
	} else if (stars >= 2 && text[stars] == '.') {
		p.kind = EX_NAME_TAIL;
		text += stars + 1;
		len -= stars + 1;
	} else if (memchr(text, '*', len)) {
		p.kind = EX_NAME_GLOB;
	}
	p.text = canonical_pattern(text, len, true, arena, &p.len);
	if (!p.text || !p.written)
		return "does not fit into memory";
	*ret = p;
	return NULL;
}

const char *ex_sni_pattern_parse(const char *text, size_t len, struct ex_arena *arena,
				 struct ex_name_pattern *ret)
{
	struct ex_name_pattern p = { .kind = EX_NAME_SNI };
	const char *wrong = check_alphabet(text, len, true);
	size_t start = 0;

	if (wrong)
		return wrong;
	if (text[len - 1] == '.')
		return "ends with a dot, which a TLS server name never does";
	for (size_t i = 0; i <= len; i++) {
		if (i < len && text[i] != '.')
			continue;
		if (i == start)
			return "has an empty label";
		if (memmem(text + start, i - start, "**", 2) &&
		    (i - start > 2 || !is_stars(text + start, i - start)))
			return "has ** that is not a whole label";
		start = i + 1;
	}
	p.written = ex_arena_strndup(arena, text, len);
	if (len == 1 && text[0] == '*')
		text = "**", len = 2; /* alone, one star stands for one or more labels too */
	if (!memchr(text, '*', len))
		p.kind = EX_NAME_EXACT;
	p.text = canonical_pattern(text, len, false, arena, &p.len);
	if (!p.text || !p.written)
		return "does not fit into memory";
	*ret = p;
	return NULL;
}

bool ex_name_is_all_wild(const struct ex_name_pattern *p)
{
	return p->kind != EX_NAME_TAIL && strspn(p->text, "*.") == p->len;
}

/* One label against one pattern label. */
static bool match_label(struct ex_span pat, struct ex_span label)
{
	size_t p = 0, l = 0, star = SIZE_MAX, resume = 0;

	while (l < label.len) {
		if (p < pat.len && pat.ptr[p] == '*') {
			star = p++;
			resume = l;
		} else if (p < pat.len && pat.ptr[p] == label.ptr[l]) {
			p++;
			l++;
		} else if (star != SIZE_MAX && is_name_char(label.ptr[resume])) {
			l = ++resume;
			p = star + 1;
		} else {
			return false;
		}
	}
	while (p < pat.len && pat.ptr[p] == '*')
		p++;
	return p == pat.len;
}

/* Cuts the first label off; *more says whether a dot followed. */
static struct ex_span cut_label(struct ex_span *rest, bool *more)
{
	const char *dot = rest->len ? memchr(rest->ptr, '.', rest->len) : NULL;
	struct ex_span label = *rest;

	*more = dot != NULL;
	if (dot) {
		label.len = (size_t)(dot - rest->ptr);
		rest->ptr = dot + 1;
		rest->len -= label.len + 1;
	} else {
		rest->ptr += rest->len;
		rest->len = 0;
	}
	return label;
}

static bool match_labels(struct ex_span pat, struct ex_span name)
{
	bool more_p = true, more_n = true;

	while (more_p && more_n) {
		struct ex_span p = cut_label(&pat, &more_p);
		struct ex_span n = cut_label(&name, &more_n);

		if (!match_label(p, n))
			return false;
	}
	return more_p == more_n;
}

static bool is_label(struct ex_span label)
{
	for (size_t i = 0; i < label.len; i++) {
		if (!is_name_char(label.ptr[i]))
			return false;
	}
	return label.len > 0;
}

/* One or more labels, every one made of C+. */
static bool is_name(struct ex_span name)
{
	bool more = true;

	while (more) {
		if (!is_label(cut_label(&name, &more)))
			return false;
	}
	return true;
}

static size_t count_labels(struct ex_span s)
{
	size_t n = 1;

	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == '.';
	return n;
}

/* The pattern has a fixed number of labels, so where the leading ones of the name end is given. */
static bool match_tail(struct ex_span pat, struct ex_span name)
{
	size_t np = count_labels(pat), nn = count_labels(name);
	bool more = true;

	if (nn <= np)
		return false;
	for (size_t i = nn - np; i > 0; i--) {
		if (!is_label(cut_label(&name, &more)))
			return false;
	}
	return match_labels(pat, name);
}

/* Labels with "**" among them: the go-back-to-the-last-star loop again, one level up. */
static bool match_sni(struct ex_span pat, struct ex_span name)
{
	struct ex_span star_pat = { 0 }, star_name = { 0 };
	bool have_star = false, more_p = true, more_n = true, star_more_p = false;

	if (!is_name(name))
		return false;
	while (more_n) {
		struct ex_span p_rest = pat, n_rest = name;
		bool p_more = more_p, n_more = more_n;

		if (more_p) {
			struct ex_span p = cut_label(&p_rest, &p_more);
			struct ex_span n = cut_label(&n_rest, &n_more);

			if (p.len == 2 && memcmp(p.ptr, "**", 2) == 0) {
				have_star = true;
				star_pat = pat = p_rest;
				star_more_p = more_p = p_more;
				star_name = name = n_rest;
				more_n = n_more;
				continue;
			}
			if (match_label(p, n)) {
				pat = p_rest;
				more_p = p_more;
				name = n_rest;
				more_n = n_more;
				continue;
			}
		}
		if (!have_star || star_name.len == 0)
			return false;
		/* the last ** takes one label more */
		(void)cut_label(&star_name, &more_n);
		name = star_name;
		pat = star_pat;
		more_p = star_more_p;
	}
	return !more_p;
}

bool ex_name_match(const struct ex_name_pattern *p, struct ex_span name)
{
	struct ex_span pat = { p->text, p->len };

	switch (p->kind) {
	case EX_NAME_NONE:
		return false;
	case EX_NAME_EXACT:
		return ex_span_eq(pat, name);
	case EX_NAME_ANY:
		return name.len == 0 || is_name(name);
	case EX_NAME_GLOB:
		return match_labels(pat, name);
	case EX_NAME_TAIL:
		return match_tail(pat, name);
	case EX_NAME_SNI:
		return match_sni(pat, name);
	}
	return false;
}
