/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_NODE_START_H
#define EXEAT_AGENT_NODE_START_H

#include "agent/node/node.h"

/* 0, or negative errno with the cause logged; what was made is for the caller to free. */
EX_MUST_CHECK int ex_agent_start(struct ex_node *node);

/* Its first steps, which the clean-up takes too. */
EX_MUST_CHECK int ex_agent_harden(void);
EX_MUST_CHECK int ex_agent_take_state(struct ex_node *node); /* this process' alone */

#endif
