/* SPDX-License-Identifier: Apache-2.0 */
/* The resolvers of the node, as its resolv.conf changes: agent/dns/resolvers.h. */
#ifndef EXEAT_AGENT_NODE_RESOLVERS_H
#define EXEAT_AGENT_NODE_RESOLVERS_H

#include "agent/node/node.h"

/* Reads the file. Others are told to every proxy, and the DNS gate answers in their place, too. */
void ex_node_resolvers_look(struct ex_node *node);

/* The DNS gate answers e in the place of each, unless it has its own. False: it did already. */
bool ex_node_resolvers_give(const struct ex_node *node, struct ex_node_endpoint *e);

/* "resolvers" of an answer; why names may not be found, or NULL. */
void ex_node_resolvers_write(const struct ex_node *node, struct ex_json *j);
const char *ex_node_resolvers_trouble(const struct ex_node *node);

#endif
