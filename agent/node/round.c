/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "agent/core/log.h"
#include "agent/node/events.h"
#include "agent/node/gates.h"
#include "agent/node/learn.h"
#include "agent/node/round.h"
#include "policy/ruleset.h"

#define AGAIN_MS  1000  /* after a round in which something could not be put in force */
#define SETTLE_MS 20000 /* a proxy that follows no sooner was killed by its keeper */

/* What is in force for an endpoint, and why. */
struct node_in_force {
	struct ex_selection selection;
	struct ex_compiled *compiled;
};

/* The same, about to be. compiled NULL: it is already. */
struct prepared {
	struct ex_node_endpoint *e;
	struct ex_selection selection;
	struct ex_compiled *compiled;
	int err; /* its policies do not compile, and why */
	char why[EX_NODE_ERR];
};

struct plan {
	struct prepared *v;
	size_t n;
	struct ex_compile_base base;
	bool same_base; /* as what is in force was compiled with */
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- compiling aside ---- */

static void in_force_free(struct ex_node_endpoint *e)
{
	if (!e->in_force)
		return;
	ex_selection_done(&e->in_force->selection);
	ex_compiled_unref(e->in_force->compiled);
	free(e->in_force);
	e->in_force = NULL;
}

static void plan_done(struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		ex_selection_done(&plan->v[i].selection);
		ex_compiled_unref(plan->v[i].compiled);
	}
	free(plan->v);
	ex_compile_base_done(&plan->base);
	*plan = (struct plan){ 0 };
}

/* Those that were there before come first: see round.h. */
static void list_endpoints(const struct ex_node *node, struct plan *plan)
{
	for (int fresh = 0; fresh < 2; fresh++)
		for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
			if ((e->gates == NULL) == fresh)
				plan->v[plan->n++].e = e;
}

static struct ex_compiled *find_equal(const struct plan *plan, const struct ex_selection *s,
				      size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (plan->v[i].compiled && ex_selection_equal(&plan->v[i].selection, s))
			return plan->v[i].compiled;
	return NULL;
}

static int prepare_one(struct plan *plan, size_t i, struct ex_diags *diags)
{
	struct prepared *p = &plan->v[i];
	const struct ex_label_set labels = { p->e->labels, p->e->n_labels };
	const struct node_in_force *now = p->e->in_force;
	struct ex_compiled *equal;

	if (plan->same_base && now && ex_selection_equal(&now->selection, &p->selection))
		return 0;
	equal = find_equal(plan, &p->selection, i);
	if (!equal)
		return ex_node_compile(&plan->base, &p->selection, &labels, &p->compiled, diags);
	p->compiled = ex_compiled_ref(equal);
	return 0;
}

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

/*
 * A set of policies that was in force compiles for those it was compiled for. One that it does not
 * compile for, by labels of its own choice, is no reason to leave out the others.
 */
static int prepare_alone(struct plan *plan, size_t i)
{
	struct ex_diags diags = { 0 };
	int r = prepare_one(plan, i, &diags);

	if (r == -EINVAL) {
		write_error(&diags, plan->v[i].why);
		plan->v[i].err = r;
		r = 0;
	}
	ex_diags_done(&diags);
	return r;
}

/* New files are not refused for the sake of one that the former did not compile for either. */
static bool has_a_say(const struct ex_node *node, const struct ex_node_endpoint *e)
{
	const struct ex_node_endpoint *other = node->registry.first;

	while (other && !other->in_force)
		other = other->next;
	return !other || e->in_force;
}

/* diags NULL: the files have been in force, and each endpoint stands for itself. */
static int plan_make(struct ex_node *node, struct ex_policy_files *files, struct plan *ret,
		     struct ex_diags *diags)
{
	struct ex_diags parsed = { 0 };
	struct plan plan = { .v = calloc(node->registry.n + 1, sizeof(*plan.v)) };
	int r = plan.v ? ex_policy_files_parse(files, diags ? diags : &parsed) : -ENOMEM;

