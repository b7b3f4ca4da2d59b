/* SPDX-License-Identifier: Apache-2.0 */
/* What a steered flow asks for: which terms have a say in it, and what comes of them together. */
#include "policy/judge.h"
#include "policy/judge_term.h"
#include "policy/reading.h"

static bool ask_peer(struct ex_asked *a, const struct ex_rpeer *peer)
{
	for (size_t i = 0; i < peer->n_terms; i++) {
		const struct ex_term *t = &peer->terms[i];

		if (ex_ports_has(t->ports, a->flow->proto, a->flow->port) &&
		    !ex_judge_term(a, peer, t))
			return false;
	}
	return true;
}

static bool denies(const struct ex_rpeer *peer)
{
	return peer->n_terms && peer->terms[0].deny;
}

/* The toFQDNs peers that have the name, those that deny or the others. */
static bool ask_named(struct ex_asked *a, struct ex_span name, bool deny)
{
	const struct ex_name_slot *slot;
	struct ex_name_iter it;

	ex_name_find(&a->rs->name_index, name, &it);
	while ((slot = ex_name_next(&it))) {
		const struct ex_rpeer *peer = &a->rs->peers[slot->peer];

		if (denies(peer) == deny && !ask_peer(a, peer))
			return false;
	}
	return true;
}

/* Denies by name are about every address that names may be about, known under them or not. */
static bool ask_name_denies(struct ex_asked *a)
{
	const struct ex_ruleset *rs = a->rs;
	bool named = !ex_is_missing(a->sni) && !ask_named(a, a->sni, true);

	if (named)
		return false;
	if (a->req)
		return ask_named(a, a->req->host, true);
	/* No name is known yet, or none was told: what any of them says about that. */
	for (size_t i = 0; ex_is_missing(a->sni) && i < rs->n_name_denies; i++) {
		if (!ask_peer(a, &rs->peers[rs->name_denies[i]]))
			return false;
	}
	return true;
}

/* The IPv6 form of an address that hides another counts for its denies only. */
static bool is_shell_denied(struct ex_asked *a)
{
	const struct ex_class *shell = ex_ruleset_shell(a->rs, &a->flow->dst);
	struct ex_merge m = { 0 };

	if (shell)
		ex_merge_class(&m, a->rs, shell, a->flow->proto, a->flow->port);
	if (m.verdict == EX_V_DENY)
		a->best = (struct ex_decision){ EX_V_DENY, m.reason, m.rule };
	return m.verdict == EX_V_DENY;
}

/* False: a deny term ended it. */
static bool ask_peers(struct ex_asked *a, const struct ex_class *c)
{
	struct ex_term_iter it;
	const struct ex_term *t;

	ex_class_find(c, a->flow->proto, a->flow->port, &it);
	while ((t = ex_class_next(a->rs, &it))) {
		if (!ex_judge_term(a, it.of, t))
			return false;
	}
	if (c->closed)
		return true;
	/* those that deny come below, whatever the flow's names are */
	for (size_t i = 0; i < a->flow->n_names; i++)
		(void)ask_named(a, a->flow->names[i], false);
	return ask_name_denies(a);
}

/* Another object, which no rule has named: also where no rule reads requests. */
static void refuse_unnamed(struct ex_asked *a)
{
	enum ex_verdict verdict = a->rs->default_audit ? EX_V_ALLOW : EX_V_DENY;

	if (a->unnamed && a->best.verdict == EX_V_ALLOW && a->best.reason == EX_R_ALLOWED)
		a->best = (struct ex_decision){ verdict, EX_R_HTTP_DENIED, a->best.rule };
}

static struct ex_decision ask_all(struct ex_asked *a)
{
	const struct ex_class *c = ex_ruleset_class(a->rs, &a->flow->dst);

	a->best = (struct ex_decision){ EX_V_DENY, EX_R_DEFAULT_DENY, 0 };
	a->closed = c->closed;
	if (is_shell_denied(a) || !ask_peers(a, c))
		return a->best;
	a->allowed = a->best.verdict == EX_V_ALLOW ? a->best.rule : 0;
	if (!a->seen && a->rs->default_allow && !c->host)
		a->best = (struct ex_decision){
			EX_V_ALLOW, a->rs->default_audit ? EX_R_DEFAULT_DENY : EX_R_ALLOWED, 0
		};
	refuse_unnamed(a);
	if (a->best.verdict == EX_V_DENY && a->audit_miss.verdict == EX_V_ALLOW && !a->enforced)
		a->best = a->audit_miss;
	if (a->best.verdict == EX_V_DENY)
		return a->best;
	if (a->would.verdict == EX_V_ALLOW) {
		a->best.reason = a->would.reason;
		a->best.rule = a->would.rule;
	}
	/* what would be carried unread has to be read for a deny by content */
	if (a->look && a->best.verdict == EX_V_ALLOW)
		a->best.verdict = EX_V_STEER;
	return a->best;
}

