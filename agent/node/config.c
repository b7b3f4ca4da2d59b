/* SPDX-License-Identifier: Apache-2.0 */
/* The keys, each in one line of one table: the file, the flags and the help are read off it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/core/sockaddr.h"
#include "agent/node/config_keys.h"
#include "agent/report/listen.h"
#include "agent/report/webhook.h"

#define AT(field) offsetof(struct ex_node_config, field)

/* ---- how a value of each kind is set; NULL, or what is wrong ---- */

static const char *wrong(struct ex_node_config *c, const char *fmt, ...) EX_PRINTF(2, 3);
static const char *wrong(struct ex_node_config *c, const char *fmt, ...)
{
	char text[160];
	const char *why;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	why = ex_arena_strndup(&c->arena, text, strlen(text));
	return why ? why : "no memory";
}

static const char *set_text(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	const char **at = (void *)((char *)c + k->at);
	char *copy;

	if (!*text)
		return "must not be empty";
	copy = ex_arena_strndup(&c->arena, text, strlen(text));
	if (!copy)
		return "no memory";
	*at = copy;
	return NULL;
}

static const char *set_path(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	return *text == '/' ? set_text(c, k, text) : "must be an absolute path";
}

static const char *set_number(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	uint32_t *at = (void *)((char *)c + k->at);
	uint64_t n;

	if (!ex_number_parse(text, k->min, k->max, &n))
		return wrong(c, "must be a whole number from %u to %u", k->min, k->max);
	*at = (uint32_t)n;
	return NULL;
}

/* words: "no|yes": the first is false. */
static const char *set_word(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	bool *at = (void *)((char *)c + k->at);
	size_t first = strcspn(k->words, "|");

	if (strlen(text) == first && strncmp(text, k->words, first) == 0)
		*at = false;
	else if (strcmp(text, k->words + first + 1) == 0)
		*at = true;
	else
		return wrong(c, "must be %.*s or %s", (int)first, k->words, k->words + first + 1);
	return NULL;
}

/* Whether it can be listened at shows later; what it is has to be clear now. */
static const char *set_listen(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	if (strcmp(text, "off") != 0 && !ex_listen_is_place(text))
		return "must be ADDR:PORT, [IPV6]:PORT, the path of a socket (107 bytes at most), "
		       "or off";
	return set_text(c, k, text);
}

/* A path, or "@name": an abstract one. */
static const char *set_socket(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	if ((text[0] != '/' && text[0] != '@') ||
	    !ex_sockaddr_unix(text, &(struct sockaddr_un){ 0 }))
		return "must be an absolute path (107 bytes at most), or @NAME";
	return set_text(c, k, text);
}

static const char *set_url(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	return ex_webhook_is_url(text) ? set_text(c, k, text)
				       : "must be http://HOST[:PORT][/PATH] or https://...";
}

static const char *set_level(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	static const char *const words[] = { "error", "warning", "info", "debug" };

	(void)k;
	for (uint32_t i = 0; i < EX_ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i]) == 0) {
			c->log_level = i;
			return NULL;
		}
	}
	return "must be error, warning, info or debug";
}

static const char *add_dir(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	const struct node_key to = { .at = AT(policy_dirs) +
					   c->n_policy_dirs * sizeof(c->policy_dirs[0]) };
	const char *why;

	(void)k;
	for (size_t i = 0; i < c->n_policy_dirs; i++)
		if (strcmp(c->policy_dirs[i], text) == 0)
			return "is there twice";
	if (c->n_policy_dirs == EX_NODE_DIRS_MAX)
		return "is one too many";
	why = set_path(c, &to, text);
	c->n_policy_dirs += !why;
	return why;
}

static const char *add_dns(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	(void)k;
	return ex_resolver_server_add(text, c->dns.v, EX_RESOLVERS_MAX, &c->dns.n);
}

static const char *add_serve(struct ex_node_config *c, const struct node_key *k, const char *text)
{
	bool none = strcmp(text, "none") == 0;
	struct ex_serve s;

	(void)k;
	if (c->serve_none || (none && c->n_serve))
		return "cannot be beside none";
	c->serve_none = none;
	if (none)
		return NULL;
	if (!ex_serve_parse(text, &s))
		return "must be PORT, PORT/tcp, PORT/udp, any or none";
	for (size_t i = 0; i < c->n_serve; i++)
		if (c->serve[i].port == s.port && c->serve[i].proto == s.proto)
			return "is there twice";
	if (c->n_serve == EX_NODE_SERVE_MAX)
		return "is one too many";
	c->serve[c->n_serve++] = s;
	return NULL;
}

/* ---- the table ---- */

