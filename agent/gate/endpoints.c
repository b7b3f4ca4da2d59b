/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints in the maps (see exeat/abi.h): each version of one is written to an entry that nobody
 * reads, then a word leads there, and the entry of before is used again when no packet can be
 * reading it any more.
 */
#include <errno.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"

/* Zero at first: a former process may have left it just now. */
enum { ENTRY_LEFT, ENTRY_FREE, ENTRY_TAKEN };

int gate_endpoints_open(struct ex_gate *gate)
{
	void *v;
	int r = gate_map_share(gate->maps.ex_interfaces.fd,
			       EX_IF_BUCKETS * sizeof(struct ex_if_bucket), &v);

	if (!r)
		gate->endpoints.buckets = v;
	return r;
}

void gate_endpoints_close(struct ex_gate *gate)
{
	if (gate->endpoints.buckets)
		(void)munmap(gate->endpoints.buckets, EX_IF_BUCKETS * sizeof(struct ex_if_bucket));
}

/* Of what == 0: a free one. NULL: there is none in the bucket of the interface. */
static uint64_t *word_find(const struct ex_gate *gate, uint32_t ifindex, uint32_t what)
{
	uint64_t *words = (uint64_t *)gate->endpoints.buckets[ifindex % EX_IF_BUCKETS].words;

	for (size_t i = 0; i < EX_IF_WORDS; i++)
		if ((uint32_t)words[i] == what)
			return &words[i];
	return NULL;
}

static void word_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint32_t entry_find(const struct gate_endpoints *e)
{
	const uint8_t *found = memchr(e->entries + 1, ENTRY_FREE, EX_ENTRIES - 1);

	return found ? (uint32_t)(found - e->entries) : 0;
}

/* There are as many to spare as there may be endpoints: that it has to be waited for is rare. */
static int entry_take(struct ex_gate *gate, const struct gate_port *port, uint32_t *ret)
{
	int r = 0;

	*ret = entry_find(&gate->endpoints);
	if (!*ret) {
		r = gate_wait_for_packets(gate, port);
		*ret = entry_find(&gate->endpoints);
	}
	return r ? r : *ret ? 0 : -ENOSPC;
}

static void entry_leave(struct ex_gate *gate, uint32_t entry)
{
	if (entry)
		gate->endpoints.entries[entry] = ENTRY_LEFT;
}

void gate_endpoints_settled(struct ex_gate *gate)
{
	uint8_t *entries = gate->endpoints.entries;

	for (size_t i = 0; i < EX_ENTRIES; i++)
		if (entries[i] == ENTRY_LEFT)
			entries[i] = ENTRY_FREE;
}

int gate_endpoint_set(struct ex_gate *gate, struct gate_port *port, const struct ex_endpoint *value)
{
	uint64_t *word = word_find(gate, port->ifindex, port->entry ? port->ifindex : 0);
	uint32_t entry;
	int r;

	if (!word)
		return -E2BIG;
	r = entry_take(gate, port, &entry);
	if (!r)
		r = bpf_map_update_elem(gate->maps.ex_endpoints.fd, &entry, value, BPF_ANY);
	if (r)
		return r;
	word_set(word, (uint64_t)entry << 32 | port->ifindex);
	gate->endpoints.entries[entry] = ENTRY_TAKEN;
	entry_leave(gate, port->entry);
	port->entry = entry;
	port->ep = *value;
	return 0;
}

void gate_endpoint_remove(struct ex_gate *gate, struct gate_port *port)
{
	if (!port->entry)
		return;
	word_set(word_find(gate, port->ifindex, port->ifindex), 0);
	entry_leave(gate, port->entry);
	port->entry = 0;
}

static int word_adopt(struct ex_gate *gate, uint64_t *word, gate_endpoint_fn fn)
{
	uint32_t entry = *word >> 32;
	struct ex_endpoint value;
	int r;

	if (!entry || entry >= EX_ENTRIES)
		return -EPROTO;
	r = bpf_map_lookup_elem(gate->maps.ex_endpoints.fd, &entry, &value);
	if (!r)
		r = fn(gate, (uint32_t)*word, entry, &value);
	if (r == -ENOENT)
		word_set(word, 0);
	else
		gate->endpoints.entries[entry] = ENTRY_TAKEN;
	return r == -ENOENT ? 0 : r;
}

int gate_endpoints_adopt(struct ex_gate *gate, gate_endpoint_fn fn)
{
	int r = 0;

	for (size_t i = 0; i < EX_IF_BUCKETS * EX_IF_WORDS && !r; i++) {
		uint64_t *word = (uint64_t *)&gate->endpoints.buckets[i / EX_IF_WORDS]
					 .words[i % EX_IF_WORDS];

		if (*word)
			r = word_adopt(gate, word, fn);
	}
	return r;
}
