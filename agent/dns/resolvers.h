/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which resolvers a node or a run asks: those that were named, which stay, and, for the names that
 * these leave to it, those of a resolv.conf(5), which is followed. While that says nothing (it is
 * gone, empty, or being written), what it said last holds.
 */
#ifndef EXEAT_AGENT_DNS_RESOLVERS_H
#define EXEAT_AGENT_DNS_RESOLVERS_H

#include "agent/dns/resolver.h"

#define EX_RESOLV_CONF   "/etc/resolv.conf"
#define EX_RESOLVERS_MAX 8

struct ex_resolvers {
	struct ex_resolver_server v[EX_RESOLVERS_MAX]; /* the file's are the last ones */
	size_t n, named;
	const char *file;    /* NULL: it plays no part */
	const char *trouble; /* with the file as it is; NULL = none */
	/* For a moment: what a proxy asks that has not heard of another file yet. */
	struct ex_resolver_server before[EX_RESOLVER_SERVERS];
	size_t n_before;
	uint64_t before_until; /* ms */
};

/* Those that are there have been named. The file is not read before ex_resolvers_look(). */
void ex_resolvers_follow(struct ex_resolvers *r, const char *file);

/* Reads the file, if it plays a part. True: others are asked from now on. Either is told. */
bool ex_resolvers_look(struct ex_resolvers *r, uint64_t now_ms);

/* The one at this address that may be asked; else NULL. */
const struct ex_resolver_server *ex_resolvers_find(const struct ex_resolvers *r,
						   const struct ex_ip *ip, uint16_t port,
						   uint64_t now_ms);

/* Those that are asked for all names that no suffix is for: how many, and where they begin. */
size_t ex_resolvers_general(const struct ex_resolvers *r, const struct ex_resolver_server **ret);

#endif
