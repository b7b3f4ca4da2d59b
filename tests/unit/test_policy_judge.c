/* SPDX-License-Identifier: Apache-2.0 */
/* Whole policies and what they decide; each allow has a deny twin. */
#include "policy_helper.h"

static const char seed[] =
	"apiVersion: \"cilium.io/v2\"\n"
	"kind: CiliumNetworkPolicy\n"
	"metadata: {name: agent-l7, namespace: ns}\n"
	"spec:\n"
	"  endpointSelector: {matchLabels: {app: agent}}\n"
	"  egress:\n"
	"  - toEndpoints: [{matchLabels: {app: gw}}]\n"
	"    toPorts:\n"
	"    - ports: [{port: \"8080\", protocol: TCP}]\n"
	"      rules: {http: [{method: \"POST\", path: \"/v1/chat/completions\"}]}\n"
	"  - toFQDNs: [{matchName: \"api.openai.com\"}]\n"
	"    toPorts:\n"
	"    - ports: [{port: \"443\", protocol: TCP}]\n"
	"      rules: {http: [{method: \"POST\", path: \"/v1/chat/completions\"}]}\n"
	"  egressDeny:\n"
	"  - toCIDRSet: [{cidr: \"169.254.169.254/32\"}]\n";

#define ASK(d, v, why)                                                                             \
	do {                                                                                       \
		struct ex_decision d_ = (d);                                                       \
		assert_int_equal(d_.verdict, (v));                                                 \
		assert_string_equal(ex_reason_word(d_.reason), ex_reason_word(why));               \
	} while (0)

static const struct ex_span openai = { "api.openai.com", 14 };
static const struct ex_span evil = { "evil.example", 12 };

static struct ex_http_request request(const char *method, const char *path, struct ex_span host)
{
	return (struct ex_http_request){ .tls = true,
					 .sni = host,
					 .method = ex_span_str(method),
					 .path = ex_span_str(path),
					 .host = host,
					 .authority = host };
}

static void test_seed_l4(void **state)
{
	struct ex_ruleset *rs = test_compile(seed);
	struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 443);

	(void)state;
	ASK(test_l4(rs, "10.9.0.1", IPPROTO_TCP, 8080), EX_V_STEER, EX_R_ALLOWED);
	ASK(test_l4(rs, "fd09::1", IPPROTO_TCP, 8080), EX_V_STEER, EX_R_ALLOWED);
	ASK(test_l4(rs, "10.9.0.1", IPPROTO_TCP, 8081), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "10.9.0.1", IPPROTO_UDP, 8080), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "10.9.0.2", IPPROTO_TCP, 8080), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(ex_judge_l4(rs, &f), EX_V_DENY, EX_R_DEFAULT_DENY);
	f.names = &openai;
	f.n_names = 1;
	ASK(ex_judge_l4(rs, &f), EX_V_STEER, EX_R_ALLOWED);
	f.names = &evil;
	ASK(ex_judge_l4(rs, &f), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "169.254.169.254", IPPROTO_TCP, 80), EX_V_DENY, EX_R_RESERVED_DENY);
	ASK(test_l4(rs, "64:ff9b::a9fe:a9fe", IPPROTO_TCP, 80), EX_V_DENY, EX_R_RESERVED_DENY);
	ASK(test_l4(rs, "2002:a9fe:a9fe::1", IPPROTO_TCP, 80), EX_V_DENY, EX_R_RESERVED_DENY);
	ex_ruleset_unref(rs);
}

static void test_names_add_nothing_to_endpoints_and_host(void **state)
{
	struct ex_ruleset *rs = test_compile(seed);
	const char *addrs[] = { "10.9.0.1", "192.168.7.7", "192.0.0.1" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(addrs); i++) {
		struct ex_flow f = test_flow(addrs[i], IPPROTO_TCP, 443);

		f.names = &openai;
		f.n_names = 1;
		ASK(ex_judge_l4(rs, &f), EX_V_DENY, EX_R_DEFAULT_DENY);
	}
	ex_ruleset_unref(rs);
}

