/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the policy tests: compile a text, ask one question. */
#ifndef TESTS_UNIT_POLICY_HELPER_H
#define TESTS_UNIT_POLICY_HELPER_H

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/lower.h"
#include "policy/emit.h"

#define HEAD                                                                                       \
	"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n"                                    \
	"metadata: {name: p, namespace: ns}\nspec:\n  endpointSelector: {}\n"

/* The same in our own kind, and a peer and port for lists of requests: test_get() asks there. */
#define OWN                                                                                        \
	"apiVersion: exeat.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: ns}\n" \
	"spec:\n"
#define OWN_HEAD OWN "  endpointSelector: {}\n"
#define TO_80                                                                                      \
	"  - toCIDR: [10.0.0.0/8]\n    toPorts:\n"                                                 \
	"    - ports: [{port: \"80\", protocol: TCP}]\n"

static const char test_endpoints[] = "endpoints:\n"
				     "- name: gw\n"
				     "  namespace: ns\n"
				     "  labels: {app: gw}\n"
				     "  addresses: [10.9.0.1, 'fd09::1']\n"
				     "- name: other\n"
				     "  namespace: elsewhere\n"
				     "  labels: {app: gw}\n"
				     "  addresses: [10.9.0.2]\n";

static inline struct ex_ip test_ip(const char *text)
{
	struct ex_ip ip;

	assert_true(ex_ip_parse(text, &ip));
	return ip;
}

static inline int test_try_compile(const char *text, struct ex_ruleset **rs, struct ex_diags *diags)
{
	struct ex_ip host[2] = { test_ip("192.168.7.7"), test_ip("2001:db8:77::7") };
	struct ex_ip dns[2] = { test_ip("192.0.0.1"), test_ip("fd7e:a7c3:1b5d::1") };
	struct ex_compile_input in = {
		.host_ips = host,
		.n_host_ips = 2,
		.dns_ips = dns,
		.n_dns_ips = 2,
		.deny_metadata = true,
	};

	return ex_compile_text(text, strlen(text), test_endpoints, sizeof(test_endpoints) - 1, &in,
			       rs, diags);
}

static inline struct ex_ruleset *test_compile(const char *text)
{
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	int r = test_try_compile(text, &rs, &diags);

	if (r < 0)
		ex_diags_print(&diags, stderr);
	ex_diags_done(&diags);
	assert_int_equal(r, 0);
	return rs;
}

static inline struct ex_flow test_flow(const char *ip, uint8_t proto, uint16_t port)
{
	return (struct ex_flow){ .dst = test_ip(ip), .port = port, .proto = proto };
}

static inline struct ex_decision test_l4(const struct ex_ruleset *rs, const char *ip, uint8_t proto,
					 uint16_t port)
{
	struct ex_flow f = test_flow(ip, proto, port);

	return ex_judge_l4(rs, &f);
}

/* GET path, of a.test. */
static inline bool test_get(const struct ex_ruleset *rs, const char *path)
{
	struct ex_flow flow = test_flow("10.1.2.3", IPPROTO_TCP, 80);
	struct ex_http_request req = {
		.method = EX_SPAN("GET"),
		.path = ex_span_str(path),
		.host = EX_SPAN("a.test"),
		.authority = EX_SPAN("a.test"),
	};

	return ex_judge_http(rs, &flow, &req).verdict == EX_V_ALLOW;
}

/* What a gate is told that has from in force. */
static inline int test_delta(const struct ex_ruleset *from, const struct ex_ruleset *to,
			     struct ex_delta *ret)
{
	struct ex_tables a, b;
	int r;

	assert_int_equal(ex_emit(from, &a), 0);
	assert_int_equal(ex_emit(to, &b), 0);
	r = ex_tables_delta(&a, &b, ret);
	ex_tables_done(&a);
	ex_tables_done(&b);
	return r;
}

#endif
