/* SPDX-License-Identifier: Apache-2.0 */
/* Ingress as the node agent compiles it: who may open flows to the workload, and to which ports. */
#include "policy_helper.h"

#include <errno.h>

#define K8S                                                                                        \
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"                                  \
	"metadata: {name: p, namespace: ns}\nspec:\n  podSelector: {}\n"

static const struct ex_served served[] = { { IPPROTO_TCP, 8080, 8080 } };
static const struct ex_served any[] = { { 0, 0, 0 } };

static int try(const char *text, const struct ex_inward *inward, struct ex_ruleset **ret)
{
	struct ex_ip host = test_ip("192.168.7.7");
	struct ex_diags diags = { 0 };
	struct ex_compile_input in = {
		.host_ips = &host,
		.n_host_ips = 1,
		.allow_unselected = true,
		.deny_metadata = true,
		.inward = inward,
	};
	int r = ex_compile_text(text, strlen(text), test_endpoints, sizeof(test_endpoints) - 1, &in,
				ret, &diags);

	/* where it is enforced nobody is warned that it is not */
	for (size_t i = 0; r == 0 && inward && i < diags.n; i++)
		assert_null(strstr(diags.items[i].message, "exeat run"));
	ex_diags_done(&diags);
	return r;
}

static struct ex_ruleset *compile(const char *text)
{
	const struct ex_inward inward = { served, EX_ARRAY_SIZE(served) };
	struct ex_ruleset *rs = NULL;

	assert_int_equal(try(text, &inward, &rs), 0);
	assert_non_null(ex_ruleset_ingress(rs));
	return rs;
}

static bool opens(const struct ex_ruleset *rs, const char *from, uint8_t proto, uint16_t port)
{
	return test_l4(ex_ruleset_ingress(rs), from, proto, port).verdict == EX_V_ALLOW;
}

/* One question alone, to a policy of an endpoint that serves this. */
static bool lets_in(const char *text, const struct ex_served *v, size_t n, const char *from,
		    uint16_t port)
{
	const struct ex_inward inward = { v, n };
	struct ex_ruleset *rs = NULL;
	bool yes;

	assert_int_equal(try(text, &inward, &rs), 0);
	yes = opens(rs, from, IPPROTO_TCP, port);
	ex_ruleset_unref(rs);
	return yes;
}

#define OPENS(rs, ...)  assert_true(opens((rs), __VA_ARGS__))
#define CLOSED(rs, ...) assert_false(opens((rs), __VA_ARGS__))
#define SERVED(text)    lets_in(text, served, 1, "10.9.0.1", 8080)

static void test_peers_and_ports_are_mirrored(void **state)
{
	struct ex_ruleset *rs = compile(
		HEAD "  ingress:\n"
		     "  - fromEndpoints: [{matchLabels: {app: gw}}]\n"
		     "    toPorts: [{ports: [{port: '9000', endPort: 9001, protocol: TCP}]}]\n"
		     "  - fromCIDRSet: [{cidr: 198.51.100.0/24, except: [198.51.100.128/25]}]\n"
		     "    toPorts: [{ports: [{port: '53', protocol: UDP}]}]\n"
		     "  - fromCIDR: ['2001:db8::/32']\n"
		     "  - fromEntities: [host]\n"
		     "    icmps: [{fields: [{type: 8, family: IPv4}]}]\n");

	(void)state;
	OPENS(rs, "10.9.0.1", IPPROTO_TCP, 9000);
	OPENS(rs, "fd09::1", IPPROTO_TCP, 9001);
	CLOSED(rs, "fd09::1", IPPROTO_TCP, 9002);
	CLOSED(rs, "10.9.0.1", IPPROTO_UDP, 9000);
	CLOSED(rs, "10.9.0.2", IPPROTO_TCP, 9000); /* of another namespace */
	OPENS(rs, "198.51.100.1", IPPROTO_UDP, 53);
	CLOSED(rs, "198.51.100.129", IPPROTO_UDP, 53);
	CLOSED(rs, "198.51.100.1", IPPROTO_TCP, 53);
	OPENS(rs, "2001:db8::1", IPPROTO_SCTP, 1);
	CLOSED(rs, "2001:db9::1", IPPROTO_SCTP, 1);
	OPENS(rs, "192.168.7.7", IPPROTO_ICMP, 8 << 8);
	CLOSED(rs, "192.168.7.7", IPPROTO_ICMP, 13 << 8);
	CLOSED(rs, "192.168.7.8", IPPROTO_ICMP, 8 << 8);
	/* what it serves by its configuration is open no more */
	CLOSED(rs, "203.0.113.1", IPPROTO_TCP, 8080);
	CLOSED(rs, "192.168.7.7", IPPROTO_TCP, 8080);
	ex_ruleset_unref(rs);
}

