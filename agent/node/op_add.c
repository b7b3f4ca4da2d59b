/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.add: a workload gets its gates. The answer comes when both stand. */
#include <errno.h>
#include <stdio.h>

#include "agent/core/ether.h"
#include "agent/core/netns.h"
#include "agent/node/ops.h"
#include "agent/node/resolvers.h"
#include "agent/node/round.h"
#include "agent/node/wiring.h"

/* ---- where it is ---- */

/* Opens the namespace that "netns" or "pid" names; -1 with 0 when neither does. */
static int open_netns(struct ex_node_endpoint *e, const struct ex_jv *rq, int *ret,
		      char err[static EX_NODE_ERR])
{
	const char *path = ex_jv_string(rq, "netns");
	char by_pid[64];
	int64_t pid;
	int r;

	*ret = -1;
	if (ex_jv_get(rq, "pid")) {
		if (path || !ex_jv_integer(rq, "pid", 1, INT32_MAX, &pid))
			return ex_node_fail(err, -EINVAL,
					    "write either netns or pid, a positive number");
		snprintf(by_pid, sizeof(by_pid), "/proc/%d/ns/net", (int)pid);
		path = by_pid;
	}
	if (!path)
		return 0;
	r = ex_netns_at(path);
	if (r < 0)
		return ex_node_fail(
			err, r, "%.120s: %s", path,
			r == -EADDRINUSE ? "that is the agent's own network namespace"
			: r == -EINVAL
				? "neither /proc/PID/ns/net nor where a network namespace is mounted"
				: strerror(-r));
	*ret = r;
	return ex_node_endpoint_keep(e, path, &e->netns);
}

/*
 * A path and a process id may mean another pod by now: who has seen the right one says which it
 * was. Numbers of namespaces are given again, too; that of an interface is not.
 */
static int check_same(const struct ex_node_endpoint *e, const struct ex_jv *rq, int netns,
		      char err[static EX_NODE_ERR])
{
	const struct ex_jv *said = ex_jv_get(rq, "netns_id");
	struct ex_netns_id id = { 0 };
	int64_t dev, ino, ifindex;
	int r = netns < 0 ? 0 : ex_netns_identify(netns, &id);

	if (!said || r < 0)
		return r;
	if (!ex_jv_integer(said, "dev", 0, INT64_MAX, &dev) ||
	    !ex_jv_integer(said, "ino", 0, INT64_MAX, &ino) ||
	    !ex_jv_integer(said, "host_ifindex", 1, INT32_MAX, &ifindex))
		return ex_node_fail(err, -EINVAL, "netns_id: write its dev, ino and host_ifindex");
	if (ex_netns_same(id, (struct ex_netns_id){ (uint64_t)dev, (uint64_t)ino }) &&
	    e->link.ifindex == (uint32_t)ifindex)
		return 0;
	return ex_node_fail(err, -ESTALE, "%.120s: another namespace by now", e->netns);
}

/* Addresses that the caller knows replace those that the namespace shows. */
static int read_ips(const struct ex_jv *rq, struct ex_node_link *l, char err[static EX_NODE_ERR])
{
	const struct ex_jv *list = ex_jv_get(rq, "ips");
	struct ex_ip ip;

	if (!list)
		return 0;
	l->ip4 = l->ip6 = l->ll6 = (struct ex_ip){ 0 };
	memset(l->more, 0, sizeof(l->more));
	for (size_t i = 0; i < ex_jv_count(list); i++) {
		const char *text = ex_jv_text(ex_jv_at(list, i));

		if (!text || !ex_ip_parse(text, &ip) || !ex_node_link_add_ip(l, &ip))
			return ex_node_fail(
				err, -EINVAL,
				"ips: write a list of at most %d addresses a workload can have",
				EX_EP_MORE + 2);
	}
	return 0;
}

