/* SPDX-License-Identifier: Apache-2.0 */
/* The way from files to a ruleset: read, select by label, lower, classify. */
#include "policy/lower.h"

#include <errno.h>

struct compiler {
	const struct ex_compile_input *in;
	bool lint;
	struct ex_diags *diags;
	struct ex_ruleset *rs; /* its arena holds everything that lives on */
	struct ex_arena tree;  /* YAML nodes: dead after compilation */
	struct ex_docs docs;
	struct ex_decoder decoder;
	struct ex_policy_set set;
	struct ex_known_endpoints known;
	struct ex_marks marks;
};

static int read_endpoints(struct compiler *c)
{
	struct ex_docs docs = { 0 };
	int r;

	if (!c->in->endpoints_file)
		return 0;
	r = ex_yaml_read(c->in->endpoints_file, &c->tree, c->diags, &docs);
	if (r == 0) {
		ex_endpoints_read(&c->decoder, &docs, &c->known);
		r = c->decoder.n_errors ? -EINVAL : 0;
	}
	free(docs.v);
	return r;
}

static int read_files(struct compiler *c)
{
	int first = 0;

	for (size_t i = 0; i < c->in->n_files; i++) {
		const char *given = c->in->files[i];
		char *file = ex_arena_strndup(&c->rs->arena, given, strlen(given));
		size_t before = c->docs.n;
		int r;

		if (!file)
			return -ENOMEM;
		r = ex_yaml_read(file, &c->tree, c->diags, &c->docs);
		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			first = r; /* go on: one run shows the errors of every file */
			continue;
		}
		if (c->docs.n == before) {
			ex_diag_add(c->diags, (struct ex_pos){ file, 0, 0 }, false,
				    "write a CiliumNetworkPolicy", "has no policy in it");
			first = -EINVAL;
		}
	}
	return first;
}

static int read_policies(struct compiler *c)
{
	ex_policy_read(&c->decoder, &c->docs, &c->set);
	if (c->rs->arena.oom || c->tree.oom)
		return -ENOMEM;
	return c->decoder.n_errors ? -EINVAL : 0;
}

/* Regexes live outside of the arena: the ruleset takes them, also when compilation fails later. */
static void take_regexes(struct compiler *c)
{
	c->rs->regexes = EX_TAKE_PTR(c->set.regexes.v);
	c->rs->n_regexes = c->set.regexes.n;
	c->set.regexes.n = c->set.regexes.cap = 0;
}

static int build(struct compiler *c)
{
	struct ex_lowering l = {
		.in = c->in,
		.rs = c->rs,
		.diags = c->diags,
		.known = &c->known,
		.marks = &c->marks,
		.set = &c->set,
	};
	int r = ex_lower(&l);

	if (r == 0)
		r = ex_classes_build(c->rs, &c->marks);
	if (r == 0 && c->lint)
		ex_lint(&l);
	if (r == -E2BIG) {
		ex_diag_add(c->diags, (struct ex_pos){ "policy", 0, 0 }, false,
			    "use fewer overlapping CIDRs",
			    "the rules cut the address space into too many classes");
		return -EINVAL;
	}
	return r < 0 ? r : 0;
}

static int compiler_init(struct compiler *c, const struct ex_compile_input *in,
			 struct ex_diags *diags)
{
	*c = (struct compiler){ .in = in, .diags = diags };
	c->rs = calloc(1, sizeof(*c->rs));
	if (!c->rs)
		return -ENOMEM;
	atomic_init(&c->rs->refs, 1);
	c->decoder = (struct ex_decoder){ .arena = &c->rs->arena, .diags = diags };
	c->set.arena = &c->rs->arena;
	return 0;
}

static int compiler_finish(struct compiler *c, int r, struct ex_ruleset **ret)
{
	take_regexes(c);
	if (r == 0)
		*ret = EX_TAKE_PTR(c->rs);
	ex_ruleset_unref(c->rs);
	ex_policy_set_done(&c->set);
	ex_arena_done(&c->tree);
	free(c->docs.v);
	free(c->marks.v);
	return r;
}

static int compile_files(const struct ex_compile_input *in, bool lint, struct ex_ruleset **ret,
			 struct ex_diags *diags)
{
	struct compiler c;
	int r;

	r = compiler_init(&c, in, diags);
	if (r < 0)
		return r;
	c.lint = lint;
	r = read_endpoints(&c);
	if (r != -ENOMEM) {
		int r2 = read_files(&c), r3 = read_policies(&c);

		r = r < 0 ? r : r2 < 0 ? r2 : r3;
	}
	if (r == 0)
		r = build(&c);
	return compiler_finish(&c, r, ret);
}

int ex_compile(const struct ex_compile_input *in, struct ex_ruleset **ret, struct ex_diags *diags)
{
	return compile_files(in, false, ret, diags);
}

int ex_compile_lint(const struct ex_compile_input *in, struct ex_ruleset **ret,
		    struct ex_diags *diags)
{
	return compile_files(in, true, ret, diags);
}

int ex_compile_text(const char *policy, size_t len, const char *endpoints, size_t endpoints_len,
		    const struct ex_compile_input *in, struct ex_ruleset **ret,
		    struct ex_diags *diags)
{
	struct ex_docs ep_docs = { 0 };
	struct compiler c;
	int r;

	r = compiler_init(&c, in, diags);
	if (r < 0)
		return r;
	if (endpoints) {
		r = ex_yaml_parse(endpoints, endpoints_len, "endpoints.yaml", &c.tree, diags,
				  &ep_docs);
		if (r == 0)
			ex_endpoints_read(&c.decoder, &ep_docs, &c.known);
		free(ep_docs.v);
	}
	if (r == 0)
		r = ex_yaml_parse(policy, len, "policy.yaml", &c.tree, diags, &c.docs);
	if (r == 0)
		r = read_policies(&c);
	if (r == 0)
		r = build(&c);
	return compiler_finish(&c, r, ret);
}
