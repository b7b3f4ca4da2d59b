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

int ex_gates_move(struct ex_node *node, struct ex_node_endpoint *e, const struct ex_move *m)
{
	struct node_gates *g = e->gates;
	struct ex_tables before, ingress = { 0 };
	int r;

	(void)node;
	if (!g || !g->attached || g->rs != m->from->rs)
		return -ESTALE;
	r = ex_emit(ex_ruleset_ingress(m->to->rs), &ingress);
	if (r < 0)
		return r;
	before = g->ingress; /* the keeper may publish all of it instead */
	g->ingress = ingress;
	r = move(g, m);
	ex_tables_done(r < 0 ? &ingress : &before);
	if (r < 0) {
		g->ingress = before;
		return r;
	}
	ex_ruleset_unref(g->rs);
	g->rs = ex_ruleset_ref(m->to->rs);
	return 0;
}