static void test_dns_gate(void **state)
{
	struct ex_ruleset *rs = test_compile(seed);

	(void)state;
	ASK(test_l4(rs, "192.0.0.1", IPPROTO_UDP, 53), EX_V_STEER, EX_R_ALLOWED);
	ASK(test_l4(rs, "fd7e:a7c3:1b5d::1", IPPROTO_TCP, 53), EX_V_STEER, EX_R_ALLOWED);
	ASK(test_l4(rs, "192.0.0.1", IPPROTO_UDP, 54), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "8.8.8.8", IPPROTO_UDP, 53), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(ex_judge_dns(rs, openai), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(ex_judge_dns(rs, evil), EX_V_DENY, EX_R_DNS_NAME_DENIED);
	ASK(ex_judge_dns(rs, ex_span_str("")), EX_V_DENY, EX_R_DNS_NAME_DENIED);
	assert_true(ex_ruleset_uses_dns(rs));
	ex_ruleset_unref(rs);
}

static void test_seed_app(void **state)
{
	struct ex_ruleset *rs = test_compile(seed);
	struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 443);
	struct ex_span none = { 0 };

	(void)state;
	f.names = &openai;
	f.n_names = 1;
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, openai), EX_V_STEER, EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, evil), EX_V_DENY, EX_R_SNI_DENIED);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, none), EX_V_DENY, EX_R_SNI_MISSING);
	ASK(ex_judge_app(rs, &f, EX_APP_OTHER, none), EX_V_DENY, EX_R_UNKNOWN_PROTOCOL);
	ASK(ex_judge_app(rs, &f, EX_APP_HTTP, none), EX_V_STEER, EX_R_ALLOWED);
	assert_true(ex_ruleset_intercepts(rs, openai));
	ex_ruleset_unref(rs);
}

static void test_seed_http(void **state)
{
	struct ex_ruleset *rs = test_compile(seed);
	struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 443);
	struct ex_http_request q = request("POST", "/v1/chat/completions", openai);

	(void)state;
	f.names = &openai;
	f.n_names = 1;
	ASK(ex_judge_http(rs, &f, &q), EX_V_ALLOW, EX_R_ALLOWED);
	q.method = ex_span_str("GET");
	ASK(ex_judge_http(rs, &f, &q), EX_V_DENY, EX_R_HTTP_DENIED);
	q = request("POST", "/v1/chat/completions?x=1", openai);
	ASK(ex_judge_http(rs, &f, &q), EX_V_DENY, EX_R_HTTP_DENIED);
	q = request("POST", "/v1/chat/completions", openai);
	q.host = evil;
	ASK(ex_judge_http(rs, &f, &q), EX_V_DENY, EX_R_HOST_MISMATCH);
	q = request("POST", "/v1/chat/completions", evil);
	ASK(ex_judge_http(rs, &f, &q), EX_V_DENY, EX_R_HOST_DENIED);
	ex_ruleset_unref(rs);
}

static void test_miss_names_the_http_rule(void **state)
{
	struct ex_ruleset *rs = test_compile(seed);
	struct ex_flow f = test_flow("10.9.0.1", IPPROTO_TCP, 8080);
	struct ex_http_request q = request("GET", "/v1/chat/completions", ex_span_str("gw:8080"));
	struct ex_decision d;

	(void)state;
	q.tls = false;
	d = ex_judge_http(rs, &f, &q);
	ASK(d, EX_V_DENY, EX_R_HTTP_DENIED);
	assert_string_equal(ex_ruleset_rule(rs, d.rule)->where,
			    "egress[0].toPorts[0].rules.http[0]");
	assert_int_equal(ex_ruleset_rule(rs, d.rule)->line, 10);
	ex_ruleset_unref(rs);
}

