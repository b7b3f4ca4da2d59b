/* SPDX-License-Identifier: Apache-2.0 */
/* The explanation for programs: one JSON object. */
#include "policy/explanation.h"
#include "policy/tool.h"

#include <netinet/in.h>

static void put_text(FILE *out, const char *key, const char *text)
{
	(void)fprintf(out, ",\"%s\":", key);
	ex_tool_json_string(out, text);
}

static void put_rule(FILE *out, const struct ex_ruleset *rs, uint32_t rule)
{
	const struct ex_rule_info *info = ex_ruleset_rule(rs, rule);

	if (!info) {
		(void)fputs("null", out);
		return;
	}
	(void)fprintf(out, "{\"id\":%u", rule);
	put_text(out, "policy", info->policy);
	put_text(out, "namespace", info->ns);
	put_text(out, "where", info->where);
	put_text(out, "file", info->file);
	(void)fprintf(out, ",\"line\":%d,\"column\":%d}", info->line, info->col);
}

static void put_request(FILE *out, const struct ex_probe *p)
{
	bool icmp = p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6;
	char ip[EX_IP_TEXT];

	(void)fprintf(out, ",\n\"request\":{\"trafficDirection\":\"%s\",\"address\":",
		      p->ingress ? "INGRESS" : "EGRESS");
	ex_tool_json_string(out, ex_ip_text(&p->dst, ip));
	(void)fprintf(out, ",\"addressAssumed\":%s,\"protocol\":\"%s\",\"%s\":%d",
		      p->dst_assumed ? "true" : "false", ex_proto_word(p->proto),
		      icmp ? "type" : "port", icmp ? p->port >> 8 : p->port);
	if (p->name[0])
		put_text(out, "name", p->name);
	(void)fprintf(out, ",\"tls\":%s", p->tls ? "true" : "false");
	if (p->tls && p->sni[0])
		put_text(out, "serverName", p->sni);
	if (p->http) {
		put_text(out, "method", p->method);
		put_text(out, "path", p->path);
		put_text(out, "host", p->authority);
	}
	(void)fputc('}', out);
}

static void put_edits(FILE *out, const struct ex_explanation *e)
{
	size_t n = e->decision.verdict == EX_V_DENY ? 0 : e->edits.n;

	(void)fputs(",\n\"headers\":[", out);
	for (size_t i = 0; i < n; i++) {
		const struct ex_header_edit *edit = &e->edits.v[i];
		char name[256];

		(void)snprintf(name, sizeof(name), "%.*s", (int)edit->name.len, edit->name.ptr);
		(void)fprintf(out, "%s{\"action\":\"%s\"", i ? "," : "",
			      ex_header_op_word(edit->op));
		put_text(out, "name", name);
		(void)fputs(",\"rule\":", out);
		put_rule(out, e->rs, edit->rule);
		(void)fputc('}', out);
	}
	(void)fputc(']', out);
}

static void put_origin(FILE *out, const struct ex_explanation *e)
{
	const struct ex_origin *o = e->decision.verdict == EX_V_DENY ? NULL : e->edits.origin;

	if (!o)
		return;
	(void)fprintf(out, ",\n\"originatingTLS\":{\"certificate\":%s,\"trustedCA\":%s",
		      o->chain.ptr ? "true" : "false", o->roots.ptr ? "true" : "false");
	put_text(out, "namespace", o->ns);
	put_text(out, "name", o->name);
	(void)fputc('}', out);
}

static void put_rules(FILE *out, const struct ex_explanation *e)
{
	const char *comma = "";

	(void)fputs(",\n\"rules\":[", out);
	for (uint32_t i = 0; i < ex_ruleset_n_rules(e->rs); i++) {
		const struct ex_rule_status *st = &e->rules[i];

		if (ex_ruleset_rule_is_ingress(e->rs, i + 1) != e->probe.ingress)
			continue;
		(void)fprintf(out, "%s\n{\"rule\":", comma);
		comma = ",";
		put_rule(out, e->rs, i + 1);
		(void)fprintf(out, ",\"deny\":%s,\"applies\":%s", st->deny ? "true" : "false",
			      st->failed ? "false" : "true");
		if (st->failed)
			put_text(out, "why", ex_failed_text(st->failed));
		(void)fputc('}', out);
	}
	(void)fputc(']', out);
}

static void put_edit(FILE *out, const struct ex_explanation *e)
{
	EX_AUTO_FREE char *text = ex_explanation_edit(e);

	if (text)
		put_text(out, "edit", text);
}

void ex_explanation_json(const struct ex_explanation *e, FILE *out)
{
	const struct ex_decision *d = &e->decision;

	(void)fprintf(out, "{\"verdict\":\"%s\"", d->verdict == EX_V_DENY ? "deny" : "allow");
	put_text(out, "reason", ex_reason_word(d->reason));
	put_text(out, "text", ex_reason_text(d->reason));
	put_text(out, "gate", ex_step_word(e->step));
	if (e->probe.detail)
		put_text(out, "detail", e->probe.detail);
	(void)fprintf(out, ",\n\"%s\":", ex_explanation_is_by_rule(e) ? "rule" : "nearest");
	put_rule(out, e->rs, d->rule);
	put_request(out, &e->probe);
	put_edits(out, e);
	put_origin(out, e);
	put_rules(out, e);
	put_edit(out, e);
	(void)fputs("}\n", out);
}
