/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "agent/audit/limit.h"
#include "agent/metrics/metrics.h"
#include "agent/node/learn.h"
#include "agent/node/node.h"
#include "agent/node/records.h"
#include "agent/node/report.h"

struct node_records {
	struct ex_node *node;
	struct ex_node_endpoint *endpoint;
	struct ex_audit *audit;      /* NULL = the node keeps no log */
	struct ex_audit_limit limit; /* where there is no keeper, which has its own */
	struct ex_observe_who *who;
	struct ex_metrics_endpoint *counts;
};

static void tell_left_out(struct ex_audit_limit *l, const struct ex_audit_record *rec)
{
	ex_node_records_take(ex_container_of(l, struct node_records, limit)->endpoint, NULL, rec);
}

static int open_log(struct node_records *n)
{
	char name[EX_AUDIT_RUN_MAX];
	struct ex_audit_options o = {
		.fd = -1, .file = n->node->audit, .json = true, .terminal = -1, .run = name
	};

	if (n->audit || !n->node->audit)
		return 0;
	snprintf(name, sizeof(name), "%s/%s", n->endpoint->ns, n->endpoint->name);
	return ex_audit_new(&o, &n->audit);
}

static int open_all(struct node_records *n)
{
	const struct ex_node_endpoint *e = n->endpoint;
	const struct ex_observe_endpoint who = { e->name, e->ns, e->labels, e->n_labels, e->id };
	struct ex_observe_who *fresh;
	int r = ex_observe_who_new(&who, &fresh);

	if (r < 0)
		return r;
	ex_observe_who_unref(n->who);
	n->who = fresh;
	if (!n->counts)
		r = ex_metrics_endpoint_new(n->node->metrics, e->ns, e->name, &n->counts);
	return r < 0 ? r : open_log(n);
}

int ex_node_records_name(struct ex_node *node, struct ex_node_endpoint *e)
{
	bool fresh = !e->records;
	int r;

	if (fresh) {
		e->records = calloc(1, sizeof(*e->records));
		if (!e->records)
			return -ENOMEM;
		*e->records = (struct node_records){ .node = node, .endpoint = e };
		ex_audit_limit_init(&e->records->limit, node->loop, tell_left_out);
	}
	r = open_all(e->records);
	if (r < 0 && fresh)
		ex_node_records_free(e);
	return r;
}

void ex_node_records_free(struct ex_node_endpoint *e)
{
	struct node_records *n = e->records;

	if (!n)
		return;
	ex_audit_limit_flush(&n->limit);
	ex_audit_limit_stop(&n->limit);
	ex_audit_free(n->audit);
	ex_observe_who_unref(n->who);
	ex_metrics_endpoint_free(n->counts);
	free(n);
	e->records = NULL;
}

struct ex_audit_limit *ex_node_records_limit(struct ex_node_endpoint *e)
{
	return &e->records->limit;
}

void ex_node_records_hold(struct ex_node_endpoint *e, bool begin)
{
	struct ex_audit *audit = e->records->audit;

	if (audit && begin)
		ex_audit_hold(audit);
	else if (audit)
		ex_audit_release(audit);
}

void ex_node_records_take(struct ex_node_endpoint *e, const struct ex_ruleset *rs,
			  const struct ex_audit_record *rec)
{
	struct node_records *n = e->records;

	if (n->audit) {
		ex_audit_use(n->audit, (struct ex_ruleset *)(uintptr_t)rs);
		ex_audit_write(n->audit, rec);
	}
	ex_observe_record(n->node->observe, n->who, rs, rec);
	ex_metrics_record(n->counts, rec);
	ex_node_report_record(n->node, rec);
	ex_node_learn_record(n->node, e, rs, rec);
}

void ex_node_records_event(struct ex_node_endpoint *e, const struct ex_ruleset *rs,
			   const struct ex_event *ev)
{
	ex_observe_event(e->records->node->observe, e->records->who, rs, ev);
	ex_metrics_event(e->records->counts, ev);
}
