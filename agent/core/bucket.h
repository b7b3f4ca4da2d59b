/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets: so much a second, and so much at once. */
#ifndef EXEAT_AGENT_CORE_BUCKET_H
#define EXEAT_AGENT_CORE_BUCKET_H

#include "exeat/util.h"

struct ex_rate {
	uint32_t per_second, burst;
};

struct ex_bucket {     /* zero = full */
	uint64_t paid; /* CLOCK_MONOTONIC ns: when time has paid for all that was taken */
};

/* False: there is nothing left. */
EX_MUST_CHECK bool ex_bucket_take(struct ex_bucket *b, const struct ex_rate *rate, uint64_t now_ms);

/* All of n, or nothing: false when less is left. */
EX_MUST_CHECK bool ex_bucket_take_n(struct ex_bucket *b, const struct ex_rate *rate,
				    uint64_t now_ms, uint32_t n);

/* Takes n even when less is left: in how many milliseconds that debt is paid; 0 = there was enough.
 */
EX_MUST_CHECK uint64_t ex_bucket_spend(struct ex_bucket *b, const struct ex_rate *rate,
				       uint64_t now_ms, uint32_t n);

#endif
