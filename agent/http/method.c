/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/method.h"

#include "agent/http/chars.h"

static bool is_in(struct ex_span method, const struct ex_span *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ex_span_eq(method, list[i]))
			return true;
	return false;
}

static bool is_known(struct ex_span method)
{
	static const struct ex_span known[] = {
		EX_SPAN("GET"),       EX_SPAN("POST"),       EX_SPAN("PUT"),
		EX_SPAN("HEAD"),      EX_SPAN("DELETE"),     EX_SPAN("OPTIONS"),
		EX_SPAN("PATCH"),     EX_SPAN("COPY"),       EX_SPAN("LOCK"),
		EX_SPAN("MKCOL"),     EX_SPAN("MOVE"),       EX_SPAN("PROPFIND"),
		EX_SPAN("PROPPATCH"), EX_SPAN("SEARCH"),     EX_SPAN("UNLOCK"),
		EX_SPAN("BIND"),      EX_SPAN("REBIND"),     EX_SPAN("UNBIND"),
		EX_SPAN("ACL"),       EX_SPAN("REPORT"),     EX_SPAN("MERGE"),
		EX_SPAN("CHECKOUT"),  EX_SPAN("MKACTIVITY"), EX_SPAN("MKCALENDAR"),
		EX_SPAN("LINK"),      EX_SPAN("UNLINK"),     EX_SPAN("PURGE"),
	};
	return is_in(method, known, EX_ARRAY_SIZE(known));
}

bool ex_method_is_bodiless(struct ex_span method)
{
	static const struct ex_span bodiless[] = { EX_SPAN("GET"), EX_SPAN("HEAD"),
						   EX_SPAN("OPTIONS"), EX_SPAN("DELETE") };

	return is_in(method, bodiless, EX_ARRAY_SIZE(bodiless));
}

static enum ex_reason refuse(enum ex_reason reason, const char *text, const char **detail)
{
	*detail = text;
	return reason;
}

enum ex_reason ex_method_check(struct ex_span method, const char **detail)
{
	if (method.len == 0)
		return refuse(EX_R_HTTP_MALFORMED, "no method", detail);
	if (ex_chars_run(method.ptr, method.len, EX_CHAR_TOKEN) < method.len)
		return refuse(EX_R_HTTP_MALFORMED, "method is not a token", detail);
	if (ex_span_eq(method, EX_SPAN("CONNECT")))
		return refuse(EX_R_UPGRADE_DENIED, "CONNECT is not forwarded", detail);
	if (ex_span_eq(method, EX_SPAN("PRI")))
		return refuse(EX_R_H2_UNSUPPORTED, "HTTP/2 without negotiation", detail);
	if (ex_span_eq(method, EX_SPAN("TRACE")) || ex_span_eq(method, EX_SPAN("TRACK")))
		return refuse(EX_R_HTTP_DENIED, "TRACE is not forwarded", detail);
	if (!is_known(method))
		return refuse(EX_R_HTTP_MALFORMED, "unknown method", detail);
	return EX_R_ALLOWED;
}
