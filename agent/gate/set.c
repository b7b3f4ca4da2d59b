/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ruleset in the maps: its entries bear a policy id and class ids of its own, so that two
 * rulesets never meet. The keys are kept, so that it can be taken out again.
 */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "gate.skel.h"
#include "agent/gate/gate_internal.h"

/* Room in the class numbers of a ruleset for classes that names make (ex_name_class). */
#define NAME_CLASSES 65536

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

int gate_set_add_rules(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t)
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

/* Forgets the keys; the entries stay in the maps. */
void gate_set_free(struct gate_set *set)
{
	if (!set)
		return;
	free(set->dests);
	free(set->rules);
	free(set->counters);
	free(set);
}

void gate_set_remove(struct ex_gate *gate, struct gate_set *set)
{
	size_t i;

	if (!set)
		return;
	for (i = 0; i < set->n_dests; i++)
		bpf_map_delete_elem(bpf_map__fd(gate->skel->maps.ex_dests), &set->dests[i]);
	for (i = 0; i < set->n_rules; i++)
		bpf_map_delete_elem(bpf_map__fd(gate->skel->maps.ex_rules), &set->rules[i]);
	names_remove(gate, set->policy);
	gate_counters_release(gate, set);
	gate_set_free(set);
}

/* -EOVERFLOW when the numbers of policies or classes are used up: after 65000 rulesets. */
int gate_set_new(struct ex_gate *gate, const struct ex_tables *t, struct gate_set **ret)
{
	struct gate_set *set;
	int r;

	if (gate->last_policy == EX_POLICY_PREFILTER - 1 ||
	    t->n_classes > UINT32_MAX - NAME_CLASSES ||
	    gate->last_class > UINT32_MAX - NAME_CLASSES - t->n_classes)
		return -EOVERFLOW;
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->policy = ++gate->last_policy;
	set->base = gate->last_class;
	set->classes = t->n_classes + NAME_CLASSES;
	gate->last_class += set->classes;
	r = gate_set_add_rules(gate, set, t);
	if (!r)
		r = dests_write(gate, set, t);
	if (r) {
		gate_set_remove(gate, set);
		return r;
	}
	*ret = set;
	return 0;
}

int gate_set_learn(struct ex_gate *gate, const struct gate_set *set,
		   const struct ex_gate_name *name)
{
	int fd = bpf_map__fd(gate->skel->maps.ex_names), r;
	const struct ex_name_key key = { set->policy, name->ip };
	struct ex_name value = { 0 };
	uint64_t expires;

	if (!name->ttl_ms || !name->klass) {
		r = bpf_map_delete_elem(fd, &key);
		return r == -ENOENT ? 0 : r;
	}
	if (name->klass > set->classes || name->ttl_ms > UINT32_MAX * 1000ull)
		return -EINVAL;
	/* The address may have another name that lives longer: what is known is never cut short. */
	if (bpf_map_lookup_elem(fd, &key, &value) < 0)
		value.expires = 0;
	value.klass = set->base + name->klass;
	expires = gate_now() + name->ttl_ms * 1000000ull;
	if (value.expires < expires)
		value.expires = expires;
	r = bpf_map_update_elem(fd, &key, &value, BPF_ANY);
	if (r != -E2BIG)
		return r;
	gate_sweep(gate);
	return bpf_map_update_elem(fd, &key, &value, BPF_ANY);
}
