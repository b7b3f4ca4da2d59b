/* SPDX-License-Identifier: Apache-2.0 */
/* Records on their way to the log: checked, and no more than the log can bear. */
#include <errno.h>
#include <netinet/in.h>

#include "agent/audit/pack.h"
#include "agent/keeper/keeper_priv.h"

static void write_record(struct ex_keeper *k, const struct ex_ruleset *rs,
			 const struct ex_audit_record *rec)
{
	k->cfg.ops->record(k->cfg.arg, rs, rec);
}

/* What ended because of another policy bears the rule of that one, just before it is in force. */
static const struct ex_ruleset *ruleset_of(const struct ex_worker *w,
					   const struct ex_audit_record *rec)
{
	return rec->reason == EX_R_POLICY_CHANGED && w->next ? w->next : w->rs;
}

static bool is_record(const struct ex_worker *w, const struct ex_audit_record *rec)
{
	static const struct ex_ip none = { 0 };

	if (rec->verdict != EX_V_ALLOW && rec->verdict != EX_V_DENY)
		return false;
	/* An allow may carry another reason (what enforcement would have denied), a deny must. */
	if (rec->verdict == EX_V_DENY && rec->reason == EX_R_ALLOWED)
		return false;
	if (rec->gate != EX_AUDIT_PROXY || rec->app > EX_AUDIT_HTTP || rec->count > 1 ||
	    rec->reason == EX_R_UNSPEC || rec->reason >= EX_R_MAX ||
	    rec->rule > ex_ruleset_n_rules(ruleset_of(w, rec)))
		return false;
	return ex_ip_eq(&rec->src, &none) || ex_gateway_is_workload(&w->keeper->cfg.gw, &rec->src);
}

/*
 * A token bucket for each kind of record: the workload makes the proxy speak, and must neither fill
 * the disk by it nor hide what it was allowed behind what it was denied.
 */
static bool take_token(struct ex_keeper *k, const struct ex_audit_record *rec)
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
	struct ex_record_bucket *b = &k->buckets[kind];
	uint64_t now = ex_loop_now(k->cfg.loop);
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

void ex_keeper_record_left_out(struct ex_keeper *k)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_L4,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = EX_V_DENY,
				       .reason = EX_R_LIMIT,
				       .count = k->left_out };

	if (!k->left_out)
		return;
	ex_audit_set(rec.detail, sizeof(rec.detail),
		     EX_SPAN("records left out: more verdicts than the log takes"));
	k->left_out = 0;
	write_record(k, k->rs, &rec);
}

static int take_record(struct ex_worker *w, const struct ex_audit_record *rec)
{
	struct ex_keeper *k = w->keeper;

	if (!is_record(w, rec))
		return -EBADMSG;
	if (!take_token(k, rec)) {
		k->left_out += k->left_out < UINT32_MAX;
		return 0;
	}
	ex_keeper_record_left_out(k);
	write_record(k, ruleset_of(w, rec), rec);
	return 0;
}

int ex_worker_take_records(struct ex_worker *w, const struct ex_ipc_audit *msg)
{
	struct ex_span rest = { (const char *)msg->records, msg->head.id };
	struct ex_audit_record rec;
	int r = rest.len ? 0 : -EBADMSG;

	while (rest.len && r == 0)
		r = ex_audit_unpack(&rest, &rec) ? take_record(w, &rec) : -EBADMSG;
	return r;
}

/* ---- events of the kernel gate ---- */

/*
 * Denied and counted as everything else, but not worth a record: nobody tried anything. Both
 * kernels announce their multicast groups on the link (MLDv2, RFC 3810).
 */
static bool is_chatter(const struct ex_event *ev)
{
	static const struct ex_ip routers = { .b = { 0xff, 0x02, [15] = 0x16 } };

	if (ev->type != EX_EV_DENY)
		return false;
	/* The last words on a connection that was ended here: its rule is known, its socket gone.
	 */
	if (ev->reason == EX_R_NO_FLOW && ev->proto == IPPROTO_TCP && ev->rule)
		return true;
	return ev->proto == IPPROTO_ICMPV6 && ex_ip_eq(&ev->dst, &routers);
}

void ex_keeper_take_event(struct ex_keeper *k, const struct ex_event *ev)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_L4,
				       .gate = EX_AUDIT_KERNEL,
				       .verdict = ev->verdict,
				       .proto = ev->proto,
				       .reason = ev->reason,
				       .rule = ev->rule,
				       .count = 1,
				       .src = ev->src,
				       .dst = ev->dst,
				       .sport = ntohs(ev->sport),
				       .dport = ntohs(ev->dport) };

	if (!ex_event_is_verdict(ev))
		return;
	/* Left out were verdicts on anything: they are not this one's. */
	k->left_out += ev->suppressed;
	ex_keeper_record_left_out(k);
	if (!is_chatter(ev))
		write_record(k, k->rs, &rec);
}
