/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Most rounds change little, and the work should be in proportion. What is in force stays when
 * policies, endpoints and the node's addresses are what they were; when only endpoints are others,
 * the rulesets there are are led over (ex_repeer()) and differ in a few addresses; and endpoints
 * with the same selection share what was made for one of them.
 */
#include <errno.h>
#include <stdio.h>

#include "agent/node/plan.h"

/* ---- what is in force ---- */

void ex_plan_forget(struct ex_node_endpoint *e)
{
	if (!e->in_force)
		return;
	ex_selection_done(&e->in_force->selection);
	ex_compiled_unref(e->in_force->compiled);
	free(e->in_force);
	e->in_force = NULL;
}

int ex_plan_remember(struct ex_prepared *p)
{
	struct node_in_force *f = calloc(1, sizeof(*f));

	ex_plan_forget(p->e);
	if (!f)
		return -ENOMEM;
	f->selection = p->selection;
	f->compiled = ex_compiled_ref(p->compiled);
	f->failed = p->failed;
	memcpy(f->why, p->why, sizeof(f->why));
	p->selection = (struct ex_selection){ 0 };
	p->e->in_force = f;
	return 0;
}

void ex_plan_done(struct ex_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		ex_selection_done(&plan->v[i].selection);
		ex_compiled_unref(plan->v[i].compiled);
	}
	for (size_t i = 0; i < plan->n_moves; i++)
		ex_move_done(&plan->moves[i]);
	free(plan->moves);
	free(plan->v);
	ex_compile_base_done(&plan->base);
	*plan = (struct ex_plan){ 0 };
}

static void list_endpoints(const struct ex_node *node, struct ex_plan *plan)
{
	for (int fresh = 0; fresh < 2; fresh++)
		for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
			if ((e->gates == NULL) == fresh)
				plan->v[plan->n++].e = e;
}

/* ---- from what is in force ---- */

/* One for all that share what is in force. NULL with *err 0: it has to be compiled. */
static const struct ex_move *get_move(struct ex_plan *plan, const struct ex_node_endpoint *e,
				      int *err)
{
	const struct ex_label_set labels = { e->labels, e->n_labels };
	struct ex_move *m = plan->moves;

	while (m < plan->moves + plan->n_moves && m->from != e->in_force->compiled)
		m++;
	if (m == plan->moves + plan->n_moves) {
		*err = ex_node_move(&plan->base, &e->in_force->selection, &labels,
				    e->in_force->compiled, m);
		if (*err < 0)
			return NULL;
		plan->n_moves++;
	}
	return m->to ? m : NULL;
}

/* Is what is in force for `from` good for this selection, as it is or led over? */
static bool can_share(const struct ex_plan *plan, const struct ex_node_endpoint *from,
		      const struct ex_selection *s)
{
	const struct node_in_force *f = from->in_force;

	return plan->same_host && f && !f->failed && ex_selection_equal(&f->selection, s);
}

/* 1: taken. */
static int take_own(struct ex_plan *plan, struct ex_prepared *p)
{
	int r = 0;

	if (plan->same_peers)
		return 1;
	p->move = get_move(plan, p->e, &r);
	if (!p->move)
		return r;
	if (ex_move_is_empty(p->move))
		p->move = NULL; /* it stays */
	else
		p->compiled = ex_compiled_ref(p->move->to);
	return 1;
}

static int take_from(struct ex_plan *plan, struct ex_prepared *p,
		     const struct ex_node_endpoint *from)
{
	const struct ex_move *m;
	int r = 0;

	if (plan->same_peers) {
		p->compiled = ex_compiled_ref(from->in_force->compiled);
		return 1;
	}
	m = get_move(plan, from, &r);
	if (!m)
		return r;
	p->compiled = ex_compiled_ref(ex_move_is_empty(m) ? m->from : m->to);
	return 1;
}

static int take_others(struct ex_plan *plan, struct ex_prepared *p)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct ex_prepared *other = &plan->v[i];

		if (other != p && other->compiled && !other->failed &&
		    ex_selection_equal(&other->selection, &p->selection)) {
			p->compiled = ex_compiled_ref(other->compiled);
			return 1;
		}
	}
	for (size_t i = 0; i < plan->n; i++)
		if (plan->v[i].e != p->e && can_share(plan, plan->v[i].e, &p->selection))
			return take_from(plan, p, plan->v[i].e);
	return 0;
}

/* ---- one endpoint ---- */

/* The first error, in words that fit. */
static void write_error(const struct ex_diags *diags, char err[static EX_NODE_ERR])
{
	for (size_t i = 0; i < diags->n; i++) {
		const struct ex_diag *d = &diags->items[i];

		if (d->warning)
			continue;
		snprintf(err, EX_NODE_ERR, "%s:%d:%d: %s", d->file, d->line, d->col, d->message);
		return;
	}
	snprintf(err, EX_NODE_ERR, "its policies do not compile");
}

static int compile(struct ex_plan *plan, struct ex_prepared *p)
{
	const struct ex_label_set labels = { p->e->labels, p->e->n_labels };
	struct ex_diags diags = { 0 };
	int r = ex_node_compile(&plan->base, &p->selection, &labels, &p->compiled, &diags);

	plan->n_compiled++;
	if (r == -EINVAL) {
		write_error(&diags, p->why);
		p->failed = true;
		r = ex_node_compile_denial(&plan->base, &p->compiled);
	}
	ex_diags_done(&diags);
	return r;
}

