/* SPDX-License-Identifier: Apache-2.0 */
/* What gates.c and gates_handover.c share. */
#ifndef EXEAT_AGENT_NODE_GATES_PRIV_H
#define EXEAT_AGENT_NODE_GATES_PRIV_H

#include "agent/keeper/keeper.h"
#include "agent/node/gates.h"
#include "agent/node/node.h"
#include "agent/node/records.h"
#include "agent/node/wiring.h"

struct node_gates {
	struct ex_node *node;
	struct ex_node_endpoint *endpoint;
	struct ex_wire wire;
	struct ex_compiled *compiled; /* in force; a reference */
	/* those of compiled, or of what is about to take its place: the keeper publishes them */
	const struct ex_tables *ingress;
	struct ex_keeper *keeper;
	bool attached;
	uint64_t since; /* ms; what was judged until then bears rules of an agent before this one */
	bool lost;      /* the proxy is gone, and was not back yet */
};

void gates_fill_endpoint(const struct node_gates *g, struct ex_endpoint *ep);
void gates_keeper_config(struct node_gates *g, struct ex_keeper_config *ret);

/* Takes wire and keeper from the program before; false: there are none. */
bool gates_adopt(struct node_gates *g);
/* Ends them, for an endpoint that went meanwhile: what its proxies wrote is told. */
void gates_end_handed(struct ex_node *node, struct ex_node_endpoint *e);

#endif
