/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exeat policy test DIR|FILE`: fixtures beside a policy, as TAP, and which rules they touch.
 *
 *   # NAME.test.yaml; paths are relative to it
 *   policy: [policy.yaml]
 *   endpoints: endpoints.yaml
 *   secrets: secrets
 *   labels: {app: agent}
 *   tests:
 *   - name: the agent may ask for a completion
 *     to: https://api.openai.com/v1/chat/completions
 *     method: POST
 *     expect: allow
 *   - direction: ingress
 *     from: 10.0.0.7
 *     to: 8080/tcp
 *     expect: deny
 */
#include "policy/decode.h"
#include "policy/explain.h"
#include "policy/tool.h"

#include <dirent.h>
#include <errno.h>

#include "exeat/text.h"

struct fixture {
	const char *name, *to, *from, *method, *address, *sni, *reason, *rule;
	bool allow, has_expect, ingress;
	const struct ex_node *headers, *node;
};

struct fixture_file {
	char *dir; /* of the file, for the paths in it */
	const char *files[64];
	size_t n_files;
	const char *endpoints, *secrets;
	struct ex_label labels[64];
	size_t n_labels;
	bool metadata;
	struct ex_served served[64];
	size_t n_served;
	struct fixture *tests;
	size_t n_tests;
};

struct runner {
	unsigned done, failed; /* of all files */
	size_t rules, covered;
};

/* ---- reading ---- */

static const char *text_of(struct ex_decoder *d, const struct ex_node *n)
{
	const char *text = ex_decode_text(d, n);

	return text ? ex_arena_strndup(d->arena, text, n->len) : NULL;
}

#define TEXT_FIELD(field)                                                                          \
	static void read_##field(struct ex_decoder *d, const struct ex_node *n, void *out)         \
	{                                                                                          \
		((struct fixture *)out)->field = text_of(d, n);                                    \
	}
TEXT_FIELD(name)
TEXT_FIELD(to)
TEXT_FIELD(from)
TEXT_FIELD(method)
TEXT_FIELD(address)
TEXT_FIELD(sni)
TEXT_FIELD(reason)
TEXT_FIELD(rule)

static void read_expect(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct fixture *f = out;
	const char *text = ex_decode_text(d, n);

	f->has_expect = true;
	f->allow = text && strcmp(text, "allow") == 0;
	if (text && !f->allow && strcmp(text, "deny") != 0)
		ex_decode_error(d, n, "write allow or deny", "must be allow or deny");
}

static void read_direction(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct fixture *f = out;
	const char *text = ex_decode_text(d, n);

	f->ingress = text && strcmp(text, "ingress") == 0;
	if (text && !f->ingress && strcmp(text, "egress") != 0)
		ex_decode_error(d, n, "write egress or ingress", "must be egress or ingress");
}

static void read_headers(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	if (n->kind == EX_NODE_MAP && n->n <= EX_PROBE_HEADERS)
		((struct fixture *)out)->headers = n;
	else
		ex_decode_error(d, n, "write headers: {NAME: VALUE}", "must be a map");
}

static void read_fixtures(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = {
		{ "name", read_name, NULL, NULL },
		{ "to", read_to, NULL, NULL },
		{ "method", read_method, NULL, NULL },
		{ "address", read_address, NULL, NULL },
		{ "sni", read_sni, NULL, NULL },
		{ "expect", read_expect, NULL, NULL },
		{ "headers", read_headers, NULL, NULL },
		{ "reason", read_reason, NULL, NULL },
		{ "rule", read_rule, NULL, NULL },
		{ "direction", read_direction, NULL, NULL },
		{ "from", read_from, NULL, NULL },
	};
	struct fixture_file *ff = out;

	if (!ex_decode_list(d, n, 100000, false))
		return;
	ff->tests = ex_arena_alloc(d->arena, n->n, sizeof(*ff->tests));
	if (!ff->tests)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it)) {
		struct fixture *f = &ff->tests[ff->n_tests++];

		f->node = it.c;
		(void)ex_decode_map(d, it.c, fields, EX_ARRAY_SIZE(fields), f);
		if (!f->to || !f->has_expect)
			ex_decode_error(d, it.c, "write to: DEST and expect: allow or deny",
					"needs the fields to and expect");
		if (f->ingress != (f->from != NULL))
			ex_decode_error(d, it.c,
					"write direction: ingress and from: IP, or neither",
					"has only one of direction: ingress and from");
	}
}

static const char *beside(struct ex_decoder *d, const struct fixture_file *ff,
			  const struct ex_node *n)
{
	const char *text = ex_decode_text(d, n);

	if (!text || text[0] == '/')
		return text_of(d, n);
	return ex_arena_printf(d->arena, "%s/%s", ff->dir, text);
}

static void read_policy_files(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct fixture_file *ff = out;

	if (!ex_decode_list(d, n, EX_ARRAY_SIZE(ff->files), false))
		return;
	for (const struct ex_node *c = n->first; c; c = c->next)
		ff->files[ff->n_files++] = beside(d, ff, c);
}

static void read_endpoints_file(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct fixture_file *ff = out;

	ff->endpoints = beside(d, ff, n);
}

static void read_secrets_dir(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct fixture_file *ff = out;

	ff->secrets = beside(d, ff, n);
}

static void read_labels(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct fixture_file *ff = out;

	if (n->kind != EX_NODE_MAP || n->n > EX_ARRAY_SIZE(ff->labels)) {
		ex_decode_error(d, n, "write labels: {KEY: VALUE}", "must be a map");
		return;
	}
	for (const struct ex_node *c = n->first; c; c = c->next) {
		const char *value = text_of(d, c);
		const char *key = ex_arena_strndup(d->arena, c->key, strlen(c->key));

		if (key && value)
			ff->labels[ff->n_labels++] = (struct ex_label){ key, value };
	}
}

static void read_metadata_switch(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)ex_decode_bool(d, n, &((struct fixture_file *)out)->metadata);
}

static void read_serve(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct fixture_file *ff = out;

	ff->n_served = 0;
	if (!ex_decode_list(d, n, EX_ARRAY_SIZE(ff->served), false))
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		const char *text = ex_decode_text(d, c);

		if (text && !ex_served_parse(text, &ff->served[ff->n_served++]))
			ex_decode_error(d, c, "write PORT/tcp, PORT/udp or any", "is no port");
	}
}

static const struct ex_field file_fields[] = {
	{ "policy", read_policy_files, NULL, NULL },
	{ "endpoints", read_endpoints_file, NULL, NULL },
	{ "secrets", read_secrets_dir, NULL, NULL },
	{ "labels", read_labels, NULL, NULL },
	{ "denyMetadata", read_metadata_switch, NULL, NULL },
	{ "serve", read_serve, NULL, NULL },
	{ "tests", read_fixtures, NULL, NULL },
};

/* ---- running ---- */

static const char *fill_probe(const struct fixture *f, struct ex_probe *p)
{
	const char *wrong =
		f->ingress ? ex_probe_parse_ingress(f->from, f->to, p) : ex_probe_parse(f->to, p);

	if (wrong)
		return wrong;
	if (f->ingress)
		return f->method || f->sni || f->address || f->headers
			       ? "is of ingress, which is by address and port"
			       : NULL;
	if (f->method)
		(void)snprintf(p->method, sizeof(p->method), "%s", f->method);
	if (f->sni && ex_probe_set_sni(p, f->sni))
		return "has an sni that is no host name";
	if (f->address) {
		if (!ex_ip_parse(f->address, &p->dst))
			return "has an address that is none";
		p->dst_assumed = false;
	}
	for (const struct ex_node *c = f->headers ? f->headers->first : NULL; c; c = c->next) {
		struct ex_header *h = &p->headers[p->n_headers++];

		if (c->kind != EX_NODE_SCALAR)
			return "has a header that is no text";
		if (strcasecmp(c->key, "host") == 0)
			return "has a host of its own, which headers can not change";
		h->name = ex_span_str(c->key);
		h->value = (struct ex_span){ c->text, c->len };
	}
	ex_probe_read(p);
	return NULL;
}

static bool as_expected(const struct ex_ruleset *rs, const struct fixture *f,
			const struct ex_decision *d)
{
	const struct ex_rule_info *info = ex_ruleset_rule(rs, d->rule);

	if ((d->verdict != EX_V_DENY) != f->allow)
		return false;
	if (f->reason && strcmp(f->reason, ex_reason_word(d->reason)) != 0)
		return false;
	return !f->rule || (info && strcmp(f->rule, info->where) == 0);
}

static void print_part(const char *before, const char *text)
{
	if (!text)
		return;
	(void)fputs(before, stdout);
	ex_tool_print_text(text);
}

static void report(struct runner *r, const struct ex_ruleset *rs, const struct fixture *f, bool ok,
		   const char *wrong, const struct ex_decision *d)
{
	(void)printf("%s %u", ok ? "ok" : "not ok", ++r->done);
	print_part(" - ", f->name ? f->name : f->to);
	(void)putchar('\n');
	if (ok)
		return;
	r->failed++;
	(void)printf("#   %s:%d", f->node->pos.file, f->node->pos.line);
	print_part(": ", f->to);
	if (wrong) {
		(void)printf("\n#   to: %s\n", wrong);
		return;
	}
	(void)printf("\n#   expected %s", f->allow ? "allow" : "deny");
	print_part(" ", f->reason);
	print_part(" by ", f->rule);
	(void)printf(", got %s (%s) by ", d->verdict == EX_V_DENY ? "deny" : "allow",
		     ex_reason_word(d->reason));
	ex_tool_print_rule(stdout, rs, d->rule);
	(void)putchar('\n');
}

/* A rule is covered when some fixture meets all its conditions. */
static void note_coverage(const struct ex_ruleset *rs, const struct ex_probe *p, bool *covered)
{
	EX_AUTO_FREE struct ex_rule_status *v = NULL;

	if (ex_probe_rules(rs, p, &v) < 0)
		return;
	for (uint32_t i = 0; i < ex_ruleset_n_rules(rs); i++)
		covered[i] |= ex_ruleset_rule_is_ingress(rs, i + 1) == p->ingress &&
			      v[i].failed == EX_FAILED_NONE;
}

static void run_fixtures(struct runner *r, const struct ex_ruleset *rs,
			 const struct fixture_file *ff)
{
	EX_AUTO_FREE bool *covered = calloc(ex_ruleset_n_rules(rs) + 1, sizeof(*covered));

	if (!covered)
		return;
	for (size_t i = 0; i < ff->n_tests; i++) {
		const struct fixture *f = &ff->tests[i];
		struct ex_decision d = { 0 };
		struct ex_probe p;
		const char *wrong = fill_probe(f, &p);

		if (!wrong) {
			ex_probe_assume(rs, &p);
			d = ex_tool_judge(rs, &p);
			note_coverage(rs, &p, covered);
		}
		report(r, rs, f, !wrong && as_expected(rs, f, &d), wrong, &d);
	}
	for (uint32_t i = 0; i < ex_ruleset_n_rules(rs); i++) {
		r->rules++;
		r->covered += covered[i];
		if (covered[i])
			continue;
		(void)fputs("# not covered: ", stdout);
		ex_tool_print_rule(stdout, rs, i + 1);
		(void)putchar('\n');
	}
}

static int run_parsed(struct runner *r, const struct fixture_file *ff)
{
	const struct ex_inward inward = { ff->served, ff->n_served };
	struct ex_compile_input in = {
		.inward = &inward,
		.files = ff->files,
		.n_files = ff->n_files,
		.endpoints_file = ff->endpoints,
		.secrets_dir = ff->secrets,
		.labels = ff->labels,
		.n_labels = ff->n_labels,
		.deny_metadata = ff->metadata,
	};
	struct ex_ruleset *rs = ex_tool_compile(&in);

	if (!rs)
		return -EINVAL;
	run_fixtures(r, rs, ff);
	ex_ruleset_unref(rs);
	return 0;
}

static void read_document(struct ex_decoder *d, const struct ex_docs *docs, const char *path,
			  struct fixture_file *ff)
{
	const struct ex_node nothing = { .pos = { path, 0, 0 } };

	if (docs->n == 1)
		(void)ex_decode_map(d, docs->v[0], file_fields, EX_ARRAY_SIZE(file_fields), ff);
	else
		ex_decode_error(d, docs->n ? docs->v[1] : &nothing,
				"write one file for each set of policies",
				"a file of fixtures is one document");
}

static void run_file(struct runner *r, const char *dir, const char *name)
{
	struct fixture_file ff = { .metadata = true, .n_served = 1 }; /* any */
	struct ex_arena arena = { 0 };
	struct ex_diags diags = { 0 };
	struct ex_docs docs = { 0 };
	struct ex_decoder d = { .arena = &arena, .diags = &diags };
	char *path = ex_arena_printf(&arena, "%s/%s", dir, name);
	int err;

	ff.dir = ex_arena_strndup(&arena, dir, strlen(dir));
	err = path && ff.dir ? ex_yaml_read(path, &arena, &diags, &docs) : -ENOMEM;
	if (path)
		ex_tame(path); /* from here on it is shown */
	if (err == 0)
		read_document(&d, &docs, path, &ff);
	if (err == 0 && (d.n_errors || arena.oom))
		err = -EINVAL;
	if (err == 0)
		err = run_parsed(r, &ff);
	if (err < 0) {
		r->failed++;
		(void)printf("not ok %u - %s\n", ++r->done, path ? path : "no memory");
		ex_diags_print(&diags, stderr);
	}
	ex_diags_done(&diags);
	free(docs.v);
	ex_arena_done(&arena);
}

static bool is_fixture(const char *name)
{
	size_t len = strlen(name);

	return len > 10 && strcmp(name + len - 10, ".test.yaml") == 0;
}

static int run_dir(struct runner *r, const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort);

	if (n < 0) {
		const char *why = errno == ENOTDIR ? "neither a directory nor a *.test.yaml"
						   : strerrordesc_np(errno);

		(void)fprintf(stderr, "exeat policy test: %s: %s\n", dir, why);
		return -EINVAL;
	}
	for (int i = 0; i < n; i++) {
		if (is_fixture(list[i]->d_name))
			run_file(r, dir, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return 0;
}

static int run_path(struct runner *r, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir;

	if (!is_fixture(path))
		return run_dir(r, path);
	dir = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	if (!dir)
		return -ENOMEM;
	run_file(r, dir, slash ? slash + 1 : path);
	free(dir);
	return 0;
}

int ex_tool_test(int argc, char **argv)
{
	struct runner r = { 0 };

	if (argc < 2 || argv[1][0] == '-') {
		(void)fprintf(stderr, "usage: exeat policy test DIR|FILE.test.yaml...\n");
		return EX_TOOL_USAGE;
	}
	for (int i = 1; i < argc; i++) {
		if (run_path(&r, argv[i]) < 0)
			return EX_TOOL_USAGE;
	}
	(void)printf("1..%u\n# rules covered: %zu of %zu\n", r.done, r.covered, r.rules);
	if (r.done == 0) {
		(void)fprintf(stderr, "exeat policy test: no *.test.yaml there\n");
		return EX_TOOL_USAGE;
	}
	return r.failed ? EX_TOOL_NO : EX_TOOL_OK;
}
