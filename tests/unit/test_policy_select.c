/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One endpoint of many: which policies are for it, what it is when none is, and that two processes
 * which compile the same texts agree on every rule id.
 */
#include "policy_helper.h"

#include <errno.h>
#include <stdio.h>

#include "policy/selects.h"

#define NS "io.kubernetes.pod.namespace"

#define POLICY(kind, meta, spec)                                                                   \
	"apiVersion: cilium.io/v2\nkind: " kind "\nmetadata: " meta "\nspec: " spec "\n"
#define CNP(ns, spec)   POLICY("CiliumNetworkPolicy", "{name: p, namespace: " ns "}", spec)
#define CCNP(spec)      POLICY("CiliumClusterwideNetworkPolicy", "{name: c}", spec)
#define PLAIN_CNP(spec) POLICY("CiliumNetworkPolicy", "{name: p}", spec)

static const char known[] =
	"endpoints:\n"
	"- {name: gw, namespace: a, labels: {app: gw}, addresses: [10.9.0.1]}\n"
	"- {name: gw, namespace: b, labels: {app: gw}, addresses: [10.9.0.2]}\n"
	"- {name: api, labels: {'reserved:kube-apiserver': ''}, addresses: [10.9.0.3]}\n";

static struct ex_ruleset *compile_for(const char *text, const struct ex_label *labels, size_t n,
				      bool allow, int want)
{
	const struct ex_compile_input in = {
		.labels = labels, .n_labels = n, .allow_unselected = allow, .deny_metadata = true
	};
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	int r = ex_compile_text(text, strlen(text), known, sizeof(known) - 1, &in, &rs, &diags);

	if (r != want)
		ex_diags_print(&diags, stderr);
	assert_int_equal(r, want);
	if (r < 0)
		assert_true(diags.n > 0);
	ex_diags_done(&diags);
	return rs;
}

static struct ex_ruleset *in_namespace(const char *text, const char *ns)
{
	const struct ex_label labels[] = { { "app", "web" }, { NS, ns } };

	return compile_for(text, labels, 2, false, 0);
}

static void not_in_namespace(const char *text, const char *ns)
{
	const struct ex_label labels[] = { { "app", "web" }, { NS, ns } };

	assert_null(compile_for(text, labels, 2, false, -ENOENT));
}

static bool allows(const struct ex_ruleset *rs, const char *ip)
{
	return test_l4(rs, ip, IPPROTO_TCP, 80).verdict == EX_V_ALLOW;
}

/* Asks, and lets go of the ruleset. */
static void check(struct ex_ruleset *rs, const char *allowed, const char *denied)
{
	if (allowed)
		assert_true(allows(rs, allowed));
	if (denied)
		assert_false(allows(rs, denied));
	ex_ruleset_unref(rs);
}

static void test_namespaced_policy_is_for_its_namespace_only(void **state)
{
	static const char a[] = CNP("a", "{endpointSelector: {}, egress: [{toCIDR: [1.0.0.0/8]}]}");
	static const char none[] =
		PLAIN_CNP("{endpointSelector: {}, egress: [{toCIDR: [1.0.0.0/8]}]}");

	(void)state;
	check(in_namespace(a, "a"), "1.0.0.1", "2.0.0.1");
	not_in_namespace(a, "b");
	check(in_namespace(none, "default"), "1.0.0.1", "2.0.0.1");
	not_in_namespace(none, "a");
}

static void test_clusterwide_policy_is_for_every_namespace(void **state)
{
	static const char all[] = CCNP("{endpointSelector: {}, egress: [{toCIDR: [1.0.0.0/8]}]}");
	static const char some[] = CCNP("{endpointSelector: {matchLabels: {k8s:" NS ": a}},"
					" egress: [{toCIDR: [1.0.0.0/8]}]}");

	(void)state;
	check(in_namespace(all, "a"), "1.0.0.1", "2.0.0.1");
	check(in_namespace(all, "b"), "1.0.0.1", "2.0.0.1");
	check(in_namespace(some, "a"), "1.0.0.1", "2.0.0.1");
	not_in_namespace(some, "b");
}

