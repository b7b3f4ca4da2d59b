/* SPDX-License-Identifier: Apache-2.0 */
/* Something per name, a bounded number of it; what was unused for longest makes room. */
#ifndef EXEAT_AGENT_TLS_CACHE_H
#define EXEAT_AGENT_TLS_CACHE_H

#include "agent/tls/name.h"

struct ex_tls_cache;

/* drop() frees a value that goes. */
EX_MUST_CHECK int ex_tls_cache_new(size_t max, void (*drop)(void *value),
				   struct ex_tls_cache **ret);
void ex_tls_cache_free(struct ex_tls_cache *c);

/* The value stays the cache's, until the next put. NULL when there is none. */
void *ex_tls_cache_get(struct ex_tls_cache *c, struct ex_span name);
/* The value is the caller's now. */
void *ex_tls_cache_take(struct ex_tls_cache *c, struct ex_span name);
/* Replaces what the name had. name is a host name. */
void ex_tls_cache_put(struct ex_tls_cache *c, struct ex_span name, void *value);

#endif
