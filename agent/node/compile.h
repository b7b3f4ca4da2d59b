/* SPDX-License-Identifier: Apache-2.0 */
/* From policy files and endpoints to what is in force for one endpoint. */
#ifndef EXEAT_AGENT_NODE_COMPILE_H
#define EXEAT_AGENT_NODE_COMPILE_H

#include "agent/node/config.h"
#include "agent/node/policy_files.h"
#include "agent/node/registry.h"

struct ex_ruleset;

/* What all endpoints are compiled with, gathered once a round. */
struct ex_compile_base {
	const struct ex_node_config *config;
	const struct ex_policy_files *files;
	struct ex_text peers; /* {"endpoints":[...]}, see ex_registry_peers() */
	struct ex_ip *host_ips;
	size_t n_host_ips;
};

/* Peers and host addresses as they are now. config and files are borrowed. */
EX_MUST_CHECK int ex_compile_base_init(struct ex_compile_base *b,
				       const struct ex_node_config *config,
				       const struct ex_policy_files *files,
				       const struct ex_registry *registry);
void ex_compile_base_done(struct ex_compile_base *b);

struct ex_compiled {
	struct ex_ruleset *rs;
	int bundle;    /* for the proxy; -1 = it needs none */
	bool selected; /* some policy is about its egress */
};

/*
 * 0, or negative errno with errors in diags. An endpoint that no policy selects gets a ruleset that
 * denies everything, or, when the configuration says so and it was never confined, one that allows
 * everything.
 */
EX_MUST_CHECK int ex_node_compile(const struct ex_compile_base *b, const struct ex_node_endpoint *e,
				  struct ex_compiled *ret, struct ex_diags *diags);
void ex_compiled_done(struct ex_compiled *c);

/* Are the policies sound, whomever they select? 0 or negative errno with errors in diags. */
EX_MUST_CHECK int ex_node_check(const struct ex_compile_base *b, struct ex_diags *diags);

#endif
