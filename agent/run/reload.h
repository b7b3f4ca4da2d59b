/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat run --watch`: the policy files, read again when they change. */
#ifndef EXEAT_AGENT_RUN_RELOAD_H
#define EXEAT_AGENT_RUN_RELOAD_H

#include "agent/run/parent.h"

struct ex_reload;

/*
 * All borrowed. A policy that is valid is put in force and takes the place of *policy; one that is
 * not is told about, and the last valid one stays. Files that the command, being uid, could change:
 * -EACCES, cause logged.
 */
EX_MUST_CHECK int ex_reload_new(struct ex_parent *parent, const struct ex_run_options *options,
				uid_t uid, const struct ex_netns *ns, struct ex_run_policy *policy,
				struct ex_reload **ret);
void ex_reload_free(struct ex_reload *r); /* accepts NULL */

#endif
