/* SPDX-License-Identifier: Apache-2.0 */
/* How people write which servers are asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/dns/resolver.h"

static void test_server_texts(void **state)
{
	static const struct {
		const char *text, *ip;
		uint16_t port; /* 0: not a server */
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", 53 },
		{ "192.0.2.1:5353", "192.0.2.1", 5353 },
		{ "2001:db8::1", "2001:db8::1", 53 },
		{ "[2001:db8::1]", "2001:db8::1", 53 },
		{ "[2001:db8::1]:54", "2001:db8::1", 54 },
		{ "fe80::1%lo", "fe80::1", 53 },
		{ "", NULL, 0 },
		{ "dns.example", NULL, 0 },
		{ "192.0.2.1:", NULL, 0 },
		{ "192.0.2.1:0", NULL, 0 },
		{ "192.0.2.1:65536", NULL, 0 },
		{ "192.0.2.1:53x", NULL, 0 },
		{ "192.0.2.1:+53", NULL, 0 },
		{ "192.0.2.256", NULL, 0 },
		{ "[192.0.2.1]:53", NULL, 0 },
		{ "[2001:db8::1]53", NULL, 0 },
		{ "[2001:db8::1", NULL, 0 },
		{ "fe80::1", NULL, 0 },
		{ "fe80::1%nothing-there", NULL, 0 },
		{ "2001:db8::1%lo", NULL, 0 },
		{ "192.0.2.1 ", NULL, 0 },
		{ "Corp.Example=192.0.2.1", "192.0.2.1", 53 },
		{ "corp=[2001:db8::1]:54", "2001:db8::1", 54 },
		{ "=192.0.2.1", NULL, 0 },
		{ ".corp=192.0.2.1", NULL, 0 },
		{ "corp.=192.0.2.1", NULL, 0 },
		{ "a..b=192.0.2.1", NULL, 0 },
		{ "*.corp=192.0.2.1", NULL, 0 },
		{ "corp=", NULL, 0 },
		{ "a=b=192.0.2.1", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		struct ex_resolver_server s = { 0 };
		struct ex_ip ip;
		bool ok = ex_resolver_server_parse(cases[i].text, &s);

		if (ok != (cases[i].port != 0) || s.port != cases[i].port)
			fail_msg("%s", cases[i].text);
		if (ok && (!ex_ip_parse(cases[i].ip, &ip) || !ex_ip_eq(&ip, &s.ip)))
			fail_msg("%s: other address", cases[i].text);
	}
}

static void test_servers_of_a_resolv_conf(void **state)
{
	char text[] = "# nameserver 192.0.2.9\nsearch lan\nnameserver 192.0.2.1\n"
		      "nameserver\t2001:db8::1 # comment\nnameserver nonsense\n"
		      " nameserver 192.0.2.8\nnameserver192.0.2.7\nnameserver 192.0.2.2\r\n"
		      "nameserver 192.0.2.3";
	char none[] = "search lan\nnameserver\nnameserver ";
	struct ex_resolver_server s[3];

	(void)state;
	assert_int_equal(ex_resolver_servers_read(text, s, 3), 3);
	assert_int_equal(s[0].ip.b[15], 1);
	assert_int_equal(s[1].ip.b[0], 0x20);
	assert_int_equal(s[2].ip.b[15], 2);
	assert_int_equal(s[2].port, 53);
	assert_int_equal(ex_resolver_servers_read(none, s, 3), 0);
}

static void test_servers_are_written_as_they_are_read(void **state)
{
	static const char *const texts[] = { "192.0.2.1",      "192.0.2.1:5353",
					     "2001:db8::1",    "[2001:db8::1]:54",
					     "fe80::1%lo",     "[fe80::1%lo]:54",
					     "corp=192.0.2.1", "a.b=[2001:db8::1]:54" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(texts); i++) {
		struct ex_resolver_server s;
		char buf[EX_RESOLVER_TEXT];

		assert_true(ex_resolver_server_parse(texts[i], &s));
		assert_string_equal(ex_resolver_server_text(&s, buf), texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_texts),
		cmocka_unit_test(test_servers_of_a_resolv_conf),
		cmocka_unit_test(test_servers_are_written_as_they_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
