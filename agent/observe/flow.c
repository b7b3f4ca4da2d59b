/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event as JSON, with the names and values of Hubble's flow.proto where it has one for it, so
 * that what reads Hubble's flows reads ours. What only exeat knows is in the object "exeat".
 */
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "agent/audit/line.h"
#include "agent/observe/observe_priv.h"

/* event_type.type: monitorAPI.MessageType* */
enum { EVENT_DROP = 1, EVENT_TRACE = 4, EVENT_POLICY_VERDICT = 5, EVENT_ACCESS_LOG = 129 };

static void put_text(struct ex_json *j, const char *key, struct ex_span text)
{
	if (text.len)
		ex_json_string(j, key, text);
}

static void put_number(struct ex_json *j, const char *key, uint64_t n)
{
	if (n)
		ex_json_number(j, key, n);
}

void ex_observed_time(uint64_t ns, char out[static EX_OBSERVED_TIME])
{
	time_t seconds = (time_t)(ns / EX_SEC);
	struct tm tm;
	size_t n = gmtime_r(&seconds, &tm) ? strftime(out, EX_OBSERVED_TIME, "%FT%T", &tm) : 0;

	snprintf(out + n, EX_OBSERVED_TIME - n, ".%09uZ", (unsigned)(ns % EX_SEC));
}

/* ---- words ---- */

const char *ex_observed_verdict(const struct ex_observed *e)
{
	if (e->kind != EX_OBSERVED_VERDICT)
		return e->steered ? "REDIRECTED" : "FORWARDED";
	if (e->rec.verdict != EX_V_ALLOW)
		return "DROPPED";
	return e->rec.reason == EX_R_ALLOWED ? "FORWARDED" : "AUDIT";
}

const char *ex_observed_protocol(const struct ex_observed *e)
{
	switch ((enum ex_audit_app)e->rec.app) {
	case EX_AUDIT_HTTP:
		return "http";
	case EX_AUDIT_DNS:
		return "dns";
	case EX_AUDIT_TLS:
		return "tls";
	case EX_AUDIT_L4:
		break;
	}
	switch (e->rec.proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	case IPPROTO_SCTP:
		return "sctp";
	}
	return "other";
}

static bool is_l7(const struct ex_observed *e)
{
	return e->kind == EX_OBSERVED_VERDICT &&
	       (e->rec.app == EX_AUDIT_HTTP || e->rec.app == EX_AUDIT_DNS);
}

/* The nearest of Hubble's drop reasons; exeat.reason has the exact word. */
struct drop_reason {
	unsigned number;
	const char *word;
};

static struct drop_reason drop_reason(unsigned reason)
{
	switch (reason) {
	case EX_R_POLICY_DENY:
	case EX_R_RESERVED_DENY:
		return (struct drop_reason){ 181, "POLICY_DENY" };
	case EX_R_MALFORMED:
	case EX_R_IP_OPTIONS:
	case EX_R_TCP_FLAGS:
	case EX_R_MARTIAN:
		return (struct drop_reason){ 134, "INVALID_PACKET_DROPPED" };
	case EX_R_ETHERTYPE:
		return (struct drop_reason){ 166, "UNSUPPORTED_L2_PROTOCOL" };
	case EX_R_VLAN:
		return (struct drop_reason){ 182, "VLAN_FILTERED" };
	case EX_R_FRAGMENT:
		return (struct drop_reason){ 157, "IP_FRAGMENTATION_NOT_SUPPORTED" };
	case EX_R_EXT_HEADER:
		return (struct drop_reason){ 156, "INVALID_IPV6_EXTENSION_HEADER" };
	case EX_R_SOURCE_ADDRESS:
		return (struct drop_reason){ 132, "INVALID_SOURCE_IP" };
	case EX_R_SOURCE_MAC:
		return (struct drop_reason){ 130, "INVALID_SOURCE_MAC" };
	case EX_R_NO_FLOW:
		return (struct drop_reason){ 163, "UNKNOWN_CONNECTION_TRACKING_STATE" };
	case EX_R_TABLE_FULL:
		return (struct drop_reason){ 155, "CT_MAP_INSERTION_FAILED" };
	case EX_R_NO_PROXY:
		return (struct drop_reason){ 178, "SOCKET_LOOKUP_FAILED" };
	case EX_R_UNSUPPORTED:
		return (struct drop_reason){ 180, "PROXY_REDIRECTION_NOT_SUPPORTED_FOR_PROTOCOL" };
	case EX_R_UNSPEC:
	case EX_R_INTERNAL:
	case EX_R_UPSTREAM_UNREACHABLE:
	case EX_R_UPSTREAM_TLS:
	case EX_R_UPSTREAM_PROTOCOL:
	case EX_R_DNS_UPSTREAM:
	case EX_R_TIMEOUT:
	case EX_R_LIMIT:
		return (struct drop_reason){ 0, "DROP_REASON_UNKNOWN" };
	}
	return (struct drop_reason){ 133, "POLICY_DENIED" };
}

