/* SPDX-License-Identifier: Apache-2.0 */
/* What a round is about to put in force, compiled aside: see round.h. */
#ifndef EXEAT_AGENT_NODE_PLAN_H
#define EXEAT_AGENT_NODE_PLAN_H

#include "agent/node/node.h"

/* What is in force for an endpoint, and why. */
struct node_in_force {
	struct ex_selection selection;
	struct ex_compiled *compiled;
	bool failed; /* its policies do not compile: compiled denies everything */
	bool stale;  /* ... and there have been other endpoints since that was tried */
	char why[EX_NODE_ERR];
};

/* The same, about to be. compiled NULL: it is already. */
struct ex_prepared {
	struct ex_node_endpoint *e;
	struct ex_selection selection;
	struct ex_compiled *compiled;
	const struct ex_move *move; /* the way from what is in force; NULL = all of it is written */
	bool failed;                /* see node_in_force; also when compiled is NULL */
	char why[EX_NODE_ERR];
};

struct ex_plan {
	struct ex_prepared *v; /* those that were there before come first: see round.h */
	size_t n;
	struct ex_compile_base base;
	struct ex_move *moves; /* of what is in force, one for those that share it */
	size_t n_moves;
	size_t n_compiled;
	size_t n_later;             /* left as they failed, for now: see node->try_failed */
	bool same_host, same_peers; /* as what is in force was compiled with */
};

/*
 * For every endpoint by these files. One that they do not compile for, by labels of its own choice
 * or by what is around it, is no reason to leave out the others: nothing passes for it.
 * diags: of files that are no policies. 0, -EINVAL with errors in diags, -ENOMEM.
 */
EX_MUST_CHECK int ex_plan_make(struct ex_node *node, struct ex_policy_files *files,
			       struct ex_diags *diags, struct ex_plan *ret);
void ex_plan_done(struct ex_plan *plan);

/*
 * Puts it in force (apply.c). False: for some endpoint it could not be, or not be written down, and
 * is to be tried again soon.
 */
EX_MUST_CHECK bool ex_plan_apply(struct ex_node *node, struct ex_plan *plan);

/* p is in force: its endpoint says so from now on. 0 or -ENOMEM. */
EX_MUST_CHECK int ex_plan_remember(struct ex_prepared *p);
/* Nothing is, as far as the next plan is concerned. */
void ex_plan_forget(struct ex_node_endpoint *e);

#endif
