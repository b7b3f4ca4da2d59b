/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a complete head means: framing, Host, connection options. Refuses what could mean two
 * things.
 */
#include <errno.h>

#include "agent/http/chars.h"
#include "agent/http/destination.h"
#include "agent/http/fields.h"
#include "agent/http/http1_priv.h"
#include "agent/http/method.h"

bool ex_h1_method_refused(struct ex_h1 *p, struct ex_span method)
{
	const char *detail;
	enum ex_reason reason = ex_method_check(method, &detail);

	if (reason != EX_R_ALLOWED)
		ex_h1_break(p, reason, detail);
	return reason != EX_R_ALLOWED;
}

/* Fields that may be there once; what is needed of each while the head is read. */
struct seen {
	struct ex_span host, length, coding, expect, upgrade;
	bool has_host, has_length, has_coding, has_expect, has_upgrade;
	bool option_close, option_upgrade;
};

static int bad(struct ex_h1 *p, const char *error)
{
	ex_h1_break_malformed(p, error);
	return -EINVAL;
}

static int note_once(struct ex_h1 *p, struct ex_span value, struct ex_span *ret, bool *ret_has)
{
	if (*ret_has)
		return bad(p, "repeated field that may appear once");
	*ret = value;
	*ret_has = true;
	return 0;
}

/*
 * Connection may name only what hop-by-hop removal takes out anyway: otherwise a field that a rule
 * has judged could be made to vanish on the way.
 */
static int note_connection(struct ex_h1 *p, struct ex_span list, struct seen *s)
{
	static const char *const harmless[] = { "keep-alive", "te", "trailer", "trailers",
						"proxy-connection" };
	struct ex_span option = { 0 };

	while (ex_span_next(&list, &option)) {
		bool known = option.len == 0;

		for (size_t i = 0; i < EX_ARRAY_SIZE(harmless) && !known; i++)
			known = ex_span_is(option, harmless[i]);
		if (ex_span_is(option, "close"))
			s->option_close = known = true;
		if (ex_span_is(option, "upgrade"))
			s->option_upgrade = known = true;
		if (ex_span_is(option, "http2-settings")) {
			ex_h1_break(p, EX_R_H2_UNSUPPORTED, "upgrade to HTTP/2");
			return -EINVAL;
		}
		if (!known && p->request)
			return bad(p, "Connection names a field");
	}
	return 0;
}

static int note_header(struct ex_h1 *p, const struct ex_header *h, struct seen *s)
{
	if (!(ex_field_kinds(h->name) & (EX_FIELD_FRAMING | EX_FIELD_HOP | EX_FIELD_REWRITTEN)))
		return 0;
	if (ex_span_is(h->name, "host"))
		return p->request ? note_once(p, h->value, &s->host, &s->has_host) : 0;
	if (ex_span_is(h->name, "content-length"))
		return note_once(p, h->value, &s->length, &s->has_length);
	if (ex_span_is(h->name, "transfer-encoding"))
		return note_once(p, h->value, &s->coding, &s->has_coding);
	if (ex_span_is(h->name, "connection"))
		return note_connection(p, h->value, s);
	if (ex_span_is(h->name, "upgrade"))
		return p->request || p->head.status == 101
			       ? note_once(p, h->value, &s->upgrade, &s->has_upgrade)
			       : 0;
	if (!p->request)
		return 0;
	if (ex_span_is(h->name, "expect"))
		return note_once(p, h->value, &s->expect, &s->has_expect);
	if (ex_span_is(h->name, "http2-settings")) {
		ex_h1_break(p, EX_R_H2_UNSUPPORTED, "upgrade to HTTP/2");
		return -EINVAL;
	}
	return ex_field_is_framing(h->name) ? bad(p, "field name that some servers read as another")
					    : 0;
}

/*
 * llhttp's spans against the lines our reader saw: names start lines and end at the colon, values
 * end at the line's CR. Trims the values.
 */
