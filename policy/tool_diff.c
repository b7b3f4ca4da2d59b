/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exeat policy diff OLD NEW`: both policies are asked about an example of every tuple that a rule
 * of either speaks of (and of its edges), so that whatever a rule added or removed shows with a
 * request that anybody can repeat. Exit status 1 when something differs.
 */
#include "policy/arena.h"
#include "policy/example.h"
#include "policy/tool.h"

struct differ {
	const struct ex_ruleset *old, *new;
	size_t allowed, denied;
	bool json;
	/* one line for each pair of rules is enough */
	uint64_t *seen;
	size_t n_seen, cap_seen;
};

static bool seen_before(struct differ *df, uint32_t old_rule, uint32_t new_rule, bool ingress,
			bool allow)
{
	/* rules are fewer than 2^31 */
	uint64_t key =
		(uint64_t)old_rule << 33 | (uint64_t)new_rule << 2 | (unsigned)ingress << 1 | allow;

	for (size_t i = 0; i < df->n_seen; i++) {
		if (df->seen[i] == key)
			return true;
	}
	if (ex_vec_reserve(&df->seen, &df->cap_seen, df->n_seen, sizeof(*df->seen)))
		df->seen[df->n_seen++] = key;
	return false;
}

static void print_text(const struct differ *df, const char *request, const struct ex_decision *o,
		       const struct ex_decision *n)
{
	(void)printf("%s %s\n", n->verdict != EX_V_DENY ? "+ allow" : "- deny ", request);
	(void)printf("    old: %s ", ex_reason_word(o->reason));
	ex_tool_print_rule(stdout, df->old, o->rule);
	(void)printf("\n    new: %s ", ex_reason_word(n->reason));
	ex_tool_print_rule(stdout, df->new, n->rule);
	(void)putchar('\n');
}

static void print_side(const char *key, const struct ex_ruleset *rs, const struct ex_decision *d)
{
	const struct ex_rule_info *info = ex_ruleset_rule(rs, d->rule);

	(void)printf(",\"%s\":{\"reason\":\"%s\"", key, ex_reason_word(d->reason));
	if (info) {
		(void)fputs(",\"file\":", stdout);
		ex_tool_json_string(stdout, info->file);
		(void)printf(",\"line\":%d,\"where\":", info->line);
		ex_tool_json_string(stdout, info->where);
	}
	(void)putchar('}');
}

static void print_json(const struct differ *df, const char *request, const struct ex_decision *o,
		       const struct ex_decision *n)
{
	(void)printf("%s\n{\"now\":\"%s\",\"request\":", df->allowed + df->denied ? "," : "",
		     n->verdict != EX_V_DENY ? "allow" : "deny");
	ex_tool_json_string(stdout, request);
	print_side("old", df->old, o);
	print_side("new", df->new, n);
	(void)putchar('}');
}

static void compare(void *arg, const struct ex_probe *example)
{
	struct differ *df = arg;
	struct ex_probe read = *example;
	const struct ex_probe *p = &read;
	struct ex_decision o, n;
	char text[2 * EX_PROBE_TEXT];
	bool was, is;

	ex_probe_read(&read);
	o = ex_tool_judge(df->old, p);
	n = ex_tool_judge(df->new, p);
	was = o.verdict != EX_V_DENY;
	is = n.verdict != EX_V_DENY;

	if (was == is || seen_before(df, o.rule, n.rule, p->ingress, is))
		return;
	ex_example_text(p, text, sizeof(text));
	if (df->json)
		print_json(df, text, &o, &n);
	else
		print_text(df, text, &o, &n);
	*(is ? &df->allowed : &df->denied) += 1;
}

static int diff_rulesets(struct ex_ruleset *old, struct ex_ruleset *new, bool json)
{
	struct differ df = { .old = old, .new = new, .json = json };

	if (json)
		(void)fputs("{\"changes\":[", stdout);
	ex_examples(old, compare, &df);
	ex_examples(new, compare, &df);
	(void)printf(json ? "],\"allowed\":%zu,\"denied\":%zu}\n"
			  : "%zu newly allowed, %zu newly denied\n",
		     df.allowed, df.denied);
	free(df.seen);
	return df.allowed + df.denied ? EX_TOOL_NO : EX_TOOL_OK;
}

int ex_tool_diff(int argc, char **argv)
{
	static const char usage[] = "diff OLD NEW [--format text|json] [-l KEY=VALUE] "
				    "[--endpoints FILE]";
	struct ex_compile_input one;
	struct ex_ruleset *old, *new;
	struct ex_tool t;
	int r = EX_TOOL_USAGE;
	bool json;

	if (ex_tool_parse(argc, argv, usage, &t) != EX_TOOL_OK)
		return EX_TOOL_USAGE;
	json = strcmp(t.format, "json") == 0;
	if (t.in.n_files != 2 || (!json && strcmp(t.format, "text") != 0)) {
		(void)fprintf(stderr, "usage: exeat policy %s\n", usage);
		return EX_TOOL_USAGE;
	}
	one = t.in;
	one.inward = &t.inward;
	one.n_files = 1;
	old = ex_tool_compile(&one);
	one.files++;
	new = ex_tool_compile(&one);
	if (old && new)
		r = diff_rulesets(old, new, json);
	ex_ruleset_unref(old);
	ex_ruleset_unref(new);
	return r;
}
