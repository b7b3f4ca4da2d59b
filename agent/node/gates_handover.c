/* SPDX-License-Identifier: Apache-2.0 */
/* Gates that go on in another program: see handover.h. */
#include <errno.h>
#include <fcntl.h>

#include "agent/audit/limit.h"
#include "agent/core/log.h"
#include "agent/core/rtnl.h"
#include "agent/node/gates_priv.h"
#include "agent/node/handover.h"

void ex_gates_hand_over(const struct ex_node_endpoint *e, struct ex_pack *p)
{
	struct node_gates *g = e->gates;

	if (!g || !g->attached)
		return;
	ex_audit_limit_flush(ex_node_records_limit(g->endpoint));
	if (fcntl(g->wire.netns, F_SETFD, 0) < 0)
		p->err = -errno;
	ex_pack_u32(p, (uint32_t)g->wire.netns);
	ex_pack_u32(p, g->wire.gateway);
	ex_pack_bytes(p, g->wire.mac, sizeof(g->wire.mac));
	ex_pack_u32(p, g->keeper != NULL);
	if (g->keeper)
		ex_keeper_hand_over(g->keeper, p);
}

static int unpack_wire(struct ex_unpack *u, struct ex_wire *w)
{
	w->netns = (int)ex_unpack_u32(u);
	w->gateway = ex_unpack_u32(u);
	ex_unpack_bytes(u, w->mac, sizeof(w->mac));
	if (u->bad || fcntl(w->netns, F_SETFD, FD_CLOEXEC) < 0) {
		*w = (struct ex_wire){ .netns = -1 };
		return -EBADMSG;
	}
	return 0;
}

static bool gateway_is_there(uint32_t ifindex)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	struct ex_iface link;

	return rtnl >= 0 && ex_rtnl_link_get(rtnl, ifindex, NULL, &link) == 0;
}

static int adopt_keeper(struct node_gates *g, struct ex_unpack *u)
{
	struct ex_keeper_config config;
	struct ex_endpoint ep;
	int r;

	gates_keeper_config(g, &config);
	r = ex_keeper_adopt(&config, u, &g->keeper);
	if (r < 0)
		return r;
	gates_fill_endpoint(g, &ep);
	r = ex_keeper_publish(g->keeper, g->node->gate, g->endpoint->link.ifindex, &ep);
	if (r < 0) {
		ex_keeper_stop(g->keeper);
		ex_keeper_free(g->keeper);
		g->keeper = NULL;
	}
	return r;
}

static void end_keeper(struct node_gates *g, struct ex_unpack *u)
{
	struct ex_keeper_config config;

	gates_keeper_config(g, &config);
	ex_keeper_end_handed(&config, u);
}

bool gates_adopt(struct node_gates *g)
{
	struct ex_unpack u;
	bool kept;
	int r;

	if (!ex_handover_take(g->node, g->endpoint->id, &u))
		return false;
	r = unpack_wire(&u, &g->wire);
	if (r == 0 && !gateway_is_there(g->wire.gateway))
		r = -ENODEV;
	kept = ex_unpack_u32(&u);
	if (kept && r == 0)
		r = adopt_keeper(g, &u);
	else if (kept)
		end_keeper(g, &u);
	if (r == 0)
		return true;
	ex_warning("endpoint %u: its gateway is made anew: %s", g->endpoint->id, strerror(-r));
	ex_wiring_undo(&g->wire);
	return false;
}

void gates_end_handed(struct ex_node *node, struct ex_node_endpoint *e)
{
	struct node_gates g = { .node = node, .endpoint = e, .wire.netns = -1 };
	struct ex_unpack u;

	if (!node->handover || ex_node_records_name(node, e) < 0 ||
	    !ex_handover_take(node, e->id, &u))
		return;
	if (unpack_wire(&u, &g.wire) == 0 && ex_unpack_u32(&u))
		end_keeper(&g, &u);
	ex_wiring_undo(&g.wire);
}

void ex_gates_abandon(struct ex_unpack *u)
{
	struct ex_wire wire;

	if (unpack_wire(u, &wire) < 0)
		return;
	if (ex_unpack_u32(u))
		ex_keeper_abandon(u);
	ex_wiring_undo(&wire);
}
