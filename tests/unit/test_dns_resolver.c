/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver against a name server on loopback that lies, hides and stutters. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "dns_resolver.h"

/* For replies that must not count: c-ares goes on waiting. */
static void ask_in_vain(void)
{
	(void)query();
	f->want = 1;
	dns_run(f->loop, 100);
	assert_true(f->server.n_udp > 0);
	assert_int_equal(f->n_replies, 0);
}

/* ---- servers that misbehave; the hook sees one reply at a time ---- */

static size_t drop_first(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)tcp;
	(void)buf;
	return s->n_udp == 1 ? 0 : len;
}

static size_t wrong_id(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)s;
	(void)tcp;
	buf[0] ^= 1;
	return len;
}

static size_t wrong_name(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)s;
	(void)tcp;
	buf[13] = 'b';
	return len;
}

static size_t servfail(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)s;
	(void)tcp;
	(void)len;
	buf[3] = 0x82;
	memset(buf + 6, 0, 6);
	return 32;
}

/* Does not know EDNS: FORMERR and no OPT record as long as the query has one. */
static size_t no_edns(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)tcp;
	if (!s->last.edns)
		return len;
	buf[3] = 0x81;
	memset(buf + 6, 0, 6);
	return 32;
}

/* As no_edns, but for the first query only; and 600 bytes behind each answer over UDP. */
static size_t no_edns_once(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	static const uint8_t rr[11] = { [2] = 99, [4] = EX_DNS_CLASS_IN, [9] = 2, [10] = 77 };

	if (tcp || s->n_udp == 1)
		return tcp ? len : no_edns(s, tcp, buf, len);
	buf[11]++;
	memcpy(buf + len, rr, sizeof(rr));
	memset(buf + len + sizeof(rr), 0, 589);
	return len + 600;
}

static size_t garbage(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)s;
	(void)tcp;
	memset(buf + 2, 0xff, len - 2);
	return len;
}

/* Repeats the name in lower case. */
static size_t fold_name(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)s;
	(void)tcp;
	for (size_t i = 12; i < 28; i++)
		if (buf[i] >= 'A' && buf[i] <= 'Z')
			buf[i] = (uint8_t)(buf[i] + 32);
	return len;
}

static size_t fold_name_without_tcp(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	return tcp ? 0 : fold_name(s, tcp, buf, len);
}

/* Somebody who has guessed id and port, but not the case: his address is another one. */
static size_t forge_udp(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	if (tcp)
		return len;
	buf[32 + 15] = 66;
	return fold_name(s, tcp, buf, len);
}

/* An empty datagram, and then the answer. */
static size_t nothing_first(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(s->last_port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)buf;
	if (!tcp)
		sendto(s->udp.fd, "", 0, 0, (struct sockaddr *)&to, sizeof(to));
	return len;
}

/* ---- tests ---- */

static void test_reply_arrives(void **state)
{
	(void)state;
	assert_int_equal(ask(), 0);
	assert_int_equal(f->answer.n_addrs, 1);
	assert_true(f->server.last.rd);
	assert_true(f->server.last.edns);
}

static void test_nxdomain_is_a_reply(void **state)
{
	(void)state;
	f->server.zone = NULL;
	assert_int_equal(ask(), 0);
	assert_int_equal(f->answer.rcode, EX_DNS_NXDOMAIN);
}

static void test_lost_packet_is_sent_again(void **state)
{
	(void)state;
	f->server.hook = drop_first;
	assert_int_equal(ask(), 0);
	assert_int_equal(f->server.n_udp, 2);
}

static void test_silence_is_a_timeout(void **state)
{
	(void)state;
	f->server.hook = drop_udp;
	assert_int_equal(ask(), -ETIMEDOUT);
}

static void test_truncated_reply_is_asked_for_by_tcp(void **state)
{
	(void)state;
	f->server.hook = truncate_udp;
	assert_int_equal(ask(), 0);
	assert_int_equal(f->answer.n_addrs, 1);
	assert_int_equal(f->server.n_tcp, 1);
}

static void test_66_reply_with_wrong_id_is_ignored(void **state)
{
	(void)state;
	f->server.hook = wrong_id;
	ask_in_vain();
}

static void test_66_reply_with_wrong_name_is_ignored(void **state)
{
	(void)state;
	f->server.hook = wrong_name;
	ask_in_vain();
}

static void test_garbage_is_ignored(void **state)
{
	(void)state;
	f->server.hook = garbage;
	ask_in_vain();
}

