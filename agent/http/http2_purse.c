/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http2_purse.h"

#include <nghttp2/nghttp2.h>

#define CREDIT_MAX     4096
#define CREDIT_FIRST   (CREDIT_MAX / 4)
#define CREDIT_PER_SEC 100
#define CREDIT_PER_OUT 4
#define FAULT_COST     16
#define FIELDS_PER_ONE (64 * 1024)

void ex_h2_purse_init(struct ex_h2_purse *p, size_t preface)
{
	*p = (struct ex_h2_purse){ .credit = CREDIT_FIRST, .skip = preface };
}

void ex_h2_purse_fill(struct ex_h2_purse *p, uint64_t now_ms)
{
	uint64_t passed = now_ms > p->filled_ms ? now_ms - p->filled_ms : 0;

	if (passed > 60 * 1000)
		passed = 60 * 1000;
	p->credit += (int64_t)(passed * CREDIT_PER_SEC / 1000);
	if (p->credit > CREDIT_MAX)
		p->credit = CREDIT_MAX;
	if (passed >= 1000 / CREDIT_PER_SEC)
		p->filled_ms = now_ms;
}

void ex_h2_purse_earn(struct ex_h2_purse *p)
{
	p->credit += CREDIT_PER_OUT;
}

static bool carries(const uint8_t *head, size_t len)
{
	uint8_t type = head[3], flags = head[4];

	return type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION ||
	       (type == NGHTTP2_DATA && (len > 0 || (flags & NGHTTP2_FLAG_END_STREAM)));
}

static void pay_frame(struct ex_h2_purse *p)
{
	size_t len = (size_t)p->head[0] << 16 | (size_t)p->head[1] << 8 | p->head[2];

	if (!carries(p->head, len))
		p->credit--;
	p->skip = len;
	p->head_len = 0;
}

void ex_h2_purse_pay_frames(struct ex_h2_purse *p, const uint8_t *bytes, size_t len)
{
	while (len) {
		size_t n = p->skip ? p->skip : sizeof(p->head) - p->head_len;

		if (n > len)
			n = len;
		if (p->skip) {
			p->skip -= n;
		} else {
			memcpy(p->head + p->head_len, bytes, n);
			p->head_len += n;
			if (p->head_len == sizeof(p->head))
				pay_frame(p);
		}
		bytes += n;
		len -= n;
	}
}

void ex_h2_purse_pay_field(struct ex_h2_purse *p, size_t len)
{
	p->decoded += len;
	p->credit -= (int64_t)(p->decoded / FIELDS_PER_ONE);
	p->decoded %= FIELDS_PER_ONE;
}

void ex_h2_purse_pay_fault(struct ex_h2_purse *p)
{
	p->credit -= FAULT_COST;
}
