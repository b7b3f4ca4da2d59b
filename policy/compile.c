/* SPDX-License-Identifier: Apache-2.0 */
/* The way from files to a ruleset: read, select by label, lower, classify. */
#include "policy/lint.h"

#include <errno.h>

#include "exeat/text.h"
#include "policy/secret.h"
#include "policy/selects.h"

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

/* Documents of every file and text, in this order, behind those that docs holds. */
struct sources {
	const char *const *files;
	size_t n_files;
	const struct ex_text *texts;
	size_t n_texts;
};

/* The name lives as long as the rules that stand there. */
static int read_source(struct compiler *c, const struct sources *src, size_t i,
		       struct ex_docs *docs)
{
	const struct ex_text *t = i < src->n_files ? NULL : &src->texts[i - src->n_files];
	const char *given = t ? t->name : src->files[i];
	char *name = ex_arena_strndup(&c->rs->arena, given, strlen(given));
	size_t before = docs->n;
	int r;

	if (!name)
		return -ENOMEM;
	r = t ? ex_yaml_parse(t->text.ptr, t->text.len, name, &c->tree, c->diags, docs)
	      : ex_yaml_read(name, &c->tree, c->diags, docs);
	ex_tame(name); /* from here on it is shown */
	if (r == 0 && docs->n == before && docs == &c->docs) {
		ex_diag_add(c->diags, (struct ex_pos){ name, 0, 0 }, false,
			    "write a CiliumNetworkPolicy", "has no policy in it");
		return -EINVAL;
	}
	return r;
}

static int read_sources(struct compiler *c, const struct sources *src, struct ex_docs *docs)
{
	int first = 0;

	/* on after an error: one run shows the errors of every file */
	for (size_t i = 0; i < src->n_files + src->n_texts; i++) {
		int r = read_source(c, src, i, docs);

		if (r == -ENOMEM)
			return r;
		if (r < 0)
			first = r;
	}
	return first;
}

static int read_endpoints(struct compiler *c)
{
	const struct sources src = { &c->in->endpoints_file, c->in->endpoints_file ? 1 : 0,
				     c->in->endpoints, c->in->n_endpoints };
	struct ex_docs docs = { 0 };
	int r;

	if (c->in->known)
		c->known = *ex_known_list(c->in->known);
	if (c->in->known || c->in->reached)
		return 0;
	r = read_sources(c, &src, &docs);
	if (r == 0) {
		ex_endpoints_read(&c->decoder, &docs, &c->known);
		r = c->decoder.n_errors ? -EINVAL : 0;
	}
	free(docs.v);
	return r;
}

static int read_files(struct compiler *c)
{
	const struct sources src = { c->in->files, c->in->n_files, c->in->texts, c->in->n_texts };

	return read_sources(c, &src, &c->docs);
}

static int read_policies(struct compiler *c)
{
	int r = ex_policy_choose_for(&c->set, c->in);

	if (r < 0)
		return r;
	ex_policy_read(&c->decoder, &c->docs, &c->set);
	if (c->rs->arena.oom || c->tree.oom)
		return -ENOMEM;
	return c->decoder.n_errors ? -EINVAL : 0;
}

/* They live outside of the arena: the ruleset takes them, also when compilation fails later. */
static void take_heap(struct compiler *c)
{
	c->rs->regexes = c->set.regexes;
	c->set.regexes = (struct ex_regex_set){ 0 };
	c->rs->secrets = EX_TAKE_PTR(c->set.secrets.v);
	c->rs->n_secrets = c->set.secrets.n;
	c->set.secrets.n = c->set.secrets.cap = 0;
}

static int build_inward(struct compiler *c)
{
	struct ex_marks marks = { 0 };
	struct ex_lowering l = {
		.in = c->in,
		.diags = c->diags,
		.known = &c->known,
		.marks = &marks,
		.set = &c->set,
		.inward = true,
		.book = c->rs,
	};
	int r;

	l.rs = c->rs->ingress = calloc(1, sizeof(*l.rs));
	if (!l.rs)
		return -ENOMEM;
	atomic_init(&l.rs->refs, 1);
	r = ex_lower_inward(&l);
	if (r == 0)
		r = ex_classes_build(l.rs, &marks);
	if (r == 0)
		r = ex_class_indexes_build(l.rs);
	if (r == 0 && c->lint)
		ex_lint(&l);
	if (r == 0)
		r = ex_repeer_keep(l.rs, &marks);
	free(marks.v);
	return r;
}

static int build(struct compiler *c)
{
	struct ex_lowering l = {
		.in = c->in,
		.rs = c->rs,
		.book = c->rs,
		.diags = c->diags,
		.known = &c->known,
		.marks = &c->marks,
		.set = &c->set,
	};
	int r = ex_lower_outward(&l);

	if (r == 0)
		r = ex_classes_build(c->rs, &c->marks);
	if (r == 0)
		r = ex_class_indexes_build(c->rs);
	c->rs->n_egress_rules = c->rs->n_rules;
	if (r == 0 && c->lint)
		ex_lint(&l);
	if (r == 0 && c->in->inward)
		r = build_inward(c);
	if (r == 0)
		r = ex_repeer_keep(c->rs, &c->marks);
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
	take_heap(c);
	if (r == 0)
		*ret = EX_TAKE_PTR(c->rs);
	ex_ruleset_unref(c->rs);
	ex_policy_set_done(&c->set);
	ex_arena_done(&c->tree);
	free(c->docs.v);
	free(c->marks.v);
	return r;
}

static int compile(const struct ex_compile_input *in, bool lint, struct ex_ruleset **ret,
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
	if (in->secrets_dir && ex_secrets_check(in->secrets_dir, diags) < 0)
		r = r < 0 ? r : -EINVAL;
	if (r == 0)
		r = build(&c);
	return compiler_finish(&c, r, ret);
}

int ex_compile(const struct ex_compile_input *in, struct ex_ruleset **ret, struct ex_diags *diags)
{
	return compile(in, false, ret, diags);
}

int ex_compile_lint(const struct ex_compile_input *in, struct ex_ruleset **ret,
		    struct ex_diags *diags)
{
	return compile(in, true, ret, diags);
}

int ex_compile_text(const char *policy, size_t len, const char *endpoints, size_t endpoints_len,
		    const struct ex_compile_input *in, struct ex_ruleset **ret,
		    struct ex_diags *diags)
{
	const struct ex_text text = { "policy.yaml", { policy, len } };
	const struct ex_text known = { "endpoints.yaml", { endpoints, endpoints_len } };
	struct ex_compile_input with = *in;

	with.texts = &text;
	with.n_texts = 1;
	with.endpoints = &known;
	with.n_endpoints = endpoints ? 1 : 0;
	return compile(&with, false, ret, diags);
}
