/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http2_head.h"

#include <errno.h>

#include "agent/http/chars.h"
#include "agent/http/destination.h"
#include "agent/http/fields.h"
#include "agent/http/method.h"

/* RFC 9113 6.5.2: a field counts its bytes and 32 more. */
#define FIELD_OVERHEAD 32

void ex_h2_block_reset(struct ex_h2_block *b)
{
	b->method = b->scheme = b->authority = b->path = b->status = b->protocol =
		(struct ex_span){ NULL, 0 };
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
	if (ex_span_eq(name, EX_SPAN(":protocol")))
		return &b->protocol;
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
	b->head.h.method = b->method;
	if (b->protocol.len && ex_span_eq(b->method, EX_SPAN("CONNECT"))) {
		if (!ex_span_eq(b->protocol, EX_SPAN("websocket")) || b->head.end)
			return refuse(EX_R_UPGRADE_DENIED, "CONNECT for anything but websocket",
				      detail);
		if (b->n == EX_ARRAY_SIZE(b->fields))
			return refuse(EX_R_HTTP_TOO_LARGE, "too many or too large fields", detail);
		b->head.websocket = true;
		b->head.h.method = EX_SPAN("GET");
		b->head.h.upgrade = EX_SPAN("websocket");
		/* for the rules; what is this hop's own is written anew */
		b->secret[b->n] = false;
		b->fields[b->n] = (struct ex_header){ EX_SPAN("upgrade"), b->head.h.upgrade };
		b->head.h.n_headers = ++b->n;
	} else if (b->protocol.len) {
		return malformed(":protocol without CONNECT", detail);
	}
	return ex_method_check(b->head.h.method, detail);
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

/* nghttp2 counts the body against the first it reads, leading zeros and all: ours is stricter. */
static const char *length_complaint(struct ex_h1_head *h, struct ex_span value)
{
	if (h->length_given)
		return "repeated field that may appear once";
	h->length_given = true;
	return ex_field_length(value, &h->content_length) < 0 ? "bad Content-Length" : NULL;
}

static bool host_agrees(const struct ex_h2_block *b, struct ex_span value)
{
	struct ex_authority host;

	return ex_authority_parse(value, &host) == 0 && host.port == b->host.port &&
	       strcmp(host.host, b->host.host) == 0;
}

static bool is_ascii(struct ex_span value)
{
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] > 0x7f)
			return false;
	return true;
}

struct seen {
	bool host, expect;
};

static const char *request_field_complaint(struct ex_h2_block *b, const struct ex_header *f,
					   struct seen *seen)
{
	bool host = ex_span_eq(f->name, EX_SPAN("host"));
	bool expect = ex_span_eq(f->name, EX_SPAN("expect"));

	if ((host && seen->host) || (expect && seen->expect))
		return "repeated field that may appear once";
	seen->host |= host;
	seen->expect |= expect;
	b->head.h.expect_continue |= expect;
	if (host)
		return host_agrees(b, f->value) ? NULL : "Host and :authority differ";
	if (expect && !ex_span_is(f->value, "100-continue"))
		return "unknown expectation";
	if (!is_ascii(f->value))
		return "byte that is not ASCII";
	if (ex_field_is_framing(f->name))
		return "field name that some servers read as another";
	return NULL;
}

/* What HTTP/1.1 refuses is refused here; the rules of HTTP/2 alone are nghttp2's to enforce. */
static const char *fields_complaint(struct ex_h2_block *b, bool request)
{
	struct seen seen = { 0 };

	for (size_t i = 0; i < b->n; i++) {
		const struct ex_header *f = &b->fields[i];
		const char *complaint = NULL;

		if (ex_span_eq(f->name, EX_SPAN("content-length")))
			complaint = length_complaint(&b->head.h, f->value);
		else if (request)
			complaint = request_field_complaint(b, f, &seen);
		if (complaint)
			return complaint;
	}
	if (request && ex_fields_have_twins(b->fields, b->n))
		return "field names that some servers read as one";
	return NULL;
}

/*
 * In HTTP/1.1 the connection ends with such a request. This one goes on, so a server that hands
 * requests on in HTTP/1.1 could find another one in the body. DELETE has honest bodies (Kubernetes)
 * and may have one of known length.
 */
static bool body_is_unexpected(const struct ex_h1_head *h)
{
	if (h->framing == EX_H1_NO_BODY || !ex_method_is_bodiless(h->method))
		return false;
	if (h->framing == EX_H1_LENGTH)
		return h->content_length && !ex_span_eq(h->method, EX_SPAN("DELETE"));
	return true;
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

	if (b->head.end || b->head.websocket)
		h->framing = EX_H1_NO_BODY;
	else
		h->framing = h->length_given ? EX_H1_LENGTH : EX_H1_CHUNKED;
}

enum ex_reason ex_h2_read_request(struct ex_h2_block *b, bool end, const char **detail)
{
	const char *complaint;
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
	if (r != EX_R_ALLOWED)
		return r;
	complaint = fields_complaint(b, true);
	if (!complaint)
		complaint = ex_destination_read(&b->head.h);
	framing_set(b);
	if (!complaint && b->head.h.framing == EX_H1_NO_BODY && b->head.h.content_length)
		complaint = "Content-Length without a body";
	if (!complaint && body_is_unexpected(&b->head.h))
		complaint = "a body with a method that has none";
	return complaint ? malformed(complaint, detail) : EX_R_ALLOWED;
}

enum ex_reason ex_h2_read_response(struct ex_h2_block *b, bool end, const char **detail)
{
	const char *complaint;

	head_start(b, end);
	if (b->too_large)
		return refuse(EX_R_UPSTREAM_PROTOCOL, "too many or too large fields", detail);
	if (b->malformed)
		return refuse(EX_R_UPSTREAM_PROTOCOL, "bad byte in a field", detail);
	for (size_t i = 0; i < b->status.len; i++)
		b->head.h.status = (uint16_t)(b->head.h.status * 10 + (b->status.ptr[i] - '0'));
	if (b->status.len != 3 || b->head.h.status < 100 || b->head.h.status == 101)
		return refuse(EX_R_UPSTREAM_PROTOCOL, "bad status", detail);
	complaint = fields_complaint(b, false);
	framing_set(b);
	return complaint ? refuse(EX_R_UPSTREAM_PROTOCOL, complaint, detail) : EX_R_ALLOWED;
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
	/* Trailers of requests stay here, so nothing may announce them. */
	return !request || (!ex_field_is_override(name) && !ex_field_is(name, "host") &&
			    !ex_field_is(name, "trailer"));
}
