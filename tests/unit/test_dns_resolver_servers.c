/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver over TCP, many questions at once; and with other servers than it began with. */
#include <errno.h>

#include "dns_resolver.h"

static void test_without_a_server_nobody_is_asked(void **state)
{
	struct ex_resolve *q;

	(void)state;
	ex_resolver_free(f->resolver);
	f->resolver = NULL;
	assert_int_equal(ex_resolver_new(f->loop, NULL, 0, dns_dial, NULL, &f->resolver), 0);
	assert_int_equal(
		ex_resolver_query(f->resolver, "api.openai.com", EX_DNS_A, on_reply, f, &q),
		-ENOENT);
	assert_int_equal(ex_resolver_use(f->resolver, f->at, 1), 1);
	assert_int_equal(ask(), 0);
}

/* ---- many at once, over TCP ---- */

static void ask_many(unsigned n)
{
	f->want = n;
	for (unsigned i = 0; i < n; i++)
		(void)query();
	while (f->n_replies < n && f->err == 0)
		dns_run(f->loop, 8000);
}

/* The server closes each connection after one answer, whatever else was asked on it. */
static void test_67_truncated_replies_of_a_server_that_closes(void **state)
{
	static const unsigned at_once[] = { 1, 4, 8, 40 };

	(void)state;
	f->server.hook = truncate_udp;
	for (size_t i = 0; i < EX_ARRAY_SIZE(at_once); i++) {
		f->n_replies = 0;
		ask_many(at_once[i]);
		assert_int_equal(f->err, 0);
		assert_int_equal(f->n_replies, at_once[i]);
	}
}

/* That it does not answer over TCP at all is not asked about for ever. */
static void test_67_truncated_replies_of_a_server_without_tcp(void **state)
{
	(void)state;
	f->server.hook = truncate_udp;
	dns_server_refuse_tcp(&f->server);
	assert_int_equal(ask(), -EIO);
	assert_in_range(f->server.n_udp, 1, 2);
}

/* ---- other servers ---- */

static void test_other_servers_are_asked_what_is_under_way(void **state)
{
	(void)state;
	f->server.hook = drop_udp;
	f->want = 40;
	for (int i = 0; i < 40; i++)
		(void)query();
	dns_run(f->loop, 50);
	assert_int_equal(f->n_replies, 0);
	assert_int_equal(ex_resolver_use(f->resolver, &f->at[1], 1), 1);
	dns_run(f->loop, 1000); /* much less than a timeout */
	assert_int_equal(f->n_replies, 40);
	assert_int_equal(f->err, 0);
	assert_int_equal(f->second.n_udp, 40);
	assert_int_equal(count_sockets(), 0); /* of the first */
	f->server.n_udp = 0;
	assert_int_equal(ask(), 0);
	assert_int_equal(f->server.n_udp, 0);
}

/* Nobody waits longer because there are others all the time. */
static void test_other_servers_again_and_again(void **state)
{
	(void)state;
	f->server.hook = f->second.hook = drop_udp;
	f->want = 1;
	(void)query();
	for (int i = 0; i < 20 && f->n_replies == 0; i++) {
		dns_run(f->loop, 300);
		assert_int_equal(ex_resolver_use(f->resolver, &f->at[1 - i % 2], 1), 1);
	}
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->err, -ETIMEDOUT);
}

static void test_the_same_servers_change_nothing(void **state)
{
	(void)state;
	f->server.hook = drop_udp;
	(void)query();
	dns_run(f->loop, 50);
	assert_int_equal(f->server.n_udp, 1);
	assert_int_equal(ex_resolver_use(f->resolver, f->at, 1), 0);
	assert_int_equal(ex_resolver_use(f->resolver, f->at, 0), 0);
	dns_run(f->loop, 50);
	assert_int_equal(f->server.n_udp, 1);
}

/* A suffix keeps its servers. */
static void test_other_servers_are_for_names_without_a_suffix(void **state)
{
	struct ex_resolver_server third;

	(void)state;
	ex_resolver_free(f->resolver);
	memcpy(f->at[1].suffix, "corp.example", sizeof("corp.example"));
	assert_int_equal(ex_resolver_new(f->loop, &f->at[1], 1, dns_dial, NULL, &f->resolver), 0);
	third = f->at[0];
	assert_int_equal(ex_resolver_use(f->resolver, &third, 1), 1);
	ask_name("db.corp.example");
	assert_int_equal(f->second.n_udp, 1);
	ask_name("corp.example.com");
	assert_int_equal(f->server.n_udp, 1);
}

static bool dials;

static int dial_when_allowed(void *arg, const struct ex_resolver_server *s, bool tcp)
{
	return dials ? dns_dial(arg, s, tcp) : -EACCES;
}

static void free_in_answer(void *arg, int err, const void *msg, size_t len)
{
	on_reply(arg, err, msg, len);
	assert_int_equal(err, -EIO);
}

/* What cannot be asked of the others ends, and the resolver may be freed then. */
static void test_other_servers_that_cannot_be_asked(void **state)
{
	struct ex_resolve *q;

	(void)state;
	ex_resolver_free(f->resolver);
	dials = true;
	assert_int_equal(ex_resolver_new(f->loop, f->at, 1, dial_when_allowed, NULL, &f->resolver),
			 0);
	f->server.hook = drop_udp;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ex_resolver_query(f->resolver, "api.openai.com", EX_DNS_A,
						   free_in_answer, f, &q),
				 0);
	dns_run(f->loop, 20);
	dials = false;
	f->free_in_reply = true;
	f->want = 99;
	assert_int_equal(ex_resolver_use(f->resolver, &f->at[1], 1), 1);
	dns_run(f->loop, 20);
	assert_int_equal(f->n_replies, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_without_a_server_nobody_is_asked),
		T(test_67_truncated_replies_of_a_server_that_closes),
		T(test_67_truncated_replies_of_a_server_without_tcp),
		T(test_other_servers_are_asked_what_is_under_way),
		T(test_other_servers_again_and_again),
		T(test_the_same_servers_change_nothing),
		T(test_other_servers_are_for_names_without_a_suffix),
		T(test_other_servers_that_cannot_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
