/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/limit.h"

#define TELL_MS 1000

static const struct ex_rate rates[] = {
	[EX_AUDIT_KIND_PACKET] = { 200, 2000 },
	[EX_AUDIT_KIND_DENY] = { 200, 2000 },
	[EX_AUDIT_KIND_ALLOW] = { 200, 2000 },
	[EX_AUDIT_KIND_REQUEST] = { 20000, 100000 },
};

static enum ex_audit_kind kind_of(const struct ex_audit_record *rec)
{
	if (rec->gate == EX_AUDIT_KERNEL)
		return EX_AUDIT_KIND_PACKET;
	if (rec->verdict != EX_V_ALLOW)
		return EX_AUDIT_KIND_DENY;
	return rec->app == EX_AUDIT_HTTP ? EX_AUDIT_KIND_REQUEST : EX_AUDIT_KIND_ALLOW;
}

void ex_audit_limit_flush(struct ex_audit_limit *l)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_L4,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = EX_V_DENY,
				       .reason = EX_R_LIMIT,
				       .count = l->left_out };

	if (!l->left_out)
		return;
	ex_audit_set(rec.detail, sizeof(rec.detail),
		     EX_SPAN("records left out: more verdicts than the log takes"));
	l->left_out = 0;
	l->tell(l, &rec);
}

static void on_timer(struct ex_timer *t)
{
	ex_audit_limit_flush(ex_container_of(t, struct ex_audit_limit, timer));
}

void ex_audit_limit_init(struct ex_audit_limit *l, struct ex_loop *loop,
			 void (*tell)(struct ex_audit_limit *l, const struct ex_audit_record *rec))
{
	*l = (struct ex_audit_limit){ .loop = loop, .tell = tell, .timer.fn = on_timer };
}

void ex_audit_limit_missed(struct ex_audit_limit *l, uint32_t n)
{
	/* Without memory for the timer it is told at the end, or with what is left out next. */
	if (n && !l->left_out)
		(void)!ex_timer_start(l->loop, &l->timer, TELL_MS);
	l->left_out = n < UINT32_MAX - l->left_out ? l->left_out + n : UINT32_MAX;
}

bool ex_audit_limit_pass(struct ex_audit_limit *l, const struct ex_audit_record *rec)
{
	enum ex_audit_kind kind = kind_of(rec);

	if (ex_bucket_take(&l->buckets[kind], &rates[kind], ex_loop_now(l->loop)))
		return true;
	ex_audit_limit_missed(l, 1);
	return false;
}

void ex_audit_limit_stop(struct ex_audit_limit *l)
{
	ex_timer_stop(l->loop, &l->timer);
}