/* ---- layers ---- */

static void put_addresses(const struct ex_observed *e, struct ex_json *j)
{
	static const struct ex_ip none;
	const struct ex_audit_record *rec = &e->rec;
	char text[EX_IP_TEXT];

	if (ex_ip_eq(&rec->dst, &none) && ex_ip_eq(&rec->src, &none))
		return;
	ex_json_open(j, "IP", '{');
	if (!ex_ip_eq(&rec->src, &none))
		ex_json_text(j, "source", ex_ip_text(&rec->src, text));
	if (!ex_ip_eq(&rec->dst, &none))
		ex_json_text(j, "destination", ex_ip_text(&rec->dst, text));
	ex_json_text(j, "ipVersion", ex_ip_is4(&rec->dst) ? "IPv4" : "IPv6");
	ex_json_close(j, '}');
}

static const struct l4 {
	uint8_t proto;
	bool icmp;
	const char *key;
} l4_protocols[] = {
	{ IPPROTO_TCP, false, "TCP" },      { IPPROTO_UDP, false, "UDP" },
	{ IPPROTO_SCTP, false, "SCTP" },    { IPPROTO_ICMP, true, "ICMPv4" },
	{ IPPROTO_ICMPV6, true, "ICMPv6" },
};

static void put_l4(const struct ex_audit_record *rec, struct ex_json *j)
{
	const struct l4 *p = l4_protocols, *end = p + EX_ARRAY_SIZE(l4_protocols);

	while (p < end && p->proto != rec->proto)
		p++;
	if (p == end)
		return;
	ex_json_open(j, "l4", '{');
	ex_json_open(j, p->key, '{');
	put_number(j, p->icmp ? "type" : "source_port", p->icmp ? rec->dport >> 8 : rec->sport);
	put_number(j, p->icmp ? "code" : "destination_port",
		   p->icmp ? rec->dport & 0xffu : rec->dport);
	ex_json_close(j, '}');
	ex_json_close(j, '}');
}

/* The workload's end. */
static void put_workload(const struct ex_observed *e, struct ex_json *j)
{
	const struct ex_observe_who *who = e->who;

	if (!who)
		return;
	ex_json_open(j, e->rec.ingress ? "destination" : "source", '{');
	put_number(j, "ID", who->id);
	put_text(j, "namespace", ex_span_str(who->ns));
	ex_json_open(j, "labels", '[');
	for (size_t i = 0; i < who->n_labels; i++)
		ex_json_text(j, NULL, who->labels[i]);
	ex_json_close(j, ']');
	put_text(j, "pod_name", ex_span_str(who->name));
	ex_json_close(j, '}');
}

/* What the workload calls the other side; a DNS server is not the name it was asked for. */
static struct ex_span destination_name(const struct ex_audit_record *rec)
{
	if (rec->app == EX_AUDIT_DNS)
		return (struct ex_span){ 0 };
	if (rec->name[0])
		return EX_AUDIT_FIELD(rec->name);
	return rec->host[0] ? EX_AUDIT_FIELD(rec->host) : EX_AUDIT_FIELD(rec->sni);
}

static void put_destination_names(const struct ex_observed *e, struct ex_json *j)
{
	struct ex_span name = destination_name(&e->rec);

	if (!name.len)
		return;
	ex_json_open(j, "destination_names", '[');
	ex_json_string(j, NULL, name);
	ex_json_close(j, ']');
}

/* ---- layer 7 ---- */

