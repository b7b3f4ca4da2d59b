/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policies are for an endpoint. Endpoints with equal selections have equal rulesets, as long
 * as the endpoints and addresses of the node stay the same; so each is compiled once.
 */
#ifndef EXEAT_AGENT_NODE_SELECTION_H
#define EXEAT_AGENT_NODE_SELECTION_H

#include "agent/node/config.h"
#include "agent/node/endpoint.h"
#include "agent/node/policy_files.h"

struct ex_selected {
	struct ex_policy_file *file; /* a reference is held */
	uint32_t spec;               /* UINT32_MAX: what others refer to in it */
};

struct ex_selection {
	EX_VEC(struct ex_selected) v; /* in the order of files and specs */
	struct ex_ip dns[EX_NODE_DNS_MAX];
	size_t n_dns;
	struct ex_served served[EX_NODE_SERVES_MAX]; /* where no policy is about ingress */
	size_t n_served;
	bool allow_unselected;
	bool learning; /* none of them: agent/learn/policy.h */
};

/* 0 or -ENOMEM. All files have been parsed. */
EX_MUST_CHECK int ex_selection_make(const struct ex_policy_files *files,
				    const struct ex_node_config *config,
				    const struct ex_node_endpoint *e, struct ex_selection *ret);
void ex_selection_done(struct ex_selection *s);
bool ex_selection_equal(const struct ex_selection *a, const struct ex_selection *b);

/*
 * The files of it, each once, without the documents that are not for the endpoint: what stands in
 * them (a value that is a secret) is not for its proxy either. The caller frees the array, with
 * which the bytes go. NULL: no memory.
 */
struct ex_text *ex_selection_texts(const struct ex_selection *s, size_t *ret_n);

#endif
