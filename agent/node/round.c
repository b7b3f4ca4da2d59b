/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "agent/core/log.h"
#include "agent/node/events.h"
#include "agent/node/gates.h"
#include "agent/node/kept.h"
#include "agent/node/learn.h"
#include "agent/node/plan.h"
#include "agent/node/round.h"
#include "policy/ruleset.h"

#define TIDY_MS   100   /* after a round: the proxies come first */
#define AGAIN_MS  1000  /* after a round in which something could not be put in force */
#define SETTLE_MS 20000 /* a proxy that follows no sooner was killed by its keeper */

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- policy files ---- */

static void write_errors(char to[static EX_NODE_ERROR_TEXT], const struct ex_diags *diags)
{
	size_t len = 0;

	for (size_t i = 0; diags && i < diags->n && len < EX_NODE_ERROR_TEXT - 1; i++) {
		const struct ex_diag *d = &diags->items[i];

		if (!d->warning)
			len += (size_t)snprintf(to + len, EX_NODE_ERROR_TEXT - len,
						"%s%s:%d:%d: %s", len ? "; " : "", d->file, d->line,
						d->col, d->message);
	}
}

/* passing: it is not what they say. Then they are read again, and the same is told but once. */
static void reject(struct ex_node *node, const char *why, const struct ex_diags *diags,
		   bool passing)
{
	char text[EX_NODE_ERROR_TEXT] = "";

	write_errors(text, diags);
	if (!text[0])
		snprintf(text, sizeof(text), "%s", why);
	node->read_files = passing;
	if (passing && strcmp(text, node->policy_error) == 0)
		return;
	memcpy(node->policy_error, text, sizeof(text));
	node->rejected++;
	ex_error("the policies %s, revision %llu stays in force: %s",
		 passing ? "cannot be taken yet" : "are not valid",
		 (unsigned long long)node->revision, node->policy_error);
}

/* Files as they are now, when they are others than those in force; NULL: nothing new to try. */
static struct ex_policy_files *read_new_files(struct ex_node *node)
{
	struct ex_policy_files *files;
	char err[EX_POLICY_FILES_ERR];
	int r;

