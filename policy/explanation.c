/* SPDX-License-Identifier: Apache-2.0 */
/* The explanation for people. */
#include "policy/emit.h"
#include "policy/explanation.h"
#include "policy/suggest.h"
#include "policy/tool.h"

#include <netinet/in.h>

const char *ex_step_word(enum ex_step step)
{
	static const char *const steps[] = { "DNS", "address and port", "first bytes", "request" };

	return steps[step];
}

const char *ex_header_op_word(enum ex_header_op op)
{
	static const char *const words[] = { "", "LOG", "ADD", "DELETE", "REPLACE" };

	return words[op];
}

bool ex_explanation_is_by_rule(const struct ex_explanation *e)
{
	const struct ex_decision *d = &e->decision;

	/* a rule says no, rather than none says yes */
	return d->verdict != EX_V_DENY || (d->rule && e->rules[d->rule - 1].deny);
}

/* No rule allows it, but there is no default deny, and the port is one that is served. */
static bool is_served(const struct ex_explanation *e)
{
	return e->probe.ingress && e->decision.verdict != EX_V_DENY && !e->decision.rule;
}

static void print_request(const struct ex_probe *p, FILE *out)
{
	char ip[EX_IP_TEXT];

	(void)ex_ip_text(&p->dst, ip);
	if (p->ingress)
		(void)fprintf(out, "request:  ingress from %s to %s", ip, ex_proto_word(p->proto));
	else
		(void)fprintf(out, "request:  %s%s %s %s", p->name, p->name[0] ? "" : "-", ip,
			      ex_proto_word(p->proto));
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		(void)fprintf(out, " type %d", p->port >> 8);
	else
		(void)fprintf(out, "/%u", p->port);
	if (p->tls)
		(void)fprintf(out, "  TLS %s", p->sni[0] ? p->sni : "without server name");
	if (p->http)
		(void)fprintf(out, "  %s %s", p->method, p->path);
	(void)fputc('\n', out);
	if (p->dst_assumed)
		(void)fputs("          (the address is assumed: some address of the world that DNS "
			    "gave for the name; --address says which)\n",
			    out);
}

static void print_verdict(const struct ex_explanation *e, FILE *out)
{
	const struct ex_decision *d = &e->decision;

	(void)fprintf(out, "verdict:  %s  (%s: %s)\n", d->verdict == EX_V_DENY ? "DENY" : "ALLOW",
		      ex_reason_word(d->reason), ex_reason_text(d->reason));
	(void)fprintf(out, "gate:     %s\n", ex_step_word(e->step));
	(void)fputs(ex_explanation_is_by_rule(e) ? "rule:     " : "nearest:  ", out);
	if (is_served(e))
		(void)fputs("none: the workload serves the port, and no policy turns default deny "
			    "on for ingress",
			    out);
	else
		ex_tool_print_rule(out, e->rs, d->rule);
	(void)fputc('\n', out);
}

/* What is done to header fields on the way; values are nobody's business. */
static void print_edits(const struct ex_explanation *e, FILE *out)
{
	for (size_t i = 0; e->decision.verdict != EX_V_DENY && i < e->edits.n; i++) {
		const struct ex_header_edit *edit = &e->edits.v[i];

		(void)fprintf(out, "header:   %s %.*s  by ", ex_header_op_word(edit->op),
			      (int)edit->name.len, edit->name.ptr);
		ex_tool_print_rule(out, e->rs, edit->rule);
		(void)fputc('\n', out);
	}
}

static void print_origin(const struct ex_explanation *e, FILE *out)
{
	const struct ex_origin *o = e->edits.origin;

	if (e->decision.verdict == EX_V_DENY || !o)
		return;
	(void)fprintf(out, "server:   is shown %s and verified against %s (secret %s/%s)\n",
		      o->chain.ptr ? "the client certificate" : "no certificate",
		      o->roots.ptr ? "its own CA only" : "the host's trust store", o->ns, o->name);
}

static void print_rules(const struct ex_explanation *e, FILE *out)
{
	(void)fputs("rules:\n", out);
	for (uint32_t i = 0; i < ex_ruleset_n_rules(e->rs); i++) {
		const struct ex_rule_info *info = ex_ruleset_rule(e->rs, i + 1);
		const struct ex_rule_status *st = &e->rules[i];
		const char *sign = st->failed ? " " : st->deny ? "-" : "+";

		if (ex_ruleset_rule_is_ingress(e->rs, i + 1) != e->probe.ingress)
			continue;
		(void)fprintf(out, "  %s %s:%d  %s %s: %s\n", sign, info->file, info->line,
			      info->policy, info->where, ex_failed_text(st->failed));
	}
}

/* The allow rule that came furthest. */
static uint32_t nearest_rule(const struct ex_explanation *e)
{
	const struct ex_rule_status *v = e->rules;
	uint32_t best = 0;

	for (uint32_t i = 0; i < ex_ruleset_n_rules(e->rs); i++) {
		if (v[i].deny || v[i].failed <= EX_FAILED_DESTINATION)
			continue;
		if (!best || v[i].failed > v[best - 1].failed)
			best = i + 1;
	}
	return best;
}

