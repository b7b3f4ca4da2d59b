/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat policy dump`: rules, classes and kernel entries; the same policy prints the same text. */
#include "policy/emit.h"
#include "policy/model.h"
#include "policy/tool.h"

#include <netinet/in.h>

static void print_rules(const struct ex_ruleset *rs)
{
	(void)printf("# rules: %u, default %s\n", rs->n_rules,
		     rs->default_allow && !rs->unselected ? "allow" : "deny");
	for (uint32_t i = 1; i <= rs->n_rules; i++) {
		const struct ex_rule_info *info = ex_ruleset_rule(rs, i);

		(void)printf("rule %u %s%s%s %s %s:%d\n", i, info->ns, info->ns[0] ? "/" : "",
			     info->policy, info->where, info->file, info->line);
	}
}

static const char *l7_word(const struct ex_ports *p)
{
	switch (p ? p->l7 : EX_L7_NONE) {
	case EX_L7_NONE:
		return "";
	case EX_L7_HTTP:
		return " http";
	case EX_L7_DNS:
		return " dns";
	case EX_L7_SNI:
		return " sni";
	}
	return "";
}

static void print_origin(const struct ex_origin *o)
{
	if (o)
		(void)printf("    originating tls %s/%s%s%s\n", o->ns, o->name,
			     o->chain.ptr ? " certificate" : "", o->roots.ptr ? " roots" : "");
}

static void print_portset(const struct ex_portset *s)
{
	const char *proto = s->any_proto ? "any" : ex_proto_word(s->proto);

	if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6)
		(void)printf(" %s/%d", proto, s->lo >> 8);
	else if (s->lo == s->hi)
		(void)printf(" %s/%u", proto, s->lo);
	else
		(void)printf(" %s/%u-%u", proto, s->lo, s->hi);
}

static void print_regex(const char *what, const char *written)
{
	(void)printf(" %s=", what);
	ex_tool_print_text(written ? written : "*");
}

static void print_http(const struct ex_ports *p)
{
	for (size_t i = 0; i < p->n_http; i++) {
		const struct ex_http_match *m = &p->http[i];

		(void)printf("    http rule %u", m->rule);
		print_regex("method", m->written_method);
		print_regex("path", m->written_path);
		print_regex("host", m->written_host);
		(void)printf(" headers=%zu\n", m->n_headers + m->n_matches);
	}
}

static void print_peers(const struct ex_ruleset *rs)
{
	(void)printf("# peers: %zu\n", rs->n_peers);
	for (size_t i = 0; i < rs->n_peers; i++) {
		const struct ex_rpeer *peer = &rs->peers[i];

		(void)printf("peer %zu", i);
		for (size_t k = 0; k < peer->n_names; k++)
			(void)printf(" %s", peer->names[k].written);
		(void)putchar('\n');
		for (size_t k = 0; k < peer->n_terms; k++) {
			const struct ex_term *t = &peer->terms[k];

			(void)printf("  %s rule %u%s", t->deny ? "deny" : "allow", t->rule,
				     l7_word(t->ports));
			for (size_t j = 0; t->ports && j < t->ports->n; j++)
				print_portset(&t->ports->v[j]);
			(void)printf("%s\n", t->ports ? "" : " any");
			if (t->ports) {
				print_origin(t->ports->origin);
				print_http(t->ports);
			}
		}
	}
}

static void print_tables(const struct ex_tables *t)
{
	char text[EX_PREFIX_TEXT];

	(void)printf("# destinations: %zu in %u classes\n", t->n_dests, t->n_classes);
	for (size_t i = 0; i < t->n_dests; i++) {
		struct ex_prefix p = { t->dests[i].ip, t->dests[i].prefix };

		(void)printf("dest %s class %u\n", ex_prefix_text(&p, text), t->dests[i].klass);
	}
	(void)printf("# entries: %zu\n", t->n_rules);
	for (size_t i = 0; i < t->n_rules; i++) {
		const struct ex_rule_entry *e = &t->rules[i];

		(void)printf(
			"entry class %u proto %u/%d port %u/%d %s kind %u %s rule %u\n", e->klass,
			e->proto, e->prefix ? 16 : 0, e->port, e->prefix > 16 ? e->prefix - 16 : 0,
			ex_verdict_word((enum ex_verdict)e->value.verdict), e->value.kind,
			e->value.reason ? ex_reason_word(e->value.reason) : "-", e->value.rule);
	}
}

static int print_direction(const struct ex_ruleset *rs)
{
	struct ex_tables tables;
	int r = ex_emit(rs, &tables);

	if (r < 0)
		return r;
	print_peers(rs);
	print_tables(&tables);
	ex_tables_done(&tables);
	return 0;
}

/* Of what is open to everybody, because no policy says anything, a line is enough. */
static int print_ingress(const struct ex_ruleset *rs)
{
	const struct ex_ruleset *ingress = ex_ruleset_ingress(rs);

	if (ex_ruleset_is_unselected(ingress)) {
		(void)puts("# ingress: no policy is about it; open is what the workload serves");
		return 0;
	}
	(void)puts("# ingress: who comes, and the workload's own ports");
	return print_direction(ingress);
}

int ex_tool_dump(int argc, char **argv)
{
	static const char usage[] = "dump FILE... [-l KEY=VALUE] [--endpoints FILE] [--serve PORT]";
	struct ex_ruleset *rs;
	struct ex_tool t;
	int r;

	if (ex_tool_parse(argc, argv, usage, &t) != EX_TOOL_OK)
		return EX_TOOL_USAGE;
	t.in.inward = &t.inward;
	rs = ex_tool_compile(&t.in);
	if (!rs)
		return EX_TOOL_NO;
	print_rules(rs);
	r = ex_ruleset_is_unselected(rs) ? 0 : print_direction(rs);
	if (r == 0)
		r = print_ingress(rs);
	ex_ruleset_unref(rs);
	return r == 0 ? EX_TOOL_OK : EX_TOOL_NO;
}
