/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a steered flow asks for, judged term by term. Every condition of an allow is checked within
 * one term: its peer has the address (by class, or by a name that is both resolved to it and
 * allowed by this very peer), its ports have the port, and its own L7 part has the request.
 *
 * Of the terms that do not match, the nearest miss is kept for the message: the further a term
 * came, the nearer it was.
 */
#include "policy/judge.h"
#include "policy/model.h"
#include "policy/slash.h"

#include <stdio.h>

#define EX_HOST_TEXT 253 /* of a canonical name */

struct ask {
	const struct ex_ruleset *rs;
	const struct ex_flow *flow;
	enum ex_app app;
	struct ex_span sni;                /* ptr NULL: none */
	const struct ex_http_request *req; /* NULL: not there yet */
	struct ex_header_edits *edits;     /* of the rules that were met; NULL: nobody asks */
	bool slash; /* its path hides one, which no rule has named so far: see slash.h */

	struct ex_decision best; /* so far */
	int nearness;            /* of a miss in best */
	bool seen;               /* some term has the address and the port */
	bool closed;             /* the address is known by what it is: no name says more */

	uint32_t allowed; /* the rule that allows it, before audit mode has its say; 0: none */

	/* audit mode: the nearest miss of an auditing L7 list, a deny that was only recorded */
	struct ex_decision audit_miss, would;
	bool enforced; /* an enforcing L7 list is for this tuple: no auditing one may open it */
	bool look;     /* a deny by content has to see the requests */
};

static void ask_allow(struct ask *a, enum ex_verdict verdict, uint32_t rule)
{
	bool better = a->best.verdict == EX_V_DENY ||
		      (a->best.verdict == EX_V_STEER && verdict == EX_V_ALLOW);

	if (!better && !(a->best.verdict == verdict && rule < a->best.rule))
		return;
	a->best = (struct ex_decision){ verdict, EX_R_ALLOWED, rule };
}

static void ask_miss(struct ask *a, int nearness, enum ex_reason reason, uint32_t rule)
{
	if (a->best.verdict != EX_V_DENY || nearness < a->nearness ||
	    (nearness == a->nearness && rule >= a->best.rule))
		return;
	a->nearness = nearness;
	a->best = (struct ex_decision){ EX_V_DENY, reason, rule };
}

/* A miss of the L7 list itself, the destination being right: this is what audit mode lets pass. */
static void ask_list_miss(struct ask *a, int nearness, enum ex_reason reason,
			  const struct ex_term *t, uint32_t rule)
{
	if (t->audit && (a->audit_miss.verdict == EX_V_INVALID || nearness > a->nearness ||
			 (nearness == a->nearness && rule < a->audit_miss.rule)))
		a->audit_miss = (struct ex_decision){ EX_V_ALLOW, reason, rule };
	a->enforced |= !t->audit;
	ask_miss(a, nearness, reason, rule);
}

static bool flow_has_name(const struct ex_flow *flow, struct ex_span name)
{
	for (size_t i = 0; i < flow->n_names; i++) {
		if (ex_span_eq(flow->names[i], name))
			return true;
	}
	return false;
}

static bool is_missing(struct ex_span s)
{
	return !s.ptr || s.len == 0;
}

/* What an open term names has to have been resolved to the address. */
static bool is_resolved(const struct ask *a, const struct ex_term *t, struct ex_span name)
{
	return !t->open || a->closed || flow_has_name(a->flow, name);
}

static bool has_server_name(const struct ex_ports *p, struct ex_span name)
{
	for (size_t i = 0; i < p->n_names; i++) {
		if (ex_name_match(&p->names[i], name))
			return true;
	}
	return false;
}

/*
 * The one binding of both stages: the name, of the ClientHello or of Host, is one of this term's,
 * and was resolved to the address. Audit mode lets a miss of serverNames pass, none of toFQDNs.
 */
static bool bind_name(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t,
		      struct ex_span name, enum ex_reason foreign)
{
	if (t->fqdn && !ex_peer_names(a->rs, peer, name)) {
		ask_miss(a, 2, foreign, t->rule);
		return false;
	}
	if (t->fqdn && !flow_has_name(a->flow, name)) {
		ask_miss(a, 3, EX_R_ADDRESS_NOT_OF_NAME, t->rule);
		return false;
	}
	if (!t->ports || !t->ports->n_names)
		return true;
	if (!has_server_name(t->ports, name)) {
		ask_list_miss(a, 4, EX_R_SNI_DENIED, t, t->rule);
		return false;
	}
	if (!is_resolved(a, t, name)) {
		ask_list_miss(a, 5, EX_R_ADDRESS_NOT_OF_NAME, t, t->rule);
		return false;
	}
	return true;
}

