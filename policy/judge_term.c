/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One term. Where it does not match, the nearest miss is kept for the message: the further it came,
 * the nearer it was.
 */
#include "policy/judge_term.h"
#include "policy/judge.h"
#include "policy/reading.h"

#include <stdio.h>

static void ask_allow(struct ex_asked *a, enum ex_verdict verdict, uint32_t rule)
{
	bool better = a->best.verdict == EX_V_DENY ||
		      (a->best.verdict == EX_V_STEER && verdict == EX_V_ALLOW);

	if (!better && !(a->best.verdict == verdict && rule < a->best.rule))
		return;
	a->best = (struct ex_decision){ verdict, EX_R_ALLOWED, rule };
}

static void ask_miss(struct ex_asked *a, int nearness, enum ex_reason reason, uint32_t rule)
{
	if (a->best.verdict != EX_V_DENY || nearness < a->nearness ||
	    (nearness == a->nearness && rule >= a->best.rule))
		return;
	a->nearness = nearness;
	a->best = (struct ex_decision){ EX_V_DENY, reason, rule };
}

/* A miss of the L7 list itself, the destination being right: this is what audit mode lets pass. */
static void ask_list_miss(struct ex_asked *a, int nearness, enum ex_reason reason,
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

/* What an open term names has to have been resolved to the address. */
static bool is_resolved(const struct ex_asked *a, const struct ex_term *t, struct ex_span name)
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
static bool bind_name(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t,
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

static bool check_sni(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	if (ex_is_missing(a->sni)) {
		ask_miss(a, 2, EX_R_SNI_MISSING, t->rule);
		return false;
	}
	return bind_name(a, peer, t, a->sni, EX_R_SNI_DENIED);
}

/* ---- after the first bytes ---- */

static void app_without_l7(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	if (!t->fqdn) {
		ask_allow(a, EX_V_ALLOW, t->rule);
		return;
	}
	switch (a->app) {
	case EX_APP_OTHER:
		/* a server would read it as TLS or HTTP after all, with a name nobody checked */
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

bool ex_http_may_name(const struct ex_http_match *m, struct ex_span name, uint16_t port)
{
	char authority[EX_HOST_TEXT + sizeof(":65535")];
	int n;

	if (ex_regex_meets(m->host, name))
		return true;
	if (name.len > EX_HOST_TEXT)
		return false;
	n = snprintf(authority, sizeof(authority), "%.*s:%u", (int)name.len, name.ptr, port);
	return ex_regex_meets(m->host, (struct ex_span){ authority, (size_t)n });
}

/*
 * Requests come later, but TLS with the server may come first (to learn whether it speaks HTTP/2),
 * and tells it the name: so some request with this name must be possible.
 */
static bool check_hosts(struct ex_asked *a, const struct ex_term *t)
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

static void app_with_http(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t)
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

static void app_with_sni(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	if (a->app != EX_APP_TLS) {
		ask_list_miss(a, 1, EX_R_UNKNOWN_PROTOCOL, t, t->rule);
		return;
	}
	if (check_sni(a, peer, t))
		ask_allow(a, EX_V_ALLOW, t->rule);
}

static void judge_app_term(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t)
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
static bool judge_rule(struct ex_asked *a, const struct ex_term *t, const struct ex_http_match *m)
{
	const struct ex_http_request *req = a->req;
	bool method, path;

	if (!ex_regex_meets(m->host, req->authority)) {
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
	method = ex_regex_meets(m->method, req->method);
	path = ex_path_meets(m, req->path, a->ways);
	if (!method || !path || (a->objects && !ex_rule_names_objects(m, req)) ||
	    !ex_http_match_headers(m, req, a->edits)) {
		ask_list_miss(a, 6 + 2 * path + method, EX_R_HTTP_DENIED, t, m->rule);
		return false;
	}
	a->slash = a->unnamed = false;
	ask_allow(a, EX_V_ALLOW, m->rule);
	return true;
}

/* Of a denial in a longer list only the list is named: the nearest miss is not worth the search. */
#define LIST_SEARCHED 256

static void judge_request(struct ex_asked *a, const struct ex_term *t)
{
	const struct ex_ports *p = t->ports;
	const struct ex_http_match *m;
	struct ex_http_iter it;
	bool met = false;

	ex_http_find(p, a->req->path, &it);
	while ((m = ex_http_next(&it))) {
		/* one that comes first; but what others do to headers, or name, counts as well */
		if (a->best.verdict == EX_V_ALLOW && m->rule > a->best.rule && !a->rs->edits &&
		    !a->slash && !a->unnamed)
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
static bool check_host(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	const struct ex_http_request *req = a->req;

	if (ex_is_missing(req->host)) {
		ask_miss(a, 2, EX_R_HOST_DENIED, t->rule);
		return false;
	}
	if (req->tls && ex_is_missing(req->sni)) {
		ask_miss(a, 2, EX_R_SNI_MISSING, t->rule);
		return false;
	}
	if (req->tls && !ex_span_eq(req->sni, req->host)) {
		ask_miss(a, 4, EX_R_HOST_MISMATCH, t->rule);
		return false;
	}
	return bind_name(a, peer, t, req->host, EX_R_HOST_DENIED);
}

static void judge_http_term(struct ex_asked *a, const struct ex_rpeer *peer,
			    const struct ex_term *t)
{
	enum ex_l7_kind l7 = t->ports ? t->ports->l7 : EX_L7_NONE;

	if (l7 == EX_L7_NONE && !t->fqdn) {
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

/* ---- either ---- */

bool ex_judge_term(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t)
{
	if (t->deny)
		return ex_judge_deny(a, peer, t);
	/* where the default is to allow, a name alone limits nothing */
	a->seen |= !t->fqdn || (t->ports && t->ports->l7 != EX_L7_NONE) || !a->rs->default_allow;
	if (a->req)
		judge_http_term(a, peer, t);
	else
		judge_app_term(a, peer, t);
	return true;
}
