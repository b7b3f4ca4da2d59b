/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that a regular expression matches: guesses, checked by the matcher itself. */
#include "policy/example.h"
#include "policy/regex.h"

#include <stdio.h>

struct guess {
	struct ex_variant want;
	struct ex_variant *most; /* that the expression has */
};

/* The first of these characters that the atom matches, or 0. */
static char find_match(const char *atom, const char *characters)
{
	struct ex_regex *re;
	char err[64], found = 0;

	if (ex_regex_new(atom, strlen(atom), &re, err, sizeof(err)) < 0)
		return 0;
	for (; *characters && !found; characters++)
		if (ex_regex_match(re, characters, 1))
			found = *characters;
	ex_regex_free(re);
	return found;
}

/* Inside of [ ]: an escape, a named class such as [:alpha:], or one character. */
static size_t class_item_len(const char *s)
{
	const char *end = s[0] == '[' && s[1] == ':' ? strstr(s + 2, ":]") : NULL;

	if (end)
		return (size_t)(end - s) + 2;
	return s[0] == '\\' && s[1] ? 2 : 1;
}

static size_t class_len(const char *s)
{
	size_t i = 1;

	i += s[i] == '^';
	i += s[i] == ']';
	while (s[i] && s[i] != ']')
		i += class_item_len(s + i);
	return s[i] ? i + 1 : i;
}

/* Length of the atom at s: an escape, a class, a group, or one character. */
static size_t atom_len(const char *s)
{
	size_t i = 1;
	int depth = 1;

	if (s[0] == '\\')
		return s[1] ? 2 : 1;
	if (s[0] == '[')
		return class_len(s);
	if (s[0] != '(')
		return 1;
	while (s[i] && depth) {
		depth += (s[i] == '(') - (s[i] == ')');
		i += s[i] == '[' ? class_len(s + i) : s[i] == '\\' && s[i + 1] ? 2 : 1;
	}
	return i;
}

/* How often the atom before s stands there; returns the length of what says it. */
static size_t repetition(const char *s, size_t len, unsigned *least, unsigned *most)
{
	size_t n = 1;
	int end = 0;

	*least = *most = 1;
	if (len && (s[0] == '*' || s[0] == '?'))
		*least = 0;
	else if (len && s[0] == '+')
		*most = 2;
	else if (!len || sscanf(s, "{%u%n", least, &end) != 1 || !end)
		return 0;
	if (end) {
		const char *close = memchr(s, '}', len);

		*most = *least + (s[end] == ',');
		n = close ? (size_t)(close - s) + 1 : len;
	}
	return n + (n < len && s[n] == '?'); /* as few as possible */
}

static size_t emit_sequence(const struct guess *g, const char *s, size_t len, char *buf,
			    size_t room);

static size_t emit_group(const struct guess *g, const char *s, size_t len, char *buf, size_t room)
{
	size_t skip = 1;

	if (len > 2 && s[1] == '?')
		skip = strcspn(s, ":>)") + 1; /* (?:, (?P<name>, or flags alone */
	return len > skip + 1 ? emit_sequence(g, s + skip, len - skip - 1, buf, room) : 0;
}

static size_t emit_atom(const struct guess *g, const char *s, size_t len, char *buf, size_t room)
{
	char atom[128];

	if (room < 2 || s[0] == '^' || s[0] == '$')
		return 0;
	if (s[0] == '(')
		return emit_group(g, s, len, buf, room);
	buf[0] = s[0];
	if (s[0] != '[' && s[0] != '.' && s[0] != '\\')
		return 1;
	if (len >= sizeof(atom))
		return 0;
	memcpy(atom, s, len);
	atom[len] = '\0';
	buf[0] = find_match(atom, "a0/-_.A1x=&%?:,;+@~!$'()*#<>[]{}|^ \"\\`"
				  "bcdefghijklmnopqrstuvwyzBCDEFGHIJKLMNOPQRSTUVWXYZ23456789");
	return buf[0] ? 1 : 0;
}

/* Of the alternatives at this level the one that is wanted, or the last. */
static void pick_alternative(const struct guess *g, const char **s, size_t *len)
{
	const char *from = *s, *end = *s + *len, *stop = end;
	unsigned n = 0;

	for (const char *at = from; at < end; at += atom_len(at)) {
		if (*at != '|')
			continue;
		if (n == g->want.pick)
			stop = at;
		if (++n <= g->want.pick)
			from = at + 1;
	}
	if (n > g->most->pick)
		g->most->pick = n;
	*s = from;
	*len = (size_t)(stop - from);
}

static size_t emit_repeated(const struct guess *g, const char *s, size_t len, unsigned times,
			    char *buf, size_t room)
{
	size_t one = emit_atom(g, s, len, buf, room), o = one;

	for (; one && times > 1 && o + one < room; times--, o += one)
		memcpy(buf + o, buf, one);
	return o;
}

static size_t emit_sequence(const struct guess *g, const char *s, size_t len, char *buf,
			    size_t room)
{
	size_t o = 0;

	pick_alternative(g, &s, &len);
	for (size_t i = 0; i < len;) {
		size_t at = i, n = atom_len(s + i);
		unsigned least, most;

		if (n > len - i)
			break;
		i += n;
		i += repetition(s + i, len - i, &least, &most);
		g->most->more |= most > least;
		least += g->want.more && most > least;
		if (least)
			o += emit_repeated(g, s + at, n, least, buf + o, room - o);
	}
	return o;
}

bool ex_example_of_regex(const char *pattern, const char *fallback, struct ex_variant want,
			 char *buf, size_t size, struct ex_variant *most)
{
	const struct guess g = { want, most };
	struct ex_regex *re;
	char err[64];
	size_t n;
	bool ok;

	if (!pattern) {
		(void)snprintf(buf, size, "%s", fallback);
		return true;
	}
	n = emit_sequence(&g, pattern, strlen(pattern), buf, size - 1);
	buf[n] = '\0';
	if (ex_regex_new(pattern, strlen(pattern), &re, err, sizeof(err)) < 0)
		return false;
	ok = ex_regex_match(re, buf, n);
	ex_regex_free(re);
	return ok;
}