static bool check_sni(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	if (is_missing(a->sni)) {
		ask_miss(a, 2, EX_R_SNI_MISSING, t->rule);
		return false;
	}
	return bind_name(a, peer, t, a->sni, EX_R_SNI_DENIED);
}

/* ---- after the first bytes ---- */

static void app_without_l7(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	if (!t->fqdn || a->rs->default_allow) {
		ask_allow(a, EX_V_ALLOW, t->rule);
		return;
	}
	switch (a->app) {
	case EX_APP_OTHER:
		/* there a server would read it as TLS or HTTP after all, with a name nobody checked
		 */
		if (a->flow->port == 80 || a->flow->port == 443)
			ask_miss(a, 1, EX_R_UNKNOWN_PROTOCOL, t->rule);
		else
			ask_allow(a, EX_V_ALLOW, t->rule);
		return;
	case EX_APP_TLS:
		if (check_sni(a, peer, t))
			ask_allow(a, EX_V_ALLOW, t->rule);
		return;
	case EX_APP_HTTP:
		ask_allow(a, EX_V_STEER, t->rule);
		return;
	}
}

static bool match_regex(const struct ex_regex *re, struct ex_span s)
{
	return !re || ex_regex_match(re, s.ptr ? s.ptr : "", s.len);
}

bool ex_http_may_name(const struct ex_http_match *m, struct ex_span name, uint16_t port)
{
	char authority[EX_HOST_TEXT + sizeof(":65535")];
	int n;

	if (match_regex(m->host, name))
		return true;
	if (name.len > EX_HOST_TEXT)
		return false;
	n = snprintf(authority, sizeof(authority), "%.*s:%u", (int)name.len, name.ptr, port);
	return match_regex(m->host, (struct ex_span){ authority, (size_t)n });
}

/*
 * Requests come later, but TLS with the server may come first (to learn whether it speaks HTTP/2),
 * and tells it the name: so some request with this name must be possible.
 */
static bool check_hosts(struct ask *a, const struct ex_term *t)
{
	enum ex_reason why = EX_R_HOST_DENIED;

	for (size_t i = 0; i < t->ports->n_http; i++) {
		const struct ex_http_match *m = &t->ports->http[i];

		if (!ex_http_may_name(m, a->sni, a->flow->port))
			continue;
		if (!m->host || is_resolved(a, t, a->sni))
			return true;
		why = EX_R_ADDRESS_NOT_OF_NAME;
	}
	ask_list_miss(a, 5, why, t, t->rule);
	return false;
}

static void app_with_http(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	bool needs_tls = t->ports->n_names > 0; /* serverNames beside the HTTP rules */

	switch (a->app) {
	case EX_APP_OTHER:
		ask_list_miss(a, 1, EX_R_UNKNOWN_PROTOCOL, t, t->rule);
		return;
	case EX_APP_TLS:
		if (check_sni(a, peer, t) && check_hosts(a, t))
			ask_allow(a, EX_V_STEER, t->rule);
		return;
	case EX_APP_HTTP:
		if (needs_tls)
			ask_list_miss(a, 1, EX_R_UNKNOWN_PROTOCOL, t, t->rule);
		else
			ask_allow(a, EX_V_STEER, t->rule);
		return;
	}
}

static void app_with_sni(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	if (a->app != EX_APP_TLS) {
		ask_list_miss(a, 1, EX_R_UNKNOWN_PROTOCOL, t, t->rule);
		return;
	}
	if (check_sni(a, peer, t))
		ask_allow(a, EX_V_ALLOW, t->rule);
}

static void judge_app_term(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	switch (t->ports ? t->ports->l7 : EX_L7_NONE) {
	case EX_L7_NONE:
		app_without_l7(a, peer, t);
		return;
	case EX_L7_HTTP:
		app_with_http(a, peer, t);
		return;
	case EX_L7_SNI:
		app_with_sni(a, peer, t);
		return;
	case EX_L7_DNS:
		ask_list_miss(a, 1, EX_R_UNKNOWN_PROTOCOL, t, t->rule);
		return;
	}
}

/* ---- one request ---- */

/* True when the rule allows the request. */
static bool judge_rule(struct ask *a, const struct ex_term *t, const struct ex_http_match *m)
{
	const struct ex_http_request *req = a->req;
	bool method = match_regex(m->method, req->method);
	bool path = ex_path_meets(m, req->path);

	if (!match_regex(m->host, req->authority)) {
		ask_list_miss(a, 5, EX_R_HOST_DENIED, t, m->rule);
		return false;
	}
	if (m->host && !is_resolved(a, t, req->host)) {
		ask_list_miss(a, 5, EX_R_ADDRESS_NOT_OF_NAME, t, m->rule);
		return false;
	}
	if (ex_http_betrays(m, req->tls, a->flow->port)) {
		ask_list_miss(a, 5, EX_R_UNKNOWN_PROTOCOL, t, m->rule);
		return false;
	}
	if (!method || !path || !ex_http_match_headers(m, req, a->edits)) {
		ask_list_miss(a, 6 + 2 * path + method, EX_R_HTTP_DENIED, t, m->rule);
		return false;
	}
	a->slash = false;
	ask_allow(a, EX_V_ALLOW, m->rule);
	return true;
}

