/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/bucket.h"

#define MS 1000000ull /* in nanoseconds */

static uint64_t price_of(const struct ex_rate *rate)
{
	return 1000 * MS / rate->per_second;
}

/* What was taken and is not paid for by time yet. */
static uint64_t debt_of(struct ex_bucket *b, uint64_t now_ms)
{
	if (b->paid < now_ms * MS)
		b->paid = now_ms * MS;
	return b->paid - now_ms * MS;
}

bool ex_bucket_take_n(struct ex_bucket *b, const struct ex_rate *rate, uint64_t now_ms, uint32_t n)
{
	uint64_t price = price_of(rate);

	if (debt_of(b, now_ms) + n * price > rate->burst * price)
		return false;
	b->paid += n * price;
	return true;
}

bool ex_bucket_take(struct ex_bucket *b, const struct ex_rate *rate, uint64_t now_ms)
{
	return ex_bucket_take_n(b, rate, now_ms, 1);
}

uint64_t ex_bucket_spend(struct ex_bucket *b, const struct ex_rate *rate, uint64_t now_ms,
			 uint32_t n)
{
	uint64_t price = price_of(rate), debt = debt_of(b, now_ms) + n * price;

	b->paid += n * price;
	return debt > rate->burst * price ? (debt - rate->burst * price) / MS + 1 : 0;
}