/* By what the far end is: no CIDR selects an endpoint, and no name. */
static void print_new_peer(const struct ex_explanation *e, FILE *out)
{
	const struct ex_probe *p = &e->probe;
	const struct ex_ruleset *rs = p->ingress ? ex_ruleset_ingress(e->rs) : e->rs;
	const char *to = p->ingress ? "from" : "to";
	char ip[EX_IP_TEXT];

	(void)ex_ip_text(&p->dst, ip);
	if (p->name[0])
		(void)fprintf(out, "  - toFQDNs: [{matchName: \"%s\"}]\n", p->name);
	else if (!ex_name_selects(rs, &p->dst))
		(void)fprintf(out,
			      "  - %sEndpoints: [{matchLabels: {KEY: VALUE}}]  # those of %s\n", to,
			      ip);
	else
		(void)fprintf(out, "  - %sCIDR: [\"%s/%d\"]\n", to, ip,
			      ex_ip_is4(&p->dst) ? 32 : 128);
}

/* Inside TLS that does not name the host no request is read. */
static bool is_readable(const struct ex_probe *p)
{
	return p->http && (!p->tls || strcmp(p->sni, p->host) == 0);
}

static void print_new_http(const struct ex_probe *p, FILE *out)
{
	struct ex_http_request req = { .method = ex_span_str(p->method),
				       .path = ex_span_str(p->path),
				       .destination = ex_span_str(p->destination),
				       .headers = p->headers,
				       .n_headers = p->n_headers };
	char rule[2 * EX_PROBE_TEXT];

	if (!ex_suggest_http(&req, rule, sizeof(rule)))
		(void)snprintf(rule, sizeof(rule), "{method: METHOD, path: PATH}");
	(void)fprintf(out, "      rules: {http: [%s]}\n", rule);
}

static void print_new_rule(const struct ex_explanation *e, FILE *out)
{
	const struct ex_probe *p = &e->probe;

	print_new_peer(e, out);
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6) {
		(void)fprintf(out, "    icmps: [{fields: [{type: %d, family: %s}]}]\n",
			      p->port >> 8, p->proto == IPPROTO_ICMP ? "IPv4" : "IPv6");
		return;
	}
	(void)fprintf(out, "    toPorts:\n    - ports: [{port: \"%u\", protocol: %s}]\n", p->port,
		      p->proto == IPPROTO_UDP    ? "UDP"
		      : p->proto == IPPROTO_SCTP ? "SCTP"
						 : "TCP");
	if (is_readable(p))
		print_new_http(p, out);
}

/* What no policy can change, or NULL. */
static const char *unchangeable(const struct ex_explanation *e)
{
	switch (e->decision.reason) {
	case EX_R_RESERVED_DENY:
	case EX_R_DNS_ANSWER_DENIED:
		return "no policy can open this address";
	case EX_R_HTTP_MALFORMED:
		return "no policy can allow what servers may read in more than one way";
	case EX_R_UPGRADE_DENIED:
	case EX_R_H2_UNSUPPORTED:
	case EX_R_HTTP_TOO_LARGE:
	case EX_R_HOST_MISMATCH:
		return "no policy can allow such a request";
	default:
		break;
	}
	if (e->probe.refused || e->probe.denied)
		return "no policy can allow such a request";
	if (e->probe.name[0] && e->probe.tls && strcmp(e->probe.sni, e->probe.name) != 0)
		return "the TLS server name has to be the name that was resolved";
	return NULL;
}

static void print_removal(const struct ex_rule_info *info, FILE *out)
{
	if (info)
		(void)fprintf(out, "remove or narrow %s (%s:%d)\n", info->where, info->file,
			      info->line);
}

/* What would deny it then. */
static void print_denies(const struct ex_explanation *e, FILE *out)
{
	for (uint32_t i = 0; i < ex_ruleset_n_rules(e->rs); i++) {
		const struct ex_rule_info *info = ex_ruleset_rule(e->rs, i + 1);

		if (!e->rules[i].deny || e->rules[i].failed || info->audit ||
		    strstr(info->where, ".rules.http"))
			continue;
		(void)fputs("and ", out);
		print_removal(info, out);
	}
}

static void print_edit(const struct ex_explanation *e, FILE *out)
{
	const struct ex_rule_info *info;
	const char *never;
	uint32_t near;

	if (ex_explanation_is_by_rule(e)) {
		info = ex_ruleset_rule(e->rs, e->decision.rule);
		if (e->decision.reason == EX_R_SNI_MISSING)
			(void)fputs("connect with a TLS server name, or ", out);
		print_removal(info, out);
		return;
	}
	never = unchangeable(e);
	if (never) {
		(void)fprintf(out, "none: %s%s%s\n", never, e->probe.detail ? ": " : "",
			      e->probe.detail ? e->probe.detail : "");
		return;
	}
	near = nearest_rule(e);
	info = ex_ruleset_rule(e->rs, near);
	if (info)
		(void)fprintf(out, "%s (%s:%d) %s: change that, or ", info->where, info->file,
			      info->line, ex_failed_text(e->rules[near - 1].failed));
	(void)fprintf(out, "add this rule under %s\n", e->probe.ingress ? "ingress" : "egress");
	print_new_rule(e, out);
	print_denies(e, out);
}

char *ex_explanation_edit(const struct ex_explanation *e)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	print_edit(e, f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* Lines after the first are set in below it. */
static void indent_edit(const struct ex_explanation *e, FILE *out)
{
	EX_AUTO_FREE char *text = ex_explanation_edit(e);
	const char *prefix = "edit:     ";

	for (char *line = text; line && *line; prefix = "          ") {
		size_t n = strcspn(line, "\n");

		(void)fprintf(out, "%s%.*s\n", prefix, (int)n, line);
		line += n + (line[n] == '\n');
	}
}

void ex_explanation_text(const struct ex_explanation *e, FILE *out)
{
	print_request(&e->probe, out);
	print_verdict(e, out);
	print_edits(e, out);
	print_origin(e, out);
	print_rules(e, out);
	indent_edit(e, out);
}
