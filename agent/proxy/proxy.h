/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unprivileged proxy process: it alone reads the workload's bytes. It is a program of its own
 * (start.h), has its own uid, no capability, a system call filter and no file; what needs privilege
 * it asks for (ask.h).
 */
#ifndef EXEAT_AGENT_PROXY_PROXY_H
#define EXEAT_AGENT_PROXY_PROXY_H

#include "agent/core/list.h"
#include "agent/core/loop.h"
#include "agent/proxy/identities.h"
#include "agent/proxy/listen.h"
#include "agent/proxy/messages.h"
#include "agent/proxy/resolver_dial.h"
#include "agent/proxy/slab.h"
#include "agent/proxy/start.h"
#include "agent/proxy/turns.h"
#include "policy/ruleset.h"

/* `exeat proxy`, which only exeat itself can start. */
int ex_cmd_proxy(int argc, char **argv);

struct ex_ask;
struct ex_conn;
struct ex_dns_gate;
struct ex_dns_io;
struct ex_names;
struct ex_pipes;
struct ex_pool;
struct ex_tls;
struct ex_udp;
struct ex_unread;

struct ex_proxy {
	int sockets[EX_SOCK_MAX]; /* listening, in the gateway namespace; -1 = none */
	struct ex_loop *loop;
	struct ex_ruleset *rs;
	struct ex_ask *ask;
	struct ex_names *names;
	struct ex_resolver_dial resolver_dial;
	struct ex_resolver *resolver;
	struct ex_dns_gate *dns;
	struct ex_dns_io *dns_io;
	struct ex_tls *tls;
	struct ex_identities identities;     /* of rs */
	uint8_t secret[EX_PROXY_SECRET_LEN]; /* the endpoint's, of its TLS tickets */
	struct ex_pool *pool;
	struct ex_unread *unread; /* NULL: nothing is learned */
	struct ex_pipes *pipes;
	struct ex_udp *udp;
	struct ex_listen tcp;
	struct ex_timer tidy; /* memory that is not used is given back after it */
	struct ex_link *conns;
	struct ex_link *spares;  /* whose server connection another may have, latest first */
	struct ex_link *waiters; /* who may have one while they dial */
	struct ex_slab slab;     /* of struct ex_conn */
	size_t n_conns, max_conns;
	size_t h2_heads;       /* bytes of heads of HTTP/2 under way */
	struct ex_turns turns; /* of TLS handshakes with clients */
	unsigned workers;      /* that share the endpoint, this one included */
	int spare_fd;          /* given up to accept and refuse when descriptors run out */
};

/* Connections one workload may have open at once, when descriptors suffice. */
#define EX_CONNS_MAX 1024

/* Up to so many it pays to keep what the next request needs; of more, most are idle. */
#define EX_CONNS_BUSY 128

/* tidy.c: memory was freed. */
void ex_proxy_tidy(struct ex_proxy *px);

/* swap.c: what the parent says unasked; arg is the proxy. */
void ex_proxy_take_news(void *arg, const union ex_ipc_message *msg, int *fd);

/*
 * Before a new flow is judged: the name it goes to may have been learned by another worker, which
 * the parent has told us of before the workload heard of it.
 */
void ex_proxy_catch_up(struct ex_proxy *px);

/*
 * swap.c: tickets of TLS are good for the endpoint's workers that have this policy, and no others.
 */
EX_MUST_CHECK int ex_proxy_take_tickets(struct ex_proxy *px, int bundle);

/*
 * This worker's part of a limit of the endpoint: a quarter more than an even one, since the spread
 * of flows is not even.
 */
static inline size_t ex_proxy_share(const struct ex_proxy *px, size_t limit)
{
	return px->workers > 1 ? (limit + limit / 4) / px->workers : limit;
}

#endif
