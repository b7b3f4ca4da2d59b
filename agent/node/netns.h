/* SPDX-License-Identifier: Apache-2.0 */
/* Into another network namespace and back. The agent has one thread: nothing else runs there. */
#ifndef EXEAT_AGENT_NODE_NETNS_H
#define EXEAT_AGENT_NODE_NETNS_H

#include "exeat/util.h"

/* A descriptor of the one we are in, or negative errno. */
EX_MUST_CHECK int ex_netns_own(void);
EX_MUST_CHECK int ex_netns_go(int netns);
/* Cannot fail: what would be opened from the wrong namespace would be another endpoint's. */
void ex_netns_back(int own);

#endif
