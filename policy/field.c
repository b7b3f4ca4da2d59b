/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/field.h"

static char fold(char c)
{
	char lower = (char)(c | 0x20); /* one bit makes letters lower case, and leaves digits */

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ? lower : '-';
}

bool ex_field_same(struct ex_span a, struct ex_span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (fold(a.ptr[i]) != fold(b.ptr[i]))
			return false;
	return true;
}

#define FRAMING   EX_FIELD_FRAMING
#define HOP       EX_FIELD_HOP
#define OVERRIDE  EX_FIELD_OVERRIDE
#define REWRITTEN EX_FIELD_REWRITTEN

struct known {
	const char *name;
	unsigned kinds;
};

#define FIELD(name, kinds)                                                                         \
	{                                                                                          \
		(name), (kinds)                                                                    \
	}
#define ROW(...)                                                                                   \
	(const struct known[])                                                                     \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			NULL, 0                                                                    \
		}                                                                                  \
	}

/* By length, so that most names are compared with few or none. */
static const struct known *const by_length[] = {
	[2] = ROW(FIELD("te", REWRITTEN)),
	[4] = ROW(FIELD("host", FRAMING | REWRITTEN)),
	[6] = ROW(FIELD("expect", REWRITTEN), FIELD("x-host", OVERRIDE)),
	[7] = ROW(FIELD("upgrade", HOP), FIELD("trailer", REWRITTEN)),
	[9] = ROW(FIELD("forwarded", OVERRIDE)),
	[10] = ROW(FIELD("connection", HOP), FIELD("keep-alive", HOP)),
	[13] = ROW(FIELD("x-http-method", OVERRIDE), FIELD("x-rewrite-url", OVERRIDE),
		   FIELD("x-request-uri", OVERRIDE)),
	[14] = ROW(FIELD("content-length", FRAMING | REWRITTEN), FIELD("http2-settings", HOP),
		   FIELD("x-original-url", OVERRIDE), FIELD("x-original-uri", OVERRIDE)),
	[15] = ROW(FIELD("x-original-host", OVERRIDE), FIELD("x-forwarded-uri", OVERRIDE)),
	[16] = ROW(FIELD("proxy-connection", HOP), FIELD("x-forwarded-path", OVERRIDE),
		   FIELD("x-forwarded-host", OVERRIDE)),
	[17] = ROW(FIELD("transfer-encoding", FRAMING | HOP), FIELD("x-method-override", OVERRIDE),
		   FIELD("x-original-method", OVERRIDE)),
	[18] = ROW(FIELD("proxy-authenticate", HOP), FIELD("x-forwarded-prefix", OVERRIDE),
		   FIELD("x-forwarded-server", OVERRIDE), FIELD("x-forwarded-method", OVERRIDE)),
	[19] = ROW(FIELD("proxy-authorization", HOP)),
	[20] = ROW(FIELD("x-http-host-override", OVERRIDE)),
	[22] = ROW(FIELD("x-http-method-override", OVERRIDE)),
};

static bool is_named(struct ex_span name, const char *folded)
{
	for (size_t i = 0; i < name.len; i++)
		if (fold(name.ptr[i]) != folded[i])
			return false;
	return true;
}

unsigned ex_field_kinds(struct ex_span name)
{
	const struct known *k = name.len < EX_ARRAY_SIZE(by_length) ? by_length[name.len] : NULL;

	for (; k && k->name; k++)
		if (is_named(name, k->name))
			return k->kinds;
	return 0;
}
