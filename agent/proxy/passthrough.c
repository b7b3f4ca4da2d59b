/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of TLS that is passed through by name; see enum ex_hold. */
#include <errno.h>

#include "agent/proxy/conn.h"

#define SECOND "the second ClientHello"

static void refuse(struct ex_conn *c, enum ex_reason reason, const char *detail)
{
	struct ex_decision d = { .verdict = EX_V_DENY, .reason = reason };

	ex_conn_audit(c, EX_AUDIT_TLS, &d, NULL, 0, detail);
	ex_conn_reset(c);
}

static bool pass_first(struct ex_conn *c)
{
	if (ex_buf_append(&c->server.out, ex_buf_ptr(&c->client.in), c->hello->size) < 0) {
		ex_conn_reset(c);
		return false;
	}
	ex_buf_consume(&c->client.in, c->hello->size);
	c->hold = EX_HOLD_ANSWER;
	return true;
}

/* There is no other hello to come, which would be judged by the first. */
static void free_to_pass(struct ex_conn *c)
{
	c->hold = EX_HOLD_NOTHING;
	ex_conn_drop_hello(c);
	ex_proxy_tidy(c->px);
}

static bool read_answer(struct ex_conn *c)
{
	switch (ex_hello_answer(ex_buf_ptr(&c->server.in), ex_buf_len(&c->server.in))) {
	case EX_ANSWER_MORE:
		/* A server that ends here has said all it will: let the client have it. */
		if (!c->server.eof)
			return false;
		c->hold = EX_HOLD_ALL;
		return true;
	case EX_ANSWER_FINAL:
		free_to_pass(c);
		return true;
	case EX_ANSWER_RETRY:
		c->hold = EX_HOLD_SECOND;
		return true;
	case EX_ANSWER_ODD:
		break;
	}
	c->hold = EX_HOLD_ALL;
	return true;
}

static bool read_second(struct ex_conn *c)
{
	struct ex_hello second;

	switch (ex_hello_parse_again(ex_buf_ptr(&c->client.in), ex_buf_len(&c->client.in), c->hello,
				     &second)) {
	case EX_HELLO_MORE:
		if (c->client.eof)
			c->hold = EX_HOLD_ALL;
		return c->client.eof;
	case EX_HELLO_DONE:
		free_to_pass(c);
		return true;
	case EX_HELLO_BAD:
		refuse(c, second.reason, SECOND);
		return false;
	case EX_HELLO_NOT_TLS:
		break;
	}
	refuse(c, EX_R_TLS_MALFORMED, SECOND);
	return false;
}

bool ex_conn_pass_hello(struct ex_conn *c)
{
	bool had = ex_buf_len(&c->client.in) > 0;

	switch (c->hold) {
	case EX_HOLD_FIRST:
		return pass_first(c);
	case EX_HOLD_ANSWER:
		return read_answer(c);
	case EX_HOLD_SECOND:
		return read_second(c);
	case EX_HOLD_ALL:
		/* The server's words have gone to the client; its own go nowhere any more. */
		if (had)
			refuse(c, EX_R_UPSTREAM_PROTOCOL, "the server did not answer in TLS");
		return false;
	case EX_HOLD_NOTHING:
		break;
	}
	return false;
}
