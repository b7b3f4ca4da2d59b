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

static inline bool ex_is_letter(char c)
{
	return ex_lower(c) >= 'a' && ex_lower(c) <= 'z';
}

static inline bool ex_is_alnum(char c)
{
	return ex_is_letter(c) || ex_is_digit(c);
}

#endif
