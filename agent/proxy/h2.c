/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 on a connection: the relay (http2_relay.h) judges each stream; here its bytes are moved.
 */
#include <errno.h>

#include "agent/proxy/conn.h"

static bool judge(void *arg, const struct ex_h1_head *head, struct ex_h1_denial *denial)
{
	struct ex_conn *c = arg;
	struct ex_decision d = ex_conn_judge(c, head);
	bool allow = d.verdict == EX_V_ALLOW;

	if (!allow) {
		denial->status = ex_h1_status(d.reason);
		denial->reason = d.reason;
		denial->rule = ex_ruleset_rule(c->px->rs, d.rule);
	}
	ex_conn_audit(c, EX_AUDIT_HTTP, &d, head, allow ? 0 : denial->status, NULL);
	return allow;
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
					     .tls = true,
					     .sni = { c->hello.sni, c->hello.sni_len },
					     .port = c->flow.port,
					     .judge = judge,
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

bool ex_conn_h2(struct ex_conn *c)
{
	bool moved = false, broken = false;

	for (enum ex_h2_side side = EX_H2_WORKLOAD; side <= EX_H2_ORIGIN; side++) {
		int r = feed(c, side);

		broken |= r < 0;
		moved |= r > 0;
	}
	/* What says why it broke is still to be sent. */
	for (enum ex_h2_side side = EX_H2_WORKLOAD; side <= EX_H2_ORIGIN; side++)
		moved |= pull(c, side) > 0;
	if (broken || ex_h2_relay_done(c->h2, EX_H2_WORKLOAD)) {
		ex_conn_linger(c);
		return true;
	}
	if (ex_h2_relay_done(c->h2, EX_H2_ORIGIN) && !ex_buf_len(&c->server.out))
		ex_side_finish(&c->server);
	return moved;
}
