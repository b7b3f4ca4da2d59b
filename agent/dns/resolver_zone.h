/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The servers for one suffix, and the channels to them. Private to the resolver.
 *
 * c-ares 1.18 keeps one UDP socket per server open as long as any query waits, so under load one
 * source port would serve for hours. So there is a pool of channels: one takes queries for a while,
 * and a bounded number of them; then the next idle one is used, with a fresh socket and port. What
 * a port must not have is time to be found: that is the bound which counts, as who looks for it may
 * ask as slowly as they like. A socket for each query would cost the proxy and its parent more than
 * all the rest of an answer.
 *
 * TCP has channels of its own. c-ares puts all queries of a channel on one connection, and has no
 * patience with a server that closes it after the first answer, as many do: so few queries share
 * one.
 */
#ifndef EXEAT_AGENT_DNS_RESOLVER_ZONE_H
#define EXEAT_AGENT_DNS_RESOLVER_ZONE_H

#include "agent/dns/resolver_channel.h"

enum {
	EX_ZONE_PORT_MS = 1000, /* so long queries are sent from one port */
	/* So many that one is idle again before the last is worn, as fast as a gate may ask and
	 * however long each waits for an answer. */
	EX_ZONE_UDP = 16,
	EX_ZONE_TCP = 8, /* the last ones */
	EX_ZONE_LANES = EX_ZONE_UDP + EX_ZONE_TCP,
};

struct ex_zone;

struct ex_lane { /* a channel and what is under way on it */
	struct ex_channel channel;
	struct ex_zone *zone;
	unsigned pending; /* queries not answered yet */
	unsigned replies; /* so far */
	unsigned used;    /* queries from its port; 0: it has none */
	uint64_t since;   /* ms: the first of them */
};

struct ex_zone {
	struct ex_resolver *r;
	char suffix[EX_RESOLVER_SUFFIX_MAX + 1];
	size_t n_servers;
	struct ex_resolver_server servers[EX_CHANNEL_SERVERS];
	unsigned case_changes; /* times that TCP did not help: no reply, or not the name as sent */
	struct ex_lane *current;
	struct ex_lane lanes[EX_ZONE_LANES];
};

/* NULL without memory. It has no servers yet. suffix: at most EX_RESOLVER_SUFFIX_MAX. */
struct ex_zone *ex_zone_new(struct ex_resolver *r, const char *suffix, struct ex_loop *loop,
			    ex_resolver_dial_fn dial, void *dial_arg);
/* Queries under way end. Not in a reply. Accepts NULL. */
void ex_zone_free(struct ex_zone *z);

/* The lane for the next query by UDP; the same by TCP. It need not be open. */
struct ex_lane *ex_zone_udp(struct ex_zone *z);
struct ex_lane *ex_zone_tcp(struct ex_zone *z);

/* Is one of its replies being looked at? */
bool ex_zone_is_in_reply(const struct ex_zone *z);
/* Ends what has waited too long, and gives back what is not used. False: all is at rest. */
bool ex_zone_tick(struct ex_zone *z);
/* All channels, with the queries under way. They open again when they are used. */
void ex_zone_shut(struct ex_zone *z);

bool ex_lane_is_tcp(const struct ex_lane *l);
/* True: it is open, maybe since now. */
EX_MUST_CHECK bool ex_lane_open(struct ex_lane *l);
/* One more query is under way on it. */
void ex_lane_enter(struct ex_lane *l);

#endif
