/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "agent/core/log.h"
#include "agent/node/events.h"
#include "agent/node/gates.h"
#include "agent/node/guard.h"
#include "agent/node/learn.h"
#include "agent/node/policies.h"
#include "agent/node/room.h"
#include "agent/node/round.h"

#define TIDY_MS   100   /* after a round: the proxies come first */
#define AGAIN_MS  1000  /* after a round in which something could not be put in force */
#define BEHIND_MS 10000 /* for so long what was in force before passes for what should be */
#define RETRY_MS  10000 /* for whom nothing passes */
#define SETTLE_MS 20000 /* a proxy that follows no sooner was killed by its keeper */

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
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
	int r;

	if (p->move && ex_gates_move(p->e, p->move) == 0) {
		node->work.moved++;
		return 0;
	}
	node->work.published++;
	r = ex_gates_apply(node, p->e, p->compiled, err);
	if (r == 0)
		ex_room_check(node, p->e, p->compiled->rs);
	return r;
}

static bool is_overdue(const struct ex_node *node, const struct ex_node_endpoint *e)
{
	return e->behind && ex_loop_now(node->loop) - e->behind >= BEHIND_MS;
}

/* What came of it, told when it is not denied. */
static int tell_open(const struct ex_node_endpoint *e, int r)
{
	if (r < 0)
		ex_error("endpoint %u: cannot be denied: %s", e->id, strerror(-r));
	return r;
}

/*
 * Where what was in force had its time, it makes room: there may be enough for one ruleset of it,
 * but not for two at once.
 */
static void give_way(struct ex_node *node, const struct ex_node_endpoint *e)
{
	if (is_overdue(node, e))
		(void)tell_open(e, ex_gate_deny(node->gate, e->link.ifindex));
}

/*
 * The state file is there before the gate opens: an agent that dies in between finds it. What else
 * is to be written (that it is confined) may be later: what confines it does not wait for that.
 */
static int save_state(struct ex_node *node, struct ex_node_endpoint *e, bool confine,
		      char err[static EX_NODE_ERR])
{
	int r = !e->gates || confine ? ex_registry_save(&node->registry, e) : 0;

	if (r == 0)
		return 0;
	(void)ex_node_fail(err, r, "cannot write its state: %s", strerror(-r));
	if (!e->gates && !e->recovered)
		return r;
	ex_error("endpoint %u (%s/%s): %s", e->id, e->ns, e->name, err);
	e->unsaved = true;
	return 0;
}

/* False: some are still not written. */
static bool save_rest(struct ex_node *node)
{
	bool all = true;

	for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next) {
		if (e->unsaved)
			e->unsaved = ex_registry_save(&node->registry, e) < 0;
		all &= !e->unsaved;
	}
	return all;
}

static int apply_one(struct ex_node *node, struct ex_prepared *p, char err[static EX_NODE_ERR])
{
	struct ex_node_endpoint *e = p->e;
	bool learning = p->selection.learning;
	bool confine = p->compiled->selected && !learning && !e->confined;
	int r;

	give_way(node, e);
	e->confined |= confine;
	r = save_state(node, e, confine, err);
	if (r < 0)
		return r;
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
 * It could not be put in force. What was stays for a while: it knows nothing of what was revoked
 * meanwhile, nor of who has come. Then nothing passes, as where nothing was to pass. False: some of
 * it may, and it is to be tried again soon.
 */
static bool apply_failed(struct ex_node *node, const struct ex_prepared *p, bool fresh, int err,
			 const char *why)
{
	struct ex_node_endpoint *e = p->e;
	bool shut = (p->failed || is_overdue(node, e)) && tell_open(e, ex_gates_shut(node, e)) == 0;
	char text[EX_NODE_ERR];

	snprintf(text, sizeof(text), "%s%.180s", shut ? "nothing passes: " : "", why);
	e->behind = e->behind ? e->behind : ex_loop_now(node->loop);
	ex_plan_forget(e);
	tell_amiss(node, e, err, text);
	if (fresh)
		ex_gates_close(node, e, false);
	return shut;
}

/* Who comes is let in when all others know of it; behind: one that could not be told. */
static int refuse_unknown(const struct ex_node_endpoint *behind, char err[static EX_NODE_ERR])
{
	return ex_node_fail(err, -EAGAIN,
			    "endpoint %u (%.60s/%.60s) cannot be told of it, see its status",
			    behind->id, behind->ns, behind->name);
}

static void apply_done(struct ex_node *node, const struct ex_prepared *p)
{
	struct ex_node_endpoint *e = p->e;
	char err[EX_NODE_ERR];

	e->behind = 0;
	if (p->failed && p->compiled) {
		snprintf(err, sizeof(err), "nothing passes: %.180s", p->why);
		tell_amiss(node, e, -EINVAL, err);
	} else if (p->failed) {
		fail_pending(node, e->id, -EINVAL, e->why);
	} else {
		e->revision = node->revision;
	}
}

/*
 * Says whether something could not be put in force and should be tried again soon. Those that were
 * there before come first in a plan.
 */
static bool apply_all(struct ex_node *node, struct ex_plan *plan)
{
	const struct ex_node_endpoint *behind = NULL;

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
		} else if (r == 0) {
			apply_done(node, p);
		} else if (apply_failed(node, p, fresh, r, err)) {
			plan->n_later++;
		} else {
			behind = e;
		}
	}
	return behind;
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

