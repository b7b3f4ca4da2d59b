/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http2_head.h"

#include <errno.h>

#include "agent/http/chars.h"
#include "agent/http/fields.h"

/* RFC 9113 6.5.2: a field counts its bytes and 32 more. */
#define FIELD_OVERHEAD 32

void ex_h2_block_reset(struct ex_h2_block *b)
{
	b->method = b->scheme = b->authority = b->path = b->status = (struct ex_span){ NULL, 0 };
	b->n = b->size = 0;
	b->too_large = b->malformed = false;
}

static struct ex_span *pseudo_slot(struct ex_h2_block *b, struct ex_span name)
{
	if (ex_span_eq(name, EX_SPAN(":method")))
		return &b->method;
	if (ex_span_eq(name, EX_SPAN(":scheme")))
		return &b->scheme;
	if (ex_span_eq(name, EX_SPAN(":authority")))
		return &b->authority;
	if (ex_span_eq(name, EX_SPAN(":path")))
		return &b->path;
	return ex_span_eq(name, EX_SPAN(":status")) ? &b->status : NULL;
}

bool ex_h2_block_add(struct ex_h2_block *b, struct ex_span name, struct ex_span value, bool secret)
{
	struct ex_span *slot = NULL;

	b->size += name.len + value.len + FIELD_OVERHEAD;
	if (b->size > EX_H1_HEAD_MAX)
		b->too_large = true;
	if (name.len && name.ptr[0] == ':')
		slot = pseudo_slot(b, name);
	else if (b->n == EX_ARRAY_SIZE(b->fields))
		b->too_large = true;
	if (b->too_large)
		return false;
	if (slot) {
		*slot = value;
		return true;
	}
	b->secret[b->n] = secret;
	b->fields[b->n++] = (struct ex_header){ .name = name, .value = value };
	return true;
}

static enum ex_reason refuse(enum ex_reason reason, const char *text, const char **detail)
{
	*detail = text;
	return reason;
}

static enum ex_reason malformed(const char *text, const char **detail)
{
	return refuse(EX_R_HTTP_MALFORMED, text, detail);
}

static enum ex_reason method_read(struct ex_h2_block *b, const char **detail)
{
	struct ex_span method = b->method;

	if (method.len == 0)
		return malformed("no method", detail);
	for (size_t i = 0; i < method.len; i++)
		if (!ex_is_tchar((unsigned char)method.ptr[i]))
			return malformed("method is not a token", detail);
	b->head.h.method = method;
	if (ex_span_eq(method, EX_SPAN("CONNECT")))
		return refuse(EX_R_UPGRADE_DENIED, "CONNECT is not forwarded", detail);
	if (ex_span_eq(method, EX_SPAN("TRACE")) || ex_span_eq(method, EX_SPAN("TRACK")))
		return refuse(EX_R_HTTP_DENIED, "TRACE is not forwarded", detail);
	return EX_R_ALLOWED;
}

static enum ex_reason authority_read(struct ex_h2_block *b, const char **detail)
{
	size_t len;

	if (ex_authority_parse(b->authority, &b->host) < 0)
		return malformed(":authority is not one name or address", detail);
	len = ex_authority_write(&b->host, b->authority_text);
	b->head.h.host = (struct ex_span){ b->host.host, b->host.host_len };
	b->head.h.host_port = b->host.port;
	b->head.h.authority = (struct ex_span){ b->authority_text, len };
	return EX_R_ALLOWED;
}

static enum ex_reason path_read(struct ex_h2_block *b, const char **detail)
{
	ssize_t len;

	if (b->path.len > sizeof(b->path_text))
		return refuse(EX_R_HTTP_TOO_LARGE, "the path is too long", detail);
	len = ex_h1_normalise(b->path, b->path_text, sizeof(b->path_text));
	if (len < 0)
		return malformed("request target is not a plain path", detail);
	b->head.h.path = (struct ex_span){ b->path_text, (size_t)len };
	return EX_R_ALLOWED;
}

/* nghttp2 has checked the digits, that there is one, and will check the body against it. */
static uint64_t length_of(struct ex_span text)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text.len && i < 19; i++)
		n = n * 10 + (uint64_t)(text.ptr[i] - '0');
	return n;
}