static void test_66_empty_datagram_is_ignored(void **state)
{
	(void)state;
	f->server.hook = nothing_first;
	assert_int_equal(ask(), 0);
	assert_int_equal(f->server.n_udp, 1);
}

static void test_servfail_of_the_only_server_is_an_error(void **state)
{
	(void)state;
	f->server.hook = servfail;
	assert_int_equal(ask(), -EIO);
}

static void test_second_server_is_asked_when_the_first_fails(void **state)
{
	(void)state;
	ex_resolver_free(f->resolver);
	assert_int_equal(ex_resolver_new(f->loop, f->at, 2, dns_dial, NULL, &f->resolver), 0);
	f->server.hook = servfail;
	assert_int_equal(ask(), 0);
	assert_int_equal(f->second.n_udp, 1);
}

static void test_second_server_is_asked_when_the_first_is_gone(void **state)
{
	(void)state;
	ex_resolver_free(f->resolver);
	f->at[0].port = 1; /* nobody there: ICMP port unreachable */
	assert_int_equal(ex_resolver_new(f->loop, f->at, 2, dns_dial, NULL, &f->resolver), 0);
	assert_int_equal(ask(), 0);
	assert_int_equal(f->second.n_udp, 1);
}

static void test_server_without_edns(void **state)
{
	(void)state;
	f->server.hook = no_edns;
	for (int i = 0; i < 4; i++) { /* c-ares helps the first time on a channel only */
		assert_int_equal(ask(), 0);
		assert_int_equal(f->answer.n_addrs, 1);
		assert_false(f->server.last.edns);
	}
}

/* c-ares then cuts what is longer than 512 bytes, for as long as the channel lives. */
static void test_server_that_once_refused_edns_may_say_more_than_512_bytes(void **state)
{
	(void)state;
	f->server.hook = no_edns_once;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(), 0);
		assert_int_equal(f->answer.n_addrs, 1);
	}
}

static void test_66_forged_reply_without_the_case_is_asked_again_by_tcp(void **state)
{
	unsigned forged = 0;

	(void)state;
	f->server.hook = forge_udp;
	for (int i = 0; i < 40; i++) { /* nor is the server taken for one that folds names */
		assert_int_equal(ask(), 0);
		assert_int_equal(f->answer.n_addrs, 1);
		forged += f->answer.addrs[0].b[15] != 34;
	}
	assert_in_range(forged, 0, 3); /* one question in 4096 is all in lower case */
	assert_int_equal(f->server.n_tcp, 40 - forged);
}

static void test_server_that_folds_names_is_asked_in_lower_case_soon(void **state)
{
	unsigned tcp;

	(void)state;
	f->server.hook = fold_name;
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(), 0);
	tcp = f->server.n_tcp;
	assert_in_range(tcp, 14, 16);
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(), 0);
	assert_int_equal(f->server.n_tcp, 16);
	assert_string_equal(f->server.last.name_sent, "api.openai.com");
}

static void test_server_that_folds_names_and_has_no_tcp(void **state)
{
	(void)state;
	f->server.hook = fold_name_without_tcp;
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(), 0);
	assert_true(f->server.n_tcp > 0);
	assert_int_equal(f->answer.n_addrs, 1);
}

/* Asks n times, one after the other; how many ids and ports differ from those before. */
static void count_differing(unsigned n, unsigned pause_ms, unsigned *ids, unsigned *ports)
{
	uint16_t id[64], port[64];

	*ids = *ports = 0;
	for (unsigned i = 0; i < n; i++) {
		bool id_seen = false, port_seen = false;

		assert_int_equal(ask(), 0);
		for (unsigned j = 0; j < i; j++) {
			id_seen |= id[j] == f->server.last_id;
			port_seen |= port[j] == f->server.last_port;
		}
		id[i] = f->server.last_id;
		port[i] = f->server.last_port;
		*ids += !id_seen;
		*ports += !port_seen;
		if (pause_ms)
			dns_run(f->loop, pause_ms);
	}
}

static void test_66_ids_differ(void **state)
{
	unsigned ids, ports;

	(void)state;
	count_differing(64, 0, &ids, &ports);
	assert_true(ids >= 62);
	assert_int_equal(ports, 1);
}

static void send_name(const char *name)
{
	struct ex_resolve *q;

	f->want = f->n_replies + 1;
	assert_int_equal(ex_resolver_query(f->resolver, name, EX_DNS_A, on_reply, f, &q), 0);
	dns_run(f->loop, 8000);
	assert_int_equal(f->n_replies, f->want);
	assert_string_equal(f->server.last.name, name);
}

