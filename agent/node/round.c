/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "agent/core/log.h"
#include "agent/node/compile.h"
#include "agent/node/gates.h"
#include "agent/node/round.h"
#include "policy/ruleset.h"

#define AGAIN_MS 1000 /* after a round in which something could not be put in force */

/* What was compiled for an endpoint in this round. */
struct prepared {
	struct ex_node_endpoint *e;
	struct ex_compiled c;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- compiling aside ---- */

static void prepared_done(struct prepared *v, size_t n)
{
	for (size_t i = 0; v && i < n; i++)
		ex_compiled_done(&v[i].c);
	free(v);
}

/* Those that were there before come first: see round.h. */
static size_t list_endpoints(const struct ex_node *node, struct prepared *v)
{
	size_t n = 0;

	for (int fresh = 0; fresh < 2; fresh++)
		for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
			if ((e->gates == NULL) == fresh)
				v[n++] = (struct prepared){ .e = e, .c.bundle = -1 };
	return n;
}

static int compile_all(struct ex_node *node, const struct ex_policy_files *files,
		       struct prepared **ret, size_t *ret_n, struct ex_diags *diags)
{
	struct prepared *v = calloc(node->registry.n + 1, sizeof(*v));
	struct ex_compile_base base;
	size_t n;
	int r = v ? ex_compile_base_init(&base, &node->config, files, &node->registry) : -ENOMEM;

	if (r < 0) {
		free(v);
		return r;
	}
	n = list_endpoints(node, v);
	r = ex_node_check(&base, diags);
	for (size_t i = 0; i < n && r == 0; i++) {
		ex_diags_done(diags);
		r = ex_node_compile(&base, v[i].e, &v[i].c, diags);
	}
	ex_compile_base_done(&base);
	if (r < 0) {
		prepared_done(v, n);
		return r;
	}
	*ret = v;
	*ret_n = n;
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
	if (ex_policy_files_read(node->config.policy_dirs, node->config.n_policy_dirs, &files,
				 err) < 0) {
		reject(node, err, NULL);
		return NULL;
	}
	if (node->files && files->digest == node->files->digest) {
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
		files->texts.n);
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

/* The state file is there before the gate opens: an agent that dies in between finds it. */
static int apply_one(struct ex_node *node, struct prepared *p, char err[static EX_NODE_ERR])
{
	struct ex_node_endpoint *e = p->e;
	bool write = !e->gates || (p->c.selected && !e->confined);
	int r = 0;

	e->confined |= p->c.selected;
	if (write)
		r = ex_registry_save(&node->registry, e);
	if (r < 0) {
		snprintf(err, EX_NODE_ERR, "cannot write its state: %s", strerror(-r));
		return r;
	}
	r = ex_gates_apply(node, e, &p->c, err);
	if (r == 0)
		e->revision = node->revision;
	return r;
}

/* Says how many could not be put in force and should be tried again. */
static size_t apply_all(struct ex_node *node, struct prepared *v, size_t n)
{
	char err[EX_NODE_ERR];
	size_t bad = 0;

	for (size_t i = 0; i < n; i++) {
		struct ex_node_endpoint *e = v[i].e;
		bool fresh = !e->gates;
		int r = apply_one(node, &v[i], err);

		if (r == 0)
			continue;
		ex_error("endpoint %u (%s/%s): %s", e->id, e->ns, e->name, err);
		fail_pending(node, e->id, r, err);
		if (fresh && !e->recovered) {
			ex_round_drop(node, e, "it could not be gated");
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

static void answer_pending(struct ex_node *node)
{
	struct ex_node_pending *p, *list = node->pending;

	node->pending = NULL;
	while ((p = list)) {
		list = p->next;
		p->fn(node, p);
		free(p);
	}
}

/*
 * New files are tried with all endpoints; when that fails, the files in force are compiled instead,
 * for there may be new endpoints as well.
 */
static int prepare(struct ex_node *node, struct prepared **ret, size_t *ret_n)
{
	struct ex_policy_files *fresh = node->read_files ? read_new_files(node) : NULL;
	struct ex_diags diags = { 0 };
	int r;

	if (fresh) {
		r = compile_all(node, fresh, ret, ret_n, &diags);
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
	r = compile_all(node, node->files, ret, ret_n, &diags);
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
			ex_round_drop(node, e, why);
		else if (!e->gates)
			snprintf(e->why, sizeof(e->why), "%s", why);
	}
}

static int run_round(struct ex_node *node)
{
	uint64_t began = now_us();
	struct prepared *v;
	size_t n, bad = 0;
	int r = prepare(node, &v, &n);

	if (r == 0) {
		bad = apply_all(node, v, n);
		prepared_done(v, n);
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
	node->again.fn = on_again;
}

void ex_round_done(struct ex_node *node)
{
	ex_timer_stop(node->loop, &node->again);
	for (struct ex_node_pending *p = node->pending; p; p = p->next)
		p->err = -ECANCELED;
	answer_pending(node);
}

void ex_round_want(struct ex_node *node, bool files)
{
	node->read_files |= files;
	ex_defer(node->loop, &node->round);
}

void ex_round_want_for(struct ex_node *node, struct ex_node_pending *p, bool files)
{
	struct ex_node_pending **at = &node->pending;

	while (*at)
		at = &(*at)->next;
	p->next = NULL;
	*at = p;
	ex_round_want(node, files);
}

int ex_round_first(struct ex_node *node)
{
	node->read_files = true;
	return run_round(node);
}

void ex_round_drop(struct ex_node *node, struct ex_node_endpoint *e, const char *why)
{
	ex_info("endpoint %u (%s/%s) is gone: %s", e->id, e->ns, e->name, why);
	ex_gates_close(node, e, true);
	ex_registry_remove(&node->registry, e);
	ex_node_endpoint_free(e);
}
