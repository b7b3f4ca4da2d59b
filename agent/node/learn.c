/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/audit/line.h"
#include "agent/core/log.h"
#include "agent/core/netns.h"
#include "agent/learn/owner.h"
#include "agent/node/events.h"
#include "agent/node/learn.h"
#include "agent/node/ops.h"
#include "agent/node/round.h"

#define TICK_MS  1000
#define LEASE_MS 10000 /* more than a long round takes */

struct ex_node_learner {
	struct ex_node *node;
	struct ex_node_learner *next, **link; /* in node->learners */
	struct ex_call *call;
	struct ex_owners *owners; /* NULL: its namespace is not known */
	uint32_t endpoint;        /* id: it may go before the client does */
	uint64_t seq, lost;
};

static struct ex_node_learner *learner_of(const struct ex_node *node, uint32_t id)
{
	struct ex_node_learner *l = node->learners;

	while (l && l->endpoint != id)
		l = l->next;
	return l;
}

/* ---- the lease ---- */

int ex_node_learn_lease(struct ex_node *node, struct ex_node_endpoint *e)
{
	int r = ex_gate_lease(node->gate, e->link.ifindex, LEASE_MS);

	if (r == 0)
		e->leased = true;
	else
		ex_error("endpoint %u (%s/%s): cannot be leased a policy: %s", e->id, e->ns,
			 e->name, strerror(-r));
	return r;
}

/* An agent before this one may have leased it. */
int ex_node_learn_release(struct ex_node *node, struct ex_node_endpoint *e)
{
	int r = ex_gate_lease(node->gate, e->link.ifindex, 0);

	if (r == 0)
		e->leased = false;
	else
		ex_error("endpoint %u (%s/%s): its policy is in force, but not for long: %s", e->id,
			 e->ns, e->name, strerror(-r));
	return r;
}

/* Renews what is still learned from; what is not, and has no policy of its own, is tried again. */
static void on_tick(struct ex_timer *t)
{
	struct ex_node *node = ex_container_of(t, struct ex_node, learn_tick);
	bool any = node->learners, over = false;

	for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next) {
		over |= e->leased && !e->learning;
		if (e->leased && e->learning && ex_node_learn_lease(node, e) < 0)
			ex_debug("endpoint %u will be closed", e->id);
	}
	if (over)
		ex_round_want(node, false);
	if ((any || over) && ex_timer_start(node->loop, t, TICK_MS) < 0)
		ex_error("no memory to go on learning: endpoints will be closed");
}

/* Nobody is there to renew it: at once, rather than a little later. */
static void expire(struct ex_node *node, struct ex_node_endpoint *e)
{
	if (e->leased && ex_gate_lease(node->gate, e->link.ifindex, 1) < 0)
		ex_debug("endpoint %u: will be closed a little later", e->id);
}

/* ---- the op ---- */

/* Its own policy again. */
static void on_gone(void *arg, struct ex_call *call)
{
	struct ex_node_learner *l = arg;
	struct ex_node_endpoint *e = ex_registry_by_id(&l->node->registry, l->endpoint);

	if (e) {
		e->learning = false;
		ex_warning("endpoint %u (%s/%s): learned; its own policy again", e->id, e->ns,
			   e->name);
		if (l->node->stopping)
			expire(l->node, e);
		else
			ex_round_want(l->node, false);
	}
	*l->link = l->next;
	if (l->next)
		l->next->link = l->link;
	ex_events_hurry(l->node, l->node->learners);
	ex_owners_free(l->owners);
	free(l);
	ex_call_end(call);
}

static struct ex_owners *owners_of(const struct ex_node_endpoint *e)
{
	EX_AUTO_CLOSE int netns = e->netns[0] ? ex_netns_at(e->netns) : -ENOENT;
	struct ex_owners *owners = NULL;
	int r = netns < 0 ? netns : ex_owners_new(netns, &owners);

	if (r < 0)
		ex_info("endpoint %u (%s/%s): programs have no names: %s", e->id, e->ns, e->name,
			strerror(-r));
	return owners;
}

static void op_learn(void *arg, struct ex_call *call)
{
	struct ex_node *node = arg;
	struct ex_node_endpoint *e;
	struct ex_node_learner *l;

	if (!ex_op_keys(call, "id name namespace container_id interface"))
		return;
	e = ex_op_endpoint(node, call);
	if (!e)
		return;
	if (e->learning) {
		ex_call_error(call, "exists", "somebody learns from this endpoint already");
		return;
	}
	l = calloc(1, sizeof(*l));
	node->learn_tick.fn = on_tick;
	if (!l || ex_timer_start(node->loop, &node->learn_tick, TICK_MS) < 0) {
		free(l);
		ex_call_error(call, "failed", "no memory");
		return;
	}
	*l = (struct ex_node_learner){ .node = node,
				       .next = node->learners,
				       .link = &node->learners,
				       .call = call,
				       .owners = owners_of(e),
				       .endpoint = e->id };
	if (l->next)
		l->next->link = &l->next;
	node->learners = l;
	ex_events_hurry(node, true);
	e->learning = true;
	ex_warning("endpoint %u (%s/%s): learning for user %u: nothing but metadata is denied",
		   e->id, e->ns, e->name, ex_call_peer(call)->uid);
	ex_call_on_gone(call, on_gone, l);
	ex_round_want(node, false);
}

int ex_node_learn_serve(struct ex_node *node)
{
	return ex_control_add(node->control, "learn", op_learn, node);
}

/* ---- records ---- */

static void tell_lost(struct ex_node_learner *l)
{
	char text[64];
	struct ex_json j;

	if (!l->lost)
		return;
	ex_json_init(&j, text, sizeof(text));
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "type", "lost");
	ex_json_number(&j, "lost", l->lost);
	ex_json_close(&j, '}');
	if (ex_call_send(l->call, (struct ex_span){ text, j.len }) == 0)
		l->lost = 0;
}

void ex_node_learn_event(struct ex_node *node, const struct ex_node_endpoint *e,
			 const struct ex_event *ev)
{
	struct ex_node_learner *l = e->learning ? learner_of(node, e->id) : NULL;
	char line[EX_OWNER_LINE_MAX];
	size_t n = l && l->owners ? ex_owners_line(l->owners, ev, line) : 0;

	if (n && ex_call_send(l->call, (struct ex_span){ line, n }) < 0)
		ex_debug("a program's name is lost"); /* a note is all it is */
}

void ex_node_learn_record(struct ex_node *node, const struct ex_node_endpoint *e,
			  const struct ex_ruleset *rs, const struct ex_audit_record *rec)
{
	struct ex_node_learner *l = e->learning ? learner_of(node, e->id) : NULL;
	char line[EX_AUDIT_LINE_MAX], time[EX_AUDIT_TIME];
	struct ex_audit_stamp stamp = { .time = time,
					.run = e->name,
					.rule = rs ? ex_ruleset_rule(rs, rec->rule) : NULL };
	ssize_t n;

	if (!l)
		return;
	tell_lost(l);
	ex_audit_now(time);
	stamp.seq = ++l->seq;
	n = ex_audit_line_json(rec, &stamp, line, sizeof(line));
	if (n <= 0 || ex_call_send(l->call, (struct ex_span){ line, (size_t)n - 1 }) < 0)
		l->lost++;
}