/* Of a denial in a longer list only the list is named: the nearest miss is not worth the search. */
#define LIST_SEARCHED 256

static void judge_request(struct ask *a, const struct ex_term *t)
{
	const struct ex_ports *p = t->ports;
	const struct ex_http_match *m;
	struct ex_http_iter it;
	bool met = false;

	ex_http_find(p, a->req->path, &it);
	while ((m = ex_http_next(&it))) {
		/* one that comes first; but what others do to headers, or name, counts as well */
		if (a->best.verdict == EX_V_ALLOW && m->rule > a->best.rule && !a->rs->edits &&
		    !a->slash)
			continue;
		met |= judge_rule(a, t, m);
	}
	if (met || !p->index)
		return;
	if (p->n_http > LIST_SEARCHED)
		ask_list_miss(a, 6, EX_R_HTTP_DENIED, t, t->rule);
	for (size_t i = 0; i < p->n_http && p->n_http <= LIST_SEARCHED; i++)
		(void)judge_rule(a, t, &p->http[i]);
}

/* Inside TLS the server name, which the certificate is checked for, and Host are one name. */
static bool check_host(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	const struct ex_http_request *req = a->req;

	if (is_missing(req->host)) {
		ask_miss(a, 2, EX_R_HOST_DENIED, t->rule);
		return false;
	}
	if (req->tls && is_missing(req->sni)) {
		ask_miss(a, 2, EX_R_SNI_MISSING, t->rule);
		return false;
	}
	if (req->tls && !ex_span_eq(req->sni, req->host)) {
		ask_miss(a, 4, EX_R_HOST_MISMATCH, t->rule);
		return false;
	}
	return bind_name(a, peer, t, req->host, EX_R_HOST_DENIED);
}

static void judge_http_term(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	enum ex_l7_kind l7 = t->ports ? t->ports->l7 : EX_L7_NONE;

	if (l7 == EX_L7_NONE && (!t->fqdn || a->rs->default_allow)) {
		ask_allow(a, EX_V_ALLOW, t->rule);
		return;
	}
	if (l7 == EX_L7_DNS) {
		ask_list_miss(a, 1, EX_R_UNKNOWN_PROTOCOL, t, t->rule);
		return;
	}
	if (t->ports && t->ports->n_names && !a->req->tls) {
		ask_list_miss(a, 1, EX_R_UNKNOWN_PROTOCOL, t, t->rule);
		return;
	}
	if (!check_host(a, peer, t))
		return;
	if (l7 == EX_L7_HTTP)
		judge_request(a, t);
	else
		ask_allow(a, EX_V_ALLOW, t->rule);
}

/* ---- denies by content ---- */

static bool request_matches(const struct ex_ports *p, const struct ex_http_request *req)
{
	const struct ex_http_match *m;
	struct ex_http_iter it;

	/* a %2F is read in two ways, and the index knows one: all of the list then */
	if (ex_path_hides_slash(req->path))
		it = (struct ex_http_iter){ .ports = p };
	else
		ex_http_find(p, req->path, &it);
	while ((m = ex_http_next(&it))) {
		if (match_regex(m->method, req->method) && ex_path_may_mean(m, req->path) &&
		    match_regex(m->host, req->authority) && ex_http_match_headers(m, req, NULL))
			return true;
	}
	return false;
}

/*
 * Whether the deny applies to what is known. EX_R_UNSPEC: it does not. Where it cannot be known
 * whether it applies, it does: TLS without a server name, bytes that are no HTTP where requests are
 * denied.
 */
static enum ex_reason content_denies(struct ask *a, const struct ex_rpeer *peer,
				     const struct ex_term *t)
{
	bool list = t->ports && t->ports->l7 == EX_L7_HTTP;
	bool named = !t->fqdn || (!is_missing(a->sni) && ex_peer_names(a->rs, peer, a->sni));

	if (a->req) {
		named |= ex_peer_names(a->rs, peer, a->req->host);
		return named && (!list || request_matches(t->ports, a->req)) ? EX_R_POLICY_DENY
									     : EX_R_UNSPEC;
	}
	switch (a->app) {
	case EX_APP_TLS:
		if (is_missing(a->sni))
			return EX_R_SNI_MISSING;
		a->look |= named && list;
		return named && !list ? EX_R_POLICY_DENY : EX_R_UNSPEC;
	case EX_APP_HTTP:
		a->look = true;
		return EX_R_UNSPEC;
	case EX_APP_OTHER:
		return list && !t->fqdn ? EX_R_UNKNOWN_PROTOCOL : EX_R_UNSPEC;
	}
	return EX_R_POLICY_DENY;
}

