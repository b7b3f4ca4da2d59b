/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks on the policy reader and the matcher. Text that is made to be expensive, to be read in
 * two ways, or to open more than it shows; names and requests that are made to look like allowed
 * ones.
 */
#include "policy_helper.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static int try(const char *text, size_t len)
{
	struct ex_compile_input in = { .deny_metadata = true };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	int r = ex_compile_text(text, len, NULL, 0, &in, &rs, &diags);

	assert_true(r == 0 || diags.n > 0);
	assert_true(diags.n <= 200);
	ex_diags_done(&diags);
	ex_ruleset_unref(rs);
	return r;
}

#define REFUSED(text) assert_int_equal(try(text, strlen(text)), -EINVAL)

static void test_alias_bombs(void **state)
{
	(void)state;
	REFUSED("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n");
	REFUSED("&a [*a]\n");
	REFUSED("a: &x 1\n<<: *x\n");
	REFUSED("? &k a\n: b\n");
}

static void test_deep_nesting(void **state)
{
	size_t n = 100000;
	char *text = malloc(n + 1);

	(void)state;
	assert_non_null(text);
	memset(text, '[', n);
	text[n] = '\0';
	REFUSED(text);
	memset(text, '{', n);
	REFUSED(text);
	for (size_t i = 0; i + 1 < n; i += 2)
		memcpy(text + i, "- ", 2);
	REFUSED(text);
	free(text);
}

static void test_ambiguous_keys(void **state)
{
	(void)state;
	REFUSED(HEAD "  egress: [{}]\n  \"egress\": [{toEntities: [all]}]\n");
	REFUSED(HEAD "  egress: [{}]\n  'egress': [{toEntities: [all]}]\n");
	REFUSED(HEAD
		"  egress: [{}]\nspec: {endpointSelector: {}, egress: [{toEntities: [all]}]}\n");
	REFUSED(HEAD "  egress: [{toCIDR: [10.0.0.0/8], toCIDR: [0.0.0.0/0]}]\n");
	REFUSED(HEAD "  Egress: [{toEntities: [all]}]\n  egress: [{}]\n");
	REFUSED(HEAD "  \"egress\\0\": [{toEntities: [all]}]\n  egress: [{}]\n");
	REFUSED(HEAD "  ? [egress]\n  : [{}]\n");
	REFUSED(HEAD "  !!str egress: [{}]\n");
	REFUSED(HEAD "  egress: !!set {}\n");
}

static void test_many_keys_and_diagnostics(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	fputs(HEAD, f);
	for (int i = 0; i < 100000; i++)
		fprintf(f, "  k%d: v\n", i);
	fclose(f);
	assert_int_equal(try(text, len), -EINVAL);
	free(text);
	f = open_memstream(&text, &len);
	fputs(HEAD "  egress:\n", f);
	for (int i = 0; i < 50000; i++)
		fprintf(f, "  - bad\n");
	fclose(f);
	assert_int_equal(try(text, len), -EINVAL);
	free(text);
}

/* Nested prefixes make classes; nested rules make long classes. Neither may explode. */
static void test_nested_cidrs_stay_cheap(void **state)
{
	clock_t start = clock();
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	fputs(HEAD "  egress:\n", f);
	for (int i = 0; i < 3000; i++)
		fprintf(f, "  - toCIDR: [10.%d.0.0/%d, '2001:db8:%x::/%d']\n", i % 256, 8 + i % 25,
			i, 32 + i % 96);
	fclose(f);
	assert_int_equal(try(text, len), 0);
	assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
	free(text);
}

static void test_bytes_that_are_no_text(void **state)
{
	static const char utf16[] = "\xff\xfe"
				    "a\0:\0 \0b\0";
	static const char nul[] = HEAD "  egress: [{}]\n\0  egress: [{toEntities: [all]}]\n";
	static const char bad[] = "a: \xc3\x28\n", bell[] = "a: \a\n", high[] = "a: \xed\xa0\x80\n";

	(void)state;
	assert_int_equal(try(utf16, sizeof(utf16) - 1), -EINVAL);
	assert_int_equal(try(nul, sizeof(nul) - 1), -EINVAL);
	assert_int_equal(try(bad, sizeof(bad) - 1), -EINVAL);
	assert_int_equal(try(bell, sizeof(bell) - 1), -EINVAL);
	assert_int_equal(try(high, sizeof(high) - 1), -EINVAL);
}

