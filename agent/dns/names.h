/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which names a workload's own DNS answers gave for which address, and until when. Bounded in
 * addresses, names per address and addresses per name. Kept by the proxy (to judge flows) and by
 * the privileged parent (to classify addresses); the same code in both.
 */
#ifndef EXEAT_AGENT_DNS_NAMES_H
#define EXEAT_AGENT_DNS_NAMES_H

#include "exeat/util.h"

#define EX_NAMES_PER_ADDR_MAX 32
#define EX_ADDRS_PER_NAME_MAX 256

struct ex_names;

EX_MUST_CHECK int ex_names_new(size_t max_addrs, struct ex_names **ret);
void ex_names_free(struct ex_names *t);

/* Adds or extends (never shortens). 0, -ENOSPC at a bound after expired entries went, -ENOMEM. */
EX_MUST_CHECK int ex_names_add(struct ex_names *t, const struct ex_ip *ip, struct ex_span name,
			       uint64_t now_ms, uint64_t ttl_ms);

/*
 * Valid names of ip, at most cap; spans live until the next ex_names_add() or ex_names_keep().
 * Returns how many. A binding that expired lately may still be there: now_ms may be in the past.
 */
size_t ex_names_of(struct ex_names *t, const struct ex_ip *ip, uint64_t now_ms, struct ex_span *out,
		   size_t cap);

/*
 * Every address with the names that are, or were, valid after since_ms. Ends with the first value
 * of fn that is not 0, and returns it.
 */
struct ex_names_known {
	struct ex_span name;
	uint64_t expires;
};
typedef int (*ex_names_fn)(void *arg, const struct ex_ip *ip, const struct ex_names_known *known,
			   size_t n);
int ex_names_each(const struct ex_names *t, uint64_t since_ms, ex_names_fn fn, void *arg);

/* Forgets every binding that keep() does not want. */
typedef bool (*ex_names_keep_fn)(void *arg, const struct ex_ip *ip, struct ex_span name);
void ex_names_keep(struct ex_names *t, ex_names_keep_fn keep, void *arg);

#endif
