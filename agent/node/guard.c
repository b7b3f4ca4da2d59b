/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/log.h"
#include "agent/core/rtnl.h"
#include "agent/node/gates.h"
#include "agent/node/guard.h"

struct guarding {
	struct ex_node *node;
	bool failed;
};

static void note(struct guarding *to, const char *where, int r)
{
	if (r == 0)
		return;
	to->failed = true;
	ex_error("%s: cannot attach the kernel gate: %s", where, strerror(-r));
}

static void guard_stray(void *arg, const struct ex_iface *link)
{
	struct guarding *to = arg;

	if (!ex_registry_by_ifindex(&to->node->registry, link->ifindex))
		note(to, link->name, ex_gate_guard_again(to->node->gate, link->ifindex));
}

bool ex_guard_all(struct ex_node *node)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	struct guarding to = { .node = node };

	for (const struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		note(&to, e->name, ex_gates_guard(node, e));
	note(&to, "interfaces", rtnl < 0 ? rtnl : ex_rtnl_links_each(rtnl, guard_stray, &to));
	return !to.failed;
}