/* A bit for each letter beside those of id and port; what is no letter stays as it is. */
static void test_66_each_letter_has_a_case_by_chance(void **state)
{
	static const char name[] = "abcdefghijklm.nopqrstuvwxyz-_0123456789.example";
	unsigned upper[sizeof(name)] = { 0 };

	(void)state;
	for (int i = 0; i < 64; i++) {
		send_name(name);
		for (size_t j = 0; name[j]; j++)
			upper[j] += f->server.last.name_sent[j] != name[j];
	}
	for (size_t j = 0; name[j]; j++) {
		if (name[j] >= 'a' && name[j] <= 'z')
			assert_in_range(upper[j], 8, 56); /* else one in 10^9 */
		else
			assert_int_equal(upper[j], 0);
	}
}

/* 253 characters, and labels as long as they may be. */
static void test_longest_name_is_asked_for_as_it_is(void **state)
{
	struct ex_resolve *q;
	char name[EX_DNS_NAME_MAX + 2];

	(void)state;
	memset(name, 'a', sizeof(name));
	for (size_t i = 63; i < EX_DNS_NAME_MAX; i += 64)
		name[i] = '.';
	name[EX_DNS_NAME_MAX] = '\0';
	send_name(name);
	name[EX_DNS_NAME_MAX] = 'a';
	name[EX_DNS_NAME_MAX + 1] = '\0';
	assert_int_equal(ex_resolver_query(f->resolver, name, EX_DNS_A, on_reply, f, &q), -EINVAL);
	memset(name, 'a', 64);
	name[64] = '\0';
	assert_int_equal(ex_resolver_query(f->resolver, name, EX_DNS_A, on_reply, f, &q), -EINVAL);
	name[63] = '\0';
	send_name(name);
}

static void test_66_a_port_does_not_serve_for_long(void **state)
{
	unsigned ids, ports;

	(void)state;
	count_differing(4, 1050, &ids, &ports);
	assert_int_equal(ids, 4);
	assert_int_equal(ports, 4);
}

static void test_66_a_port_that_is_not_used_is_given_up(void **state)
{
	(void)state;
	assert_int_equal(ask(), 0);
	assert_int_equal(count_sockets(), 1);
	dns_run(f->loop, 2300);
	assert_int_equal(count_sockets(), 0);
}

/* Under load the port changes as well, though queries never cease to wait. */
static void test_66_ports_differ_under_load(void **state)
{
	unsigned ports = 0;
	uint16_t last = 0;

	(void)state;
	f->server.hook = drop_udp;
	for (int i = 0; i < 600; i++) {
		(void)query();
		dns_run(f->loop, 1);
		ports += f->server.last_port != last;
		last = f->server.last_port;
	}
	assert_in_range(ports, 600 / 256 + 1, 16); /* or because a second is over */
}

static unsigned from_port[UINT16_MAX + 1];

static size_t count_ports_and_leave_a_few(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)tcp;
	(void)buf;
	from_port[s->last_port]++;
	return s->n_udp % 100 == 0 ? 0 : len;
}

/* As fast as a workload may, and some answer is still to come on each port. */
static void test_66_ports_that_are_held_open_take_no_more(void **state)
{
	(void)state;
	memset(from_port, 0, sizeof(from_port));
	f->server.hook = count_ports_and_leave_a_few;
	f->want = UINT_MAX;
	for (int i = 0; i < 3500; i++) {
		(void)query();
		if (i % 40 == 39)
			dns_run(f->loop, 1);
	}
	assert_true(f->server.n_udp > 256);
	for (size_t i = 0; i < EX_ARRAY_SIZE(from_port); i++)
		assert_in_range(from_port[i], 0, 300); /* 256, and a round that was asked again */
}

static void test_waiting_queries_are_bounded(void **state)
{
	struct ex_resolve *q;

	(void)state;
	f->server.hook = drop_udp;
	for (int i = 0; i < 4096; i++)
		(void)query();
	assert_int_equal(
		ex_resolver_query(f->resolver, "api.openai.com", EX_DNS_A, on_reply, f, &q),
		-EBUSY);
}

static void test_cancelled_query_says_nothing(void **state)
{
	struct ex_resolve *a, *b;

	(void)state;
	a = query();
	b = query();
	ex_resolver_cancel(a);
	f->want = 2;
	dns_run(f->loop, 100);
	assert_int_equal(f->n_replies, 1);
	(void)b;
}

