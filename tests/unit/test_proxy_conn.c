/* SPDX-License-Identifier: Apache-2.0 */
/* A connection through the proxy, how it ends, and how long it may be silent. */
#include "tests/unit/proxy_world.h"

/* ---- a half that was closed ---- */

static void test_request_of_a_client_that_has_ended(void **state)
{
	(void)state;
	open_conn(80, ASK);
	assert_hears(w.server, "GET / ");
	shutdown(w.client, SHUT_WR);
	pass(SECOND);
	assert_hears(w.server, ""); /* the end */
	assert_lasts(HALF * 3 / 4, HALF - 3 * SECOND);
	assert_broken_off(w.client);
}

static void test_stream_of_a_client_that_has_ended(void **state)
{
	(void)state;
	open_conn(81, "hello");
	assert_hears(w.server, "hello");
	shutdown(w.client, SHUT_WR);
	pass(SECOND);
	assert_hears(w.server, "");
	assert_lasts(HALF * 3 / 4, HALF - 3 * SECOND);
	assert_broken_off(w.client);
}

static void test_stream_of_a_server_that_has_ended(void **state)
{
	(void)state;
	open_conn(81, "hello");
	assert_hears(w.server, "hello");
	shutdown(w.server, SHUT_WR);
	pass(SECOND);
	assert_hears(w.client, "");
	assert_lasts(HALF * 3 / 4, HALF - 3 * SECOND);
	assert_broken_off(w.server);
}

/* Each byte that moves gives it as much time again. */
static void test_half_a_stream_goes_on_while_bytes_move(void **state)
{
	(void)state;
	open_conn(81, "hello");
	assert_hears(w.server, "hello");
	shutdown(w.client, SHUT_WR);
	for (int i = 0; i < 4; i++) {
		pass(HALF * 3 / 4);
		say(w.server, "more");
		pass(SECOND);
		assert_hears(w.client, "more");
	}
	assert_lasts(HALF * 3 / 4, HALF - 3 * SECOND);
}

/* ---- both ways open ---- */

static void test_silent_request(void **state)
{
	(void)state;
	open_conn(80, ASK);
	assert_lasts(HOUR - 60 * SECOND, HOUR + 60 * SECOND);
	assert_broken_off(w.client);
}

static void test_silent_stream(void **state)
{
	(void)state;
	open_conn(81, "hello");
	assert_hears(w.server, "hello");
	assert_lasts(HOUR - 60 * SECOND, HOUR + 60 * SECOND);
	assert_broken_off(w.client);
	assert_broken_off(w.server);
}

static void test_client_that_asks_no_more(void **state)
{
	(void)state;
	open_conn(80, ASK);
	say(w.server, ANSWER);
	pass(SECOND);
	assert_hears(w.client, "HTTP/1.1 200 ");
	assert_lasts(110 * SECOND, 130 * SECOND);
	assert_hears(w.client, "");
}

static void test_half_a_head(void **state)
{
	(void)state;
	open_conn(80, "GET / HTTP/1.1\r\nHo");
	assert_lasts(110 * SECOND, 130 * SECOND);
	assert_int_equal(w.server, -1);
}

static void test_client_that_says_nothing(void **state)
{
	(void)state;
	open_conn(80, "");
	assert_lasts(8 * SECOND, 12 * SECOND);
	assert_broken_off(w.client);
	assert_int_equal(w.server, -1);
}

static void test_refused_client_that_does_not_end(void **state)
{
	(void)state;
	open_conn(80, "GET /  HTTP/1.1\r\n\r\n");
	assert_lasts(20 * SECOND, 40 * SECOND);
	assert_hears(w.client, "HTTP/1.1 400 ");
	assert_hears(w.client, "");
}

static void test_dial_that_is_not_answered(void **state)
{
	(void)state;
	w.silent = true;
	open_conn(80, ASK);
	pass(8 * SECOND);
	assert_hears_nothing(w.client);
	pass(4 * SECOND);
	assert_hears(w.client, "HTTP/1.1 504 ");
}

/* ---- a body that ends with the connection ---- */

static void deny_dial(int err, enum ex_reason reason)
{
	w.err = err;
	open_conn(80, ASK);
	assert_broken_off(w.client);
	assert_recorded(1, EX_V_DENY, reason);
}

