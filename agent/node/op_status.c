/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/node/ops.h"
#include "agent/node/resolvers.h"

static void write_counts(const struct ex_node *node, struct ex_json *j)
{
	size_t n[3] = { 0 };

	for (const struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		n[e->state]++;
	ex_json_open(j, "endpoints", '{');
	ex_json_number(j, "enforcing", n[EX_NODE_ENFORCING]);
	ex_json_number(j, "degraded", n[EX_NODE_DEGRADED]);
	ex_json_number(j, "closed", n[EX_NODE_CLOSED]);
	ex_json_number(j, "max", node->registry.max);
	ex_json_close(j, '}');
}

static void write_policies(const struct ex_node *node, struct ex_json *j)
{
	ex_json_open(j, "policies", '{');
	ex_json_number(j, "revision", node->revision);
	ex_json_number(j, "files", node->files ? node->files->files.n : 0);
	ex_json_number(j, "rejected", node->rejected);
	ex_json_text(j, "error", node->policy_error);
	ex_json_bool(j, "kept", node->kept);
	ex_json_number(j, "last_round_us", node->round_us);
	ex_json_close(j, '}');
}

static void write_work(const struct ex_node_work *w, struct ex_json *j)
{
	ex_json_open(j, "work", '{');
	ex_json_number(j, "rounds", w->rounds);
	ex_json_number(j, "compiled", w->compiled);
	ex_json_number(j, "led_over", w->led);
	ex_json_number(j, "published", w->published);
	ex_json_number(j, "moved", w->moved);
	ex_json_close(j, '}');
}

static void write_about(const struct ex_node_endpoint *e, const char *what, struct ex_json *j)
{
	char line[EX_NODE_ERR + 600];

	if (!what[0])
		return;
	snprintf(line, sizeof(line), "endpoint %u (%s/%s): %s", e->id, e->ns, e->name, what);
	ex_json_text(j, NULL, line);
}

const char *ex_op_policy_trouble(const struct ex_node *node)
{
	if (!node->policy_error[0])
		return NULL;
	if (!node->files)
		return "the policy files are not valid, and no valid set was kept: nobody is let "
		       "in";
	return node->kept ? "the policy files are not valid: the last valid set, kept from before "
			    "the start, is in force"
			  : "the policy files are not valid: an older set is in force";
}

void ex_op_write_warnings(const struct ex_node *node, struct ex_json *j)
{
	const char *trouble = ex_op_policy_trouble(node);

	ex_json_open(j, "warnings", '[');
	if (trouble)
		ex_json_text(j, NULL, trouble);
	if (node->not_kept)
		ex_json_text(j, NULL, "the policies in force cannot be kept for the next start");
	trouble = ex_node_resolvers_trouble(node);
	if (trouble)
		ex_json_text(j, NULL, trouble);
	trouble = ex_gate_stamp_trouble(node->gate);
	if (trouble)
		ex_json_text(j, NULL, trouble);
	for (const struct ex_node_endpoint *e = node->registry.first; e; e = e->next) {
		write_about(e, e->why, j);
		write_about(e, e->warning, j);
	}
	ex_json_close(j, ']');
}

void ex_op_status(void *arg, struct ex_call *call)
{
	struct ex_node *node = arg;
	struct ex_json *j;

	if (!ex_op_keys(call, ""))
		return;
	j = ex_call_result(call);
	ex_json_text(j, "version", EX_VERSION);
	ex_json_number(j, "pid", (uint64_t)getpid());
	ex_json_number(j, "abi", EX_ABI_VERSION);
	write_counts(node, j);
	write_policies(node, j);
	ex_node_resolvers_write(node, j);
	write_work(&node->work, j);
	ex_op_write_warnings(node, j);
	ex_call_ok(call);
}