/* Upstream overwrites it, with a warning: a policy must not silently be for nobody. */
static void test_selector_cannot_leave_the_namespace(void **state)
{
	static const char text[] = CNP("a", "{endpointSelector: {matchLabels: {" NS ": b}},"
					    " egress: [{toCIDR: [1.0.0.0/8]}]}");

	static const char in[] = CNP("a", "{endpointSelector: {matchExpressions: [{key: " NS ","
					  " operator: In, values: [b]}]},"
					  " egress: [{toCIDR: [1.0.0.0/8]}]}");
	static const char both[] = CNP("a", "{endpointSelector: {matchLabels: {" NS ": a},"
					    " matchExpressions: [{key: " NS ","
					    " operator: In, values: [b]}]},"
					    " egress: [{toCIDR: [1.0.0.0/8]}]}");

	(void)state;
	check(in_namespace(text, "a"), "1.0.0.1", "2.0.0.1");
	not_in_namespace(text, "b");
	/* an expression stays, and is of nobody then, whatever stands beside it */
	not_in_namespace(in, "a");
	not_in_namespace(in, "b");
	not_in_namespace(both, "a");
	not_in_namespace(both, "b");
}

static void test_labels_that_the_cluster_adds(void **state)
{
	static const char text[] =
		CCNP("{endpointSelector: {matchLabels: {"
		     "io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name: a,"
		     " io.cilium.k8s.policy.cluster: default}}, egress: [{toCIDR: [1.0.0.0/8]}]}");

	(void)state;
	check(in_namespace(text, "a"), "1.0.0.1", "2.0.0.1");
	not_in_namespace(text, "b");
}

static void test_endpoints_of_the_policys_namespace(void **state)
{
	static const char own[] = CNP("a", "{endpointSelector: {},"
					   " egress: [{toEndpoints: [{matchLabels: {app: gw}}]}]}");
	static const char every[] =
		CNP("a", "{endpointSelector: {}, egress: [{toEndpoints: [{}]}]}");
	static const char other[] =
		CNP("a", "{endpointSelector: {}, egress: [{toEndpoints: [{matchLabels:"
			 " {app: gw, " NS ": b}}]}]}");
	static const char wide[] = CCNP("{endpointSelector: {},"
					" egress: [{toEndpoints: [{matchLabels: {app: gw}}]}]}");

	(void)state;
	check(in_namespace(own, "a"), "10.9.0.1", "10.9.0.2");
	check(in_namespace(every, "a"), "10.9.0.1", "10.9.0.2");
	check(in_namespace(every, "a"), NULL, "10.9.0.3");
	check(in_namespace(other, "a"), "10.9.0.2", "10.9.0.1");
	check(in_namespace(wide, "a"), "10.9.0.1", "10.9.0.3");
	check(in_namespace(wide, "a"), "10.9.0.2", NULL);
}

/* What has no namespace is not one "whose labels are not these", cluster-wide. */
static void test_labels_of_namespaces_are_of_endpoints_that_have_one(void **state)
{
	static const char wide[] =
		CCNP("{endpointSelector: {}, egress: [{toEndpoints: [{matchExpressions:"
		     " [{key: io.cilium.k8s.namespace.labels.team, operator: NotIn,"
		     " values: [red]}]}]}]}");
	static const char every[] =
		CNP("a", "{endpointSelector: {}, egress: [{toEndpoints: [{matchLabels:"
			 " {io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name: b}}]}]}");

	(void)state;
	check(in_namespace(wide, "a"), "10.9.0.1", "10.9.0.3");
	check(in_namespace(wide, "a"), "10.9.0.2", NULL);
	check(in_namespace(every, "a"), "10.9.0.2", "10.9.0.1");
}

/* What has a reserved label has no namespace. */
static void test_reserved_labels_need_no_namespace(void **state)
{
	static const char text[] =
		CNP("a", "{endpointSelector: {}, egress: [{toEndpoints: [{matchLabels:"
			 " {'reserved:kube-apiserver': ''}}]}]}");

	(void)state;
	check(in_namespace(text, "a"), "10.9.0.3", "10.9.0.1");
}