static void test_name_of_another_rule_does_not_help(void **state)
{
	struct ex_ruleset *rs =
		test_compile(HEAD "  egress:\n"
				  "  - toFQDNs: [{matchName: a.example}]\n"
				  "    toPorts: [{ports: [{port: '443', protocol: TCP}],"
				  " rules: {http: [{method: GET}]}}]\n"
				  "  - toFQDNs: [{matchName: b.example}]\n"
				  "    toPorts: [{ports: [{port: '443', protocol: TCP}],"
				  " rules: {http: [{method: PUT}]}}]\n");
	struct ex_span a = ex_span_str("a.example"), b = ex_span_str("b.example");
	struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 443);
	struct ex_http_request q = request("PUT", "/", b);
	struct ex_span both[] = { a, b };

	(void)state;
	f.names = &a;
	f.n_names = 1;
	/* resolved a, asks for b */
	ASK(ex_judge_http(rs, &f, &q), EX_V_DENY, EX_R_HOST_DENIED);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, b), EX_V_DENY, EX_R_SNI_DENIED);
	f.names = both;
	f.n_names = 2;
	ASK(ex_judge_http(rs, &f, &q), EX_V_ALLOW, EX_R_ALLOWED);
	q = request("PUT", "/", a); /* method of b's rule, name of a's */
	ASK(ex_judge_http(rs, &f, &q), EX_V_DENY, EX_R_HTTP_DENIED);
	q = request("PUT", "/", b);
	q.sni = a;
	ASK(ex_judge_http(rs, &f, &q), EX_V_DENY, EX_R_HOST_MISMATCH);
	ex_ruleset_unref(rs);
}

static void test_wildcard_names_are_bound_to_the_address(void **state)
{
	struct ex_ruleset *rs = test_compile(HEAD "  egress:\n"
						  "  - toFQDNs: [{matchPattern: '*.example'}]\n");
	struct ex_span a = ex_span_str("a.example"), b = ex_span_str("b.example");
	struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 443);

	(void)state;
	f.names = &a;
	f.n_names = 1;
	ASK(ex_judge_l4(rs, &f), EX_V_STEER, EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, a), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, b), EX_V_DENY, EX_R_ADDRESS_NOT_OF_NAME);
	ASK(ex_judge_app(rs, &f, EX_APP_OTHER, (struct ex_span){ 0 }), EX_V_DENY,
	    EX_R_UNKNOWN_PROTOCOL);
	f.port = 22;
	ASK(ex_judge_app(rs, &f, EX_APP_OTHER, (struct ex_span){ 0 }), EX_V_ALLOW, EX_R_ALLOWED);
	f.proto = IPPROTO_UDP;
	ASK(ex_judge_l4(rs, &f), EX_V_ALLOW, EX_R_ALLOWED);
	ex_ruleset_unref(rs);
}

static void test_cidr_except_and_deny(void **state)
{
	struct ex_ruleset *rs = test_compile(
		HEAD "  egress:\n"
		     "  - toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.1.2.0/24]}]\n"
		     "  - toCIDR: [10.1.3.0/24, '2001:db8::/32', 192.168.0.0/16]\n"
		     "    toPorts: [{ports: [{port: '80', endPort: 90, protocol: TCP}]}]\n"
		     "  egressDeny:\n"
		     "  - toCIDR: [10.2.0.0/16]\n"
		     "    toPorts: [{ports: [{port: '22', protocol: TCP}]}]\n");

	(void)state;
	ASK(test_l4(rs, "10.0.0.1", IPPROTO_TCP, 1), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "10.0.0.1", IPPROTO_ICMP, 0x800), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "10.1.0.1", IPPROTO_TCP, 1), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "10.1.2.1", IPPROTO_TCP, 1), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "10.1.3.1", IPPROTO_TCP, 90), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "10.1.3.1", IPPROTO_TCP, 91), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "10.2.0.1", IPPROTO_TCP, 22), EX_V_DENY, EX_R_POLICY_DENY);
	ASK(test_l4(rs, "10.2.0.1", IPPROTO_TCP, 23), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "2001:db8::1", IPPROTO_TCP, 80), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "2001:db9::1", IPPROTO_TCP, 80), EX_V_DENY, EX_R_DEFAULT_DENY);
	/* in an allowed CIDR, but the host's own, and an endpoint's */
	ASK(test_l4(rs, "192.168.7.8", IPPROTO_TCP, 80), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "192.168.7.7", IPPROTO_TCP, 80), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "10.9.0.1", IPPROTO_TCP, 80), EX_V_DENY, EX_R_DEFAULT_DENY);
	ex_ruleset_unref(rs);
}