static int read_mac(const struct ex_jv *rq, struct ex_node_link *l, char err[static EX_NODE_ERR])
{
	static const uint8_t none[6];
	const char *mac = ex_jv_string(rq, "mac");

	if (mac && !ex_ether_parse(mac, l->mac))
		return ex_node_fail(err, -EINVAL, "mac: write it as 02:00:00:00:00:01");
	if (memcmp(l->mac, none, 6) == 0 || (l->mac[0] & 1))
		return ex_node_fail(err, -EINVAL,
				    "mac is needed when only the host's interface is known");
	if (ex_ip_is_none(&l->ip4) && ex_ip_is_none(&l->ip6))
		return ex_node_fail(
			err, -EINVAL,
			"the workload has no address yet: give it one first, or name it with ips");
	return 0;
}

static int find_link(struct ex_node_endpoint *e, const struct ex_jv *rq,
		     char err[static EX_NODE_ERR])
{
	EX_AUTO_CLOSE int netns = -1;
	struct ex_where where = { .interface = ex_jv_string(rq, "interface") };
	int r = open_netns(e, rq, &netns, err);

	if (r == 0 && netns < 0 && !where.interface)
		r = ex_node_fail(err, -EINVAL, "write netns, pid or interface");
	if (r == 0 && where.interface)
		r = ex_node_endpoint_keep(e, where.interface, &e->interface);
	where.netns = netns;
	if (r == 0)
		r = ex_wiring_find(&where, &e->link, err);
	if (r == 0)
		r = check_same(e, rq, netns, err);
	if (r == 0)
		r = read_ips(rq, &e->link, err);
	if (r == 0)
		r = ex_wiring_check_ips(&e->link, err);
	return r < 0 ? r : read_mac(rq, &e->link, err);
}

/* ---- the call ---- */

static void answer(struct ex_node *node, struct ex_node_pending *p)
{
	const struct ex_node_endpoint *e = ex_registry_by_id(&node->registry, p->endpoint);
	struct ex_json *j;

	if (p->err < 0 || !e) {
		ex_call_error(p->call, "failed", "%s", p->err < 0 ? p->why : "it is gone again");
		return;
	}
	j = ex_call_result(p->call);
	ex_json_number(j, "id", e->id);
	ex_json_text(j, "state", ex_node_state_word(e->state));
	ex_json_number(j, "revision", e->revision);
	ex_call_ok(p->call);
}

static void set_defaults(const struct ex_node *node, const struct ex_jv *rq,
			 struct ex_node_endpoint *e)
{
	(void)ex_node_resolvers_give(node, e);
	if (ex_jv_get(rq, "serve"))
		return;
	memcpy(e->serve, node->config.serve, sizeof(node->config.serve));
	e->n_serve = node->config.n_serve;
}

static int make(struct ex_node *node, const struct ex_jv *rq, struct ex_node_endpoint *e,
		char err[static EX_NODE_ERR])
{
	int r = ex_node_endpoint_read(e, rq, err);

	if (r < 0)
		return r;
	set_defaults(node, rq, e);
	r = find_link(e, rq, err);
	if (r == 0)
		r = ex_registry_check(&node->registry, e, err);
	if (r < 0)
		return r;
	r = ex_registry_number(&node->registry, e);
	return r < 0 ? ex_node_fail(err, r, "cannot write the state directory: %s", strerror(-r))
		     : 0;
}

void ex_op_endpoint_add(void *arg, struct ex_call *call)
{
	struct ex_node *node = arg;
	struct ex_node_pending *p;
	struct ex_node_endpoint *e;
	char err[EX_NODE_ERR] = "no memory";
	int r = -ENOMEM;

	if (!ex_op_keys(call, "name namespace labels netns netns_id pid interface ips mac "
			      "container_id serve dns"))
		return;
	e = ex_node_endpoint_new();
	p = calloc(1, sizeof(*p));
	if (e && p)
		r = make(node, ex_call_request(call), e, err);
	if (r < 0) {
		ex_call_error(call,
			      r == -EEXIST   ? "exists"
			      : r == -EINVAL ? "invalid"
					     : "failed",
			      "%s", err);
		ex_node_endpoint_free(e);
		free(p);
		return;
	}
	ex_registry_insert(&node->registry, e);
	*p = (struct ex_node_pending){ .call = call, .fn = answer, .endpoint = e->id };
	ex_round_want_for(node, p, false);
}