/* An empty list must never mean "everything". */
static void test_empty_lists(void **state)
{
	static const char *const refused[] = {
		"  egress: []\n",
		"  egress:\n",
		"  egress: [{toCIDR: []}]\n",
		"  egress: [{toCIDRSet: []}]\n",
		"  egress: [{toFQDNs: []}]\n",
		"  egress: [{toEntities: []}]\n",
		"  egress: [{toPorts: []}]\n",
		"  egress: [{toPorts: [{}]}]\n",
		"  egress: [{toPorts: [{ports: []}]}]\n",
		"  egress: [{toPorts: [{ports: [{}]}]}]\n",
		"  egressDeny: []\n",
		"  egress: [{icmps: []}]\n",
		"  egress: [{icmps: [{}]}]\n",
		"  egress: [{icmps: [{fields: []}]}]\n",
		"  egress: [{toFQDNs: [{}]}]\n",
		"  egress: [{toPorts: [{ports: [{port: '1', protocol: TCP}], serverNames: []}]}]\n",
		"  egress: [{toPorts: [{ports: [{port: '53'}],"
		" rules: {dns: [{}]}}]}]\n",
	};
	char text[1000];
	struct ex_ruleset *rs;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(refused); i++) {
		snprintf(text, sizeof(text), HEAD "%s", refused[i]);
		if (try(text, strlen(text)) != -EINVAL)
			fail_msg("accepted: %s", refused[i]);
	}
	rs = test_compile(HEAD "  egress: [{toEntities: [none]}, {toEndpoints: []}, {}]\n");
	assert_int_equal(test_l4(rs, "8.8.8.8", IPPROTO_TCP, 80).verdict, EX_V_DENY);
	assert_int_equal(test_l4(rs, "10.9.0.1", IPPROTO_TCP, 80).verdict, EX_V_DENY);
	ex_ruleset_unref(rs);
}

static void test_addresses_that_are_two_things(void **state)
{
	static const char *const refused[] = {
		"010.0.0.1/8",
		"10.1/8",
		"0x0a000000/8",
		"167772160/8",
		"10.0.0.0/8/8",
		"10.0.0.0/+8",
		"10.0.0.0/ 8",
		" 10.0.0.0/8",
		"10.0.0.0/008",
		"fe80::1%eth0/64",
		"::ffff:10.0.0.0/8",
		"10.0.0.0/-1",
		"1.2.3.4",
		"::1",
		"/8",
		"10.0.0.0/",
		"10.0.0.256/32",
	};
	char text[400];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(refused); i++) {
		snprintf(text, sizeof(text), HEAD "  egress: [{toCIDR: ['%s']}]\n", refused[i]);
		if (try(text, strlen(text)) != -EINVAL)
			fail_msg("accepted: %s", refused[i]);
	}
}

static struct ex_decision ask(const struct ex_ruleset *rs, const char *path, struct ex_span host)
{
	struct ex_span name = EX_SPAN("api.example.com");
	struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 443);
	struct ex_http_request q = { .tls = true,
				     .sni = EX_SPAN("api.example.com"),
				     .method = EX_SPAN("GET"),
				     .path = ex_span_str(path),
				     .host = host,
				     .authority = host };

	f.names = &name;
	f.n_names = 1;
	return ex_judge_http(rs, &f, &q);
}

