/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "agent/audit/limit.h"
#include "agent/core/log.h"
#include "agent/node/gates_priv.h"
#include "agent/node/round.h"

/* Above every user and service id, beside those of `exeat run`. */
#define PROXY_UID_BASE 0x7d000000u

#define FINISH_MS 200 /* for the last records of a proxy; others are on this loop */

/* ---- what the keeper says ---- */

static void on_ready(void *arg)
{
	struct node_gates *g = arg;
	struct ex_node_endpoint *e = g->endpoint;

	if (!g->lost)
		return;
	g->lost = false;
	ex_info("endpoint %u (%s/%s): the proxy is back", e->id, e->ns, e->name);
	e->state = EX_NODE_ENFORCING;
	e->why[0] = '\0';
}

static void on_lost(void *arg, const char *why)
{
	struct node_gates *g = arg;
	struct ex_node_endpoint *e = g->endpoint;

	g->lost = true;
	ex_warning("endpoint %u (%s/%s): the proxy %s: what needs it is refused", e->id, e->ns,
		   e->name, why);
	e->state = EX_NODE_DEGRADED;
	snprintf(e->why, sizeof(e->why), "the proxy %s", why);
}

static void on_record(void *arg, const struct ex_ruleset *rs, const struct ex_audit_record *rec)
{
	struct node_gates *g = arg;

	ex_node_records_take(g->endpoint, rs, rec);
}

static void on_records(void *arg, bool begin)
{
	struct node_gates *g = arg;

	ex_node_records_hold(g->endpoint, begin);
}

static void on_swapped(void *arg, int err)
{
	struct node_gates *g = arg;

	if (err < 0)
		ex_warning("endpoint %u (%s/%s): a proxy did not follow the policy: %s",
			   g->endpoint->id, g->endpoint->ns, g->endpoint->name, strerror(-err));
	ex_round_settle(g->node);
}

static const struct ex_keeper_ops keeper_ops = {
	.ready = on_ready,
	.lost = on_lost,
	.record = on_record,
	.records = on_records,
	.swapped = on_swapped,
};

/* ---- pieces ---- */

void gates_fill_endpoint(const struct node_gates *g, struct ex_endpoint *ep)
{
	const struct ex_node_link *l = &g->endpoint->link;

	*ep = (struct ex_endpoint){ .flags = EX_EP_GATEWAY,
				    .ip4 = l->ip4,
				    .ip6 = l->ip6,
				    .ll6 = l->ll6,
				    .gw4 = l->gw4,
				    .gw6 = l->gw6,
				    .gateway = g->wire.gateway };
	if (l->bridged)
		ep->flags |= EX_EP_BRIDGED;
	if (g->node->config.silent)
		ep->flags |= EX_EP_SILENT;
	memcpy(ep->more, l->more, sizeof(ep->more));
	memcpy(ep->mac, l->mac, 6);
	memcpy(ep->gw_mac, l->gw_mac, 6);
	memcpy(ep->gate_mac, g->wire.mac, 6);
}

static int publish_alone(struct node_gates *g, const struct ex_endpoint *ep,
			 const struct ex_compiled *c)
{
	const struct ex_gate_ruleset set = { .egress = &c->egress, .ingress = &c->ingress };

	return ex_gate_publish_both(g->node->gate, g->endpoint->link.ifindex, ep, &set);
}

void gates_keeper_config(struct node_gates *g, struct ex_keeper_config *ret)
{
	struct ex_node *node = g->node;
	const struct ex_node_link *l = &g->endpoint->link;

	*ret = (struct ex_keeper_config){
		.loop = node->loop,
		.gw = { .outer = node->own_net,
			.netns = g->wire.netns,
			.v6 = access("/proc/sys/net/ipv6", F_OK) == 0,
			.ip4 = l->ip4,
			.ip6 = l->ip6 },
		.ca = node->ca,
		.dial = ex_dial_as_workload,
		.resolvers = &node->config.dns,
		.roots = node->roots,
		.ingress = &g->ingress,
		.names_kept = node->gate,
		.names_pool = node->names,
		.ifindex = l->ifindex,
		.workers = node->config.workers,
		.uid = PROXY_UID_BASE + (g->endpoint->id & EX_NODE_UID_BITS),
		.restart = true,
		.ops = &keeper_ops,
		.arg = g,
	};
	memcpy(ret->gw.more, l->more, sizeof(ret->gw.more));
}

