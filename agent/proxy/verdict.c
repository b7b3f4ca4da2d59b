/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts about connections, written down; and the ways a connection is told no. */
#include <errno.h>
#include <netinet/in.h>

#include "agent/proxy/ask.h"
#include "agent/proxy/conn.h"
#include "agent/tls/session.h"

/*
 * The name the verdict was about, when the address was learned under it; else, if it is the only
 * one.
 */
static struct ex_span judged_name(const struct ex_conn *c, const struct ex_h1_head *head)
{
	struct ex_span sni = c->sni;
	struct ex_span said = head ? head->host : sni;

	for (size_t i = 0; i < c->flow.n_names; i++)
		if (ex_span_eq(c->names[i], said))
			return said;
	return c->flow.n_names == 1 ? c->names[0] : (struct ex_span){ 0 };
}

void ex_conn_audit(struct ex_conn *c, enum ex_audit_app app, const struct ex_decision *d,
		   const struct ex_h1_head *head, uint16_t status, const char *detail)
{
	struct ex_audit_record rec = {
		.app = (uint8_t)app,
		.gate = EX_AUDIT_PROXY,
		.verdict = (uint8_t)d->verdict,
		.proto = IPPROTO_TCP,
		.reason = (uint16_t)d->reason,
		.status = status,
		.rule = d->rule,
		.src = c->src,
		.dst = c->flow.dst,
		.sport = c->sport,
		.dport = c->flow.port,
	};

	ex_audit_set(rec.name, sizeof(rec.name), judged_name(c, head));
	ex_audit_set(rec.sni, sizeof(rec.sni), c->sni);
	ex_audit_set(rec.detail, sizeof(rec.detail), ex_span_str(detail));
	if (head) {
		rec.http = c->state == EX_CONN_H2 ? 20 : 10 + (head->minor & 1);
		ex_audit_set(rec.method, sizeof(rec.method), head->method);
		ex_audit_set(rec.host, sizeof(rec.host), head->host);
		ex_audit_set_path(rec.path, sizeof(rec.path), head->path);
	}
	ex_ask_audit(c->px->ask, &rec);
}

void ex_conn_refuse(struct ex_conn *c, const struct ex_decision *d, const char *detail)
{
	const struct ex_h1_head *head = d->reason == EX_R_HTTP_MALFORMED ||
							d->reason == EX_R_HTTP_TOO_LARGE ||
							d->reason == EX_R_H2_UNSUPPORTED
						? NULL
						: ex_h1_head(c->x.req);
	struct ex_h1_denial denial = { .status = ex_h1_status(d->reason),
				       .reason = d->reason,
				       .rule = ex_ruleset_rule(c->px->rs, d->rule),
				       .detail = detail };
	char *room = ex_buf_reserve(&c->client.out, 4096);
	ssize_t n;

	if (head) {
		denial.method = head->method;
		denial.host = head->host;
		denial.path = head->path;
		denial.judged = head->path.len ? head : NULL; /* which is read last */
		denial.head_only = ex_span_eq(head->method, EX_SPAN("HEAD"));
		denial.text = ex_h1_prefers_text(head->headers, head->n_headers);
	}
	ex_conn_audit(c, EX_AUDIT_HTTP, d, head, denial.status, detail);
	n = room ? ex_h1_write_denial(&denial, true, room, 4096) : -ENOMEM;
	if (n < 0) {
		ex_conn_reset(c);
		return;
	}
	ex_buf_commit(&c->client.out, (size_t)n);
	ex_conn_linger(c);
}

enum ex_reason ex_dial_reason(const struct ex_side *s, int err, char why[static EX_DIAL_WHY])
{
	bool tls = s && s->state == EX_SIDE_HANDSHAKING && err != -ETIMEDOUT;
	const char *text = err == -ESTALE  ? "what was known of its name has expired"
			   : err == -ELOOP ? "the host's own, or denied"
			   : tls           ? ex_tls_error(s->tls)
					   : strerror(-err);

	ex_audit_set(why, EX_DIAL_WHY, ex_span_str(text));
	if (tls || err == -EKEYREJECTED)
		return EX_R_UPSTREAM_TLS;
	/* The parent found no rule that leads there any more, or that it is the host's own. */
	if (err == -ESTALE)
		return EX_R_ADDRESS_NOT_OF_NAME;
	if (err == -ELOOP)
		return EX_R_RESERVED_DENY;
	return err == -ETIMEDOUT ? EX_R_TIMEOUT : EX_R_UPSTREAM_UNREACHABLE;
}

void ex_conn_dial_failed(struct ex_conn *c, int err)
{
	/* The client resolves the name anew when the connection is gone. */
	bool denied = err == -ELOOP || err == -ESTALE;
	char why[EX_DIAL_WHY];
	struct ex_decision d = { .verdict = EX_V_DENY,
				 .reason = ex_dial_reason(&c->server, err, why) };

	if (!denied && c->state == EX_CONN_HTTP && c->x.active && !c->x.res_head) {
		ex_conn_refuse(c, &d, why);
		return;
	}
	if (!denied && c->state == EX_CONN_H2) {
		ex_conn_hang_up(c);
		ex_h2_relay_origin_failed(c->h2, d.reason, why);
		ex_conn_set_timeout(c, EX_CONN_HEAD_MS);
		return;
	}
	ex_conn_audit(c, EX_AUDIT_L4, &d, NULL, 0, why);
	ex_conn_reset(c);
}
