/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries allowed datagrams between the workload and the outside, for runs, whose workload has no
 * route of its own. One flow = one upstream socket, and one socket of the gateway namespace that
 * answers from the address the workload sent to (made by the parent: it needs privilege).
 */
#ifndef EXEAT_AGENT_PROXY_UDP_H
#define EXEAT_AGENT_PROXY_UDP_H

#include "agent/proxy/proxy.h"

struct ex_udp;

EX_MUST_CHECK int ex_udp_new(struct ex_proxy *px, const int sockets[static EX_SOCK_MAX],
			     struct ex_udp **ret);

/* Ends the flows that the ruleset in force does not allow. */
void ex_udp_judge_again(struct ex_udp *u);

#endif
