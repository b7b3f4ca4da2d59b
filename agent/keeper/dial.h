/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets that lead out: non-blocking and connecting, or for UDP connected. */
#ifndef EXEAT_AGENT_KEEPER_DIAL_H
#define EXEAT_AGENT_KEEPER_DIAL_H

#include "agent/keeper/gateway.h"

/* How an endpoint's connections to its servers are made: fd or negative errno. */
typedef int (*ex_dial_fn)(const struct ex_gateway *gw, const struct ex_ip *dst, uint16_t port,
			  uint8_t proto, bool speaks);

/* From the outer namespace with its address, as `exeat run` does. */
EX_MUST_CHECK int ex_dial_from_outer(const struct ex_gateway *gw, const struct ex_ip *dst,
				     uint16_t port, uint8_t proto, bool speaks);

/*
 * From the gateway namespace with the workload's own address, as the agent does: the server sees
 * the workload, not the node. -EADDRNOTAVAIL when the workload has no address of this family.
 */
EX_MUST_CHECK int ex_dial_as_workload(const struct ex_gateway *gw, const struct ex_ip *dst,
				      uint16_t port, uint8_t proto, bool speaks);

/* From where the caller is. scope: see sin6_scope_id. */
EX_MUST_CHECK int ex_dial(const struct ex_ip *ip, uint16_t port, uint8_t proto, uint32_t scope,
			  bool speaks);

#endif
