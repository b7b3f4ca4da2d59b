/* SPDX-License-Identifier: Apache-2.0 */
/* A term that denies, perhaps by what is asked for: met by all that a server may take for that. */
#include "policy/judge.h"
#include "policy/judge_term.h"
#include "policy/reading.h"

bool ex_http_may_mean_host(const struct ex_http_match *m, struct ex_span authority, uint16_t port)
{
	const char *colon = authority.len ? memrchr(authority.ptr, ':', authority.len) : NULL;
	struct ex_span bare = authority;

	if (colon && authority.ptr[authority.len - 1] != ']')
		bare.len = (size_t)(colon - authority.ptr);
	return bare.len > EX_HOST_TEXT || ex_regex_meets(m->host, authority) ||
	       ex_http_may_name(m, bare, port);
}

static bool meets_host_and_fields(const struct ex_http_match *m, const struct ex_http_request *req,
				  uint16_t port)
{
	return ex_http_may_mean_host(m, req->authority, port) && ex_http_may_mean_headers(m, req);
}

/* Rules that host or fields do not meet, bit by bit: long fields are looked through only once. */
struct unmet {
	uint64_t bits[16]; /* of the first rules; others are asked again */
};

static bool has_unmet(const struct unmet *u, size_t i)
{
	return i / 64 < EX_ARRAY_SIZE(u->bits) && u->bits[i / 64] >> i % 64 & 1;
}

static void add_unmet(struct unmet *u, size_t i)
{
	if (i / 64 < EX_ARRAY_SIZE(u->bits))
		u->bits[i / 64] |= UINT64_C(1) << i % 64;
}

/* By a list that denies, when its path is read like this. */
static bool is_denied_as(const struct ex_ports *p, const struct ex_http_request *req, uint16_t port,
			 struct ex_span path, struct unmet *unmet)
{
	const struct ex_http_match *m;
	struct ex_http_iter it;

	ex_http_find(p, path, &it);
	while ((m = ex_http_next(&it))) {
		size_t i = (size_t)(m - p->http);

		if (has_unmet(unmet, i) || !ex_regex_meets(m->method, req->method) ||
		    !ex_regex_meets(m->path, path))
			continue;
		if (meets_host_and_fields(m, req, port))
			return true;
		add_unmet(unmet, i);
	}
	return false;
}

static bool is_denied_anyhow(const struct ex_ports *p, const struct ex_http_request *req,
			     uint16_t port)
{
	for (size_t i = 0; i < p->n_http; i++)
		if (ex_regex_meets(p->http[i].method, req->method) &&
		    meets_host_and_fields(&p->http[i], req, port))
			return true;
	return false;
}

static bool request_matches(const struct ex_ports *p, const struct ex_http_request *req,
			    uint16_t port)
{
	struct ex_path_readings r EX_UNSET;
	struct unmet unmet = { 0 };
	struct ex_span path;

	if (!ex_path_readings(&r, req->path))
		return is_denied_anyhow(p, req, port);
	while (ex_path_next(&r, &path))
		if (is_denied_as(p, req, port, path, &unmet))
			return true;
	return false;
}

/* Is the address known under a name that the peer denies? */
static bool has_flow_name(const struct ex_asked *a, const struct ex_rpeer *peer)
{
	for (size_t i = 0; i < a->flow->n_names; i++)
		if (ex_peer_names(a->rs, peer, a->flow->names[i]))
			return true;
	return false;
}

/*
 * Whether the deny applies to what is known. EX_R_UNSPEC: it does not. Where it cannot be known
 * whether it applies, it does: TLS without a server name, bytes that tell no name at an address of
 * one that is denied, or that are no HTTP where requests are.
 */
static enum ex_reason content_denies(struct ex_asked *a, const struct ex_rpeer *peer,
				     const struct ex_term *t)
{
	bool list = t->ports && t->ports->l7 == EX_L7_HTTP;
	bool named = !t->fqdn || (!ex_is_missing(a->sni) && ex_peer_names(a->rs, peer, a->sni));

	if (a->req) {
		named |= ex_peer_names(a->rs, peer, a->req->host);
		return named && (!list || request_matches(t->ports, a->req, a->flow->port))
			       ? EX_R_POLICY_DENY
			       : EX_R_UNSPEC;
	}
	switch (a->app) {
	case EX_APP_TLS:
		if (ex_is_missing(a->sni))
			return EX_R_SNI_MISSING;
		a->look |= named && list;
		return named && !list ? EX_R_POLICY_DENY : EX_R_UNSPEC;
	case EX_APP_HTTP:
		a->look = true;
		return EX_R_UNSPEC;
	case EX_APP_OTHER:
		if (t->fqdn && !has_flow_name(a, peer))
			return EX_R_UNSPEC;
		return list ? EX_R_UNKNOWN_PROTOCOL : EX_R_POLICY_DENY;
	}
	return EX_R_POLICY_DENY;
}

bool ex_judge_deny(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t)
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
