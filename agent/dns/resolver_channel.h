/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One c-ares channel on our loop: its sockets, its servers, no file and no environment. Private to
 * the resolver; it says when to look for timeouts.
 */
#ifndef EXEAT_AGENT_DNS_RESOLVER_CHANNEL_H
#define EXEAT_AGENT_DNS_RESOLVER_CHANNEL_H

#include <ares.h>

#include "agent/dns/resolver.h"

enum {
	EX_CHANNEL_SERVERS = EX_RESOLVER_SERVERS,
	EX_CHANNEL_SOCKETS = 2 * EX_CHANNEL_SERVERS, /* UDP and TCP */
};

struct ex_channel;

struct ex_channel_sock {
	struct ex_watch watch;
	struct ex_channel *channel;
};

struct ex_channel {
	struct ex_loop *loop; /* set before it is opened, as the next two */
	ex_resolver_dial_fn dial;
	void *dial_arg;
	ares_channel ares;
	unsigned depth;   /* inside c-ares: it must not be closed */
	bool opening_tcp; /* what c-ares opened last, and is about to connect */
	size_t n_servers;
	struct ex_resolver_server servers[EX_CHANNEL_SERVERS];
	struct ex_channel_sock socks[EX_CHANNEL_SOCKETS];
};

/* flags: ARES_FLAG_* beside what every channel has. n is 1 to EX_CHANNEL_SERVERS. */
EX_MUST_CHECK int ex_channel_open(struct ex_channel *ch, const struct ex_resolver_server *servers,
				  size_t n, int flags);
/* Queries end with ARES_EDESTRUCTION. Accepts one that is not open. */
void ex_channel_close(struct ex_channel *ch);

/* Its sockets are closed: the next query has others. While no query is under way. */
EX_MUST_CHECK int ex_channel_renew(struct ex_channel *ch);

/* fn gets what ares_send() gives; it may run before this returns. */
void ex_channel_send(struct ex_channel *ch, const unsigned char *msg, int len, ares_callback fn,
		     void *arg);
void ex_channel_check_timeouts(struct ex_channel *ch);

#endif
