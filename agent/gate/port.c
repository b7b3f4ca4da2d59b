/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints as the gate keeps them: their slot, flow table, and the sockets of their workers. */
#include <errno.h>

#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"

struct gate_port *gate_port_find(const struct ex_gate *gate, uint32_t ifindex)
{
	struct gate_port *port;

	for (port = gate->ports; port; port = port->next)
		if (port->ifindex == ifindex)
			return port;
	return NULL;
}

void gate_port_free(struct gate_port *port)
{
	gate_set_free(port->set);
	gate_set_free(port->ingress);
	ex_closep(&port->flows);
	for (size_t i = 0; i < EX_ARRAY_SIZE(port->tcx); i++)
		gate_tcx_close(&port->tcx[i]);
	free(port);
}

bool gate_slot_taken(const struct ex_gate *gate, uint32_t slot)
{
	const struct gate_port *port;

	for (port = gate->ports; port; port = port->next)
		if (port->slot == slot)
			return true;
	return false;
}

static int slot_find(const struct ex_gate *gate, uint32_t *ret)
{
	for (*ret = 0; *ret < EX_ENDPOINTS_MAX; ++*ret)
		if (!gate_slot_taken(gate, *ret))
			return 0;
	return -E2BIG;
}

int gate_port_reset(struct ex_gate *gate, uint32_t slot)
{
	const struct ex_port_state zero = { 0 };

	return bpf_map_update_elem(gate->maps.ex_ports.fd, &slot, &zero, BPF_ANY);
}

static void sockets_clear(struct ex_gate *gate, uint32_t slot, uint32_t workers)
{
	uint32_t key = slot * EX_WORKERS_MAX * EX_SOCK_MAX, i;

	for (i = 0; i < workers * EX_SOCK_MAX; i++, key++)
		bpf_map_delete_elem(gate->maps.ex_socks.fd, &key);
}

static int port_write(struct ex_gate *gate, struct gate_port *port)
{
	int r = gate_port_reset(gate, port->slot);

	sockets_clear(gate, port->slot, EX_WORKERS_MAX); /* who had the slot may have crashed */
	return r ? r : gate_wait_for_packets(gate, port);
}

int gate_port_get(struct ex_gate *gate, uint32_t ifindex, struct gate_port **ret)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	struct gate_port *port = gate_port_find(gate, ifindex);
	int r;

	if (port || !ifindex) {
		*ret = port;
		return port ? 0 : -EINVAL;
	}
	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	port->ifindex = ifindex;
	port->tcx[0] = port->tcx[1] = -1;
	port->ep.until = UINT64_MAX;
	port->flows = bpf_map_create(BPF_MAP_TYPE_HASH, "ex_flow_table", sizeof(struct ex_flow_key),
				     sizeof(struct ex_flow_state), gate->flow_limit, &opts);
	r = port->flows < 0 ? port->flows : 0;
	if (!r)
		r = slot_find(gate, &port->slot);
	if (!r)
		r = port_write(gate, port);
	if (r) {
		gate_port_free(port);
		return r;
	}
	port->next = gate->ports;
	gate->ports = port;
	*ret = port;
	return 0;
}

int gate_wait_for_packets(struct ex_gate *gate, const struct gate_port *port)
{
	int r = bpf_map_update_elem(gate->maps.ex_flows.fd, &port->slot, &port->flows, BPF_ANY);

	if (!r)
		gate_endpoints_settled(gate);
	return r;
}

/* ---- sockets ---- */

static uint32_t socket_key(const struct gate_port *port, uint32_t worker, uint32_t which)
{
	return (port->slot * EX_WORKERS_MAX + worker) * EX_SOCK_MAX + which;
}

/* The programs look at sockets of this many workers. */
static int workers_raise(struct ex_gate *gate, struct gate_port *port, uint32_t workers)
{
	struct ex_endpoint ep = port->ep;

	if (port->ep.workers >= workers)
		return 0;
	ep.workers = workers;
	if (port->set)
		return gate_endpoint_set(gate, port, &ep);
	port->ep.workers = workers;
	return 0;
}

int ex_gate_set_socket(struct ex_gate *gate, uint32_t ifindex, enum ex_sock which, uint32_t worker,
		       int fd)
{
	int socks = gate->maps.ex_socks.fd, r;
	uint64_t value = (uint64_t)fd;
	struct gate_port *port;
	uint32_t key;

	if (which >= EX_SOCK_MAX || worker >= EX_WORKERS_MAX)
		return -EINVAL;
	r = gate_port_get(gate, ifindex, &port);
	if (r)
		return r;
	key = socket_key(port, worker, which);
	if (fd < 0) {
		r = bpf_map_delete_elem(socks, &key);
		return r == -EINVAL || r == -ENOENT ? 0 : r; /* there was none */
	}
	r = bpf_map_update_elem(socks, &key, &value, BPF_ANY);
	return r ? r : workers_raise(gate, port, worker + 1);
}

void gate_sockets_remove(struct ex_gate *gate, const struct gate_port *port)
{
	sockets_clear(gate, port->slot, port->ep.workers);
}
