/* SPDX-License-Identifier: Apache-2.0 */
/* CiliumNetworkPolicy and its relatives, field by field: what each allows, and the deny beside it.
 */
#include "policy_helper.h"

#include <errno.h>

#define ALLOWED(rs, ip, proto, port)                                                               \
	assert_int_equal(test_l4(rs, ip, proto, port).verdict, EX_V_ALLOW)
#define STEERED(rs, ip, proto, port)                                                               \
	assert_int_equal(test_l4(rs, ip, proto, port).verdict, EX_V_STEER)
#define DENIED(rs, ip, proto, port, why)                                                           \
	do {                                                                                       \
		struct ex_decision d_ = test_l4(rs, ip, proto, port);                              \
		assert_int_equal(d_.verdict, EX_V_DENY);                                           \
		assert_string_equal(ex_reason_word(d_.reason), why);                               \
	} while (0)

static const char cluster[] =
	"endpoints:\n"
	"- {name: echo, namespace: ns, labels: {kind: echo, tier: \"1\"}, addresses: [10.0.0.1],"
	" ports: {http-8080: 8080, dns: 5353}}\n"
	"- {name: echo2, namespace: ns, labels: {kind: echo}, addresses: [10.0.0.2],"
	" ports: {http-8080: 9090}}\n"
	"- {name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}, addresses: [10.0.0.53]}\n"
	"- {name: api, labels: {\"reserved:kube-apiserver\": \"\"}, addresses: [10.0.0.99],"
	" ports: {https: 6443}}\n";

static struct ex_ruleset *compile(const char *text, const struct ex_label *labels, size_t n_labels,
				  int want)
{
	struct ex_ip host = test_ip("192.168.7.7");
	struct ex_compile_input in = { .host_ips = &host,
				       .n_host_ips = 1,
				       .labels = labels,
				       .n_labels = n_labels,
				       .deny_metadata = true };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	int r = ex_compile_text(text, strlen(text), cluster, sizeof(cluster) - 1, &in, &rs, &diags);

	if (r != want)
		ex_diags_print(&diags, stderr);
	ex_diags_done(&diags);
	assert_int_equal(r, want);
	return rs;
}

#define COMPILE(text) compile(text, NULL, 0, 0)
#define REFUSED(text) assert_null(compile(text, NULL, 0, -EINVAL))
#define SILENT(text)  assert_null(compile(text, NULL, 0, -ENOENT))

static void test_cidr_group(void **state)
{
	static const char group[] = "apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\n"
				    "metadata: {name: g, labels: {team: a}}\n"
				    "spec: {externalCIDRs: [1.0.0.0/8, '2606:4700::/32']}\n---\n";
	static const char by_ref[] =
		HEAD "  egress:\n  - toCIDRSet:\n    - cidrGroupRef: g\n"
		     "      except: [1.1.0.0/16, '2606:4700:1::/48', 9.0.0.0/8]\n";
	static const char by_label[] = HEAD "  egress:\n  - toCIDRSet:\n"
					    "    - cidrGroupSelector: {matchLabels: {team: a}}\n";
	char text[1000];
	struct ex_ruleset *rs;

	(void)state;
	snprintf(text, sizeof(text), "%s%s", group, by_ref);
	rs = COMPILE(text);
	ALLOWED(rs, "1.2.3.4", IPPROTO_TCP, 1);
	DENIED(rs, "1.1.3.4", IPPROTO_TCP, 1, "default-deny");
	ALLOWED(rs, "2606:4700::1", IPPROTO_TCP, 1);
	DENIED(rs, "2606:4700:1::1", IPPROTO_TCP, 1, "default-deny");
	DENIED(rs, "2.2.3.4", IPPROTO_TCP, 1, "default-deny");
	ex_ruleset_unref(rs);
	snprintf(text, sizeof(text), "%s%s", group, by_label);
	rs = COMPILE(text);
	ALLOWED(rs, "1.1.3.4", IPPROTO_TCP, 1);
	DENIED(rs, "2.2.3.4", IPPROTO_TCP, 1, "default-deny");
	ex_ruleset_unref(rs);
	REFUSED(by_ref);
	REFUSED(by_label);
}

