/* SPDX-License-Identifier: Apache-2.0 */
/* What a proxy process is told besides its policy, and where it finds its descriptors. */
#ifndef EXEAT_AGENT_PROXY_SETTINGS_H
#define EXEAT_AGENT_PROXY_SETTINGS_H

#include "agent/core/log.h"
#include "agent/core/pack.h"
#include "agent/dns/hash.h"
#include "agent/proxy/start.h"

/*
 * The first ones stay for its whole life, and the sandbox tells them by number: requests,
 * resolvers, then the listening sockets there are. The last four are closed once they were read,
 * or mapped.
 */
enum {
	EX_PROXY_FD_REQUESTS = STDERR_FILENO + 1,
	EX_PROXY_FD_RESOLVERS,
	EX_PROXY_FD_SOCKETS,
	EX_PROXY_FD_SETTINGS = 60,
	EX_PROXY_FD_BUNDLE,
	EX_PROXY_FD_RING,
	EX_PROXY_FD_ROOTS,
	EX_PROXY_FD_END,
};

struct ex_proxy_settings {
	pid_t parent; /* it ends when this is not its parent any more */
	uid_t uid;
	uint8_t secret[EX_PROXY_SECRET_LEN]; /* all its workers have it, and nobody else's */
	enum ex_log_level log_level;
	bool sockets[EX_SOCK_MAX]; /* which there are */
	const struct ex_resolver_server *servers;
	size_t n_servers;
	struct ex_span unread; /* see unread.h; ptr NULL: nothing is learned */
	unsigned workers;
	struct ex_dns_key names_key;
	struct ex_unpack names; /* see ex_proxy_settings_learn() */
	char *bytes;            /* what the pointers point into */
	size_t len;
};

/* As they are for spec, in a sealed memory file: fd or negative errno. */
EX_MUST_CHECK int ex_proxy_settings_pack(const struct ex_proxy_spec *spec);
EX_MUST_CHECK int ex_proxy_settings_read(int fd, struct ex_proxy_settings *ret);

/* Adds the names that are known already. */
EX_MUST_CHECK int ex_proxy_settings_learn(const struct ex_proxy_settings *s, struct ex_names *names,
					  uint64_t now_ms);
void ex_proxy_settings_done(struct ex_proxy_settings *s);

#endif
