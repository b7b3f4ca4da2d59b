/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a denied program reads. The body is JSON in the shape that clients of web APIs already know
 * how to show: {"error": {"message", "type", "code", ...}}.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/types.h>

#include "agent/audit/remedy.h"
#include "agent/core/json.h"
#include "agent/http/chars.h"
#include "agent/http/http1.h"

#define BODY_MAX  3072
#define PATH_SHOW 256
#define HOST_SHOW 253
#define WORD_SHOW 64

static const char *status_phrase(unsigned status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 413:
		return "Content Too Large";
	case 421:
		return "Misdirected Request";
	case 431:
		return "Request Header Fields Too Large";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	}
	return "Denied";
}

static struct ex_span shorten(struct ex_span s, size_t max)
{
	if (s.len > max)
		s.len = max;
	return s;
}

/* What the client sent, printable: the client may show it on a terminal. */
static struct ex_span show(struct ex_span s, char *out, size_t cap)
{
	s = shorten(s, cap);
	for (size_t i = 0; i < s.len; i++)
		out[i] = s.ptr[i] >= 0x20 && s.ptr[i] < 0x7f ? s.ptr[i] : '?';
	return (struct ex_span){ out, s.len };
}

static struct ex_span without_query(struct ex_span path)
{
	const char *query = path.len ? memchr(path.ptr, '?', path.len) : NULL;

	if (query)
		path.len = (size_t)(query - path.ptr);
	return path;
}

/* Does the comma-separated list hold this media type, or one of this kind ("text/")? */
static bool accepts(struct ex_span list, const char *type, bool whole)
{
	struct ex_span one = { 0 };
	size_t len = strlen(type);

	while (ex_span_next(&list, &one)) {
		const char *param = one.len ? memchr(one.ptr, ';', one.len) : NULL;

		if (param)
			one.len = (size_t)(param - one.ptr);
		one = ex_span_trim(one);
		if (!whole && one.len > len)
			one.len = len;
		if (ex_span_is(one, type))
			return true;
	}
	return false;
}

bool ex_h1_prefers_text(const struct ex_header *headers, size_t n)
{
	bool text = false;

	for (size_t i = 0; i < n; i++) {
		struct ex_span value = headers[i].value;

		if (!ex_span_is(headers[i].name, "accept"))
			continue;
		if (accepts(value, "*/*", true) || accepts(value, "application/", false))
			return false;
		text = text || accepts(value, "text/", false);
	}
	return text;
}

/* What both forms of the body say, printable. */
struct words {
	char path_buf[PATH_SHOW], host_buf[HOST_SHOW], method_buf[WORD_SHOW];
	struct ex_span path, host, method;
	char message[1024], remedy[EX_REMEDY_MAX];
};

static void find_words(const struct ex_h1_denial *d, struct words *w)
{
	struct ex_remedy how = { .reason = d->reason,
				 .address = "",
				 .proto = "",
				 .where = d->rule ? d->rule->where : "",
				 .explained = d->detail && !d->judged };

	w->path = show(without_query(d->path), w->path_buf, sizeof(w->path_buf));
	w->host = show(d->host, w->host_buf, sizeof(w->host_buf));
	w->method = show(d->method, w->method_buf, sizeof(w->method_buf));
	how.method = w->method;
	how.name = w->host;
	how.path = d->path;
	if (d->judged) {
		how.destination = d->judged->destination;
		how.headers = d->judged->headers;
		how.n_headers = d->judged->n_headers;
	}
	ex_remedy_write(&how, w->remedy);
	snprintf(w->message, sizeof(w->message), "exeat denied %.*s%s%.*s%.*s: %s%s%s%s",
		 (int)w->method.len, w->method.ptr, w->method.len ? " " : "", (int)w->host.len,
		 w->host.ptr, (int)w->path.len, w->path.ptr, ex_reason_text(d->reason),
		 d->detail ? " (" : "", d->detail ? d->detail : "", d->detail ? ")" : "");
}

