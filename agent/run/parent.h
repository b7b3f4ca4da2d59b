/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged parent while the command runs: answers the proxy (ipc.h), writes the audit records
 * of both gates, passes signals on, and notices the end of the command and of the proxy.
 */
#ifndef EXEAT_AGENT_RUN_PARENT_H
#define EXEAT_AGENT_RUN_PARENT_H

#include "agent/audit/audit.h"
#include "agent/dns/resolver.h"
#include "agent/run/child.h"
#include "agent/run/netns.h"

struct ex_ca;
struct ex_gate;
struct ex_parent;

struct ex_parent_config { /* all borrowed */
	struct ex_ruleset *rs;
	struct ex_gate *gate;
	struct ex_ca *ca;
	struct ex_audit *audit;
	const struct ex_netns *ns;
	const struct ex_child *child;
	pid_t proxy;
	int ipc;       /* this end of the proxy's socket */
	int resolvers; /* and of the one for sockets to the resolvers */
	const struct ex_resolver_server *servers;
	size_t n_servers;
};

EX_MUST_CHECK int ex_parent_new(const struct ex_parent_config *config, struct ex_parent **ret);
void ex_parent_free(struct ex_parent *p);

/* Serves until the proxy says that it is ready: 0, or -EPIPE when it ended instead. */
EX_MUST_CHECK int ex_parent_wait_ready(struct ex_parent *p);

/* Serves until the command has ended; its exit status, or negative errno. */
int ex_parent_run(struct ex_parent *p);

#endif
