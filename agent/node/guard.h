/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent before this one attached goes on with its maps when these were not adopted: nobody
 * could revoke what it lets pass. Where no ruleset of ours is in force it is replaced by programs
 * that let nothing pass, on endpoints and on interfaces that no endpoint is known of any more.
 */
#ifndef EXEAT_AGENT_NODE_GUARD_H
#define EXEAT_AGENT_NODE_GUARD_H

#include "agent/node/node.h"

/* False: some may still have what they had; it is told where, and to be tried again. */
bool ex_guard_all(struct ex_node *node);

/* Takes the gates off all interfaces, also of endpoints that were removed. */
EX_MUST_CHECK int ex_guard_lift(void);

/* Puts tables of nftables back that somebody takes away, where the gate relies on them. */
EX_MUST_CHECK int ex_guard_watch(struct ex_node *node);

#endif
