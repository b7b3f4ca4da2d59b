/* SPDX-License-Identifier: Apache-2.0 */
/* A plan put in force, one endpoint after the other, and what becomes of those for whom it fails.
 */
#include <errno.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/node/events.h"
#include "agent/node/gates.h"
#include "agent/node/learn.h"
#include "agent/node/plan.h"
#include "agent/node/room.h"
#include "agent/node/round.h"

#define BEHIND_MS 10000 /* for so long what was in force before passes for what should be */

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

bool ex_plan_apply(struct ex_node *node, struct ex_plan *plan)
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
	return ex_registry_save_rest(&node->registry) == 0 && !behind;
}