static int new_keeper(struct node_gates *g, const struct ex_compiled *c, struct ex_keeper **ret)
{
	struct ex_keeper_config config;

	gates_keeper_config(g, &config);
	return ex_keeper_new(&config, c->rs, c->bundle, ret);
}

/* ---- a ruleset in force ---- */

static void end_proxies(struct node_gates *g)
{
	if (g->keeper)
		ex_keeper_finish(g->keeper, FINISH_MS);
	ex_keeper_free(g->keeper);
	g->keeper = NULL;
	g->lost = false;
}

static int put_in_force(struct node_gates *g, const struct ex_compiled *c)
{
	struct ex_keeper *keeper = NULL;
	struct ex_endpoint ep;
	int r;

	gates_fill_endpoint(g, &ep);
	if (c->bundle < 0) {
		r = publish_alone(g, &ep, c);
		if (r == 0)
			end_proxies(g);
		return r;
	}
	if (g->keeper)
		return ex_keeper_swap(g->keeper, c->rs, c->bundle);
	r = new_keeper(g, c, &keeper);
	if (r == 0)
		r = ex_keeper_publish(keeper, g->node->gate, g->endpoint->link.ifindex, &ep);
	if (r < 0) {
		ex_keeper_free(keeper);
		return r;
	}
	g->keeper = keeper;
	return 0;
}

static void keep(struct node_gates *g, struct ex_compiled *c)
{
	struct ex_compiled *before = g->compiled;

	g->compiled = ex_compiled_ref(c);
	g->ingress = &c->ingress;
	ex_compiled_unref(before);
}

static int attach(struct node_gates *g)
{
	uint32_t ifindex = g->endpoint->link.ifindex;
	int r = ex_gate_attach_gateway(g->node->gate, ifindex, g->wire.gateway, g->wire.netns);

	return r < 0 ? r : ex_gate_attach(g->node->gate, ifindex);
}

static int gates_new(struct ex_node *node, struct ex_node_endpoint *e, struct ex_compiled *c,
		     char err[static EX_NODE_ERR])
{
	struct node_gates *g = calloc(1, sizeof(*g));
	int r = 0;

	if (!g)
		return ex_node_fail(err, -ENOMEM, "no memory");
	g->node = node;
	g->endpoint = e;
	g->wire.netns = -1;
	keep(g, c); /* also with what is adopted: it may be narrower now */
	if (!gates_adopt(g))
		r = ex_wiring_make(&e->link, e->id, &g->wire, err);
	if (r < 0) {
		ex_compiled_unref(g->compiled);
		free(g);
		return r;
	}
	e->gates = g;
	return 0;
}

int ex_gates_apply(struct ex_node *node, struct ex_node_endpoint *e, struct ex_compiled *c,
		   char err[static EX_NODE_ERR])
{
	struct node_gates *g;
	int r = ex_node_records_name(node, e);

	if (r < 0)
		return ex_node_fail(err, r, "no memory");
	r = e->gates ? 0 : gates_new(node, e, c, err);
	if (r < 0)
		return r;
	g = e->gates;
	g->ingress = &c->ingress;
	r = put_in_force(g, c);
	if (r == 0)
		keep(g, c);
	g->ingress = &g->compiled->ingress;
	if (r < 0)
		return ex_node_fail(err, r, "cannot put the policy in force: %s", strerror(-r));
	if (!g->attached) {
		g->since = e->recovered ? ex_clock_ms() : 0;
		r = attach(g);
		if (r < 0)
			return ex_node_fail(err, r, "cannot attach the kernel gate: %s",
					    ex_gate_strerror(r));
		g->attached = true;
	}
	if (!g->lost) {
		e->state = EX_NODE_ENFORCING;
		e->why[0] = '\0';
	}
	return 0;
}

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
		keep(g, m->to);
	g->ingress = &g->compiled->ingress;
	return r;
}

int ex_gates_guard(struct ex_node *node, const struct ex_node_endpoint *e)
{
	return e->gates && e->gates->attached ? 0 : ex_gate_guard(node->gate, e->link.ifindex);
}

int ex_gates_shut(struct ex_node *node, struct ex_node_endpoint *e)
{
	int r = ex_gate_refuse(node->gate, e->link.ifindex);

	if (e->gates)
		end_proxies(e->gates); /* nor is what they have been sent already */
	return r;
}

