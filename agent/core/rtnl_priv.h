/* SPDX-License-Identifier: Apache-2.0 */
/* What rtnl.c and rtnl_query.c share. */
#ifndef EXEAT_AGENT_CORE_RTNL_PRIV_H
#define EXEAT_AGENT_CORE_RTNL_PRIV_H

#include <linux/rtnetlink.h>

#include "agent/core/rtnl.h"

struct rtnl_request {
	struct nlmsghdr hdr;
	char body[1024];
};

/* The fixed part, zeroed, of the message. */
void *rtnl_begin(struct rtnl_request *rq, uint16_t type, uint16_t flags, size_t body);
struct rtattr *rtnl_put(struct rtnl_request *rq, uint16_t type, const void *data, size_t len);
void rtnl_put_ip(struct rtnl_request *rq, uint16_t type, const struct ex_ip *ip);

/* rtnl_query.c: waits for the acknowledgement; 0 or negative errno. */
int rtnl_transact(int rtnl, const struct rtnl_request *rq);

#endif
