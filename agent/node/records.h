/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was judged of an endpoint, for everybody who is told of it: the audit log, observers,
 * metrics, alerts, learning. Also while it has no gates of this agent: what an agent before this
 * one has put in force judges on.
 */
#ifndef EXEAT_AGENT_NODE_RECORDS_H
#define EXEAT_AGENT_NODE_RECORDS_H

#include <stdbool.h>

struct ex_audit_limit;
struct ex_audit_record;
struct ex_event;
struct ex_node;
struct ex_node_endpoint;
struct ex_ruleset;

/* Whose they are: before the first one, and when its labels are others. 0 or negative errno. */
int ex_node_records_name(struct ex_node *node, struct ex_node_endpoint *e);

/* Nothing is told of e from then on. */
void ex_node_records_free(struct ex_node_endpoint *e);

/* Its rule is one of rs; NULL = of a ruleset that is gone. */
void ex_node_records_take(struct ex_node_endpoint *e, const struct ex_ruleset *rs,
			  const struct ex_audit_record *rec);

/* Several come, in one go; and have come. */
void ex_node_records_hold(struct ex_node_endpoint *e, bool begin);

/* An event of the kernel gate; the record of it is another thing. */
void ex_node_records_event(struct ex_node_endpoint *e, const struct ex_ruleset *rs,
			   const struct ex_event *ev);

/* Of records that no keeper makes, which has one of its own. */
struct ex_audit_limit *ex_node_records_limit(struct ex_node_endpoint *e);

#endif