static void test_world_entity(void **state)
{
	struct ex_ruleset *rs = test_compile(HEAD "  egress: [{toEntities: [world]}]\n");

	(void)state;
	ASK(test_l4(rs, "8.8.8.8", IPPROTO_TCP, 1), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "2001:db8::1", IPPROTO_UDP, 1), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "10.9.0.1", IPPROTO_TCP, 1), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "192.168.7.7", IPPROTO_TCP, 1), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(test_l4(rs, "127.0.0.1", IPPROTO_TCP, 1), EX_V_DENY, EX_R_RESERVED_DENY);
	ASK(test_l4(rs, "::1", IPPROTO_TCP, 1), EX_V_DENY, EX_R_RESERVED_DENY);
	ASK(test_l4(rs, "64:ff9b::7f00:1", IPPROTO_TCP, 1), EX_V_DENY, EX_R_RESERVED_DENY);
	ASK(test_l4(rs, "64:ff9b::808:808", IPPROTO_TCP, 1), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "fd00:ec2::254", IPPROTO_TCP, 80), EX_V_DENY, EX_R_RESERVED_DENY);
	ASK(ex_judge_dns(rs, evil), EX_V_ALLOW, EX_R_ALLOWED);
	ex_ruleset_unref(rs);
}

/* Asked without the packet having been judged, too. */
static void test_form_that_is_denied_is_denied_to_what_it_carries(void **state)
{
	struct ex_ruleset *rs = test_compile(HEAD "  egress: [{toCIDR: [8.8.8.0/24]}]\n"
						  "  egressDeny: [{toCIDR: ['64:ff9b::/96']}]\n");
	struct ex_flow plain = test_flow("8.8.8.8", IPPROTO_TCP, 443);
	struct ex_flow shell = test_flow("64:ff9b::808:808", IPPROTO_TCP, 443);

	(void)state;
	ASK(ex_judge_app(rs, &plain, EX_APP_TLS, evil), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &shell, EX_APP_TLS, evil), EX_V_DENY, EX_R_POLICY_DENY);
	ASK(ex_judge_app(rs, &shell, EX_APP_OTHER, evil), EX_V_DENY, EX_R_POLICY_DENY);
	ex_ruleset_unref(rs);
}