static void write_rule(struct ex_json *j, const struct ex_rule_info *rule)
{
	if (!rule)
		return;
	ex_json_string(j, "policy", shorten(ex_span_str(rule->policy), 253));
	if (rule->ns && rule->ns[0])
		ex_json_string(j, "namespace", shorten(ex_span_str(rule->ns), WORD_SHOW));
	ex_json_string(j, "rule", shorten(ex_span_str(rule->where), 128));
}

static ssize_t write_json(const struct ex_h1_denial *d, const struct words *w, char *out,
			  size_t cap)
{
	struct ex_json j;

	ex_json_init(&j, out, cap);
	ex_json_open(&j, NULL, '{');
	ex_json_open(&j, "error", '{');
	ex_json_string(&j, "message", ex_span_str(w->message));
	ex_json_string(&j, "type", EX_SPAN("exeat_denied"));
	ex_json_string(&j, "code", ex_span_str(ex_reason_word(d->reason)));
	if (d->detail)
		ex_json_string(&j, "detail", ex_span_str(d->detail));
	write_rule(&j, d->rule);
	if (w->method.len)
		ex_json_string(&j, "method", w->method);
	if (w->host.len)
		ex_json_string(&j, "host", w->host);
	if (w->path.len)
		ex_json_string(&j, "path", w->path);
	if (w->remedy[0])
		ex_json_string(&j, "remedy", ex_span_str(w->remedy));
	ex_json_close(&j, '}');
	ex_json_close(&j, '}');
	return ex_json_done(&j);
}

static ssize_t write_text(const struct ex_h1_denial *d, const struct words *w, char *out,
			  size_t cap)
{
	int n = snprintf(out, cap, "%s\nreason: %s%s%s%s%s", w->message, ex_reason_word(d->reason),
			 d->rule ? "\nrule: " : "", d->rule ? d->rule->where : "",
			 w->remedy[0] ? "\nremedy: " : "", w->remedy);

	return n < 0 || (size_t)n >= cap ? -ENOSPC : n;
}

uint16_t ex_h1_status(enum ex_reason reason)
{
	switch ((int)reason) {
	case EX_R_HOST_MISMATCH:
		return 421;
	case EX_R_HTTP_MALFORMED:
	case EX_R_H2_UNSUPPORTED:
		return 400;
	case EX_R_HTTP_TOO_LARGE:
		return 431;
	case EX_R_TIMEOUT:
		return 504;
	case EX_R_UPSTREAM_UNREACHABLE:
	case EX_R_UPSTREAM_TLS:
	case EX_R_UPSTREAM_PROTOCOL:
		return 502;
	case EX_R_LIMIT:
	case EX_R_INTERNAL:
		return 503;
	}
	return 403;
}

ssize_t ex_h1_write_denial(const struct ex_h1_denial *d, bool close, char *out, size_t cap)
{
	char body[BODY_MAX];
	struct words words;
	ssize_t len;
	int head;

	find_words(d, &words);
	len = d->text ? write_text(d, &words, body, sizeof(body) - 1)
		      : write_json(d, &words, body, sizeof(body) - 1);
	if (len < 0) /* too long when escaped: the reason alone */
		len = snprintf(body, sizeof(body),
			       "{\"error\":{\"message\":\"exeat denied this request\","
			       "\"type\":\"exeat_denied\",\"code\":\"%s\"}}",
			       ex_reason_word(d->reason));
	body[len++] = '\n';
	head = snprintf(out, cap,
			"HTTP/1.1 %u %s\r\n"
			"Content-Type: %s\r\n"
			"Content-Length: %zd\r\n"
			"Cache-Control: no-store\r\n"
			"X-Exeat-Reason: %s\r\n"
			"Connection: %s\r\n\r\n",
			(unsigned)d->status, status_phrase(d->status),
			d->text ? "text/plain" : "application/json", len, ex_reason_word(d->reason),
			close ? "close" : "keep-alive");
	if (head < 0 || (size_t)head >= cap)
		return -ENOSPC;
	if (d->head_only)
		return head;
	if ((size_t)len > cap - (size_t)head)
		return -ENOSPC;
	memcpy(out + head, body, (size_t)len);
	return head + len;
}
