/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods that were started while the agent was away (onAgentDown: closed): the host end of their link
 * is down, and DIR/pending/CONTAINER+INTERFACE.json is what the agent has to be asked for them.
 */
#ifndef EXEAT_AGENT_CNI_PENDING_H
#define EXEAT_AGENT_CNI_PENDING_H

#include "exeat/util.h"

/* 0 or negative errno. */
EX_MUST_CHECK int ex_cni_pending_add(const char *state_dir, const char *container,
				     const char *ifname, struct ex_span request);
/* True when it was there. */
bool ex_cni_pending_remove(const char *state_dir, const char *container, const char *ifname);

/* Calls fn with the text of each; the file goes when fn returns 0. How many stay, or negative. */
EX_MUST_CHECK int
ex_cni_pending_each(const char *state_dir,
		    int (*fn)(void *arg, const char *name, struct ex_span request), void *arg);

#endif
