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
		return -errno;
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

static void set_done(struct gate_set *set)
{
	free(set->dests);
	free(set->rules);
	free(set->counters);
	memset(set, 0, sizeof(*set));
}

static void port_free(struct gate_port *port)
{
	set_done(&port->set);
	ex_closep(&port->flows);
	free(port);
}

void ex_gate_free(struct ex_gate *gate)
{
	struct gate_port *port;

	if (!gate)
		return;
	while ((port = gate->ports)) {
		gate->ports = port->next;
		port_free(port);
	}
	free(gate->spare_counters);
	ring_buffer__free(gate->ring);
	gate_bpf__destroy(gate->skel);
	free(gate);
}

int ex_gate_set_socket(struct ex_gate *gate, enum ex_sock which, int fd)
{
	uint32_t key = which;
	uint64_t value = (uint64_t)fd;

	if (which >= EX_SOCK_MAX || fd < 0)
		return -EINVAL;
	return bpf_map_update_elem(bpf_map__fd(gate->skel->maps.ex_socks), &key, &value, BPF_ANY);
}

/* ---- one ruleset in the maps ---- */

static struct ex_rule_key rule_key(const struct gate_set *set, const struct ex_rule_entry *e)
{
	struct ex_rule_key key = { .prefixlen = 32u + e->prefix,
				   .klass = htonl(set->base + e->klass) };

	if (e->prefix >= 16)
		key.proto = htons(e->proto);
	if (e->prefix > 16)
		key.port = htons(e->port);
	return key;
}

static int rules_write(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t)
{
	int fd = bpf_map__fd(gate->skel->maps.ex_rules);
	struct ex_rule_key *keys;
	size_t i;
	int r;

	if (t->n_rules > set->cap_rules - set->n_rules) {
		keys = reallocarray(set->rules, set->n_rules + t->n_rules, sizeof(*keys));
		if (!keys)
			return -ENOMEM;
		set->rules = keys;
		set->cap_rules = set->n_rules + t->n_rules;
	}
	for (i = 0; i < t->n_rules; i++) {
		struct ex_rule_key key = rule_key(set, &t->rules[i]);
		struct ex_counted_rule value = { 0 };

		if (!t->rules[i].klass || t->rules[i].klass > set->classes ||
		    t->rules[i].prefix > 32)
			return -EINVAL;
		value.rule = t->rules[i].value;
		r = gate_counter_of(gate, set, value.rule.rule, &value.counter);
		if (!r)
			r = bpf_map_update_elem(fd, &key, &value, BPF_ANY);
		if (r)
			return r;
		set->rules[set->n_rules++] = key;
	}
	return 0;
}

static int dests_write(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t)
{
	int fd = bpf_map__fd(gate->skel->maps.ex_dests);
	size_t i;
	int r;

	set->dests = calloc(t->n_dests + 1, sizeof(*set->dests));
	if (!set->dests)
		return -ENOMEM;
	for (i = 0; i < t->n_dests; i++) {
		const struct ex_dest_entry *e = &t->dests[i];
		struct ex_dest_key key = { 32u + e->prefix, set->policy, e->ip };
		struct ex_dest value = { e->klass ? set->base + e->klass : 0 };

		if (e->prefix > 128 || e->klass > set->classes)
			return -EINVAL;
		r = bpf_map_update_elem(fd, &key, &value, BPF_ANY);
		if (r)
			return r;
		set->dests[set->n_dests++] = key;
	}
	return 0;
}

static void names_remove(struct ex_gate *gate, uint32_t policy)
{
	int fd = bpf_map__fd(gate->skel->maps.ex_names);
	struct ex_name_key key, next;
	bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;

	while (more) {
		key = next;
		more = bpf_map_get_next_key(fd, &key, &next) == 0;
		if (key.policy == policy)
			bpf_map_delete_elem(fd, &key);
	}
}

static void set_remove(struct ex_gate *gate, struct gate_set *set)
{
	size_t i;

	for (i = 0; i < set->n_dests; i++)
		bpf_map_delete_elem(bpf_map__fd(gate->skel->maps.ex_dests), &set->dests[i]);
	for (i = 0; i < set->n_rules; i++)
		bpf_map_delete_elem(bpf_map__fd(gate->skel->maps.ex_rules), &set->rules[i]);
	if (set->policy)
		names_remove(gate, set->policy);
	gate_counters_release(gate, set);
	set_done(set);
}

/* The highest class id in use by a set that starts now, or 0 when the numbers are used up. */
static int set_write(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t)
{
	int r;

	if (gate->last_policy == EX_POLICY_PREFILTER - 1 ||
	    t->n_classes > UINT32_MAX - NAME_CLASSES ||
	    gate->last_class > UINT32_MAX - NAME_CLASSES - t->n_classes)
		return -EOVERFLOW;
	set->policy = ++gate->last_policy;
	set->base = gate->last_class;
	set->classes = t->n_classes + NAME_CLASSES;
	gate->last_class += set->classes;
	r = rules_write(gate, set, t);
	if (!r)
		r = dests_write(gate, set, t);
	return r;
}

/* ---- endpoints ---- */

struct gate_port *gate_port_find(const struct ex_gate *gate, uint32_t ifindex)
{
	struct gate_port *port;

