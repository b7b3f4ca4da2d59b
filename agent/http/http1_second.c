/* SPDX-License-Identifier: Apache-2.0 */
/* The second reader: the only calls into llhttp. It reports; http1*.c compare. */
#include "agent/http/http1_priv.h"

static int on_method(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	p->ll_method = (struct ex_span){ at, len };
	return 0;
}

static int on_url(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	p->ll_url = (struct ex_span){ at, len };
	return 0;
}

static int on_status(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	p->ll_phrase = (struct ex_span){ at, len };
	return 0;
}

static int on_field(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	if (p->ll_head_done)
		return 0; /* a trailer: read for its framing only */
	if (p->ll_headers == EX_H1_HEADERS_MAX)
		return HPE_USER;
	p->headers[p->ll_headers++] = (struct ex_header){ .name = { at, len } };
	return 0;
}

/* The head is parsed from one buffer, so a value that comes in pieces is contiguous or folded. */
static int on_value(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;
	struct ex_span *value;

	if (p->ll_head_done)
		return 0;
	if (p->ll_headers == 0)
		return HPE_USER;
	value = &p->headers[p->ll_headers - 1].value;
	if (!value->ptr)
		*value = (struct ex_span){ at, len };
	else if (value->ptr + value->len == at)
		value->len += len;
	else
		return HPE_USER;
	return 0;
}

static bool status_has_no_body(unsigned status)
{
	return status / 100 == 1 || status == 204 || status == 304;
}

static int on_head(llhttp_t *ll)
{
	struct ex_h1 *p = ll->data;

	p->ll_head_done = true;
	return !p->request && (p->to_head || status_has_no_body(ll->status_code));
}

static int on_body(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	if (p->body.ptr)
		return HPE_USER;
	p->body = (struct ex_span){ at, len };
	return 0;
}

static int on_chunk(llhttp_t *ll)
{
	struct ex_h1 *p = ll->data;

	p->ll_chunk = true;
	return 0;
}

static int on_done(llhttp_t *ll)
{
	struct ex_h1 *p = ll->data;

	p->ll_done = true;
	return 0;
}

static const llhttp_settings_t settings = {
	.on_method = on_method,
	.on_url = on_url,
	.on_status = on_status,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_chunk_header = on_chunk,
	.on_message_complete = on_done,
};

bool ex_h1_second_reads(struct ex_h1 *p, const char *bytes, size_t len)
{
	llhttp_errno_t err = llhttp_execute(&p->ll, bytes, len);

	return err == HPE_OK || (err == HPE_PAUSED_UPGRADE && p->ll_done);
}

void ex_h1_second_start(struct ex_h1 *p)
{
	llhttp_init(&p->ll, p->request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	p->ll.data = p;
	p->ll_method = p->ll_url = p->ll_phrase = p->body = (struct ex_span){ 0 };
	p->ll_headers = 0;
	p->ll_head_done = p->ll_done = p->ll_chunk = false;
}

const char *ex_h1_second_complaint(const struct ex_h1 *p)
{
	return p->ll.error == HPE_INVALID_METHOD ? "unknown method" : "malformed head";
}

unsigned ex_h1_second_minor(const struct ex_h1 *p)
{
	return p->ll.http_minor;
}

unsigned ex_h1_second_status(const struct ex_h1 *p)
{
	return p->ll.status_code;
}

uint64_t ex_h1_second_chunk(const struct ex_h1 *p)
{
	return p->ll.content_length;
}

bool ex_h1_second_finish(struct ex_h1 *p)
{
	return llhttp_finish(&p->ll) == HPE_OK && p->ll_done;
}

/* It counts down what is left in this very field, and keeps nothing else of the bytes. */
void ex_h1_second_skips(struct ex_h1 *p, uint64_t n)
{
	p->ll.content_length -= n;
}

enum ex_h1_framing ex_h1_second_framing(const struct ex_h1 *p)
{
	if (p->ll_done)
		return p->head.framing == EX_H1_LENGTH && p->head.content_length == 0
			       ? EX_H1_LENGTH
			       : EX_H1_NO_BODY;
	if (p->ll.flags & F_CHUNKED)
		return EX_H1_CHUNKED;
	if ((p->ll.flags & F_CONTENT_LENGTH) && p->ll.content_length == p->head.content_length)
		return EX_H1_LENGTH;
	return !p->request && llhttp_message_needs_eof(&p->ll) ? EX_H1_UNTIL_CLOSE : EX_H1_NO_BODY;
}
