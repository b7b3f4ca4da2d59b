/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/line.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "agent/core/json.h"
#include "exeat/text.h"

#define NAME_PLAIN_MAX 20 /* a bare query parameter longer than this may be a token */
#define NAME_MAX_SHOWN 64

void ex_audit_now(char out[static EX_AUDIT_TIME])
{
	static const char none[EX_AUDIT_TIME] = "0000-00-00T00:00:00.000Z";
	static char text[EX_AUDIT_TIME];
	static time_t second; /* that is in text */
	struct timespec ts;
	struct tm tm;
	unsigned ms;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec != second || !second) {
		second = ts.tv_sec;
		if (!gmtime_r(&second, &tm) || !strftime(text, sizeof(text), "%FT%T.000Z", &tm))
			memcpy(text, none, sizeof(text));
	}
	ms = (unsigned)(ts.tv_nsec / 1000000);
	memcpy(out, text, EX_AUDIT_TIME);
	out[20] = (char)('0' + ms / 100);
	out[21] = (char)('0' + ms / 10 % 10);
	out[22] = (char)('0' + ms % 10);
}

void ex_audit_set(char *dst, size_t size, struct ex_span text)
{
	size_t n = text.len < size ? text.len : size - 1;

	if (n)
		memcpy(dst, text.ptr, n);
	dst[n] = '\0';
}

struct ex_span ex_audit_field(const char *field, size_t size)
{
	return (struct ex_span){ field, strnlen(field, size) };
}

/* A parameter's name may be written down; what could be a value or a bare token may not. */
static bool is_parameter_name(struct ex_span s, bool has_value)
{
	if (s.len == 0 || s.len > (has_value ? NAME_MAX_SHOWN : NAME_PLAIN_MAX))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!ex_is_letter(c) && !(c && strchr("-_.[]*", c)) &&
		    !(has_value && ex_is_digit(c)))
			return false;
	}
	return true;
}

struct cut {
	char *out;
	size_t len, size;
};

static void cut_add(struct cut *c, const char *s, size_t len)
{
	size_t room = c->size - 1 - c->len;

	if (len > room)
		len = room;
	memcpy(c->out + c->len, s, len);
	c->len += len;
	c->out[c->len] = '\0';
}

void ex_audit_set_path(char *dst, size_t size, struct ex_span path)
{
	struct cut c = { .out = dst, .size = size };
	size_t i = 0;

	dst[0] = '\0';
	while (i < path.len && path.ptr[i] != '?')
		i++;
	cut_add(&c, path.ptr ? path.ptr : "", i);
	while (i < path.len) { /* at '?', '&' or ';' */
		struct ex_span name = { path.ptr + i + 1, 0 };
		bool has_equals = false, has_value = false;
		size_t end = i + 1;

		cut_add(&c, path.ptr + i, 1);
		while (end < path.len && path.ptr[end] != '&' && path.ptr[end] != ';') {
			has_equals = has_equals || path.ptr[end] == '=';
			has_value = has_value || (has_equals && path.ptr[end] != '=');
			name.len += !has_equals;
			end++;
		}
		if (is_parameter_name(name, has_value)) /* a token's padding is no value */
			cut_add(&c, name.ptr, name.len);
		else if (name.len)
			cut_add(&c, "*", 1);
		if (has_equals)
			cut_add(&c, "=*", 2);
		i = end;
	}
}

size_t ex_audit_escape(struct ex_span text, char *out, size_t cap)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool plain = c >= 0x20 && c < 0x7f && c != '\\';

		if (n + (plain ? 1 : 4) >= cap)
			break;
		if (plain) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	out[n] = '\0';
	return n;
}

const char *ex_audit_app_word(uint8_t app)
{
	switch ((enum ex_audit_app)app) {
	case EX_AUDIT_L4:
		return "l4";
	case EX_AUDIT_DNS:
		return "dns";
	case EX_AUDIT_TLS:
		return "tls";
	case EX_AUDIT_HTTP:
		return "http";
	}
	return "l4";
}

static const char *proto_text(uint8_t proto, char buf[static 8])
{
	const char *word = ex_proto_word(proto);

	if (word)
		return word;
	snprintf(buf, 8, "%u", (unsigned)proto);
	return buf;
}