	ex_diags_done(&parsed);
	if (r == 0)
		r = ex_compile_base_init(&plan.base, &node->config, &node->registry);
	if (r == 0) {
		plan.same_base = !node->recompile && node->base.peers.text.ptr &&
				 ex_compile_base_equal(&plan.base, &node->base);
		list_endpoints(node, &plan);
	}
	for (size_t i = 0; i < plan.n && r == 0; i++) {
		r = ex_selection_make(files, &node->config, plan.v[i].e, &plan.v[i].selection);
		if (r == 0)
			r = diags && has_a_say(node, plan.v[i].e) ? prepare_one(&plan, i, diags)
								  : prepare_alone(&plan, i);
	}
	if (r < 0) {
		plan_done(&plan);
		return r;
	}
	*ret = plan;
	return 0;
}

/* ---- policy files ---- */

static void reject(struct ex_node *node, const char *why, const struct ex_diags *diags)
{
	size_t len = 0;

	node->policy_error[0] = '\0';
	for (size_t i = 0; diags && i < diags->n && len < sizeof(node->policy_error) - 1; i++) {
		const struct ex_diag *d = &diags->items[i];

		if (!d->warning)
			len += (size_t)snprintf(node->policy_error + len,
						sizeof(node->policy_error) - len, "%s%s:%d:%d: %s",
						len ? "; " : "", d->file, d->line, d->col,
						d->message);
	}
	if (!len)
		snprintf(node->policy_error, sizeof(node->policy_error), "%s", why);
	node->rejected++;
	ex_error("the policies are not valid, revision %llu stays in force: %s",
		 (unsigned long long)node->revision, node->policy_error);
}

/* Files as they are now, when they are others than those in force; NULL: nothing new to try. */
static struct ex_policy_files *read_new_files(struct ex_node *node)
{
	struct ex_policy_files *files;
	char err[EX_POLICY_FILES_ERR];

	node->read_files = false;
	if (ex_policy_files_read(node->config.policy_dirs, node->config.n_policy_dirs, node->files,
				 &files, err) < 0) {
		reject(node, err, NULL);
		return NULL;
	}
	if (node->files && ex_policy_files_equal(files, node->files)) {
		node->policy_error[0] = '\0'; /* changed back */
		ex_policy_files_free(files);
		return NULL;
	}
	return files;
}

static void accept_files(struct ex_node *node, struct ex_policy_files *files)
{
	ex_policy_files_free(node->files);
	node->files = files;
	node->revision++;
	node->policy_error[0] = '\0';
	ex_info("policies: revision %llu, %zu files", (unsigned long long)node->revision,
		files->files.n);
}

/* ---- putting in force ---- */

static void fail_pending(struct ex_node *node, uint32_t id, int err, const char *why)
{
	for (struct ex_node_pending *p = node->pending; p; p = p->next) {
		if (p->endpoint != id)
			continue;
		p->err = err;
		snprintf(p->why, sizeof(p->why), "%s", why);
	}
}

static struct node_in_force *in_force_new(struct prepared *p)
{
	struct node_in_force *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->selection = p->selection;
	f->compiled = p->compiled;
	p->selection = (struct ex_selection){ 0 };
	p->compiled = NULL;
	return f;
}

static int remember(struct prepared *p)
{
	in_force_free(p->e);
	p->e->in_force = in_force_new(p);
	return p->e->in_force ? 0 : -ENOMEM;
}

