/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of the agent over its control socket; docs/control.md describes each. */
#ifndef EXEAT_AGENT_NODE_OPS_H
#define EXEAT_AGENT_NODE_OPS_H

#include "agent/node/node.h"

/* endpoint.*, policy.*, status, reload */
EX_MUST_CHECK int ex_ops_add(struct ex_node *node);

/* ---- what the files of the ops share ---- */

/* Every key of the request but "op" is one of these ("a b c"), and of its kind; else the call is
 * ended: false. */
bool ex_op_keys(struct ex_call *call, const char *keys);

/*
 * The endpoint a request means, by "id" (number), "container_id" (with "interface" or without), or
 * "name" with "namespace". NULL: none, and the call is ended.
 */
struct ex_node_endpoint *ex_op_endpoint(struct ex_node *node, struct ex_call *call);

void ex_op_endpoint_add(void *arg, struct ex_call *call); /* op_add.c */

/* op_status.c */
void ex_op_status(void *arg, struct ex_call *call);
/* What is amiss with the policy files, and what is in force then; NULL: they are valid. */
const char *ex_op_policy_trouble(const struct ex_node *node);
/* The member "warnings": what is not as it should be. */
void ex_op_write_warnings(const struct ex_node *node, struct ex_json *j);

#endif
