/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the matcher: what explain shares with the judgement itself. */
#ifndef EXEAT_POLICY_JUDGE_H
#define EXEAT_POLICY_JUDGE_H

#include "policy/cnp.h"
#include "policy/ruleset.h"

/* May a request with this host, at this port, meet the rule as far as the host goes? */
bool ex_http_may_name(const struct ex_http_match *m, struct ex_span name, uint16_t port);

/*
 * For denies, which are met by all that a server may take for what they say: by Host with the port
 * and without it; by any of several fields of a name, however that is spelled. Of a secret that is
 * not there, by every value.
 */
bool ex_http_may_mean_host(const struct ex_http_match *m, struct ex_span authority, uint16_t port);
bool ex_http_may_mean_headers(const struct ex_http_match *m, const struct ex_http_request *req);

/*
 * Would the rule put a secret onto the wire as clear text at the port of HTTPS? No server wants
 * that; a workload that does wants somebody on the way to read it. Or does it speak TLS with the
 * server in a way of its own, which there is no TLS to do with?
 */
static inline bool ex_http_betrays(const struct ex_http_match *m, bool tls, uint16_t port)
{
	return !tls && ((m->writes_secret && port == 443) || m->originates);
}

/* Appends what the rule does to headers, if it matches; edits may be NULL. */
bool ex_http_match_headers(const struct ex_http_match *m, const struct ex_http_request *req,
			   struct ex_header_edits *edits);
/* In the order of rules, and of what each of them says. */
void ex_header_edits_sort(struct ex_header_edits *edits);

#endif