static void test_icmp(void **state)
{
	struct ex_ruleset *rs = COMPILE(
		HEAD "  egress:\n  - toEntities: [world]\n    icmps:\n    - fields: [{type: 8},"
		     " {type: EchoRequest, family: IPv6}, {type: '13'}]\n");

	(void)state;
	ALLOWED(rs, "8.8.8.8", IPPROTO_ICMP, 8 << 8);
	ALLOWED(rs, "8.8.8.8", IPPROTO_ICMP, 8 << 8 | 5);
	ALLOWED(rs, "8.8.8.8", IPPROTO_ICMP, 13 << 8);
	DENIED(rs, "8.8.8.8", IPPROTO_ICMP, 9 << 8, "default-deny");
	DENIED(rs, "8.8.8.8", IPPROTO_ICMPV6, 8 << 8, "default-deny");
	DENIED(rs, "8.8.8.8", IPPROTO_TCP, 8 << 8, "default-deny");
	ALLOWED(rs, "2001:db8::1", IPPROTO_ICMPV6, 128 << 8);
	DENIED(rs, "2001:db8::1", IPPROTO_ICMPV6, 129 << 8, "default-deny");
	ex_ruleset_unref(rs);
	REFUSED(HEAD "  egress:\n  - icmps: [{fields: [{type: 256}]}]\n");
	REFUSED(HEAD "  egress:\n  - icmps: [{fields: [{type: Echo, family: IPv6}]}]\n");
	REFUSED(HEAD "  egress:\n  - icmps: [{fields: [{type: 8}]}]\n"
		     "    toPorts: [{ports: [{port: '80'}]}]\n");
}

static void test_port_restriction_drops_icmp(void **state)
{
	struct ex_ruleset *rs =
		COMPILE(HEAD "  egress:\n  - toEntities: [world]\n"
			     "    toPorts: [{ports: [{port: '0', protocol: ANY}]}]\n");

	(void)state;
	ALLOWED(rs, "8.8.8.8", IPPROTO_TCP, 0);
	ALLOWED(rs, "8.8.8.8", IPPROTO_SCTP, 65535);
	DENIED(rs, "8.8.8.8", IPPROTO_ICMP, 8 << 8, "default-deny");
	DENIED(rs, "8.8.8.8", 47, 0, "default-deny");
	ex_ruleset_unref(rs);
}

static void test_named_ports(void **state)
{
	struct ex_ruleset *rs = COMPILE(
		HEAD "  egress:\n  - toEndpoints: [{matchLabels: {kind: echo}}]\n"
		     "    toPorts: [{ports: [{port: HTTP-8080, protocol: TCP}, {port: '22'}]}]\n");

	(void)state;
	ALLOWED(rs, "10.0.0.1", IPPROTO_TCP, 8080);
	DENIED(rs, "10.0.0.1", IPPROTO_UDP, 8080, "default-deny");
	DENIED(rs, "10.0.0.1", IPPROTO_TCP, 9090, "default-deny");
	ALLOWED(rs, "10.0.0.2", IPPROTO_TCP, 9090);
	DENIED(rs, "10.0.0.2", IPPROTO_TCP, 8080, "default-deny");
	ALLOWED(rs, "10.0.0.2", IPPROTO_UDP, 22);
	ex_ruleset_unref(rs);
	/* entities have them, too */
	rs = COMPILE(HEAD "  egress:\n  - toEntities: [kube-apiserver]\n"
			  "    toPorts: [{ports: [{port: https, protocol: TCP}]}]\n");
	ALLOWED(rs, "10.0.0.99", IPPROTO_TCP, 6443);
	DENIED(rs, "10.0.0.99", IPPROTO_TCP, 443, "default-deny");
	DENIED(rs, "10.0.0.1", IPPROTO_TCP, 6443, "default-deny");
	ex_ruleset_unref(rs);
	rs = COMPILE(HEAD "  egress: [{toEntities: [all]}]\n"
			  "  egressDeny:\n  - toEntities: [cluster]\n"
			  "    toPorts: [{ports: [{port: https}, {port: http-8080}]}]\n");
	DENIED(rs, "10.0.0.99", IPPROTO_TCP, 6443, "policy-deny");
	DENIED(rs, "10.0.0.1", IPPROTO_TCP, 8080, "policy-deny");
	ALLOWED(rs, "10.0.0.99", IPPROTO_TCP, 8080);
	ex_ruleset_unref(rs);
	/* a name that nobody has allows nothing, and is refused where it would deny nothing */
	rs = COMPILE(HEAD "  egress:\n  - toEndpoints: [{}]\n"
			  "    toPorts: [{ports: [{port: x0x10}]}]\n");
	DENIED(rs, "10.0.0.1", IPPROTO_TCP, 16, "default-deny");
	ex_ruleset_unref(rs);
	REFUSED(HEAD "  egressDeny:\n  - toEndpoints: [{}]\n"
		     "    toPorts: [{ports: [{port: nothing}]}]\n");
}