static void test_dial_behind_the_life_of_a_name(void **state)
{
	(void)state;
	deny_dial(-ESTALE, EX_R_ADDRESS_NOT_OF_NAME);
}

static void test_dial_to_the_host(void **state)
{
	(void)state;
	deny_dial(-ELOOP, EX_R_RESERVED_DENY);
}

/* A router says so, or a route of the host's: none of ours. */
static void test_dial_that_is_prohibited_on_the_way(void **state)
{
	(void)state;
	w.err = -EACCES;
	open_conn(80, ASK);
	assert_hears(w.client, "HTTP/1.1 502 ");
	assert_recorded(1, EX_V_DENY, EX_R_UPSTREAM_UNREACHABLE);
}

static void break_off(int *fd)
{
	struct linger l = { .l_onoff = 1 };

	assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	close(EX_TAKE_FD(*fd));
	pass(SECOND);
}

static void open_until_end(const char *ask)
{
	open_conn(80, ask);
	assert_hears(w.server, "GET / ");
	say(w.server, "HTTP/1.1 200 OK\r\n\r\nso far");
	pass(SECOND);
	assert_hears(w.client, "HTTP/1.1 200 OK\r\n");
}

/* So much is not read to the end before there is an answer. */
static void test_client_that_breaks_off_behind_more_requests(void **state)
{
	static char more[100000];

	(void)state;
	memset(more, 'x', sizeof(more));
	open_conn(80, ASK "PUT / HTTP/1.1\r\nHost: " SERVER "\r\nContent-Length: 900000\r\n\r\n");
	assert_hears(w.server, "GET / ");
	assert_true(send(w.client, more, sizeof(more), MSG_DONTWAIT) > 0);
	pass(SECOND);
	assert_int_equal(w.px.n_conns, 1);
	break_off(&w.client);
	assert_hears(w.server, "");
	assert_int_equal(w.px.n_conns, 0);
}

static void test_body_until_the_end(void **state)
{
	(void)state;
	open_until_end(ASK);
	say(w.server, ", and the rest");
	close(EX_TAKE_FD(w.server));
	pass(SECOND);
	assert_hears(w.client, ", and the rest");
	assert_hears(w.client, "");
}

static void test_body_until_a_break(void **state)
{
	(void)state;
	open_until_end(ASK);
	break_off(&w.server);
	assert_broken_off(w.client);
}

/* As the kernel does it for a process that is killed. */
static void close_unsaid(void)
{
	struct ex_conn *c = ex_container_of(w.px.conns, struct ex_conn, link);

	ex_conn_close(c);
	pass(SECOND);
}

static void test_body_until_the_end_without_us(void **state)
{
	(void)state;
	open_until_end(ASK);
	close_unsaid();
	assert_broken_off(w.client);
}

