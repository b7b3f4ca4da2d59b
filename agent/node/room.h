/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that have no room show when they are asked for: then they lead nowhere. Who publishes a
 * policy that has too many is told when it is put in force.
 */
#ifndef EXEAT_AGENT_NODE_ROOM_H
#define EXEAT_AGENT_NODE_ROOM_H

struct ex_node;
struct ex_node_endpoint;
struct ex_ruleset;

/* rs is in force for e: its warning says whether there is room for all names that rs spells out. */
void ex_room_check(const struct ex_node *node, struct ex_node_endpoint *e, struct ex_ruleset *rs);

#endif
