/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http2_denial.h"

#include <errno.h>
#include <stdio.h>

#include "agent/http/chars.h"

#define TEXT_MAX    4096
#define MESSAGE_MAX 512

static const char hex[] = "0123456789ABCDEF";

/* application/grpc, application/grpc+proto, ...; not application/grpc-web, which is plain HTTP. */
static bool is_grpc(const struct ex_h2_head *head)
{
	static const struct ex_span prefix = { "application/grpc", 16 };

	for (size_t i = 0; i < head->h.n_headers; i++) {
		struct ex_span value = head->h.headers[i].value;

		if (!ex_span_is(head->h.headers[i].name, "content-type") || value.len < prefix.len)
			continue;
		if (ex_span_is((struct ex_span){ value.ptr, prefix.len }, prefix.ptr) &&
		    (value.len == prefix.len || value.ptr[prefix.len] == '+' ||
		     value.ptr[prefix.len] == ';'))
			return true;
	}
	return false;
}

static const char *grpc_status(unsigned status)
{
	switch (status) {
	case 403:
	case 405:
	case 421:
		return "7"; /* PERMISSION_DENIED */
	case 413:
	case 431:
		return "8"; /* RESOURCE_EXHAUSTED */
	case 502:
	case 503:
		return "14"; /* UNAVAILABLE */
	case 504:
		return "4"; /* DEADLINE_EXCEEDED */
	}
	return "13"; /* INTERNAL */
}

/* grpc-message is percent-encoded: printable ASCII but '%' stays. The path is the client's. */
static size_t message_write(const struct ex_h1_denial *d, char out[static 3 * MESSAGE_MAX])
{
	const char *query = d->path.len ? memchr(d->path.ptr, '?', d->path.len) : NULL;
	size_t path_len = query ? (size_t)(query - d->path.ptr) : d->path.len, len, n = 0;
	char text[MESSAGE_MAX];
	int r;

	r = snprintf(text, sizeof(text), "exeat denied %.*s%.*s: %s (%s%s%s%s%s)", (int)d->host.len,
		     d->host.len ? d->host.ptr : "", (int)(path_len < 128 ? path_len : 128),
		     d->path.len ? d->path.ptr : "", ex_reason_text(d->reason),
		     ex_reason_word(d->reason), d->rule ? ", " : "", d->rule ? d->rule->where : "",
		     d->detail ? ", " : "", d->detail ? d->detail : "");
	if (r < 0)
		return 0;
	len = (size_t)r < sizeof(text) ? (size_t)r : sizeof(text) - 1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7f && c != '%') {
			out[n++] = (char)c;
		} else {
			out[n++] = '%';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	return n;
}

static int grpc_deny(struct ex_h2_stream *st, const struct ex_h1_denial *d)
{
	char message[3 * MESSAGE_MAX];
	struct ex_header fields[] = {
		{ EX_SPAN("content-type"), EX_SPAN("application/grpc") },
		{ EX_SPAN("grpc-status"), ex_span_str(grpc_status(d->status)) },
		{ EX_SPAN("grpc-message"), { message, message_write(d, message) } },
		{ EX_SPAN("x-exeat-reason"), ex_span_str(ex_reason_word(d->reason)) },
	};
	struct ex_h2_head head = {
		.h = { .status = 200, .headers = fields, .n_headers = EX_ARRAY_SIZE(fields) },
		.end = true
	};

	return ex_h2_respond(st, &head);
}

/* The body of the HTTP/1.1 denial: one wording, one place where it is made. */
static struct ex_span body_of(const struct ex_h1_denial *d, char out[static TEXT_MAX])
{
	struct ex_h1_denial whole = *d;
	const char *body;
	ssize_t len;

	whole.head_only = false;
	len = ex_h1_write_denial(&whole, false, out, TEXT_MAX);
	body = len > 0 ? memmem(out, (size_t)len, "\r\n\r\n", 4) : NULL;
	if (!body)
		return (struct ex_span){ NULL, 0 };
	body += 4;
	return (struct ex_span){ body, (size_t)(out + len - body) };
}

int ex_h2_write_denial(struct ex_h2_stream *st, const struct ex_h2_head *request,
		       const struct ex_h1_denial *d, bool hold)
{
	char text[TEXT_MAX], digits[24];
	struct ex_span body;
	struct ex_header fields[] = {
		{ EX_SPAN("content-type"),
		  d->text ? EX_SPAN("text/plain; charset=utf-8") : EX_SPAN("application/json") },
		{ EX_SPAN("cache-control"), EX_SPAN("no-store") },
		{ EX_SPAN("x-exeat-reason"), ex_span_str(ex_reason_word(d->reason)) },
		{ EX_SPAN("content-length"), { NULL, 0 } },
	};
	struct ex_h2_head head = {
		.h = { .status = d->status, .headers = fields, .n_headers = EX_ARRAY_SIZE(fields) },
		.end = d->head_only
	};
	int r;

	if (is_grpc(request))
		return grpc_deny(st, d);
	body = body_of(d, text);
	if (body.len == 0)
		return -EINVAL;
	snprintf(digits, sizeof(digits), "%zu", body.len);
	fields[3].value = ex_span_str(digits);
	r = ex_h2_respond(st, &head);
	if (r < 0 || d->head_only)
		return r;
	r = ex_h2_write(st, body.ptr, body.len);
	return r < 0 || hold ? r : ex_h2_finish(st, NULL);
}