/* Also where a policy opens what is link-local. */
static void test_answer_that_hides_what_is_no_answer_is_denied(void **state)
{
	static const char text[] = HEAD "  egress: [{toCIDR: [0.0.0.0/0, '::/0']}]\n";
	const struct ex_compile_input in = { .deny_metadata = false };
	struct ex_ip good = test_ip("64:ff9b::808:808"), bad = test_ip("64:ff9b::a9fe:a9fe");
	struct ex_diags diags = { 0 };
	struct ex_ruleset *rs;

	(void)state;
	assert_int_equal(ex_compile_text(text, sizeof(text) - 1, NULL, 0, &in, &rs, &diags), 0);
	ex_diags_done(&diags);
	ASK(ex_judge_answer(rs, &good), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(ex_judge_answer(rs, &bad), EX_V_DENY, EX_R_DNS_ANSWER_DENIED);
	ex_ruleset_unref(rs);
}

static void test_l4_allow_voids_the_l7_list(void **state)
{
	struct ex_ruleset *rs =
		test_compile(HEAD "  egress:\n"
				  "  - toCIDR: [10.0.0.0/8]\n"
				  "    toPorts: [{ports: [{port: '80', protocol: TCP}],"
				  " rules: {http: [{method: GET}]}}]\n"
				  "  - toCIDR: [10.0.0.0/9]\n"
				  "    toPorts: [{ports: [{port: '80', protocol: TCP}]}]\n");

	(void)state;
	ASK(test_l4(rs, "10.0.0.1", IPPROTO_TCP, 80), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(test_l4(rs, "10.200.0.1", IPPROTO_TCP, 80), EX_V_STEER, EX_R_ALLOWED);
	ex_ruleset_unref(rs);
}

/* Also where the default is to allow: the binding stands between a name and the lists of others. */
static void test_a_name_alone_voids_no_list_of_others(void **state)
{
	struct ex_ruleset *rs =
		test_compile(HEAD "  enableDefaultDeny: {egress: false}\n  egress:\n"
				  "  - toFQDNs: [{matchPattern: '*.example'}]\n"
				  "  - toCIDR: [198.51.100.0/24]\n    toPorts:\n"
				  "    - ports: [{port: '8080', protocol: TCP}]\n"
				  "      rules: {http: [{path: /ok}]}\n");
	struct ex_span a = EX_SPAN("a.example"), b = EX_SPAN("b.test"), none = { 0 };
	struct ex_flow f = test_flow("198.51.100.1", IPPROTO_TCP, 8080);
	struct ex_http_request req = { .method = EX_SPAN("GET"), .path = EX_SPAN("/no") };

	(void)state;
	f.names = &a;
	f.n_names = 1;
	assert_int_equal(ex_judge_l4(rs, &f).verdict, EX_V_STEER);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, a), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, b), EX_V_STEER, EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &f, EX_APP_OTHER, none), EX_V_ALLOW, EX_R_ALLOWED);
	req.host = req.authority = a;
	ASK(ex_judge_http(rs, &f, &req), EX_V_ALLOW, EX_R_ALLOWED);
	req.host = req.authority = b;
	ASK(ex_judge_http(rs, &f, &req), EX_V_DENY, EX_R_HTTP_DENIED);
	/* without a list it limits nothing, and needs no proxy */
	f.port = 443;
	assert_int_equal(ex_judge_l4(rs, &f).verdict, EX_V_ALLOW);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, b), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &f, EX_APP_OTHER, none), EX_V_ALLOW, EX_R_ALLOWED);
	req.tls = true;
	req.sni = b;
	ASK(ex_judge_http(rs, &f, &req), EX_V_ALLOW, EX_R_ALLOWED);
	ex_ruleset_unref(rs);
}

static void test_server_names(void **state)
{
	struct ex_ruleset *rs =
		test_compile(HEAD "  egress:\n"
				  "  - toPorts: [{ports: [{port: '443', protocol: TCP}],"
				  " serverNames: ['*.example.com']}]\n");
	struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 443);
	struct ex_span names[] = { EX_SPAN("b.example.com"), EX_SPAN("a.b.example.com") };

	(void)state;
	assert_true(ex_ruleset_uses_dns(rs));
	ASK(ex_judge_dns(rs, ex_span_str("a.example.com")), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(ex_judge_dns(rs, ex_span_str("example.com")), EX_V_DENY, EX_R_DNS_NAME_DENIED);
	ASK(ex_judge_l4(rs, &f), EX_V_STEER, EX_R_ALLOWED);
	/* the rule names no address: the name has to be one that was resolved to it */
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, ex_span_str("a.example.com")), EX_V_DENY,
	    EX_R_ADDRESS_NOT_OF_NAME);
	f.names = names;
	f.n_names = EX_ARRAY_SIZE(names);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, ex_span_str("a.example.com")), EX_V_DENY,
	    EX_R_ADDRESS_NOT_OF_NAME);
	names[0] = ex_span_str("a.example.com");
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, ex_span_str("a.example.com")), EX_V_ALLOW,
	    EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, ex_span_str("a.b.example.com")), EX_V_DENY,
	    EX_R_SNI_DENIED);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, (struct ex_span){ 0 }), EX_V_DENY, EX_R_SNI_MISSING);
	ASK(ex_judge_app(rs, &f, EX_APP_HTTP, (struct ex_span){ 0 }), EX_V_DENY,
	    EX_R_UNKNOWN_PROTOCOL);
	ex_ruleset_unref(rs);
}

