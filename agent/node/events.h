/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to the agent: events of the kernel gate, links that go, signals. */
#ifndef EXEAT_AGENT_NODE_EVENTS_H
#define EXEAT_AGENT_NODE_EVENTS_H

#include "agent/node/node.h"

/* First of all: signals that ask for something wait until they are taken, and do not end us. */
void ex_events_hold_signals(void);

void ex_events_init(struct ex_node *node);
/* Blocks the signals it takes from now on. 0 or negative errno. */
EX_MUST_CHECK int ex_events_watch(struct ex_node *node);

/* Takes what the kernel gate has told so far. */
void ex_events_drain(struct ex_node *node);

/* From now on as soon as they come: who opened a flow is asked for while it waits. */
void ex_events_hurry(struct ex_node *node, bool hurry);

/* Takes endpoints away whose interface is not there any more. */
void ex_events_collect(struct ex_node *node);

#endif
