/* SPDX-License-Identifier: Apache-2.0 */
/* The conditions of each rule, one by one, in the order in which the gates meet them. */
#include "policy/explain.h"
#include "policy/judge.h"
#include "policy/model.h"
#include "policy/reading.h"

#include <errno.h>
#include <netinet/in.h>

const char *ex_failed_text(enum ex_failed failed)
{
	switch (failed) {
	case EX_FAILED_NONE:
		return "applies";
	case EX_FAILED_SOURCE:
		return "does not select who comes";
	case EX_FAILED_DESTINATION:
		return "does not select this destination";
	case EX_FAILED_PROTOCOL:
		return "is for another protocol";
	case EX_FAILED_PORT:
		return "is for another port";
	case EX_FAILED_NOT_TLS_OR_HTTP:
		return "needs HTTP or TLS";
	case EX_FAILED_SERVER_NAME:
		return "does not allow this TLS server name";
	case EX_FAILED_HOST:
		return "does not allow this host";
	case EX_FAILED_UNRESOLVED:
		return "needs a name that DNS gave for this address";
	case EX_FAILED_REFUSED:
		return "is not asked: the request is refused before";
	case EX_FAILED_METHOD:
		return "does not allow this method";
	case EX_FAILED_PATH:
		return "does not allow this path";
	case EX_FAILED_HEADER:
		return "needs a header that is not there, or has another value";
	case EX_FAILED_OBJECT:
		return "does not name the header by which another object is named";
	case EX_FAILED_SECOND_PATH:
		return "does not allow the path that Destination names";
	}
	return "is not understood";
}

struct question {
	const struct ex_ruleset *rs; /* the direction that is asked about */
	const struct ex_probe *p;
	bool read;   /* the gates read the request: some rule wants that */
	bool denied; /* ... and deny it */
	bool unread; /* they let the flow pass without */
};

static bool selects(const struct question *q, uint32_t id)
{
	const struct ex_ruleset *rs = q->rs;
	const struct ex_probe *p = q->p;
	const struct ex_class *c = ex_ruleset_class(rs, &p->dst);
	const struct ex_class *shell = ex_ruleset_shell(rs, &p->dst);
	const struct ex_rpeer *peer = &rs->peers[id];

	if (peer->names && peer->n_terms && peer->terms[0].deny && p->proto == IPPROTO_TCP)
		return !c->closed; /* by what is asked for: see check_term() */
	if (peer->names)
		return !c->closed && p->name[0] && ex_peer_has_name(peer, ex_span_str(p->name));
	for (size_t i = 0; i < c->n_peers; i++) {
		if (c->peers[i] == id)
			return true;
	}
	for (size_t i = 0; shell && i < shell->n_peers; i++) {
		if (shell->peers[i] == id)
			return peer->n_terms && peer->terms[0].deny;
	}
	return false;
}

static bool has_proto(const struct ex_ports *ports, uint8_t proto)
{
	if (!ports)
		return true;
	for (size_t i = 0; i < ports->n; i++) {
		if (ports->v[i].any_proto || ports->v[i].proto == proto)
			return true;
	}
	return false;
}

static bool has_server_name(const struct ex_ports *ports, const struct ex_probe *p)
{
	for (size_t i = 0; i < ports->n_names; i++) {
		if (ex_name_match(&ports->names[i], ex_span_str(p->sni)))
			return true;
	}
	return false;
}

/* What a rule without an address of its own names has to have been resolved to the address. */
static bool is_resolved(const struct question *q, const struct ex_term *t, const char *name)
{
	return !t->open || ex_ruleset_class(q->rs, &q->p->dst)->closed ||
	       strcmp(name, q->p->name) == 0;
}

/* Of TLS that is read on: may a request for this server name be allowed? */
static enum ex_failed check_hosts(const struct question *q, const struct ex_term *t)
{
	const struct ex_probe *p = q->p;
	enum ex_failed failed = EX_FAILED_HOST;

	for (size_t i = 0; i < t->ports->n_http; i++) {
		const struct ex_http_match *m = &t->ports->http[i];

		if (!ex_http_may_name(m, ex_span_str(p->sni), p->port))
			continue;
		if (!m->host || is_resolved(q, t, p->sni))
			return EX_FAILED_NONE;
		failed = EX_FAILED_UNRESOLVED;
	}
	return failed;
}