/* A COPY or MOVE is of two paths, and one rule or another has to allow it for each. */
static void test_both_paths_of_a_move_are_judged(void **state)
{
	static const struct {
		const char *from, *to;
		bool allow;
	} rows[] = {
		{ "/open/a", "", true },         { "/open/a", "/open/b", true },
		{ "/open/a", "/shut/b", false }, { "/shut/a", "/open/b", false },
		{ "/open/a", "/drop/b", true },  { "/drop/a", "/open/b", false },
		{ "/open/a", "/opened", false }, { "/open/a", "/open/%2Fb", false },
	};
	struct ex_ruleset *rs = test_compile(
		HEAD
		"  egress:\n  - toCIDR: [198.51.100.0/24]\n"
		"    toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: ["
		"{path: '/open/.*'}, {method: MOVE, path: '/drop/.*', headers: ['X-A']}]}}]\n");

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(rows); i++) {
		struct ex_flow f = test_flow("198.51.100.7", IPPROTO_TCP, 80);
		struct ex_header field = { EX_SPAN("x-a"), EX_SPAN("b") };
		struct ex_http_request q = { .method = EX_SPAN("MOVE"),
					     .path = ex_span_str(rows[i].from),
					     .destination = ex_span_str(rows[i].to),
					     .host = EX_SPAN("a.test"),
					     .authority = EX_SPAN("a.test"),
					     .headers = &field,
					     .n_headers = i < 5 };

		if ((ex_judge_http(rs, &f, &q).verdict == EX_V_ALLOW) != rows[i].allow)
			fail_msg("%s to %s", rows[i].from, rows[i].to);
	}
	ex_ruleset_unref(rs);
}

/* Names that look like the allowed one to somebody. */
static void test_lookalike_hosts(void **state)
{
	static const struct ex_span hosts[] = {
		EX_SPAN("api.example.com."),
		EX_SPAN("API.example.com"),
		EX_SPAN("api.example.com\0.evil.com"),
		EX_SPAN("evil.com\0.api.example.com"),
		EX_SPAN("api.example.com@evil.com"),
		EX_SPAN("[api.example.com]"),
		EX_SPAN("api.example.com:443"),
		EX_SPAN("xapi.example.com"),
		EX_SPAN("api.example.comx"),
		EX_SPAN(" api.example.com"),
		EX_SPAN(""),
		EX_SPAN("api\xe3\x80\x82"
			"example.com"),
		EX_SPAN("api.example.com%00"),
		EX_SPAN("198.51.100.7"),
	};
	struct ex_ruleset *rs =
		test_compile(HEAD "  egress:\n  - toFQDNs: [{matchName: api.example.com}]\n"
				  "    toPorts: [{ports: [{port: '443', protocol: TCP}],"
				  " rules: {http: [{method: GET, path: /v1/chat}]}}]\n");

	(void)state;
	assert_int_equal(ask(rs, "/v1/chat", EX_SPAN("api.example.com")).verdict, EX_V_ALLOW);
	for (size_t i = 0; i < EX_ARRAY_SIZE(hosts); i++)
		assert_int_equal(ask(rs, "/v1/chat", hosts[i]).verdict, EX_V_DENY);
	ex_ruleset_unref(rs);
}

static void test_lookalike_paths(void **state)
{
	static const char *const paths[] = {
		"/v1/chatx",
		"/v1/chat/",
		"/v1/chat/../files",
		"//v1/chat",
		"/v1//chat",
		"/v1/chat?",
		"/v1/chat#",
		"/v1/chat%00",
		"/v1/chat\n",
		"/V1/chat",
		"/v1/chat;x",
		"x/v1/chat",
		"",
		"http://api.example.com/v1/chat",
		"*",
		"/v1/cha%74",
	};
	struct ex_ruleset *rs =
		test_compile(HEAD "  egress:\n  - toFQDNs: [{matchName: api.example.com}]\n"
				  "    toPorts: [{ports: [{port: '443', protocol: TCP}],"
				  " rules: {http: [{method: GET, path: /v1/chat}]}}]\n");

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(paths); i++)
		assert_int_equal(ask(rs, paths[i], EX_SPAN("api.example.com")).verdict, EX_V_DENY);
	ex_ruleset_unref(rs);
}

