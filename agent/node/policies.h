/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policies a round goes by. Files that are not valid change nothing: those in force stay, and
 * at a start those that were, which are kept for that.
 */
#ifndef EXEAT_AGENT_NODE_POLICIES_H
#define EXEAT_AGENT_NODE_POLICIES_H

#include "agent/node/plan.h"

/*
 * New files are tried with all endpoints; when that fails, the files in force are compiled instead,
 * for there may be new endpoints as well. 0, or negative errno: there is nothing to put in force
 * (-ENODATA: no valid policies), or it could not be compiled.
 */
EX_MUST_CHECK int ex_policies_plan(struct ex_node *node, struct ex_plan *ret);

#endif