void ex_gates_close(struct ex_node *node, struct ex_node_endpoint *e, bool forget)
{
	struct node_gates *g = e->gates;

	if (g) {
		end_proxies(g);
		ex_wiring_undo(&g->wire);
		ex_compiled_unref(g->compiled);
		free(g);
		e->gates = NULL;
	} else {
		gates_end_handed(node, e);
	}
	if (forget)
		ex_gate_forget(node->gate, e->link.ifindex);
}

void ex_gates_tell_resolvers(struct ex_node_endpoint *e)
{
	if (e->gates && e->gates->keeper)
		ex_keeper_tell_resolvers(e->gates->keeper);
}

/* Without a proxy there is no keeper to tell of it. */
static void record_verdict(struct ex_node_endpoint *e, const struct ex_ruleset *rs,
			   const struct ex_event *ev)
{
	const struct ex_audit_record rec = ex_audit_of_event(ev);
	struct ex_audit_limit *limit = ex_node_records_limit(e);

	ex_audit_limit_missed(limit, ev->suppressed);
	if (ev->type != EX_EV_LEFT_OUT && ex_audit_limit_pass(limit, &rec))
		ex_node_records_take(e, rs, &rec);
}

/* What an agent before this one put in force: some rule, of a ruleset that is gone. */
static struct ex_event orphan(const struct ex_event *ev)
{
	struct ex_event e = *ev;

	e.rule = e.rule ? UINT32_MAX : 0;
	return e;
}

void ex_gates_take_event(struct ex_node *node, struct ex_node_endpoint *e,
			 const struct ex_event *ev)
{
	struct node_gates *g = e->gates;
	const struct ex_ruleset *rs = g ? g->compiled->rs : NULL;
	struct ex_event old;

	if (!g && ex_node_records_name(node, e) < 0)
		return;
	if (!g || ev->time / 1000000 <= g->since) {
		old = orphan(ev);
		ev = &old;
	}
	if (g && g->keeper)
		ex_keeper_take_event(g->keeper, ev);
	else if (ev->type == EX_EV_LEFT_OUT || ex_event_is_verdict(ev))
		record_verdict(e, rs, ev);
	ex_node_records_event(e, rs, ev);
}

void ex_gates_set_ca(struct ex_node_endpoint *e, struct ex_ca *ca)
{
	if (e->gates && e->gates->keeper)
		ex_keeper_set_ca(e->gates->keeper, ca);
}

bool ex_gates_settled(const struct ex_node_endpoint *e)
{
	return !e->gates || !e->gates->keeper || ex_keeper_is_settled(e->gates->keeper);
}

uint64_t ex_gates_names_evicted(const struct ex_node_endpoint *e)
{
	return e->gates && e->gates->keeper ? ex_keeper_count_names(e->gates->keeper).out : 0;
}

void ex_gates_write(const struct ex_node_endpoint *e, struct ex_json *j)
{
	const struct node_gates *g = e->gates;

	ex_json_text(j, "state", ex_node_state_word(e->state));
	if (e->why[0])
		ex_json_text(j, "why", e->why);
	ex_json_number(j, "revision", e->revision);
	ex_json_number(j, "rules", g ? ex_ruleset_n_rules(g->compiled->rs) : 0);
	if (g && g->keeper) {
		struct ex_keeper_names names = ex_keeper_count_names(g->keeper);

		ex_json_number(j, "names", names.known);
		ex_json_number(j, "names_evicted", names.out);
	}
	ex_json_text(j, "proxy",
		     !g || !g->keeper                ? "none"
		     : ex_keeper_is_ready(g->keeper) ? "ready"
						     : "starting");
}

void ex_gates_write_counts(struct ex_node *node, const struct ex_node_endpoint *e,
			   struct ex_json *j)
{
	const struct ex_ruleset *rs = e->gates ? e->gates->compiled->rs : NULL;
	uint32_t n = rs ? ex_ruleset_n_rules(rs) : 0;
	struct ex_counter c;

	ex_json_open(j, "counts", '[');
	for (uint32_t id = 1; id <= n; id++) {
		const struct ex_rule_info *rule = ex_ruleset_rule(rs, id);

		if (ex_gate_count_rule(node->gate, e->link.ifindex, id, &c) < 0 || !c.packets)
			continue;
		ex_json_open(j, NULL, '{');
		ex_json_text(j, "policy", rule->policy);
		ex_json_text(j, "namespace", rule->ns);
		ex_json_text(j, "rule", rule->where);
		ex_json_number(j, "packets", c.packets);
		ex_json_number(j, "bytes", c.bytes);
		ex_json_close(j, '}');
	}
	ex_json_close(j, ']');
}
