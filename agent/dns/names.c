// SPDX-License-Identifier: Apache-2.0
/*
 * Two hash tables, addresses and names, joined by links that carry the expiry. Names are interned:
 * a name is stored once however many addresses it has. Both tables are sized for max_addrs at birth
 * and never grow, so memory has a bound that is known then:
 * max_addrs * (address + PER_ADDR_MAX links + one name).
 *
 * Nothing is removed except by sweep(), which only ex_names_add() calls, and by ex_names_keep():
 * spans handed out by ex_names_of() stay good until then.
 */
#include "agent/dns/hash.h"
#include "agent/dns/message.h"
#include "agent/dns/names.h"

struct name {
	struct name *next; /* in its bucket */
	uint64_t hash;
	size_t n_addrs; /* links to it; 0 only while being made or swept */
	size_t len;
	char text[];
};

struct link {
	struct name *name;
	uint64_t expires;
};

struct addr {
	struct addr *next; /* in its bucket */
	struct ex_ip ip;
	size_t n_links, room;
	struct link *links;
};

struct ex_names {
	size_t max_addrs, n_addrs, n_names, n_buckets; /* n_buckets: power of two */
	uint64_t next_sweep;                           /* not before, when a bound is hit */
	struct ex_dns_key key;
	struct addr **addrs;
	struct name **names;
};

enum { SWEEP_EVERY_MS = 1000 };

static uint64_t hash_ip(const struct ex_names *t, const struct ex_ip *ip)
{
	return ex_dns_hash(&t->key, (struct ex_span){ (const char *)ip->b, sizeof(ip->b) });
}

int ex_names_new(size_t max_addrs, struct ex_names **ret)
{
	struct ex_names *t;
	int r;

	if (max_addrs == 0 || max_addrs > 1u << 24)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->max_addrs = max_addrs;
	t->n_buckets = 16;
	while (t->n_buckets < max_addrs)
		t->n_buckets *= 2;
	t->addrs = calloc(t->n_buckets, sizeof(struct addr *));
	t->names = calloc(t->n_buckets, sizeof(struct name *));
	r = t->addrs && t->names ? ex_dns_key_init(&t->key) : -ENOMEM;
	if (r < 0) {
		ex_names_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

static void free_addr(struct addr *a)
{
	free(a->links);
	free(a);
}

void ex_names_free(struct ex_names *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->addrs && i < t->n_buckets; i++) {
		for (struct addr *a = t->addrs[i], *next; a; a = next) {
			next = a->next;
			free_addr(a);
		}
	}
	for (size_t i = 0; t->names && i < t->n_buckets; i++) {
		for (struct name *n = t->names[i], *next; n; n = next) {
			next = n->next;
			free(n);
		}
	}
	free(t->addrs);
	free(t->names);
	free(t);
}

static void drop_name(struct ex_names *t, struct name *name)
{
	struct name **p = &t->names[name->hash & (t->n_buckets - 1)];

	if (name->n_addrs > 0)
		return;
	while (*p != name)
		p = &(*p)->next;
	*p = name->next;
	t->n_names--;
	free(name);
}

/* What is not to be kept goes, and with it what has nothing left. */
struct filter {
	bool (*keep)(const struct filter *f, const struct addr *a, const struct link *l);
	uint64_t now;
	ex_names_keep_fn fn;
	void *arg;
};

static void filter_links(struct ex_names *t, struct addr *a, const struct filter *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->n_links; i++) {
		if (f->keep(f, a, &a->links[i])) {
			a->links[kept++] = a->links[i];
			continue;
		}
		a->links[i].name->n_addrs--;
		drop_name(t, a->links[i].name);
	}
	a->n_links = kept;
}

static void filter_all(struct ex_names *t, const struct filter *f)
{
	for (size_t i = 0; i < t->n_buckets; i++) {
		struct addr **p = &t->addrs[i];

		while (*p) {
			struct addr *a = *p;

			filter_links(t, a, f);
			if (a->n_links > 0) {
				p = &a->next;
				continue;
			}
			*p = a->next;
			t->n_addrs--;
			free_addr(a);
		}
	}
}

static bool is_valid(const struct filter *f, const struct addr *a, const struct link *l)
{
	(void)a;
	return l->expires > f->now;
}

/* At a bound: everything that has expired goes. At most once a second, since it reads it all. */
static bool sweep(struct ex_names *t, uint64_t now)
{
	const struct filter f = { .keep = is_valid, .now = now };

	if (now < t->next_sweep)
		return false;
	t->next_sweep = now + SWEEP_EVERY_MS;
	filter_all(t, &f);
	return true;
}

static bool is_wanted(const struct filter *f, const struct addr *a, const struct link *l)
{
	return f->fn(f->arg, &a->ip, (struct ex_span){ l->name->text, l->name->len });
}

void ex_names_keep(struct ex_names *t, ex_names_keep_fn keep, void *arg)
{
	const struct filter f = { .keep = is_wanted, .fn = keep, .arg = arg };

	filter_all(t, &f);
}

