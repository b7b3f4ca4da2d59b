/* SPDX-License-Identifier: Apache-2.0 */
/* Records on their way to the log: checked, and no more than the log can bear. */
#include <errno.h>
#include <netinet/in.h>

#include "agent/keeper/keeper_priv.h"

static bool is_record(const struct ex_worker *w, const struct ex_ruleset *rs,
		      const struct ex_audit_record *rec)
{
	static const struct ex_ip none = { 0 };

	if (rec->verdict != EX_V_ALLOW && rec->verdict != EX_V_DENY)
		return false;
	/* An allow may carry another reason (what enforcement would have denied), a deny must. */
	if (rec->verdict == EX_V_DENY && rec->reason == EX_R_ALLOWED)
		return false;
	if (rec->gate != EX_AUDIT_PROXY || rec->ingress || rec->app > EX_AUDIT_HTTP ||
	    rec->count > 1 || rec->reason == EX_R_UNSPEC || rec->reason >= EX_R_MAX ||
	    rec->rule > ex_ruleset_n_rules(rs))
		return false;
	return ex_ip_eq(&rec->src, &none) || ex_gateway_is_workload(&w->keeper->cfg.gw, &rec->src);
}

static void record(struct ex_keeper *k, const struct ex_ruleset *rs,
		   const struct ex_audit_record *rec)
{
	if (ex_audit_limit_pass(&k->limit, rec))
		k->cfg.ops->record(k->cfg.arg, rs, rec);
}

void ex_keeper_tell_left_out(struct ex_audit_limit *l, const struct ex_audit_record *rec)
{
	struct ex_keeper *k = ex_container_of(l, struct ex_keeper, limit);

	k->cfg.ops->record(k->cfg.arg, k->rs, rec);
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
 * Denied and counted as everything else, but not worth a record: the last words on a connection
 * that was ended here. Its rule is known, its socket gone.
 */
static bool is_chatter(const struct ex_event *ev)
{
	return ev->type == EX_EV_DENY && ev->reason == EX_R_NO_FLOW && ev->proto == IPPROTO_TCP &&
	       ev->rule;
}

void ex_keeper_take_event(struct ex_keeper *k, const struct ex_event *ev)
{
	struct ex_audit_record rec;

	if (ev->type != EX_EV_LEFT_OUT && !ex_event_is_verdict(ev))
		return;
	/* Left out were verdicts on anything: they are not this one's. */
	ex_audit_limit_missed(&k->limit, ev->suppressed);
	if (ev->type == EX_EV_LEFT_OUT || is_chatter(ev))
		return;
	rec = ex_audit_of_event(ev);
	record(k, k->rs, &rec);
}
