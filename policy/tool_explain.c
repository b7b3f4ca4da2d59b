/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat policy explain`: one request, one verdict, and why. */
#include "policy/explanation.h"
#include "policy/tool.h"

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
	h->value = ex_span_trim(ex_span_str(colon + 1));
	p->n_headers++;
	return true;
}

static int make_ingress_probe(const struct ex_tool *t, struct ex_probe *p)
{
	const char *wrong;

	if (!t->from)
		return usage_error("--ingress needs --from IP");
	if (t->method || t->n_headers || t->address || t->sni)
		return usage_error("--ingress is by address and port: -X, -H, --address and --sni "
				   "are about egress");
	wrong = ex_probe_parse_ingress(t->from, t->to, p);
	if (!wrong)
		return EX_TOOL_OK;
	(void)fprintf(stderr, "exeat policy explain: --%s%s\n",
		      strncmp(wrong, "from ", 5) == 0 ? "" : "to ", wrong);
	return EX_TOOL_USAGE;
}

static int make_probe(const struct ex_tool *t, struct ex_probe *p)
{
	const char *wrong;

	if (!t->to)
		return usage_error("--to DEST is missing");
	if (t->ingress || t->from)
		return make_ingress_probe(t, p);
	wrong = ex_probe_parse(t->to, p);
	if (wrong) {
		(void)fprintf(
			stderr,
			"exeat policy explain: --to %s: write https://HOST/PATH, HOST:PORT or "
			"IP:PORT/udp; --help has more\n",
			wrong);
		return EX_TOOL_USAGE;
	}
	if (t->address) {
		if (!ex_ip_parse(t->address, &p->dst))
			return usage_error("--address is no IP address");
		p->dst_assumed = false;
	}
	if (t->method)
		(void)snprintf(p->method, sizeof(p->method), "%s", t->method);
	if (t->sni && ex_probe_set_sni(p, t->sni))
		return usage_error("--sni is no host name");
	for (size_t i = 0; i < t->n_headers; i++) {
		if (!add_header(p, t->headers[i]))
			return usage_error("-H needs 'NAME: VALUE', and no Host: that is --to's");
	}
	ex_probe_read(p);
	return EX_TOOL_OK;
}

int ex_tool_explain(int argc, char **argv)
{
	static const char usage[] = "explain FILE... --to DEST [-X METHOD] [-H 'NAME: VALUE'] "
				    "[--address IP] [--sni NAME] [--ingress --from IP] "
				    "[--serve PORT] [--format text|json] "
				    "[-l KEY=VALUE] [--endpoints FILE] [--secrets DIR]";
	struct ex_explanation e = { 0 };
	struct ex_tool t;

	if (ex_tool_parse(argc, argv, usage, &t) != EX_TOOL_OK ||
	    make_probe(&t, &e.probe) != EX_TOOL_OK)
		return EX_TOOL_USAGE;
	if (strcmp(t.format, "text") != 0 && strcmp(t.format, "json") != 0)
		return usage_error("--format is text or json");
	if (e.probe.ingress)
		t.in.inward = &t.inward;
	e.rs = ex_tool_compile(&t.in);
	if (!e.rs)
		return EX_TOOL_USAGE;
	ex_probe_assume(e.rs, &e.probe);
	e.decision = ex_probe_judge_edits(e.rs, &e.probe, &e.step, &e.edits);
	if (ex_probe_rules(e.rs, &e.probe, &e.rules) < 0) {
		ex_ruleset_unref(e.rs);
		return EX_TOOL_USAGE;
	}
	if (strcmp(t.format, "json") == 0)
		ex_explanation_json(&e, stdout);
	else
		ex_explanation_text(&e, stdout);
	free(e.rules);
	ex_ruleset_unref(e.rs);
	return e.decision.verdict == EX_V_DENY ? EX_TOOL_NO : EX_TOOL_OK;
}