/* A client of HTTP/1.0 knows no other end. */
static void test_chunks_for_an_old_client_without_us(void **state)
{
	(void)state;
	open_conn(80, "GET / HTTP/1.0\r\nHost: " SERVER "\r\n\r\n");
	say(w.server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nso far\r\n");
	pass(SECOND);
	assert_hears(w.client, "HTTP/1.1 200 OK\r\n");
	close_unsaid();
	assert_broken_off(w.client);
}

/* What it means it says: nothing to pay for. */
static void test_body_with_a_length_without_us(void **state)
{
	(void)state;
	open_conn(80, ASK);
	say(w.server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nso far");
	pass(SECOND);
	assert_hears(w.client, "HTTP/1.1 200 OK\r\n");
	close_unsaid();
	assert_hears(w.client, "");
}

/* ---- a server that speaks first ---- */

static void open_greeted(void)
{
	open_conn(25, "");
	assert_true(w.server >= 0);
	say(w.server, "220 hello");
	pass(SECOND);
	assert_hears(w.client, "220 hello");
}

static void test_greeting_of_a_server_that_ends_is_recorded(void **state)
{
	(void)state;
	open_greeted();
	close(EX_TAKE_FD(w.server));
	pass(SECOND);
	assert_int_equal(w.px.n_conns, 0);
	assert_recorded(0, EX_V_ALLOW, EX_R_ALLOWED);
}

static void test_greeting_of_a_client_that_ends_is_recorded(void **state)
{
	(void)state;
	open_greeted();
	close(EX_TAKE_FD(w.client));
	pass(SECOND);
	assert_int_equal(w.px.n_conns, 0);
	assert_recorded(0, EX_V_ALLOW, EX_R_ALLOWED);
}

static void test_answered_greeting_is_recorded_once(void **state)
{
	(void)state;
	open_greeted();
	say(w.client, "EHLO me\r\n");
	pass(SECOND);
	assert_hears(w.server, "EHLO me\r\n");
	assert_recorded(0, EX_V_ALLOW, EX_R_ALLOWED);
}

/* ---- what is neither TLS nor HTTP ---- */

/* There is no end of a line behind it, but its own: it becomes nothing else. */
static void test_word_that_is_all_there_is(void **state)
{
	(void)state;
	open_conn(25, "QUIT");
	assert_int_equal(w.server, -1);
	shutdown(w.client, SHUT_WR);
	pass(SECOND);
	assert_hears(w.server, "QUIT");
	assert_recorded(0, EX_V_ALLOW, EX_R_ALLOWED);
}

static void test_beginning_of_http_or_tls_that_is_all_there_is(void **state)
{
	static const char *const all[] = { "PRI * HTTP/2.0\r\n", "\x16\x03\x01\x01" };

	for (size_t i = 0; i < EX_ARRAY_SIZE(all); i++) {
		open_conn(25, all[i]);
		shutdown(w.client, SHUT_WR);
		pass(SECOND);
		assert_int_equal(w.server, -1);
		assert_recorded(0, EX_V_DENY, EX_R_UNKNOWN_PROTOCOL);
		assert_int_equal(close_conn(state), 0);
	}
	w.client = w.listener = -1;
}

/* Nothing has gone to the server, but somebody listens to it. */
static void swap_to(const char *rest)
{
	struct ex_ruleset *old = w.px.rs;
	char text[1024];

	snprintf(text, sizeof(text),
		 "apiVersion: exeat.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: t}\n"
		 "spec:\n  egress:\n  - toFQDNs: [{matchName: mail.example}]\n    toPorts:\n"
		 "    - ports: [{port: \"25\", protocol: TCP}]\n%s",
		 rest);
	w.px.rs = test_compile(text);
	(void)forget_records();
	ex_conns_judge_again(&w.px);
	pass(SECOND);
	ex_ruleset_unref(w.px.rs);
	w.px.rs = old;
}

static void test_greeting_under_another_policy(void **state)
{
	(void)state;
	open_greeted();
	swap_to("");
	assert_int_equal(w.px.n_conns, 1);
	assert_hears_nothing(w.client);
	swap_to("      rules: {http: [{}]}\n");
	assert_recorded(0, EX_V_DENY, EX_R_POLICY_CHANGED);
	assert_broken_off(w.client);
	assert_broken_off(w.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_request_of_a_client_that_has_ended),
		T(test_stream_of_a_client_that_has_ended),
		T(test_stream_of_a_server_that_has_ended),
		T(test_half_a_stream_goes_on_while_bytes_move),
		T(test_silent_request),
		T(test_silent_stream),
		T(test_client_that_asks_no_more),
		T(test_half_a_head),
		T(test_client_that_says_nothing),
		T(test_refused_client_that_does_not_end),
		T(test_dial_that_is_not_answered),
		T(test_dial_behind_the_life_of_a_name),
		T(test_dial_to_the_host),
		T(test_dial_that_is_prohibited_on_the_way),
		T(test_client_that_breaks_off_behind_more_requests),
		T(test_body_until_the_end),
		T(test_body_until_a_break),
		T(test_body_until_the_end_without_us),
		T(test_chunks_for_an_old_client_without_us),
		T(test_body_with_a_length_without_us),
		T(test_greeting_of_a_server_that_ends_is_recorded),
		T(test_greeting_of_a_client_that_ends_is_recorded),
		T(test_answered_greeting_is_recorded_once),
		T(test_greeting_under_another_policy),
		T(test_word_that_is_all_there_is),
		T(test_beginning_of_http_or_tls_that_is_all_there_is),
	};

	return cmocka_run_group_tests(tests, open_proxy, NULL);
}
