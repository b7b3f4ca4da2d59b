/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/chars.h"

#define ALNUM    (EX_CHAR_ALNUM | EX_CHAR_NAME | EX_CHAR_TOKEN | ANYWHERE)
#define TOKEN    EX_CHAR_TOKEN
#define TEXT     EX_CHAR_TEXT
#define QUERY    (EX_CHAR_TEXT | EX_CHAR_QUERY)
#define ANYWHERE (QUERY | EX_CHAR_PATH)

const uint8_t ex_char_classes[256] = {
	['0' ... '9'] = ALNUM,
	['A' ... 'Z'] = ALNUM,
	['a' ... 'z'] = ALNUM,
	[' '] = TEXT,
	['!'] = TOKEN | ANYWHERE,
	['"'] = TEXT,
	['#'] = TOKEN | TEXT,
	['$'] = TOKEN | ANYWHERE,
	['%'] = TOKEN | TEXT,
	['&'] = TOKEN | ANYWHERE,
	['\''] = TOKEN | ANYWHERE,
	['('] = ANYWHERE,
	[')'] = ANYWHERE,
	['*'] = TOKEN | ANYWHERE,
	['+'] = TOKEN | ANYWHERE,
	[','] = ANYWHERE,
	['-'] = EX_CHAR_NAME | TOKEN | ANYWHERE,
	['.'] = TOKEN | ANYWHERE,
	['/'] = ANYWHERE,
	[':'] = ANYWHERE,
	[';'] = ANYWHERE,
	['<'] = TEXT,
	['='] = ANYWHERE,
	['>'] = TEXT,
	['?'] = QUERY,
	['@'] = ANYWHERE,
	['['] = ANYWHERE,
	['\\'] = TEXT,
	[']'] = ANYWHERE,
	['^'] = TOKEN | ANYWHERE,
	['_'] = TOKEN | ANYWHERE,
	['`'] = TOKEN | QUERY,
	['{'] = QUERY,
	['|'] = TOKEN | ANYWHERE,
	['}'] = QUERY,
	['~'] = TOKEN | ANYWHERE,
};