bool ex_round_is_over(const struct ex_node *node)
{
	return !node->pending && !node->settling && all_settled(node);
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

/* Nothing could be compiled: those who are new cannot be gated, and are not let in. */
static void give_up(struct ex_node *node, int err)
{
	struct ex_node_endpoint *e, *next;
	const char *why = node->files ? strerror(-err) : "there is no valid set of policies";

	if (node->files) /* else it was told why, and would be each second */
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
static void try_again(struct ex_node *node, bool behind, int r)
{
	bool passing = r < 0 && r != -EINVAL && r != -ENODATA;

	if ((behind || passing || node->read_files) &&
	    ex_timer_start(node->loop, &node->again, AGAIN_MS) < 0)
		ex_error("no memory to try again");
}

/* Taking rulesets out costs as much as putting them in, and nobody waits for that. */
static void on_tidy(struct ex_timer *t)
{
	struct ex_node *node = ex_container_of(t, struct ex_node, tidy);

	if (ex_gate_tidy(node->gate))
		(void)!ex_timer_start(node->loop, t, 1); /* else after the next round */
}

static void tidy_later(struct ex_node *node)
{
	if (!node->tidy.at)
		(void)!ex_timer_start(node->loop, &node->tidy, TIDY_MS);
}

static void on_retry(struct ex_timer *t)
{
	struct ex_node *node = ex_container_of(t, struct ex_node, retry);

	node->try_failed = true;
	ex_round_want(node, false);
}

/* n: that many endpoints were left as they failed. */
static void retry_later(struct ex_node *node, size_t n)
{
	node->try_failed = false;
	if (n && !node->retry.at)
		(void)!ex_timer_start(node->loop, &node->retry, RETRY_MS);
}

static int run_round(struct ex_node *node)
{
	uint64_t began = now_us();
	struct ex_plan plan;
	bool behind = false;
	int r = ex_policies_plan(node, &plan);

	if (r == 0) {
		behind = apply_all(node, &plan);
		behind |= !save_rest(node);
		node->work.compiled += plan.n_compiled;
		node->work.led += plan.n_moves;
		ex_compile_base_done(&node->base);
		node->base = plan.base;
		plan.base = (struct ex_compile_base){ 0 };
		node->recompile = false;
		tidy_later(node);
		retry_later(node, plan.n_later);
		ex_plan_done(&plan);
	} else {
		give_up(node, r);
	}
	node->guarded = node->guarded || ex_guard_all(node);
	behind |= !node->guarded;
	node->work.rounds++;
	node->round_us = now_us() - began;
	answer_pending(node);
	try_again(node, behind, r);
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
	node->retry.fn = on_retry;
	node->late.fn = on_late;
}

void ex_round_done(struct ex_node *node)
{
	ex_timer_stop(node->loop, &node->again);
	ex_timer_stop(node->loop, &node->tidy);
	ex_timer_stop(node->loop, &node->retry);
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

	ex_events_drain(node); /* its last ones are its own */
	if (r < 0)
		ex_error("endpoint %u: cannot detach the kernel gate: %s", e->id, strerror(-r));
	ex_info("endpoint %u (%s/%s) is gone: %s", e->id, e->ns, e->name, why);
	ex_plan_forget(e);
	ex_gates_close(node, e, true);
	ex_registry_remove(&node->registry, e);
	ex_node_endpoint_free(e);
}
