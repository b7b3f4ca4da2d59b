/* SPDX-License-Identifier: Apache-2.0 */
/* The pods that wait, given to the agent once it is there. */
#include <errno.h>

#include "agent/cni/link.h"
#include "agent/cni/pending.h"
#include "agent/cni/request.h"
#include "agent/control/client.h"
#include "agent/core/ether.h"
#include "agent/core/json.h"
#include "agent/core/log.h"

static int call(const char *socket, struct ex_span request, struct ex_control_error *err)
{
	return ex_control_call(socket, request, EX_CNI_TIMEOUT_MS, NULL, err);
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

static bool is_said(const struct ex_jv *id, const char *key, uint64_t value)
{
	int64_t said;

	return ex_jv_integer(id, key, 0, INT64_MAX, &said) && (uint64_t)said == value;
}

/* The very link that was closed; its path may lead to another pod's since. */
static bool is_same(const struct ex_jv *add, const struct ex_cni_link *link)
{
	const struct ex_jv *id = ex_jv_get(add, "netns_id");
	const char *mac = ex_jv_string(add, "mac");
	uint8_t said[6];

	return is_said(id, "dev", link->id.dev) && is_said(id, "ino", link->id.ino) &&
	       is_said(id, "host_ifindex", link->host_end) &&
	       (!mac || (ex_ether_parse(mac, said) && memcmp(said, link->mac, 6) == 0));
}

/* The link of a request that was kept; *ret_gone: there is none any more. */
static int find_link(const char *name, const struct ex_jv *add, struct ex_cni_link *ret,
		     bool *ret_gone)
{
	const char *netns = ex_jv_string(add, "netns"), *ifname = ex_jv_string(add, "interface");
	int r = netns && ifname ? ex_cni_link_find(netns, ifname, ret) : -EBADMSG;

	*ret_gone = r == -ENOENT || r == -ENODEV || (r == 0 && !is_same(add, ret));
	if (*ret_gone)
		ex_info("%s: the pod is gone", name);
	else if (r < 0)
		ex_error("%s: no host end: %s", name, strerror(-r));
	return *ret_gone ? 0 : r;
}

/* Gates first, then the link. */
static int adopt_link(const char *socket, const char *name, const struct ex_jv *add,
		      struct ex_span request)
{
	struct ex_control_error err;
	struct ex_cni_link link;
	bool gone;
	int r = find_link(name, add, &link, &gone);

	if (r < 0 || gone)
		return r;
	r = call(socket, request, &err);
	if (r == -EREMOTEIO && strcmp(err.code, "exists") == 0)
		r = call_again(socket, add, request, &err);
	if (r < 0) {
		ex_error("%s: %s: %s", name, err.code, err.message);
		return r;
	}
	r = ex_cni_link_switch(link.host_end, true);
	if (r == 0)
		ex_info("%s: adopted", name);
	return r;
}

/* 0 when nothing is left to do. */
static int adopt_one(void *arg, const char *name, struct ex_span request)
{
	char why[EX_JV_ERROR_MAX];
	struct ex_jv *tree;
	int r;

	if (ex_jv_read(request, &tree, why) < 0) {
		ex_error("%s: %s", name, why);
		return -EBADMSG;
	}
	r = adopt_link(arg, name, tree, request);
	ex_jv_free(tree);
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