static void test_selectors_and_namespaces(void **state)
{
	struct ex_ruleset *rs = COMPILE(
		HEAD
		"  egress:\n"
		"  - toEndpoints:\n"
		"    - matchExpressions:\n"
		"      - {key: kind, operator: In, values: [echo, x]}\n"
		"      - {key: tier, operator: DoesNotExist}\n"
		"      - {key: 'k8s:kind', operator: NotIn, values: [y]}\n"
		"      - {key: io.cilium.k8s.policy.cluster, operator: In, values: [default]}\n"
		"  - toEndpoints:\n"
		"    - matchLabels: {'k8s:io.kubernetes.pod.namespace': kube-system}\n"
		"    toPorts: [{ports: [{port: '53', protocol: ANY}]}]\n");

	(void)state;
	ALLOWED(rs, "10.0.0.2", IPPROTO_TCP, 1);
	DENIED(rs, "10.0.0.1", IPPROTO_TCP, 1, "default-deny");
	ALLOWED(rs, "10.0.0.53", IPPROTO_UDP, 53);
	DENIED(rs, "10.0.0.53", IPPROTO_UDP, 54, "default-deny");
	ex_ruleset_unref(rs);
	rs = COMPILE(HEAD "  egress: [{toEndpoints: [{}]}]\n");
	ALLOWED(rs, "10.0.0.1", IPPROTO_TCP, 1);
	DENIED(rs, "10.0.0.53", IPPROTO_TCP, 1, "default-deny"); /* another namespace */
	DENIED(rs, "10.0.0.99", IPPROTO_TCP, 1, "default-deny"); /* an entity */
	ex_ruleset_unref(rs);
	rs = COMPILE(HEAD "  egress: [{toEndpoints: []}]\n");
	DENIED(rs, "10.0.0.1", IPPROTO_TCP, 1, "default-deny");
	ex_ruleset_unref(rs);
}

static void test_clusterwide(void **state)
{
	struct ex_ruleset *rs = COMPILE("apiVersion: cilium.io/v2\n"
					"kind: CiliumClusterwideNetworkPolicy\n"
					"metadata: {name: p}\n"
					"spec:\n  endpointSelector: {}\n"
					"  egress: [{toEndpoints: [{}]}]\n");

	(void)state;
	ALLOWED(rs, "10.0.0.1", IPPROTO_TCP, 1);
	ALLOWED(rs, "10.0.0.53", IPPROTO_TCP, 1);
	DENIED(rs, "10.0.0.99", IPPROTO_TCP, 1, "default-deny");
	DENIED(rs, "8.8.8.8", IPPROTO_TCP, 1, "default-deny");
	ex_ruleset_unref(rs);
	REFUSED("apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\n"
		"metadata: {name: p, namespace: x}\nspec: {endpointSelector: {}, egress: [{}]}\n");
	REFUSED("apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\n"
		"metadata: {name: p}\nspec: {nodeSelector: {}, egress: [{}]}\n");
}

