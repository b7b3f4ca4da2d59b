/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `exeat observe --run PID` sees: the op "observe" on the abstract socket @exeat/run/PID of
 * the namespace exeat was started in, for root. It goes with the process, and no workload can name
 * it.
 */
#ifndef EXEAT_AGENT_RUN_SEEN_H
#define EXEAT_AGENT_RUN_SEEN_H

#include "agent/audit/audit.h"
#include "agent/core/loop.h"
#include "policy/compile.h"

struct ex_seen;

/* Labels of the command, for the events; borrowed during the call. */
EX_MUST_CHECK int ex_seen_new(struct ex_loop *loop, const struct ex_label *labels, size_t n_labels,
			      struct ex_seen **ret);
void ex_seen_free(struct ex_seen *s); /* accepts NULL; the loop does not run any more */

/* Both accept NULL: nobody can look. */
void ex_seen_record(struct ex_seen *s, const struct ex_ruleset *rs,
		    const struct ex_audit_record *rec);
void ex_seen_event(struct ex_seen *s, const struct ex_ruleset *rs, const struct ex_event *ev);

#endif
