/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 on a connection: one request at a time is read, judged, written anew to the server, and
 * its response passed back as it comes. The next request, pipelined or not, is looked at when the
 * exchange before it is over. The server side is dialled for the first request that is allowed.
 */
#include <errno.h>

#include "agent/http/edit.h"
#include "agent/http/fields.h"
#include "agent/http/websocket.h"
#include "agent/proxy/bulk.h"
#include "agent/proxy/reuse.h"
#include "policy/header.h"

/* The readers of an exchange: had from the first byte of the request. */
static int need_readers(struct ex_conn *c)
{
	int r = c->x.req ? 0 : ex_h1_new(true, &c->x.req);

	return r == 0 && !c->x.res ? ex_h1_new(false, &c->x.res) : r;
}

int ex_conn_http_begin(struct ex_conn *c)
{
	int r = need_readers(c);

	if (r == 0)
		ex_conn_set_state(c, EX_CONN_HTTP);
	return r;
}

/* Where many are open most of them are idle, and keep nothing. */
static void rest(struct ex_conn *c)
{
	if (c->px->n_conns <= EX_CONNS_BUSY || ex_buf_len(&c->client.in))
		return;
	ex_h1_free(c->x.req);
	ex_h1_free(c->x.res);
	c->x.req = c->x.res = NULL;
	ex_conn_spare_server(c);
	ex_proxy_tidy(c->px);
}

void ex_conn_http_done(struct ex_conn *c)
{
	ex_h1_free(c->x.req);
	ex_h1_free(c->x.res);
	ex_h2_relay_free(c->h2);
	c->h2 = NULL;
	c->x = (struct ex_exchange){ 0 };
}

/* ---- the request ---- */

struct ex_decision ex_conn_judge(struct ex_conn *c, const struct ex_h1_head *head,
				 struct ex_header_edits *ret)
{
	struct ex_http_request req = {
		.tls = c->tls,
		.sni = c->sni,
		.method = head->method,
		.path = head->path,
		.destination = head->destination,
		.host = head->host,
		.authority = head->authority,
		.headers = head->headers,
		.n_headers = head->n_headers,
	};
	struct ex_decision d;

	/* A port in Host that is not the one dialled speaks of another server. */
	if (head->host_port && head->host_port != c->flow.port) {
		*ret = (struct ex_header_edits){ 0 };
		return (struct ex_decision){ EX_V_DENY, EX_R_HOST_MISMATCH, 0 };
	}
	d = ex_judge_http_edits(c->px->rs, &c->flow, &req, ret);
	if (d.verdict != EX_V_ALLOW && d.verdict != EX_V_DENY)
		d = (struct ex_decision){ EX_V_DENY, EX_R_INTERNAL, d.rule };
	if (d.verdict == EX_V_ALLOW && !ex_edits_fit(ret, head->n_headers))
		d = (struct ex_decision){ EX_V_DENY, EX_R_HTTP_TOO_LARGE, d.rule };
	return d;
}

void ex_conn_audit_allowed(struct ex_conn *c, const struct ex_decision *d,
			   const struct ex_h1_head *head, const struct ex_header_edits *edits)
{
	char detail[96];

	ex_headers_describe(edits, detail, sizeof(detail));
	ex_conn_audit(c, EX_AUDIT_HTTP, d, head, 0, detail[0] ? detail : NULL);
}

int ex_conn_send_head(struct ex_conn *c, const struct ex_h1_head *head,
		      const struct ex_header_edits *edits)
{
	struct ex_edited_head edited EX_UNSET;
	bool unsent = ex_buf_len(&c->server.out) > 0;
	int r;

	head = ex_h1_head_edit(head, edits, &edited);
	r = ex_h1_put_request(&c->server.out, head, false, c->x.upgrade);
	if (r < 0)
		return r;
	/* What is still to be sent of the request before must not be lost with this one. */
	c->server.wrote = unsent;
	c->x.bound |= ex_fields_bind_connection(head->headers, head->n_headers);
	ex_h1_expect_response_to(c->x.res, head->method);
	if (c->x.upgrade)
		ex_h1_expect_upgrade(c->x.res);
	return 0;
}

/*
 * The client waits to be told to send the body. The server is not asked: what it answers instead
 * leaves open whether the body is still read as one, and servers were found that take it for the
 * next request.
 */
