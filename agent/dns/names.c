/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hash tables, addresses and names, joined by links that carry the expiry. Names are interned:
 * a name is stored once however many addresses it has. The tables are sized at birth and never
 * grow, so memory has a bound that is known then: max links with an address and a name each.
 */
#include <errno.h>

#include "agent/dns/message.h"
#include "agent/dns/names_priv.h"

static uint64_t hash_ip(const struct ex_names *t, const struct ex_ip *ip)
{
	return ex_dns_hash(&t->key, (struct ex_span){ (const char *)ip->b, sizeof(ip->b) });
}

/* ---- life ---- */

int ex_names_new(size_t max, struct ex_names **ret)
{
	struct ex_names *t;
	int r;

	if (max == 0 || max > 1u << 24)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->max = max;
	ex_names_ring_init(&t->links);
	t->n_buckets = 16;
	while (t->n_buckets < max)
		t->n_buckets *= 2;
	t->addrs = calloc(t->n_buckets, sizeof(struct ex_names_addr *));
	t->names = calloc(t->n_buckets, sizeof(struct ex_names_name *));
	r = t->addrs && t->names ? ex_dns_key_init(&t->key) : -ENOMEM;
	if (r < 0) {
		ex_names_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void ex_names_free(struct ex_names *t)
{
	if (!t)
		return;
	while (t->links.next != &t->links)
		ex_names_unlink(t, ex_container_of(t->links.next, struct ex_names_link, of_table));
	if (t->pool)
		ex_names_ring_remove(&t->of_pool);
	free(t->addrs);
	free(t->names);
	free(t);
}

void ex_names_on_out(struct ex_names *t, ex_names_out_fn fn, void *arg)
{
	t->out = fn;
	t->out_arg = arg;
}

const struct ex_dns_key *ex_names_key(const struct ex_names *t)
{
	return &t->key;
}

void ex_names_set_key(struct ex_names *t, const struct ex_dns_key *key)
{
	t->key = *key;
}

size_t ex_names_count(const struct ex_names *t)
{
	return t->n_links;
}

/* ---- finding ---- */

struct ex_names_addr *ex_names_find_addr(const struct ex_names *t, const struct ex_ip *ip)
{
	struct ex_names_addr *a = t->addrs[hash_ip(t, ip) & (t->n_buckets - 1)];

	while (a && !ex_ip_eq(&a->ip, ip))
		a = a->next;
	return a;
}

struct ex_names_name *ex_names_find_name(const struct ex_names *t, struct ex_span text,
					 uint64_t hash)
{
	struct ex_names_name *n = t->names[hash & (t->n_buckets - 1)];

	while (n &&
	       !(n->hash == hash && n->len == text.len && memcmp(n->text, text.ptr, text.len) == 0))
		n = n->next;
	return n;
}

#define each_link(l, a)                                                                            \
	for (struct ex_names_link *l =                                                             \
		     ex_container_of((a)->links.next, struct ex_names_link, of_addr);              \
	     &l->of_addr != &(a)->links;                                                           \
	     l = ex_container_of(l->of_addr.next, struct ex_names_link, of_addr))

static struct ex_names_link *find_link(const struct ex_names_addr *a, struct ex_span name)
{
	if (a)
		each_link(l, a) if (ex_span_eq(ex_names_text(l), name)) return l;
	return NULL;
}

/* ---- adding and taking out ---- */

static void drop_addr(struct ex_names *t, struct ex_names_addr *a)
{
	struct ex_names_addr **p = &t->addrs[hash_ip(t, &a->ip) & (t->n_buckets - 1)];

	if (a->n_links > 0)
		return;
	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	free(a);
}

static void drop_name(struct ex_names *t, struct ex_names_name *n)
{
	struct ex_names_name **p = &t->names[n->hash & (t->n_buckets - 1)];

	if (n->n_links > 0)
		return;
	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	free(n);
}

void ex_names_unlink(struct ex_names *t, struct ex_names_link *l)
{
	ex_names_ring_remove(&l->of_table);
	ex_names_ring_remove(&l->of_addr);
	ex_names_ring_remove(&l->of_name);
	t->n_links--;
	if (t->pool)
		t->pool->used--;
	l->addr->n_links--;
	l->name->n_links--;
	drop_addr(t, l->addr);
	drop_name(t, l->name);
	free(l);
}

static struct ex_names_name *get_name(struct ex_names *t, struct ex_span text, uint64_t hash)
{
	struct ex_names_name **bucket = &t->names[hash & (t->n_buckets - 1)];
	struct ex_names_name *n = ex_names_find_name(t, text, hash);

	if (n)
		return n;
	n = calloc(1, sizeof(*n) + text.len);
	if (!n)
		return NULL;
	ex_names_ring_init(&n->links);
	n->hash = hash;
	n->len = text.len;
	memcpy(n->text, text.ptr, text.len);
	n->next = *bucket;
	*bucket = n;
	return n;
}

static struct ex_names_addr *get_addr(struct ex_names *t, const struct ex_ip *ip)
{
	struct ex_names_addr **bucket = &t->addrs[hash_ip(t, ip) & (t->n_buckets - 1)];
	struct ex_names_addr *a = ex_names_find_addr(t, ip);

	if (a)
		return a;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	ex_names_ring_init(&a->links);
	a->ip = *ip;
	a->next = *bucket;
	*bucket = a;
	return a;
}

static void put_first(struct ex_names *t, struct ex_names_link *l)
{
	ex_names_ring_add(&t->links, &l->of_table);
	ex_names_ring_add(&l->addr->links, &l->of_addr);
	ex_names_ring_add(&l->name->links, &l->of_name);
}

static int add_link(struct ex_names *t, const struct ex_ip *ip, struct ex_span text, uint64_t hash,
		    uint64_t now_ms, uint64_t expires)
{
	struct ex_names_link *l = calloc(1, sizeof(*l));
	struct ex_names_name *n = l ? get_name(t, text, hash) : NULL;
	struct ex_names_addr *a = n ? get_addr(t, ip) : NULL;

	if (!a) {
		if (n)
			drop_name(t, n);
		free(l);
		return -ENOMEM;
	}
	*l = (struct ex_names_link){ .addr = a, .name = n, .expires = expires, .told = now_ms };
	put_first(t, l);
	a->n_links++;
	n->n_links++;
	t->n_links++;
	if (t->pool)
		t->pool->used++;
	return 0;
}

static void extend(struct ex_names *t, struct ex_names_link *l, uint64_t now_ms, uint64_t expires)
{
	if (expires > l->expires)
		l->expires = expires;
	l->told = now_ms;
	ex_names_ring_remove(&l->of_table);
	ex_names_ring_remove(&l->of_addr);
	ex_names_ring_remove(&l->of_name);
	put_first(t, l);
}

int ex_names_add(struct ex_names *t, const struct ex_ip *ip, struct ex_span name, uint64_t now_ms,
		 uint64_t ttl_ms)
{
	struct ex_names_link *l;
	uint64_t hash, expires;

	if (name.len == 0 || name.len > EX_DNS_NAME_MAX)
		return -EINVAL;
	if (__builtin_add_overflow(now_ms, ttl_ms, &expires))
		expires = UINT64_MAX;
	l = find_link(ex_names_find_addr(t, ip), name);
	if (l) {
		extend(t, l, now_ms, expires);
		return 0;
	}
	hash = ex_dns_hash(&t->key, name);
	ex_names_make_room(t, ip, name, hash, now_ms);
	return add_link(t, ip, name, hash, now_ms, expires);
}

void ex_names_keep(struct ex_names *t, ex_names_keep_fn keep, void *arg)
{
	for (struct ex_names_ring *r = t->links.next, *next; r != &t->links; r = next) {
		struct ex_names_link *l = ex_container_of(r, struct ex_names_link, of_table);

		next = r->next;
		if (!keep(arg, &l->addr->ip, ex_names_text(l)))
			ex_names_unlink(t, l);
	}
}

static struct ex_names_link *find_by_hash(const struct ex_names *t, const struct ex_ip *ip,
					  uint64_t hash)
{
	struct ex_names_addr *a = ex_names_find_addr(t, ip);

	if (a)
		each_link(l, a) if (l->name->hash == hash) return l;
	return NULL;
}

struct ex_span ex_names_by_hash(const struct ex_names *t, const struct ex_ip *ip, uint64_t hash)
{
	const struct ex_names_link *l = find_by_hash(t, ip, hash);

	return l ? ex_names_text(l) : (struct ex_span){ 0 };
}

void ex_names_forget(struct ex_names *t, const struct ex_ip *ip, uint64_t hash)
{
	struct ex_names_link *l = find_by_hash(t, ip, hash);

	if (l)
		ex_names_unlink(t, l);
}

/* ---- asking ---- */

size_t ex_names_of(struct ex_names *t, const struct ex_ip *ip, uint64_t now_ms, struct ex_span *out,
		   size_t cap)
{
	const struct ex_names_addr *a = ex_names_find_addr(t, ip);
	size_t n = 0;

	if (!a)
		return 0;
	each_link(l, a) if (l->expires > now_ms && n < cap) out[n++] = ex_names_text(l);
	return n;
}

uint64_t ex_names_until(const struct ex_names *t, const struct ex_ip *ip, struct ex_span name,
			uint64_t told_ms)
{
	const struct ex_names_link *l = find_link(ex_names_find_addr(t, ip), name);

	return l && l->told >= told_ms ? l->expires : 0;
}

static size_t list_known(const struct ex_names_addr *a, uint64_t since_ms,
			 struct ex_names_known *ret)
{
	size_t n = 0;

	each_link(l, a) if (l->expires > since_ms) ret[n++] =
		(struct ex_names_known){ ex_names_text(l), l->expires };
	return n;
}

size_t ex_names_known_of(const struct ex_names *t, const struct ex_ip *ip, uint64_t since_ms,
			 struct ex_names_known ret[static EX_NAMES_PER_ADDR_MAX])
{
	const struct ex_names_addr *a = ex_names_find_addr(t, ip);

	return a ? list_known(a, since_ms, ret) : 0;
}

int ex_names_each(const struct ex_names *t, uint64_t since_ms, ex_names_fn fn, void *arg)
{
	struct ex_names_known known[EX_NAMES_PER_ADDR_MAX];
	int r = 0;

	for (size_t i = 0; i < t->n_buckets; i++) {
		for (const struct ex_names_addr *a = t->addrs[i]; a && r == 0; a = a->next) {
			size_t n = list_known(a, since_ms, known);

			if (n)
				r = fn(arg, &a->ip, known, n);
		}
	}
	return r;
}