const struct node_key node_keys[] = {
	{ "policyDirs", add_dir, .count = AT(n_policy_dirs), .arg = "DIR",
	  .help = "directory of policies, watched; may be repeated (/etc/exeat/policies)" },
	{ "unselected", set_word, .at = AT(unselected_allow), .words = "deny|allow",
	  .help = "endpoints that no policy ever selected: deny (default) or allow everything" },
	{ "metadata", set_word, .at = AT(allow_metadata), .words = "deny|allow",
	  .help = "cloud metadata addresses, whatever a policy allows: deny (default)" },
	{ "dns", add_dns, .count = AT(dns.n), .arg = "[SUFFIX=]ADDR[:PORT]",
	  .help = "resolvers to ask (those of /etc/resolv.conf, which is followed)" },
	{ "serve", add_serve, .count = AT(n_serve), .arg = "PORT[/udp]|any|none",
	  .help = "where endpoints answer flows that others open, unless told per endpoint (any)" },
	{ "refusal", set_word, .at = AT(silent), .words = "answer|silent",
	  .help = "denied packets: answer (default) with RST or ICMP, or silent" },
	{ "upstreamCa", set_path, .at = AT(upstream_ca), .arg = "FILE",
	  .help = "more roots to trust, besides the system's" },
	{ "caDir", set_path, .at = AT(ca_dir), .arg = "DIR",
	  .help = "ca.key and ca.pem of the own certificate authority, made there (/var/lib/exeat)" },
	{ "secretsDir", set_path, .at = AT(secrets_dir), .arg = "DIR",
	  .help = "what rules mean by a secret: DIR/NAMESPACE/NAME/ITEM" },
	{ "workers", set_number, .at = AT(workers), .min = 1, .max = EX_WORKERS_MAX, .arg = "N",
	  .help = "proxy processes of an endpoint (1)" },
	{ "stateDir", set_path, .at = AT(state_dir), .arg = "DIR",
	  .help = "state of endpoints; on a file system that a boot empties (/run/exeat)" },
	{ "bpffs", set_path, .at = AT(bpffs), .arg = "DIR",
	  .help = "where the BPF file system is mounted (/sys/fs/bpf)" },
	{ "socket", set_socket, .at = AT(socket), .arg = "PATH",
	  .help = "control socket (STATEDIR/agent.sock)" },
	{ "socketGroup", set_text, .at = AT(socket_group), .arg = "GROUP",
	  .help = "group that may use the control socket, besides root (exeat, if there is one)" },
	{ "auditFile", set_path, .at = AT(audit_file), .arg = "FILE",
	  .help = "append a record of every verdict to FILE" },
	{ "auditKey", set_path, .at = AT(audit_key), .needs = "auditFile", .arg = "FILE",
	  .help = "chain the audit file with the key in FILE (exeat audit key)" },
	{ "metrics", set_listen, .at = AT(metrics), .arg = "ADDR:PORT|PATH|off",
	  .help = "serve Prometheus metrics and health there (127.0.0.1:9964)" },
	{ "webhook", set_url, .at = AT(webhook), .arg = "URL",
	  .help = "post alerts about denials there" },
	{ "webhookCa", set_path, .at = AT(webhook_ca), .needs = "webhook", .arg = "FILE",
	  .help = "roots for the webhook, instead of the system's" },
	{ "webhookToken", set_path, .at = AT(webhook_token), .needs = "webhook", .arg = "FILE",
	  .help = "bearer token for the webhook" },
	{ "webhookSecret", set_path, .at = AT(webhook_secret), .needs = "webhook", .arg = "FILE",
	  .help = "key to sign the posts with (X-Exeat-Signature)" },
	{ "webhookInterval", set_number, .at = AT(webhook_interval_ms), .min = 10, .max = 3600000,
	  .needs = "webhook", .arg = "MS", .help = "between two posts at least (1000)" },
	{ "maxEndpoints", set_number, .at = AT(max_endpoints), .min = 1, .max = EX_ENDPOINTS_MAX,
	  .arg = "N", .help = "endpoints on this node (256)" },
	{ "maxDests", set_number, .at = AT(max_dests), .min = 1024, .max = 1u << 24, .arg = "N",
	  .help = "destination prefixes of all policies in the kernel gate (262144)" },
	{ "maxRules", set_number, .at = AT(max_rules), .min = 1024, .max = 1u << 24, .arg = "N",
	  .help = "rules of all policies in the kernel gate (131072)" },
	{ "maxNames", set_number, .at = AT(max_names), .min = 1024, .max = 1u << 24, .arg = "N",
	  .help = "addresses learned from DNS, of all endpoints (65536)" },
	{ "maxFlows", set_number, .at = AT(max_flows), .min = 64, .max = 1u << 22, .arg = "N",
	  .help = "flows of one endpoint (16384)" },
	{ "debounce", set_number, .at = AT(debounce_ms), .min = 0, .max = 10000, .arg = "MS",
	  .help = "wait so long for more changes of policy files (20)" },
	{ "logLevel", set_level, .arg = "LEVEL",
	  .help = "error, warning, info (default) or debug" },
};

const size_t node_n_keys = EX_ARRAY_SIZE(node_keys);
_Static_assert(EX_ARRAY_SIZE(node_keys) <= NODE_KEYS_MAX, "room for each");

const struct node_key *node_key_find(const char *name)
{
	for (size_t i = 0; i < node_n_keys; i++)
		if (strcmp(node_keys[i].name, name) == 0)
			return &node_keys[i];
	return NULL;
}

void node_key_empty(struct ex_node_config *c, const struct node_key *k)
{
	if (!k->count)
		return;
	*(size_t *)(void *)((char *)c + k->count) = 0;
	if (k->set == add_serve)
		c->serve_none = false;
}

void ex_node_config_init(struct ex_node_config *c)
{
	*c = (struct ex_node_config){
		.policy_dirs = { "/etc/exeat/policies" },
		.n_policy_dirs = 1,
		.state_dir = "/run/exeat",
		.bpffs = "/sys/fs/bpf",
		.ca_dir = "/var/lib/exeat",
		.serve = { { 0 } },
		.n_serve = 1,
		.workers = 1,
		.metrics = "127.0.0.1:9964",
		.webhook_interval_ms = 1000,
		.max_endpoints = 256,
		.debounce_ms = 20,
		.log_level = EX_LOG_INFO,
	};
}

void ex_node_config_done(struct ex_node_config *c)
{
	ex_arena_done(&c->arena);
}