static int tell_to_continue(struct ex_conn *c, const struct ex_h1_head *head)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!head->expect_continue || head->framing == EX_H1_NO_BODY)
		return 0;
	return ex_buf_append(&c->client.out, go_on, sizeof(go_on) - 1);
}

static void begin_exchange(struct ex_conn *c, const struct ex_h1_head *head,
			   const struct ex_header_edits *edits)
{
	struct ex_decision failed = { EX_V_DENY, EX_R_INTERNAL, 0 };
	int r;

	ex_conn_look_at_server(c, head, ex_identity_of(&c->px->identities, edits));
	c->x.upgrade = head->upgrade.len > 0;
	if (tell_to_continue(c, head) < 0 || ex_conn_send_head(c, head, edits) < 0) {
		ex_conn_refuse(c, &failed, NULL);
		return;
	}
	c->x.active = true;
	c->x.close = head->close;
	c->x.last = head->close && !ex_h1_body_is_unexpected(head);
	c->x.req_chunked = head->framing == EX_H1_CHUNKED;
	c->x.http10 = head->minor == 0;
	ex_conn_set_timeout(c, EX_CONN_REQUEST_MS);
	r = ex_conn_find_server(c, head);
	if (r < 0)
		ex_conn_dial_failed(c, r);
}

const char *ex_conn_why_denied(const struct ex_decision *d, const struct ex_h1_head *head)
{
	if (d->reason != EX_R_HTTP_DENIED)
		return NULL;
	if (head->destination.len)
		return "what Destination names has to be allowed as well";
	for (size_t i = 0; i < head->n_headers; i++)
		if (ex_field_names_object(head->headers[i].name))
			return "a field that names another object has to be named by the rule";
	return NULL;
}

static void on_request(struct ex_conn *c)
{
	const struct ex_h1_head *head = ex_h1_head(c->x.req);
	struct ex_header_edits edits;
	struct ex_decision d = ex_conn_judge(c, head, &edits);

	if (d.verdict == EX_V_ALLOW && head->upgrade.len && !ex_h1_upgrade_is_websocket(head))
		d = (struct ex_decision){ EX_V_DENY, EX_R_UPGRADE_DENIED, d.rule };
	if (d.verdict != EX_V_ALLOW) {
		ex_conn_refuse(c, &d, ex_conn_why_denied(&d, head));
		return;
	}
	ex_conn_audit_allowed(c, &d, head, &edits);
	begin_exchange(c, head, &edits);
}

static void refuse_malformed(struct ex_conn *c)
{
	struct ex_decision d = { EX_V_DENY, ex_h1_reason(c->x.req), 0 };

	ex_conn_refuse(c, &d, ex_h1_error(c->x.req));
}

/* The event may point into the buffer: the caller consumes when it has dealt with it. */
static enum ex_h1_event feed(struct ex_h1 *parser, const struct ex_buf *in, size_t *used)
{
	return ex_h1_feed(parser, ex_buf_ptr(in), ex_buf_len(in), used);
}

static bool read_request(struct ex_conn *c)
{
	struct ex_buf *in = &c->client.in;
	size_t used = 0;

	if (!ex_buf_len(in)) {
		if (!c->client.eof)
			return false;
		ex_conn_part(c); /* the client may still be reading the last answer */
		return true;
	}
	if (need_readers(c) < 0) {
		ex_conn_reset(c);
		return false;
	}
	switch (feed(c->x.req, in, &used)) {
	case EX_H1_MORE:
		ex_buf_consume(in, used);
		return used > 0;
	case EX_H1_HEAD:
		ex_buf_consume(in, used);
		on_request(c);
		return true;
	case EX_H1_BAD:
		refuse_malformed(c);
		return true;
	case EX_H1_BODY:
	case EX_H1_END:
	case EX_H1_UPGRADED:
		break;
	}
	ex_conn_reset(c); /* no head before it: cannot be */
	return false;
}

static void request_broke(struct ex_conn *c)
{
	if (c->x.res_head)
		ex_conn_reset(c);
	else
		refuse_malformed(c);
}