static void test_entities(void **state)
{
	struct ex_ruleset *rs = COMPILE(HEAD "  egress: [{toEntities: [kube-apiserver]}]\n");

	(void)state;
	ALLOWED(rs, "10.0.0.99", IPPROTO_TCP, 443);
	DENIED(rs, "10.0.0.98", IPPROTO_TCP, 443, "default-deny");
	ex_ruleset_unref(rs);
	rs = COMPILE(HEAD "  egress: [{toEntities: [cluster]}]\n");
	ALLOWED(rs, "10.0.0.99", IPPROTO_TCP, 443);
	ALLOWED(rs, "10.0.0.1", IPPROTO_TCP, 443);
	ALLOWED(rs, "192.168.7.7", IPPROTO_TCP, 443);
	DENIED(rs, "8.8.8.8", IPPROTO_TCP, 443, "default-deny");
	ex_ruleset_unref(rs);
	rs = COMPILE(HEAD "  egress: [{toEntities: [host]}]\n");
	ALLOWED(rs, "192.168.7.7", IPPROTO_TCP, 443);
	DENIED(rs, "10.0.0.1", IPPROTO_TCP, 443, "default-deny");
	ex_ruleset_unref(rs);
	rs = COMPILE(HEAD "  egress: [{toEntities: [world-ipv6]}]\n");
	ALLOWED(rs, "2001:db8::1", IPPROTO_TCP, 443);
	DENIED(rs, "8.8.8.8", IPPROTO_TCP, 443, "default-deny");
	DENIED(rs, "64:ff9b::808:808", IPPROTO_TCP, 443, "default-deny");
	ex_ruleset_unref(rs);
	REFUSED(HEAD "  egressDeny: [{toEntities: [remote-node]}]\n");
}

static void test_deny_only_and_allow_all(void **state)
{
	static const char deny[] =
		HEAD "  egressDeny:\n  - toCIDRSet: [{cidr: 1.0.0.0/8, except: [1.1.1.1/32]}]\n";
	char text[1000];
	struct ex_ruleset *rs = COMPILE(deny);

	(void)state;
	DENIED(rs, "1.1.1.1", IPPROTO_TCP, 443, "default-deny");
	DENIED(rs, "1.0.0.1", IPPROTO_TCP, 443, "policy-deny");
	ex_ruleset_unref(rs);
	snprintf(text, sizeof(text), "%s---\n%s", deny, HEAD "  egress: [{toEntities: [all]}]\n");
	rs = COMPILE(text);
	ALLOWED(rs, "1.1.1.1", IPPROTO_TCP, 443);
	DENIED(rs, "1.0.0.1", IPPROTO_TCP, 443, "policy-deny");
	ALLOWED(rs, "10.0.0.53", IPPROTO_UDP, 53);
	ex_ruleset_unref(rs);
}

static void test_wide_deny_beats_narrow_allow(void **state)
{
	struct ex_ruleset *rs = COMPILE(HEAD "  egress: [{toCIDR: [1.2.3.4/32]}]\n"
					     "  egressDeny: [{toCIDR: [1.0.0.0/8]}]\n");

	(void)state;
	DENIED(rs, "1.2.3.4", IPPROTO_TCP, 443, "policy-deny");
	ex_ruleset_unref(rs);
}

static void test_default_deny_switch(void **state)
{
	struct ex_ruleset *rs = COMPILE(HEAD "  enableDefaultDeny: {egress: false}\n  egress:\n"
					     "  - toCIDR: [10.8.0.0/16]\n"
					     "    toPorts: [{ports: [{port: '80', protocol: TCP}],"
					     " rules: {http: [{method: GET}]}}]\n"
					     "  egressDeny: [{toCIDR: [1.0.0.0/8]}]\n");
	char text[1000];

	(void)state;
	ALLOWED(rs, "8.8.8.8", IPPROTO_TCP, 443);
	STEERED(rs, "10.8.0.1", IPPROTO_TCP, 80); /* does not turn off L7 denial */
	ALLOWED(rs, "10.8.0.1", IPPROTO_TCP, 81);
	DENIED(rs, "1.0.0.1", IPPROTO_TCP, 443, "policy-deny");
	DENIED(rs, "169.254.169.254", IPPROTO_TCP, 80, "reserved-deny");
	ALLOWED(rs, "10.0.0.1", IPPROTO_TCP, 22); /* endpoints are nobody special here */
	DENIED(rs, "192.168.7.7", IPPROTO_TCP, 22, "default-deny"); /* the node is */
	ex_ruleset_unref(rs);
	/* nor for one name, where another's rule has no list */
	rs = COMPILE(HEAD "  enableDefaultDeny: {egress: false}\n  egress:\n"
			  "  - toFQDNs: [{matchName: a.example}]\n"
			  "    toPorts: [{ports: [{port: '443', protocol: TCP}],"
			  " rules: {http: [{path: /ok}]}}]\n"
			  "  - toFQDNs: [{matchName: b.example}]\n"
			  "    toPorts: [{ports: [{port: '443', protocol: TCP}]}]\n");
	STEERED(rs, "8.8.8.8", IPPROTO_TCP, 443);
	ALLOWED(rs, "8.8.8.8", IPPROTO_TCP, 444);
	ex_ruleset_unref(rs);
	/* one policy that asks for default deny is enough */
	snprintf(text, sizeof(text), "%s---\n%s",
		 HEAD "  enableDefaultDeny: {egress: false}\n  egress: [{}]\n",
		 HEAD "  egress: [{toCIDR: [2.0.0.0/8]}]\n");
	rs = COMPILE(text);
	DENIED(rs, "8.8.8.8", IPPROTO_TCP, 443, "default-deny");
	ALLOWED(rs, "2.2.3.4", IPPROTO_TCP, 443);
	ex_ruleset_unref(rs);
}