static void put_dns(const struct ex_audit_record *rec, struct ex_json *j)
{
	char name[sizeof(rec->name) + 2], number[16], ip[EX_IP_TEXT];
	struct ex_span query = EX_AUDIT_FIELD(rec->name);

	snprintf(name, sizeof(name), "%.*s.", (int)query.len, query.ptr);
	ex_json_open(j, "dns", '{');
	ex_json_text(j, "query", name);
	if (rec->n_ips) {
		ex_json_open(j, "ips", '[');
		for (size_t i = 0; i < rec->n_ips && i < EX_AUDIT_IPS_MAX; i++)
			ex_json_text(j, NULL, ex_ip_text(&rec->ips[i], ip));
		ex_json_close(j, ']');
		put_number(j, "ttl", rec->ttl);
	}
	ex_json_text(j, "observation_source", "proxy");
	if (rec->status)
		put_number(j, "rcode", rec->status - 1u);
	if (rec->qtype) {
		ex_json_open(j, "qtypes", '[');
		ex_json_text(j, NULL, ex_audit_qtype_word(rec->qtype, number));
		ex_json_close(j, ']');
	}
	ex_json_close(j, '}');
}

static const char *http_version(const struct ex_audit_record *rec)
{
	return rec->http >= 20 ? "HTTP/2" : rec->http == 10 ? "HTTP/1.0" : "HTTP/1.1";
}

/* Query values are taken out by the proxy and once more here: it is not trusted. */
#define URL_MAX 1600
static void write_url(const struct ex_audit_record *rec, char url[static URL_MAX])
{
	bool tls = rec->sni[0] != '\0';
	char path[sizeof(rec->path) + 2], port[8] = "";
	struct ex_span host = EX_AUDIT_FIELD(rec->host);

	ex_audit_set_path(path, sizeof(path), EX_AUDIT_FIELD(rec->path));
	if (rec->dport != (tls ? 443 : 80))
		snprintf(port, sizeof(port), ":%u", (unsigned)rec->dport);
	snprintf(url, URL_MAX, "%s://%.*s%s%s", tls ? "https" : "http", (int)host.len, host.ptr,
		 port, path);
}

static void put_http(const struct ex_audit_record *rec, struct ex_json *j)
{
	char url[URL_MAX];

	write_url(rec, url);
	ex_json_open(j, "http", '{');
	put_number(j, "code", rec->status);
	ex_json_string(j, "method", EX_AUDIT_FIELD(rec->method));
	ex_json_text(j, "url", url);
	ex_json_text(j, "protocol", http_version(rec));
	ex_json_close(j, '}');
}

static void put_l7(const struct ex_observed *e, struct ex_json *j)
{
	if (!is_l7(e))
		return;
	ex_json_open(j, "l7", '{');
	/* The record of a request is written when it was judged, of a question when answered. */
	ex_json_text(j, "type", e->rec.status ? "RESPONSE" : "REQUEST");
	if (e->rec.app == EX_AUDIT_DNS)
		put_dns(&e->rec, j);
	else
		put_http(&e->rec, j);
	ex_json_close(j, '}');
}

/* ---- the rest ---- */

static void put_event_type(const struct ex_observed *e, struct ex_json *j)
{
	bool denied = e->rec.verdict != EX_V_ALLOW;
	unsigned type = EVENT_POLICY_VERDICT, sub = 0;

	if (e->kind == EX_OBSERVED_END) {
		type = EVENT_TRACE;
	} else if (is_l7(e)) {
		type = EVENT_ACCESS_LOG;
	} else if (e->kind == EX_OBSERVED_VERDICT && denied) {
		type = EVENT_DROP;
		sub = drop_reason(e->rec.reason).number;
	}
	ex_json_open(j, "event_type", '{');
	ex_json_number(j, "type", type);
	put_number(j, "sub_type", sub);
	ex_json_close(j, '}');
}

/* egress_allowed_by and the like: the policy that decided. */
static void put_policy(const struct ex_observed *e, struct ex_json *j)
{
	static const char *const keys[2][2] = { { "egress_denied_by", "egress_allowed_by" },
						{ "ingress_denied_by", "ingress_allowed_by" } };

	if (!e->policy[0] || e->kind != EX_OBSERVED_VERDICT)
		return;
	if (e->rec.verdict != EX_V_ALLOW && e->rec.reason != EX_R_POLICY_DENY)
		return; /* nearest miss: it denied nothing */
	ex_json_open(j, keys[e->rec.ingress != 0][e->rec.verdict == EX_V_ALLOW], '[');
	ex_json_open(j, NULL, '{');
	ex_json_text(j, "name", e->policy);
	put_text(j, "namespace", ex_span_str(e->ns));
	ex_json_close(j, '}');
	ex_json_close(j, ']');
}