static void test_a_rule_of_nothing_closes_all(void **state)
{
	(void)state;
	assert_false(lets_in(HEAD "  ingress: [{}]\n", served, 1, "203.0.113.1", 8080));
	assert_false(SERVED(HEAD "  ingress: [{}]\n"));
	assert_false(SERVED(HEAD "  ingress: [{fromEndpoints: []}]\n"));
	assert_false(SERVED(HEAD "  egress: [{}]\n  enableDefaultDeny: {ingress: true}\n"));
}

static void test_deny_beats_allow(void **state)
{
	struct ex_ruleset *rs =
		compile(HEAD "  ingress: [{fromEntities: [all]}]\n"
			     "  ingressDeny:\n  - fromCIDR: [203.0.113.0/24]\n"
			     "    toPorts: [{ports: [{port: '22', protocol: TCP}]}]\n");

	(void)state;
	OPENS(rs, "203.0.113.1", IPPROTO_TCP, 23);
	CLOSED(rs, "203.0.113.1", IPPROTO_TCP, 22);
	OPENS(rs, "203.0.112.1", IPPROTO_TCP, 22);
	ex_ruleset_unref(rs);
}

static void test_without_default_deny_what_is_served_stays_open(void **state)
{
	const struct ex_inward all = { any, 1 };
	static const char deny[] = HEAD "  enableDefaultDeny: {ingress: false}\n"
					"  ingressDeny: [{fromCIDR: [203.0.113.0/24]}]\n";
	struct ex_ruleset *rs = compile(deny);

	(void)state;
	OPENS(rs, "198.51.100.1", IPPROTO_TCP, 8080);
	OPENS(rs, "10.9.0.1", IPPROTO_TCP, 8080);
	CLOSED(rs, "198.51.100.1", IPPROTO_TCP, 8081);
	CLOSED(rs, "203.0.113.1", IPPROTO_TCP, 8080);
	ex_ruleset_unref(rs);
	assert_int_equal(try(deny, &all, &rs), 0);
	OPENS(rs, "198.51.100.1", 47, 0);
	CLOSED(rs, "203.0.113.1", 47, 0);
	ex_ruleset_unref(rs);
	assert_true(lets_in(HEAD "  egress: [{}]\n", any, 1, "203.0.113.1", 1));
	assert_false(lets_in(HEAD "  egress: [{}]\n", NULL, 0, "203.0.113.1", 1));
	/* one policy that asks for default deny is enough */
	rs = compile(HEAD
		     "  enableDefaultDeny: {ingress: false}\n  ingress: [{fromEntities: [host]}]\n"
		     "---\n" HEAD "  ingress: [{}]\n");
	CLOSED(rs, "203.0.113.1", IPPROTO_TCP, 8080);
	OPENS(rs, "192.168.7.7", IPPROTO_TCP, 1);
	ex_ruleset_unref(rs);
}

static void test_kubernetes_policy_isolates_ingress(void **state)
{
	struct ex_ruleset *rs = compile(
		K8S
		"  ingress:\n  - from: [{podSelector: {matchLabels: {app: gw}}}, {ipBlock: {cidr: 198.51.100.0/24}}]\n"
		"    ports: [{port: 80}]\n");

	(void)state;
	OPENS(rs, "10.9.0.1", IPPROTO_TCP, 80);
	OPENS(rs, "198.51.100.1", IPPROTO_TCP, 80);
	CLOSED(rs, "198.51.100.1", IPPROTO_UDP, 80);
	CLOSED(rs, "198.51.101.1", IPPROTO_TCP, 80);
	CLOSED(rs, "10.9.0.2", IPPROTO_TCP, 80);
	ex_ruleset_unref(rs);
	rs = compile(K8S "  ingress: [{}]\n");
	OPENS(rs, "198.51.101.1", IPPROTO_SCTP, 1);
	ex_ruleset_unref(rs);
	assert_false(SERVED(K8S "  policyTypes: [Ingress]\n"));
	/* "all policies are assumed to affect ingress" */
	assert_false(SERVED(K8S "  egress: [{}]\n"));
	assert_false(SERVED(K8S "  policyTypes: []\n"));
	assert_true(SERVED(K8S "  policyTypes: [Egress]\n"));
}

