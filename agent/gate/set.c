/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ruleset in the maps: its entries bear a policy id and class ids of its own, so that two
 * rulesets never meet. The keys are kept, so that it can be taken out again.
 */
#include <errno.h>

#include <bpf/bpf.h>

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

int gate_set_known(uint32_t policy, const struct ex_set *value, struct gate_set **ret)
{
	struct gate_set *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	set->policy = policy;
	set->base = value->base;
	set->classes = value->classes;
	set->named = true; /* perhaps */
	*ret = set;
	return 0;
}

/* Of a class that names made? Of a set without room for them there is none: one of ingress. */
static bool is_named(const struct gate_set *set, const struct ex_rule_key *key)
{
	return set->classes > NAME_CLASSES &&
	       ntohl(key->klass) - set->base > set->classes - NAME_CLASSES;
}

static int keep_key(struct gate_set *set, const struct ex_rule_key *key)
{
	if (set->n_rules == set->cap_rules) {
		size_t cap = set->cap_rules ? set->cap_rules * 2 : 16;
		struct ex_rule_key *v = reallocarray(set->rules, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		set->rules = v;
		set->cap_rules = cap;
	}
	set->rules[set->n_rules++] = *key;
	set->n_named += is_named(set, key);
	return 0;
}

int gate_set_keep_rule(struct gate_set *set, const struct ex_rule_key *key,
		       const struct ex_counted_rule *value)
{
	int r = keep_key(set, key);

	return r ? r : gate_counter_keep(set, value->rule.rule, value->counter);
}

int gate_set_add_rules(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t)
{
	int fd = gate->maps.ex_rules.fd, r;
	size_t i;

	for (i = 0; i < t->n_rules; i++) {
		struct ex_rule_key key = rule_key(set, &t->rules[i]);
		struct ex_counted_rule value = { 0 };

		if (!t->rules[i].klass || t->rules[i].klass > set->classes ||
		    t->rules[i].prefix > 32)
			return -EINVAL;
		value.rule = t->rules[i].value;
		r = gate_counter_of(gate, set, value.rule.rule, &value.counter);
		if (!r)
			r = keep_key(set, &key); /* first: what is in the map must be known */
		if (!r)
			r = bpf_map_update_elem(fd, &key, &value, BPF_ANY);
		if (r)
			return r;
	}
	return 0;
}

/* All that came behind the first n: of a class that is there in part what denies may be missing. */
static void rules_take_back(struct ex_gate *gate, struct gate_set *set, size_t n)
{
	while (set->n_rules > n) {
		const struct ex_rule_key *key = &set->rules[--set->n_rules];

		set->n_named -= is_named(set, key);
		bpf_map_delete_elem(gate->maps.ex_rules.fd, key);
	}
}

/*
 * Half of the map is for policies. Of the other half an endpoint may have as much as it leaves
 * free: one that makes all the classes it can gets half of it, n of them an n+1st part each, and
 * there is always some left for who has less.
 */
static size_t class_room(const struct ex_gate *gate, const struct gate_set *own)
{
	size_t room = gate->maps.ex_rules.max_entries / 2, others = 0;

	for (const struct gate_port *port = gate->ports; port; port = port->next)
		others += port->set && port->set != own ? port->set->n_named : 0;
	return others < room ? (room - others) / 2 : 0;
}

size_t ex_gate_class_room(const struct ex_gate *gate, uint32_t ifindex)
{
	const struct gate_port *port = gate_port_find(gate, ifindex);

	return class_room(gate, port ? port->set : NULL);
}

int gate_set_add_class(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t)
{
	size_t before = set->n_rules;
	int r;

	if (set->n_named + t->n_rules > class_room(gate, set))
		return -EDQUOT;
	r = gate_set_add_rules(gate, set, t);
	if (r)
		rules_take_back(gate, set, before);
	return r;
}

static void forget_name(struct ex_gate *gate, const struct gate_set *set, const struct ex_ip *ip)
{
	const struct ex_name_key key = { set->policy, *ip };

	bpf_map_delete_elem(gate->maps.ex_names.fd, &key); /* mostly not there */
}

/*
 * What goes needs no room and makes some: it comes first, and what an address has lost it has lost
 * also when there is no room for the rest. No address is put into a class whose rules are not all
 * there: those that are missing may be the ones that deny.
 */
int gate_set_update(struct ex_gate *gate, struct gate_set *set, const struct ex_delta *d,
		    struct gate_set **ret_old)
{
	int r, write;

	*ret_old = NULL;
	if (!set->prefixes) /* adopted: which these are nobody knows */
		return -ESTALE;
	for (size_t i = 0; i < d->n_gone; i++)
		forget_name(gate, set, &d->gone[i].ip);
	for (size_t i = 0; i < d->put.n_dests; i++)
		forget_name(gate, set, &d->put.dests[i].ip);
	gate_dests_drop(gate, set, d->gone, d->n_gone);
	r = gate_set_add_rules(gate, set, &d->put);
	if (!r)
		r = gate_dests_put(gate, set, d->put.dests, d->put.n_dests);
	write = gate_dests_write(gate, set, ret_old);
	return r ? r : write;
}

static void names_remove(struct ex_gate *gate, uint32_t policy)
{
	int fd = gate->maps.ex_names.fd;
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
	free(set->prefixes);
	free(set->rules);
	free(set->counters);
	free(set);
}

void gate_set_remove(struct ex_gate *gate, struct gate_set *set)
{
	size_t i;

	if (!set)
		return;
	gate_dests_remove(gate, set);
	for (i = 0; i < set->n_rules; i++)
		bpf_map_delete_elem(gate->maps.ex_rules.fd, &set->rules[i]);
	if (set->named)
		names_remove(gate, set->policy);
	bpf_map_delete_elem(gate->maps.ex_sets.fd, &set->policy);
	gate_counters_release(gate, set);
	gate_set_free(set);
}

/*
 * A ruleset that has one of the n numbers from base; its first free one goes to *ret. None has:
 * that is so up to *ret_free.
 */
static bool classes_taken(const struct ex_gate *gate, uint64_t base, uint64_t n, uint64_t *ret,
			  uint64_t *ret_free)
{
	int fd = gate->maps.ex_sets.fd;
	uint32_t policy, *last = NULL;
	struct ex_set set;

	*ret_free = EX_CLASS_MAX;
	while (bpf_map_get_next_key(fd, last, &policy) == 0) {
		last = &policy;
		if (bpf_map_lookup_elem(fd, &policy, &set) < 0)
			continue;
		if (base < (uint64_t)set.base + set.classes && set.base < base + n) {
			*ret = (uint64_t)set.base + set.classes;
			return true;
		}
		if (set.base >= base + n && set.base < *ret_free)
			*ret_free = set.base;
	}
	return false;
}

/*
 * Numbers are given out upwards, and again from the beginning when they are used up: those of a
 * ruleset are free when its entries are out of the maps.
 */
static int classes_find(struct ex_gate *gate, uint32_t n, uint32_t *ret)
{
	uint64_t base = gate->state.last_class;
	bool again = false;

	/* Rulesets only come in between by way of this function: it was looked at already. */
	if (base + n <= gate->free_classes) {
		*ret = (uint32_t)base;
		return 0;
	}
	do {
		if (base + n > EX_CLASS_MAX) {
			if (again)
				return -EOVERFLOW;
			again = true;
			base = 0;
		}
	} while (classes_taken(gate, base, n, &base, &gate->free_classes));
	*ret = (uint32_t)base;
	return 0;
}

/* Known to whoever comes after us before the first entry is in a map. */
static int set_announce(struct ex_gate *gate, const struct gate_set *set)
{
	const struct ex_set value = { set->base, set->classes };
	int r = gate_state_save(gate);

	return r ? r
		 : bpf_map_update_elem(gate->maps.ex_sets.fd, &set->policy, &value, BPF_NOEXIST);
}

uint32_t gate_policy_next(struct ex_gate *gate)
{
	struct ex_state *state = &gate->state;

	if (++state->last_policy == 0)
		state->last_policy = 1;
	return state->last_policy;
}

int gate_set_new(struct ex_gate *gate, const struct ex_tables *t, bool names, struct gate_set **ret)
{
	uint32_t room = names ? NAME_CLASSES : 0;
	struct gate_set *set;
	int r;

	if (t->n_classes > EX_CLASS_MAX - NAME_CLASSES)
		return -EOVERFLOW;
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->classes = t->n_classes + room;
	r = classes_find(gate, set->classes, &set->base);
	if (!r) {
		gate->state.last_class = set->base + set->classes;
		set->policy = gate_policy_next(gate);
		r = set_announce(gate, set);
	}
	if (r) {
		free(set);
		return r;
	}
	r = gate_set_add_rules(gate, set, t);
	if (!r)
		r = gate_dests_make(gate, set, t);
	if (r) {
		gate_set_remove(gate, set);
		return r;
	}
	*ret = set;
	return 0;
}

/* What packets read of the entry that this takes, or lets go of, does not count: see ex_state. */
static int name_put(struct ex_gate *gate, const struct ex_name_key *key,
		    const struct ex_name *value)
{
	int r;

	gate->state.turn++;
	r = gate_state_save(gate);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return r ? r : bpf_map_update_elem(gate->maps.ex_names.fd, key, value, BPF_ANY);
}

int gate_set_learn(struct ex_gate *gate, struct gate_set *set, const struct ex_gate_name *name)
{
	const struct ex_name_key key = { set->policy, name->ip };
	struct ex_name value = { .klass = set->base + name->klass };
	int r;

	if (!name->ttl_ms || !name->klass) {
		r = bpf_map_delete_elem(gate->maps.ex_names.fd, &key);
		return r == -ENOENT ? 0 : r;
	}
	if (name->klass > set->classes || name->ttl_ms > UINT32_MAX * 1000ull)
		return -EINVAL;
	set->named = true;
	value.expires = gate_now() + name->ttl_ms * 1000000ull;
	r = name_put(gate, &key, &value);
	if (r != -E2BIG)
		return r;
	gate_settle(gate); /* names of retired rulesets may take the room */
	r = name_put(gate, &key, &value);
	if (r != -E2BIG || !gate_sweep_is_due(&gate->swept_full))
		return r;
	gate_sweep(gate);
	return name_put(gate, &key, &value);
}
