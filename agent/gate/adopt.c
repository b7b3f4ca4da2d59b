/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the maps hold when a gate starts on those of a former process: endpoints with their rulesets
 * are taken over as they are; what belongs to no endpoint, because the process ended in the middle
 * of something, is taken out.
 */
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"

/* Calls fn for every key; fn may delete it. Stops at the first error. */
static int each_key(struct ex_gate *gate, const struct gate_map *map,
		    int (*fn)(struct ex_gate *gate, const struct gate_map *map, const void *key))
{
	size_t size = map->key_size;
	EX_AUTO_FREE char *key = malloc(size);
	EX_AUTO_FREE char *next = malloc(size);
	int fd = map->fd, r = 0;
	bool more;

	if (!key || !next)
		return -ENOMEM;
	more = bpf_map_get_next_key(fd, NULL, next) == 0;
	while (!r && more) {
		memcpy(key, next, size);
		more = bpf_map_get_next_key(fd, key, next) == 0;
		r = fn(gate, map, key);
	}
	return r;
}

static int drop(const struct gate_map *map, const void *key)
{
	int r = bpf_map_delete_elem(map->fd, key);

	return r == -ENOENT ? 0 : r;
}

static int flows_open(const struct ex_gate *gate, uint32_t slot)
{
	uint32_t id;
	int r = bpf_map_lookup_elem(gate->maps.ex_flows.fd, &slot, &id);

	return r ? r : bpf_map_get_fd_by_id(id);
}

/* -ENOENT: half made. Nothing passes there, and there is nothing to keep. */
static int take_endpoint(struct ex_gate *gate, uint32_t ifindex, uint32_t entry,
			 const struct ex_endpoint *value)
{
	struct gate_port *port = calloc(1, sizeof(*port));

	if (!port)
		return -ENOMEM;
	*port = (struct gate_port){ .next = gate->ports,
				    .ifindex = ifindex,
				    .slot = value->slot,
				    .flows = flows_open(gate, value->slot),
				    .tcx = { -1, -1 },
				    .entry = entry,
				    .ep = *value };
	if (port->flows < 0) {
		gate_port_free(port);
		return -ENOENT;
	}
	gate->ports = port;
	return 0;
}

static struct gate_set **set_place(const struct ex_gate *gate, uint32_t policy)
{
	struct gate_port *port;

	for (port = gate->ports; port; port = port->next) {
		if (port->ep.policy == policy)
			return &port->set;
		if (port->ep.ingress == policy)
			return &port->ingress;
	}
	return NULL;
}

static int take_set(struct ex_gate *gate, const struct gate_map *map, const void *key)
{
	struct gate_set **place;
	struct ex_set value;
	uint32_t policy;
	int r;

	memcpy(&policy, key, sizeof(policy));
	place = set_place(gate, policy);
	r = bpf_map_lookup_elem(map->fd, key, &value);
	if (!place || *place || r)
		return drop(map, key);
	return gate_set_known(policy, &value, place);
}

static int take_dests(struct ex_gate *gate)
{
	struct gate_port *port;
	int r = 0;

	for (port = gate->ports; !r && port; port = port->next) {
		if (port->set)
			r = gate_dests_adopt(gate, port->set, port->ep.dests);
		if (!r && port->ingress)
			r = gate_dests_adopt(gate, port->ingress, port->ep.ingress_dests);
	}
	return r;
}

static bool set_has(const struct gate_set *set, uint32_t klass)
{
	return set && klass - set->base - 1 < set->classes;
}

static struct gate_set *set_of_class(const struct ex_gate *gate, uint32_t klass)
{
	const struct gate_port *port;

	for (port = gate->ports; port; port = port->next) {
		if (set_has(port->set, klass))
			return port->set;
		if (set_has(port->ingress, klass))
			return port->ingress;
	}
	return NULL;
}

static int take_rule(struct ex_gate *gate, const struct gate_map *map, const void *key)
{
	struct ex_counted_rule value;
	struct ex_rule_key rule;
	struct gate_set *set;
	int r;

	memcpy(&rule, key, sizeof(rule));
	set = set_of_class(gate, ntohl(rule.klass));
	r = bpf_map_lookup_elem(map->fd, key, &value);
	if (!set || r)
		return drop(map, key);
	return gate_set_keep_rule(set, &rule, &value);
}

static int take_name(struct ex_gate *gate, const struct gate_map *map, const void *key)
{
	struct ex_name_key name;

	memcpy(&name, key, sizeof(name));
	return set_place(gate, name.policy) ? 0 : drop(map, key);
}

static int take_gateway(struct ex_gate *gate, const struct gate_map *map, const void *key)
{
	uint32_t ifindex;
	int r = bpf_map_lookup_elem(map->fd, key, &ifindex);

	return !r && gate_port_find(gate, ifindex) ? 0 : drop(map, key);
}

/* The key of a binding begins with the endpoint's ifindex. */
static int take_binding(struct ex_gate *gate, const struct gate_map *map, const void *key)
{
	uint32_t ifindex;

	memcpy(&ifindex, key, sizeof(ifindex));
	return gate_port_find(gate, ifindex) ? 0 : drop(map, key);
}

static int slots_clear(struct ex_gate *gate)
{
	const struct gate_map *map = &gate->maps.ex_flows;
	uint32_t slot, id;
	int r = 0;

	for (slot = 0; !r && slot < EX_ENDPOINTS_MAX; slot++)
		if (!gate_slot_taken(gate, slot) && bpf_map_lookup_elem(map->fd, &slot, &id) == 0)
			r = drop(map, &slot);
	return r;
}

int gate_adopt(struct ex_gate *gate)
{
	int r;

	r = gate_endpoints_adopt(gate, take_endpoint);
	if (!r)
		r = each_key(gate, &gate->maps.ex_sets, take_set);
	if (!r)
		r = take_dests(gate);
	if (!r)
		r = each_key(gate, &gate->maps.ex_rules, take_rule);
	if (!r)
		r = each_key(gate, &gate->maps.ex_names, take_name);
	if (!r)
		r = each_key(gate, &gate->maps.ex_gateways, take_gateway);
	if (!r)
		r = each_key(gate, &gate->maps.ex_bindings, take_binding);
	return r ? r : slots_clear(gate);
}

void ex_gate_each(const struct ex_gate *gate,
		  void (*fn)(void *arg, uint32_t ifindex, const struct ex_endpoint *ep), void *arg)
{
	const struct gate_port *port, *next;

	for (port = gate->ports; port; port = next) {
		next = port->next; /* fn may forget it */
		fn(arg, port->ifindex, &port->ep);
	}
}