static void put_text(struct ex_json *j, const char *key, struct ex_span value)
{
	if (value.len)
		ex_json_string(j, key, value);
}

static void put_number(struct ex_json *j, const char *key, uint64_t value)
{
	if (value)
		ex_json_number(j, key, value);
}

static void put_ip(struct ex_json *j, const char *key, const struct ex_ip *ip)
{
	static const struct ex_ip none;
	char text[EX_IP_TEXT];

	if (!ex_ip_eq(ip, &none) && ex_ip_text(ip, text))
		ex_json_string(j, key, ex_span_str(text));
}

static struct ex_span cut_to(const char *s, size_t max)
{
	return (struct ex_span){ s, s ? strnlen(s, max) : 0 };
}

static void put_rule(struct ex_json *j, const struct ex_rule_info *rule)
{
	if (!rule)
		return;
	put_text(j, "policy", cut_to(rule->policy, 253));
	put_text(j, "namespace", cut_to(rule->ns, 63));
	put_text(j, "rule", cut_to(rule->where, 256));
	put_text(j, "file", cut_to(rule->file, 512));
	put_number(j, "line", rule->line > 0 ? (uint64_t)rule->line : 0);
}

const char *ex_audit_qtype_word(uint16_t qtype, char buf[static 16])
{
	switch (qtype) {
	case 1:
		return "A";
	case 5:
		return "CNAME";
	case 12:
		return "PTR";
	case 15:
		return "MX";
	case 16:
		return "TXT";
	case 28:
		return "AAAA";
	case 33:
		return "SRV";
	case 65:
		return "HTTPS";
	}
	snprintf(buf, 16, "TYPE%u", (unsigned)qtype);
	return buf;
}

/* "audit": let through, and reason and rule say what enforcement would have denied it by. */
static const char *verdict_word(const struct ex_audit_record *rec)
{
	if (rec->verdict != EX_V_ALLOW)
		return "deny";
	return rec->reason == EX_R_ALLOWED ? "allow" : "audit";
}

static void put_dns(struct ex_json *j, const struct ex_audit_record *rec)
{
	char number[16];

	if (rec->qtype)
		ex_json_text(j, "qtype", ex_audit_qtype_word(rec->qtype, number));
	if (rec->status)
		ex_json_number(j, "rcode", rec->status - 1u);
	if (!rec->n_ips)
		return;
	put_number(j, "ttl", rec->ttl);
	ex_json_open(j, "answers", '[');
	for (size_t i = 0; i < rec->n_ips && i < EX_AUDIT_IPS_MAX; i++)
		put_ip(j, NULL, &rec->ips[i]);
	ex_json_close(j, ']');
}

static void put_flow(struct ex_json *j, const struct ex_audit_record *rec)
{
	char number[8];

	if (rec->proto)
		ex_json_text(j, "proto", proto_text(rec->proto, number));
	put_ip(j, "src", &rec->src);
	put_number(j, "sport", rec->sport);
	put_ip(j, "dst", &rec->dst);
	put_number(j, "dport", rec->dport);
}

ssize_t ex_audit_line_json(const struct ex_audit_record *rec, const struct ex_audit_stamp *stamp,
			   char *out, size_t cap)
{
	char path[sizeof(rec->path) + 2];
	struct ex_json j;

	ex_audit_set_path(path, sizeof(path), EX_AUDIT_FIELD(rec->path));
	ex_json_init(&j, out, cap - 1);
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "time", stamp->time);
	ex_json_string(&j, "type", EX_SPAN("verdict"));
	put_text(&j, "run", ex_span_str(stamp->run));
	ex_json_number(&j, "seq", stamp->seq);
	ex_json_text(&j, "verdict", verdict_word(rec));
	ex_json_text(&j, "reason", ex_reason_word(rec->reason));
	ex_json_string(&j, "gate",
		       rec->gate == EX_AUDIT_KERNEL ? EX_SPAN("kernel") : EX_SPAN("proxy"));
	ex_json_text(&j, "app", ex_audit_app_word(rec->app));
	put_text(&j, "direction", ex_span_str(rec->ingress ? "ingress" : ""));
	put_flow(&j, rec);
	put_text(&j, "name", EX_AUDIT_FIELD(rec->name));
	put_text(&j, "sni", EX_AUDIT_FIELD(rec->sni));
	put_text(&j, "method", EX_AUDIT_FIELD(rec->method));
	put_text(&j, "host", EX_AUDIT_FIELD(rec->host));
	put_text(&j, "path", ex_span_str(path));
	if (rec->app == EX_AUDIT_DNS)
		put_dns(&j, rec);
	else
		put_number(&j, "status", rec->status);
	put_rule(&j, stamp->rule);
	put_text(&j, "detail", EX_AUDIT_FIELD(rec->detail));
	put_number(&j, "count", rec->count > 1 ? rec->count : 0);
	ex_json_close(&j, '}');
	return ex_json_line(&j);
}

