/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat policy explain`: one request, one verdict, and why. */
#include "policy/explain.h"
#include "policy/tool.h"

#include <netinet/in.h>
#include <strings.h>

static int usage_error(const char *what)
{
	(void)fprintf(stderr, "exeat policy explain: %s\n", what);
	return EX_TOOL_USAGE;
}

static bool add_header(struct ex_probe *p, const char *text)
{
	const char *colon = strchr(text, ':');
	struct ex_header *h = &p->headers[p->n_headers];

	if (!colon || colon == text || p->n_headers == EX_PROBE_HEADERS ||
	    strncasecmp(text, "host:", 5) == 0)
		return false;
	h->name = (struct ex_span){ text, (size_t)(colon - text) };
	h->value = ex_span_str(colon + 1 + strspn(colon + 1, " "));
	p->n_headers++;
	return true;
}

static int make_probe(const struct ex_tool *t, struct ex_probe *p)
{
	const char *wrong;

	if (!t->to)
		return usage_error("--to DEST is missing");
	wrong = ex_probe_parse(t->to, p);
	if (wrong) {
		(void)fprintf(stderr, "exeat policy explain: --to %s\n", wrong);
		return EX_TOOL_USAGE;
	}
	if (t->address) {
		if (!ex_ip_parse(t->address, &p->dst))
			return usage_error("--address is no IP address");
		p->dst_assumed = false;
	}
	if (t->method)
		(void)snprintf(p->method, sizeof(p->method), "%s", t->method);
	if (t->sni) {
		(void)snprintf(p->sni, sizeof(p->sni), "%s", t->sni);
		p->tls = true;
	}
	for (size_t i = 0; i < t->n_headers; i++) {
		if (!add_header(p, t->headers[i]))
			return usage_error("-H needs 'NAME: VALUE', and no Host: that is --to's");
	}
	return EX_TOOL_OK;
}

static const char *proto_word(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		return "?";
	}
}

static void print_request(const struct ex_probe *p)
{
	char ip[EX_IP_TEXT];

	(void)printf("request:  %s%s %s %s", p->name, p->name[0] ? "" : "-",
		     ex_ip_text(&p->dst, ip), proto_word(p->proto));
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		(void)printf(" type %d", p->port >> 8);
	else
		(void)printf("/%u", p->port);
	if (p->tls)
		(void)printf("  TLS %s", p->sni[0] ? p->sni : "without server name");
	if (p->http)
		(void)printf("  %s %s", p->method, p->path);
	(void)putchar('\n');
	if (p->dst_assumed)
		(void)puts("          (the address is assumed: some address of the world that DNS "
			   "gave for the name; --address says which)");
}

/* A rule says no, rather than none says yes. */
static bool is_denied_by_rule(const struct ex_decision *d)
{
	return d->reason == EX_R_POLICY_DENY || (d->reason == EX_R_DNS_ANSWER_DENIED && d->rule);
}

static void print_verdict(const struct ex_ruleset *rs, const struct ex_decision *d,
			  enum ex_step step)
{
	static const char *const steps[] = { "DNS", "address and port", "first bytes", "request" };

	(void)printf("verdict:  %s  (%s: %s)\n", d->verdict == EX_V_DENY ? "DENY" : "ALLOW",
		     ex_reason_word(d->reason), ex_reason_text(d->reason));
	(void)printf("gate:     %s\n", steps[step]);
	(void)fputs(d->verdict == EX_V_DENY && !is_denied_by_rule(d) ? "nearest:  " : "rule:     ",
		    stdout);
	ex_tool_print_rule(stdout, rs, d->rule);
	(void)putchar('\n');
}

static void print_rules(const struct ex_ruleset *rs, const struct ex_rule_status *v)
{
	(void)puts("rules:");
	for (uint32_t i = 0; i < ex_ruleset_n_rules(rs); i++) {
		const struct ex_rule_info *info = ex_ruleset_rule(rs, i + 1);
		const char *sign = v[i].failed ? " " : v[i].deny ? "-" : "+";

		(void)printf("  %s %s:%d  %s %s: %s\n", sign, info->file, info->line, info->policy,
			     info->where, ex_failed_text(v[i].failed));
	}
}

/* The allow rule that came furthest. */
static uint32_t nearest_rule(const struct ex_ruleset *rs, const struct ex_rule_status *v)
{
	uint32_t best = 0;

	for (uint32_t i = 0; i < ex_ruleset_n_rules(rs); i++) {
		if (v[i].deny || v[i].failed <= EX_FAILED_DESTINATION)
			continue;
		if (!best || v[i].failed > v[best - 1].failed)
			best = i + 1;
	}
	return best;
}

static void print_new_rule(const struct ex_probe *p)
{
	char ip[EX_IP_TEXT];

	if (p->name[0])
		(void)printf("            - toFQDNs: [{matchName: \"%s\"}]\n", p->name);
	else
		(void)printf("            - toCIDR: [\"%s/%d\"]\n", ex_ip_text(&p->dst, ip),
			     ex_ip_is4(&p->dst) ? 32 : 128);
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6) {
		(void)printf("              icmps: [{fields: [{type: %d, family: %s}]}]\n",
			     p->port >> 8, p->proto == IPPROTO_ICMP ? "IPv4" : "IPv6");
		return;
	}
	(void)printf(
		"              toPorts:\n              - ports: [{port: \"%u\", protocol: %s}]\n",
		p->port,
		p->proto == IPPROTO_UDP    ? "UDP"
		: p->proto == IPPROTO_SCTP ? "SCTP"
					   : "TCP");
	if (p->http)
		(void)printf("                rules: {http: [{method: \"%s\", path: \"%.*s\"}]}\n",
			     p->method, (int)strcspn(p->path, "?"), p->path);
}

static void print_edit(const struct ex_ruleset *rs, const struct ex_probe *p,
		       const struct ex_decision *d, const struct ex_rule_status *v)
{
	const struct ex_rule_info *info;
	uint32_t near = nearest_rule(rs, v);

	if (d->verdict != EX_V_DENY || is_denied_by_rule(d)) {
		info = ex_ruleset_rule(rs, d->rule);
		if (info)
			(void)printf("edit:     remove or narrow %s (%s:%d)\n", info->where,
				     info->file, info->line);
		return;
	}
	if (d->reason == EX_R_RESERVED_DENY || d->reason == EX_R_DNS_ANSWER_DENIED) {
		(void)puts("edit:     none: no policy can open this address");
		return;
	}
	if (d->reason == EX_R_HTTP_MALFORMED) {
		(void)puts(
			"edit:     none: no policy can allow such a path, some servers read another "
			"one in it");
		return;
	}
	if (!near) {
		(void)puts("edit:     add this rule under egress");
		print_new_rule(p);
		return;
	}
	info = ex_ruleset_rule(rs, near);
	(void)printf("edit:     %s (%s:%d) %s: change that, or add this rule under egress\n",
		     info->where, info->file, info->line, ex_failed_text(v[near - 1].failed));
	print_new_rule(p);
}

int ex_tool_explain(int argc, char **argv)
{
	static const char usage[] = "explain FILE... --to DEST [-X METHOD] [-H 'NAME: VALUE'] "
				    "[--address IP] [--sni NAME] [-l KEY=VALUE] [--endpoints FILE]";
	EX_AUTO_FREE struct ex_rule_status *status = NULL;
	struct ex_ruleset *rs;
	struct ex_decision d;
	struct ex_tool t;
	struct ex_probe p;
	enum ex_step step;

	if (ex_tool_parse(argc, argv, usage, &t) != EX_TOOL_OK || make_probe(&t, &p) != EX_TOOL_OK)
		return EX_TOOL_USAGE;
	rs = ex_tool_compile(&t.in);
	if (!rs)
		return EX_TOOL_USAGE;
	d = ex_probe_judge(rs, &p, &step);
	if (ex_probe_rules(rs, &p, &status) < 0) {
		ex_ruleset_unref(rs);
		return EX_TOOL_USAGE;
	}
	print_request(&p);
	print_verdict(rs, &d, step);
	print_rules(rs, status);
	print_edit(rs, &p, &d, status);
	ex_ruleset_unref(rs);
	return d.verdict == EX_V_DENY ? EX_TOOL_NO : EX_TOOL_OK;
}
