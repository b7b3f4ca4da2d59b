/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate with a real policy: which names are answered, and which addresses survive in the answers
 * of a zone that belongs to an attacker.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/dns/gate.h"
#include "agent/dns/names.h"
#include "dns_server.h"
#include "policy/compile.h"

static const char policy[] =
	"apiVersion: cilium.io/v2\n"
	"kind: CiliumNetworkPolicy\n"
	"metadata: {name: dns, namespace: test}\n"
	"spec:\n"
	"  endpointSelector: {}\n"
	"  egress:\n"
	"  - toFQDNs: [{matchName: API.openai.com}, {matchPattern: \"*.example.com\"}]\n"
	"    toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]\n"
	"  egressDeny:\n"
	"  - toCIDR: [198.51.100.0/24, 2001:db8:bad::/48]\n";

static const struct dns_record zone[] = {
	{ "api.openai.com", 0, 30, NULL, { "93.184.216.34", "2606:2800::34" } },
	{ "ok.example.com", 0, 30, NULL, { "93.184.216.35" } },
	{ "metadata.example.com", 0, 30, NULL, { "169.254.169.254", "fd00:ec2::254" } },
	{ "denied.example.com", 0, 30, NULL, { "198.51.100.7", "2001:db8:bad::7" } },
	{ "host.example.com", 0, 30, NULL, { "93.184.216.99" } },
	{ "gateway.example.com", 0, 30, NULL, { "192.0.0.1" } },
	{ "loop.example.com", 0, 30, NULL, { "127.0.0.1", "::1" } },
	{ "loop2.example.com", 0, 30, NULL, { "127.8.8.8" } },
	{ "zero.example.com", 0, 30, NULL, { "0.0.0.0", "::" } },
	{ "local.example.com", 0, 30, NULL, { "169.254.1.1", "fe80::1" } },
	{ "multi.example.com", 0, 30, NULL, { "224.0.0.1", "ff02::1" } },
	{ "broadcast.example.com", 0, 30, NULL, { "255.255.255.255" } },
	{ "mapped.example.com", 0, 30, NULL, { "::ffff:169.254.169.254" } },
	{ "compat.example.com", 0, 30, NULL, { "::169.254.169.254" } },
	{ "translated.example.com", 0, 30, NULL, { "::ffff:0:169.254.169.254" } },
	{ "translatedd.example.com", 0, 30, NULL, { "::ffff:0:198.51.100.7" } },
	{ "nat64.example.com", 0, 30, NULL, { "64:ff9b::169.254.169.254" } },
	{ "nat64d.example.com", 0, 30, NULL, { "64:ff9b::198.51.100.7" } },
	{ "sixtofour.example.com", 0, 30, NULL, { "2002:a9fe:a9fe::1" } },
	{ "mixed.example.com", 0, 30, NULL, { "93.184.216.36", "198.51.100.7" } },
	{ NULL, 0, 0, NULL, { NULL } },
};

