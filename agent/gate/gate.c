/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load, fill, swap, attach. A ruleset is swapped by writing all of the new one under a fresh policy
 * id and fresh class ids, then the endpoint entry in one update, then, when no packet can be on its
 * way through the old one any more, taking the old entries out.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "gate.skel.h"
#include "agent/gate/gate_internal.h"

/* Room in the class numbers of a ruleset for classes that names make (ex_name_class). */
#define NAME_CLASSES  65536
#define FLOWS_DEFAULT 16384

/* ---- libbpf's chatter: kept while loading, shown when loading fails ---- */

static char chatter[65536];
static size_t chatter_len;

static int chatter_keep(enum libbpf_print_level level, const char *format, va_list args)
{
	int n;

	if (level == LIBBPF_DEBUG || chatter_len >= sizeof(chatter) - 1)
		return 0;
	n = vsnprintf(chatter + chatter_len, sizeof(chatter) - chatter_len, format, args);
	if (n > 0)
		chatter_len += (size_t)n;
	if (chatter_len > sizeof(chatter) - 1)
		chatter_len = sizeof(chatter) - 1;
	return n;
}

static void memlock_raise(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	/* only kernels before 5.11 need it; the load itself tells when it was not enough */
	(void)setrlimit(RLIMIT_MEMLOCK, &all);
}

static int skel_open(struct ex_gate *gate, const struct ex_gate_limits *limits)
{
	struct gate_bpf *skel = gate_bpf__open();
	uint32_t mark = 0;
	int r = 0;

	if (!skel)
		return -ENOMEM;
	gate->skel = skel;
	while (!mark)
		if (getrandom(&mark, sizeof(mark), 0) != sizeof(mark))
			return -EIO;
	skel->rodata->refuse_mark = mark;
	if (limits && limits->dests)
		r = bpf_map__set_max_entries(skel->maps.ex_dests, limits->dests);
	if (!r && limits && limits->rules)
		r = bpf_map__set_max_entries(skel->maps.ex_rules, limits->rules);
	if (!r && limits && limits->names)
		r = bpf_map__set_max_entries(skel->maps.ex_names, limits->names);
	return r;
}

int ex_gate_load(const struct ex_gate_limits *limits, struct ex_gate **ret)
{
	struct ex_gate *gate = calloc(1, sizeof(*gate));
	int r;

	if (!gate)
		return -ENOMEM;
	gate->flow_limit = limits && limits->flows ? limits->flows : FLOWS_DEFAULT;
	memlock_raise();
	chatter_len = 0;
	libbpf_set_print(chatter_keep);
	r = skel_open(gate, limits);
	if (!r)
		r = gate_bpf__load(gate->skel);
	if (!r)
		r = gate_events_open(gate);
	if (!r)
		r = gate_counters_open(gate);
	if (r) {
		fprintf(stderr, "exeat: kernel gate: cannot load: %s\n%.*s", strerror(-r),
			(int)chatter_len, chatter);
		ex_gate_free(gate);
		return r;
	}
	*ret = gate;
	return 0;
}

void ex_gate_free(struct ex_gate *gate)
{
	struct gate_port *port;

	if (!gate)
		return;
	while ((port = gate->ports)) {
		gate->ports = port->next;
		gate_port_free(port);
	}
	free(gate->spare_counters);
	ring_buffer__free(gate->ring);
	gate_bpf__destroy(gate->skel);
	free(gate);
}

/* ---- endpoints ---- */

/* In one step: the endpoint's entry is replaced as a whole. */
static int port_flip(struct ex_gate *gate, struct gate_port *port, const struct ex_endpoint *ep,
		     struct gate_set *fresh)
{
	struct ex_endpoint value = *ep;
	int r;

	value.policy = fresh->policy;
	value.generation = ++gate->last_generation;
	value.slot = port->slot;
	value.workers = port->ep.workers;
	r = bpf_map_update_elem(bpf_map__fd(gate->skel->maps.ex_endpoints), &port->ifindex, &value,
				BPF_ANY);
	if (r)
		return r;
	port->ep = value;
	/* an old set that cannot be waited out is left in the maps: nothing refers to it */
	if (port->set && gate_wait_for_packets(gate, port) == 0)
		gate_set_remove(gate, port->set);
	else
		gate_set_free(port->set);
	port->set = fresh;
	return 0;
}

int ex_gate_publish_with_names(struct ex_gate *gate, uint32_t ifindex, const struct ex_endpoint *ep,
			       const struct ex_tables *tables, const struct ex_gate_names *names)
{
	struct gate_set *fresh = NULL;
	struct gate_port *port;
	size_t i;
	int r;

	r = gate_port_get(gate, ifindex, &port);
	if (!r)
		r = gate_set_new(gate, tables, &fresh);
	if (r)
		return r;
	if (names && names->classes)
		r = gate_set_add_rules(gate, fresh, names->classes);
	for (i = 0; !r && names && i < names->n; i++)
		r = gate_set_learn(gate, fresh, &names->v[i]);
	if (!r)
		r = port_flip(gate, port, ep, fresh);
	if (r)
		gate_set_remove(gate, fresh);
	return r;
}

int ex_gate_publish(struct ex_gate *gate, uint32_t ifindex, const struct ex_endpoint *ep,
		    const struct ex_tables *tables)
{
	return ex_gate_publish_with_names(gate, ifindex, ep, tables, NULL);
}

int ex_gate_add_class(struct ex_gate *gate, uint32_t ifindex, const struct ex_tables *entries)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);

	return port && port->set ? gate_set_add_rules(gate, port->set, entries) : -ENOENT;
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
	bpf_map_delete_elem(bpf_map__fd(gate->skel->maps.ex_endpoints), &ifindex);
	bpf_map_delete_elem(bpf_map__fd(gate->skel->maps.ex_flows), &port->slot); /* waits */
	gate_sockets_remove(gate, port);
	bpf_map_delete_elem(bpf_map__fd(gate->skel->maps.ex_ports), &ifindex);
	gate_set_remove(gate, port->set);
	port->set = NULL;
	gate_port_free(port);
}

static int hook_attach(uint32_t ifindex, enum bpf_tc_attach_point point, int prog)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog, .handle = 1, .priority = 1,
		    .flags = BPF_TC_F_REPLACE);

	return bpf_tc_attach(&hook, &opts);
}

int ex_gate_attach(struct ex_gate *gate, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	const struct gate_port *port = gate_port_find(gate, ifindex);
	int r;

	if (!port || !port->set)
		return -EINVAL; /* maps are filled before programs are attached */
	chatter_len = 0;
	r = bpf_tc_hook_create(&hook);
	if (r && r != -EEXIST)
		return r;
	r = hook_attach(ifindex, BPF_TC_INGRESS, bpf_program__fd(gate->skel->progs.from_workload));
	if (!r)
		r = hook_attach(ifindex, BPF_TC_EGRESS,
				bpf_program__fd(gate->skel->progs.to_workload));
	return r;
}

int gate_prog_fd(const struct ex_gate *gate, bool outbound)
{
	return bpf_program__fd(outbound ? gate->skel->progs.from_workload
					: gate->skel->progs.to_workload);
}

int gate_map_fd(const struct ex_gate *gate, const char *name)
{
	return bpf_object__find_map_fd_by_name(gate->skel->obj, name);
}
