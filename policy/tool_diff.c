/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exeat policy diff OLD NEW`: both policies are asked about an example of every tuple that a rule
 * of either speaks of (and of its edges, and of what none speaks of), so that whatever a rule added
 * or removed shows with a request that anybody can repeat. Where examples cannot show whether other
 * expressions are another policy, that is said. Exit status 1 when something differs, or may.
 */
#include "policy/arena.h"
#include "policy/example.h"
#include "policy/model.h"
#include "policy/tool.h"

#include <errno.h>

#include "exeat/text.h"

/* One of the two. */
struct side {
	const struct ex_ruleset *rs;
	bool *told;           /* by rule: some difference is by it */
	EX_VEC(char *) texts; /* of its http rules, sorted */
};

struct differ {
	struct side old, new;
	size_t allowed, denied, unsure;
	bool json;
	/* one line for each pair of rules is enough */
	uint64_t *seen;
	size_t n_seen, cap_seen;
};

static bool seen_before(struct differ *df, uint32_t old_rule, uint32_t new_rule,
			const struct ex_probe *p, bool allow)
{
	/* rules are at most 10 million */
	uint64_t key = (uint64_t)old_rule << 34 | (uint64_t)new_rule << 3 |
		       (unsigned)(p->question != 0) << 2 | (unsigned)p->ingress << 1 | allow;

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
	ex_tool_print_rule(stdout, df->old.rs, o->rule);
	(void)printf("\n    new: %s ", ex_reason_word(n->reason));
	ex_tool_print_rule(stdout, df->new.rs, n->rule);
	(void)putchar('\n');
}

static void print_place(const struct ex_rule_info *info)
{
	(void)fputs(",\"file\":", stdout);
	ex_tool_json_string(stdout, info->file);
	(void)printf(",\"line\":%d,\"where\":", info->line);
	ex_tool_json_string(stdout, info->where);
}

static void print_side(const char *key, const struct ex_ruleset *rs, const struct ex_decision *d)
{
	const struct ex_rule_info *info = ex_ruleset_rule(rs, d->rule);

	(void)printf(",\"%s\":{\"reason\":\"%s\"", key, ex_reason_word(d->reason));
	if (info)
		print_place(info);
	(void)putchar('}');
}

static bool is_first(const struct differ *df)
{
	return df->allowed + df->denied + df->unsure == 0;
}

static void print_json(const struct differ *df, const char *request, const struct ex_decision *o,
		       const struct ex_decision *n)
{
	(void)printf("%s\n{\"now\":\"%s\",\"request\":", is_first(df) ? "" : ",",
		     n->verdict != EX_V_DENY ? "allow" : "deny");
	ex_tool_json_string(stdout, request);
	print_side("old", df->old.rs, o);
	print_side("new", df->new.rs, n);
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
	o = ex_tool_judge(df->old.rs, p);
	n = ex_tool_judge(df->new.rs, p);
	was = o.verdict != EX_V_DENY;
	is = n.verdict != EX_V_DENY;
	if (was == is)
		return;
	df->old.told[o.rule] = df->new.told[n.rule] = true;
	if (seen_before(df, o.rule, n.rule, p, is))
		return;
	(void)ex_example_text(p, text, sizeof(text));
	ex_tame(text); /* of an expression, which may hold anything */
	if (df->json)
		print_json(df, text, &o, &n);
	else
		print_text(df, text, &o, &n);
	*(is ? &df->allowed : &df->denied) += 1;
}

/* ---- expressions ---- */

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* NULL: no memory. */
static char *text_of(const struct ex_http_match *m)
{
	const char *method = m->written_method, *path = m->written_path, *host = m->written_host;
	char *text;

	if (asprintf(&text, "%s\n%s\n%s", method ? method : "", path ? path : "",
		     host ? host : "") < 0)
		return NULL;
	return text;
}

static int add_text(struct differ *df, struct side *s, const struct ex_http_match *m)
{
	char *text = text_of(m), **slot = text ? EX_VEC_ADD(&s->texts) : NULL;

	(void)df;
	if (!slot) {
		free(text);
		return -ENOMEM;
	}
	*slot = text;
	return 0;
}

static bool is_plain(const char *written)
{
	return !written || !strpbrk(written, "\\+*?()|[]{}^$");
}

/* A rule that the other policy does not have, and that no example was decided by. */
static int tell_text(struct differ *df, struct side *s, const struct ex_http_match *m)
{
	const struct side *other = s == &df->old ? &df->new : &df->old;
	const struct ex_rule_info *info = ex_ruleset_rule(s->rs, m->rule);
	char *text;
	bool known;

	if (s->told[m->rule] || !info ||
	    (is_plain(m->written_method) && is_plain(m->written_path) && is_plain(m->written_host)))
		return 0;
	text = text_of(m);
	if (!text)
		return -ENOMEM;
	known = other->texts.n &&
		bsearch(&text, other->texts.v, other->texts.n, sizeof(*other->texts.v), cmp_text);
	free(text);
	if (known)
		return 0;
	if (df->json) {
		(void)printf("%s\n{\"now\":\"unknown\",\"in\":\"%s\"", is_first(df) ? "" : ",",
			     s == &df->old ? "old" : "new");
		print_place(info);
		(void)putchar('}');
	} else {
		(void)fputs("? ", stdout);
		ex_tool_print_rule(stdout, s->rs, m->rule);
		(void)printf("\n    only the %s policy has these expressions, and no example shows "
			     "what they change\n",
			     s == &df->old ? "old" : "new");
	}
	df->unsure++;
	return 0;
}

static int each_text(struct differ *df, struct side *s,
		     int (*fn)(struct differ *df, struct side *s, const struct ex_http_match *m))
{
	int r = 0;

	for (size_t i = 0; i < s->rs->n_peers; i++) {
		const struct ex_rpeer *peer = &s->rs->peers[i];

		for (size_t k = 0; k < peer->n_terms; k++) {
			const struct ex_ports *p = peer->terms[k].ports;

			for (size_t n = 0; r == 0 && p && n < p->n_http; n++)
				r = fn(df, s, &p->http[n]);
		}
	}
	return r;
}

/* ---- both ---- */

static int begin_side(struct differ *df, struct side *s)
{
	int r;

	s->told = calloc(s->rs->n_rules + 1, sizeof(*s->told));
	r = s->told ? each_text(df, s, add_text) : -ENOMEM;
	if (r == 0 && s->texts.n)
		qsort(s->texts.v, s->texts.n, sizeof(*s->texts.v), cmp_text);
	return r;
}

static void end_side(struct side *s)
{
	for (size_t i = 0; i < s->texts.n; i++)
		free(s->texts.v[i]);
	free(s->texts.v);
	free(s->told);
}

static void print_sum(const struct differ *df)
{
	if (df->json)
		(void)printf("],\"allowed\":%zu,\"denied\":%zu,\"unknown\":%zu}\n", df->allowed,
			     df->denied, df->unsure);
	else if (df->unsure)
		(void)printf("%zu newly allowed, %zu newly denied, %zu to be compared by hand\n",
			     df->allowed, df->denied, df->unsure);
	else
		(void)printf("%zu newly allowed, %zu newly denied\n", df->allowed, df->denied);
}

static int diff_rulesets(const struct ex_ruleset *old, const struct ex_ruleset *new, bool json)
{
	struct differ df = { .old.rs = old, .new.rs = new, .json = json };
	int r = begin_side(&df, &df.old);

	if (r == 0)
		r = begin_side(&df, &df.new);
	if (r == 0) {
		if (json)
			(void)fputs("{\"changes\":[", stdout);
		ex_examples(old, new, compare, &df);
		ex_examples(new, old, compare, &df);
		r = each_text(&df, &df.old, tell_text);
	}
	if (r == 0)
		r = each_text(&df, &df.new, tell_text);
	if (r == 0)
		print_sum(&df);
	end_side(&df.old);
	end_side(&df.new);
	free(df.seen);
	if (r < 0)
		return EX_TOOL_USAGE;
	return is_first(&df) ? EX_TOOL_OK : EX_TOOL_NO;
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
