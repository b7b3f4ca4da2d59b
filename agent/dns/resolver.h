/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only user of c-ares: raw A/AAAA queries to fixed servers, on our loop. No file and no
 * environment variable has a say, and nothing is opened after ex_resolver_new() but sockets.
 */
#ifndef EXEAT_AGENT_DNS_RESOLVER_H
#define EXEAT_AGENT_DNS_RESOLVER_H

#include "agent/core/loop.h"

struct ex_resolver;

enum {
	EX_RESOLVER_SUFFIX_MAX = 253,
	EX_RESOLVER_SERVERS = 3, /* that are asked for the same names, as in resolv.conf(5) */
};

struct ex_resolver_server {
	/* Asked for this name and what is below it (split horizon); "": for all the rest. */
	char suffix[EX_RESOLVER_SUFFIX_MAX + 1];
	struct ex_ip ip;
	uint32_t scope; /* interface index of an IPv6 link-local server, else 0 */
	uint16_t port;
};

/* How a socket connected (or connecting) to a server is had: fd or negative errno. */
typedef int (*ex_resolver_dial_fn)(void *arg, const struct ex_resolver_server *server, bool tcp);

/*
 * The first EX_RESOLVER_SERVERS of a suffix count. -E2BIG beyond eight suffixes. With none at all
 * there is no name that could be asked for.
 */
EX_MUST_CHECK int ex_resolver_new(struct ex_loop *loop, const struct ex_resolver_server *servers,
				  size_t n, ex_resolver_dial_fn dial, void *arg,
				  struct ex_resolver **ret);

/*
 * Others are asked from now on for the names that no suffix is for; what is under way is asked of
 * them, too. n is 1 to EX_RESOLVER_SERVERS. Not from within a reply. 1; 0 when they are the same;
 * on error nothing changed.
 */
EX_MUST_CHECK int ex_resolver_use(struct ex_resolver *r, const struct ex_resolver_server *servers,
				  size_t n);
/* Pending callbacks are not called. For tests, as ex_dns_gate_free(). */
void ex_resolver_free(struct ex_resolver *r);

/*
 * Sends one query; fn gets the raw reply, or err < 0 (-ETIMEDOUT, -EIO, ...) and msg NULL. Another
 * server is asked when one is silent or answers SERVFAIL, NOTIMP or REFUSED (-EIO when none is
 * left); a reply with any other RCODE is a reply. fn runs after this returned, and once. At most a
 * bounded number wait at once: -EBUSY; -ENOENT when no server is for this name. *ret is a handle
 * for ex_resolver_cancel(), which makes fn never run; it is good until fn runs.
 */
struct ex_resolve;
EX_MUST_CHECK int ex_resolver_query(struct ex_resolver *r, const char *name, uint16_t type,
				    void (*fn)(void *arg, int err, const void *msg, size_t len),
				    void *arg, struct ex_resolve **ret);
void ex_resolver_cancel(struct ex_resolve *q);

/* "[SUFFIX=]ADDR[:PORT]", "[SUFFIX=][V6]:PORT". False when it is not that. Port defaults to 53. */
bool ex_resolver_server_parse(const char *text, struct ex_resolver_server *ret);

/*
 * One more that somebody names, of *n, who are to be all asked: NULL, or what is wrong with it.
 */
const char *ex_resolver_server_add(const char *text, struct ex_resolver_server *v, size_t cap,
				   size_t *n);

/* What the nameserver lines of a resolv.conf(5) say, which is cut up: how many, at most cap. */
size_t ex_resolver_servers_read(char *text, struct ex_resolver_server *out, size_t cap);

/* As it is written, see ex_resolver_server_parse(). */
#define EX_RESOLVER_TEXT (EX_RESOLVER_SUFFIX_MAX + EX_IP_TEXT + 32)
const char *ex_resolver_server_text(const struct ex_resolver_server *s,
				    char buf[static EX_RESOLVER_TEXT]);

/* The same server, be it for other names. */
bool ex_resolver_server_eq(const struct ex_resolver_server *a, const struct ex_resolver_server *b);

#endif