/* The state file is there before the gate opens: an agent that dies in between finds it. */
static int apply_one(struct ex_node *node, struct prepared *p, char err[static EX_NODE_ERR])
{
	struct ex_node_endpoint *e = p->e;
	bool learning = p->selection.learning;
	bool confine = p->compiled->selected && !learning && !e->confined;
	int r = 0;

	e->confined |= confine;
	if (!e->gates || confine)
		r = ex_registry_save(&node->registry, e);
	if (r < 0) {
		snprintf(err, EX_NODE_ERR, "cannot write its state: %s", strerror(-r));
		return r;
	}
	r = learning ? ex_node_learn_lease(node, e) : 0;
	if (r == 0)
		r = ex_gates_apply(node, e, p->compiled, err);
	if (r == 0)
		r = remember(p);
	if (r == 0 && !learning)
		r = ex_node_learn_release(node, e);
	return r;
}

/* Says how many could not be put in force and should be tried again. */
static size_t apply_all(struct ex_node *node, struct plan *plan)
{
	char err[EX_NODE_ERR] = "";
	size_t bad = 0;

	ex_events_drain(node); /* they bear rules that are about to go */
	for (size_t i = 0; i < plan->n; i++) {
		struct ex_node_endpoint *e = plan->v[i].e;
		bool fresh = !e->gates;
		int r = plan->v[i].err;

		if (r)
			snprintf(err, sizeof(err), "%s", plan->v[i].why);
		else if (plan->v[i].compiled)
			r = apply_one(node, &plan->v[i], err);
		if (r == 0) {
			e->revision = node->revision;
			continue;
		}
		in_force_free(e);
		ex_error("endpoint %u (%s/%s): %s", e->id, e->ns, e->name, err);
		fail_pending(node, e->id, r, err);
		if (fresh && !e->recovered) {
			ex_round_drop(node, e, false, "it could not be gated");
			continue;
		}
		if (fresh)
			ex_gates_close(node, e, false);
		e->state = fresh ? EX_NODE_CLOSED : EX_NODE_DEGRADED;
		snprintf(e->why, sizeof(e->why), "%s", err);
		bad++;
	}
	return bad;
}

/* ---- a round ---- */

static void answer(struct ex_node *node, struct ex_node_pending **list)
{
	struct ex_node_pending *p, *all = *list;

	*list = NULL;
	while ((p = all)) {
		all = p->next;
		p->fn(node, p);
		free(p);
	}
}

static void append(struct ex_node_pending **list, struct ex_node_pending *p)
{
	while (*list)
		list = &(*list)->next;
	p->next = NULL;
	*list = p;
}

