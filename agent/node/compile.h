/* SPDX-License-Identifier: Apache-2.0 */
/* From policy files and endpoints to what is in force for one endpoint. */
#ifndef EXEAT_AGENT_NODE_COMPILE_H
#define EXEAT_AGENT_NODE_COMPILE_H

#include "agent/node/registry.h"
#include "agent/node/selection.h"
#include "policy/emit.h"

struct ex_ruleset;

/* What all endpoints are compiled with, besides policies. */
struct ex_compile_base {
	const struct ex_node_config *config;
	struct ex_text peers;   /* {"endpoints":[...]}, see ex_registry_peers() */
	struct ex_known *known; /* the same, read; a reference */
	struct ex_ip *host_ips;
	size_t n_host_ips;
};

/* Peers and host addresses as they are now; before: a former base. config is borrowed. */
EX_MUST_CHECK int ex_compile_base_init(struct ex_compile_base *b,
				       const struct ex_node_config *config,
				       const struct ex_registry *registry,
				       const struct ex_compile_base *before);
void ex_compile_base_done(struct ex_compile_base *b);
bool ex_compile_base_same_peers(const struct ex_compile_base *a, const struct ex_compile_base *b);
bool ex_compile_base_same_host(const struct ex_compile_base *a, const struct ex_compile_base *b);

struct ex_compiled { /* refcounted, immutable */
	unsigned refs;
	struct ex_ruleset *rs;
	struct ex_tables egress, ingress; /* of rs */
	int bundle;                       /* for the proxy; -1 = it needs none */
	bool selected;                    /* some policy is about its egress */
};

/*
 * For an endpoint with this selection and these labels: 0, or negative errno with errors in diags.
 * One that no policy selects gets a ruleset that denies everything, or, when the configuration says
 * so and it was never confined, one that allows everything.
 */
EX_MUST_CHECK int ex_node_compile(const struct ex_compile_base *b, const struct ex_selection *s,
				  const struct ex_label_set *labels, struct ex_compiled **ret,
				  struct ex_diags *diags);

/* For one whose policies do not compile: nothing goes out, and nothing comes in. */
EX_MUST_CHECK int ex_node_compile_denial(const struct ex_compile_base *b, struct ex_compiled **ret);

/*
 * The specs of the i-th file that wanted has, on their own, beside what other files have for all:
 * 0, -EINVAL with errors, -ENOMEM.
 */
EX_MUST_CHECK int ex_node_check_file(const struct ex_compile_base *b,
				     const struct ex_policy_files *files, size_t i,
				     const uint8_t *wanted, struct ex_diags *diags);

/* From what is in force to the same policies with other peers, see ex_repeer(). */
struct ex_move {
	struct ex_compiled *from, *to; /* references; to NULL: there is no such way, compile it */
	struct ex_delta egress, ingress;
};

/* 0, also when it has to be compiled; -ENOMEM. */
EX_MUST_CHECK int ex_node_move(const struct ex_compile_base *b, const struct ex_selection *s,
			       const struct ex_label_set *labels, struct ex_compiled *from,
			       struct ex_move *ret);
void ex_move_done(struct ex_move *m);
static inline bool ex_move_is_empty(const struct ex_move *m)
{
	return ex_delta_is_empty(&m->egress) && ex_delta_is_empty(&m->ingress);
}

struct ex_compiled *ex_compiled_ref(struct ex_compiled *c);
void ex_compiled_unref(struct ex_compiled *c); /* accepts NULL */

#endif
