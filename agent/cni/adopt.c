/* SPDX-License-Identifier: Apache-2.0 */
/* The pods that wait, given to the agent once it is there. */
#include <errno.h>

#include "agent/audit/json.h"
#include "agent/cni/link.h"
#include "agent/cni/pending.h"
#include "agent/cni/request.h"
#include "agent/control/client.h"
#include "agent/core/log.h"

static int call(const char *socket, struct ex_span request, struct ex_control_error *err)
{
	struct ex_jv *answer = NULL;
	int r = ex_control_call(socket, request, EX_CNI_TIMEOUT_MS, &answer, err);

	ex_jv_free(answer);
	return r;
}

/* The agent may have taken it in when it was too late for the plugin: what it has is made anew. */
static int call_again(const char *socket, const struct ex_jv *add, struct ex_span request,
		      struct ex_control_error *err)
{
	struct ex_json j;
	int r;

	ex_json_init_growing(&j, EX_CNI_INPUT_MAX);
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "op", "endpoint.remove");
	ex_json_text(&j, "container_id", ex_jv_string(add, "container_id"));
	ex_json_text(&j, "interface", ex_jv_string(add, "interface"));
	ex_json_close(&j, '}');
	r = ex_json_done(&j) < 0 ? -ENOMEM : call(socket, (struct ex_span){ j.out, j.len }, err);
	ex_json_wipe(&j);
	return r < 0 ? r : call(socket, request, err);
}

/* Gates first, then the link: 0 when nothing is left to do. */
static int adopt_one(void *arg, const char *name, struct ex_span request)
{
	const char *socket = arg, *netns, *ifname;
	struct ex_control_error err;
	char why[EX_JV_ERROR_MAX];
	struct ex_jv *tree;
	int host_end, r;

	if (ex_jv_read(request, &tree, why) < 0) {
		ex_error("%s: %s", name, why);
		return -EBADMSG;
	}
	netns = ex_jv_string(tree, "netns");
	ifname = ex_jv_string(tree, "interface");
	host_end = netns && ifname ? ex_cni_host_end(netns, ifname) : -EBADMSG;
	if (host_end < 0) {
		r = host_end == -ENOENT || host_end == -ENODEV ? 0 : host_end;
		if (r < 0)
			ex_error("%s: no host end: %s", name, strerror(-r));
		ex_jv_free(tree);
		return r; /* 0: the pod is gone */
	}
	r = call(socket, request, &err);
	if (r == -EREMOTEIO && strcmp(err.code, "exists") == 0)
		r = call_again(socket, tree, request, &err);
	ex_jv_free(tree);
	if (r == 0)
		r = ex_cni_link_switch((uint32_t)host_end, true);
	else
		ex_error("%s: %s: %s", name, err.code, err.message);
	if (r == 0)
		ex_info("%s: adopted", name);
	return r;
}

int ex_cni_adopt(const char *socket, const char *state_dir)
{
	int r = ex_cni_pending_each(state_dir, adopt_one, (void *)(uintptr_t)socket);

	if (r < 0)
		ex_error("%s/pending: %s", state_dir, strerror(-r));
	else if (r > 0)
		ex_error("%d pods stay closed", r);
	return r != 0;
}
