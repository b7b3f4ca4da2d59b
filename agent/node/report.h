/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent tells of itself: metrics, health and alerts. */
#ifndef EXEAT_AGENT_NODE_REPORT_H
#define EXEAT_AGENT_NODE_REPORT_H

#include "agent/audit/audit.h"

struct ex_node;

/* Counters from the start; the reporting process when the configuration asks for one. */
EX_MUST_CHECK int ex_node_report_open(struct ex_node *node);
EX_MUST_CHECK int ex_node_report_serve(struct ex_node *node); /* ops of the control socket */
void ex_node_report_close(struct ex_node *node);

/* The reporting process alone: ended before another program takes over, or begun again. */
void ex_node_report_end(struct ex_node *node);
EX_MUST_CHECK int ex_node_report_begin(struct ex_node *node);

/* A record that was observed a moment ago, and counted: an alert, when it is one. */
void ex_node_report_record(struct ex_node *node, const struct ex_audit_record *rec);

/* Reads the keys of the audit log again. */
void ex_node_report_reload(struct ex_node *node);

#endif
