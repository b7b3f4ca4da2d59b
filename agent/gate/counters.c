/* SPDX-License-Identifier: Apache-2.0 */
/* Counters by reason and by rule; which counter a rule of a ruleset has. */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/gate/gate_internal.h"

#define RULES_MAX (1u << 20) /* rule ids: a bound for the table by id, far above any policy */

static void counters_mark(const struct gate_set *set, bool *used, uint32_t n)
{
	for (size_t i = 0; set && i < set->n_counters; i++)
		if (set->counters[i] < n)
			used[set->counters[i]] = true;
}

/* After gate_adopt(): rulesets may be there. */
int gate_counters_open(struct ex_gate *gate)
{
	uint32_t n = gate->maps.ex_rule_counts.max_entries, i;
	EX_AUTO_FREE bool *used = calloc(n, sizeof(*used));
	const struct gate_port *port;

	gate->spare_counters = calloc(n, sizeof(*gate->spare_counters));
	if (!gate->spare_counters || !used)
		return -ENOMEM;
	for (port = gate->ports; port; port = port->next) {
		counters_mark(port->set, used, n);
		counters_mark(port->ingress, used, n);
	}
	for (i = n - 1; i > 0; i--) /* 0 stays out: it is "no counter" */
		if (!used[i])
			gate->spare_counters[gate->n_spare_counters++] = i;
	return 0;
}

static int counter_zero(const struct ex_gate *gate, uint32_t counter)
{
	int cpus = libbpf_num_possible_cpus();
	EX_AUTO_FREE struct ex_count *zero = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*zero));

	if (!zero || cpus <= 0)
		return -ENOMEM;
	return bpf_map_update_elem(gate->maps.ex_rule_counts.fd, &counter, zero, BPF_ANY);
}

static int counters_reserve(struct gate_set *set, uint32_t rule)
{
	uint32_t *counters;

	if (rule < set->n_counters)
		return 0;
	if (rule >= RULES_MAX)
		return -EINVAL;
	counters = reallocarray(set->counters, rule + 1, sizeof(*counters));
	if (!counters)
		return -ENOMEM;
	memset(counters + set->n_counters, 0, (rule + 1 - set->n_counters) * sizeof(*counters));
	set->counters = counters;
	set->n_counters = rule + 1;
	return 0;
}

int gate_counter_keep(struct gate_set *set, uint32_t rule, uint32_t counter)
{
	int r = counters_reserve(set, rule);

	if (!r && rule)
		set->counters[rule] = counter;
	return r;
}

/* A rule goes uncounted (*ret = 0) when no counter is left: counting decides nothing. */
int gate_counter_of(struct ex_gate *gate, struct gate_set *set, uint32_t rule, uint32_t *ret)
{
	int r;

	*ret = 0;
	if (!rule)
		return 0;
	r = counters_reserve(set, rule);
	if (r)
		return r;
	if (!set->counters[rule] && gate->n_spare_counters) {
		uint32_t counter = gate->spare_counters[gate->n_spare_counters - 1];

		r = counter_zero(gate, counter);
		if (r)
			return r;
		gate->n_spare_counters--;
		set->counters[rule] = counter;
	}
	*ret = set->counters[rule];
	return 0;
}

void gate_counters_release(struct ex_gate *gate, struct gate_set *set)
{
	size_t i;

	for (i = 0; i < set->n_counters; i++)
		if (set->counters[i])
			gate->spare_counters[gate->n_spare_counters++] = set->counters[i];
	set->n_counters = 0;
}

static int counter_read(const struct gate_map *map, const void *key, struct ex_counter *ret)
{
	int cpus = libbpf_num_possible_cpus(), r, i;
	EX_AUTO_FREE struct ex_count *each = NULL;

	*ret = (struct ex_counter){ 0 };
	if (cpus <= 0)
		return -EIO;
	each = calloc((size_t)cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	r = bpf_map_lookup_elem(map->fd, key, each);
	if (r)
		return r;
	for (i = 0; i < cpus; i++) {
		ret->packets += each[i].packets;
		ret->bytes += each[i].bytes;
	}
	return 0;
}

int ex_gate_count_reason(struct ex_gate *gate, enum ex_reason reason, struct ex_counter *ret)
{
	uint32_t key = reason;

	return counter_read(&gate->maps.ex_reasons, &key, ret);
}

static int set_count(const struct ex_gate *gate, const struct gate_set *set, uint32_t rule,
		     struct ex_counter *sum)
{
	uint32_t key = set && rule < set->n_counters ? set->counters[rule] : 0;
	struct ex_counter c;
	int r;

	if (!key)
		return 0;
	r = counter_read(&gate->maps.ex_rule_counts, &key, &c);
	if (r)
		return r;
	sum->packets += c.packets;
	sum->bytes += c.bytes;
	return 0;
}

int ex_gate_count_rule(struct ex_gate *gate, uint32_t ifindex, uint32_t rule,
		       struct ex_counter *ret)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);
	int r;

	if (!port)
		return -ENOENT;
	*ret = (struct ex_counter){ 0 };
	r = set_count(gate, port->set, rule, ret);
	return r ? r : set_count(gate, port->ingress, rule, ret);
}
