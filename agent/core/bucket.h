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

/* All of n or none: false, there is not so much left. */
EX_MUST_CHECK bool ex_bucket_take_n(struct ex_bucket *b, const struct ex_rate *rate,
				    uint64_t now_ms, uint32_t n);

/* Takes n, also what is not there: in how many milliseconds it will have been there; 0 = it was. */
EX_MUST_CHECK uint64_t ex_bucket_spend(struct ex_bucket *b, const struct ex_rate *rate,
				       uint64_t now_ms, uint32_t n);

#endif
