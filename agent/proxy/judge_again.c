/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open connections under another policy. Each is asked what was asked when it began, with all that
 * is known of it by now, and under the names that held then. What is not allowed ends here and now,
 * and both sides see that it did not end well.
 */
#include "agent/proxy/conn.h"
#include "agent/tls/identity.h"

static struct ex_decision judge_app(const struct ex_conn *c)
{
	struct ex_span none = { 0 };

	return ex_judge_app(c->px->rs, &c->flow, c->app, c->app == EX_APP_TLS ? c->sni : none);
}

/* What a rule would do to its fields comes too late, and is no reason to end it. */
struct ex_decision ex_conn_judge_again(struct ex_conn *c, const struct ex_h1_head *head,
				       uint32_t identity)
{
	struct ex_header_edits edits;
	struct ex_decision d = ex_conn_judge(c, head, &edits);

	if (d.verdict == EX_V_ALLOW && ex_identity_of(&c->px->identities, &edits) != identity)
		d = (struct ex_decision){ EX_V_DENY, EX_R_POLICY_CHANGED, d.rule };
	return d;
}

/* Carried unread: that is what has to be allowed, without looking into it. */
static struct ex_decision judge_stream(struct ex_conn *c, struct ex_decision l4)
{
	struct ex_decision d = l4;

	if (c->x.req) /* WebSocket, by the request that asked for it */
		return ex_conn_judge_again(c, ex_h1_head(c->x.req), c->identity);
	if (c->sniffed && d.verdict == EX_V_STEER)
		d = judge_app(c);
	if (d.verdict == EX_V_STEER)
		d.verdict = EX_V_DENY;
	return d;
}

/* A server that was to speak first was dialled before anything is known. */
static struct ex_decision judge_silent(const struct ex_conn *c, struct ex_decision l4)
{
	if (l4.verdict == EX_V_DENY || c->server.state == EX_SIDE_CLOSED)
		return l4;
	return ex_judge_app(c->px->rs, &c->flow, EX_APP_OTHER, (struct ex_span){ 0 });
}

static struct ex_decision judge(struct ex_conn *c)
{
	struct ex_decision d = ex_judge_l4(c->px->rs, &c->flow);

	if (c->state == EX_CONN_SNIFF)
		return judge_silent(c, d);
	if (c->state == EX_CONN_STREAM)
		return judge_stream(c, d);
	/* Read into: by the hello, and while a request is under way by that. */
	if (d.verdict != EX_V_DENY)
		d = judge_app(c);
	if (d.verdict != EX_V_DENY && c->state == EX_CONN_HTTP && c->x.active)
		d = ex_conn_judge_again(c, ex_h1_head(c->x.req), c->identity);
	return d;
}

static void end_request(struct ex_conn *c, const struct ex_decision *d)
{
	const struct ex_h1_head *head = ex_h1_head(c->x.req);

	if (!c->x.res_head) {
		ex_conn_refuse(c, d, NULL);
		return;
	}
	ex_conn_audit(c, EX_AUDIT_HTTP, d, head, 0, NULL);
	ex_conn_reset(c); /* half a response must not look whole */
}

static void end(struct ex_conn *c, const struct ex_decision *d)
{
	enum ex_audit_app app = c->tls || c->app == EX_APP_TLS ? EX_AUDIT_TLS : EX_AUDIT_L4;

	if (c->state == EX_CONN_HTTP && c->x.active) {
		end_request(c, d);
		return;
	}
	ex_conn_audit(c, app, d,
		      c->x.req && c->state == EX_CONN_STREAM ? ex_h1_head(c->x.req) : NULL, 0,
		      NULL);
	if (c->state == EX_CONN_HTTP)
		ex_conn_linger(c); /* between two requests: an orderly end */
	else if (c->state == EX_CONN_H2)
		ex_h2_relay_close(c->h2, true);
	else
		ex_conn_reset(c);
}

/* The server side was opened as somebody who is nobody now. Requests have been judged already. */
static void give_up_identity(struct ex_conn *c)
{
	if (c->state == EX_CONN_CLOSED || ex_tls_identity_holds(c->px->tls, c->identity))
		return;
	if (c->state == EX_CONN_HTTP && !c->x.active)
		ex_conn_hang_up(c);
	else if (c->state == EX_CONN_H2)
		ex_h2_relay_close(c->h2, false);
}

void ex_conns_judge_again(struct ex_proxy *px)
{
	for (struct ex_link *l = px->conns, *next; l; l = next) {
		struct ex_conn *c = ex_container_of(l, struct ex_conn, link);
		struct ex_decision d;

		next = l->next; /* memory stays until this turn of the loop is over */
		if (c->state == EX_CONN_LINGER || c->state == EX_CONN_CLOSED)
			continue;
		d = judge(c);
		if (d.verdict == EX_V_DENY) {
			d.reason = EX_R_POLICY_CHANGED;
			end(c, &d);
		} else if (c->state == EX_CONN_H2) {
			ex_h2_relay_judge_again(c->h2);
		}
		give_up_identity(c);
		if (c->state != EX_CONN_CLOSED)
			ex_conn_run(c);
		/* It was closed as well, and knows no more what follows: nobody may be left out. */
		if (next && !next->at)
			next = px->conns;
	}
}