static void test_silence_about_egress_is_refused(void **state)
{
	(void)state;
	SILENT(HEAD "  ingress: [{}]\n");
	REFUSED("");
	SILENT("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
	       "spec: {podSelector: {}, ingress: [{}]}\n");
	SILENT("apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: g}\n"
	       "spec: {externalCIDRs: [1.0.0.0/8]}\n");
}

static void test_workload_labels_select_policies(void **state)
{
	static const char text[] =
		"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: ns}\n"
		"spec: {endpointSelector: {matchLabels: {app: a}}, egress: [{toCIDR: [1.0.0.0/8]}]}\n---\n"
		"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: b, namespace: ns}\n"
		"spec: {endpointSelector: {matchLabels: {app: b}}, egress: [{toCIDR: [2.0.0.0/8]}]}\n";
	struct ex_label a[] = { { "app", "a" }, { "io.kubernetes.pod.namespace", "ns" } };
	struct ex_label other[] = { { "app", "a" }, { "io.kubernetes.pod.namespace", "x" } };
	struct ex_label none[] = { { "app", "c" } };
	struct ex_ruleset *rs;

	(void)state;
	rs = compile(text, a, 1, 0);
	ALLOWED(rs, "1.0.0.1", IPPROTO_TCP, 1);
	DENIED(rs, "2.0.0.1", IPPROTO_TCP, 1, "default-deny");
	ex_ruleset_unref(rs);
	rs = compile(text, a, 2, 0);
	ALLOWED(rs, "1.0.0.1", IPPROTO_TCP, 1);
	ex_ruleset_unref(rs);
	assert_null(compile(text, other, 2, -ENOENT));
	assert_null(compile(text, none, 1, -ENOENT));
	rs = COMPILE(text); /* no labels: every policy */
	ALLOWED(rs, "2.0.0.1", IPPROTO_TCP, 1);
	ex_ruleset_unref(rs);
}

