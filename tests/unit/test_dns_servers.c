// SPDX-License-Identifier: Apache-2.0
/* How people write which servers are asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
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
	char path[] = "/tmp/exeat-resolv-XXXXXX";
	static const char text[] = "# nameserver 192.0.2.9\nsearch lan\nnameserver 192.0.2.1\n"
				   "nameserver\t2001:db8::1 # comment\nnameserver nonsense\n"
				   "nameserver 192.0.2.2\nnameserver 192.0.2.3";
	struct ex_resolver_server s[3];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(ex_resolver_servers_read(path, s, 3), 3);
	assert_int_equal(s[0].ip.b[15], 1);
	assert_int_equal(s[1].ip.b[0], 0x20);
	assert_int_equal(s[2].ip.b[15], 2);
	assert_int_equal(s[2].port, 53);
	unlink(path);
	assert_int_equal(ex_resolver_servers_read(path, s, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_texts),
		cmocka_unit_test(test_servers_of_a_resolv_conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
