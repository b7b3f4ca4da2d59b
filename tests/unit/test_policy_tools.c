/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exeat policy …`, each command line against tests/unit/golden/tools/NAME.out; and explain against
 * the gates on random requests. EX_GOLDEN_UPDATE=1 writes the golden files instead.
 */
#include "policy_helper.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "policy/secret.h"
#include "policy/example.h"
#include "policy/tool.h"

#define GOLDEN "tests/unit/golden/tools/"

#define INGRESS   GOLDEN "ingress.yaml", "--endpoints", GOLDEN "ingress-endpoints.yaml"
#define COMES(ip) "explain", INGRESS, "--ingress", "--from", ip, "--to"

static const struct {
	const char *name;
	int status;
	const char *argv[18];
} runs[] = {
	{ "check", 0, { "check", "--endpoints", GOLDEN "endpoints.yaml", GOLDEN "policy.yaml" } },
	{ "check-lint", 0, { "check", GOLDEN "lint.yaml" } },
	{ "check-strict", 1, { "check", "--strict", GOLDEN "lint.yaml" } },
	{ "check-json", 0, { "check", "--format", "json", GOLDEN "lint.yaml" } },
	{ "check-unbound-host", 0, { "check", GOLDEN "unbound-host.yaml" } },
	{ "check-sarif",
	  1,
	  { "check", "--format", "sarif", "--strict", "tests/unit/golden/policy/bad-ports.yaml" } },
	{ "explain-allow",
	  0,
	  { "explain", GOLDEN "policy.yaml", "--endpoints", GOLDEN "endpoints.yaml", "--to",
	    "https://api.example.com/pkg/x", "-H", "X-Team: a" } },
	{ "explain-method",
	  1,
	  { "explain", GOLDEN "policy.yaml", "--endpoints", GOLDEN "endpoints.yaml", "--to",
	    "https://api.example.com/pkg/x", "-H", "X-Team: a", "-X", "PUT" } },
	{ "explain-header",
	  1,
	  { "explain", GOLDEN "policy.yaml", "--endpoints", GOLDEN "endpoints.yaml", "--to",
	    "https://api.example.com/pkg/x" } },
	{ "explain-object",
	  1,
	  { "explain", GOLDEN "policy.yaml", "--endpoints", GOLDEN "endpoints.yaml", "--to",
	    "https://api.example.com/pkg/x", "-H", "X-Team: a", "-H", "X-Amz-Copy-Source: /b" } },
	{ "explain-object-no-list",
	  1,
	  { "explain", GOLDEN "objects.yaml", "--to", "http://api.example.com/a.b?c", "-H",
	    "X-Amz-Copy-Source: /b", "-H", "x-amz-copy-source: /c", "-X", "PUT" } },
	{ "explain-slash-no-list",
	  1,
	  { "explain", GOLDEN "objects.yaml", "--to", "http://api.example.com/a%2Fb" } },
	{ "explain-sni",
	  1,
	  { "explain", GOLDEN "policy.yaml", "--endpoints", GOLDEN "endpoints.yaml", "--to",
	    "https://api.example.com/pkg/x", "--sni", "Evil.Example." } },
	{ "explain-name", 1, { "explain", GOLDEN "policy.yaml", "--to", "evil.example:443" } },
	{ "explain-deny", 1, { "explain", GOLDEN "policy.yaml", "--to", "203.0.113.9:8000" } },
	{ "explain-metadata",
	  1,
	  { "explain", GOLDEN "policy.yaml", "--to", "http://169.254.169.254/" } },
	{ "explain-port", 1, { "explain", GOLDEN "policy.yaml", "--to", "203.0.113.1:22" } },
	{ "explain-v6", 1, { "explain", GOLDEN "policy.yaml", "--to", "[2001:db8::1]:53/udp" } },
	{ "explain-icmp6",
	  1,
	  { "explain", GOLDEN "policy.yaml", "--to", "icmp:[2001:db8::1]/129" } },
	{ "check-node", 1, { "check", GOLDEN "node-selector.yaml" } },
	{ "explain-unresolved",
	  1,
	  { "explain", GOLDEN "unbound-host.yaml", "--to", "https://198.51.100.1/", "--sni",
	    "mail.example" } },
	{ "explain-json",
	  1,
	  { "explain", GOLDEN "policy.yaml", "--endpoints", GOLDEN "endpoints.yaml", "--to",
	    "https://api.example.com/pkg/x?a=\"<\"", "-X", "PUT", "--format", "json" } },
	{ "explain-headers",
	  0,
	  { "explain", GOLDEN "headers.yaml", "--secrets", GOLDEN "secrets", "--to",
	    "http://198.51.100.1/", "-H", "Authorization: mine" } },
	{ "explain-headers-json",
	  0,
	  { "explain", GOLDEN "headers.yaml", "--secrets", GOLDEN "secrets", "--to",
	    "http://198.51.100.1/", "-H", "Authorization: mine", "--format", "json" } },
	{ "secrets-missing", 1, { "check", GOLDEN "headers.yaml", "--secrets", "nowhere" } },
	{ "check-method", 2, { "check", GOLDEN "policy.yaml", "-X", "GET" } },
	{ "dump-strict", 2, { "dump", GOLDEN "policy.yaml", "--strict" } },
	{ "diff-sni", 2, { "diff", GOLDEN "policy.yaml", GOLDEN "policy.yaml", "--sni", "a" } },
	{ "explain-format",
	  2,
	  { "explain", GOLDEN "policy.yaml", "--to", "1.2.3.4:1", "--format", "xml" } },
	{ "explain-help", 0, { "explain", "--help" } },
	{ "check-help", 0, { "check", "-h" } },
	{ "test-help", 0, { "test", "--help" } },
	{ "check-headers", 0, { "check", GOLDEN "headers.yaml" } },
	{ "dump-control", 0, { "dump", GOLDEN "control.yaml" } },
	{ "dump-headers", 0, { "dump", GOLDEN "headers.yaml", "--secrets", GOLDEN "secrets" } },
	{ "diff-json",
	  1,
	  { "diff", GOLDEN "policy.yaml", GOLDEN "changed.yaml", "--endpoints",
	    GOLDEN "endpoints.yaml", "--format", "json" } },
	{ "explain-usage", 2, { "explain", GOLDEN "policy.yaml", "--to", "http://a@b/" } },
	{ "explain-labels",
	  2,
	  { "explain", GOLDEN "policy.yaml", "-l", "app=other", "--to", "1.2.3.4:1" } },
	{ "test", 1, { "test", "tests/unit/golden/tools" } },
	{ "test-control", 1, { "test", GOLDEN "control" } },
	{ "test-documents", 1, { "test", GOLDEN "documents/two.test.yaml" } },
	{ "test-corpus", 0, { "test", "tests/unit/corpus", "examples/llm-agent" } },
	{ "diff",
	  1,
	  { "diff", GOLDEN "policy.yaml", GOLDEN "changed.yaml", "--endpoints",
	    GOLDEN "endpoints.yaml" } },
	{ "diff-default", 1, { "diff", GOLDEN "diff-a.yaml", GOLDEN "diff-open.yaml" } },
	{ "diff-requests", 1, { "diff", GOLDEN "diff-a.yaml", GOLDEN "diff-b.yaml" } },
	{ "diff-requests-json",
	  1,
	  { "diff", GOLDEN "diff-b.yaml", GOLDEN "diff-a.yaml", "--format", "json" } },
	{ "explain-private",
	  0,
	  { "explain", GOLDEN "diff-a.yaml", "--to", "https://api.example.com/a" } },
	{ "diff-same", 0, { "diff", GOLDEN "policy.yaml", GOLDEN "policy.yaml" } },
	{ "dump", 0, { "dump", GOLDEN "policy.yaml", "--endpoints", GOLDEN "endpoints.yaml" } },
	{ "ingress-allow", 0, { COMES("10.1.0.7"), "8080" } },
	{ "ingress-port", 1, { COMES("10.1.0.7"), "8081" } },
	{ "ingress-source", 1, { COMES("10.1.0.8"), "8080" } },
	{ "ingress-deny", 1, { COMES("198.51.100.7"), "9000" } },
	{ "ingress-v6", 1, { COMES("2001:db8::1"), "53/udp" } },
	{ "ingress-icmp", 1, { COMES("203.0.113.1"), "icmp" } },
	{ "ingress-json", 1, { COMES("10.1.0.7"), "icmp/13", "--format", "json" } },
	{ "ingress-served",
	  0,
	  { "explain", GOLDEN "ingress-none.yaml", "--from", "10.1.0.8", "--to", "8080" } },
	{ "ingress-not-served",
	  1,
	  { "explain", GOLDEN "ingress-none.yaml", "--from", "10.1.0.8", "--to", "8080", "--serve",
	    "80", "--serve", "8080/udp" } },
	{ "ingress-no-from", 2, { "explain", INGRESS, "--ingress", "--to", "8080" } },
	{ "ingress-bad-from", 2, { COMES("front"), "8080" } },
	{ "ingress-bad-to", 2, { COMES("10.1.0.7"), "http" } },
	{ "ingress-bad-serve", 2, { COMES("10.1.0.7"), "80", "--serve", "http" } },
	{ "ingress-method", 2, { COMES("10.1.0.7"), "80", "-X", "GET" } },
	{ "ingress-labels", 2, { COMES("10.1.0.7"), "80", "-l", "app=other" } },
	{ "ingress-check-run", 0, { "check", INGRESS } },
	{ "ingress-check", 0, { "check", "--ingress", INGRESS } },
	{ "ingress-check-alone", 1, { "check", GOLDEN "ingress-changed.yaml" } },
	{ "ingress-check-node", 0, { "check", "--ingress", GOLDEN "ingress-changed.yaml" } },
	{ "ingress-check-nobody",
	  1,
	  { "check", "--ingress", "-l", "app=x", GOLDEN "ingress-changed.yaml" } },
	{ "ingress-lint",
	  1,
	  { "check", "--strict", "--ingress", "--endpoints", GOLDEN "ingress-endpoints.yaml",
	    GOLDEN "ingress-lint.yaml" } },
	{ "ingress-dump", 0, { "dump", INGRESS } },
	{ "ingress-dump-alone", 0, { "dump", GOLDEN "ingress-changed.yaml" } },
	{ "ingress-diff", 1, { "diff", INGRESS, GOLDEN "ingress-changed.yaml" } },
	{ "ingress-diff-none",
	  1,
	  { "diff", INGRESS, GOLDEN "ingress-none.yaml", "--serve", "8080", "--format", "json" } },
	{ "ingress-test", 1, { "test", GOLDEN "ingress" } },
	{ "mistakes", 1, { "check", GOLDEN "mistakes.yaml" } },
	{ "mistakes-legal", 1, { "check", "--strict", GOLDEN "mistakes-legal.yaml" } },
	{ "mistakes-not-yaml",
	  1,
	  { "check", GOLDEN "mistake-tab.yaml", GOLDEN "mistake-quote.yaml",
	    GOLDEN "mistake-indent.yaml", GOLDEN "no-such-file.yaml", GOLDEN, "/dev/null" } },
	{ "mistakes-dash", 1, { "check", "-" } },
	{ "presets", 0, { "presets" } },
	{ "preset", 0, { "presets", "registry:npm" } },
	{ "preset-unknown", 2, { "presets", "llm:nobody" } },
	{ "option-unknown", 2, { "check", "--labl", "app=a", "policy.yaml" } },
	{ "usage", 2, { "nonsense" } },
	{ "help", 0, { "--help" } },
};

/* Runs the command with stdout and stderr in one file. */
static char *capture(const char *const *args, int *status)
{
	char path[] = "/tmp/exeat-tools.XXXXXX";
	int fd = mkstemp(path), out = dup(1), err = dup(2), argc = 1;
	char *argv[20] = { (char *)(uintptr_t) "policy" }, *text = calloc(1, 262144);
	ssize_t n;

	assert_true(fd >= 0 && out >= 0 && err >= 0 && text);
	unlink(path);
	for (; args[argc - 1]; argc++)
		argv[argc] = strdup(args[argc - 1]);
	fflush(NULL);
	dup2(fd, 1);
	dup2(fd, 2);
	*status = ex_cmd_policy(argc, argv);
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	n = pread(fd, text, 262143, 0);
	assert_true(n >= 0);
	for (int i = 1; i < argc; i++)
		free(argv[i]);
	close(fd);
	close(out);
	close(err);
	return text;
}

static char *slurp(const char *path)
{
	char *text = calloc(1, 262144);
	FILE *f = fopen(path, "r");

	assert_non_null(text);
	if (f) {
		assert_true(fread(text, 1, 262143, f) < 262143);
		fclose(f);
	}
	return text;
}

static void test_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(runs); i++) {
		char path[256], *got, *want;
		int status;

		got = capture(runs[i].argv, &status);
		snprintf(path, sizeof(path), GOLDEN "%s.out", runs[i].name);
		if (getenv("EX_GOLDEN_UPDATE")) {
			FILE *f = fopen(path, "w");

			assert_non_null(f);
			fputs(got, f);
			fclose(f);
		}
		want = slurp(path);
		if (strcmp(got, want) != 0 || status != runs[i].status) {
			fprintf(stderr, "%s: status %d, want %d\n--- want\n%s--- got\n%s",
				runs[i].name, status, runs[i].status, want, got);
			fail();
		}
		free(got);
		free(want);
	}
}

/* Who sends in a policy chooses what its file is called. */
static void test_names_of_files_act_on_no_terminal(void **state)
{
	char dir[] = "/tmp/exeat-test-names.XXXXXX", path[128];
	const char *const calls[][8] = { { "check", path },
					 { "explain", path, "--to", "1.2.3.4:1" },
					 { "dump", path },
					 { "test", path } };
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/a\x1b[31m\nok 9\xc2\x9b\x7f.test.yaml", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(HEAD "  egress: [{toCIDR: [10.0.0.0/8]}]\n", f);
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < EX_ARRAY_SIZE(calls); i++) {
		int status;
		char *got = capture(calls[i], &status);

		assert_non_null(strstr(got, "a?[31m?ok 9???.test.yaml"));
		assert_null(strstr(got, "\x1b"));
		assert_null(strstr(got, "\nok 9"));
		free(got);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

struct agreement {
	const struct ex_ruleset *rs;
	const char *text;
	size_t compared, allowed;
};

static bool is_leaf(const struct ex_ruleset *rs, uint32_t rule)
{
	const struct ex_rule_info *info = ex_ruleset_rule(rs, rule);
	const struct ex_rule_info *next = ex_ruleset_rule(rs, rule + 1);

	return !next || strncmp(next->where, info->where, strlen(info->where)) != 0 ||
	       !strstr(next->where, ".rules.http[");
}

/* What every rule says to the request, taken together, is what the gates say. */
static void check_agreement(void *arg, const struct ex_probe *p)
{
	struct agreement *a = arg;
	struct ex_rule_status *v;
	bool allow = false, deny = false;
	struct ex_decision d;
	enum ex_step step;
	char text[5000];

	d = ex_probe_judge(a->rs, p, &step);
	if (d.reason == EX_R_RESERVED_DENY || step == EX_STEP_DNS ||
	    (!p->ingress && ex_ruleset_is_unselected(a->rs)))
		return;
	assert_int_equal(ex_probe_rules(a->rs, p, &v), 0);
	for (uint32_t i = 0; i < ex_ruleset_n_rules(a->rs); i++) {
		if (v[i].failed)
			continue;
		deny |= v[i].deny;
		/* a handshake that will be read on is accepted as far as it got */
		allow |= !v[i].deny && (!p->http || is_leaf(a->rs, i + 1));
	}
	a->compared++;
	a->allowed += d.verdict != EX_V_DENY;
	if ((d.verdict != EX_V_DENY) != (allow && !deny))
		fail_msg("%s: gates %d (%s), rules allow %d deny %d\n%s",
			 ex_example_text(p, text, sizeof(text)), d.verdict,
			 ex_reason_word(d.reason), allow, deny, a->text);
	free(v);
}

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static void append(char *text, const char *more)
{
	size_t len = strlen(text), n = strlen(more);

	assert_true(len + n < 4000);
	memcpy(text + len, more, n + 1);
}

static const char *const peers[] = {
	"  - toFQDNs: [{matchName: a.example}]\n",
	"  - toFQDNs: [{matchPattern: '*.example'}]\n",
	"  - toCIDR: [10.0.0.0/8]\n",
	"  - toCIDR: [10.1.0.0/16, '2001:db8::/32']\n",
	"  - toEntities: [world]\n",
	"  - toEntities: [all]\n",
	"  - toEndpoints: [{matchLabels: {app: gw}}]\n",
};
static const char *const port_lists[] = {
	"",
	"    toPorts: [{ports: [{port: '443', protocol: TCP}]}]\n",
	"    toPorts: [{ports: [{port: '80', protocol: ANY}]}]\n",
	"    toPorts: [{ports: [{port: '443', protocol: TCP}], rules: {http: [{method: GET}]}}]\n",
	"    toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{path: '/a|/b'},"
	" {method: 'P.*', path: '/c/[a-z]+'}]}}]\n",
	"    toPorts: [{ports: [{port: '443', protocol: TCP}], serverNames: [a.example]}]\n",
	"    toPorts: [{ports: [{port: '80', endPort: 443, protocol: TCP}]}]\n",
	"    toPorts: [{ports: [{port: '443', protocol: TCP}], serverNames: ['*']}]\n",
	"    toPorts: [{ports: [{port: '443', protocol: TCP}],"
	" rules: {http: [{method: GET, host: 'a.example'}, {path: /a, host: '.*[.]example:443'}]}}]\n",
	"    toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{host: 'a.example'}]}}]\n",
};

static void test_explain_agrees_with_the_gates(void **state)
{
	size_t compared = 0, allowed = 0;

	(void)state;
	for (int i = 0; i < 1500; i++) {
		char text[4000] = HEAD "  egress:\n  - {}\n";
		struct agreement a = { .text = text };
		struct ex_ruleset *rs, *other;

		for (uint32_t k = 1 + rnd(4); k; k--) {
			append(text, peers[rnd(EX_ARRAY_SIZE(peers))]);
			append(text, port_lists[rnd(EX_ARRAY_SIZE(port_lists))]);
		}
		if (rnd(2)) {
			append(text, "  egressDeny:\n");
			append(text, peers[2 + rnd(EX_ARRAY_SIZE(peers) - 2)]);
			append(text, port_lists[rnd(3)]);
		}
		rs = test_compile(text);
		other = test_compile(HEAD "  egress:\n"
					  "  - toFQDNs: [{matchName: a.example}]\n"
					  "  - toCIDR: [10.1.2.0/24]\n"
					  "    toPorts: [{ports: [{port: '80', protocol: TCP}],"
					  " rules: {http: [{path: /c/x, method: PUT}]}}]\n");
		a.rs = rs;
		ex_examples(rs, other, check_agreement, &a);
		ex_examples(other, rs, check_agreement, &a);
		compared += a.compared;
		allowed += a.allowed;
		ex_ruleset_unref(rs);
		ex_ruleset_unref(other);
	}
	assert_true(compared > 10000 && allowed > 1000 && allowed < compared);
}

static struct ex_ruleset *compile_ingress(const char *text)
{
	const struct ex_inward nothing = { NULL, 0 };
	struct ex_compile_input in = { .allow_unselected = true, .inward = &nothing };
	struct ex_diags diags = { 0 };
	struct ex_ruleset *rs = NULL;

	assert_int_equal(ex_compile_text(text, strlen(text), test_endpoints,
					 sizeof(test_endpoints) - 1, &in, &rs, &diags),
			 0);
	ex_diags_done(&diags);
	return rs;
}

static void test_explain_agrees_with_the_gate_on_ingress(void **state)
{
	static const char *const who[] = {
		"  - fromCIDR: [10.0.0.0/8]\n",
		"  - fromCIDR: [10.1.0.0/16, '2001:db8::/32']\n",
		"  - fromEntities: [world]\n",
		"  - fromEntities: [all]\n",
		"  - fromEndpoints: [{matchLabels: {app: gw}}]\n",
		"  - fromEndpoints: [{}]\n",
	};
	size_t compared = 0, allowed = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		char text[4000] = HEAD "  ingress:\n  - {}\n";
		struct agreement a = { .text = text };
		struct ex_ruleset *rs;

		for (uint32_t k = 1 + rnd(4); k; k--) {
			append(text, who[rnd(EX_ARRAY_SIZE(who))]);
			append(text, port_lists[rnd(3)]);
		}
		if (rnd(2)) {
			append(text, "  ingressDeny:\n");
			append(text, who[rnd(EX_ARRAY_SIZE(who))]);
			append(text, port_lists[rnd(3)]);
		}
		a.rs = rs = compile_ingress(text);
		ex_examples(rs, rs, check_agreement, &a);
		compared += a.compared;
		allowed += a.allowed;
		ex_ruleset_unref(rs);
	}
	assert_true(compared > 5000 && allowed > 1000 && allowed < compared);
}

static void test_examples_of_regexes_match(void **state)
{
	static const char *const patterns[] = {
		"GET|POST",
		"/v1/.*",
		"/v1/[^/]+/x",
		"(a|b)c",
		"a{2,3}b?",
		"/a\\.b",
		"\\d+",
		"x*",
		"(?:ab)+c",
		"[0-9a-f]-[[:alpha:]]",
		"^/x$",
		"(?i)/x",
		"(?P<a>b|c{2}?)+d",
		"/v[^a-z0-9/_.-]",
		"a{0}[(]b|x",
	};
	char buf[200];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(patterns); i++) {
		struct ex_variant most = { 0 }, want = { 0 };

		for (; want.pick <= most.pick; want.pick++, want.more = !want.more)
			if (!ex_example_of_regex(patterns[i], NULL, want, buf, sizeof(buf), &most))
				fail_msg("%s: guessed \"%s\"", patterns[i], buf);
	}
}

static void test_examples_have_the_alternatives(void **state)
{
	static const struct {
		const char *pattern, *text;
		struct ex_variant want, most;
	} v[] = {
		{ "GET|POST", "GET", { 0, false }, { 1, false } },
		{ "GET|POST", "POST", { 1, false }, { 1, false } },
		{ "GET|POST", "POST", { 2, true }, { 1, false } },
		{ "/v1/(a|b|c/.*)", "/v1/c/", { 2, false }, { 2, true } },
		{ "/v1/(a|b|c/.*)", "/v1/c/a", { 2, true }, { 2, true } },
		{ "/a(\\?.*)?", "/a", { 0, false }, { 0, true } },
		{ "/a(\\?.*)?", "/a?a", { 0, true }, { 0, true } },
		{ "x{2,}", "xx", { 0, false }, { 0, true } },
		{ "x{2,}", "xxx", { 0, true }, { 0, true } },
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(v); i++) {
		struct ex_variant most = { 0 };

		assert_true(ex_example_of_regex(v[i].pattern, NULL, v[i].want, buf, sizeof(buf),
						&most));
		assert_string_equal(buf, v[i].text);
		assert_int_equal(most.pick, v[i].most.pick);
		assert_int_equal(most.more, v[i].most.more);
	}
}

static const char *check_nothing(const struct ex_origin *o)
{
	(void)o;
	return NULL;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_names_of_files_act_on_no_terminal),
		cmocka_unit_test(test_explain_agrees_with_the_gates),
		cmocka_unit_test(test_explain_agrees_with_the_gate_on_ingress),
		cmocka_unit_test(test_examples_of_regexes_match),
		cmocka_unit_test(test_examples_have_the_alternatives),
	};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 10);
	ex_origin_use_checker(check_nothing);
	printf("# seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