static void test_kubernetes_policy(void **state)
{
	struct ex_ruleset *rs = COMPILE(
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		"metadata: {name: p, namespace: ns}\n"
		"spec:\n  podSelector: {}\n  policyTypes: [Egress]\n  egress:\n"
		"  - to:\n"
		"    - ipBlock: {cidr: 1.0.0.0/8, except: [1.1.0.0/16]}\n"
		"    - podSelector: {matchLabels: {tier: \"1\"}}\n"
		"    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}\n"
		"      podSelector: {matchLabels: {k8s-app: kube-dns}}\n"
		"    ports: [{port: 80, endPort: 90}, {port: 53, protocol: UDP}]\n"
		"  - ports: [{protocol: SCTP}]\n");

	(void)state;
	ALLOWED(rs, "1.0.0.1", IPPROTO_TCP, 90);
	DENIED(rs, "1.0.0.1", IPPROTO_TCP, 91, "default-deny");
	DENIED(rs, "1.0.0.1", IPPROTO_UDP, 80, "default-deny"); /* the default is TCP */
	DENIED(rs, "1.1.0.1", IPPROTO_TCP, 80, "default-deny");
	ALLOWED(rs, "10.0.0.1", IPPROTO_TCP, 80);
	DENIED(rs, "10.0.0.2", IPPROTO_TCP, 80, "default-deny");
	ALLOWED(rs, "10.0.0.53", IPPROTO_UDP, 53);
	ALLOWED(rs, "9.9.9.9", IPPROTO_SCTP, 7);
	ex_ruleset_unref(rs);
	rs = COMPILE("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
		     "spec: {podSelector: {}, policyTypes: [Egress]}\n");
	DENIED(rs, "9.9.9.9", IPPROTO_TCP, 7, "default-deny");
	ex_ruleset_unref(rs);
	rs = COMPILE("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
		     "spec: {podSelector: {}, egress: [{}]}\n");
	ALLOWED(rs, "9.9.9.9", IPPROTO_TCP, 7);
	ex_ruleset_unref(rs);
	rs = COMPILE("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
		     "spec: {podSelector: {}, policyTypes: [], egress: [{}]}\n");
	ALLOWED(rs, "9.9.9.9", IPPROTO_TCP, 7);
	ex_ruleset_unref(rs);
	REFUSED("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
		"spec: {podSelector: {}, policyTypes: [Ingress], egress: [{}]}\n");
}

static void test_l7_empty_and_absent(void **state)
{
	static const char *const open[] = { "rules: {}", "rules: {http: []}", "rules:" };
	struct ex_ruleset *rs;
	char text[1000];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(open); i++) {
		snprintf(text, sizeof(text),
			 HEAD
			 "  egress:\n  - toPorts:\n    - ports: [{port: '80', protocol: TCP}]\n"
			 "      %s\n",
			 open[i]);
		rs = COMPILE(text);
		ALLOWED(rs, "9.9.9.9", IPPROTO_TCP, 80);
		ex_ruleset_unref(rs);
	}
	rs = COMPILE(HEAD "  egress:\n  - toPorts:\n    - ports: [{port: '80', protocol: TCP}]\n"
			  "      rules: {http: [{}]}\n");
	STEERED(rs, "9.9.9.9", IPPROTO_TCP, 80);
	ex_ruleset_unref(rs);
}

static struct ex_decision ask(const struct ex_ruleset *rs, const struct ex_header *h, size_t n,
			      const char *path)
{
	struct ex_flow f = test_flow("9.9.9.9", IPPROTO_TCP, 80);
	struct ex_span name = EX_SPAN("x");
	struct ex_http_request q = { .method = EX_SPAN("GET"),
				     .path = ex_span_str(path),
				     .host = name,
				     .authority = EX_SPAN("x:80"),
				     .headers = h,
				     .n_headers = n };

	f.names = &name;
	f.n_names = 1;
	return ex_judge_http(rs, &f, &q);
}

static void test_headers(void **state)
{
	struct ex_ruleset *rs = COMPILE(
		HEAD "  egress:\n  - toPorts:\n    - ports: [{port: '80', protocol: TCP}]\n"
		     "      rules:\n        http:\n"
		     "        - {path: /a, headers: ['X-Secret: 42', X-There]}\n"
		     "        - {path: /b, headerMatches: [{name: x-secret, value: '42'}]}\n"
		     "        - {path: /c, host: 'x:80'}\n"
		     "        - {path: /d, host: 'x'}\n");
	struct ex_header h[] = {
		{ EX_SPAN("x-secret"), EX_SPAN("42") },
		{ EX_SPAN("X-THERE"), EX_SPAN("") },
		{ EX_SPAN("x-secret"), EX_SPAN("43") },
	};

	(void)state;
	assert_int_equal(ask(rs, h, 2, "/a").verdict, EX_V_ALLOW);
	assert_int_equal(ask(rs, h, 1, "/a").verdict, EX_V_DENY);
	assert_int_equal(ask(rs, h, 1, "/b").verdict, EX_V_ALLOW);
	assert_int_equal(ask(rs, h + 2, 1, "/b").verdict, EX_V_DENY);
	assert_int_equal(ask(rs, h, 3, "/b").verdict, EX_V_DENY); /* two values are no value */
	assert_int_equal(ask(rs, NULL, 0, "/c").verdict, EX_V_ALLOW);
	assert_int_equal(ask(rs, NULL, 0, "/d").verdict, EX_V_DENY);
	ex_ruleset_unref(rs);
}