/*
 * Is it one for which the same did not compile before? It costs as much each time, so that other
 * endpoints, which may be what is in its way, are a reason to try again only now and then.
 */
static bool has_failed(struct ex_plan *plan, struct ex_prepared *p, bool again)
{
	struct node_in_force *now = p->e->in_force;

	if (!now || !now->failed || !plan->same_host ||
	    !ex_selection_equal(&now->selection, &p->selection))
		return false;
	now->stale |= !plan->same_peers;
	if (now->stale && again)
		return false;
	plan->n_later += now->stale;
	p->failed = true;
	memcpy(p->why, now->why, sizeof(p->why));
	return true;
}

static int prepare(const struct ex_node *node, struct ex_plan *plan, struct ex_prepared *p)
{
	int r = 0;

	if (has_failed(plan, p, node->try_failed))
		return 0;
	if (can_share(plan, p->e, &p->selection))
		r = take_own(plan, p);
	if (r == 0)
		r = take_others(plan, p);
	if (r == 0)
		r = compile(plan, p);
	return r < 0 ? r : 0;
}

/* ---- all of them ---- */

static bool is_new(const struct ex_policy_files *files, size_t i,
		   const struct ex_policy_files *before)
{
	for (size_t k = 0; before && k < before->files.n; k++)
		if (before->files.v[k] == files->files.v[i])
			return false;
	return true;
}

/* Others may refer to what was in there, or is. */
static bool shared_changed(const struct ex_policy_files *a, const struct ex_policy_files *b)
{
	for (size_t i = 0; i < a->files.n; i++)
		if (ex_selects_is_shared(a->files.v[i]->selects) && is_new(a, i, b))
			return true;
	return false;
}

/* Into v: which specs of the file select somebody. Is there anything in it for anybody? */
static bool find_wanted(const struct ex_plan *plan, const struct ex_policy_file *file, uint8_t *v)
{
	bool any = false;

	for (size_t i = 0; i < plan->n; i++) {
		const struct ex_selection *s = &plan->v[i].selection;

		for (size_t k = 0; k < s->v.n; k++) {
			if (s->v.v[k].file != file)
				continue;
			any = true;
			if (s->v.v[k].spec != UINT32_MAX)
				v[s->v.v[k].spec] = 1;
		}
	}
	return any;
}

static int check_file(const struct ex_plan *plan, const struct ex_policy_files *files, size_t i,
		      struct ex_diags *diags)
{
	const struct ex_policy_file *file = files->files.v[i];
	EX_AUTO_FREE uint8_t *wanted = calloc(ex_selects_count(file->selects) + 1, sizeof(*wanted));

	if (!wanted)
		return -ENOMEM;
	return find_wanted(plan, file, wanted)
		       ? ex_node_check_file(&plan->base, files, i, wanted, diags)
		       : 0;
}

/*
 * A spec that does not compile on its own is not valid, nor is the set, once it selects somebody;
 * then it is not the endpoint's fault. Those that are in force are valid. What is around them (a
 * secret) may be another by now: that is between them and whom they select.
 */
static int check_files(struct ex_node *node, const struct ex_plan *plan,
		       const struct ex_policy_files *files, struct ex_diags *diags)
{
	bool all;
	int r = 0;

	if (files == node->files)
		return 0;
	all = !node->files || !plan->same_host || shared_changed(files, node->files) ||
	      shared_changed(node->files, files);
	for (size_t i = 0; i < files->files.n && r == 0; i++)
		if (all || is_new(files, i, node->files))
			r = check_file(plan, files, i, diags);
	return r;
}

static int make(struct ex_node *node, struct ex_policy_files *files, struct ex_diags *diags,
		struct ex_plan *plan)
{
	int r = ex_policy_files_parse(files, diags);

	if (r == 0)
		r = ex_compile_base_init(&plan->base, &node->config, &node->registry, &node->base);
	if (r < 0)
		return r;
	plan->same_host = !node->recompile && node->base.known &&
			  ex_compile_base_same_host(&plan->base, &node->base);
	plan->same_peers = plan->same_host && ex_compile_base_same_peers(&plan->base, &node->base);
	list_endpoints(node, plan);
	for (size_t i = 0; i < plan->n && r == 0; i++)
		r = ex_selection_make(files, &node->config, plan->v[i].e, &plan->v[i].selection);
	if (r == 0)
		r = check_files(node, plan, files, diags);
	for (size_t i = 0; i < plan->n && r == 0; i++)
		r = prepare(node, plan, &plan->v[i]);
	return r;
}

int ex_plan_make(struct ex_node *node, struct ex_policy_files *files, struct ex_diags *diags,
		 struct ex_plan *ret)
{
	struct ex_plan plan = { .v = calloc(node->registry.n + 1, sizeof(*plan.v)),
				.moves = calloc(node->registry.n + 1, sizeof(*plan.moves)) };
	int r = plan.v && plan.moves ? make(node, files, diags, &plan) : -ENOMEM;

	if (r < 0) {
		ex_plan_done(&plan);
		return r;
	}
	*ret = plan;
	return 0;
}
