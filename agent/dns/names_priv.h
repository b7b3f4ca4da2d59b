/* SPDX-License-Identifier: Apache-2.0 */
/* What names.c (the table) and names_room.c (its bounds) share. Private to the two. */
#ifndef EXEAT_AGENT_DNS_NAMES_PRIV_H
#define EXEAT_AGENT_DNS_NAMES_PRIV_H

#include "agent/dns/hash.h"
#include "agent/dns/names.h"

/* A circular list; the newest is next of the head, the oldest prev. */
struct ex_names_ring {
	struct ex_names_ring *prev, *next;
};

static inline void ex_names_ring_init(struct ex_names_ring *head)
{
	head->prev = head->next = head;
}

static inline void ex_names_ring_remove(struct ex_names_ring *r)
{
	r->prev->next = r->next;
	r->next->prev = r->prev;
}

static inline void ex_names_ring_add(struct ex_names_ring *head, struct ex_names_ring *r)
{
	r->prev = head;
	r->next = head->next;
	head->next->prev = r;
	head->next = r;
}

struct ex_names_name {
	struct ex_names_name *next; /* in its bucket */
	uint64_t hash;
	struct ex_names_ring links;
	size_t n_links;
	size_t len;
	char text[];
};

struct ex_names_addr {
	struct ex_names_addr *next; /* in its bucket */
	struct ex_ip ip;
	struct ex_names_ring links;
	size_t n_links;
};

/* A binding. In each ring that one is first which was told last. */
struct ex_names_link {
	struct ex_names_ring of_table, of_addr, of_name;
	struct ex_names_addr *addr;
	struct ex_names_name *name;
	uint64_t expires, told;
};

struct ex_names {
	size_t max, n_links, n_buckets; /* n_buckets: power of two */
	uint64_t next_sweep;            /* not before, when a bound is hit */
	struct ex_dns_key key;
	struct ex_names_addr **addrs;
	struct ex_names_name **names;
	struct ex_names_ring links;
	ex_names_out_fn out;
	void *out_arg;
	struct ex_names_pool *pool; /* NULL: alone */
	struct ex_names_ring of_pool;
};

struct ex_names_pool {
	size_t max, used;
	struct ex_names_ring tables;
};

static inline struct ex_span ex_names_text(const struct ex_names_link *l)
{
	return (struct ex_span){ l->name->text, l->name->len };
}

/* ---- names.c ---- */

struct ex_names_addr *ex_names_find_addr(const struct ex_names *t, const struct ex_ip *ip);
struct ex_names_name *ex_names_find_name(const struct ex_names *t, struct ex_span text,
					 uint64_t hash);

/* With the address and the name, when they have no other. */
void ex_names_unlink(struct ex_names *t, struct ex_names_link *l);

/* ---- names_room.c ---- */

/* Takes out what must be so that one more binding of the two is within every bound. */
void ex_names_make_room(struct ex_names *t, const struct ex_ip *ip, struct ex_span name,
			uint64_t hash, uint64_t now_ms);

#endif