	for (port = gate->ports; port; port = port->next)
		if (port->ifindex == ifindex)
			return port;
	return NULL;
}

static bool slot_taken(const struct ex_gate *gate, uint32_t slot)
{
	const struct gate_port *port;

	for (port = gate->ports; port; port = port->next)
		if (port->slot == slot)
			return true;
	return false;
}

static int slot_find(const struct ex_gate *gate, uint32_t *ret)
{
	uint32_t n = bpf_map__max_entries(gate->skel->maps.ex_flows);

	for (*ret = 0; *ret < n; ++*ret)
		if (!slot_taken(gate, *ret))
			return 0;
	return -E2BIG;
}

static int port_new(struct ex_gate *gate, uint32_t ifindex, struct gate_port **ret)
{
	size_t size = bpf_map__value_size(gate->skel->maps.ex_ports);
	EX_AUTO_FREE void *zero = calloc(1, size);
	struct gate_port *port = calloc(1, sizeof(*port));
	int r;

	if (!zero || !port) {
		free(port);
		return -ENOMEM;
	}
	port->ifindex = ifindex;
	port->flows = bpf_map_create(BPF_MAP_TYPE_HASH, "ex_flow_table", sizeof(struct ex_flow_key),
				     sizeof(struct ex_flow_state), gate->flow_limit, NULL);
	r = port->flows < 0 ? port->flows : 0;
	if (!r)
		r = slot_find(gate, &port->slot);
	if (!r)
		r = bpf_map_update_elem(bpf_map__fd(gate->skel->maps.ex_ports), &ifindex, zero,
					BPF_ANY);
	if (!r)
		r = bpf_map_update_elem(bpf_map__fd(gate->skel->maps.ex_flows), &port->slot,
					&port->flows, BPF_ANY);
	if (r) {
		port_free(port);
		return r;
	}
	port->next = gate->ports;
	gate->ports = port;
	*ret = port;
	return 0;
}

/*
 * Returns when every packet that was in the programs at the time of the call has left them: the
 * kernel waits for that whenever an inner map is set.
 */
static int wait_for_packets(struct ex_gate *gate, const struct gate_port *port)
{
	return bpf_map_update_elem(bpf_map__fd(gate->skel->maps.ex_flows), &port->slot,
				   &port->flows, BPF_ANY);
}

int ex_gate_publish(struct ex_gate *gate, uint32_t ifindex, const struct ex_endpoint *ep,
		    const struct ex_tables *tables)
{
	struct gate_port *port = gate_port_find(gate, ifindex);
	struct gate_set fresh = { 0 };
	struct ex_endpoint value = *ep;
	int r = 0;

	if (!ifindex)
		return -EINVAL;
	if (!port)
		r = port_new(gate, ifindex, &port);
	if (!r)
		r = set_write(gate, &fresh, tables);
	if (!r) {
		value.policy = fresh.policy;
		value.generation = ++gate->last_generation;
		value.slot = port->slot;
		r = bpf_map_update_elem(bpf_map__fd(gate->skel->maps.ex_endpoints), &ifindex,
					&value, BPF_ANY);
	}
	if (r) {
		set_remove(gate, &fresh);
		return r;
	}
	port->ep = value;
	/* an old set that cannot be waited out is left in the maps: nothing refers to it */
	if (wait_for_packets(gate, port) == 0)
		set_remove(gate, &port->set);
	else
		set_done(&port->set);
	port->set = fresh;
	return 0;
}

int ex_gate_add_class(struct ex_gate *gate, uint32_t ifindex, const struct ex_tables *entries)
{
	struct gate_port *port = gate_port_find(gate, ifindex);

	return port ? rules_write(gate, &port->set, entries) : -ENOENT;
}

int ex_gate_learn(struct ex_gate *gate, uint32_t ifindex, const struct ex_ip *ip, uint32_t klass,
		  uint64_t ttl_ms)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);
	int fd = bpf_map__fd(gate->skel->maps.ex_names), r;
	struct ex_name_key key;
	struct ex_name name = { 0 };
	uint64_t expires;

	if (!port)
		return -ENOENT;
	key = (struct ex_name_key){ port->set.policy, *ip };
	if (!ttl_ms || !klass) {
		r = bpf_map_delete_elem(fd, &key);
		return r == -ENOENT ? 0 : r;
	}
	if (klass > port->set.classes || ttl_ms > UINT32_MAX * 1000ull)
		return -EINVAL;
	/* The address may have another name that lives longer: what is known is never cut short. */
	if (bpf_map_lookup_elem(fd, &key, &name) < 0)
		name.expires = 0;
	name.klass = port->set.base + klass;
	expires = gate_now() + ttl_ms * 1000000ull;
	if (name.expires < expires)
		name.expires = expires;
	r = bpf_map_update_elem(fd, &key, &name, BPF_ANY);
	if (r != -E2BIG)
		return r;
	gate_sweep(gate);
	return bpf_map_update_elem(fd, &key, &name, BPF_ANY);
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
	bpf_map_delete_elem(bpf_map__fd(gate->skel->maps.ex_ports), &ifindex);
	set_remove(gate, &port->set);
	port_free(port);
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
	int r;

	if (!gate_port_find(gate, ifindex))
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