static void test_rules_of_both_directions_share_their_numbers(void **state)
{
	struct ex_ruleset *rs = compile(HEAD "  ingress: [{fromCIDR: [203.0.113.0/24]}]\n"
					     "  egress: [{toCIDR: [198.51.100.0/24]}]\n");
	uint32_t out = test_l4(rs, "198.51.100.1", IPPROTO_TCP, 1).rule;
	uint32_t in = test_l4(ex_ruleset_ingress(rs), "203.0.113.1", IPPROTO_TCP, 1).rule;

	(void)state;
	assert_int_equal(ex_ruleset_n_rules(rs), 2);
	assert_string_equal(ex_ruleset_rule(rs, out)->where, "egress[0]");
	assert_string_equal(ex_ruleset_rule(rs, in)->where, "ingress[0]");
	/* and what leaves is judged as ever */
	assert_int_equal(test_l4(rs, "203.0.113.1", IPPROTO_TCP, 1).verdict, EX_V_DENY);
	CLOSED(rs, "198.51.100.1", IPPROTO_TCP, 1);
	ex_ruleset_unref(rs);
	/* egress has the same numbers where ingress is not compiled */
	assert_int_equal(
		try(HEAD "  ingress: [{}]\n  egress: [{toCIDR: [198.51.100.0/24]}]\n", NULL, &rs),
		0);
	assert_null(ex_ruleset_ingress(rs));
	assert_int_equal(test_l4(rs, "198.51.100.1", IPPROTO_TCP, 1).rule, out);
	ex_ruleset_unref(rs);
}

static void test_what_cannot_be_enforced_is_refused(void **state)
{
	static const char *const bad[] = {
		/* whose port is called so is not known */
		HEAD "  ingress: [{toPorts: [{ports: [{port: http}]}]}]\n",
		HEAD "  ingressDeny: [{toPorts: [{ports: [{port: http}]}]}]\n",
		HEAD "  ingressDeny: [{fromEntities: [kube-apiserver]}]\n",
		HEAD "  ingress: [{fromCIDRSet: [{cidrGroupRef: missing}]}]\n",
		HEAD
		"  ingress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{}]}}]}]\n",
		HEAD "  ingress: [{fromFQDNs: [{matchName: a.example}]}]\n",
		HEAD "  ingress: []\n",
		K8S "  policyTypes: [Egress]\n  ingress: [{}]\n",
	};
	const struct ex_inward inward = { served, 1 };
	struct ex_ruleset *rs;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++)
		assert_int_equal(try(bad[i], &inward, &rs), -EINVAL);
}

static void test_the_tables_say_what_was_judged(void **state)
{
	struct ex_ruleset *rs =
		compile(HEAD "  ingress:\n  - fromCIDR: [203.0.113.0/24]\n"
			     "    toPorts: [{ports: [{port: '80', protocol: TCP}]}]\n");
	struct ex_tables t = { 0 };
	size_t allows = 0;

	(void)state;
	assert_int_equal(ex_emit(ex_ruleset_ingress(rs), &t), 0);
	for (size_t i = 0; i < t.n_rules; i++) {
		if (t.rules[i].value.verdict != EX_V_ALLOW)
			continue;
		allows++;
		assert_int_equal(t.rules[i].prefix, 32);
		assert_int_equal(t.rules[i].proto, IPPROTO_TCP);
		assert_int_equal(t.rules[i].port, 80);
	}
	assert_int_equal(allows, 1);
	ex_tables_done(&t);
	ex_ruleset_unref(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peers_and_ports_are_mirrored),
		cmocka_unit_test(test_a_rule_of_nothing_closes_all),
		cmocka_unit_test(test_deny_beats_allow),
		cmocka_unit_test(test_without_default_deny_what_is_served_stays_open),
		cmocka_unit_test(test_kubernetes_policy_isolates_ingress),
		cmocka_unit_test(test_rules_of_both_directions_share_their_numbers),
		cmocka_unit_test(test_what_cannot_be_enforced_is_refused),
		cmocka_unit_test(test_the_tables_say_what_was_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
