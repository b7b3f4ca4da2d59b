/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints of the node, and their state files: DIR/endpoints/ID.json, each written whole or
 * not at all, before the endpoint's gate opens. No two endpoints share an address, an interface of
 * the host, a MAC on it, or a namespace/name.
 */
#ifndef EXEAT_AGENT_NODE_REGISTRY_H
#define EXEAT_AGENT_NODE_REGISTRY_H

#include "agent/node/endpoint.h"

struct ex_registry {
	int dir; /* of the state files */
	struct ex_node_endpoint *first;
	size_t n, max;
	uint32_t last_id;
};

/* Makes the directory. Nothing is read yet. */
EX_MUST_CHECK int ex_registry_open(struct ex_registry *r, const char *state_dir, size_t max);
void ex_registry_done(struct ex_registry *r);

/*
 * Reads every state file; what cannot be read or clashes is reported, set aside as ID.json.bad and
 * left out: its interface stays closed in the kernel gate, as nothing is published for it.
 */
EX_MUST_CHECK int ex_registry_recover(struct ex_registry *r);

/* May e be one of them? 0, or -EEXIST / -E2BIG with what is in the way in err. */
EX_MUST_CHECK int ex_registry_check(const struct ex_registry *r, const struct ex_node_endpoint *e,
				    char err[static EX_NODE_ERR]);

/*
 * Its proxies have a user id made of these bits of its id, which no two live endpoints share.
 */
#define EX_NODE_UID_BITS 0xffffu

/* Gives it an id, never used since the node was started. */
EX_MUST_CHECK int ex_registry_number(struct ex_registry *r, struct ex_node_endpoint *e);

/* Taken. */
void ex_registry_insert(struct ex_registry *r, struct ex_node_endpoint *e);
/* The caller's again; the file goes too. */
void ex_registry_remove(struct ex_registry *r, struct ex_node_endpoint *e);

/* Written, synced, renamed into place. */
EX_MUST_CHECK int ex_registry_save(const struct ex_registry *r, const struct ex_node_endpoint *e);
/* All that are still to be written; the first error. */
EX_MUST_CHECK int ex_registry_save_rest(struct ex_registry *r);

struct ex_node_endpoint *ex_registry_by_id(const struct ex_registry *r, uint32_t id);
struct ex_node_endpoint *ex_registry_by_ifindex(const struct ex_registry *r, uint32_t ifindex);
struct ex_node_endpoint *ex_registry_by_name(const struct ex_registry *r, const char *ns,
					     const char *name);
/* interface NULL: whichever the container has first. */
struct ex_node_endpoint *ex_registry_by_container(const struct ex_registry *r, const char *id,
						  const char *interface);

/* What policies are compiled with, besides themselves: {"endpoints":[...]}. Caller frees. */
char *ex_registry_peers(const struct ex_registry *r, size_t *ret_len);

#endif
