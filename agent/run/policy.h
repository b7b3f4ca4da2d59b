/* SPDX-License-Identifier: Apache-2.0 */
/* The policy of a run: its files read once, for both gates. */
#ifndef EXEAT_AGENT_RUN_POLICY_H
#define EXEAT_AGENT_RUN_POLICY_H

#include "agent/run/netns.h"
#include "agent/run/options.h"

struct ex_ruleset;

struct ex_run_policy {
	struct ex_ruleset *rs;
	int bundle; /* for the proxy; -1 = none */
};

/* Reads and compiles; says what is wrong, and unless quiet what is odd. 0 or negative errno. */
EX_MUST_CHECK int ex_run_policy_read(const struct ex_run_options *o, const struct ex_netns *ns,
				     struct ex_run_policy *ret);
void ex_run_policy_done(struct ex_run_policy *p);

#endif