/* The author named the addresses: toCIDR, or an endpoint that the world is not. */
static void test_server_names_of_named_addresses(void **state)
{
	struct ex_ruleset *rs =
		test_compile(HEAD "  egress:\n"
				  "  - toCIDR: [198.51.100.0/24]\n"
				  "    toPorts: [{ports: [{port: '443', protocol: TCP}],"
				  " serverNames: ['a.example']}]\n"
				  "  - toEntities: [all]\n"
				  "    toPorts: [{ports: [{port: '444', protocol: TCP}],"
				  " serverNames: ['b.example']}]\n");
	struct ex_flow cidr = test_flow("198.51.100.7", IPPROTO_TCP, 443);
	struct ex_flow gw = test_flow("10.9.0.1", IPPROTO_TCP, 444);
	struct ex_flow world = test_flow("198.51.100.7", IPPROTO_TCP, 444);

	(void)state;
	ASK(ex_judge_app(rs, &cidr, EX_APP_TLS, ex_span_str("a.example")), EX_V_ALLOW,
	    EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &gw, EX_APP_TLS, ex_span_str("b.example")), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &world, EX_APP_TLS, ex_span_str("b.example")), EX_V_DENY,
	    EX_R_ADDRESS_NOT_OF_NAME);
	ASK(ex_judge_dns(rs, ex_span_str("a.example")), EX_V_DENY, EX_R_DNS_NAME_DENIED);
	ASK(ex_judge_dns(rs, ex_span_str("b.example")), EX_V_ALLOW, EX_R_ALLOWED);
	ex_ruleset_unref(rs);
}

/* Stars alone name nothing: they open the DNS gate for no name, but take one that it gave. */
static void test_server_names_of_stars_open_no_dns(void **state)
{
	static const char *const stars[] = { "*", "**", "*.*", "**.*" };
	struct ex_span name = EX_SPAN("a.example");

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(stars); i++) {
		struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 443);
		struct ex_ruleset *rs;
		char text[600];

		snprintf(text, sizeof(text),
			 HEAD "  egress:\n  - toPorts: [{ports: [{port: '443', protocol: TCP}],"
			      " serverNames: ['%s']}]\n",
			 stars[i]);
		rs = test_compile(text);
		assert_false(ex_ruleset_uses_dns(rs));
		ASK(ex_judge_dns(rs, name), EX_V_DENY, EX_R_DNS_NAME_DENIED);
		ASK(ex_judge_app(rs, &f, EX_APP_TLS, name), EX_V_DENY, EX_R_ADDRESS_NOT_OF_NAME);
		f.names = &name;
		f.n_names = 1;
		ASK(ex_judge_app(rs, &f, EX_APP_TLS, name), EX_V_ALLOW, EX_R_ALLOWED);
		ex_ruleset_unref(rs);
	}
}

static struct ex_decision ask_host(const struct ex_ruleset *rs, const struct ex_flow *f,
				   const char *host, bool tls)
{
	struct ex_http_request q = { .tls = tls,
				     .method = EX_SPAN("GET"),
				     .path = EX_SPAN("/"),
				     .host = ex_span_str(host),
				     .authority = ex_span_str(host) };

	if (tls)
		q.sni = q.host;
	return ex_judge_http(rs, f, &q);
}

