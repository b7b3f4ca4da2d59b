/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of a table of names, and the room that tables share. */
#include <errno.h>

#include "agent/dns/names_priv.h"

enum {
	SWEEP_EVERY_MS = 1000,
	SHED_MAX = 64, /* taken from the largest table at once: looking for it costs as much */
};

int ex_names_pool_new(size_t max, struct ex_names_pool **ret)
{
	struct ex_names_pool *pool = max ? calloc(1, sizeof(*pool)) : NULL;

	if (!pool)
		return max ? -ENOMEM : -EINVAL;
	pool->max = max;
	ex_names_ring_init(&pool->tables);
	*ret = pool;
	return 0;
}

void ex_names_pool_free(struct ex_names_pool *pool)
{
	free(pool);
}

size_t ex_names_pool_max(const struct ex_names_pool *pool)
{
	return pool->max;
}

size_t ex_names_pool_used(const struct ex_names_pool *pool)
{
	return pool->used;
}

void ex_names_join(struct ex_names *t, struct ex_names_pool *pool)
{
	t->pool = pool;
	ex_names_ring_add(&pool->tables, &t->of_pool);
}

/* ---- taking out ---- */

static void take_out(struct ex_names *t, struct ex_names_link *l)
{
	char text[EX_NAME_MAX];
	struct ex_ip ip = l->addr->ip;
	struct ex_span name = { text, l->name->len };
	uint64_t expires = l->expires;

	memcpy(text, l->name->text, name.len);
	ex_names_unlink(t, l);
	if (t->out)
		t->out(t->out_arg, &ip, name, expires);
}

static void take_oldest(struct ex_names *t)
{
	take_out(t, ex_container_of(t->links.prev, struct ex_names_link, of_table));
}

/* Everything that has expired goes. At most once a second, since it reads it all. */
static void sweep(struct ex_names *t, uint64_t now)
{
	if (now < t->next_sweep)
		return;
	t->next_sweep = now + SWEEP_EVERY_MS;
	for (struct ex_names_ring *r = t->links.next, *next; r != &t->links; r = next) {
		struct ex_names_link *l = ex_container_of(r, struct ex_names_link, of_table);

		next = r->next;
		if (l->expires <= now)
			take_out(t, l);
	}
}

/* ---- bounds ---- */

static void make_room_of_addr(struct ex_names *t, const struct ex_ip *ip)
{
	const struct ex_names_addr *a = ex_names_find_addr(t, ip);

	if (a && a->n_links >= EX_NAMES_PER_ADDR_MAX)
		take_out(t, ex_container_of(a->links.prev, struct ex_names_link, of_addr));
}

static void make_room_of_name(struct ex_names *t, struct ex_span name, uint64_t hash)
{
	const struct ex_names_name *n = ex_names_find_name(t, name, hash);

	if (n && n->n_links >= EX_ADDRS_PER_NAME_MAX)
		take_out(t, ex_container_of(n->links.prev, struct ex_names_link, of_name));
}

static struct ex_names *largest_of(const struct ex_names_pool *pool, struct ex_names *found)
{

	for (struct ex_names_ring *r = pool->tables.next; r != &pool->tables; r = r->next) {
		struct ex_names *t = ex_container_of(r, struct ex_names, of_pool);

		if (t->n_links > found->n_links)
			found = t;
	}
	return found;
}

/* t itself gives way when no other has more. */
static void make_room_of_pool(struct ex_names *t, uint64_t now)
{
	const struct ex_names_pool *pool = t->pool;
	struct ex_names *from = largest_of(pool, t);
	size_t shed;

	sweep(from, now);
	if (pool->used < pool->max)
		return;
	shed = from->n_links / 16 < SHED_MAX ? from->n_links / 16 + 1 : SHED_MAX;
	while (shed-- > 0 && (from == t || from->n_links > t->n_links))
		take_oldest(from);
}

void ex_names_make_room(struct ex_names *t, const struct ex_ip *ip, struct ex_span name,
			uint64_t hash, uint64_t now_ms)
{
	make_room_of_addr(t, ip);
	make_room_of_name(t, name, hash);
	if (t->n_links >= t->max)
		sweep(t, now_ms);
	if (t->n_links >= t->max)
		take_oldest(t);
	if (t->pool && t->pool->used >= t->pool->max)
		make_room_of_pool(t, now_ms);
}