static const struct {
	const char *name;
	uint16_t type;
	uint8_t rcode;
	unsigned n_answers;
	enum ex_reason reason;
} cases[] = {
	{ "api.openai.com", EX_DNS_A, EX_DNS_NOERROR, 1, EX_R_ALLOWED },
	{ "api.openai.com", EX_DNS_AAAA, EX_DNS_NOERROR, 1, EX_R_ALLOWED },
	{ "ok.example.com", EX_DNS_A, EX_DNS_NOERROR, 1, EX_R_ALLOWED },
	{ "mixed.example.com", EX_DNS_A, EX_DNS_NOERROR, 1, EX_R_ALLOWED },
	/* 3, 12: what only looks like an allowed name */
	{ "example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_NAME_DENIED },
	{ "a.b.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_NAME_DENIED },
	{ "evilexample.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_NAME_DENIED },
	{ "api-openai.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_NAME_DENIED },
	{ "xapi.openai.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_NAME_DENIED },
	{ "x.api.openai.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_NAME_DENIED },
	{ "api.openai.com.evil.com", EX_DNS_A, EX_DNS_NXDOMAIN, 0, EX_R_DNS_NAME_DENIED },
	{ "metadata.google.internal", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_RESERVED_DENY },
	/* 44 to 50, 62, 66: allowed names of an attacker's zone */
	{ "metadata.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "metadata.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "denied.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "denied.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "host.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "gateway.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "loop.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "loop.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "loop2.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "zero.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "zero.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "local.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "local.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "multi.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "multi.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "broadcast.example.com", EX_DNS_A, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "mapped.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "compat.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "translated.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "translatedd.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "nat64.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "nat64d.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
	{ "sixtofour.example.com", EX_DNS_AAAA, EX_DNS_REFUSED, 0, EX_R_DNS_ANSWER_DENIED },
};

struct run {
	struct ex_loop *loop;
	bool replied;
	uint8_t reply[4096];
	struct ex_decision decision;
};

static void learn(void *arg, const struct ex_dns_learn *l, void (*done)(void *arg, int err),
		  void *done_arg)
{
	(void)arg;
	(void)l;
	done(done_arg, 0);
}

static void extend(void *arg, const struct ex_dns_learn *l)
{
	(void)arg;
	(void)l;
}

static void audit(void *arg, const void *client, const struct ex_dns_verdict *v)
{
	struct run *run = arg;

	(void)client;
	run->decision = v->decision;
}

static void on_reply(void *arg, const void *reply, size_t len)
{
	struct run *run = arg;

	assert_in_range(len, 12, sizeof(run->reply));
	memcpy(run->reply, reply, len);
	run->replied = true;
	ex_loop_quit(run->loop);
}

static struct ex_ruleset *compile(void)
{
	char path[] = "/tmp/exeat-policy-XXXXXX";
	const char *file = path;
	struct ex_ip host[2], dns;
	struct ex_compile_input in = { .files = &file,
				       .n_files = 1,
				       .host_ips = host,
				       .n_host_ips = 2,
				       .dns_ips = &dns,
				       .n_dns_ips = 1,
				       .deny_metadata = true };
	struct ex_diags diags = { 0 };
	struct ex_ruleset *rs = NULL;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, policy, sizeof(policy) - 1), sizeof(policy) - 1);
	close(fd);
	assert_true(ex_ip_parse("93.184.216.99", &host[0]));
	assert_true(ex_ip_parse("192.0.0.1", &host[1]));
	assert_true(ex_ip_parse("192.0.0.1", &dns));
	if (ex_compile(&in, &rs, &diags) < 0)
		ex_diags_print(&diags, stdout);
	ex_diags_done(&diags);
	unlink(path);
	assert_non_null(rs);
	return rs;
}

/* A question with EDNS, as dig sends it: then the reply says REFUSED. */
static size_t write_query(uint8_t *buf, const char *name, uint16_t type)
{
	size_t len = 12;

	memcpy(buf, "\0\1\1\0\0\1\0\0\0\0\0\1", 12);
	while (*name) {
		size_t n = strcspn(name, ".");

		buf[len++] = (uint8_t)n;
		memcpy(buf + len, name, n);
		len += n;
		name += n + (name[n] == '.');
	}
	memcpy(buf + len, "\0\0\0\0\1\0\0\x29\x04\xd0\0\0\0\0\0\0", 16);
	buf[len + 2] = (uint8_t)type;
	return len + 16;
}

static void test_names_and_addresses_under_a_policy(void **state)
{
	struct run run = { 0 };
	const struct ex_dns_gate_ops ops = { learn, extend, audit, &run };
	struct ex_ruleset *rs = compile();
	struct ex_resolver_server at;
	struct ex_resolver *resolver;
	struct dns_server server;
	struct ex_names *names;
	struct ex_dns_gate *gate;

	(void)state;
	assert_int_equal(ex_loop_new(&run.loop), 0);
	assert_true(dns_server_start(&server, run.loop, &at));
	server.zone = zone;
	assert_int_equal(ex_resolver_new(run.loop, &at, 1, dns_dial, NULL, &resolver), 0);
	assert_int_equal(ex_names_new(1024, &names), 0);
	assert_int_equal(ex_dns_gate_new(run.loop, rs, resolver, names, &ops, &gate), 0);
	ex_ruleset_unref(rs);

	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		uint8_t msg[512];
		size_t len = write_query(msg, cases[i].name, cases[i].type);

		run.replied = false;
		ex_dns_gate_query(gate, NULL, msg, len, false, on_reply, &run);
		if (!run.replied)
			dns_run(run.loop, 5000);
		assert_true(run.replied);
		if ((run.reply[3] & 15) != cases[i].rcode || run.reply[7] != cases[i].n_answers ||
		    run.decision.reason != cases[i].reason)
			fail_msg("%s %u: rcode %u, %u answers, %s", cases[i].name, cases[i].type,
				 run.reply[3] & 15, run.reply[7],
				 ex_reason_word(run.decision.reason));
	}
	ex_dns_gate_free(gate);
	ex_resolver_free(resolver);
	ex_names_free(names);
	dns_server_stop(&server);
	ex_loop_free(run.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_addresses_under_a_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
