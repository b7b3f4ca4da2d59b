/* SPDX-License-Identifier: Apache-2.0 */
/* What config.c and config_load.c share. */
#ifndef EXEAT_AGENT_NODE_CONFIG_KEYS_H
#define EXEAT_AGENT_NODE_CONFIG_KEYS_H

#include "agent/node/config.h"

struct node_key {
	const char *name; /* camelCase in the file; --camel-case as a flag */
	const char *(*set)(struct ex_node_config *c, const struct node_key *k, const char *text);
	size_t at;         /* of the field */
	size_t count;      /* of the number of elements: a list, to which set() appends; 0 = none */
	const char *words; /* "no|yes" */
	uint32_t min, max;
	const char *needs; /* the key without which this one does nothing; NULL = none */
	const char *arg, *help;
};

#define NODE_KEYS_MAX 48
extern const struct node_key node_keys[];
extern const size_t node_n_keys;

const struct node_key *node_key_find(const char *name);
void node_key_empty(struct ex_node_config *c, const struct node_key *k);

#endif
