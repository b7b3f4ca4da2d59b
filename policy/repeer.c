/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints come and go more often than policies change. What a ruleset knows of them is marks on
 * their addresses; the others are kept, so that the classes can be made again from those and from
 * asking the rules that select endpoints, without reading a policy.
 */
#include <errno.h>

#include "policy/lower.h"

/* Numbers for classes that endpoints will make: some are used up with each that comes or goes. */
#define ROOM_MIN 256

/* ---- endpoints that are read ---- */

struct ex_known {
	unsigned refs;
	struct ex_arena arena;
	struct ex_known_endpoints list;
};

static int read_known(struct ex_known *k, const struct ex_text *texts, size_t n,
		      struct ex_diags *diags)
{
	struct ex_decoder d = { .arena = &k->arena, .diags = diags };
	struct ex_arena tree = { 0 };
	struct ex_docs docs = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = ex_yaml_parse(texts[i].text.ptr, texts[i].text.len, texts[i].name, &tree, diags,
				  &docs);
	if (r == 0)
		ex_endpoints_read(&d, &docs, &k->list);
	if (r == 0 && d.n_errors)
		r = -EINVAL;
	if (tree.oom || k->arena.oom)
		r = -ENOMEM;
	free(docs.v);
	ex_arena_done(&tree);
	return r;
}

int ex_known_read(const struct ex_text *texts, size_t n, struct ex_known **ret,
		  struct ex_diags *diags)
{
	struct ex_known *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->refs = 1;
	r = read_known(k, texts, n, diags);
	if (r < 0) {
		ex_known_unref(k);
		return r;
	}
	*ret = k;
	return 0;
}

struct ex_known *ex_known_ref(struct ex_known *known)
{
	known->refs++;
	return known;
}

void ex_known_unref(struct ex_known *known)
{
	if (!known || --known->refs)
		return;
	ex_arena_done(&known->arena);
	free(known);
}

const struct ex_known_endpoints *ex_known_list(const struct ex_known *known)
{
	return &known->list;
}

/* ---- what is kept ---- */

struct ex_reached_list ex_ruleset_reached(const struct ex_ruleset *rs)
{
	return (struct ex_reached_list){ rs->repeer.reached, rs->repeer.n_reached };
}

/* Marks of endpoints go into reached, the others are moved together. */
static int split(struct ex_ruleset *rs, struct ex_marks *marks)
{
	struct ex_reached *reached;
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < marks->n; i++)
		n += marks->v[i].known;
	reached = ex_arena_alloc(&rs->arena, n, sizeof(*reached));
	if (!reached)
		return -ENOMEM;
	rs->repeer.reached = reached;
	rs->repeer.n_reached = n;
	for (size_t i = 0; i < marks->n; i++) {
		const struct ex_mark *m = &marks->v[i];

		if (m->known)
			*reached++ = (struct ex_reached){ m->prefix.ip, m->peer };
		else
			marks->v[kept++] = *m;
	}
	marks->n = kept;
	return 0;
}

int ex_repeer_keep(struct ex_ruleset *rs, struct ex_marks *marks)
{
	uint32_t n = (uint32_t)rs->n_classes - 1;
	int r;

	if (!rs->repeer.able)
		return 0;
	r = split(rs, marks);
	if (r < 0)
		return r;
	rs->repeer.marks = *marks;
	rs->repeer.class_room = n + (n / 2 > ROOM_MIN ? n / 2 : ROOM_MIN);
	*marks = (struct ex_marks){ 0 };
	return 0;
}

void ex_repeer_done(struct ex_ruleset *rs)
{
	free(rs->repeer.marks.v);
	if (!rs->repeer.rules)
		free(rs->repeer.looks.v);
	ex_ruleset_unref(rs->repeer.rules);
}

/* ---- the same rules, other endpoints ---- */

static int copy_marks(const struct ex_marks *from, struct ex_marks *ret)
{
	ret->v = calloc(from->n + 1, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	if (from->n)
		memcpy(ret->v, from->v, from->n * sizeof(*ret->v));
	ret->n = from->n;
	ret->cap = from->n + 1;
	return 0;
}

static int mark(const struct ex_ruleset *rules, const struct ex_known *known, struct ex_marks *ret)
{
	static const struct ex_compile_input none;
	struct ex_diags diags = { 0 };
	struct ex_lowering l = {
		.in = &none, .diags = &diags, .known = &known->list, .marks = ret
	};
	int r = copy_marks(&rules->repeer.marks, ret);

	for (size_t i = 0; r == 0 && i < rules->repeer.looks.n; i++)
		r = ex_lower_look(&l, &rules->repeer.looks.v[i]);
	if (r == 0)
		r = ex_mark_all_known(&l);
	ex_diags_done(&diags); /* warnings; and what is an error is one for the compiler to tell */
	return r == -EINVAL ? -ESTALE : r;
}

/* Everything of rs but what depends on endpoints; classes for their numbers. */
static struct ex_ruleset *share(const struct ex_ruleset *rs)
{
	struct ex_ruleset *rules = rs->repeer.rules, *own = calloc(1, sizeof(*own));

	if (!own)
		return NULL;
	if (!rules)
		rules = (struct ex_ruleset *)(uintptr_t)rs;
	*own = *rs;
	atomic_init(&own->refs, 1);
	own->arena = (struct ex_arena){ 0 };
	own->regexes = (struct ex_regex_set){ 0 };
	own->ingress = NULL;
	own->tree4 = own->tree6 = (struct ex_dest_tree){ 0 };
	own->repeer.rules = ex_ruleset_ref(rules);
	own->repeer.marks = (struct ex_marks){ 0 };
	own->repeer.reached = NULL;
	own->repeer.n_reached = 0;
	return own;
}

static int repeer(const struct ex_ruleset *rs, const struct ex_known *known,
		  struct ex_ruleset **ret)
{
	struct ex_ruleset *own = share(rs);
	struct ex_marks marks = { 0 };
	int r = own ? mark(own->repeer.rules, known, &marks) : -ENOMEM;

	if (r == 0)
		r = ex_classes_build(own, &marks);
	if (r == 0 && own->n_classes - 1 > own->repeer.class_room)
		r = -ESTALE;
	if (r == 0)
		r = ex_class_indexes_build(own);
	if (r == 0)
		r = split(own, &marks);
	free(marks.v);
	if (r < 0) {
		ex_ruleset_unref(own);
		return r == -E2BIG ? -ESTALE : r;
	}
	*ret = own;
	return 0;
}

int ex_repeer(const struct ex_ruleset *rs, const struct ex_known *known, struct ex_ruleset **ret)
{
	struct ex_ruleset *own = NULL;
	int r;

	if (!rs->repeer.able || (rs->ingress && !rs->ingress->repeer.able))
		return -ESTALE;
	r = repeer(rs, known, &own);
	if (r == 0 && rs->ingress)
		r = repeer(rs->ingress, known, &own->ingress);
	if (r < 0) {
		ex_ruleset_unref(own);
		return r;
	}
	*ret = own;
	return 0;
}
