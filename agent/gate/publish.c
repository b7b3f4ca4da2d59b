/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ruleset is swapped by writing all of the new one under a fresh policy id and fresh class ids,
 * then the endpoint entry in one update, then, when no packet can be on its way through the old one
 * any more, taking the old entries out.
 */
#include <errno.h>

#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"

/* RFC 4291, appendix A: what the kernel makes of a MAC by default. */
static void link_local_make(struct ex_endpoint *ep)
{
	static const struct ex_ip none;
	struct ex_ip *ll = &ep->ll6;

	if (!(ep->flags & EX_EP_BRIDGED) || memcmp(ll, &none, sizeof(none)) != 0)
		return;
	ll->b[0] = 0xfe;
	ll->b[1] = 0x80;
	memcpy(ll->b + 8, ep->mac, 3);
	ll->b[8] ^= 2;
	ll->b[11] = 0xff;
	ll->b[12] = 0xfe;
	memcpy(ll->b + 13, ep->mac + 3, 3);
}

/* In one step: the endpoint's entry is replaced as a whole. Takes the sets when it succeeds. */
static int port_flip(struct ex_gate *gate, struct gate_port *port, const struct ex_endpoint *ep,
		     struct gate_set *egress, struct gate_set *ingress)
{
	struct ex_endpoint value = *ep;
	int r;

	if (!egress)
		return -EINVAL;
	value.policy = egress->policy;
	value.ingress = ingress ? ingress->policy : 0;
	value.dests = egress->root;
	value.ingress_dests = ingress ? ingress->root : 0;
	value.generation = ++gate->state.last_generation;
	value.slot = port->slot;
	value.until = port->ep.until;
	value.workers = port->ep.workers;
	link_local_make(&value);
	r = gate_state_save(gate);
	if (!r)
		r = gate_endpoint_set(gate, port, &value);
	if (r)
		return r;
	gate_retire(gate, port->set);
	gate_retire(gate, port->ingress);
	port->set = egress;
	port->ingress = ingress;
	return 0;
}

static int names_write(struct ex_gate *gate, struct gate_set *set,
		       const struct ex_gate_names *names)
{
	int r = names->classes ? gate_set_add_rules(gate, set, names->classes) : 0;

	for (size_t i = 0; !r && i < names->n; i++)
		r = gate_set_learn(gate, set, &names->v[i]);
	return r;
}

static int sets_write(struct ex_gate *gate, const struct ex_gate_ruleset *ruleset,
		      struct gate_set **egress, struct gate_set **ingress)
{
	int r = gate_set_new(gate, ruleset->egress, true, egress);

	if (!r && ruleset->names)
		r = names_write(gate, *egress, ruleset->names);
	if (!r && ruleset->ingress)
		r = gate_set_new(gate, ruleset->ingress, false, ingress);
	if (r) {
		gate_set_remove(gate, *egress);
		*egress = NULL;
	}
	return r;
}

int ex_gate_publish_both(struct ex_gate *gate, uint32_t ifindex, const struct ex_endpoint *ep,
			 const struct ex_gate_ruleset *ruleset)
{
	struct gate_set *egress = NULL, *ingress = NULL;
	struct gate_port *port;
	int r;

	r = gate_port_get(gate, ifindex, &port);
	if (r)
		return r;
	r = sets_write(gate, ruleset, &egress, &ingress);
	if (r == -ENOSPC || r == -E2BIG) { /* the retired ones may take the room */
		gate_settle(gate);
		r = sets_write(gate, ruleset, &egress, &ingress);
	}
	if (r)
		return r;
	r = port_flip(gate, port, ep, egress, ingress);
	if (r) {
		gate_set_remove(gate, egress);
		gate_set_remove(gate, ingress);
	}
	return r;
}

/*
 * The trees that the rulesets have now, in one step, and another generation, so that live flows are
 * asked about again.
 */
static int port_refresh(struct ex_gate *gate, struct gate_port *port)
{
	struct ex_endpoint value = port->ep;
	int r;

	value.dests = port->set->root;
	value.ingress_dests = port->ingress ? port->ingress->root : 0;
	value.generation = ++gate->state.last_generation;
	r = gate_state_save(gate);
	return r ? r : gate_endpoint_set(gate, port, &value);
}

/* When the endpoint has not got the new trees, packets read the old ones: they stay in the map. */
static void old_retire(struct ex_gate *gate, struct gate_set *old, bool replaced)
{
	if (replaced)
		gate_retire(gate, old);
	else
		gate_set_free(old);
}

