/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/destination.h"

#include "agent/http/authority.h"
#include "agent/http/chars.h"
#include "agent/http/fields.h"

/* Takes "http://" or "https://" and the authority off an absolute URI. False: it is of another. */
static bool take_origin(const struct ex_h1_head *head, struct ex_span *uri)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < EX_ARRAY_SIZE(schemes); i++) {
		size_t len = strlen(schemes[i]);
		struct ex_authority a;
		struct ex_span rest;
		const char *slash;

		if (uri->len < len || !ex_span_is((struct ex_span){ uri->ptr, len }, schemes[i]))
			continue;
		rest = (struct ex_span){ uri->ptr + len, uri->len - len };
		slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
		if (!slash)
			return false;
		*uri = (struct ex_span){ slash, rest.len - (size_t)(slash - rest.ptr) };
		rest.len = (size_t)(slash - rest.ptr);
		return ex_authority_parse(rest, &a) == 0 && a.port == head->host_port &&
		       ex_span_eq((struct ex_span){ a.host, a.host_len }, head->host);
	}
	return true;
}

static bool is_normal(struct ex_span path)
{
	char normal[EX_H1_TARGET_MAX];
	ssize_t len =
		path.len <= sizeof(normal) ? ex_h1_normalise(path, normal, sizeof(normal)) : -1;

	return len >= 0 && ex_span_eq((struct ex_span){ normal, (size_t)len }, path);
}

const char *ex_destination_read(struct ex_h1_head *head)
{
	const struct ex_header *field;
	struct ex_span uri;
	size_t n;

	if (!ex_span_eq(head->method, EX_SPAN("COPY")) &&
	    !ex_span_eq(head->method, EX_SPAN("MOVE")))
		return NULL;
	n = ex_fields_find(head->headers, head->n_headers, "destination", &field);
	if (n != 1)
		return n ? "repeated field that may appear once" : NULL;
	uri = field->value;
	if (!take_origin(head, &uri) || !is_normal(uri))
		return "Destination is not a plain path of this host";
	head->destination = uri;
	return NULL;
}
