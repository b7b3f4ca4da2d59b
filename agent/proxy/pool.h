/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server connections that are idle between two requests of one workload. A connection is given out
 * again only for the same address and port, and inside TLS for the same name; the request it is
 * given out for was judged like any other. Those of an identity (agent/tls/identity.h) are not
 * kept. Bounded in number and time.
 */
#ifndef EXEAT_AGENT_PROXY_POOL_H
#define EXEAT_AGENT_PROXY_POOL_H

#include "agent/proxy/side.h"

#define EX_POOL_IDLE_MS 1500 /* servers keep one for 5 s or more, some for 2 s */

struct ex_pool;

struct ex_pool_key {
	struct ex_ip ip;
	uint16_t port;
	struct ex_span name; /* of TLS, canonical; len 0 = no TLS */
	uint32_t identity;
};

/* False for those of an identity, which nobody shares. */
bool ex_pool_key_eq(const struct ex_pool_key *a, const struct ex_pool_key *b);

EX_MUST_CHECK int ex_pool_new(struct ex_loop *loop, struct ex_pool **ret);

/* Takes the socket and TLS of s, which becomes a fresh side; closes it when there is no room. */
void ex_pool_put(struct ex_pool *p, const struct ex_pool_key *key, struct ex_side *s);

/* True: s has an idle connection for the key, ready to be written to. */
bool ex_pool_take(struct ex_pool *p, const struct ex_pool_key *key, struct ex_side *s);

/* Closes all of them: another policy may not allow what they were opened for. */
void ex_pool_clear(struct ex_pool *p);

#endif