/* What a term asks for before its http rules. */
static enum ex_failed check_term(const struct question *q, const struct ex_rpeer *peer,
				 const struct ex_term *t)
{
	const struct ex_probe *p = q->p;
	enum ex_l7_kind l7 = t->ports ? t->ports->l7 : EX_L7_NONE;

	if (!has_proto(t->ports, p->proto))
		return EX_FAILED_PROTOCOL;
	if (!ex_ports_has(t->ports, p->proto, p->port))
		return EX_FAILED_PORT;
	if (ex_term_denies_by_content(t) && t->fqdn && p->proto == IPPROTO_TCP &&
	    !ex_peer_has_name(peer, ex_span_str(p->tls ? p->sni : p->host)) &&
	    (q->unread || !ex_peer_has_name(peer, ex_span_str(p->host))))
		return EX_FAILED_DESTINATION;
	if (t->deny || p->proto != IPPROTO_TCP || (l7 == EX_L7_NONE && !t->fqdn))
		return EX_FAILED_NONE;
	if (l7 == EX_L7_NONE && ex_probe_app(p) == EX_APP_OTHER &&
	    (p->port == 80 || p->port == 443))
		return EX_FAILED_NOT_TLS_OR_HTTP;
	if (l7 == EX_L7_DNS)
		return ex_probe_app(p) != EX_APP_OTHER ? EX_FAILED_NOT_TLS_OR_HTTP : EX_FAILED_NONE;
	if ((l7 == EX_L7_HTTP && ex_probe_app(p) == EX_APP_OTHER) ||
	    (t->ports && t->ports->n_names && !p->tls))
		return EX_FAILED_NOT_TLS_OR_HTTP;
	if (p->tls && (!p->sni[0] || (t->fqdn && !ex_peer_has_name(peer, ex_span_str(p->sni)))))
		return EX_FAILED_SERVER_NAME;
	if (p->tls && t->fqdn && strcmp(p->sni, p->name) != 0)
		return EX_FAILED_UNRESOLVED;
	if (t->ports && t->ports->n_names && !has_server_name(t->ports, p))
		return EX_FAILED_SERVER_NAME;
	if (t->ports && t->ports->n_names && !is_resolved(q, t, p->sni))
		return EX_FAILED_UNRESOLVED;
	if (p->tls && l7 == EX_L7_HTTP && check_hosts(q, t))
		return check_hosts(q, t);
	if (q->read && ((p->tls && strcmp(p->sni, p->host) != 0) ||
			(t->fqdn && strcmp(p->host, p->name) != 0)))
		return EX_FAILED_HOST;
	return EX_FAILED_NONE;
}

static bool meets_host(const struct ex_term *t, const struct ex_http_match *m,
		       const struct ex_probe *p)
{
	if (!m->host)
		return true;
	return t->deny ? ex_http_may_mean_host(m, ex_span_str(p->authority), p->port)
		       : ex_regex_match(m->host, p->authority, strlen(p->authority));
}

static bool meets_allow(const struct ex_http_match *m, struct ex_span path)
{
	return ex_path_meets(m, path, ex_path_ways(path));
}

static bool meets_path(const struct ex_term *t, const struct ex_http_match *m,
		       const struct ex_probe *p)
{
	if (!t->deny)
		return meets_allow(m, ex_span_str(p->path));
	return ex_path_may_mean(m, ex_span_str(p->path)) ||
	       (p->destination[0] && ex_path_may_mean(m, ex_span_str(p->destination)));
}

static enum ex_failed check_http(const struct question *q, const struct ex_term *t,
				 const struct ex_http_match *m)
{
	const struct ex_probe *p = q->p;
	struct ex_http_request req = { .headers = p->headers, .n_headers = p->n_headers };

	if (!p->http || ex_http_betrays(m, p->tls, p->port))
		return EX_FAILED_NOT_TLS_OR_HTTP;
	if (!meets_host(t, m, p))
		return EX_FAILED_HOST;
	if (m->host && !is_resolved(q, t, p->host))
		return EX_FAILED_UNRESOLVED;
	if (p->refused != EX_R_UNSPEC)
		return EX_FAILED_REFUSED;
	if (!meets_path(t, m, p))
		return EX_FAILED_PATH;
	if (m->method && !ex_regex_match(m->method, p->method, strlen(p->method)))
		return EX_FAILED_METHOD;
	if (!(t->deny ? ex_http_may_mean_headers(m, &req) : ex_http_match_headers(m, &req, NULL)))
		return EX_FAILED_HEADER;
	return t->deny || ex_rule_names_objects(m, &req) ? EX_FAILED_NONE : EX_FAILED_OBJECT;
}