/* Metadata in every spelling, whatever a policy allows. */
static void test_metadata_stays_closed(void **state)
{
	static const char *const addrs[] = {
		"169.254.169.254",
		"::ffff:169.254.169.254",
		"::169.254.169.254",
		"64:ff9b::169.254.169.254",
		"2002:a9fe:a9fe::1",
		"64:ff9b:1::a9fe:a9fe",
		"fd00:ec2::254",
		"fd20:ce::254",
		"168.63.129.16",
		"64:ff9b::a83f:8110",
		"192.0.0.192",
		"100.100.100.200",
		"2001:0:a9fe:a9fe::1",
		"fe80::a9fe:a9fe",
		"169.254.170.2",
		"127.0.0.1",
		"0.0.0.0",
		"::",
		"::1",
		"255.255.255.255",
		"224.0.0.1",
		"ff02::1",
	};
	struct ex_ruleset *rs = test_compile(
		HEAD "  enableDefaultDeny: {egress: false}\n  egress:\n"
		     "  - toEntities: [all, world, cluster, host]\n"
		     "  - toCIDR: [0.0.0.0/0, '::/0', 169.254.169.254/32, '64:ff9b::/96']\n"
		     "  - toFQDNs: [{matchPattern: '*'}]\n");
	struct ex_span name = EX_SPAN("rebind.example");

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(addrs); i++) {
		struct ex_flow f = test_flow(addrs[i], IPPROTO_TCP, 80);

		f.names = &name;
		f.n_names = 1;
		assert_int_equal(ex_judge_l4(rs, &f).verdict, EX_V_DENY);
		assert_int_equal(ex_judge_app(rs, &f, EX_APP_TLS, name).verdict, EX_V_DENY);
		assert_int_equal(ex_judge_answer(rs, &f.dst).verdict, EX_V_DENY);
	}
	ex_ruleset_unref(rs);
}

/* The DNS gate's address is a resolver and nothing else, also for who is allowed everything. */
static void test_dns_gate_is_only_that(void **state)
{
	struct ex_ruleset *rs = test_compile(HEAD "  egress: [{toEntities: [all, host]}]\n");

	(void)state;
	assert_int_equal(test_l4(rs, "192.0.0.1", IPPROTO_UDP, 53).verdict, EX_V_STEER);
	assert_int_equal(test_l4(rs, "192.0.0.1", IPPROTO_TCP, 80).verdict, EX_V_DENY);
	assert_int_equal(test_l4(rs, "192.0.0.1", IPPROTO_ICMP, 8 << 8).verdict, EX_V_DENY);
	ex_ruleset_unref(rs);
}

/* A list of some hundred items is neither small nor large: it takes what it needs. */
static void test_arena_takes_what_it_needs(void **state)
{
	struct ex_arena a = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_non_null(ex_arena_alloc(&a, 20, 1024));
		assert_non_null(ex_arena_alloc(&a, 1, 16));
	}
	assert_true(a.used < (size_t)100 * 21 * 1024 + 64 * 1024);
	ex_arena_done(&a);
}

static void test_memory_is_bounded(void **state)
{
	struct rusage usage;
	char *text = malloc(EX_YAML_SIZE_MAX + 2);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', EX_YAML_SIZE_MAX + 1);
	assert_int_equal(try(text, EX_YAML_SIZE_MAX + 1), -EINVAL);
	/* the text that makes most nodes per byte */
	text[0] = '[';
	for (size_t i = 1; i + 1 < EX_YAML_SIZE_MAX; i += 2)
		memcpy(text + i, "a,", 2);
	assert_int_equal(try(text, EX_YAML_SIZE_MAX), -EINVAL);
	free(text);
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
#if !EX_ASAN
	assert_true(usage.ru_maxrss < 400 * 1024);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alias_bombs),
		cmocka_unit_test(test_deep_nesting),
		cmocka_unit_test(test_ambiguous_keys),
		cmocka_unit_test(test_many_keys_and_diagnostics),
		cmocka_unit_test(test_nested_cidrs_stay_cheap),
		cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_empty_lists),
		cmocka_unit_test(test_addresses_that_are_two_things),
		cmocka_unit_test(test_lookalike_hosts),
		cmocka_unit_test(test_lookalike_paths),
		cmocka_unit_test(test_both_paths_of_a_move_are_judged),
		cmocka_unit_test(test_metadata_stays_closed),
		cmocka_unit_test(test_dns_gate_is_only_that),
		cmocka_unit_test(test_arena_takes_what_it_needs),
		cmocka_unit_test(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