static void test_hosts_without_an_address(void **state)
{
	struct ex_ruleset *rs =
		test_compile(HEAD "  egress:\n"
				  "  - toEntities: [world]\n"
				  "    toPorts: [{ports: [{port: '80', protocol: TCP},"
				  " {port: '443', protocol: TCP}],"
				  " rules: {http: [{host: 'a[.]example(:443)?'}]}}]\n");
	struct ex_span names[] = { EX_SPAN("a.example"), EX_SPAN("evil.example") };
	struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 443);

	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		f.port = tls ? 443 : 80;
		f.n_names = 0;
		ASK(ask_host(rs, &f, "a.example", tls), EX_V_DENY, EX_R_ADDRESS_NOT_OF_NAME);
		f.names = names;
		f.n_names = 2;
		ASK(ask_host(rs, &f, "a.example", tls), EX_V_ALLOW, EX_R_ALLOWED);
		ASK(ask_host(rs, &f, "evil.example", tls), EX_V_DENY, EX_R_HOST_DENIED);
	}
	/* no handshake, so no server name leaves, for what no request could be allowed for */
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, names[0]), EX_V_STEER, EX_R_ALLOWED);
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, names[1]), EX_V_DENY, EX_R_HOST_DENIED);
	f.n_names = 0;
	ASK(ex_judge_app(rs, &f, EX_APP_TLS, names[0]), EX_V_DENY, EX_R_ADDRESS_NOT_OF_NAME);
	assert_true(ex_ruleset_intercepts(rs, names[0]));
	assert_false(ex_ruleset_intercepts(rs, names[1]));
	ex_ruleset_unref(rs);
}

static void test_rules_dns(void **state)
{
	struct ex_ruleset *rs =
		test_compile(HEAD "  egress:\n"
				  "  - toCIDR: [10.0.0.53/32]\n"
				  "    toPorts: [{ports: [{port: '53', protocol: ANY}],"
				  " rules: {dns: [{matchPattern: '*.corp.example'}]}}]\n");

	(void)state;
	ASK(test_l4(rs, "10.0.0.53", IPPROTO_UDP, 53), EX_V_STEER, EX_R_ALLOWED);
	ASK(test_l4(rs, "10.0.0.53", IPPROTO_TCP, 53), EX_V_STEER, EX_R_ALLOWED);
	ASK(test_l4(rs, "10.0.0.53", IPPROTO_SCTP, 53), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(ex_judge_dns(rs, ex_span_str("a.corp.example")), EX_V_ALLOW, EX_R_ALLOWED);
	ASK(ex_judge_dns(rs, ex_span_str("corp.example")), EX_V_DENY, EX_R_DNS_NAME_DENIED);
	ex_ruleset_unref(rs);
}

static void test_answers(void **state)
{
	static const char *const denied[] = {
		"127.0.0.1",
		"0.0.0.0",
		"169.254.169.254",
		"::ffff:169.254.169.254",
		"224.0.0.1",
		"fe80::1",
		"::1",
		"::",
		"192.168.7.7",
		"192.0.0.1",
		"10.66.0.1",
		"64:ff9b::a9fe:a9fe",
		"2002:7f00:1::",
		"ff02::1",
		"fd00:ec2::254",
		"100.100.100.200",
		"::169.254.169.254",
	};
	static const char *const fine[] = { "8.8.8.8", "2001:db8::1", "10.9.0.1", "10.67.0.1" };
	struct ex_ruleset *rs = test_compile(HEAD "  egressDeny:\n"
						  "  - toCIDR: [10.66.0.0/16]\n"
						  "  - toCIDR: [10.67.0.0/16]\n"
						  "    toPorts: [{ports: [{port: '22'}]}]\n");

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(denied); i++) {
		struct ex_ip ip = test_ip(denied[i]);

		ASK(ex_judge_answer(rs, &ip), EX_V_DENY, EX_R_DNS_ANSWER_DENIED);
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(fine); i++) {
		struct ex_ip ip = test_ip(fine[i]);

		ASK(ex_judge_answer(rs, &ip), EX_V_ALLOW, EX_R_ALLOWED);
	}
	ex_ruleset_unref(rs);
}