/*
 * What else an allow has to be met by, when the request was read and denied: rules without http
 * name nothing, so by them nothing passes that has to be named; and what Destination names has to
 * be allowed as well, by whichever rule.
 */
static enum ex_failed check_denied(const struct ex_probe *p, const struct ex_http_match *m)
{
	struct ex_http_request req = { .headers = p->headers, .n_headers = p->n_headers };
	struct ex_span second = ex_span_str(p->destination);

	if (p->refused != EX_R_UNSPEC)
		return EX_FAILED_REFUSED;
	if (m)
		return second.len && !meets_allow(m, second) ? EX_FAILED_SECOND_PATH
							     : EX_FAILED_NONE;
	if (ex_path_ways(ex_span_str(p->path)) & EX_WAY_SLASH)
		return EX_FAILED_PATH;
	if (ex_path_ways(second) & EX_WAY_SLASH)
		return EX_FAILED_SECOND_PATH;
	return ex_request_names_object(&req) ? EX_FAILED_OBJECT : EX_FAILED_NONE;
}

/* A rule may stand in several peers (port names): the one that comes furthest counts. */
static void note(struct ex_rule_status *v, uint32_t rule, bool deny, enum ex_failed failed)
{
	struct ex_rule_status *st = &v[rule - 1];

	if (st->failed == EX_FAILED_NONE || (failed != EX_FAILED_NONE && failed < st->failed))
		return;
	*st = (struct ex_rule_status){ deny, failed };
}

static void note_term(struct ex_rule_status *v, const struct question *q, const struct ex_term *t,
		      enum ex_failed failed)
{
	bool list = t->ports && t->ports->l7 == EX_L7_HTTP, denied = q->denied && !t->deny;

	if (!failed && denied && !list)
		failed = check_denied(q->p, NULL);
	/* what denies with a list does so by one of it */
	if (!t->deny || !list || failed)
		note(v, t->rule, t->deny, failed);
	for (size_t k = 0; t->ports && k < t->ports->n_http; k++) {
		const struct ex_http_match *m = &t->ports->http[k];
		enum ex_failed http = failed ? failed : check_http(q, t, m);

		http = !http && denied ? check_denied(q->p, m) : http;
		note(v, m->rule, t->deny, http);
		if (t->deny)
			note(v, t->rule, true, http);
	}
}

static void note_rules(struct ex_rule_status *v, const struct question *q, enum ex_failed unmet)
{
	for (uint32_t id = 0; id < q->rs->n_peers; id++) {
		const struct ex_rpeer *peer = &q->rs->peers[id];
		bool selected = selects(q, id);

		for (size_t i = 0; i < peer->n_terms; i++) {
			const struct ex_term *t = &peer->terms[i];

			/* the DNS gate and the reserved prefixes are no rules */
			if (t->rule)
				note_term(v, q, t, selected ? check_term(q, peer, t) : unmet);
		}
	}
}

int ex_probe_rules(const struct ex_ruleset *rs, const struct ex_probe *p,
		   struct ex_rule_status **ret)
{
	struct ex_rule_status *v = calloc(rs->n_rules + 1, sizeof(*v));
	enum ex_failed unmet = p->ingress ? EX_FAILED_SOURCE : EX_FAILED_DESTINATION;
	struct question q = { .rs = p->ingress ? rs->ingress : rs, .p = p };
	struct ex_decision d;
	enum ex_step step;

	if (!v)
		return -ENOMEM;
	d = ex_probe_judge(rs, p, &step);
	q.read = step == EX_STEP_HTTP;
	q.denied = q.read && d.verdict == EX_V_DENY;
	q.unread = !q.read && d.verdict != EX_V_DENY;
	for (uint32_t i = 0; i < rs->n_rules; i++)
		v[i].failed = unmet;
	note_rules(v, &q, unmet);
	*ret = v;
	return 0;
}
