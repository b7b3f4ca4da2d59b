/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule is judged on what the client sent. A header that the proxy takes out would let a request
 * meet a rule by what the server never sees, so no rule may name one. The proxy has these lists,
 * too (agent/http); a test compares them. Upgrade is none of them: it is written anew.
 */
#include "policy/header.h"

/* As the proxy compares: to some servers all that is neither letter nor digit is one byte. */
static char fold(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		return c;
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : '-';
}

static bool is_same(struct ex_span name, const char *other)
{
	if (name.len != strlen(other))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (fold(name.ptr[i]) != other[i])
			return false;
	}
	return true;
}

bool ex_header_is_removed(struct ex_span name)
{
	static const char *const names[] = {
		/* of one hop */
		"connection",
		"http2-settings",
		"keep-alive",
		"proxy-authenticate",
		"proxy-authorization",
		"proxy-connection",
		"te",
		"trailer",
		"transfer-encoding",
		/* another method, path or host than the one that is judged */
		"forwarded",
		"x-forwarded-host",
		"x-forwarded-method",
		"x-forwarded-path",
		"x-forwarded-prefix",
		"x-forwarded-server",
		"x-forwarded-uri",
		"x-host",
		"x-http-host-override",
		"x-http-method",
		"x-http-method-override",
		"x-method-override",
		"x-original-host",
		"x-original-method",
		"x-original-uri",
		"x-original-url",
		"x-request-uri",
		"x-rewrite-url",
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++) {
		if (is_same(name, names[i]))
			return true;
	}
	return false;
}