static void test_unselected_is_told_apart_from_an_error(void **state)
{
	static const char other[] = CNP("b", "{endpointSelector: {}, egress: [{}]}");
	static const char inward[] = CNP("a", "{endpointSelector: {}, ingress: [{}]}");
	static const char bad[] = CNP("a", "{endpointSelector: {}, egress: [{toCIDR: [x]}]}");
	static const char bad_elsewhere[] =
		CNP("b", "{endpointSelector: {}, egress: [{toCIDR: [x]}]}");
	const struct ex_label labels[] = { { NS, "a" } };
	struct ex_ruleset *rs;

	(void)state;
	assert_null(compile_for(other, labels, 1, false, -ENOENT));
	assert_null(compile_for(inward, labels, 1, false, -ENOENT));
	assert_null(compile_for(bad, labels, 1, true, -EINVAL));
	assert_null(compile_for(bad_elsewhere, labels, 1, true, -EINVAL));
	rs = compile_for(other, labels, 1, true, 0);
	assert_true(ex_ruleset_is_unselected(rs));
	assert_true(allows(rs, "9.9.9.9"));
	assert_true(allows(rs, "10.9.0.1"));
	assert_false(allows(rs, "169.254.169.254"));
	assert_false(allows(rs, "127.0.0.1"));
	ex_ruleset_unref(rs);
	rs = compile_for(CNP("a", "{endpointSelector: {}, egress: [{}]}"), labels, 1, true, 0);
	assert_false(ex_ruleset_is_unselected(rs));
	check(rs, NULL, "9.9.9.9");
}

/* One policy that asks for default deny is enough; without one, rules only add. */
static void test_default_deny_of_several_policies(void **state)
{
	static const char open[] =
		CNP("a", "{endpointSelector: {}, enableDefaultDeny: {egress: false},"
			 " egress: [{toCIDR: [1.0.0.0/8]}], egressDeny: [{toCIDR: [2.0.0.0/8]}]}");
	static const char shut[] = CNP(
		"a",
		"{endpointSelector: {}, enableDefaultDeny: {egress: false},"
		" egress: [{toCIDR: [1.0.0.0/8]}]}") "---\n" CCNP("{endpointSelector: {}, egress: [{toCIDR: [3.0.0.0/8]}]}");
	static const char elsewhere[] = CNP(
		"a",
		"{endpointSelector: {}, enableDefaultDeny: {egress: false},"
		" egress: [{toCIDR: [1.0.0.0/8]}]}") "---\n" CNP("b",
								 "{endpointSelector: {}, egress: [{}]}");
	static const char said[] = CNP("a", "{endpointSelector: {}, ingress: [{}],"
					    " enableDefaultDeny: {egress: true}}");

	(void)state;
	check(in_namespace(open, "a"), "9.9.9.9", "2.0.0.1");
	check(in_namespace(shut, "a"), "1.0.0.1", "9.9.9.9");
	check(in_namespace(shut, "a"), "3.0.0.1", "9.9.9.9");
	check(in_namespace(elsewhere, "a"), "9.9.9.9", NULL);
	check(in_namespace(said, "a"), NULL, "9.9.9.9");
}

static void test_kubernetes_policy_is_namespaced(void **state)
{
	static const char text[] =
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		"metadata: {name: p, namespace: a}\n"
		"spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress],\n"
		"       egress: [{to: [{ipBlock: {cidr: 1.0.0.0/8}}]}]}\n";

	(void)state;
	check(in_namespace(text, "a"), "1.0.0.1", "2.0.0.1");
	not_in_namespace(text, "b");
}

/* ---- texts ---- */

static const struct ex_text parts[] = {
	{ "one.yaml",
	  EX_SPAN(CNP("a", "{endpointSelector: {}, egress: [{toCIDR: [1.0.0.0/8]}]}")) },
	{ "two.yaml", EX_SPAN(CNP("a", "{endpointSelector: {},"
				       " egress: [{toEndpoints: [{matchLabels: {app: gw}}]}]}")) },
};
static const struct ex_text places[] = {
	{ "near.yaml",
	  EX_SPAN("endpoints: [{name: x, namespace: a, labels: {app: gw}, addresses: [10.1.0.1]}]") },
	{ "far.yaml",
	  EX_SPAN("endpoints: [{name: y, namespace: a, labels: {app: gw}, addresses: [10.2.0.1]}]") },
};

static void test_several_texts_make_one_policy(void **state)
{
	const struct ex_compile_input in = {
		.texts = parts, .n_texts = 2, .endpoints = places, .n_endpoints = 2
	};
	struct ex_ruleset *rs = NULL, *again = NULL;
	struct ex_diags diags = { 0 };

	(void)state;
	assert_int_equal(ex_compile(&in, &rs, &diags), 0);
	assert_int_equal(ex_compile(&in, &again, &diags), 0);
	assert_true(allows(rs, "1.0.0.1"));
	assert_true(allows(rs, "10.1.0.1"));
	assert_true(allows(rs, "10.2.0.1"));
	assert_false(allows(rs, "10.3.0.1"));
	assert_int_equal(ex_ruleset_n_rules(rs), 2);
	assert_int_equal(ex_ruleset_n_rules(again), 2);
	for (uint32_t i = 1; i <= 2; i++) {
		assert_string_equal(ex_ruleset_rule(rs, i)->file, parts[i - 1].name);
		assert_string_equal(ex_ruleset_rule(again, i)->file, parts[i - 1].name);
		assert_ptr_not_equal(ex_ruleset_rule(rs, i)->file, parts[i - 1].name);
	}
	ex_ruleset_unref(rs);
	ex_ruleset_unref(again);
	ex_diags_done(&diags);
}

