/* SPDX-License-Identifier: Apache-2.0 */
/* The only user of RE2. No exceptions: allocation failure inside RE2 ends the process, denied. */
#include "policy/regex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <new>
#include <string>
#include <re2/re2.h>

/* Program plus lazily built automata of one pattern; beyond it RE2 falls back to its slower but
 * equally linear matcher, or refuses the pattern when even the program does not fit. */
static const int64_t MEM_MAX = 512 * 1024;

enum fast { FAST_NONE, FAST_LITERAL, FAST_PREFIX };

struct ex_regex {
	RE2 *re;
	enum fast fast;
	std::string literal;
};

static bool is_literal(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c >= 0x7f || strchr("\\.+*?()|[]{}^$", c))
			return false;
	}
	return true;
}

/* Go's regexp, which admits the policy upstream, has no \C (any byte); RE2 alone would take it. */
static bool has_any_byte(const char *s, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (s[i] != '\\')
			continue;
		if (s[i + 1] == 'C')
			return true;
		i++;
	}
	return false;
}

static RE2 *compile(const char *pattern, size_t len)
{
	RE2::Options opt(RE2::Quiet);

	opt.set_max_mem(MEM_MAX);
	return new (std::nothrow) RE2(re2::StringPiece(pattern, len), opt);
}

/* RE2 quotes the pattern in its messages: foreign bytes. */
static void copy_error(const std::string &from, char *err, size_t err_size)
{
	snprintf(err, err_size, "%s", from.c_str());
	for (char *p = err; *p; p++) {
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	}
}

int ex_regex_new(const char *pattern, size_t len, struct ex_regex **ret, char *err, size_t err_size)
{
	struct ex_regex *re;

	if (len > EX_REGEX_LEN_MAX) {
		snprintf(err, err_size, "longer than %d characters", EX_REGEX_LEN_MAX);
		return -EINVAL;
	}
	if (has_any_byte(pattern, len)) {
		snprintf(err, err_size, "invalid escape sequence: \\C");
		return -EINVAL;
	}
	re = new (std::nothrow) ex_regex();
	if (!re)
		return -ENOMEM;
	re->re = compile(pattern, len);
	if (!re->re || !re->re->ok()) {
		int r = re->re ? -EINVAL : -ENOMEM;

		if (re->re)
			copy_error(re->re->error(), err, err_size);
		ex_regex_free(re);
		return r;
	}
	re->fast = FAST_NONE;
	if (is_literal(pattern, len)) {
		re->fast = FAST_LITERAL;
		re->literal.assign(pattern, len);
	} else if (len > 2 && memcmp(pattern + len - 2, ".*", 2) == 0 &&
		   is_literal(pattern, len - 2)) {
		re->fast = FAST_PREFIX;
		re->literal.assign(pattern, len - 2);
	}
	*ret = re;
	return 0;
}

void ex_regex_free(struct ex_regex *re)
{
	if (!re)
		return;
	delete re->re;
	delete re;
}

bool ex_regex_literal(const struct ex_regex *re, const char **ret_text, size_t *ret_len,
		      bool *ret_prefix)
{
	*ret_text = re->literal.data();
	*ret_len = re->literal.size();
	*ret_prefix = re->fast == FAST_PREFIX;
	return re->fast != FAST_NONE;
}

size_t ex_regex_size(const struct ex_regex *re)
{
	/* an instruction has 8 bytes; there are one program for each direction and what RE2 keeps
	 * beside them */
	return sizeof(*re) + 2048 + (size_t)re->re->ProgramSize() * 32;
}

bool ex_regex_match_slow(const struct ex_regex *re, const char *text, size_t len)
{
	return RE2::FullMatch(re2::StringPiece(text, len), *re->re);
}

/* ".*" stands for any text without line feeds that is valid UTF-8: plain ASCII is both. */
static bool is_plain(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c >= 0x7f)
			return false;
	}
	return true;
}

bool ex_regex_match(const struct ex_regex *re, const char *text, size_t len)
{
	size_t n = re->literal.size();

	switch (re->fast) {
	case FAST_LITERAL:
		return len == n && memcmp(text, re->literal.data(), n) == 0;
	case FAST_PREFIX:
		if (len < n || memcmp(text, re->literal.data(), n) != 0)
			return false;
		if (is_plain(text + n, len - n))
			return true;
		break;
	case FAST_NONE:
		break;
	}
	return ex_regex_match_slow(re, text, len);
}
