/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged parent of a run: one loop, on which the keeper of the proxy, the signals, the end
 * of the command and the events of the kernel gate are looked after.
 */
#ifndef EXEAT_AGENT_RUN_PARENT_H
#define EXEAT_AGENT_RUN_PARENT_H

#include "agent/audit/audit.h"
#include "agent/keeper/keeper.h"
#include "agent/run/child.h"
#include "agent/run/policy.h"
#include "policy/compile.h"

struct ex_parent;

EX_MUST_CHECK int ex_parent_new(struct ex_parent **ret);
void ex_parent_free(struct ex_parent *p);

/*
 * Makes the keeper, which starts the proxy; loop, ops and arg of config are set here. The keeper is
 * the parent's, and lives as long.
 */
EX_MUST_CHECK int ex_parent_keep(struct ex_parent *p, struct ex_keeper_config *config,
				 const struct ex_run_policy *policy);
struct ex_keeper *ex_parent_keeper(struct ex_parent *p);

/* Another policy, while the command runs. On error everything stays as it was. */
EX_MUST_CHECK int ex_parent_swap(struct ex_parent *p, const struct ex_run_policy *policy);

struct ex_loop *ex_parent_loop(struct ex_parent *p);

/* Lets root look on with `exeat observe`; without it nobody can, and the run goes on. */
void ex_parent_show(struct ex_parent *p, const struct ex_label *labels, size_t n_labels);

/* Both gates stand: from now on their records are written, and signals go to the command. */
EX_MUST_CHECK int ex_parent_watch(struct ex_parent *p, struct ex_gate *gate, struct ex_audit *audit,
				  const struct ex_child *child);

/* The log also tells which program opened a flow (agent/learn/owner.h). */
void ex_parent_name_programs(struct ex_parent *p);

/* Serves until the proxy says that it is ready: 0, or -EPIPE when it ended instead. */
EX_MUST_CHECK int ex_parent_wait_ready(struct ex_parent *p);

/* Serves until the command has ended; its exit status, or negative errno. */
int ex_parent_run(struct ex_parent *p);

#endif
