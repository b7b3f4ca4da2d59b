/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/metrics/expo.h"
#include "agent/metrics/metrics.h"
#include "agent/node/node.h"
#include "agent/node/ops.h"
#include "agent/node/gates.h"
#include "agent/node/report.h"
#include "agent/report/report.h"

#define REPORT_UID  0x7dfffff0u /* beside those of the proxies; its own */
#define METRICS_OFF "off"
#define ALERT_MAX   49152

/* ---- metrics ---- */

static void write_endpoints(const struct ex_node *node, struct ex_expo *x)
{
	uint64_t n[EX_NODE_DEGRADED + 1] = { 0 };

	for (const struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		n[e->state]++;
	ex_expo_family(x, "exeat_endpoints", "gauge",
		       "Endpoints by state: enforcing, degraded (proxy gone), closed.");
	for (size_t i = 0; i < EX_ARRAY_SIZE(n); i++) {
		ex_expo_label(x, "state", ex_node_state_word((enum ex_node_state)i));
		ex_expo_value(x, n[i]);
	}
	ex_expo_single(x, "exeat_endpoints_max", "gauge", "Endpoints there may be.",
		       node->registry.max);
}

/* One that asks for more names than the node has room for loses its own oldest. */
static void write_names(const struct ex_node *node, struct ex_expo *x)
{
	ex_expo_single(x, "exeat_names", "gauge",
		       "Names of addresses that DNS answers gave, and that are known now.",
		       ex_names_pool_used(node->names));
	ex_expo_single(x, "exeat_names_max", "gauge",
		       "Names of addresses there may be, of all endpoints together.",
		       ex_names_pool_max(node->names));
	ex_expo_family(x, "exeat_names_evicted_total", "counter",
		       "Live names that made room for newer ones of the endpoint, or of others.");
	for (const struct ex_node_endpoint *e = node->registry.first; e; e = e->next) {
		uint64_t n = ex_gates_names_evicted(e);

		if (!n)
			continue;
		ex_expo_label(x, "namespace", e->ns);
		ex_expo_label(x, "endpoint", e->name);
		ex_expo_value(x, n);
	}
}

static void write_policies(const struct ex_node *node, struct ex_expo *x)
{
	ex_expo_single(x, "exeat_policy_revision", "gauge",
		       "Number of the policy set in force; goes up with each change.",
		       node->revision);
	ex_expo_single(
		x, "exeat_policy_valid", "gauge",
		"1 when the policy files are valid as they are now; 0: an older set is in force.",
		node->policy_error[0] == '\0');
	ex_expo_single(x, "exeat_policy_kept", "gauge",
		       "1 while the set in force was kept from before the start, for the files "
		       "have not been valid since.",
		       node->kept);
	ex_expo_single(x, "exeat_policy_rejected_total", "counter",
		       "Policy sets that were not taken because they are not valid.",
		       node->rejected);
	ex_expo_family(x, "exeat_policy_round_seconds", "gauge",
		       "How long the last change took, from reading files to both gates.");
	ex_expo_seconds(x, (double)node->round_us / 1e6);
}

static void write_audit(const struct ex_node *node, struct ex_expo *x)
{
	struct ex_audit_file_stats s = { 0 };

	if (!node->audit)
		return;
	ex_audit_file_stats(node->audit, &s);
	ex_expo_single(x, "exeat_audit_records_total", "counter",
		       "Records written to the audit log.", s.written);
	ex_expo_single(x, "exeat_audit_lost_total", "counter",
		       "Records that could not be written to the audit log.", s.failed);
}

static void write_metrics(void *arg, struct ex_expo *x)
{
	struct ex_node *node = arg;

	ex_metrics_write(node->metrics, node->gate, x);
	write_endpoints(node, x);
	write_names(node, x);
	write_policies(node, x);
	write_audit(node, x);
	if (node->report)
		ex_report_metrics(node->report, x);
}

/* Enforcement as it should be: closed endpoints and lost proxies are seen here, traffic is not. */
static bool health(void *arg, char *why, size_t cap)
{
	const struct ex_node *node = arg;
	const char *trouble = ex_op_policy_trouble(node);

	if (trouble) {
		snprintf(why, cap, "%s", trouble);
		return false;
	}
	for (const struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		if (e->state != EX_NODE_ENFORCING) {
			snprintf(why, cap, "endpoint %u: %.200s", e->id, e->why);
			return false;
		}
	return true;
}

static const struct ex_report_ops report_ops = { .metrics = write_metrics, .health = health };

/* ---- ops ---- */

static void op_metrics(void *arg, struct ex_call *call)
{
	struct ex_expo x = { 0 };
	struct ex_span text;

	if (!ex_op_keys(call, ""))
		return;
	write_metrics(arg, &x);
	if (ex_expo_done(&x, &text) < 0) {
		ex_call_error(call, "failed", "out of memory");
	} else {
		ex_json_string(ex_call_result(call), "text", text);
		ex_call_ok(call);
	}
	ex_expo_wipe(&x);
}

int ex_node_report_serve(struct ex_node *node)
{
	return ex_control_add(node->control, "metrics", op_metrics, node);
}

/* ---- alerts ---- */

void ex_node_report_record(struct ex_node *node, const struct ex_audit_record *rec)
{
	char json[ALERT_MAX];
	ssize_t n;

	if (!ex_report_wants(node->report, rec))
		return;
	n = ex_observe_last(node->observe, json, sizeof(json));
	if (n > 0)
		ex_report_alert(node->report, (struct ex_span){ json, (size_t)n });
}

/* ---- life ---- */

int ex_node_report_begin(struct ex_node *node)
{
	const struct ex_node_config *c = &node->config;
	struct ex_report_config rc = { .listen = strcmp(c->metrics, METRICS_OFF) == 0 ? NULL
										      : c->metrics,
				       .webhook = c->webhook,
				       .webhook_ca = c->webhook_ca,
				       .webhook_token = c->webhook_token,
				       .webhook_secret = c->webhook_secret,
				       .interval_ms = c->webhook_interval_ms,
				       .uid = REPORT_UID };

	if (!rc.listen && !rc.webhook)
		return 0;
	return ex_report_new(node->loop, &rc, &report_ops, node, &node->report);
}

void ex_node_report_end(struct ex_node *node)
{
	ex_report_free(node->report);
	node->report = NULL;
}

int ex_node_report_open(struct ex_node *node)
{
	int r = ex_metrics_new(&node->metrics);

	return r < 0 ? r : ex_node_report_begin(node);
}

void ex_node_report_close(struct ex_node *node)
{
	ex_node_report_end(node);
	ex_metrics_free(node->metrics);
	node->metrics = NULL;
}

void ex_node_report_reload(struct ex_node *node)
{
	int r = node->audit ? ex_audit_file_reload_keys(node->audit) : 0;

	if (r < 0)
		ex_warning("auditKey: %s; the keys stay as they were", strerror(-r));
}
