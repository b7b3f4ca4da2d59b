/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a steered connection: which protocol, which name, and what is to become of it.
 * Nothing the client sent reaches the server before the verdict.
 */
#include <errno.h>

#include "agent/proxy/ask.h"
#include "agent/proxy/conn.h"
#include "agent/proxy/recognise.h"
#include "agent/proxy/unread.h"
#include "agent/tls/session.h"

#define PREFACE_LEN 24
#define TURN_MS     60000 /* a turn comes sooner, unless this process hardly runs */
#define SNIFF_MS    10000 /* for the whole ClientHello, or the first bytes of whatever it is */

/* ---- saying no ---- */

static void deny_stream(struct ex_conn *c, enum ex_audit_app app, const struct ex_decision *d,
			const char *detail)
{
	ex_conn_audit(c, app, d, NULL, 0, detail);
	ex_conn_reset(c);
}

static uint8_t alert_of(enum ex_reason reason)
{
	if (reason == EX_R_TLS_MALFORMED)
		return EX_ALERT_DECODE_ERROR;
	if (reason == EX_R_SNI_MISSING || reason == EX_R_SNI_INVALID || reason == EX_R_SNI_DENIED)
		return EX_ALERT_UNRECOGNIZED_NAME;
	return EX_ALERT_ACCESS_DENIED;
}

/* An alert is shown by the client at once, where a reset would be tried again. */
static void deny_tls(struct ex_conn *c, const struct ex_decision *d, const char *detail)
{
	uint8_t alert[7];

	ex_conn_audit(c, EX_AUDIT_TLS, d, NULL, 0, detail);
	ex_hello_alert(alert_of(d->reason), alert);
	if (ex_buf_append(&c->client.out, alert, sizeof(alert)) < 0)
		ex_conn_reset(c);
	else
		ex_conn_linger(c);
}

static void deny_tls_reason(struct ex_conn *c, enum ex_reason reason, const char *detail)
{
	deny_tls(c, &(struct ex_decision){ .verdict = EX_V_DENY, .reason = reason }, detail);
}

/* ---- saying yes ---- */

static void start_stream(struct ex_conn *c, enum ex_audit_app app, const struct ex_decision *d)
{
	bool dialled = c->server.state != EX_SIDE_CLOSED; /* and recorded: see below */
	int r = 0;

	if (!dialled)
		ex_conn_audit(c, app, d, NULL, 0, NULL);
	ex_conn_set_state(c, EX_CONN_STREAM);
	if (!dialled)
		r = ex_conn_dial(c);
	if (r < 0)
		ex_conn_dial_failed(c, r);
}

/* ---- interception: a leaf for the name, then TLS with the client ---- */

/* HTTP/2 is offered to a client that knows it, whatever its server speaks: see http2_relay.h. */
void ex_conn_intercept(struct ex_conn *c)
{
	struct ex_span name = c->sni;
	__typeof__(ex_tls_accept) *begin = c->hello->rsa_only ? ex_tls_accept_rsa : ex_tls_accept;
	int r = begin(c->px->tls, c->client.fd, name, ex_buf_ptr(&c->client.in),
		      ex_buf_len(&c->client.in), c->hello->offers_h2, &c->client.tls);

	if (r < 0) {
		deny_tls_reason(c, EX_R_INTERNAL, strerror(-r));
		return;
	}
	ex_buf_consume(&c->client.in, ex_buf_len(&c->client.in));
	ex_conn_drop_hello(c);
	c->tls = true;
	c->client.state = EX_SIDE_HANDSHAKING;
	ex_conn_set_state(c, EX_CONN_HANDSHAKE);
}

static void wait_for_leaf_or_turn(struct ex_conn *c)
{
	if (c->state != EX_CONN_MINT)
		ex_conn_set_state(c, EX_CONN_MINT);
}

/* How long others take is not the client's fault: its own time begins with its turn. */
static void intercept_in_turn(struct ex_conn *c)
{
	if (ex_turn_take(&c->px->turns, c)) {
		ex_conn_intercept(c);
		return;
	}
	wait_for_leaf_or_turn(c);
	ex_conn_set_timeout(c, TURN_MS);
}

static void on_minted(void *arg, const union ex_ipc_message *answer, int *fd)
{
	struct ex_conn *c = arg;
	struct ex_span name = c->sni;
	int r = answer->head.type == EX_IPC_MINTED ? answer->minted.err : -EPROTO;

	(void)fd;
	if (r == 0 && answer->minted.len > sizeof(answer->minted.der))
		r = -EPROTO;
	if (r == 0)
		r = ex_tls_add_leaf(c->px->tls, name, answer->minted.der, answer->minted.len);
	if (r < 0)
		deny_tls_reason(c, EX_R_INTERNAL, strerror(-r));
	else
		intercept_in_turn(c);
	ex_conn_run(c);
}

