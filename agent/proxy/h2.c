/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 on a connection: the relay (http2_relay.h) judges each stream; here its bytes are moved.
 */
#include <errno.h>

#include "agent/proxy/leg.h"
#include "agent/proxy/pool.h"
#include "agent/tls/session.h"

static void tell(const struct ex_conn *c, const struct ex_decision *d, struct ex_h1_denial *denial)
{
	denial->status = ex_h1_status(d->reason);
	denial->reason = d->reason;
	denial->rule = ex_ruleset_rule(c->px->rs, d->rule);
}

static bool judge(void *arg, const struct ex_h1_head *head, struct ex_h1_denial *denial,
		  struct ex_header_edits *edits)
{
	struct ex_conn *c = arg;
	struct ex_decision d = ex_conn_judge(c, head, edits);

	if (d.verdict == EX_V_ALLOW) {
		ex_conn_audit_allowed(c, &d, head, edits);
		return true;
	}
	tell(c, &d, denial);
	denial->detail = ex_conn_why_denied(&d, head);
	denial->judged = head;
	ex_conn_audit(c, EX_AUDIT_HTTP, &d, head, denial->status, denial->detail);
	return false;
}

static uint32_t identity(void *arg, const struct ex_header_edits *edits)
{
	const struct ex_conn *c = arg;

	return ex_identity_of(&c->px->identities, edits);
}

static bool judge_again(void *arg, const struct ex_h1_head *head, uint32_t as,
			struct ex_h1_denial *denial)
{
	struct ex_conn *c = arg;
	struct ex_decision d = ex_conn_judge_again(c, head, as);

	if (d.verdict == EX_V_ALLOW)
		return true;
	d.reason = EX_R_POLICY_CHANGED;
	tell(c, &d, denial);
	ex_conn_audit(c, EX_AUDIT_HTTP, &d, head, denial->status, NULL);
	return false;
}

static void refused(void *arg, const struct ex_h1_denial *denial)
{
	struct ex_h1_head head = { .method = denial->method,
				   .host = denial->host,
				   .path = denial->path };
	struct ex_decision d = { .verdict = EX_V_DENY, .reason = denial->reason };

	ex_conn_audit(arg, EX_AUDIT_HTTP, &d, &head, denial->status, denial->detail);
}

int ex_conn_h2_begin(struct ex_conn *c)
{
	struct ex_h2_relay_config config = { .arg = c,
					     .heads = &c->px->h2_heads,
					     .tls = c->tls,
					     .sni = c->sni,
					     .port = c->flow.port,
					     .judge = judge,
					     .identity = identity,
					     .judge_again = judge_again,
					     .refused = refused };
	int r = ex_h2_relay_new(&config, &c->h2);

	if (r == 0)
		ex_conn_set_state(c, EX_CONN_H2);
	return r;
}

static struct ex_side *side_of(struct ex_conn *c, enum ex_h2_side which)
{
	return which == EX_H2_WORKLOAD ? &c->client : &c->server;
}

/* Negative: the peer broke the protocol beyond what a stream's reset can mend. */
static int feed(struct ex_conn *c, enum ex_h2_side which)
{
	struct ex_side *s = side_of(c, which);
	size_t len = ex_buf_len(&s->in);
	ssize_t n = 0;

	if (len)
		n = ex_h2_relay_feed(c->h2, which, ex_buf_ptr(&s->in), len,
				     ex_loop_now(c->px->loop));
	if (n < 0)
		return (int)n;
	ex_buf_consume(&s->in, (size_t)n);
	if (s->eof && !s->told && !ex_buf_len(&s->in)) {
		s->told = true;
		ex_h2_relay_eof(c->h2, which);
		return 1;
	}
	return n > 0;
}

static int pull(struct ex_conn *c, enum ex_h2_side which)
{
	struct ex_side *s = side_of(c, which);
	int moved = 0;

	while (ex_buf_len(&s->out) < EX_SIDE_BUF_MAX) {
		char *room = ex_buf_reserve(&s->out, EX_SIDE_BUF_MAX);
		ssize_t n = room ? ex_h2_relay_pull(c->h2, which, room, EX_SIDE_BUF_MAX) : -ENOMEM;

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		ex_buf_commit(&s->out, (size_t)n);
		moved = 1;
	}
	return moved;
}

/*
 * Without TLS the client knew beforehand that HTTP/2 is spoken here; the server is told the same.
 */
void ex_conn_origin_known(struct ex_conn *c)
{
	bool h2 = !c->tls || ex_tls_is_h2(c->server.tls);

	c->origin_h1 = !h2;
	if (ex_h2_relay_origin(c->h2, h2 ? EX_H2_ORIGIN_H2 : EX_H2_ORIGIN_H1) < 0)
		ex_conn_reset(c);
}

/* An allowed request waits for a server. */
static void dial(struct ex_conn *c)
{
	int r;

	if (!ex_h2_relay_wants_origin(c->h2) || c->server.state != EX_SIDE_CLOSED)
		return;
	c->identity = ex_h2_relay_identity(c->h2);
	r = ex_conn_dial(c);
	if (r < 0)
		ex_conn_dial_failed(c, r);
}

/* The connection that was made to ask: the first request has taken it, or wants it no more. */
static void keep_first(struct ex_conn *c)
{
	struct ex_pool_key key = ex_conn_pool_key(c);

	if (c->origin_h1 && ex_side_ready(&c->server))
		ex_pool_put(c->px->pool, &key, &c->server);
}

/* What was asked of it is answered here; the client is told to come anew. */
static bool feed_origin(struct ex_conn *c)
{
	int r = c->origin_h1 ? 0 : feed(c, EX_H2_ORIGIN);

	if (r < 0) {
		ex_h2_relay_eof(c->h2, EX_H2_ORIGIN);
		ex_conn_hang_up(c);
	}
	return r != 0;
}

bool ex_conn_h2(struct ex_conn *c)
{
	int r = feed(c, EX_H2_WORKLOAD);
	bool moved = r != 0, broken = r < 0;

	moved |= feed_origin(c);
	moved |= ex_legs_run(c);
	keep_first(c);
	/* What says why it broke is still to be sent. */
	for (enum ex_h2_side side = EX_H2_WORKLOAD; side <= EX_H2_ORIGIN; side++)
		moved |= pull(c, side) > 0;
	if (broken || ex_h2_relay_done(c->h2, EX_H2_WORKLOAD)) {
		ex_legs_close(c);
		ex_conn_linger(c);
		return true;
	}
	dial(c);
	if (c->state == EX_CONN_CLOSED)
		return false;
	if (ex_h2_relay_done(c->h2, EX_H2_ORIGIN) && !ex_buf_len(&c->server.out))
		ex_side_finish(&c->server);
	return moved;
}
