/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The op "learn": while its client stays, one endpoint is under the policy to learn under
 * (agent/learn/policy.h) instead of its own, and its records are streamed as lines of an audit log.
 * When the client goes its own policy is in force again: nothing of it is kept.
 *
 * What is in force in the kernel outlives the agent, and this policy must not: it is leased there
 * (ex_gate_lease()), and renewed every second as long as somebody learns. An agent that is killed
 * or hangs, or that cannot put the own policy in force again, leaves an endpoint that is closed.
 */
#ifndef EXEAT_AGENT_NODE_LEARN_H
#define EXEAT_AGENT_NODE_LEARN_H

#include "agent/audit/audit.h"

struct ex_node;
struct ex_node_endpoint;

EX_MUST_CHECK int ex_node_learn_serve(struct ex_node *node);

/* Before the policy to learn under is in force, and after another one is. */
EX_MUST_CHECK int ex_node_learn_lease(struct ex_node *node, struct ex_node_endpoint *e);
EX_MUST_CHECK int ex_node_learn_release(struct ex_node *node, struct ex_node_endpoint *e);

/* An event of the kernel gate about it: whose flow it is, for whoever learns from it. */
void ex_node_learn_event(struct ex_node *node, const struct ex_node_endpoint *e,
			 const struct ex_event *ev);

/* A record of the endpoint, for whoever learns from it. */
void ex_node_learn_record(struct ex_node *node, const struct ex_node_endpoint *e,
			  const struct ex_ruleset *rs, const struct ex_audit_record *rec);

#endif
