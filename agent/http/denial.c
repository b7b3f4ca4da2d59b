// SPDX-License-Identifier: Apache-2.0
/*
 * What a denied program reads. The body is JSON in the shape that clients of web APIs already know
 * how to show: {"error": {"message", "type", "code", ...}}.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/types.h>

#include "agent/audit/json.h"
#include "agent/audit/remedy.h"
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

static void write_rule(struct ex_json *j, const struct ex_rule_info *rule)
{
	if (!rule)
		return;
	ex_json_string(j, "policy", shorten(ex_span_str(rule->policy), 253));
	if (rule->ns && rule->ns[0])
		ex_json_string(j, "namespace", shorten(ex_span_str(rule->ns), WORD_SHOW));
	ex_json_string(j, "rule", shorten(ex_span_str(rule->where), 128));
}

static ssize_t write_body(const struct ex_h1_denial *d, char *out, size_t cap)
{
	char path_buf[PATH_SHOW], host_buf[HOST_SHOW], method_buf[WORD_SHOW];
	struct ex_span path = show(without_query(d->path), path_buf, sizeof(path_buf));
	struct ex_span host = show(d->host, host_buf, sizeof(host_buf));
	struct ex_span method = show(d->method, method_buf, sizeof(method_buf));
	struct ex_remedy how = { .reason = d->reason,
				 .method = method,
				 .name = host,
				 .path = shorten(d->path, PATH_SHOW),
				 .address = "",
				 .proto = "",
				 .where = d->rule ? d->rule->where : "" };
	char message[1024], remedy[EX_REMEDY_MAX];
	struct ex_json j;
	int n;

	n = snprintf(message, sizeof(message), "exeat denied %.*s%s%.*s%.*s: %s%s%s%s",
		     (int)method.len, method.ptr, method.len ? " " : "", (int)host.len, host.ptr,
		     (int)path.len, path.len ? path.ptr : "", ex_reason_text(d->reason),
		     d->detail ? " (" : "", d->detail ? d->detail : "", d->detail ? ")" : "");
	if (n < 0)
		return -EINVAL;
	ex_remedy_write(&how, remedy);
	ex_json_init(&j, out, cap);
	ex_json_open(&j, NULL, '{');
	ex_json_open(&j, "error", '{');
	ex_json_string(&j, "message", ex_span_str(message));
	ex_json_string(&j, "type", EX_SPAN("exeat_denied"));
	ex_json_string(&j, "code", ex_span_str(ex_reason_word(d->reason)));
	if (d->detail)
		ex_json_string(&j, "detail", ex_span_str(d->detail));
	write_rule(&j, d->rule);
	if (method.len)
		ex_json_string(&j, "method", method);
	if (host.len)
		ex_json_string(&j, "host", host);
	if (path.len)
		ex_json_string(&j, "path", path);
	if (remedy[0])
		ex_json_string(&j, "remedy", ex_span_str(remedy));
	ex_json_close(&j, '}');
	ex_json_close(&j, '}');
	return ex_json_done(&j);
}

ssize_t ex_h1_write_denial(const struct ex_h1_denial *d, bool close, char *out, size_t cap)
{
	char body[BODY_MAX];
	ssize_t len = write_body(d, body, sizeof(body) - 1);
	int head;

	if (len < 0) /* a host or path that is all escapes: the reason alone */
		len = snprintf(body, sizeof(body),
			       "{\"error\":{\"message\":\"exeat denied this request\","
			       "\"type\":\"exeat_denied\",\"code\":\"%s\"}}",
			       ex_reason_word(d->reason));
	body[len++] = '\n';
	head = snprintf(out, cap,
			"HTTP/1.1 %u %s\r\n"
			"Content-Type: application/json\r\n"
			"Content-Length: %zd\r\n"
			"Cache-Control: no-store\r\n"
			"X-Exeat-Reason: %s\r\n"
			"Connection: %s\r\n\r\n",
			(unsigned)d->status, status_phrase(d->status), len,
			ex_reason_word(d->reason), close ? "close" : "keep-alive");
	if (head < 0 || (size_t)head >= cap)
		return -ENOSPC;
	if (d->head_only)
		return head;
	if ((size_t)len > cap - (size_t)head)
		return -ENOSPC;
	memcpy(out + head, body, (size_t)len);
	return head + len;
}
