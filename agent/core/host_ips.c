/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/core/host_ips.h"
#include "agent/core/rtnl.h"

#define FIRST 64

struct list {
	struct ex_ip *v;
	size_t n, cap;
	bool link_local, failed;
};

static void take(void *arg, const struct ex_ip *ip)
{
	struct list *l = arg;
	struct ex_ip *v = l->v;

	if (!l->link_local && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80)
		return;
	if (l->n == l->cap) {
		v = reallocarray(l->v, l->cap, 2 * sizeof(*v));
		l->failed |= !v;
		if (!v)
			return;
		l->cap *= 2;
	}
	l->v = v;
	l->v[l->n++] = *ip;
}

int ex_host_ips(bool link_local, struct ex_ip **ret, size_t *ret_n)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	struct list l = { .v = calloc(FIRST, sizeof(*l.v)),
			  .cap = FIRST,
			  .link_local = link_local };
	int r = rtnl < 0 ? rtnl : -ENOMEM;

	if (rtnl >= 0 && l.v)
		r = ex_rtnl_addrs_each(rtnl, 0, take, &l);
	if (r == 0 && l.failed)
		r = -ENOMEM;
	if (r < 0) {
		free(l.v);
		return r;
	}
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}
