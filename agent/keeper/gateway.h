/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One endpoint's gateway namespace, as whoever opens sockets for it has to know it, and those
 * sockets. The process is back in the outer namespace after every call.
 */
#ifndef EXEAT_AGENT_KEEPER_GATEWAY_H
#define EXEAT_AGENT_KEEPER_GATEWAY_H

#include "exeat/util.h"

struct ex_gateway {
	int outer;                     /* namespace descriptor: where this process lives */
	int netns;                     /* namespace descriptor: where steered flows are delivered */
	bool v6;                       /* its sockets are made for IPv6 as well */
	struct ex_ip ip4, ip6;         /* the workload's own addresses; all zero = it has none */
	struct ex_ip more[EX_EP_MORE]; /* further ones */
};

/* Is ip one the workload may speak with? */
bool ex_gateway_is_workload(const struct ex_gateway *gw, const struct ex_ip *ip);

/*
 * The listening sockets of one worker in the gateway namespace, by enum ex_sock; -1 where the
 * family is missing. Transparent: they accept any destination address. DNS is worker 0's alone, so
 * that there is one cache and one budget. On failure nothing is left open.
 */
EX_MUST_CHECK int ex_gateway_listen(const struct ex_gateway *gw, uint32_t worker,
				    int ret[static EX_SOCK_MAX]);

/*
 * A socket of the gateway namespace that speaks as dst:dport and only to src:sport, the workload.
 * fd or negative errno.
 */
EX_MUST_CHECK int ex_gateway_udp(const struct ex_gateway *gw, const struct ex_ip *src,
				 uint16_t sport, const struct ex_ip *dst, uint16_t dport);

#endif
