/* SPDX-License-Identifier: Apache-2.0 */
/* Other endpoints around one that has its gates. */
#include <errno.h>

#include "agent/node/gates_priv.h"

static int move(struct node_gates *g, const struct ex_move *m)
{
	if (g->keeper)
		return ex_keeper_move(g->keeper, m->to->rs, m->to->bundle, &m->egress, &m->ingress);
	return ex_gate_update(g->node->gate, g->endpoint->link.ifindex, &m->egress, &m->ingress);
}

int ex_gates_move(struct ex_node_endpoint *e, const struct ex_move *m)
{
	struct node_gates *g = e->gates;
	int r;

	if (!g || !g->attached || g->compiled != m->from)
		return -ESTALE;
	g->ingress = &m->to->ingress; /* the keeper may publish all of it instead */
	r = move(g, m);
	if (r == 0)
		gates_keep(g, m->to);
	g->ingress = &g->compiled->ingress;
	return r;
}
