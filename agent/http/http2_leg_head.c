/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http2_leg_head.h"

#include <errno.h>

#include "agent/http/chars.h"
#include "agent/http/fields.h"
#include "agent/http/method.h"

/* ---- the request ---- */

/* Room for the values of h, with two bytes more for each. */
static char *value_room(const struct ex_h1_head *h)
{
	size_t n = 1;

	for (size_t i = 0; i < h->n_headers; i++)
		n += h->headers[i].value.len + 2;
	return malloc(n);
}

/*
 * HTTP/2 may cut Cookie into pieces, HTTP/1.1 has one field (RFC 9113 8.2.3). fields has room for
 * all of head; text see value_room().
 */
static void join_cookies(struct ex_h1_head *h, struct ex_header *fields, char *text)
{
	struct ex_header *cookie = NULL;
	size_t n = 0, len = 0;

	for (size_t i = 0; i < h->n_headers; i++) {
		const struct ex_header *f = &h->headers[i];

		if (!ex_span_is(f->name, "cookie")) {
			fields[n++] = *f;
			continue;
		}
		if (cookie) {
			text[len++] = ';';
			text[len++] = ' ';
		} else {
			cookie = &fields[n++];
			*cookie = *f;
		}
		if (f->value.len)
			memcpy(text + len, f->value.ptr, f->value.len);
		len += f->value.len;
	}
	if (cookie)
		cookie->value = (struct ex_span){ text, len };
	h->headers = fields;
	h->n_headers = n;
}

/* Those that the handshake of HTTP/1.1 sets by itself are not the client's to say. */
static void add_websocket_key(struct ex_h1_head *h, struct ex_header *fields, const char *key)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_headers; i++)
		if (!ex_field_is(fields[i].name, "sec-websocket-key") &&
		    !ex_field_is(fields[i].name, "sec-websocket-accept"))
			fields[n++] = fields[i];
	fields[n++] = (struct ex_header){ EX_SPAN("sec-websocket-key"), ex_span_str(key) };
	h->n_headers = n;
}

int ex_h2_leg_put_request(struct ex_buf *out, const struct ex_h2_head *head, const char *ws_key,
			  struct ex_h2_leg_sent *ret)
{
	struct ex_header fields[EX_H1_HEADERS_MAX + 1];
	struct ex_h1_head h = head->h;
	EX_AUTO_FREE char *text = value_room(&h);

	if (!text)
		return -ENOMEM;
	join_cookies(&h, fields, text);
	if (ws_key)
		add_websocket_key(&h, fields, ws_key);
	/* A method that may have a body says that it has none: some servers wait for it else. */
	if (h.framing == EX_H1_NO_BODY && !ex_method_is_bodiless(h.method))
		h.framing = EX_H1_LENGTH;
	*ret = (struct ex_h2_leg_sent){
		.chunked = h.framing == EX_H1_CHUNKED,
		.length = h.framing == EX_H1_LENGTH ? h.content_length : 0,
		.close = ex_h1_body_is_unexpected(&h) ||
			 ex_fields_bind_connection(h.headers, h.n_headers),
	};
	return ex_h1_put_request(out, &h, false, ws_key != NULL);
}

/* ---- the response ---- */

int ex_h2_leg_respond(struct ex_h2_stream *to, const struct ex_h1_head *from, bool tunnel)
{
	struct ex_h2_head head = { .h = *from };
	struct ex_header fields[EX_H1_HEADERS_MAX];
	EX_AUTO_FREE char *names = NULL;
	size_t n = 0, text = 1;

	for (size_t i = 0; i < from->n_headers; i++) {
		struct ex_span name = from->headers[i].name;

		if (!ex_field_is_hop_by_hop(name) && !ex_span_is(name, "te") &&
		    !ex_span_is(name, "sec-websocket-accept") &&
		    (from->length_given || !ex_span_is(name, "content-length")))
			fields[n++] = from->headers[i];
		text += name.len;
	}
	names = malloc(text);
	if (!names)
		return -ENOMEM;
	ex_fields_lower(fields, n, names);
	head.h.headers = fields;
	head.h.n_headers = n;
	if (tunnel)
		head.h.status = 200;
	head.end = !tunnel && from->status >= 200 &&
		   (from->framing == EX_H1_NO_BODY ||
		    (from->framing == EX_H1_LENGTH && from->content_length == 0));
	return ex_h2_respond(to, &head);
}

int ex_h2_leg_end(struct ex_h2_stream *to, const struct ex_h1 *res)
{
	struct ex_h2_head trailers = { .end = true };
	struct ex_header fields[EX_H1_HEADERS_MAX];
	const struct ex_header *from;
	char names[EX_H1_TRAILERS_MAX];
	size_t n = ex_h1_trailers(res, &from);

	if (n > EX_ARRAY_SIZE(fields))
		return -EPROTO;
	if (n)
		memcpy(fields, from, n * sizeof(fields[0]));
	ex_fields_lower(fields, n, names);
	trailers.h.headers = fields;
	trailers.h.n_headers = n;
	return ex_h2_finish(to, &trailers);
}
