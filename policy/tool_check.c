/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat policy check`: diagnostics as text, JSON lines' friend, or SARIF 2.1.0. */
#include "policy/tool.h"

static void print_text(const struct ex_diags *diags, size_t errors, size_t warnings)
{
	ex_diags_print(diags, stdout);
	(void)printf("%zu %s, %zu %s\n", errors, errors == 1 ? "error" : "errors", warnings,
		     warnings == 1 ? "warning" : "warnings");
}

static void print_json(const struct ex_diags *diags, bool ok)
{
	(void)printf("{\"ok\":%s,\"diagnostics\":[", ok ? "true" : "false");
	for (size_t i = 0; i < diags->n; i++) {
		const struct ex_diag *d = &diags->items[i];

		(void)printf("%s\n{\"severity\":\"%s\",\"file\":", i ? "," : "",
			     d->warning ? "warning" : "error");
		ex_tool_json_string(stdout, d->file);
		(void)printf(",\"line\":%d,\"column\":%d,\"message\":", d->line, d->col);
		ex_tool_json_string(stdout, d->message);
		if (d->remedy) {
			(void)fputs(",\"remedy\":", stdout);
			ex_tool_json_string(stdout, d->remedy);
		}
		(void)fputs("}", stdout);
	}
	(void)puts("]}");
}

static void print_sarif_result(const struct ex_diag *d)
{
	(void)printf("{\"ruleId\":\"%s\",\"level\":\"%s\",\"message\":{\"text\":",
		     d->warning ? "policy-warning" : "policy-error",
		     d->warning ? "warning" : "error");
	ex_tool_json_string(stdout, d->message);
	(void)fputs("},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":",
		    stdout);
	ex_tool_json_string(stdout, d->file);
	(void)fputs("}", stdout);
	if (d->line > 0)
		(void)printf(",\"region\":{\"startLine\":%d,\"startColumn\":%d}", d->line, d->col);
	(void)fputs("}}]", stdout);
	if (d->remedy) {
		(void)fputs(",\"properties\":{\"remedy\":", stdout);
		ex_tool_json_string(stdout, d->remedy);
		(void)fputs("}", stdout);
	}
	(void)fputs("}", stdout);
}

static void print_sarif(const struct ex_diags *diags)
{
	(void)fputs("{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\","
		    "\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"exeat\","
		    "\"rules\":[{\"id\":\"policy-error\"},{\"id\":\"policy-warning\"}]}},"
		    "\"results\":[",
		    stdout);
	for (size_t i = 0; i < diags->n; i++) {
		(void)fputs(i ? ",\n" : "\n", stdout);
		print_sarif_result(&diags->items[i]);
	}
	(void)puts("]}]}");
}

static bool is_format(const char *word)
{
	return strcmp(word, "text") == 0 || strcmp(word, "json") == 0 || strcmp(word, "sarif") == 0;
}

/* On a node policies may be about ingress alone; run starts nothing without a word about egress. */
static int lint(struct ex_tool *t, struct ex_ruleset **ret, struct ex_diags *diags)
{
	int r;

	t->in.inward = t->ingress ? &t->inward : NULL;
	t->in.allow_unselected = t->ingress;
	r = ex_compile_lint(&t->in, ret, diags);
	if (r < 0 || !ex_tool_is_about_nothing(*ret))
		return r;
	*ret = ex_ruleset_unref(*ret);
	ex_diags_done(diags);
	t->in.allow_unselected = false;
	return ex_compile_lint(&t->in, ret, diags);
}

int ex_tool_check(int argc, char **argv)
{
	static const char usage[] =
		"check [--strict] [--ingress] [--format text|json|sarif] [-l KEY=VALUE] "
		"[--endpoints FILE] FILE...";
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	size_t errors = 0;
	struct ex_tool t;
	bool ok;

	if (ex_tool_parse(argc, argv, usage, &t) != EX_TOOL_OK)
		return EX_TOOL_USAGE;
	if (t.in.n_files == 0 || !is_format(t.format)) {
		(void)fprintf(stderr, "usage: exeat policy %s\n", usage);
		return EX_TOOL_USAGE;
	}
	ok = lint(&t, &rs, &diags) == 0;
	for (size_t i = 0; i < diags.n; i++) {
		if (t.strict)
			diags.items[i].warning = false;
		errors += !diags.items[i].warning;
	}
	ok = ok && errors == 0;
	if (strcmp(t.format, "json") == 0)
		print_json(&diags, ok);
	else if (strcmp(t.format, "sarif") == 0)
		print_sarif(&diags);
	else
		print_text(&diags, errors, diags.n - errors);
	ex_diags_done(&diags);
	ex_ruleset_unref(rs);
	return ok ? EX_TOOL_OK : EX_TOOL_NO;
}