static size_t subject_http(const struct ex_audit_record *rec, char *out, size_t cap)
{
	char path[sizeof(rec->path) + 2];
	size_t n;

	n = ex_audit_escape(EX_AUDIT_FIELD(rec->method), out, cap);
	if (n && n + 1 < cap)
		out[n++] = ' ';
	n += ex_audit_escape(EX_AUDIT_FIELD(rec->host), out + n, cap - n);
	ex_audit_set_path(path, sizeof(path), EX_AUDIT_FIELD(rec->path));
	return n + ex_audit_escape(ex_span_str(path), out + n, cap - n);
}

static void subject_flow(const struct ex_audit_record *rec, char *out, size_t cap)
{
	char ip[EX_IP_TEXT], number[8];
	const char *proto = proto_text(rec->proto, number), *dst = ex_ip_text(&rec->dst, ip);

	if (rec->proto == IPPROTO_ICMP || rec->proto == IPPROTO_ICMPV6)
		snprintf(out, cap, "%s %s type %u code %u", proto, dst, (unsigned)rec->dport >> 8,
			 (unsigned)rec->dport & 255);
	else
		snprintf(out, cap, ex_ip_is4(&rec->dst) ? "%s %s:%u" : "%s [%s]:%u", proto, dst,
			 (unsigned)rec->dport);
}

void ex_audit_subject(const struct ex_audit_record *rec, char *out, size_t cap)
{
	struct ex_span name =
		rec->app == EX_AUDIT_TLS ? EX_AUDIT_FIELD(rec->sni) : EX_AUDIT_FIELD(rec->name);
	size_t n;

	if (rec->app == EX_AUDIT_HTTP && subject_http(rec, out, cap) > 0)
		return;
	if (name.len && (rec->app == EX_AUDIT_TLS || rec->app == EX_AUDIT_DNS)) {
		n = (size_t)snprintf(out, cap, "%s ", rec->app == EX_AUDIT_TLS ? "TLS" : "DNS");
		if (n < cap)
			ex_audit_escape(name, out + n, cap - n);
		return;
	}
	subject_flow(rec, out, cap);
}

ssize_t ex_audit_line_text(const struct ex_audit_record *rec, const struct ex_audit_stamp *stamp,
			   char *out, size_t cap)
{
	char subject[2048], detail[4 * sizeof(rec->detail) + 1] = "", rule[1024] = "";
	const struct ex_rule_info *info = stamp->rule;
	char raw[512];
	int n;

	ex_audit_subject(rec, subject, sizeof(subject));
	ex_audit_escape(EX_AUDIT_FIELD(rec->detail), detail, sizeof(detail));
	if (info) {
		snprintf(raw, sizeof(raw), " by %s%s%s %s (%s:%d)", info->ns ? info->ns : "",
			 info->ns && info->ns[0] ? "/" : "", info->policy, info->where, info->file,
			 info->line);
		ex_audit_escape(ex_span_str(raw), rule, sizeof(rule));
	}
	n = snprintf(out, cap, "%s %llu %s %s %s%s%s%s%s\n", stamp->time,
		     (unsigned long long)stamp->seq, verdict_word(rec), ex_reason_word(rec->reason),
		     subject, rule, detail[0] ? " (" : "", detail, detail[0] ? ")" : "");
	return n < 0 || (size_t)n >= cap ? -ENOSPC : n;
}
