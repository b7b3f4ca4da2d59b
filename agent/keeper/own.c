/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every dial asks this. The kernel is asked once for an address, and again when it has told of any
 * change of what its answer may come from.
 */
#include "agent/keeper/own.h"

#include <errno.h>
#include <linux/rtnetlink.h>

#include "agent/core/rtnl.h"
#include "policy/prefix.h"

#define ANSWERS 64

struct answer {
	bool known, own;
	struct ex_ip ip;
};

/* What the kernel did not answer counts as own, and is asked again the next time. */
static struct answer ask(const struct ex_ip *ip)
{
	static int rtnl = -1;
	int type;

	if (rtnl < 0)
		rtnl = ex_rtnl_open();
	type = rtnl < 0 ? rtnl : ex_rtnl_route_type(rtnl, ip);
	/* No way there: the dial will fail, with the true cause. */
	if (type == -ENETUNREACH || type == -EHOSTUNREACH)
		type = RTN_UNICAST;
	/* What is read next might be the answer to this question. */
	if (type < 0 && rtnl >= 0)
		close(EX_TAKE_FD(rtnl));
	return (struct answer){ .known = type >= 0, .own = type != RTN_UNICAST, .ip = *ip };
}

static bool owns(const struct ex_ip *ip)
{
	static struct answer answers[ANSWERS];
	static int news = -1;
	struct answer *a = &answers[(ip->b[15] ^ ip->b[14]) % ANSWERS];

	if (news < 0)
		news = ex_rtnl_watch_routes();
	if (news < 0 || ex_rtnl_changed(news))
		memset(answers, 0, sizeof(answers));
	if (!a->known || !ex_ip_eq(&a->ip, ip))
		*a = ask(ip);
	return a->own;
}

bool ex_host_owns(const struct ex_ip *ip)
{
	struct ex_ip hidden;

	return owns(ip) || (ex_ip_embedded(ip, &hidden) && owns(&hidden));
}
