/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams received several at once, call after call, in the same memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>

#include "agent/proxy/datagram.h"

enum { WAIT_MS = 30000 };

struct place { /* a socket that receives, and one that sends to it */
	int fd, from;
	struct ex_ip ip;
	uint16_t port, from_port;
};

static struct ex_datagrams box;

static struct place make_place(int family, bool tells)
{
	struct place p = { .fd = socket(family, SOCK_DGRAM, 0),
			   .from = socket(family, SOCK_DGRAM, 0) };
	struct sockaddr_storage at;
	struct ex_ip loopback = { 0 };
	socklen_t len;
	int on = 1;

	assert_true(ex_ip_parse(family == AF_INET ? "127.0.0.1" : "::1", &loopback));
	len = ex_sockaddr_write(&loopback, 0, &at);
	assert_int_equal(bind(p.fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(bind(p.from, (struct sockaddr *)&at, len), 0);
	if (tells && family == AF_INET)
		assert_int_equal(setsockopt(p.fd, IPPROTO_IP, IP_RECVORIGDSTADDR, &on, sizeof(on)),
				 0);
	else if (tells)
		assert_int_equal(
			setsockopt(p.fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &on, sizeof(on)), 0);
	assert_true(ex_socket_own(p.fd, &p.ip, &p.port));
	assert_true(ex_socket_own(p.from, &loopback, &p.from_port));
	len = ex_sockaddr_write(&p.ip, p.port, &at);
	assert_int_equal(connect(p.from, (struct sockaddr *)&at, len), 0);
	return p;
}

static void drop_place(struct place *p)
{
	close(p->fd);
	close(p->from);
}

/* n datagrams of 1, 2, 3… bytes */
static void send_some(const struct place *p, int n)
{
	static const char bytes[EX_DATAGRAMS * 2];

	for (int i = 0; i < n; i++)
		assert_int_equal(send(p->from, bytes, (size_t)i + 1, 0), i + 1);
}

/* As many as are there, one at least: they may come a little later than send() returns. */
static int receive(const struct place *p)
{
	struct pollfd here = { .fd = p->fd, .events = POLLIN };

	assert_int_equal(poll(&here, 1, WAIT_MS), 1);
	return ex_datagram_receive_many(p->fd, &box);
}

static void expect_one(const struct place *p, int at, ssize_t len)
{
	assert_int_equal(box.len[at], len);
	assert_int_equal(box.at[at].sport, p->from_port);
	assert_int_equal(box.at[at].dport, p->port);
	assert_true(ex_ip_eq(&box.at[at].src, &p->ip)); /* both are the loopback */
	assert_true(ex_ip_eq(&box.at[at].dst, &p->ip));
}

static void expect_some(const struct place *p, int n)
{
	for (int seen = 0; seen < n;) {
		int got = receive(p);

		assert_in_range(got, 1, EX_DATAGRAMS);
		for (int i = 0; i < got; i++)
			expect_one(p, i, ++seen);
		assert_true(seen <= n);
	}
	assert_int_equal(ex_datagram_receive_many(p->fd, &box), -EAGAIN);
}

/* ---- the tests ---- */

static void test_each_has_its_ends_in_every_call(void **state)
{
	static const int counts[] = { 1, EX_DATAGRAMS, 3, 1, EX_DATAGRAMS, 2 };
	struct place four = make_place(AF_INET, true), six = make_place(AF_INET6, true);

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(counts); i++) {
		/* IPv4 makes the places for addresses too short for IPv6 */
		send_some(&four, counts[i]);
		expect_some(&four, counts[i]);
		send_some(&six, counts[i]);
		expect_some(&six, counts[i]);
	}
	drop_place(&four);
	drop_place(&six);
}

static void test_what_is_too_many_comes_with_the_next_call(void **state)
{
	struct place p = make_place(AF_INET, true);

	(void)state;
	send_some(&p, EX_DATAGRAMS + 2);
	expect_some(&p, EX_DATAGRAMS + 2);
	drop_place(&p);
}

static void test_nothing_is_wrong_after_a_call_that_found_none(void **state)
{
	struct place p = make_place(AF_INET6, true);

	(void)state;
	assert_int_equal(ex_datagram_receive_many(p.fd, &box), -EAGAIN);
	send_some(&p, 3);
	expect_some(&p, 3);
	drop_place(&p);
}

static void test_of_one_that_is_too_long_the_ends_are_known_and_the_next_is_whole(void **state)
{
	static const char bytes[EX_DATAGRAM_BYTES + 1];
	struct place p = make_place(AF_INET, true);

	(void)state;
	assert_int_equal(send(p.from, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(receive(&p), 1);
	expect_one(&p, 0, -EMSGSIZE);
	assert_int_equal(send(p.from, bytes, EX_DATAGRAM_BYTES, 0), EX_DATAGRAM_BYTES);
	assert_int_equal(receive(&p), 1);
	expect_one(&p, 0, EX_DATAGRAM_BYTES);
	send_some(&p, 1);
	expect_some(&p, 1);
	drop_place(&p);
}

static void test_without_its_destination_it_is_none(void **state)
{
	struct place told = make_place(AF_INET, true), not_told = make_place(AF_INET, false);

	(void)state;
	send_some(&told, 1);
	expect_some(&told, 1); /* leaves a destination where the next one would be looked for */
	send_some(&not_told, 1);
	assert_int_equal(receive(&not_told), 1);
	assert_int_equal(box.len[0], -EBADMSG);
	drop_place(&told);
	drop_place(&not_told);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(name)
	static const struct CMUnitTest tests[] = {
		TEST(test_each_has_its_ends_in_every_call),
		TEST(test_what_is_too_many_comes_with_the_next_call),
		TEST(test_nothing_is_wrong_after_a_call_that_found_none),
		TEST(test_of_one_that_is_too_long_the_ends_are_known_and_the_next_is_whole),
		TEST(test_without_its_destination_it_is_none),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
