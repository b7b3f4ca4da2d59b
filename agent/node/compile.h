/* SPDX-License-Identifier: Apache-2.0 */
/* From policy files and endpoints to what is in force for one endpoint. */
#ifndef EXEAT_AGENT_NODE_COMPILE_H
#define EXEAT_AGENT_NODE_COMPILE_H

#include "agent/node/registry.h"
#include "agent/node/selection.h"

struct ex_ruleset;

/* What all endpoints are compiled with, besides policies. */
struct ex_compile_base {
	const struct ex_node_config *config;
	struct ex_text peers; /* {"endpoints":[...]}, see ex_registry_peers() */
	struct ex_ip *host_ips;
	size_t n_host_ips;
};

/* Peers and host addresses as they are now. config is borrowed. */
EX_MUST_CHECK int ex_compile_base_init(struct ex_compile_base *b,
				       const struct ex_node_config *config,
				       const struct ex_registry *registry);
void ex_compile_base_done(struct ex_compile_base *b);
bool ex_compile_base_equal(const struct ex_compile_base *a, const struct ex_compile_base *b);

struct ex_compiled { /* refcounted, immutable */
	unsigned refs;
	struct ex_ruleset *rs;
	int bundle;    /* for the proxy; -1 = it needs none */
	bool selected; /* some policy is about its egress */
};

/*
 * For an endpoint with this selection and these labels: 0, or negative errno with errors in diags.
 * One that no policy selects gets a ruleset that denies everything, or, when the configuration says
 * so and it was never confined, one that allows everything.
 */
EX_MUST_CHECK int ex_node_compile(const struct ex_compile_base *b, const struct ex_selection *s,
				  const struct ex_label_set *labels, struct ex_compiled **ret,
				  struct ex_diags *diags);
struct ex_compiled *ex_compiled_ref(struct ex_compiled *c);
void ex_compiled_unref(struct ex_compiled *c); /* accepts NULL */

#endif
