/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a proxy process comes into being: fork, then this program once more as `exeat proxy`, with
 * nothing of the privileged side's memory, environment or descriptors but what it needs.
 */
#ifndef EXEAT_AGENT_PROXY_START_H
#define EXEAT_AGENT_PROXY_START_H

#include "agent/dns/resolver.h"

#define EX_PROXY_SECRET_LEN 32

struct ex_proxy_spec {      /* all borrowed */
	int bundle;         /* the policy, see bundle.h */
	int ring;           /* of records, see core/ring.h */
	const int *sockets; /* EX_SOCK_MAX listening ones, in the gateway namespace; -1 = none */
	const struct ex_resolver_server *servers;
	size_t n_servers;
	int roots; /* what upstream certificates are verified against: tls/roots.h */
	const struct ex_names *names; /* what the workload has learned already; NULL = nothing */
	uint64_t names_since;         /* those that expire later; their time counts from here */
	struct ex_span unread;        /* see unread.h; ptr NULL: nothing is learned */
	unsigned workers;             /* that share the limits of the endpoint */
	uid_t uid;
	const uint8_t *secret; /* EX_PROXY_SECRET_LEN random bytes of the endpoint's: see swap.c */
};

/*
 * The pid, or negative errno. ret_ipc: our ends of its socket for requests, and of the one on which
 * it asks for sockets to the resolvers. The caller should close its copies of the listening sockets
 * once the kernel gate has them, so that they die with the proxy.
 */
EX_MUST_CHECK pid_t ex_proxy_start(const struct ex_proxy_spec *spec, int ret_ipc[static 2]);

#endif
