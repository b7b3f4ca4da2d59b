/* SPDX-License-Identifier: Apache-2.0 */
/* Letters and digits of ASCII. <ctype.h> would go by the locale. */
#ifndef EXEAT_TEXT_H
#define EXEAT_TEXT_H

#include <stdbool.h>

static inline bool ex_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char ex_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* What acts on a terminal or ends a line becomes question marks: controls, also those of UTF-8. */
static inline void ex_tame(char *text)
{
	for (char *p = text; *p; p++) {
		unsigned char c = (unsigned char)p[0], next = (unsigned char)p[1];

		if (c < 0x20 || c == 0x7f)
			p[0] = '?';
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			p[0] = p[1] = '?';
	}
}

static inline bool ex_is_letter(char c)
{
	return ex_lower(c) >= 'a' && ex_lower(c) <= 'z';
}

static inline bool ex_is_alnum(char c)
{
	return ex_is_letter(c) || ex_is_digit(c);
}

/* -1 when c is not a hex digit. */
static inline int ex_hex_value(char c)
{
	if (ex_is_digit(c))
		return c - '0';
	c = ex_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