/* Passes on what there is of the request's body, while the server side has room. */
static bool pass_request(struct ex_conn *c)
{
	struct ex_buf *in = &c->client.in, *out = &c->server.out;
	enum ex_h1_event ev;
	bool moved = false;
	size_t used;
	int r;

	if (c->client.pipe)
		return ex_conn_bulk_pass(c, &c->client, &c->server, c->x.req);
	while (!c->x.req_done && ex_buf_len(out) < EX_SIDE_BUF_MAX) {
		used = 0;
		ev = feed(c->x.req, in, &used);
		if (ev == EX_H1_BAD || ev == EX_H1_HEAD || ev == EX_H1_UPGRADED) {
			request_broke(c);
			return true;
		}
		r = ev == EX_H1_BODY  ? ex_h1_put_body(out, ex_h1_body(c->x.req), c->x.req_chunked)
		    : ev == EX_H1_END ? ex_h1_put_end(out, c->x.req_chunked, NULL, 0)
				      : 0;
		ex_buf_consume(in, used);
		c->x.req_done = ev == EX_H1_END;
		if (r < 0 || (ev == EX_H1_MORE && c->client.eof)) {
			ex_conn_reset(c); /* half a request must not look whole to the server */
			return true;
		}
		if (ev == EX_H1_MORE) {
			moved |= used > 0;
			break;
		}
		moved = true;
	}
	if (moved)
		ex_conn_bulk_begin(c, &c->client, &c->server, c->x.req);
	return moved;
}

/* ---- the response ---- */

static int on_response_head(struct ex_conn *c)
{
	struct ex_h1_head head = *ex_h1_head(c->x.res);

	c->x.interim = head.status < 200 && head.status != 101;
	/* A client of HTTP/1.0 knows neither interim responses nor chunks. */
	if (c->x.interim && c->x.http10)
		return 0;
	if (!c->x.interim) {
		c->x.res_head = true;
		c->x.server_close = head.close || head.framing == EX_H1_UNTIL_CLOSE;
		if (c->x.http10 && head.framing == EX_H1_CHUNKED)
			head.framing = EX_H1_UNTIL_CLOSE;
		c->x.close |= c->x.server_close || head.framing == EX_H1_UNTIL_CLOSE;
		c->x.res_chunked = head.framing == EX_H1_CHUNKED;
		/* Its end is told by that of the connection, which we might not live to see. */
		if (head.framing == EX_H1_UNTIL_CLOSE && !c->client.tls)
			ex_side_set_abrupt(&c->client, true);
	}
	return ex_h1_put_response(&c->client.out, &head, c->x.close && !c->x.interim);
}

static int on_response_end(struct ex_conn *c)
{
	const struct ex_header *trailers;
	size_t n = ex_h1_trailers(c->x.res, &trailers);

	c->x.res_done = !c->x.interim;
	c->x.interim = false;
	return c->x.res_done ? ex_h1_put_end(&c->client.out, c->x.res_chunked, trailers, n) : 0;
}

/* 101: what follows on both sides is not HTTP, and was allowed as a whole. */
static void begin_upgraded(struct ex_conn *c)
{
	if (c->x.upgrade && c->x.req_done)
		ex_conn_set_state(c, EX_CONN_STREAM);
	else
		ex_conn_reset(c);
}

static void response_broke(struct ex_conn *c)
{
	struct ex_decision d = { EX_V_DENY, EX_R_UPSTREAM_PROTOCOL, 0 };

	if (ex_conn_repeat(c))
		return;
	if (c->x.res_head)
		ex_conn_reset(c); /* the client must not take half a response for a whole */
	else if (c->x.reused && !c->x.answered)
		ex_conn_refuse(c, &d, "the server ended a kept connection without an answer");
	else
		ex_conn_refuse(c, &d, "the server closed or did not speak HTTP/1.1");
}

static enum ex_h1_event next_response_event(struct ex_conn *c, size_t *used)
{
	struct ex_buf *in = &c->server.in;
	enum ex_h1_event ev = feed(c->x.res, in, used); /* an END may be due without a byte */
	const struct ex_h1_head *head = ex_h1_head(c->x.res);

	/* Behind a 101 nothing is judged: only a server that has read the key may say so. */
	if (ev == EX_H1_HEAD && head->status == 101 &&
	    !ex_websocket_answers(head, ex_h1_head(c->x.req)))
		return EX_H1_BAD;

	if (ev == EX_H1_MORE && c->server.eof && *used == ex_buf_len(in)) {
		/* Broken off is not closed: an until-close body may be cut short. */
		ev = c->server.broken ? EX_H1_BAD : ex_h1_eof(c->x.res);
		if (ev == EX_H1_MORE)
			ev = EX_H1_BAD;
	}
	return ev;
}

