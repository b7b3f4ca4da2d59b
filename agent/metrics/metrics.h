/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted of verdicts, by endpoint; docs/metrics.md names everything. Counting a record is
 * an addition; text is made when it is asked for. The kernel gate counts packets by itself.
 */
#ifndef EXEAT_AGENT_METRICS_METRICS_H
#define EXEAT_AGENT_METRICS_METRICS_H

#include "agent/audit/audit.h"

struct ex_expo;
struct ex_gate;
struct ex_metrics;
struct ex_metrics_endpoint;

EX_MUST_CHECK int ex_metrics_new(struct ex_metrics **ret);
void ex_metrics_free(struct ex_metrics *m); /* after its endpoints */

/* Names are copied. What an endpoint counted goes with it. */
EX_MUST_CHECK int ex_metrics_endpoint_new(struct ex_metrics *m, const char *ns, const char *name,
					  struct ex_metrics_endpoint **ret);
void ex_metrics_endpoint_free(struct ex_metrics_endpoint *ep); /* accepts NULL */

void ex_metrics_record(struct ex_metrics_endpoint *ep, const struct ex_audit_record *rec);
void ex_metrics_event(struct ex_metrics_endpoint *ep, const struct ex_event *ev);

/* The families of this file, of the kernel gate (NULL: none) and of this process. */
void ex_metrics_write(const struct ex_metrics *m, struct ex_gate *gate, struct ex_expo *x);

#endif