static void test_error_names_the_text_it_is_in(void **state)
{
	const struct ex_text bad[] = { parts[0], { "three.yaml", EX_SPAN("kind: nothing\n") } };
	const struct ex_text bad_place[] = { places[0], { "odd.yaml", EX_SPAN("endpoints: 1\n") } };
	struct ex_compile_input in = { .texts = bad, .n_texts = 2 };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	(void)state;
	assert_int_equal(ex_compile(&in, &rs, &diags), -EINVAL);
	assert_int_equal(diags.n, 1);
	assert_string_equal(diags.items[0].file, "three.yaml");
	ex_diags_done(&diags);
	in = (struct ex_compile_input){
		.texts = parts, .n_texts = 2, .endpoints = bad_place, .n_endpoints = 2
	};
	assert_int_equal(ex_compile(&in, &rs, &diags), -EINVAL);
	assert_int_equal(diags.n, 1);
	assert_string_equal(diags.items[0].file, "odd.yaml");
	ex_diags_done(&diags);
	assert_null(rs);
}

/* A file of no bytes has no memory; one may begin with a mark of its encoding. */
static void test_empty_text_and_byte_order_mark(void **state)
{
	const struct ex_text marked = {
		"m.yaml", EX_SPAN("\xef\xbb\xbf" CNP("a", "{endpointSelector: {}, egress: [{}]}"))
	};
	const struct ex_text empty = { "empty.yaml", { NULL, 0 } };
	struct ex_compile_input in = { .texts = &marked, .n_texts = 1 };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	(void)state;
	assert_int_equal(ex_compile(&in, &rs, &diags), 0);
	ex_ruleset_unref(rs);
	in.texts = &empty;
	assert_int_equal(ex_compile(&in, &rs, &diags), -EINVAL);
	in.n_texts = 0;
	in.endpoints = &empty;
	in.n_endpoints = 1;
	assert_int_equal(ex_compile(&in, &rs, &diags), -ENOENT);
	ex_diags_done(&diags);
}

/* ---- what is not for somebody ---- */

/* A policy in a form of its own; in what it says its number stands behind "mark". */
static size_t write_form(char *to, size_t size, int form, int i)
{
	switch (form) {
	case 0:
		return (size_t)snprintf(
			to, size,
			"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n"
			"  name: d%d\n  annotations: {last: 'mark%d.'}\nspec:\n"
			"  endpointSelector: {}\n  egress:\n"
			"  - toFQDNs: [{matchName: a.example}]\n    toPorts:\n"
			"    - ports: [{port: '443', protocol: TCP}]\n      rules:\n        http:\n"
			"        - headerMatches: [{name: X, value: \"\xc3\xa9\xe2\x9c\x93 mark%d.\"}]\n"
			"# mark%d. \xe2\x9c\x93\n",
			i, i, i, i);
	case 1:
		return (size_t)snprintf(
			to, size,
			"{\"apiVersion\": \"cilium.io/v2\", \"kind\": \"CiliumNetworkPolicy\",\r\n"
			"\"metadata\": {\"name\": \"d%d\"}, \"spec\": {\"endpointSelector\": {},"
			" \"egress\":\r\n [{\"toCIDR\": [\"10.0.0.0/8\"]}], \"description\": \"mark%d."
			"\xf0\x9f\x94\x92\"}}\r\n",
			i, i);
	case 2:
		return (size_t)snprintf(
			to, size,
			"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: d%d}\n"
			"specs:\n- endpointSelector: {}\n  egress: [{toCIDR: [10.0.0.0/8]}]\n"
			"  description: |\n    mark%d.\n\n     ---\n    \xc3\xa9\n\n"
			"- endpointSelector: {}\n  egress:\n  - toCIDR: [10.0.0.0/8]\n",
			i, i);
	default: /* lines that end by NEL */
		return (size_t)snprintf(
			to, size,
			"apiVersion: networking.k8s.io/v1\xc2\x85kind: NetworkPolicy\xc2\x85"
			"metadata: {name: d%d}\xc2\x85spec:\xc2\x85  podSelector: {}\xc2\x85"
			"  policyTypes: [Egress] # mark%d.\xc2\x85  egress:\xc2\x85"
			"  - to: [{ipBlock: {cidr: 10.0.0.0/8}}]\xc2\x85",
			i, i);
	}
}

