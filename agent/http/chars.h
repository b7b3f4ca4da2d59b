/* SPDX-License-Identifier: Apache-2.0 */
/* Byte classes of HTTP. */
#ifndef EXEAT_AGENT_HTTP_CHARS_H
#define EXEAT_AGENT_HTTP_CHARS_H

#include "exeat/text.h"
#include "exeat/util.h"

/* Asked for every byte of every message, so in one table. */
enum ex_char_class {
	EX_CHAR_ALNUM = 1,
	EX_CHAR_TOKEN = 2,  /* RFC 9110 5.6.2 */
	EX_CHAR_TEXT = 4,   /* printable ASCII, and the blank */
	EX_CHAR_PATH = 8,   /* stands for itself in a path; see normalise.c */
	EX_CHAR_QUERY = 16, /* ... in a query */
	EX_CHAR_NAME = 32,  /* letters, digits, hyphens */
};

extern const uint8_t ex_char_classes[256];

static inline bool ex_char_is(char c, unsigned classes)
{
	return ex_char_classes[(unsigned char)c] & classes;
}

/* How many of the first n bytes are of a class. */
static inline size_t ex_chars_run(const char *s, size_t n, unsigned classes)
{
	size_t i = 0;

	while (i < n && ex_char_is(s[i], classes))
		i++;
	return i;
}

/* RFC 3986 2.3 */
static inline bool ex_is_unreserved(unsigned char c)
{
	return ex_char_classes[c] & EX_CHAR_ALNUM || c == '-' || c == '.' || c == '_' || c == '~';
}

static inline bool ex_span_is(struct ex_span s, const char *lower_case)
{
	size_t len = strlen(lower_case);

	if (s.len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (ex_lower(s.ptr[i]) != lower_case[i])
			return false;
	return true;
}

#endif
