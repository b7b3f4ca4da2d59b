/* SPDX-License-Identifier: Apache-2.0 */
/* Programs on interfaces: each as a filter, and as a link before all filters (tcx.c). */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/core/netns.h"
#include "agent/gate/gate_internal.h"

/* A program that is there already is replaced in one step. */
static int hook_attach(uint32_t ifindex, enum bpf_tc_attach_point point, int prog)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog, .handle = 1, .priority = 1,
		    .flags = BPF_TC_F_REPLACE);
	int r;

	r = bpf_tc_hook_create(&hook);
	if (r && r != -EEXIST)
		return r;
	return bpf_tc_attach(&hook, &opts);
}

static bool is_shared(const struct ex_gate *gate, uint32_t ifindex)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);

	return port && port->ep.flags & EX_EP_SHARED;
}

static int stamp_take(struct ex_gate *gate, uint32_t ifindex)
{
	return gate->lock < 0 || is_shared(gate, ifindex) ? 0 : gate_stamp_take(gate, ifindex);
}

static int program_attach(const struct ex_gate *gate, uint32_t ifindex, bool ingress, int prog)
{
	int r = hook_attach(ifindex, ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS, prog);

	return r ? r : gate_tcx_put(gate, ifindex, ingress, prog);
}

static int programs_attach(const struct ex_gate *gate, uint32_t ifindex)
{
	bool shared = is_shared(gate, ifindex);
	int r = program_attach(gate, ifindex, !shared, gate->progs.from_workload);

	return r ? r : program_attach(gate, ifindex, shared, gate->progs.to_workload);
}

/* What can be passed by is better than what was there. */
int ex_gate_guard(struct ex_gate *gate, uint32_t ifindex)
{
	int passed_by = stamp_take(gate, ifindex), r = programs_attach(gate, ifindex);

	return r ? r : passed_by;
}

int gate_prog_is_ours(uint32_t id)
{
	EX_AUTO_CLOSE int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int r = fd < 0 ? fd : bpf_obj_get_info_by_fd(fd, &info, &len);

	if (r)
		return r == -ENOENT ? 0 : r;
	return strcmp(info.name, "from_workload") == 0 || strcmp(info.name, "to_workload") == 0;
}

static int hook_find(uint32_t ifindex, bool *ret)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	int r = bpf_tc_query(&hook, &opts);

	*ret = false;
	if (r == -ENOENT || r == -EINVAL || r == -ENODEV) /* nor a hook, nor the interface */
		return 0;
	if (!r)
		r = gate_prog_is_ours(opts.prog_id);
	*ret = r > 0;
	return r < 0 ? r : 0;
}

static int programs_find(uint32_t ifindex, bool *ret)
{
	int r = gate_tcx_find(ifindex, ret);

	return r || *ret ? r : hook_find(ifindex, ret);
}

int ex_gate_guard_again(struct ex_gate *gate, uint32_t ifindex)
{
	bool there;
	int r;

	libbpf_set_print(NULL); /* it speaks of each interface that has no filters */
	r = programs_find(ifindex, &there);
	return r || !there ? r : ex_gate_guard(gate, ifindex);
}

int ex_gate_attach(struct ex_gate *gate, uint32_t ifindex)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);
	int r;

	if (!port || !port->set)
		return -EINVAL; /* maps are filled before programs are attached */
	r = stamp_take(gate, ifindex);
	return r ? r : programs_attach(gate, ifindex);
}

static int hook_detach(uint32_t ifindex, enum bpf_tc_attach_point point)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	int r = bpf_tc_detach(&hook, &opts);

	return r == -ENOENT ? 0 : r;
}

int ex_gate_detach(const struct ex_gate *gate, uint32_t ifindex)
{
	int r = gate_tcx_drop(gate, ifindex);

	if (!r)
		r = hook_detach(ifindex, BPF_TC_INGRESS);
	if (!r)
		r = hook_detach(ifindex, BPF_TC_EGRESS);
	return r ? r : gate_stamp_leave(ifindex);
}

int ex_gate_detach_found(uint32_t ifindex)
{
	bool there;
	int r;

	libbpf_set_print(NULL); /* it speaks of each interface that has no filters */
	r = programs_find(ifindex, &there);
	return r || !there ? r : ex_gate_detach(NULL, ifindex);
}

/* The other end: in its own namespace the endpoint's number is its own. */
static int hand_over_attach(const struct ex_gate *gate, uint32_t ifindex, int netns)
{
	EX_AUTO_CLOSE int here = ex_netns_own();
	int r = here < 0 ? here : ex_netns_go(netns);

	if (r)
		return r;
	r = hook_attach(ifindex, BPF_TC_INGRESS, gate->progs.hand_over);
	ex_netns_back(here);
	return r;
}

int ex_gate_attach_gateway(struct ex_gate *gate, uint32_t ifindex, uint32_t gateway, int netns)
{
	struct gate_port *port = gate_port_find(gate, ifindex);
	int r;

	if (!port || !port->set || !(port->ep.flags & EX_EP_GATEWAY) ||
	    port->ep.gateway != gateway || !gateway)
		return -EINVAL;
	r = hand_over_attach(gate, ifindex, netns);
	if (!r)
		r = bpf_map_update_elem(gate->maps.ex_gateways.fd, &gateway, &ifindex, BPF_ANY);
	if (!r)
		r = hook_attach(gateway, BPF_TC_INGRESS, gate->progs.from_gateway);
	return r;
}

void gate_gateway_remove(struct ex_gate *gate, const struct gate_port *port)
{
	uint32_t gateway = port->ep.gateway;

	if (gateway)
		bpf_map_delete_elem(gate->maps.ex_gateways.fd, &gateway);
}
