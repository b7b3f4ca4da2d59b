/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/epoll.h>

#include "agent/core/log.h"
#include "agent/core/rtnl.h"
#include "agent/node/gates.h"
#include "agent/node/guard.h"

#define AGAIN_MS 1000

struct guarding {
	struct ex_node *node;
	bool failed;
};

static void note(struct guarding *to, const char *where, int r)
{
	if (r == 0)
		return;
	to->failed = true;
	ex_error("%s: cannot attach the kernel gate: %s", where, ex_gate_strerror(r));
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

static void lift(void *arg, const struct ex_iface *link)
{
	int r = ex_gate_detach_found(link->ifindex);

	(void)arg;
	if (r < 0)
		ex_error("%s: cannot detach the kernel gate: %s", link->name, strerror(-r));
}

int ex_guard_lift(void)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();

	return rtnl < 0 ? rtnl : ex_rtnl_links_each(rtnl, lift, NULL);
}

/* ---- tables ---- */

static void put_back(struct ex_node *node)
{
	if (ex_gate_stamp_again(node->gate) < 0 &&
	    ex_timer_start(node->loop, &node->tables_again, AGAIN_MS) < 0)
		ex_error("it is not tried again");
}

static void on_tables(struct ex_watch *w, uint32_t events)
{
	(void)events;
	put_back(ex_container_of(w, struct ex_node, tables));
}

static void on_tables_again(struct ex_timer *t)
{
	put_back(ex_container_of(t, struct ex_node, tables_again));
}

int ex_guard_watch(struct ex_node *node)
{
	int fd = ex_gate_stamp_fd(node->gate);

	node->tables = (struct ex_watch){ .fd = -1, .fn = on_tables };
	node->tables_again.fn = on_tables_again;
	return fd < 0 ? 0 : ex_watch_start(node->loop, &node->tables, fd, EPOLLIN);
}