/* With metadata open, too: then names lead to it where it is not link-local. */
static void test_answers_that_no_policy_opens(void **state)
{
	static const char *const never[] = { "0.0.0.0",
					     "0.255.255.255",
					     "127.0.0.1",
					     "127.255.255.255",
					     "169.254.0.0",
					     "169.254.255.255",
					     "224.0.0.0",
					     "239.255.255.255",
					     "240.0.0.0",
					     "255.255.255.255",
					     "::",
					     "::1",
					     "fe80::",
					     "febf::ffff",
					     "ff00::",
					     "ff02::1",
					     "64:ff9b:1::1",
					     "2001::1",
					     "64:ff9b::7f00:1",
					     "64:ff9b::a9fe:1",
					     "2002:7f00:1::",
					     "2002:a9fe:1::",
					     "64:ff9b::e000:1",
					     "64:ff9b::",
					     "::127.0.0.1",
					     "::169.254.0.1",
					     "::ffff:169.254.0.1",
					     "2002:e000:1::" };
	static const char *const fine[] = {
		"1.0.0.0",     "126.255.255.255",  "128.0.0.0",       "169.253.255.255",
		"169.255.0.0", "223.255.255.255",  "fec0::1",         "fe7f::1",
		"2001:1::1",   "64:ff9b::808:808", "100.100.100.200", "fd00:ec2::254"
	};
	static const char text[] = HEAD "  egress:\n  - toEntities: [all]\n";
	const struct ex_compile_input in = { .deny_metadata = false };
	struct ex_diags diags = { 0 };
	struct ex_ruleset *rs = NULL;

	(void)state;
	assert_int_equal(ex_compile_text(text, strlen(text), NULL, 0, &in, &rs, &diags), 0);
	for (size_t i = 0; i < EX_ARRAY_SIZE(never); i++) {
		struct ex_ip ip = test_ip(never[i]);

		if (ex_judge_answer(rs, &ip).verdict != EX_V_DENY)
			fail_msg("%s", never[i]);
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(fine); i++) {
		struct ex_ip ip = test_ip(fine[i]);

		if (ex_judge_answer(rs, &ip).verdict != EX_V_ALLOW)
			fail_msg("%s", fine[i]);
	}
	ex_diags_done(&diags);
	ex_ruleset_unref(rs);
}

static void test_empty_rule_denies_all(void **state)
{
	struct ex_ruleset *rs = test_compile(HEAD "  egress: [{}]\n");

	(void)state;
	ASK(test_l4(rs, "8.8.8.8", IPPROTO_TCP, 80), EX_V_DENY, EX_R_DEFAULT_DENY);
	ASK(ex_judge_dns(rs, openai), EX_V_DENY, EX_R_DNS_NAME_DENIED);
	assert_false(ex_ruleset_uses_dns(rs));
	ex_ruleset_unref(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seed_l4),
		cmocka_unit_test(test_names_add_nothing_to_endpoints_and_host),
		cmocka_unit_test(test_dns_gate),
		cmocka_unit_test(test_seed_app),
		cmocka_unit_test(test_seed_http),
		cmocka_unit_test(test_miss_names_the_http_rule),
		cmocka_unit_test(test_name_of_another_rule_does_not_help),
		cmocka_unit_test(test_wildcard_names_are_bound_to_the_address),
		cmocka_unit_test(test_cidr_except_and_deny),
		cmocka_unit_test(test_world_entity),
		cmocka_unit_test(test_form_that_is_denied_is_denied_to_what_it_carries),
		cmocka_unit_test(test_answer_that_hides_what_is_no_answer_is_denied),
		cmocka_unit_test(test_l4_allow_voids_the_l7_list),
		cmocka_unit_test(test_a_name_alone_voids_no_list_of_others),
		cmocka_unit_test(test_server_names),
		cmocka_unit_test(test_server_names_of_named_addresses),
		cmocka_unit_test(test_server_names_of_stars_open_no_dns),
		cmocka_unit_test(test_hosts_without_an_address),
		cmocka_unit_test(test_rules_dns),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_answers_that_no_policy_opens),
		cmocka_unit_test(test_empty_rule_denies_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