/* False: denied, and best says why. An auditing deny is noted and passes. */
static bool ask_deny(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	enum ex_reason why = t->reserved ? EX_R_RESERVED_DENY : EX_R_POLICY_DENY;

	if (ex_term_denies_by_content(t)) {
		why = content_denies(a, peer, t);
		if (why == EX_R_UNSPEC)
			return true;
	}
	if (t->audit) {
		a->would = (struct ex_decision){ EX_V_ALLOW, why, t->rule };
		return true;
	}
	a->best = (struct ex_decision){ EX_V_DENY, why, t->rule };
	return false;
}

/* ---- every term ---- */

/* A term whose ports match. False: it denies, and that ended it. */
static bool ask_term(struct ask *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	if (t->deny)
		return ask_deny(a, peer, t);
	a->seen = true;
	if (a->req)
		judge_http_term(a, peer, t);
	else
		judge_app_term(a, peer, t);
	return true;
}

static bool ask_peer(struct ask *a, const struct ex_rpeer *peer)
{
	for (size_t i = 0; i < peer->n_terms; i++) {
		const struct ex_term *t = &peer->terms[i];

		if (ex_ports_has(t->ports, a->flow->proto, a->flow->port) && !ask_term(a, peer, t))
			return false;
	}
	return true;
}

static bool denies(const struct ex_rpeer *peer)
{
	return peer->n_terms && peer->terms[0].deny;
}

/* The toFQDNs peers that have the name, those that deny or the others. */
static bool ask_named(struct ask *a, struct ex_span name, bool deny)
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
static bool ask_name_denies(struct ask *a)
{
	const struct ex_ruleset *rs = a->rs;
	bool named = !is_missing(a->sni) && !ask_named(a, a->sni, true);

	if (named)
		return false;
	if (a->req)
		return ask_named(a, a->req->host, true);
	/* No name is known yet, or none was told: what any of them says about that. */
	for (size_t i = 0; is_missing(a->sni) && i < rs->n_name_denies; i++) {
		if (!ask_peer(a, &rs->peers[rs->name_denies[i]]))
			return false;
	}
	return true;
}

/* The IPv6 form of an address that hides another counts for its denies only. */
static bool is_shell_denied(struct ask *a)
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
static bool ask_peers(struct ask *a, const struct ex_class *c)
{
	struct ex_term_iter it;
	const struct ex_term *t;

	ex_class_find(c, a->flow->proto, a->flow->port, &it);
	while ((t = ex_class_next(a->rs, &it))) {
		if (!ask_term(a, it.of, t))
			return false;
	}
	if (c->closed)
		return true;
	/* those that deny come below, whatever the flow's names are */
	for (size_t i = 0; i < a->flow->n_names; i++)
		(void)ask_named(a, a->flow->names[i], false);
	return ask_name_denies(a);
}

static struct ex_decision ask_all(struct ask *a)
{
	const struct ex_class *c = ex_ruleset_class(a->rs, &a->flow->dst);

	a->best = (struct ex_decision){ EX_V_DENY, EX_R_DEFAULT_DENY, 0 };
	a->closed = c->closed;
	if (is_shell_denied(a) || !ask_peers(a, c))
		return a->best;
	a->allowed = a->best.verdict == EX_V_ALLOW ? a->best.rule : 0;
	if (!a->seen && a->rs->default_allow && !c->closed)
		a->best = (struct ex_decision){
			EX_V_ALLOW, a->rs->default_audit ? EX_R_DEFAULT_DENY : EX_R_ALLOWED, 0
		};
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
	struct ask a = { .rs = rs, .flow = flow, .app = app, .sni = sni };

	return ask_all(&a);
}

struct ex_decision ex_judge_http_edits(const struct ex_ruleset *rs, const struct ex_flow *flow,
				       const struct ex_http_request *req,
				       struct ex_header_edits *ret)
{
	struct ask a = { .rs = rs, .flow = flow, .app = EX_APP_HTTP, .sni = req->sni, .req = req };
	const struct ex_rule_info *by;
	struct ex_decision d;

	*ret = (struct ex_header_edits){ 0 };
	a.edits = ret;
	if (!req->tls)
		a.sni = (struct ex_span){ 0 };
	a.slash = ex_path_hides_slash(req->path);
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

	if (is_missing(name))
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