int ex_gate_update(struct ex_gate *gate, uint32_t ifindex, const struct ex_delta *egress,
		   const struct ex_delta *ingress)
{
	struct gate_port *port = gate_port_find(gate, ifindex);
	struct gate_set *old = NULL, *old_in = NULL;
	bool inward = !ex_delta_is_empty(ingress);
	int r = 0, out = 0, again;

	if (ex_delta_is_empty(egress) && !inward)
		return 0;
	if (!port || !port->set || (inward && !port->ingress))
		return -ENOENT;
	if (inward)
		r = gate_set_update(gate, port->ingress, ingress, &old_in);
	if (!ex_delta_is_empty(egress))
		out = gate_set_update(gate, port->set, egress, &old);
	again = port_refresh(gate, port); /* also what was done in part */
	old_retire(gate, old_in, !again);
	old_retire(gate, old, !again);
	return r ? r : out ? out : again;
}

int ex_gate_publish(struct ex_gate *gate, uint32_t ifindex, const struct ex_endpoint *ep,
		    const struct ex_tables *tables)
{
	return ex_gate_publish_both(gate, ifindex, ep,
				    &(struct ex_gate_ruleset){ .egress = tables });
}

int ex_gate_lease(struct ex_gate *gate, uint32_t ifindex, uint64_t ms)
{
	uint64_t until = ms ? gate_now() + ms * 1000000 : UINT64_MAX;
	struct gate_port *port;
	struct ex_endpoint value;
	int r = gate_port_get(gate, ifindex, &port);

	if (r || port->ep.until == until)
		return r;
	value = port->ep;
	value.until = until;
	if (port->set)
		return gate_endpoint_set(gate, port, &value);
	port->ep.until = until;
	return 0;
}

int ex_gate_deny(struct ex_gate *gate, uint32_t ifindex)
{
	struct gate_port *port = gate_port_find(gate, ifindex);
	struct ex_endpoint value;
	int r;

	if (!port || !port->set)
		return 0; /* nothing passes */
	value = port->ep;
	value.policy = value.ingress = value.dests = value.ingress_dests = 0;
	r = gate_endpoint_set(gate, port, &value);
	if (r)
		return r;
	gate_retire(gate, EX_TAKE_PTR(port->set));
	gate_retire(gate, EX_TAKE_PTR(port->ingress));
	return 0;
}

int ex_gate_refuse(struct ex_gate *gate, uint32_t ifindex)
{
	struct gate_port *port = gate_port_find(gate, ifindex);
	struct ex_endpoint value;
	int r = ex_gate_deny(gate, ifindex);

	if (r || !port || port->ep.policy)
		return r;
	value = port->ep;
	value.policy = gate_policy_next(gate);
	value.generation = ++gate->state.last_generation;
	if (gate_state_save(gate) == 0)
		(void)gate_endpoint_set(gate, port, &value);
	return 0; /* else it is denied without a word */
}

int ex_gate_add_class(struct ex_gate *gate, uint32_t ifindex, const struct ex_tables *entries)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);

	return port && port->set ? gate_set_add_class(gate, port->set, entries) : -ENOENT;
}

int ex_gate_learn(struct ex_gate *gate, uint32_t ifindex, const struct ex_ip *ip, uint32_t klass,
		  uint64_t ttl_ms)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);
	const struct ex_gate_name name = { *ip, klass, ttl_ms };

	return port && port->set ? gate_set_learn(gate, port->set, &name) : -ENOENT;
}

void ex_gate_forget(struct ex_gate *gate, uint32_t ifindex)
{
	struct gate_port **at, *port;

	for (at = &gate->ports; *at && (*at)->ifindex != ifindex; at = &(*at)->next)
		;
	port = *at;
	if (!port)
		return;
	*at = port->next;
	gate_gateway_remove(gate, port);
	gate_bindings_remove(gate, ifindex);
	gate_endpoint_remove(gate, port);
	bpf_map_delete_elem(gate->maps.ex_flows.fd, &port->slot); /* waits, too */
	gate_sockets_remove(gate, port);
	gate_endpoints_settled(gate);
	gate_set_remove(gate, port->set);
	gate_set_remove(gate, port->ingress);
	port->set = port->ingress = NULL;
	gate_retired_remove(gate);
	gate_port_free(port);
}
