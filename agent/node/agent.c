/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat agent`, from start to end. */
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/core/settle.h"
#include "agent/node/agent.h"
#include "agent/node/events.h"
#include "agent/node/gates.h"
#include "agent/node/guard.h"
#include "agent/node/handover.h"
#include "agent/node/kept.h"
#include "agent/node/notify.h"
#include "agent/node/records.h"
#include "agent/node/report.h"
#include "agent/node/round.h"
#include "agent/node/start.h"

#define LARGE (64 * 1024) /* memory of this size has a mapping of its own */

/* The kernel gate goes on without us. */
static void stop(struct ex_node *node)
{
	struct ex_node_endpoint *e;

	node->stopping = true;
	if (node->loop)
		ex_round_done(node);
	if (node->control)
		ex_control_free(node->control);
	ex_dir_watch_free(node->watch);
	if (node->gate)
		ex_events_drain(node);
	for (e = node->registry.first; e; e = e->next) {
		ex_gates_close(node, e, false);
		ex_node_records_free(e);
	}
	ex_registry_done(&node->registry);
	ex_node_report_close(node);
	ex_observe_free(node->observe);
	ex_names_pool_free(node->names);
	ex_gate_free(node->gate);
	ex_ca_free(node->ca);
	if (node->audit)
		ex_audit_file_close(node->audit);
	ex_policy_files_free(node->files);
	if (node->loop)
		ex_loop_free(node->loop);
	ex_closep(&node->signals_fd);
	ex_closep(&node->links_fd);
	ex_closep(&node->own_net);
	ex_closep(&node->lock);
	ex_closep(&node->roots);
	ex_node_config_done(&node->config);
}

/*
 * Nothing of exeat stays on this node: what was confined is let go. Programs first, so that no
 * endpoint is there without its maps.
 */
static int uninstall(struct ex_node *node)
{
	char pin[PATH_MAX];
	struct ex_node_endpoint *e;
	int r = ex_agent_harden();

	if (r == 0)
		r = ex_agent_take_state(node);
	if (r == 0)
		r = ex_registry_recover(&node->registry);
	if (r == 0)
		r = ex_guard_lift();
	while (r == 0 && (e = node->registry.first)) {
		ex_registry_remove(&node->registry, e);
		ex_node_endpoint_free(e);
	}
	if (r == 0)
		ex_kept_remove(node->config.state_dir);
	snprintf(pin, sizeof(pin), "%s/exeat", node->config.bpffs);
	return r < 0 ? r : ex_gate_unpin(pin);
}

static void node_init(struct ex_node *node, char **argv)
{
	*node = (struct ex_node){
		.argv = argv, .lock = -1, .own_net = -1, .roots = -1, .registry = { .dir = -1 }
	};
	ex_events_init(node);
	ex_round_init(node);
	ex_handover_init(node);
}

int ex_cmd_agent(int argc, char **argv)
{
	struct ex_node node;
	int r;

	ex_events_hold_signals();
	/* Rulesets come and go: their blocks go back to the kernel, and leave no holes. */
	(void)mallopt(M_MMAP_THRESHOLD, LARGE);
	node_init(&node, argv);
	r = ex_node_config_load(&node.config, argc, argv);
	if (r != 0)
		return r > 0 ? 0 : 125;
	ex_log_set_level(node.config.log_level);
	if (node.config.uninstall) {
		r = uninstall(&node);
		stop(&node);
		return r < 0 ? 125 : 0;
	}
	ex_handover_open(&node);
	r = ex_agent_start(&node);
	if (r == 0) {
		ex_info("agent %s: %zu endpoints, policies at revision %llu", EX_VERSION,
			node.registry.n, (unsigned long long)node.revision);
		ex_notify("READY=1");
		ex_settle_on(node.loop);
		r = ex_loop_run(node.loop);
		ex_notify("STOPPING=1");
	}
	stop(&node);
	return r < 0 ? 125 : 0;
}