static int headers_check(struct ex_h1 *p)
{
	const char *end = p->buf + p->len;

	for (size_t i = 0; i < p->ll_headers; i++) {
		struct ex_header *h = &p->headers[i];
		const char *colon = h->name.ptr + h->name.len;
		struct ex_span line;

		if (h->name.len == 0 || h->name.ptr[-1] != '\n' || *colon != ':')
			return bad(p, "ambiguous field");
		line.ptr = colon + 1;
		line.len = (size_t)((const char *)memchr(colon, '\r', (size_t)(end - colon)) -
				    line.ptr);
		line = ex_span_trim(line);
		h->value = ex_span_trim(h->value);
		if (line.len != h->value.len || (line.len && line.ptr != h->value.ptr))
			return bad(p, "ambiguous field value");
	}
	p->head.headers = p->headers;
	p->head.n_headers = p->ll_headers;
	return 0;
}

bool ex_h1_body_is_unexpected(const struct ex_h1_head *head)
{
	if (head->framing == EX_H1_NO_BODY ||
	    (head->framing == EX_H1_LENGTH && head->content_length == 0))
		return false;
	return ex_method_is_bodiless(head->method);
}

bool ex_h1_may_repeat(const struct ex_h1_head *head)
{
	return head->framing == EX_H1_NO_BODY && !head->upgrade.len &&
	       (ex_span_eq(head->method, EX_SPAN("GET")) ||
		ex_span_eq(head->method, EX_SPAN("HEAD")) ||
		ex_span_eq(head->method, EX_SPAN("OPTIONS")));
}

bool ex_h1_upgrade_is_websocket(const struct ex_h1_head *head)
{
	return ex_span_is(head->upgrade, "websocket") && ex_span_eq(head->method, EX_SPAN("GET")) &&
	       head->framing == EX_H1_NO_BODY;
}

static bool response_has_no_body(const struct ex_h1 *p)
{
	return p->to_head || p->head.status / 100 == 1 || p->head.status == 204 ||
	       p->head.status == 304;
}

static int framing_read(struct ex_h1 *p, const struct seen *s)
{
	struct ex_h1_head *head = &p->head;

	if (s->has_length && ex_field_length(s->length, &head->content_length) < 0)
		return bad(p, "bad Content-Length");
	if (s->has_length && s->has_coding)
		return bad(p, "Content-Length and Transfer-Encoding");
	if (s->has_coding && (head->minor == 0 || !ex_span_is(s->coding, "chunked")))
		return bad(p, "Transfer-Encoding is not exactly chunked");
	head->length_given = s->has_length;
	if (!p->request && response_has_no_body(p)) {
		head->framing = EX_H1_NO_BODY;
		/* Where none can ever be, no length is told, to HEAD neither (RFC 9110 8.6). */
		if (head->status / 100 == 1 || head->status == 204) {
			head->length_given = false;
			head->content_length = 0;
		}
	} else if (s->has_coding) {
		head->framing = EX_H1_CHUNKED;
	} else if (s->has_length) {
		head->framing = EX_H1_LENGTH;
	} else {
		head->framing = p->request ? EX_H1_NO_BODY : EX_H1_UNTIL_CLOSE;
	}
	return 0;
}

static int host_read(struct ex_h1 *p, const struct seen *s)
{
	size_t len;

	if (!s->has_host)
		return bad(p, "no Host");
	if (ex_authority_parse(s->host, &p->host) < 0)
		return bad(p, "Host is not one name or address");
	len = ex_authority_write(&p->host, p->authority);
	p->head.host = (struct ex_span){ p->host.host, p->host.host_len };
	p->head.host_port = p->host.port;
	p->head.authority = (struct ex_span){ p->authority, len };
	return 0;
}

