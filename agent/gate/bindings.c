/* SPDX-License-Identifier: Apache-2.0 */
/* Names of addresses, kept in a map so that they outlive the process. */
#include <errno.h>

#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "exeat/hash.h"

#define BATCH 256

uint32_t ex_gate_names_max(const struct ex_gate *gate)
{
	return gate->maps.ex_names.max_entries;
}

struct batch {
	struct ex_binding_key keys[BATCH];
	struct ex_binding values[BATCH];
};

typedef void (*batch_fn)(int fd, const struct ex_binding_key *key, const struct ex_binding *value,
			 void *arg);

static void each_binding(const struct ex_gate *gate, batch_fn fn, void *arg)
{
	EX_AUTO_FREE struct batch *b = malloc(sizeof(*b));
	struct gate_batch read = { .fd = gate->maps.ex_bindings.fd, .cap = BATCH };

	while (b && gate_batch_next(&read, b->keys, b->values))
		for (uint32_t i = 0; i < read.n; i++)
			fn(read.fd, &b->keys[i], &b->values[i], arg);
}

static void drop_expired(int fd, const struct ex_binding_key *key, const struct ex_binding *value,
			 void *arg)
{
	const uint64_t *now = arg;

	if (value->expires <= *now)
		bpf_map_delete_elem(fd, key);
}

int ex_gate_binding_put(struct ex_gate *gate, uint32_t ifindex, const struct ex_ip *ip,
			struct ex_span name, uint64_t ttl_ms)
{
	const struct ex_binding_key key = { .ifindex = ifindex, .ip = *ip, .hash = ex_hash(name) };
	struct ex_binding value = { .len = (uint8_t)name.len };
	uint64_t now = gate_now();
	int fd = gate->maps.ex_bindings.fd, r;

	if (!name.len || name.len > EX_NAME_MAX || !gate_port_find(gate, ifindex) ||
	    ttl_ms > UINT32_MAX * 1000ull)
		return -EINVAL;
	memcpy(value.name, name.ptr, name.len);
	value.expires = now + ttl_ms * 1000000ull;
	r = bpf_map_update_elem(fd, &key, &value, BPF_ANY);
	if (r != -E2BIG || !gate_sweep_is_due(&gate->swept_bindings))
		return r;
	each_binding(gate, drop_expired, &now);
	return bpf_map_update_elem(fd, &key, &value, BPF_ANY);
}

void ex_gate_binding_remove(struct ex_gate *gate, uint32_t ifindex, const struct ex_ip *ip,
			    struct ex_span name)
{
	const struct ex_binding_key key = { .ifindex = ifindex, .ip = *ip, .hash = ex_hash(name) };

	bpf_map_delete_elem(gate->maps.ex_bindings.fd, &key);
}

struct telling {
	uint32_t ifindex;
	uint64_t now;
	void (*fn)(void *arg, const struct ex_ip *ip, struct ex_span name, uint64_t ttl_ms);
	void *arg;
};

static void tell(int fd, const struct ex_binding_key *key, const struct ex_binding *value,
		 void *arg)
{
	const struct telling *t = arg;

	if (key->ifindex != t->ifindex)
		return;
	if (value->expires <= t->now)
		bpf_map_delete_elem(fd, key);
	else
		t->fn(t->arg, &key->ip, (struct ex_span){ value->name, value->len },
		      (value->expires - t->now) / 1000000);
}

void ex_gate_bindings_each(struct ex_gate *gate, uint32_t ifindex,
			   void (*fn)(void *arg, const struct ex_ip *ip, struct ex_span name,
				      uint64_t ttl_ms),
			   void *arg)
{
	struct telling t = { ifindex, gate_now(), fn, arg };

	each_binding(gate, tell, &t);
}

static void drop_of(int fd, const struct ex_binding_key *key, const struct ex_binding *value,
		    void *arg)
{
	const uint32_t *ifindex = arg;

	(void)value;
	if (key->ifindex == *ifindex)
		bpf_map_delete_elem(fd, key);
}

void gate_bindings_remove(struct ex_gate *gate, uint32_t ifindex)
{
	each_binding(gate, drop_of, &ifindex);
}