#define FORMS 4
#define DOCS  6

static size_t write_documents(char *to, size_t size, unsigned seed)
{
	static const char *const between[] = { "---\n", "--- # a comment\n", "...\n---\r\n",
					       "...\n%YAML 1.1\n---\n", "---\n---\n" };
	size_t len = seed % 2 ? (size_t)snprintf(to, size, "\xef\xbb\xbf") : 0;

	if (seed % 3)
		len += (size_t)snprintf(to + len, size - len, "# \xc3\xa9\n---\n");
	for (int i = 0; i < DOCS; i++) {
		if (i)
			len += (size_t)snprintf(to + len, size - len, "%s",
						between[(seed + (unsigned)i) % 5]);
		len += write_form(to + len, size - len, (int)((seed >> i) + (unsigned)i) % FORMS,
				  i);
	}
	assert_true(len < size);
	return len;
}

/* A form, indented as an item of a list. */
static size_t write_item(char *to, size_t size, int form, int i)
{
	char text[2048];
	size_t n = write_form(text, sizeof(text), form, i), len = 0;

	assert_true(n < sizeof(text) && 3 * n < size);
	len += (size_t)snprintf(to, size, "- ");
	for (size_t k = 0; k < n; k++) {
		to[len++] = text[k];
		if (k + 1 < n && (text[k] == '\n' || (k && !memcmp(text + k - 1, "\xc2\x85", 2))))
			len += (size_t)snprintf(to + len, size - len, "  ");
	}
	return len;
}

static size_t write_list(char *to, size_t size, unsigned seed)
{
	static const char group[] =
		"apiVersion: cilium.io/v2, kind: CiliumCIDRGroup, spec: {externalCIDRs:"
		" [192.0.2.0/24]}, metadata: {name: g";
	size_t len = (size_t)snprintf(to, size, "%sapiVersion: v1\nkind: List\nitems:\n",
				      seed % 2 ? "\xef\xbb\xbf# \xc3\xa9\n" : "---\n");

	for (int i = 0; i < DOCS; i++) {
		len += write_item(to + len, size - len, (int)((seed >> i) + (unsigned)i) % FORMS,
				  i);
		if ((seed + (unsigned)i) % 3 == 0)
			len += (size_t)snprintf(to + len, size - len, "#\n-   {%s%d}}\n", group, i);
	}
	len += (size_t)snprintf(to + len, size - len, "metadata: {resourceVersion: ''}\n");
	assert_true(len < size);
	return len;
}

/* Where the rules of the i-th document stand; 0: there are none. */
static int line_of(const struct ex_ruleset *rs, int i)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "d%d", i);
	for (uint32_t rule = 1; rule <= ex_ruleset_n_rules(rs); rule++)
		if (strcmp(ex_ruleset_rule(rs, rule)->policy, name) == 0)
			return ex_ruleset_rule(rs, rule)->line;
	return 0;
}

static struct ex_ruleset *compile_bytes(const char *text, size_t len)
{
	const struct ex_compile_input in = { .deny_metadata = true };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	if (ex_compile_text(text, len, NULL, 0, &in, &rs, &diags) < 0) {
		ex_diags_print(&diags, stderr);
		fail_msg("%.*s", (int)len, text);
	}
	ex_diags_done(&diags);
	return rs;
}