struct ex_decision ex_judge_app(const struct ex_ruleset *rs, const struct ex_flow *flow,
				enum ex_app app, struct ex_span sni)
{
	struct ex_asked a = { .rs = rs, .flow = flow, .app = app, .sni = sni };

	return ask_all(&a);
}

static struct ex_decision judge_request(const struct ex_ruleset *rs, const struct ex_flow *flow,
					const struct ex_http_request *req,
					struct ex_header_edits *ret)
{
	struct ex_asked a = {
		.rs = rs, .flow = flow, .app = EX_APP_HTTP, .sni = req->sni, .req = req
	};
	const struct ex_rule_info *by;
	struct ex_decision d;

	*ret = (struct ex_header_edits){ 0 };
	a.edits = ret;
	if (!req->tls)
		a.sni = (struct ex_span){ 0 };
	a.ways = ex_path_ways(req->path);
	a.slash = a.ways & EX_WAY_SLASH;
	a.objects = a.unnamed = ex_request_names_object(req);
	d = ask_all(&a);
	ex_header_edits_sort(ret);
	/* Also where no rule reads paths, and in audit mode: it is refused like what has no normal
	 * form. */
	if (a.slash && d.verdict != EX_V_DENY)
		d = (struct ex_decision){ EX_V_DENY, EX_R_HTTP_DENIED, d.rule };
	if (ret->full && d.verdict != EX_V_DENY)
		d = (struct ex_decision){ EX_V_DENY, EX_R_HTTP_TOO_LARGE, d.rule };
	by = ex_ruleset_rule(rs, a.allowed);
	if (by && d.verdict == EX_V_ALLOW)
		ret->origin = by->origin;
	return d;
}

/* The same request for the other path; what is done to its fields was said for the first. */
static struct ex_decision judge_destination(const struct ex_ruleset *rs, const struct ex_flow *flow,
					    const struct ex_http_request *req)
{
	struct ex_http_request other = *req;
	struct ex_header_edits edits;

	other.path = req->destination;
	return judge_request(rs, flow, &other, &edits);
}

struct ex_decision ex_judge_http_edits(const struct ex_ruleset *rs, const struct ex_flow *flow,
				       const struct ex_http_request *req,
				       struct ex_header_edits *ret)
{
	struct ex_decision d = judge_request(rs, flow, req, ret), other;

	if (d.verdict == EX_V_DENY || !req->destination.len)
		return d;
	other = judge_destination(rs, flow, req);
	return other.verdict == EX_V_DENY ? other : d;
}

struct ex_decision ex_judge_http(const struct ex_ruleset *rs, const struct ex_flow *flow,
				 const struct ex_http_request *req)
{
	struct ex_header_edits edits;
	struct ex_decision d = ex_judge_http_edits(rs, flow, req, &edits);

	/* allowed only with its headers changed, which nobody here will do */
	for (size_t i = 0; d.verdict != EX_V_DENY && i < edits.n; i++) {
		if (edits.v[i].op != EX_HEADER_LOG)
			d = (struct ex_decision){ EX_V_DENY, EX_R_INTERNAL, edits.v[i].rule };
	}
	return d;
}

/* At whatever port of the term. */
static bool term_may_name(const struct ex_term *t, struct ex_span name)
{
	for (size_t i = 0; i < t->ports->n_http; i++) {
		const struct ex_http_match *m = &t->ports->http[i];

		if (ex_http_may_name(m, name, 443))
			return true;
		for (size_t k = 0; k < t->ports->n; k++)
			if (ex_http_may_name(m, name, t->ports->v[k].lo))
				return true;
	}
	return false;
}

static bool peer_may_intercept(const struct ex_rpeer *peer, struct ex_span name)
{
	for (size_t k = 0; k < peer->n_terms; k++) {
		const struct ex_term *t = &peer->terms[k];

		if (t->ports && t->ports->l7 == EX_L7_HTTP && term_may_name(t, name))
			return true;
	}
	return false;
}

bool ex_ruleset_intercepts(const struct ex_ruleset *rs, struct ex_span name)
{
	const struct ex_name_slot *slot;
	struct ex_name_iter it;

	if (ex_is_missing(name))
		return false;
	ex_name_find(&rs->name_index, name, &it);
	while ((slot = ex_name_next(&it))) {
		if (peer_may_intercept(&rs->peers[slot->peer], name))
			return true;
	}
	for (size_t i = 0; i < rs->n_http_peers; i++) {
		if (peer_may_intercept(&rs->peers[rs->http_peers[i]], name))
			return true;
	}
	return false;
}
