/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which names a workload's own DNS answers gave for which address, and until when. Kept by the
 * proxy (to judge flows) and by the privileged parent (to classify addresses); the same code in
 * both. What is bounded are bindings, one of an address and a name each: in the table, of one
 * address, of one name. At a bound the binding that was told longest ago makes room.
 *
 * Tables may share room (a pool), as the endpoints of a node share the tables of its kernel. Then
 * each may take what the others leave; when nothing is left, the largest one makes room for the
 * smaller, so that none is kept from its even share by another.
 */
#ifndef EXEAT_AGENT_DNS_NAMES_H
#define EXEAT_AGENT_DNS_NAMES_H

#include "agent/dns/hash.h"

#define EX_NAMES_PER_ADDR_MAX 32
#define EX_ADDRS_PER_NAME_MAX 256

struct ex_names;
struct ex_names_pool;

EX_MUST_CHECK int ex_names_new(size_t max, struct ex_names **ret);
void ex_names_free(struct ex_names *t); /* before its pool */

/*
 * Called for each binding that ends by a bound, when it has been taken out: live or, since nothing
 * else takes them out, expired. Nothing may be added to a table by it.
 */
typedef void (*ex_names_out_fn)(void *arg, const struct ex_ip *ip, struct ex_span name,
				uint64_t expires);
void ex_names_on_out(struct ex_names *t, ex_names_out_fn fn, void *arg);

/* Adds or extends (never shortens). 0, -EINVAL, -ENOMEM. */
EX_MUST_CHECK int ex_names_add(struct ex_names *t, const struct ex_ip *ip, struct ex_span name,
			       uint64_t now_ms, uint64_t ttl_ms);

/*
 * Valid names of ip, at most cap; spans live until the next ex_names_add(), ex_names_forget() or
 * ex_names_keep(). Returns how many. A binding that expired lately may still be there: now_ms may
 * be in the past.
 */
size_t ex_names_of(struct ex_names *t, const struct ex_ip *ip, uint64_t now_ms, struct ex_span *out,
		   size_t cap);

/* Until when name is one of ip's; 0 when it is not known, or was told last before told_ms. */
uint64_t ex_names_until(const struct ex_names *t, const struct ex_ip *ip, struct ex_span name,
			uint64_t told_ms);

/*
 * Addresses with the names that are, or were, valid after since_ms: every one (ends with the first
 * value of fn that is not 0, and returns it), or those of one address (at most
 * EX_NAMES_PER_ADDR_MAX; returns how many).
 */
struct ex_names_known {
	struct ex_span name;
	uint64_t expires;
};
typedef int (*ex_names_fn)(void *arg, const struct ex_ip *ip, const struct ex_names_known *known,
			   size_t n);
int ex_names_each(const struct ex_names *t, uint64_t since_ms, ex_names_fn fn, void *arg);
size_t ex_names_known_of(const struct ex_names *t, const struct ex_ip *ip, uint64_t since_ms,
			 struct ex_names_known ret[static EX_NAMES_PER_ADDR_MAX]);

/* Forgets every binding that keep() does not want. */
typedef bool (*ex_names_keep_fn)(void *arg, const struct ex_ip *ip, struct ex_span name);
void ex_names_keep(struct ex_names *t, ex_names_keep_fn keep, void *arg);

/*
 * How one table is told of a name that is in another: by a hash of both with one key. Only who
 * knows the key can make two names have one hash, so who has them must not be who chooses names. A
 * table's own key is random; another is set while it is empty.
 */
const struct ex_dns_key *ex_names_key(const struct ex_names *t);
void ex_names_set_key(struct ex_names *t, const struct ex_dns_key *key);

/* The name of ip that has this hash, else one of length 0; and forgetting it. */
struct ex_span ex_names_by_hash(const struct ex_names *t, const struct ex_ip *ip, uint64_t hash);
void ex_names_forget(struct ex_names *t, const struct ex_ip *ip, uint64_t hash);

size_t ex_names_count(const struct ex_names *t);

/* ---- room that tables share ---- */

EX_MUST_CHECK int ex_names_pool_new(size_t max, struct ex_names_pool **ret);
void ex_names_pool_free(struct ex_names_pool *pool); /* after its tables */

size_t ex_names_pool_max(const struct ex_names_pool *pool);
size_t ex_names_pool_used(const struct ex_names_pool *pool);

/* Once, while the table is empty. */
void ex_names_join(struct ex_names *t, struct ex_names_pool *pool);

#endif