static void put_summary(const struct ex_observed *e, struct ex_json *j)
{
	char text[URL_MAX + 64], url[URL_MAX], number[16], subject[768];
	const struct ex_audit_record *rec = &e->rec;
	struct ex_span method = EX_AUDIT_FIELD(rec->method), name = EX_AUDIT_FIELD(rec->name);

	if (is_l7(e) && rec->app == EX_AUDIT_HTTP && method.len) {
		write_url(rec, url);
		snprintf(text, sizeof(text), "%s %.*s %s", http_version(rec), (int)method.len,
			 method.ptr, url);
	} else if (is_l7(e) && rec->app == EX_AUDIT_DNS && name.len) {
		snprintf(text, sizeof(text), "DNS Query %.*s. %s", (int)name.len, name.ptr,
			 ex_audit_qtype_word(rec->qtype, number));
	} else {
		ex_audit_subject(rec, subject, sizeof(subject));
		snprintf(text, sizeof(text), "%s%s", subject,
			 e->kind == EX_OBSERVED_END ? " ended" : "");
	}
	ex_json_text(j, "Summary", text);
}

static const char *event_word(enum ex_observed_kind kind)
{
	switch (kind) {
	case EX_OBSERVED_VERDICT:
		return "verdict";
	case EX_OBSERVED_NEW:
		return "new";
	case EX_OBSERVED_END:
		return "end";
	}
	return "verdict";
}

static void put_own(const struct ex_observed *e, struct ex_json *j)
{
	const struct ex_audit_record *rec = &e->rec;

	ex_json_open(j, "exeat", '{');
	ex_json_number(j, "seq", e->seq);
	ex_json_text(j, "event", event_word(e->kind));
	ex_json_text(j, "reason", ex_reason_word(rec->reason));
	ex_json_text(j, "gate", rec->gate == EX_AUDIT_KERNEL ? "kernel" : "proxy");
	ex_json_text(j, "protocol", ex_observed_protocol(e));
	put_text(j, "name", EX_AUDIT_FIELD(rec->name));
	put_text(j, "sni", EX_AUDIT_FIELD(rec->sni));
	put_text(j, "policy", ex_span_str(e->policy));
	put_text(j, "policy_namespace", ex_span_str(e->ns));
	put_text(j, "rule", ex_span_str(e->where));
	put_text(j, "file", ex_span_str(e->file));
	put_number(j, "line", e->line > 0 ? (uint64_t)e->line : 0);
	put_text(j, "log", ex_span_str(e->log));
	put_text(j, "detail", EX_AUDIT_FIELD(rec->detail));
	put_number(j, "count", rec->count > 1 ? rec->count : 0);
	put_number(j, "suppressed", e->suppressed);
	if (e->kind == EX_OBSERVED_END) {
		ex_json_number(j, "packets", e->packets);
		ex_json_number(j, "bytes", e->bytes);
	}
	ex_json_close(j, '}');
}

void ex_observed_json(const struct ex_observed *e, const char *node, struct ex_json *j)
{
	char time[EX_OBSERVED_TIME];

	ex_observed_time(e->time, time);
	ex_json_open(j, NULL, '{');
	ex_json_text(j, "time", time);
	ex_json_text(j, "verdict", ex_observed_verdict(e));
	if (e->kind == EX_OBSERVED_VERDICT && e->rec.verdict != EX_V_ALLOW) {
		ex_json_number(j, "drop_reason", drop_reason(e->rec.reason).number);
		ex_json_text(j, "drop_reason_desc", drop_reason(e->rec.reason).word);
	}
	put_addresses(e, j);
	put_l4(&e->rec, j);
	put_workload(e, j);
	put_destination_names(e, j);
	ex_json_text(j, "Type", is_l7(e) ? "L7" : "L3_L4");
	put_text(j, "node_name", ex_span_str(node));
	put_l7(e, j);
	put_event_type(e, j);
	ex_json_text(j, "traffic_direction", e->rec.ingress ? "INGRESS" : "EGRESS");
	put_policy(e, j);
	put_summary(e, j);
	put_own(e, j);
	ex_json_close(j, '}');
}