static void test_server_names_beside_http(void **state)
{
	struct ex_ruleset *rs =
		COMPILE(HEAD "  egress:\n  - toPorts:\n    - ports: [{port: '80', protocol: TCP}]\n"
			     "      serverNames: [a.example]\n"
			     "      terminatingTLS: {secret: {namespace: x, name: y}}\n"
			     "      rules: {http: [{method: GET}]}\n");
	struct ex_flow f = test_flow("9.9.9.9", IPPROTO_TCP, 80);
	struct ex_span a = EX_SPAN("a.example"), b = EX_SPAN("b.example"), none = { 0 };
	struct ex_http_request q = { .tls = true,
				     .sni = b,
				     .method = EX_SPAN("GET"),
				     .path = EX_SPAN("/"),
				     .host = b,
				     .authority = b };

	(void)state;
	assert_int_equal(ex_judge_app(rs, &f, EX_APP_TLS, a).reason, EX_R_ADDRESS_NOT_OF_NAME);
	f.names = &a;
	f.n_names = 1;
	assert_int_equal(ex_judge_app(rs, &f, EX_APP_TLS, a).verdict, EX_V_STEER);
	assert_int_equal(ex_judge_app(rs, &f, EX_APP_TLS, b).verdict, EX_V_DENY);
	assert_int_equal(ex_judge_app(rs, &f, EX_APP_HTTP, none).verdict, EX_V_DENY);
	assert_int_equal(ex_judge_http(rs, &f, &q).verdict, EX_V_DENY);
	q.sni = q.host = q.authority = a;
	assert_int_equal(ex_judge_http(rs, &f, &q).verdict, EX_V_ALLOW);
	f.n_names = 0;
	assert_int_equal(ex_judge_http(rs, &f, &q).reason, EX_R_ADDRESS_NOT_OF_NAME);
	ex_ruleset_unref(rs);
	REFUSED(HEAD "  egress:\n  - toPorts:\n    - ports: [{port: '80', protocol: TCP}]\n"
		     "      serverNames: [a.example]\n      rules: {http: [{method: GET}]}\n");
}

static void test_log_value(void **state)
{
	struct ex_ruleset *rs = COMPILE(HEAD "  log: {value: hello}\n  egress: [{}]\n");

	(void)state;
	assert_string_equal(ex_ruleset_rule(rs, 1)->log, "hello");
	ex_ruleset_unref(rs);
	REFUSED(HEAD "  log: {value: 'a234567890123456789012345678901234'}\n  egress: [{}]\n");
	REFUSED(HEAD "  log: {value: \"a\\x1b\"}\n  egress: [{}]\n");
}

static void test_list_limits(void **state)
{
	char text[4000] = HEAD "  egress:\n  - toPorts:\n    - ports:\n";
	struct ex_ruleset *rs;

	(void)state;
	for (int i = 0; i < 40; i++)
		snprintf(text + strlen(text), 40, "      - {port: '%d'}\n", i + 1);
	rs = COMPILE(text);
	ex_ruleset_unref(rs);
	snprintf(text + strlen(text), 40, "      - {port: '41'}\n");
	REFUSED(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cidr_group),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_port_restriction_drops_icmp),
		cmocka_unit_test(test_named_ports),
		cmocka_unit_test(test_selectors_and_namespaces),
		cmocka_unit_test(test_clusterwide),
		cmocka_unit_test(test_entities),
		cmocka_unit_test(test_deny_only_and_allow_all),
		cmocka_unit_test(test_wide_deny_beats_narrow_allow),
		cmocka_unit_test(test_default_deny_switch),
		cmocka_unit_test(test_silence_about_egress_is_refused),
		cmocka_unit_test(test_workload_labels_select_policies),
		cmocka_unit_test(test_kubernetes_policy),
		cmocka_unit_test(test_l7_empty_and_absent),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_server_names_beside_http),
		cmocka_unit_test(test_log_value),
		cmocka_unit_test(test_list_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
