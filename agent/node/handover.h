/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent starts anew in place: the same process, the program as it is on disk now (after an
 * upgrade, another one). Its children, the proxies, stay, and so do gateway namespaces and the
 * control socket; the kernel gate goes on anyway. What the new program has to know comes in a
 * sealed memory file. A program of another version takes no proxies over, but starts new ones.
 */
#ifndef EXEAT_AGENT_NODE_HANDOVER_H
#define EXEAT_AGENT_NODE_HANDOVER_H

#include "agent/core/pack.h"
#include "agent/node/node.h"

/* Wants it: soon, when no proxy is between two policies. */
void ex_handover_want(struct ex_node *node);
void ex_handover_init(struct ex_node *node);

/* In the new program: is there something to take? Before anything else is opened. */
void ex_handover_open(struct ex_node *node);
/* The control socket that was listened at; 0 = none. */
int ex_handover_control(struct ex_node *node);
/* What the gates of this endpoint had; taken once. */
bool ex_handover_take(struct ex_node *node, uint32_t endpoint, struct ex_unpack *ret);
/* Whatever was not taken is ended. */
void ex_handover_done(struct ex_node *node);

#endif
