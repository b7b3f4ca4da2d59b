/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/place.h"

#include <errno.h>

/* False: there is none. */
static bool go_behind(const struct ex_prefix *p, struct ex_ip *ip)
{
	*ip = p->ip;
	for (unsigned bit = p->len; bit < 128; bit++)
		ip->b[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	for (unsigned i = 16; i > 0; i--)
		if (++ip->b[i - 1])
			return true;
	return false;
}

/* The first address from *ip on that is of this node and of none inside of it. */
static bool find_own(const struct ex_dest_tree *t, size_t node, struct ex_ip *ip)
{
	for (size_t i = node + 1; i < t->n; i++) {
		if (!ex_prefix_covers(&t->v[node].prefix, &t->v[i].prefix))
			break;
		if (t->v[i].up == node && ex_prefix_has(&t->v[i].prefix, ip) &&
		    !go_behind(&t->v[i].prefix, ip))
			return false;
	}
	return ex_prefix_has(&t->v[node].prefix, ip);
}

#define TRIES 64

struct ex_ip ex_place_of_world(const struct ex_ruleset *rs, const struct ex_ruleset *other,
			       bool four)
{
	/* benchmarking space (RFC 2544), and for documents: nobody names those by accident */
	static const struct ex_ip v4 = { { [10] = 0xff, [11] = 0xff, 198, 18, 0, 1 } };
	static const struct ex_ip v6 = { { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 1 } };
	const struct ex_dest_tree *a = four ? &rs->tree4 : &rs->tree6;
	const struct ex_dest_tree *b = four ? &other->tree4 : &other->tree6;
	struct ex_ip ip = four ? v4 : v6, last;

	for (unsigned i = 0; i < TRIES; i++) {
		last = ip;
		if (!find_own(a, 0, &ip) || !find_own(b, 0, &ip))
			break;
		if (ex_ip_eq(&last, &ip))
			return ip;
	}
	return four ? v4 : v6;
}

static uint64_t class_number(const struct ex_ruleset *rs, const struct ex_ip *ip)
{
	const struct ex_class *shell = ex_ruleset_shell(rs, ip);

	return (uint64_t)((shell ? shell : ex_ruleset_class(rs, ip)) - rs->classes);
}

static size_t add_places(const struct ex_ruleset *rs, const struct ex_ruleset *other, bool four,
			 struct ex_place *v)
{
	const struct ex_dest_tree *t = four ? &rs->tree4 : &rs->tree6;
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct ex_ip ip = t->v[i].prefix.ip;

		if (t->v[i].prefix.len < 128)
			ip.b[15] |= 1; /* the first address of a network is often special */
		if (i == 0)
			ip = ex_place_of_world(rs, other, four);
		else if (!find_own(t, i, &ip))
			continue;
		v[n++] = (struct ex_place){ ip, &rs->classes[t->v[i].klass],
					    (uint64_t)t->v[i].klass << 32 |
						    class_number(other, &ip) };
	}
	return n;
}

static int cmp_place(const void *a, const void *b)
{
	const struct ex_place *x = a, *y = b;

	if (x->classes != y->classes)
		return x->classes < y->classes ? -1 : 1;
	return memcmp(&x->ip, &y->ip, sizeof(x->ip));
}

int ex_places(const struct ex_ruleset *rs, const struct ex_ruleset *other, struct ex_place **ret,
	      size_t *ret_n)
{
	struct ex_place *v = calloc(rs->tree4.n + rs->tree6.n + 1, sizeof(*v));
	size_t n, kept = 0;

	if (!v)
		return -ENOMEM;
	n = add_places(rs, other, true, v);
	n += add_places(rs, other, false, v + n);
	qsort(v, n, sizeof(*v), cmp_place);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || v[kept - 1].classes != v[i].classes)
			v[kept++] = v[i];
	*ret = v;
	*ret_n = kept;
	return 0;
}