	node->read_files = false;
	r = ex_policy_files_read(node->config.policy_dirs, node->config.n_policy_dirs, node->files,
				 &files, err);
	if (r < 0) {
		reject(node, err, NULL, r != -EINVAL && r != -EFBIG && r != -E2BIG);
		return NULL;
	}
	if (node->files && ex_policy_files_equal(files, node->files)) {
		node->policy_error[0] = '\0'; /* changed back */
		node->kept = false;
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
	node->kept = false;
	ex_info("policies: revision %llu, %zu files", (unsigned long long)node->revision,
		files->files.n);
}

static struct ex_kept_from kept_from(const struct ex_node *node)
{
	return (struct ex_kept_from){ node->config.policy_dirs, node->config.n_policy_dirs };
}

/*
 * Before they are in force: what an agent finds that comes after us is never older. What cannot be
 * written is tried again in the next round, and told once.
 */
static void keep_files(struct ex_node *node)
{
	int r = ex_kept_write(node->config.state_dir, kept_from(node), node->files);
	bool told = node->not_kept;

	node->not_kept = r < 0;
	if (r < 0 && !told)
		ex_error("%s: the policies cannot be kept for the next start: %s",
			 node->config.state_dir, strerror(-r));
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

/* As the little that differs, where that can be; what a failure there left is made whole. */
static int put_in_force(struct ex_node *node, struct ex_prepared *p, char err[static EX_NODE_ERR])
{
	if (p->move && ex_gates_move(p->e, p->move) == 0) {
		node->work.moved++;
		return 0;
	}
	node->work.published++;
	return ex_gates_apply(node, p->e, p->compiled, err);
}

/* The state file is there before the gate opens: an agent that dies in between finds it. */
static int apply_one(struct ex_node *node, struct ex_prepared *p, char err[static EX_NODE_ERR])
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
		r = put_in_force(node, p, err);
	if (r == 0)
		r = ex_plan_remember(p);
	if (r == 0 && !learning)
		r = ex_node_learn_release(node, e);
	return r;
}

/* Whether or not something passes for it. */
static void tell_amiss(struct ex_node *node, struct ex_node_endpoint *e, int err, const char *why)
{
	ex_error("endpoint %u (%s/%s): %s", e->id, e->ns, e->name, why);
	fail_pending(node, e->id, err, why);
	e->state = EX_NODE_DEGRADED;
	snprintf(e->why, sizeof(e->why), "%s", why);
}

/*
 * It could not be put in force: what was stays, and it is tried again. But where nothing was to
 * pass nothing does.
 */
static void apply_failed(struct ex_node *node, const struct ex_prepared *p, bool fresh, int err,
			 const char *why)
{
	struct ex_node_endpoint *e = p->e;
	int r = p->failed ? ex_gate_deny(node->gate, e->link.ifindex) : 0;

	if (r < 0)
		ex_error("endpoint %u: cannot be denied: %s", e->id, strerror(-r));
	ex_plan_forget(e);
	tell_amiss(node, e, err, why);
	if (fresh)
		ex_gates_close(node, e, false);
}

/* Who comes is let in when all others know of it; behind: one that could not be told. */
static int refuse_unknown(const struct ex_node_endpoint *behind, char err[static EX_NODE_ERR])
{
	snprintf(err, EX_NODE_ERR, "endpoint %u (%.60s/%.60s) cannot be told of it, see its status",
		 behind->id, behind->ns, behind->name);
	return -EAGAIN;
}

/*
 * Says how many could not be put in force and should be tried again. Those with gates come first
 * in a plan.
 */
static size_t apply_all(struct ex_node *node, struct ex_plan *plan)
{
	const struct ex_node_endpoint *behind = NULL;
	size_t bad = 0;

	ex_events_drain(node); /* they bear rules that are about to go */
	for (size_t i = 0; i < plan->n; i++) {
		struct ex_prepared *p = &plan->v[i];
		struct ex_node_endpoint *e = p->e;
		bool fresh = !e->gates, turn_away = fresh && !e->recovered;
		char err[EX_NODE_ERR] = "";
		int r = 0;

		if (p->failed && turn_away)
			snprintf(err, sizeof(err), "%s", p->why);
		else if (behind && turn_away)
			r = refuse_unknown(behind, err);
		else if (p->compiled)
			r = apply_one(node, p, err);
		if (turn_away && (r < 0 || p->failed)) {
			tell_amiss(node, e, r < 0 ? r : -EINVAL, err);
			ex_round_drop(node, e, false, "it could not be gated");
			ex_round_want(node, false); /* nor is it a peer of those who are */
		} else if (r < 0) {
			apply_failed(node, p, fresh, r, err);
			behind = fresh ? behind : e;
			bad++;
		} else if (p->failed && p->compiled) {
			snprintf(err, sizeof(err), "nothing passes: %.180s", p->why);
			tell_amiss(node, e, -EINVAL, err);
		} else if (p->failed) {
			fail_pending(node, e->id, -EINVAL, e->why);
		} else {
			e->revision = node->revision;
		}
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
 * At a start the files may be broken. What was in force before they were is, again: it was valid,
 * and whom it does not compile for any more is closed alone.
 */
static int take_kept(struct ex_node *node, struct ex_plan *ret)
{
	struct ex_policy_files *files = NULL;
	struct ex_diags diags = { 0 };
	int r = ex_kept_read(node->config.state_dir, kept_from(node), &files);

	node->files = files;
	if (r == 0)
		r = ex_plan_make(node, files, &diags, ret);
	ex_diags_done(&diags);
	if (r < 0) {
		node->files = NULL;
		if (r != -ENOENT)
			ex_error("the last valid policies, kept in %s, cannot be used: %s",
				 node->config.state_dir,
				 r == -ESTALE ? "they are from other directories" : strerror(-r));
		ex_policy_files_free(files);
		return r == -ENOENT || r == -ESTALE || r == -EBADMSG || r == -EINVAL ? -ENODATA : r;
	}
	node->kept = true;
	node->revision++;
	ex_warning("policies: revision %llu, the last valid set of the agent before, %zu files",
		   (unsigned long long)node->revision, files->files.n);
	return 0;
}

/*
 * New files are tried with all endpoints; when that fails, the files in force are compiled instead,
 * for there may be new endpoints as well.
 */
static int prepare(struct ex_node *node, struct ex_plan *ret)
{
	struct ex_policy_files *fresh = node->read_files ? read_new_files(node) : NULL;
	struct ex_diags diags = { 0 };
	int r;

	if (fresh) {
		r = ex_plan_make(node, fresh, &diags, ret);
		if (r == 0)
			accept_files(node, fresh);
		else
			reject(node, strerror(-r), &diags, r != -EINVAL);
		ex_diags_done(&diags);
		if (r == 0) {
			keep_files(node);
			return 0;
		}
		ex_policy_files_free(fresh);
	}
	if (node->not_kept)
		keep_files(node);
	if (!node->files)
		return take_kept(node, ret);
	r = ex_plan_make(node, node->files, &diags, ret);
	ex_diags_done(&diags);
	return r;
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

/* What did not come about for another cause than what the policies say is tried again. */
static void try_again(struct ex_node *node, size_t bad, int r)
{
	bool passing = r < 0 && r != -EINVAL && r != -ENODATA;

	if ((bad || passing || node->read_files) &&
	    ex_timer_start(node->loop, &node->again, AGAIN_MS) < 0)
		ex_error("no memory to try again");
}

/* Taking rulesets out costs as much as putting them in, and nobody waits for that. */
static void on_tidy(struct ex_timer *t)
{
	struct ex_node *node = ex_container_of(t, struct ex_node, tidy);

	node->tidying = ex_gate_tidy(node->gate) && ex_timer_start(node->loop, t, 1) == 0;
}

static void tidy_later(struct ex_node *node)
{
	if (!node->tidying)
		node->tidying = ex_timer_start(node->loop, &node->tidy, TIDY_MS) == 0;
}

static int run_round(struct ex_node *node)
{
	uint64_t began = now_us();
	struct ex_plan plan;
	size_t bad = 0;
	int r = prepare(node, &plan);

	if (r == 0) {
		bad = apply_all(node, &plan);
		node->work.compiled += plan.n_compiled;
		node->work.led += plan.n_moves;
		ex_compile_base_done(&node->base);
		node->base = plan.base;
		plan.base = (struct ex_compile_base){ 0 };
		ex_plan_done(&plan);
		node->recompile = false;
		tidy_later(node);
	} else {
		give_up(node, r);
	}
	node->work.rounds++;
	node->round_us = now_us() - began;
	answer_pending(node);
	try_again(node, bad, r);
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
	node->tidy.fn = on_tidy;
	node->late.fn = on_late;
}

void ex_round_done(struct ex_node *node)
{
	ex_timer_stop(node->loop, &node->again);
	ex_timer_stop(node->loop, &node->tidy);
	ex_timer_stop(node->loop, &node->late);
	for (struct ex_node_pending *p = node->pending; p; p = p->next)
		p->err = -ECANCELED;
	answer(node, &node->pending);
	answer(node, &node->settling);
	for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		ex_plan_forget(e);
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
	ex_plan_forget(e);
	ex_gates_close(node, e, true);
	ex_registry_remove(&node->registry, e);
	ex_node_endpoint_free(e);
}