/*
 * Host once at most and the same as :authority. A name that some server reads as a field of
 * framing though it is not spelled so is refused, as in HTTP/1.1.
 */
static enum ex_reason fields_read(struct ex_h2_block *b, bool request, const char **detail)
{
	static const char *const framing[] = { "host", "content-length", "transfer-encoding" };
	struct ex_h1_head *h = &b->head.h;
	struct ex_authority host;
	bool seen = false;

	for (size_t i = 0; i < b->n; i++) {
		struct ex_span name = b->fields[i].name, value = b->fields[i].value;

		if (ex_span_eq(name, EX_SPAN("content-length"))) {
			h->length_given = true;
			h->content_length = length_of(value);
		} else if (request && ex_span_eq(name, EX_SPAN("host"))) {
			if (seen)
				return malformed("repeated field that may appear once", detail);
			seen = true;
			if (ex_authority_parse(value, &host) < 0 || host.port != b->host.port ||
			    strcmp(host.host, b->host.host) != 0)
				return malformed("Host and :authority differ", detail);
		} else if (request) {
			for (size_t k = 0; k < EX_ARRAY_SIZE(framing); k++)
				if (ex_field_is(name, framing[k]))
					return malformed("field name that some servers read as "
							 "another",
							 detail);
		}
	}
	return EX_R_ALLOWED;
}

static void head_start(struct ex_h2_block *b, bool end)
{
	b->head = (struct ex_h2_head){
		.h = { .headers = b->fields, .n_headers = b->n, .minor = 1 },
		.scheme = b->scheme,
		.secret = b->secret,
		.end = end,
	};
	memset(&b->host, 0, sizeof(b->host));
}

static void framing_set(struct ex_h2_block *b)
{
	struct ex_h1_head *h = &b->head.h;

	if (b->head.end)
		h->framing = EX_H1_NO_BODY;
	else
		h->framing = h->length_given ? EX_H1_LENGTH : EX_H1_CHUNKED;
}

enum ex_reason ex_h2_read_request(struct ex_h2_block *b, bool end, const char **detail)
{
	enum ex_reason r;

	head_start(b, end);
	if (b->too_large)
		return refuse(EX_R_HTTP_TOO_LARGE, "too many or too large fields", detail);
	if (b->malformed)
		return malformed("bad byte in a field", detail);
	r = method_read(b, detail);
	if (r == EX_R_ALLOWED)
		r = authority_read(b, detail);
	if (r == EX_R_ALLOWED)
		r = path_read(b, detail);
	if (r == EX_R_ALLOWED)
		r = fields_read(b, true, detail);
	framing_set(b);
	return r;
}

enum ex_reason ex_h2_read_response(struct ex_h2_block *b, bool end, const char **detail)
{
	enum ex_reason r;

	head_start(b, end);
	if (b->too_large)
		return refuse(EX_R_UPSTREAM_PROTOCOL, "too many or too large fields", detail);
	if (b->malformed)
		return refuse(EX_R_UPSTREAM_PROTOCOL, "bad byte in a field", detail);
	for (size_t i = 0; i < b->status.len; i++)
		b->head.h.status = (uint16_t)(b->head.h.status * 10 + (b->status.ptr[i] - '0'));
	if (b->status.len != 3 || b->head.h.status < 100 || b->head.h.status == 101)
		return refuse(EX_R_UPSTREAM_PROTOCOL, "bad status", detail);
	r = fields_read(b, false, detail);
	framing_set(b);
	return r;
}

enum ex_reason ex_h2_read_trailers(struct ex_h2_block *b, const char **detail)
{
	head_start(b, true);
	if (b->malformed)
		return malformed("bad byte in a trailer", detail);
	return b->too_large ? refuse(EX_R_HTTP_TOO_LARGE, "too many or too large trailers", detail)
			    : EX_R_ALLOWED;
}

bool ex_h2_forwards(struct ex_span name, bool request)
{
	if (ex_field_is_hop_by_hop(name))
		return false;
	return !request || (!ex_field_is_override(name) && !ex_field_is(name, "host"));
}