static bool all_settled(const struct ex_node *node)
{
	for (const struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		if (!ex_gates_settled(e))
			return false;
	return true;
}

/* What need not wait, or has failed already, is answered; the rest when the proxies follow. */
static void answer_pending(struct ex_node *node)
{
	struct ex_node_pending *p, *all = node->pending, *now = NULL;

	node->pending = NULL;
	while ((p = all)) {
		all = p->next;
		append(p->settled && p->err == 0 ? &node->settling : &now, p);
	}
	answer(node, &now);
	if (node->settling && ex_timer_start(node->loop, &node->late, SETTLE_MS) < 0)
		answer(node, &node->settling);
	ex_defer(node->loop, &node->settle);
}

static void on_settle(struct ex_defer *d)
{
	struct ex_node *node = ex_container_of(d, struct ex_node, settle);

	if (!node->settling || !all_settled(node))
		return;
	ex_timer_stop(node->loop, &node->late);
	answer(node, &node->settling);
}

static void on_late(struct ex_timer *t)
{
	struct ex_node *node = ex_container_of(t, struct ex_node, late);

	for (struct ex_node_pending *p = node->settling; p; p = p->next) {
		p->err = -ETIMEDOUT;
		snprintf(p->why, sizeof(p->why),
			 "in force in the kernel gate, but not every proxy "
			 "has followed");
	}
	answer(node, &node->settling);
}

void ex_round_settle(struct ex_node *node)
{
	ex_defer(node->loop, &node->settle);
}

/*
 * New files are tried with all endpoints; when that fails, the files in force are compiled instead,
 * for there may be new endpoints as well.
 */
static int prepare(struct ex_node *node, struct plan *ret)
{
	struct ex_policy_files *fresh = node->read_files ? read_new_files(node) : NULL;
	struct ex_diags diags = { 0 };
	int r;

	if (fresh) {
		r = plan_make(node, fresh, ret, &diags);
		if (r == 0)
			accept_files(node, fresh);
		else
			reject(node, strerror(-r), &diags);
		ex_diags_done(&diags);
		if (r == 0)
			return 0;
		ex_policy_files_free(fresh);
	}
	if (!node->files)
		return -ENODATA;
	return plan_make(node, node->files, ret, NULL);
}

/* Nothing could be compiled: those who are new cannot be gated, and are not let in. */
static void give_up(struct ex_node *node, int err)
{
	struct ex_node_endpoint *e, *next;
	const char *why = node->files ? strerror(-err) : "there is no valid set of policies";

	ex_error("nothing was changed: %s", why);
	for (struct ex_node_pending *p = node->pending; p; p = p->next) {
		p->err = err;
		snprintf(p->why, sizeof(p->why), "%s", why);
	}
	for (e = node->registry.first; e; e = next) {
		next = e->next;
		if (!e->gates && !e->recovered)
			ex_round_drop(node, e, false, why);
		else if (!e->gates)
			snprintf(e->why, sizeof(e->why), "%s", why);
	}
}

static int run_round(struct ex_node *node)
{
	uint64_t began = now_us();
	struct plan plan;
	size_t bad = 0;
	int r = prepare(node, &plan);

	if (r == 0) {
		bad = apply_all(node, &plan);
		ex_compile_base_done(&node->base);
		node->base = plan.base;
		plan.base = (struct ex_compile_base){ 0 };
		plan_done(&plan);
		node->recompile = false;
	} else {
		give_up(node, r);
	}
	node->round_us = now_us() - began;
	answer_pending(node);
	if ((bad || r == -ENOMEM) && ex_timer_start(node->loop, &node->again, AGAIN_MS) < 0)
		ex_error("no memory to try again");
	return r;
}

static void on_round(struct ex_defer *d)
{
	struct ex_node *node = ex_container_of(d, struct ex_node, round);

	if (!node->stopping && run_round(node) < 0)
		ex_debug("the round came to nothing");
}

static void on_again(struct ex_timer *t)
{
	ex_round_want(ex_container_of(t, struct ex_node, again), false);
}

void ex_round_init(struct ex_node *node)
{
	node->round.fn = on_round;
	node->settle.fn = on_settle;
	node->again.fn = on_again;
	node->late.fn = on_late;
}

void ex_round_done(struct ex_node *node)
{
	ex_timer_stop(node->loop, &node->again);
	ex_timer_stop(node->loop, &node->late);
	for (struct ex_node_pending *p = node->pending; p; p = p->next)
		p->err = -ECANCELED;
	answer(node, &node->pending);
	answer(node, &node->settling);
	for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		in_force_free(e);
	ex_compile_base_done(&node->base);
}

void ex_round_want(struct ex_node *node, bool files)
{
	node->read_files |= files;
	ex_defer(node->loop, &node->round);
}

void ex_round_want_for(struct ex_node *node, struct ex_node_pending *p, bool files)
{
	append(&node->pending, p);
	ex_round_want(node, files);
}

int ex_round_first(struct ex_node *node)
{
	node->read_files = true;
	return run_round(node);
}

void ex_round_drop(struct ex_node *node, struct ex_node_endpoint *e, bool open, const char *why)
{
	int r = open ? ex_gate_detach(e->link.ifindex) : 0;

	if (r < 0)
		ex_error("endpoint %u: cannot detach the kernel gate: %s", e->id, strerror(-r));
	ex_info("endpoint %u (%s/%s) is gone: %s", e->id, e->ns, e->name, why);
	in_force_free(e);
	ex_gates_close(node, e, true);
	ex_registry_remove(&node->registry, e);
	ex_node_endpoint_free(e);
}
