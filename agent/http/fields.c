/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/fields.h"

#include <errno.h>

#include "agent/http/chars.h"

static bool is_plain(char c)
{
	return ex_is_digit((unsigned char)c) || ex_is_alpha((unsigned char)c);
}

static char fold(char c)
{
	return is_plain(c) ? ex_lower(c) : '-';
}

/* Only letters, digits and hyphens: two of these are one field to a server when they are to us. */
static bool has_one_reading(struct ex_span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!is_plain(name.ptr[i]) && name.ptr[i] != '-')
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

bool ex_field_is(struct ex_span name, const char *lower_case)
{
	return ex_field_same(name, ex_span_str(lower_case));
}

/* Lengths by the compiler: these lists are walked for every field of every message. */
#define FIELD(lit)                                                                                 \
	{                                                                                          \
		(lit), sizeof(lit) - 1                                                             \
	}

static bool is_one_of(struct ex_span name, const struct ex_span *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ex_field_same(name, list[i]))
			return true;
	return false;
}

bool ex_field_is_hop_by_hop(struct ex_span name)
{
	static const struct ex_span names[] = {
		FIELD("connection"),
		FIELD("keep-alive"),
		FIELD("proxy-connection"),
		FIELD("proxy-authorization"),
		FIELD("proxy-authenticate"),
		FIELD("transfer-encoding"),
		FIELD("upgrade"),
		FIELD("http2-settings"),
	};
	return is_one_of(name, names, EX_ARRAY_SIZE(names));
}

bool ex_field_is_override(struct ex_span name)
{
	static const struct ex_span names[] = {
		FIELD("x-http-method-override"), FIELD("x-http-method"),
		FIELD("x-method-override"),      FIELD("x-original-method"),
		FIELD("x-original-url"),         FIELD("x-rewrite-url"),
		FIELD("x-original-uri"),         FIELD("x-request-uri"),
		FIELD("x-forwarded-uri"),        FIELD("x-forwarded-path"),
		FIELD("x-forwarded-prefix"),     FIELD("x-original-host"),
		FIELD("x-forwarded-host"),       FIELD("x-forwarded-server"),
		FIELD("x-http-host-override"),   FIELD("x-host"),
		FIELD("x-forwarded-method"),     FIELD("forwarded"),
	};
	return is_one_of(name, names, EX_ARRAY_SIZE(names));
}

bool ex_field_may_trail(struct ex_span name)
{
	static const struct ex_span names[] = {
		FIELD("te"),
		FIELD("trailer"),
		FIELD("content-encoding"),
		FIELD("content-type"),
		FIELD("content-range"),
		FIELD("content-location"),
		FIELD("content-security-policy"),
		FIELD("strict-transport-security"),
		FIELD("set-cookie"),
		FIELD("www-authenticate"),
		FIELD("authorization"),
		FIELD("cookie"),
		FIELD("location"),
		FIELD("cache-control"),
		FIELD("expires"),
		FIELD("age"),
		FIELD("date"),
		FIELD("vary"),
		FIELD("retry-after"),
		FIELD("pragma"),
		FIELD("expect"),
		FIELD("range"),
	};
	return !is_one_of(name, names, EX_ARRAY_SIZE(names)) && !ex_field_is_hop_by_hop(name) &&
	       !ex_field_is_framing(name);
}

bool ex_field_is_framing(struct ex_span name)
{
	static const struct ex_span names[] = {
		FIELD("host"),
		FIELD("content-length"),
		FIELD("transfer-encoding"),
	};
	return is_one_of(name, names, EX_ARRAY_SIZE(names));
}

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