static void test_freed_while_waiting(void **state)
{
	(void)state;
	(void)query();
	ex_resolver_free(f->resolver);
	f->resolver = NULL;
	dns_run(f->loop, 50);
	assert_int_equal(f->n_replies, 0);
}

static void test_freed_in_a_reply(void **state)
{
	(void)state;
	f->free_in_reply = true;
	f->want = 99;
	for (int i = 0; i < 5; i++)
		(void)query();
	dns_run(f->loop, 100);
	assert_int_equal(f->n_replies, 1);
}

static void test_names_that_are_none_are_refused(void **state)
{
	struct ex_resolve *q;

	(void)state;
	assert_int_equal(ex_resolver_query(f->resolver, "", EX_DNS_A, on_reply, f, &q), -EINVAL);
	assert_int_equal(ex_resolver_query(f->resolver, "a..b", EX_DNS_A, on_reply, f, &q),
			 -EINVAL);
}

static void test_split_horizon_asks_the_server_of_the_longest_suffix(void **state)
{
	struct ex_resolve *q;

	(void)state;
	ex_resolver_free(f->resolver);
	f->resolver = NULL;
	memcpy(f->at[1].suffix, "corp.example", sizeof("corp.example"));
	assert_int_equal(ex_resolver_new(f->loop, f->at, 2, dns_dial, NULL, &f->resolver), 0);
	ask_name("corp.example");
	ask_name("db.corp.example");
	assert_int_equal(f->second.n_udp, 2);
	assert_int_equal(f->server.n_udp, 0);
	ask_name("notcorp.example");
	ask_name("corp.example.com");
	ask_name("example");
	assert_int_equal(f->second.n_udp, 2);
	assert_int_equal(f->server.n_udp, 3);

	/* no server for the rest: nobody is asked */
	ex_resolver_free(f->resolver);
	f->resolver = NULL;
	assert_int_equal(ex_resolver_new(f->loop, &f->at[1], 1, dns_dial, NULL, &f->resolver), 0);
	assert_int_equal(
		ex_resolver_query(f->resolver, "api.openai.com", EX_DNS_A, on_reply, f, &q),
		-ENOENT);
}

static void test_servers_are_bounded(void **state)
{
	struct ex_resolver_server many[9];
	struct ex_resolver *r;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(many); i++)
		many[i] = f->at[0];
	assert_int_equal(ex_resolver_new(f->loop, many, 9, dns_dial, NULL, &r), 0);
	ex_resolver_free(r);
	for (size_t i = 0; i < EX_ARRAY_SIZE(many); i++)
		many[i].suffix[0] = (char)('a' + i);
	assert_int_equal(ex_resolver_new(f->loop, many, 9, dns_dial, NULL, &r), -E2BIG);
	assert_int_equal(ex_resolver_new(f->loop, many, 8, dns_dial, NULL, &r), 0);
	ex_resolver_free(r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reply_arrives),
		T(test_nxdomain_is_a_reply),
		T(test_lost_packet_is_sent_again),
		T(test_silence_is_a_timeout),
		T(test_truncated_reply_is_asked_for_by_tcp),
		T(test_66_reply_with_wrong_id_is_ignored),
		T(test_66_reply_with_wrong_name_is_ignored),
		T(test_garbage_is_ignored),
		T(test_66_empty_datagram_is_ignored),
		T(test_servfail_of_the_only_server_is_an_error),
		T(test_second_server_is_asked_when_the_first_fails),
		T(test_second_server_is_asked_when_the_first_is_gone),
		T(test_server_without_edns),
		T(test_server_that_once_refused_edns_may_say_more_than_512_bytes),
		T(test_66_forged_reply_without_the_case_is_asked_again_by_tcp),
		T(test_server_that_folds_names_is_asked_in_lower_case_soon),
		T(test_server_that_folds_names_and_has_no_tcp),
		T(test_66_ids_differ),
		T(test_66_each_letter_has_a_case_by_chance),
		T(test_longest_name_is_asked_for_as_it_is),
		T(test_66_a_port_does_not_serve_for_long),
		T(test_66_a_port_that_is_not_used_is_given_up),
		T(test_66_ports_differ_under_load),
		T(test_66_ports_that_are_held_open_take_no_more),
		T(test_waiting_queries_are_bounded),
		T(test_cancelled_query_says_nothing),
		T(test_freed_while_waiting),
		T(test_freed_in_a_reply),
		T(test_names_that_are_none_are_refused),
		T(test_split_horizon_asks_the_server_of_the_longest_suffix),
		T(test_servers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