int ex_names_each(const struct ex_names *t, uint64_t since_ms, ex_names_fn fn, void *arg)
{
	struct ex_names_known known[EX_NAMES_PER_ADDR_MAX];
	int r = 0;

	for (size_t i = 0; i < t->n_buckets; i++) {
		for (const struct addr *a = t->addrs[i]; a && r == 0; a = a->next) {
			size_t n = 0;

			for (size_t k = 0; k < a->n_links; k++) {
				const struct link *l = &a->links[k];

				if (l->expires <= since_ms)
					continue;
				known[n].name = (struct ex_span){ l->name->text, l->name->len };
				known[n++].expires = l->expires;
			}
			if (n)
				r = fn(arg, &a->ip, known, n);
		}
	}
	return r;
}

static struct addr *find_addr(const struct ex_names *t, const struct ex_ip *ip)
{
	struct addr *a = t->addrs[hash_ip(t, ip) & (t->n_buckets - 1)];

	while (a && !ex_ip_eq(&a->ip, ip))
		a = a->next;
	return a;
}

static struct name *find_name(const struct ex_names *t, struct ex_span text, uint64_t hash)
{
	struct name *n = t->names[hash & (t->n_buckets - 1)];

	while (n &&
	       !(n->hash == hash && n->len == text.len && memcmp(n->text, text.ptr, text.len) == 0))
		n = n->next;
	return n;
}

static struct name *make_name(struct ex_names *t, struct ex_span text, uint64_t hash)
{
	struct name **bucket = &t->names[hash & (t->n_buckets - 1)];
	struct name *n = calloc(1, sizeof(*n) + text.len);

	if (!n)
		return NULL;
	n->hash = hash;
	n->len = text.len;
	memcpy(n->text, text.ptr, text.len);
	n->next = *bucket;
	*bucket = n;
	t->n_names++;
	return n;
}

static struct addr *make_addr(struct ex_names *t, const struct ex_ip *ip)
{
	struct addr **bucket = &t->addrs[hash_ip(t, ip) & (t->n_buckets - 1)];
	struct addr *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->ip = *ip;
	a->next = *bucket;
	*bucket = a;
	t->n_addrs++;
	return a;
}

static int grow_links(struct addr *a)
{
	size_t room = a->room ? a->room * 2 : 1;
	struct link *p;

	if (a->n_links < a->room)
		return 0;
	p = reallocarray(a->links, room, sizeof(*p));
	if (!p)
		return -ENOMEM;
	a->links = p;
	a->room = room;
	return 0;
}

/* Would a link between the two be within every bound? a and n are NULL when they are new. */
static bool has_room(const struct ex_names *t, const struct addr *a, const struct name *n)
{
	if (a ? a->n_links >= EX_NAMES_PER_ADDR_MAX : t->n_addrs >= t->max_addrs)
		return false;
	return n ? n->n_addrs < EX_ADDRS_PER_NAME_MAX : t->n_names < t->max_addrs;
}

static int add_link(struct ex_names *t, struct addr *a, const struct ex_ip *ip, struct name *n,
		    struct ex_span text, uint64_t expires)
{
	if (!n)
		n = make_name(t, text, ex_dns_hash(&t->key, text));
	if (!n)
		return -ENOMEM;
	if (!a)
		a = make_addr(t, ip);
	if (!a || grow_links(a) < 0) { /* an address without links goes with the next sweep */
		drop_name(t, n);
		return -ENOMEM;
	}
	a->links[a->n_links++] = (struct link){ n, expires };
	n->n_addrs++;
	return 0;
}

int ex_names_add(struct ex_names *t, const struct ex_ip *ip, struct ex_span name, uint64_t now_ms,
		 uint64_t ttl_ms)
{
	uint64_t hash, expires;
	struct addr *a;
	struct name *n;

	if (name.len == 0 || name.len > EX_DNS_NAME_MAX)
		return -EINVAL;
	if (__builtin_add_overflow(now_ms, ttl_ms, &expires))
		expires = UINT64_MAX;
	hash = ex_dns_hash(&t->key, name);
	a = find_addr(t, ip);
	for (size_t i = 0; a && i < a->n_links; i++) {
		struct link *l = &a->links[i];

		if (!ex_span_eq((struct ex_span){ l->name->text, l->name->len }, name))
			continue;
		if (expires > l->expires)
			l->expires = expires;
		return 0;
	}
	n = find_name(t, name, hash);
	if (!has_room(t, a, n)) {
		if (!sweep(t, now_ms))
			return -ENOSPC;
		a = find_addr(t, ip);
		n = find_name(t, name, hash);
		if (!has_room(t, a, n))
			return -ENOSPC;
	}
	return add_link(t, a, ip, n, name, expires);
}

size_t ex_names_of(struct ex_names *t, const struct ex_ip *ip, uint64_t now_ms, struct ex_span *out,
		   size_t cap)
{
	const struct addr *a = find_addr(t, ip);
	size_t n = 0;

	for (size_t i = 0; a && i < a->n_links && n < cap; i++)
		if (a->links[i].expires > now_ms)
			out[n++] =
				(struct ex_span){ a->links[i].name->text, a->links[i].name->len };
	return n;
}
