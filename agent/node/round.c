/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "agent/core/log.h"
#include "agent/node/events.h"
#include "agent/node/gates.h"
#include "agent/node/guard.h"
#include "agent/node/policies.h"
#include "agent/node/records.h"
#include "agent/node/round.h"

#define TIDY_MS   100   /* after a round: the proxies come first */
#define AGAIN_MS  1000  /* after a round in which something could not be put in force */
#define RETRY_MS  10000 /* for whom nothing passes */
#define SETTLE_MS 20000 /* a proxy that follows no sooner was killed by its keeper */

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

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
		behind = !ex_plan_apply(node, &plan);
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
	int r = open ? ex_gate_detach(node->gate, e->link.ifindex) : 0;

	ex_events_drain(node); /* its last ones are its own */
	if (r < 0)
		ex_error("endpoint %u: cannot detach the kernel gate: %s", e->id, strerror(-r));
	ex_info("endpoint %u (%s/%s) is gone: %s", e->id, e->ns, e->name, why);
	ex_plan_forget(e);
	ex_gates_close(node, e, true);
	ex_node_records_free(e);
	ex_registry_remove(&node->registry, e);
	ex_node_endpoint_free(e);
}