/* Over the RSA key, for a client that knows no other. */
static bool ask_for_rsa(struct ex_conn *c, struct ex_ipc_mint *msg)
{
	struct ex_span spki;

	if (!c->hello->rsa_only)
		return true;
	if (ex_tls_rsa_spki(c->px->tls, &spki) < 0 || spki.len > sizeof(msg->spki))
		return false;
	memcpy(msg->spki, spki.ptr, spki.len);
	msg->spki_len = (uint32_t)spki.len;
	return true;
}

static void start_intercept(struct ex_conn *c)
{
	struct ex_span name = c->sni;
	union ex_ipc_message msg = { .mint = { .head.type = EX_IPC_MINT } };

	if (c->hello->rsa_only ? ex_tls_has_rsa_leaf(c->px->tls, name)
			       : ex_tls_has_leaf(c->px->tls, name)) {
		intercept_in_turn(c);
		return;
	}
	if (!ask_for_rsa(c, &msg.mint) || !ex_ipc_name_set(&msg.mint.name, name) ||
	    ex_ask_send(c->px->ask, &msg, on_minted, c) < 0) {
		deny_tls_reason(c, EX_R_LIMIT, NULL);
		return;
	}
	wait_for_leaf_or_turn(c);
}

/* ---- judging ---- */

static void judge_tls(struct ex_conn *c)
{
	struct ex_span sni = c->sni;
	struct ex_decision d = ex_judge_app(c->px->rs, &c->flow, EX_APP_TLS, sni);

	if (d.verdict == EX_V_STEER && sni.ptr && ex_unread_has(c->px->unread, sni))
		d.verdict = EX_V_ALLOW;
	if (d.verdict == EX_V_ALLOW && c->hello->ech) {
		/* The name we read may not be the one the server will see. */
		d.verdict = EX_V_DENY;
		d.reason = EX_R_ECH;
	}
	if (d.verdict == EX_V_ALLOW) {
		c->hold = EX_HOLD_FIRST;
		start_stream(c, EX_AUDIT_TLS, &d);
	} else if (d.verdict == EX_V_STEER && c->hello->has_sni) {
		start_intercept(c);
	} else if (d.verdict == EX_V_STEER) {
		deny_tls_reason(c, EX_R_SNI_MISSING, NULL);
	} else {
		deny_tls(c, &d, NULL);
	}
}

static void judge_other(struct ex_conn *c)
{
	struct ex_decision d =
		ex_judge_app(c->px->rs, &c->flow, EX_APP_OTHER, (struct ex_span){ 0 });

	if (d.verdict == EX_V_ALLOW) {
		start_stream(c, EX_AUDIT_L4, &d);
		return;
	}
	if (d.verdict == EX_V_STEER)
		d = (struct ex_decision){ EX_V_DENY, EX_R_UNKNOWN_PROTOCOL, d.rule };
	deny_stream(c, EX_AUDIT_L4, &d, NULL);
}

/* HTTP/2 by prior knowledge: the client's first bytes, or as many of them as there are. */
static bool has_preface(const struct ex_conn *c)
{
	static const struct ex_span preface = { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PREFACE_LEN };
	size_t len = ex_buf_len(&c->client.in);

	return memcmp(ex_buf_ptr(&c->client.in), preface.ptr,
		      len < preface.len ? len : preface.len) == 0;
}

static void judge_http(struct ex_conn *c)
{
	struct ex_decision d =
		ex_judge_app(c->px->rs, &c->flow, EX_APP_HTTP, (struct ex_span){ 0 });

	if (d.verdict == EX_V_ALLOW)
		start_stream(c, EX_AUDIT_L4, &d);
	else if ((has_preface(c) ? ex_conn_h2_begin(c) : ex_conn_http_begin(c)) < 0)
		ex_conn_reset(c); /* else a denial is told request by request */
}

/* ---- recognising ---- */

static int keep_name(struct ex_conn *c)
{
	struct ex_span name = { c->hello->sni, c->hello->sni_len };

	if (!c->hello->has_sni)
		return 0;
	for (size_t i = 0; i < c->flow.n_names; i++) {
		if (!ex_span_eq(c->names[i], name))
			continue;
		c->sni = c->names[i];
		return 0;
	}
	c->own_sni = strndup(name.ptr, name.len);
	c->sni = (struct ex_span){ c->own_sni, name.len };
	return c->own_sni ? 0 : -ENOMEM;
}

void ex_conn_drop_hello(struct ex_conn *c)
{
	free(EX_TAKE_PTR(c->hello));
}

/* The ClientHello, when it is whole. */
static enum ex_recognised read_hello(struct ex_conn *c)
{
	enum ex_hello_status status;

