/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/fields.h"

#include <errno.h>

#include "agent/http/chars.h"

static char fold(char c)
{
	/* one bit makes letters lower case, and leaves digits */
	return ex_char_is(c, EX_CHAR_ALNUM) ? (char)(c | 0x20) : '-';
}

/* Only letters, digits and hyphens: two of these are one field to a server when they are to us. */
static bool has_one_reading(struct ex_span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!ex_char_is(name.ptr[i], EX_CHAR_ALNUM) && name.ptr[i] != '-')
			return false;
	return true;
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

/* ---- the names that mean something ---- */

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

bool ex_field_may_trail(struct ex_span name)
{
	static const char *const names[] = {
		"te",
		"trailer",
		"content-encoding",
		"content-type",
		"content-range",
		"content-location",
		"content-security-policy",
		"strict-transport-security",
		"set-cookie",
		"www-authenticate",
		"authorization",
		"cookie",
		"location",
		"cache-control",
		"expires",
		"age",
		"date",
		"vary",
		"retry-after",
		"pragma",
		"expect",
		"range",
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++)
		if (ex_field_is(name, names[i]))
			return false;
	return !(ex_field_kinds(name) & (HOP | FRAMING));
}

/* ---- of all fields ---- */

bool ex_fields_have_twins(const struct ex_header *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ex_span name = fields[i].name;

		if (has_one_reading(name))
			continue;
		for (size_t j = 0; j < n; j++)
			if (j != i && ex_field_same(name, fields[j].name))
				return true;
	}
	return false;
}

static bool has_scheme(struct ex_span value, const char *scheme)
{
	size_t len = strlen(scheme);

	return value.len >= len && ex_span_is((struct ex_span){ value.ptr, len }, scheme) &&
	       (value.len == len || value.ptr[len] == ' ' || value.ptr[len] == '\t');
}

bool ex_fields_bind_connection(const struct ex_header *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ex_field_is(fields[i].name, "authorization") &&
		    (has_scheme(fields[i].value, "ntlm") ||
		     has_scheme(fields[i].value, "negotiate")))
			return true;
	return false;
}

void ex_fields_lower(struct ex_header *fields, size_t n, char *text)
{
	for (size_t i = 0; i < n; i++) {
		struct ex_span *name = &fields[i].name;

		for (size_t k = 0; k < name->len; k++)
			text[k] = ex_lower(name->ptr[k]);
		name->ptr = text;
		text += name->len;
	}
}

int ex_field_length(struct ex_span value, uint64_t *ret)
{
	uint64_t n = 0;

	if (value.len == 0 || value.len > 19 || (value.len > 1 && value.ptr[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < value.len; i++) {
		if (!ex_is_digit((unsigned char)value.ptr[i]))
			return -EINVAL;
		n = n * 10 + (uint64_t)(value.ptr[i] - '0'); /* 19 digits fit in 64 bits */
	}
	if (n > INT64_MAX)
		return -EINVAL;
	*ret = n;
	return 0;
}
