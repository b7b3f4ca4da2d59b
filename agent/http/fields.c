/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/fields.h"

#include "agent/http/chars.h"

static char fold(char c)
{
	return c == '_' ? '-' : ex_lower(c);
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

static bool is_one_of(struct ex_span name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ex_field_is(name, list[i]))
			return true;
	return false;
}

bool ex_field_is_hop_by_hop(struct ex_span name)
{
	static const char *const names[] = {
		"connection",
		"keep-alive",
		"proxy-connection",
		"proxy-authorization",
		"proxy-authenticate",
		"transfer-encoding",
		"upgrade",
		"http2-settings",
	};
	return is_one_of(name, names, EX_ARRAY_SIZE(names));
}

bool ex_field_is_override(struct ex_span name)
{
	static const char *const names[] = {
		"x-http-method-override", "x-http-method",
		"x-method-override",      "x-original-method",
		"x-original-url",         "x-rewrite-url",
		"x-original-uri",         "x-request-uri",
		"x-forwarded-uri",        "x-forwarded-path",
		"x-forwarded-prefix",     "x-original-host",
		"x-forwarded-host",       "x-forwarded-server",
		"x-http-host-override",   "x-host",
		"x-forwarded-method",     "forwarded",
	};
	return is_one_of(name, names, EX_ARRAY_SIZE(names));
}