	/* Parsing from the start again is useless before this. */
	if (ex_buf_len(&c->client.in) < c->hello->need)
		return EX_IS_UNDECIDED;
	status = ex_hello_parse(ex_buf_ptr(&c->client.in), ex_buf_len(&c->client.in), c->hello);
	if (status != EX_HELLO_MORE && keep_name(c) < 0) {
		c->hello->reason = EX_R_INTERNAL;
		return EX_IS_BAD_TLS;
	}
	switch (status) {
	case EX_HELLO_MORE:
		return EX_IS_UNDECIDED;
	case EX_HELLO_DONE:
		return EX_IS_TLS;
	case EX_HELLO_BAD:
		return EX_IS_BAD_TLS;
	case EX_HELLO_NOT_TLS:
		break;
	}
	c->hello->reason = EX_R_TLS_MALFORMED;
	return EX_IS_BAD_TLS;
}

static enum ex_reason bad_hello(const struct ex_conn *c)
{
	return c->hello && c->hello->reason ? c->hello->reason : EX_R_TLS_MALFORMED;
}

static enum ex_recognised sniff(struct ex_conn *c)
{
	enum ex_recognised what =
		ex_recognise(ex_buf_ptr(&c->client.in), ex_buf_len(&c->client.in));

	/* Behind an end there is nothing that it could become a request by. */
	if (what == EX_IS_UNDECIDED && ex_buf_len(&c->client.in) && c->client.eof &&
	    !c->client.broken)
		return EX_IS_OTHER;
	if (what == EX_IS_HTTP && ex_buf_len(&c->client.in) < PREFACE_LEN && has_preface(c))
		return EX_IS_UNDECIDED;
	if (what != EX_IS_TLS)
		return what;
	if (!c->hello)
		c->hello = calloc(1, sizeof(*c->hello));
	return c->hello ? read_hello(c) : EX_IS_BAD_TLS;
}

/* A server that was meant to speak first has spoken: that way is free before the verdict. */
static bool pass_greeting(struct ex_conn *c)
{
	size_t len = ex_buf_len(&c->server.in);

	if (c->server.eof && !len && !ex_buf_len(&c->client.out)) {
		ex_conn_reset(c);
		return false;
	}
	if (!len || ex_buf_len(&c->client.out))
		return false;
	if (ex_buf_append(&c->client.out, ex_buf_ptr(&c->server.in), len) < 0)
		ex_conn_reset(c);
	else
		ex_buf_consume(&c->server.in, len);
	return true;
}

static void conclude(struct ex_conn *c, enum ex_recognised what)
{
	static const struct ex_decision unknown = { EX_V_DENY, EX_R_UNKNOWN_PROTOCOL, 0 };

	/* Reading TLS or HTTP starts with a server of its own, dialled after the request's verdict.
	 */
	if (what != EX_IS_OTHER)
		ex_conn_hang_up(c);
	c->sniffed = true;
	c->app = what == EX_IS_TLS ? EX_APP_TLS : what == EX_IS_HTTP ? EX_APP_HTTP : EX_APP_OTHER;
	switch (what) {
	case EX_IS_TLS:
		judge_tls(c);
		break;
	case EX_IS_BAD_TLS:
		deny_tls_reason(c, bad_hello(c), NULL);
		break;
	case EX_IS_HTTP:
		judge_http(c);
		break;
	case EX_IS_OTHER:
		judge_other(c);
		break;
	case EX_IS_UNDECIDED: /* and will stay so: a beginning of HTTP or TLS, or too much */
	case EX_IS_NOTHING:
		deny_stream(c, EX_AUDIT_L4, &unknown, NULL);
		break;
	}
}

bool ex_conn_sniff(struct ex_conn *c)
{
	enum ex_recognised what = sniff(c);

	if (what == EX_IS_UNDECIDED && !c->client.eof &&
	    ex_buf_len(&c->client.in) < EX_SIDE_BUF_MAX)
		return pass_greeting(c);
	if (what == EX_IS_UNDECIDED && !ex_buf_len(&c->client.in)) {
		ex_conn_close(c); /* opened and closed without a word */
		return false;
	}
	conclude(c, what);
	return true;
}

/*
 * The client is silent. When the rule would carry bytes that are neither TLS nor HTTP, the protocol
 * may be one in which the server speaks first: dial, but go on holding back what the client sends
 * until it is recognised.
 */
void ex_conn_sniff_timeout(struct ex_conn *c)
{
	static const struct ex_decision late = { EX_V_DENY, EX_R_TIMEOUT, 0 };
	struct ex_decision d =
		ex_judge_app(c->px->rs, &c->flow, EX_APP_OTHER, (struct ex_span){ 0 });
	int r;

	if (c->probed) {
		deny_stream(c, EX_AUDIT_L4, &late, NULL);
		return;
	}
	c->probed = true;
	if (d.verdict == EX_V_ALLOW && !ex_buf_len(&c->client.in)) {
		ex_conn_audit(c, EX_AUDIT_L4, &d, NULL, 0, NULL);
		r = ex_conn_dial(c);
		if (r < 0)
			ex_conn_dial_failed(c, r);
	} else {
		ex_conn_set_timeout(c, SNIFF_MS);
	}
}
