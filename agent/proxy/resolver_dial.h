/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets to the resolvers, from the privileged parent. c-ares wants them at once, so this is the
 * one request the proxy waits for; it has a channel of its own, on which nothing else is said.
 */
#ifndef EXEAT_AGENT_PROXY_RESOLVER_DIAL_H
#define EXEAT_AGENT_PROXY_RESOLVER_DIAL_H

#include "agent/dns/resolver.h"

struct ex_resolver_dial {
	int fd; /* seqpacket socket to the parent */
	uint32_t last_id;
};

/* An ex_resolver_dial_fn; arg is a struct ex_resolver_dial. */
int ex_resolver_dial(void *arg, const struct ex_resolver_server *server, bool tcp);

#endif