/* one: the document that is wanted. */
static void check_blanked(const char *text, size_t len, int one)
{
	const struct ex_text whole = { "p.yaml", { text, len } };
	EX_AUTO_FREE char *copy = malloc(len);
	struct ex_ruleset *all = compile_bytes(text, len), *rs;
	struct ex_diags diags = { 0 };
	struct ex_selects *s;
	uint8_t wanted[2 * DOCS] = { 0 };
	char mark[20];
	size_t k = 0;

	assert_non_null(copy);
	memcpy(copy, text, len);
	assert_int_equal(ex_selects_read(&whole, &s, &diags), 0);
	for (int i = 0; i < DOCS; i++) {
		/* how many specs each has: two where there is a second item */
		size_t n = 1;

		(void)snprintf(mark, sizeof(mark), "name: d%d}\nspecs", i);
		n += memmem(text, len, mark, strlen(mark)) != NULL;
		(void)snprintf(mark, sizeof(mark), "name: d%d}\n  specs", i);
		n += memmem(text, len, mark, strlen(mark)) != NULL;
		for (size_t m = 0; m < n; m++)
			wanted[k++] = i == one;
	}
	assert_int_equal(ex_selects_count(s), k);
	ex_selects_blank(s, wanted, copy, len);
	ex_selects_free(s);
	rs = compile_bytes(copy, len);
	for (int i = 0; i < DOCS; i++) {
		(void)snprintf(mark, sizeof(mark), "mark%d.", i);
		assert_int_equal(memmem(copy, len, mark, strlen(mark)) != NULL, i == one);
		assert_int_equal(line_of(rs, i), i == one ? line_of(all, i) : 0);
		assert_true(line_of(all, i) > 0);
	}
	ex_ruleset_unref(rs);
	ex_ruleset_unref(all);
}

static void test_documents_that_are_not_wanted_are_blanks(void **state)
{
	static char text[16384];

	(void)state;
	for (unsigned seed = 0; seed < 240; seed++) {
		size_t len = write_documents(text, sizeof(text), seed);

		for (int one = 0; one < DOCS; one++)
			check_blanked(text, len, one);
	}
}

static void test_items_that_are_not_wanted_are_blanks(void **state)
{
	static char text[16384];

	(void)state;
	for (unsigned seed = 0; seed < 240; seed++) {
		size_t len = write_list(text, sizeof(text), seed);

		for (int one = 0; one < DOCS; one++)
			check_blanked(text, len, one);
	}
}

/* kubectl -o json; what is for everybody stays where nothing else is wanted. */
static void test_blanked_list_of_flow_maps(void **state)
{
	static const char text[] =
		"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n"
		"{\"apiVersion\": \"cilium.io/v2\", \"kind\": \"CiliumCIDRGroup\","
		" \"metadata\": {\"name\": \"g\"}, \"spec\": {\"externalCIDRs\": []}},\n"
		"{\"apiVersion\": \"cilium.io/v2\", \"kind\": \"CiliumNetworkPolicy\","
		" \"metadata\": {\"name\": \"p\"}, \"spec\": {\"endpointSelector\": {},"
		" \"egress\": [{}]}}]}";
	const struct ex_text whole = { "p.json", EX_SPAN(text) };
	const size_t second = (size_t)(strrchr(text, '\n') + 1 - text);
	const uint8_t wanted[1] = { 0 };
	char copy[sizeof(text)];
	struct ex_diags diags = { 0 };
	struct ex_selects *s;

	(void)state;
	memcpy(copy, text, sizeof(text));
	assert_int_equal(ex_selects_read(&whole, &s, &diags), 0);
	assert_int_equal(ex_selects_count(s), 1);
	assert_true(ex_selects_is_shared(s));
	ex_selects_blank(s, wanted, copy, sizeof(text) - 1);
	ex_selects_free(s);
	assert_memory_equal(copy, text, second);
	assert_int_equal(copy[second], '~');
	assert_int_equal(strspn(copy + second + 1, " "), sizeof(text) - 1 - second - 3);
	assert_string_equal(copy + sizeof(text) - 3, "]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_namespaced_policy_is_for_its_namespace_only),
		cmocka_unit_test(test_clusterwide_policy_is_for_every_namespace),
		cmocka_unit_test(test_selector_cannot_leave_the_namespace),
		cmocka_unit_test(test_labels_that_the_cluster_adds),
		cmocka_unit_test(test_endpoints_of_the_policys_namespace),
		cmocka_unit_test(test_labels_of_namespaces_are_of_endpoints_that_have_one),
		cmocka_unit_test(test_reserved_labels_need_no_namespace),
		cmocka_unit_test(test_unselected_is_told_apart_from_an_error),
		cmocka_unit_test(test_default_deny_of_several_policies),
		cmocka_unit_test(test_kubernetes_policy_is_namespaced),
		cmocka_unit_test(test_several_texts_make_one_policy),
		cmocka_unit_test(test_error_names_the_text_it_is_in),
		cmocka_unit_test(test_empty_text_and_byte_order_mark),
		cmocka_unit_test(test_documents_that_are_not_wanted_are_blanks),
		cmocka_unit_test(test_items_that_are_not_wanted_are_blanks),
		cmocka_unit_test(test_blanked_list_of_flow_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
