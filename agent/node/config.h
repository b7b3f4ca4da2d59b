/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the node agent is set up: /etc/exeat/agent.yaml, and every key of it as a flag too. The file
 * is strict: an unknown key, a key twice or a value that is not one of its kind is an error with
 * its place, and nothing starts. A flag beats the file; a list given by flags replaces the file's.
 */
#ifndef EXEAT_AGENT_NODE_CONFIG_H
#define EXEAT_AGENT_NODE_CONFIG_H

#include "agent/dns/resolvers.h"
#include "agent/node/serve.h"
#include "policy/arena.h"

#define EX_NODE_CONFIG_FILE "/etc/exeat/agent.yaml"

#define EX_NODE_DIRS_MAX  16
#define EX_NODE_SERVE_MAX 32

struct ex_node_config {
	const char *policy_dirs[EX_NODE_DIRS_MAX];
	size_t n_policy_dirs;
	const char *state_dir; /* endpoints, lock; gone after a boot */
	const char *bpffs;
	const char *socket; /* control; NULL until finished */
	const char *socket_group;
	const char *audit_file; /* NULL = none */
	const char *audit_key;
	const char *ca_dir;      /* the own certificate authority */
	const char *secrets_dir; /* what rules mean by a secret; NULL = none */
	const char *upstream_ca;
	const char *metrics; /* ADDR:PORT, a path, or "off" */
	const char *webhook, *webhook_ca, *webhook_token, *webhook_secret; /* NULL = none */
	uint32_t webhook_interval_ms;
	struct ex_resolvers dns;
	struct ex_serve serve[EX_NODE_SERVE_MAX];
	size_t n_serve;
	bool serve_none;       /* n_serve is 0, and was meant to be */
	bool unselected_allow; /* an endpoint that no policy ever selected may do everything */
	bool allow_metadata;
	bool silent;
	uint32_t workers;
	uint32_t max_endpoints, max_dests, max_rules, max_names, max_flows; /* 0 = the gate's own */
	uint32_t debounce_ms;
	bool uninstall;     /* a flag only: clean up and end */
	uint32_t log_level; /* enum ex_log_level */
	struct ex_arena arena;
};

/* What is so without a file and without a flag. */
void ex_node_config_init(struct ex_node_config *c);
void ex_node_config_done(struct ex_node_config *c);

/*
 * Reads the command line of `exeat agent` and the file it names (--config; the usual one may be
 * missing). 0; 1 = help was printed; -EINVAL = every mistake was printed.
 */
EX_MUST_CHECK int ex_node_config_load(struct ex_node_config *c, int argc, char **argv);

#endif
