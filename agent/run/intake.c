/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the proxy on their way to the log: checked, and no more than the log can bear. */
#include <errno.h>

#include "agent/run/parent_priv.h"

static bool is_record(const struct ex_parent *p, const struct ex_audit_record *rec)
{
	static const struct ex_ip none = { 0 };
	const struct ex_netns *ns = p->cfg.ns;

	if (rec->verdict != EX_V_ALLOW && rec->verdict != EX_V_DENY)
		return false;
	/* An allow may carry another reason (what enforcement would have denied), a deny must. */
	if (rec->verdict == EX_V_DENY && rec->reason == EX_R_ALLOWED)
		return false;
	if (rec->gate != EX_AUDIT_PROXY || rec->app > EX_AUDIT_HTTP || rec->count > 1 ||
	    rec->reason == EX_R_UNSPEC || rec->reason >= EX_R_MAX ||
	    rec->rule > ex_ruleset_n_rules(p->cfg.rs))
		return false;
	return ex_ip_eq(&rec->src, &none) || ex_ip_eq(&rec->src, &ns->ip4) ||
	       (ns->v6 && ex_ip_eq(&rec->src, &ns->ip6));
}

/*
 * A token bucket for each kind of record: the workload makes the proxy speak, and must neither fill
 * the disk by it nor hide what it was allowed behind what it was denied.
 */
static bool take_token(struct ex_parent *p, const struct ex_audit_record *rec)
{
	static const struct {
		uint32_t per_second, burst;
	} rates[] = {
		[EX_RECORD_DENY] = { 200, 2000 },
		[EX_RECORD_ALLOW] = { 200, 2000 },
		[EX_RECORD_REQUEST] = { 20000, 100000 },
	};
	enum ex_record_kind kind = rec->verdict != EX_V_ALLOW  ? EX_RECORD_DENY
				   : rec->app == EX_AUDIT_HTTP ? EX_RECORD_REQUEST
							       : EX_RECORD_ALLOW;
	struct ex_record_bucket *b = &p->buckets[kind];
	uint64_t now = ex_loop_now(p->loop);
	uint64_t gained = (now - b->filled) * rates[kind].per_second / 1000;

	if (b->filled == 0)
		gained = rates[kind].burst;
	if (gained) {
		b->filled = now;
		b->tokens = gained > rates[kind].burst - b->tokens ? rates[kind].burst
								   : b->tokens + (uint32_t)gained;
	}
	if (b->tokens == 0)
		return false;
	b->tokens--;
	return true;
}

void ex_parent_record_left_out(struct ex_parent *p)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_L4,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = EX_V_DENY,
				       .reason = EX_R_LIMIT,
				       .count = p->left_out };

	if (!p->left_out)
		return;
	ex_audit_set(rec.detail, sizeof(rec.detail),
		     EX_SPAN("records left out: more verdicts than the log takes"));
	p->left_out = 0;
	ex_audit_write(p->cfg.audit, &rec);
}

int ex_parent_record(struct ex_parent *p, const struct ex_audit_record *rec)
{
	if (!is_record(p, rec))
		return -EBADMSG;
	if (!take_token(p, rec)) {
		p->left_out += p->left_out < UINT32_MAX;
		return 0;
	}
	ex_parent_record_left_out(p);
	ex_audit_write(p->cfg.audit, rec);
	return 0;
}
