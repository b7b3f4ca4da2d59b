/* SPDX-License-Identifier: Apache-2.0 */
/* A client that reads slowly gets all that the server has said. */
#include "tests/unit/proxy_world.h"

#define BODY 100000 /* more than the sockets hold, and not enough for a pipe */

static char text[64 + BODY];

/* Of what the server has said most waits in the proxy. */
static void say_much(size_t len)
{
	int few = 4096, ours = ex_container_of(w.px.conns, struct ex_conn, link)->client.fd;

	assert_int_equal(setsockopt(w.client, SOL_SOCKET, SO_RCVBUF, &few, sizeof(few)), 0);
	assert_int_equal(setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few)), 0);
	assert_int_equal(send(w.server, text, len, MSG_NOSIGNAL), len);
	pass(SECOND);
}

static void open_slow(const char *ask)
{
	int n = snprintf(text, 64, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);

	open_conn(80, ask);
	memset(text + n, 'x', BODY);
	say_much((size_t)n + BODY);
}

static void assert_reads_the_body(void)
{
	static char got[4096];
	size_t all = 0;
	ssize_t n;

	for (int quiet = 0; quiet < 60;) {
		n = recv(w.client, got, sizeof(got), MSG_DONTWAIT);
		all += n > 0 ? (size_t)n : 0;
		quiet = n > 0 ? 0 : quiet + 1;
		pass(10);
	}
	assert_in_range(all, BODY, BODY + 1000); /* with the head */
}

static void test_last_answer_for_a_client_that_pauses(void **state)
{
	(void)state;
	open_slow("GET / HTTP/1.1\r\nHost: " SERVER "\r\nConnection: close\r\n\r\n");
	pass(600 * SECOND);
	assert_reads_the_body();
	assert_hears(w.client, "");
}

static void test_answer_for_a_client_that_pauses(void **state)
{
	(void)state;
	open_slow(ASK);
	pass(600 * SECOND);
	assert_reads_the_body();
	assert_lasts(110 * SECOND, 130 * SECOND);
	assert_hears(w.client, "");
}

/* It may go on to think about what to say. */
static void test_greeting_for_a_client_that_pauses(void **state)
{
	(void)state;
	open_conn(25, "");
	say_much(BODY);
	pass(600 * SECOND);
	assert_reads_the_body();
	pass(600 * SECOND);
	say(w.client, "EHLO me\r\n");
	pass(SECOND);
	assert_hears(w.server, "EHLO me\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_last_answer_for_a_client_that_pauses),
		T(test_answer_for_a_client_that_pauses),
		T(test_greeting_for_a_client_that_pauses),
	};

	return cmocka_run_group_tests(tests, open_proxy, NULL);
}