static int upgrade_read(struct ex_h1 *p, const struct seen *s)
{
	struct ex_h1_head *head = &p->head;
	struct ex_span list = s->upgrade, one = { 0 };

	if ((!p->request && head->status != 101) || (!s->has_upgrade && !s->option_upgrade))
		return 0;
	if (!s->has_upgrade || s->upgrade.len == 0)
		return bad(p, "Connection: Upgrade without Upgrade");
	while (ex_span_next(&list, &one)) {
		if (ex_span_is(one, "h2c") || ex_span_is(one, "h2")) {
			ex_h1_break(p, EX_R_H2_UNSUPPORTED, "upgrade to HTTP/2");
			return -EINVAL;
		}
	}
	for (size_t i = 0; i < s->upgrade.len; i++)
		if (!ex_char_is(s->upgrade.ptr[i], EX_CHAR_TOKEN) && s->upgrade.ptr[i] != '/')
			return bad(p, "Upgrade is not one protocol");
	/* RFC 9110 7.8 would have it ignored, but a rule may be about the field. */
	if (!s->option_upgrade)
		return bad(p, "Upgrade without Connection: Upgrade");
	if (p->request && (head->framing == EX_H1_CHUNKED || head->content_length)) {
		ex_h1_break(p, EX_R_UPGRADE_DENIED, "Upgrade with a body");
		return -EINVAL;
	}
	if (!p->request && !ex_span_is(s->upgrade, "websocket"))
		return bad(p, "switched to a protocol that was not asked for");
	head->upgrade = s->upgrade;
	return 0;
}

static int path_read(struct ex_h1 *p)
{
	struct ex_span url = p->ll_url;
	ssize_t len;

	if (url.len > p->path_cap) {
		free(p->path);
		p->path = malloc(url.len);
		p->path_cap = p->path ? url.len : 0;
	}
	if (!p->path)
		return -ENOMEM;
	len = ex_h1_normalise(url, p->path, url.len);
	if (len < 0)
		return bad(p, "request target is not a plain path");
	p->head.path = (struct ex_span){ p->path, (size_t)len };
	return 0;
}

static int request_read(struct ex_h1 *p, const struct seen *s)
{
	struct ex_h1_head *head = &p->head;
	const char *error;
	int r = host_read(p, s);

	if (r == 0)
		r = path_read(p);
	if (r < 0)
		return r;
	error = ex_destination_read(head);
	if (error)
		return bad(p, error);
	if (s->has_expect && !ex_span_is(s->expect, "100-continue"))
		return bad(p, "unknown expectation");
	head->expect_continue = s->has_expect && head->minor == 1;
	return 0;
}

/*
 * The request line as llhttp took it apart is the whole line: METHOD SP target SP HTTP/1.x CR LF.
 */
static bool request_line_agrees(const struct ex_h1 *p)
{
	const char *url = p->buf + p->ll_method.len + 1;
	const char *version = url + p->ll_url.len + 1;

	return p->ll_method.ptr == p->buf && p->ll_url.ptr == url && url[-1] == ' ' &&
	       version[-1] == ' ' && memcmp(version, "HTTP/1.", 7) == 0 && version[8] == '\r';
}

int ex_h1_head_read(struct ex_h1 *p)
{
	struct ex_h1_head *head = &p->head;
	struct seen seen = { 0 };
	int r;

	if (p->request && !request_line_agrees(p))
		return bad(p, "ambiguous request line");
	head->method = p->ll_method; /* empty in a response */
	head->minor = (uint8_t)ex_h1_second_minor(p);
	head->status = p->request ? 0 : (uint16_t)ex_h1_second_status(p);
	head->phrase = ex_span_trim(p->ll_phrase); /* empty in a request */
	r = headers_check(p);
	if (r < 0)
		return r;
	for (size_t i = 0; i < head->n_headers; i++) {
		r = note_header(p, &head->headers[i], &seen);
		if (r < 0)
			return r;
	}
	if (p->request && ex_fields_have_twins(head->headers, head->n_headers))
		return bad(p, "field names that some servers read as one");
	r = framing_read(p, &seen);
	if (r < 0)
		return r;
	r = upgrade_read(p, &seen);
	if (r < 0)
		return r;
	if (head->status == 101 && (!head->upgrade.len || !p->to_upgrade))
		return bad(p, "protocol switched without request");
	/*
	 * HTTP/1.0 persistence (Connection: keep-alive) is not offered: one message, then the end.
	 */
	head->close = head->minor == 0 || seen.option_close || head->framing == EX_H1_UNTIL_CLOSE ||
		      ex_h1_body_is_unexpected(head);
	return p->request ? request_read(p, &seen) : 0;
}