static int take_response_event(struct ex_conn *c, enum ex_h1_event ev)
{
	switch (ev) {
	case EX_H1_HEAD:
		return on_response_head(c);
	case EX_H1_BODY:
		return ex_h1_put_body(&c->client.out, ex_h1_body(c->x.res), c->x.res_chunked);
	case EX_H1_END:
		return on_response_end(c);
	case EX_H1_MORE:
	case EX_H1_BAD:
	case EX_H1_UPGRADED:
		break;
	}
	return 0;
}

static bool pass_response(struct ex_conn *c)
{
	bool moved = false;

	if (c->server.pipe)
		return ex_conn_bulk_pass(c, &c->server, &c->client, c->x.res);
	while (!c->x.res_done && ex_buf_len(&c->client.out) < EX_SIDE_BUF_MAX) {
		size_t used = 0;
		enum ex_h1_event ev = next_response_event(c, &used);
		int r = take_response_event(c, ev);

		ex_buf_consume(&c->server.in, used);
		c->x.answered |= used > 0;
		if (ev == EX_H1_BAD) {
			response_broke(c);
			return true;
		}
		if (ev == EX_H1_UPGRADED) {
			begin_upgraded(c);
			return true;
		}
		if (r < 0) {
			ex_conn_reset(c);
			return true;
		}
		if (ev == EX_H1_MORE) {
			moved |= used > 0;
			break;
		}
		moved = true;
	}
	if (moved)
		ex_conn_bulk_begin(c, &c->server, &c->client, c->x.res);
	return moved;
}

/* ---- one exchange after the other ---- */

static void end_exchange(struct ex_conn *c)
{
	bool leftover = !ex_side_is_idle(&c->server);

	/* A server that says more than it was asked would answer the next request with it. */
	if (leftover || !c->x.req_done || c->server.finished)
		c->x.server_close = true;
	c->x.used = true;
	if (c->x.close || c->x.server_close) {
		ex_conn_part(c);
		return;
	}
	c->x = (struct ex_exchange){ .req = c->x.req,
				     .res = c->x.res,
				     .used = true,
				     .bound = c->x.bound,
				     .idle_since = ex_loop_now(c->px->loop) };
	rest(c);
	c->client.edge = c->server.edge = true; /* there will be many messages */
	ex_conn_set_timeout(c, EX_CONN_HEAD_MS);
}

/*
 * Nobody waits for an answer any more. A server of HTTP/2 cannot be told of half an end, and judge
 * by itself: there the end of TLS is half of one, and that of the connection behind it all.
 */
static bool is_gone(const struct ex_conn *c)
{
	return c->client.broken || (c->server.bridge && c->client.eof && c->client.ending);
}

/*
 * The client has ended, and all it asked is sent: who answers learns that, as it would from the
 * client itself, and need not go on for nobody.
 */
static bool pass_end(struct ex_conn *c)
{
	struct ex_side *s = &c->server;
	bool gone = is_gone(c);

	if (!(gone || c->client.eof) || !c->x.req_done || !ex_side_ready(s) || ex_buf_len(&s->out))
		return false;
	/* Of HTTP/2 the connection would end, not the stream, which has told its end already. */
	if (!gone && (ex_buf_len(&c->client.in) || s->bridge || s->finished))
		return false;
	ex_side_finish(s);
	if (gone) /* not by a reset, behind which the request might go unread */
		ex_conn_close(c);
	return true;
}

bool ex_conn_http(struct ex_conn *c)
{
	bool moved = false;

	if (!c->x.active) {
		bool spoke = ex_buf_len(&c->server.in) > 0;

		if (c->server.eof && !(c->x.used && spoke)) {
			ex_conn_hang_up(c); /* the next request finds another one */
		} else if (spoke) {
			ex_conn_linger(c); /* unasked, between two requests */
			return true;
		}
		if (!read_request(c))
			return false;
		/* What came of the body with the head goes out with the head. */
		if (c->state == EX_CONN_HTTP && c->x.active)
			(void)pass_request(c);
		return true;
	}
	if (!c->x.req_done)
		moved = pass_request(c);
	if (c->state == EX_CONN_HTTP && ex_side_ready(&c->server))
		moved |= pass_response(c);
	if (c->state == EX_CONN_HTTP && c->x.res_done) {
		end_exchange(c);
		moved = true;
	} else if (c->state == EX_CONN_HTTP) {
		moved |= pass_end(c);
	}
	return moved;
}
