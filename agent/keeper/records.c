/* SPDX-License-Identifier: Apache-2.0 */
/* Records on their way to the log: checked, and no more than the log can bear. */
#include <errno.h>
#include <netinet/in.h>

#include "agent/keeper/keeper_priv.h"

#define TELL_MS 1000

static void write_record(struct ex_keeper *k, const struct ex_ruleset *rs,
			 const struct ex_audit_record *rec)
{
	k->cfg.ops->record(k->cfg.arg, rs, rec);
}

static bool is_record(const struct ex_worker *w, const struct ex_ruleset *rs,
		      const struct ex_audit_record *rec)
{
	static const struct ex_ip none = { 0 };

	if (rec->verdict != EX_V_ALLOW && rec->verdict != EX_V_DENY)
		return false;
	/* An allow may carry another reason (what enforcement would have denied), a deny must. */
	if (rec->verdict == EX_V_DENY && rec->reason == EX_R_ALLOWED)
		return false;
	if (rec->gate != EX_AUDIT_PROXY || rec->app > EX_AUDIT_HTTP || rec->count > 1 ||
	    rec->reason == EX_R_UNSPEC || rec->reason >= EX_R_MAX ||
	    rec->rule > ex_ruleset_n_rules(rs))
		return false;
	return ex_ip_eq(&rec->src, &none) || ex_gateway_is_workload(&w->keeper->cfg.gw, &rec->src);
}

static enum ex_record_kind kind_of(const struct ex_audit_record *rec)
{
	if (rec->gate == EX_AUDIT_KERNEL)
		return EX_RECORD_PACKET;
	if (rec->verdict != EX_V_ALLOW)
		return EX_RECORD_DENY;
	return rec->app == EX_AUDIT_HTTP ? EX_RECORD_REQUEST : EX_RECORD_ALLOW;
}

/*
 * A token bucket for each kind of record: the workload makes both gates speak, and must neither
 * fill the disk by it nor hide what it was allowed behind what it was denied, or what it asked for
 * behind packets.
 */
static bool take_token(struct ex_keeper *k, const struct ex_audit_record *rec)
{
	static const struct ex_rate rates[] = {
		[EX_RECORD_PACKET] = { 200, 2000 },
		[EX_RECORD_DENY] = { 200, 2000 },
		[EX_RECORD_ALLOW] = { 200, 2000 },
		[EX_RECORD_REQUEST] = { 20000, 100000 },
	};
	enum ex_record_kind kind = kind_of(rec);

	return ex_bucket_take(&k->recorded[kind], &rates[kind], ex_loop_now(k->cfg.loop));
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

void ex_keeper_on_tell(struct ex_timer *t)
{
	ex_keeper_record_left_out(ex_container_of(t, struct ex_keeper, tell));
}

static void leave_out(struct ex_keeper *k, uint32_t n)
{
	/* Without memory for the timer it is told at the end, or with what is left out next. */
	if (n && !k->left_out)
		(void)!ex_timer_start(k->cfg.loop, &k->tell, TELL_MS);
	k->left_out = n < UINT32_MAX - k->left_out ? k->left_out + n : UINT32_MAX;
}

static void record(struct ex_keeper *k, const struct ex_ruleset *rs,
		   const struct ex_audit_record *rec)
{
	if (take_token(k, rec))
		write_record(k, rs, rec);
	else
		leave_out(k, 1);
}

int ex_worker_take_record(struct ex_worker *w, const struct ex_ruleset *rs,
			  const struct ex_audit_record *rec)
{
	if (!is_record(w, rs, rec))
		return -EBADMSG;
	record(w->keeper, rs, rec);
	return 0;
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
	leave_out(k, ev->suppressed);
	if (!is_chatter(ev))
		record(k, k->rs, &rec);
}
