/* SPDX-License-Identifier: Apache-2.0 */
/* EgressPolicy: presets, audit, deny by name and by request, TLS mode; with deny and allow twins.
 */
#include "policy_helper.h"

#include <errno.h>

#include "policy/preset.h"
#include "policy/reading.h"

static const struct ex_span none = { 0 };

static void refused(const char *text)
{
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	assert_int_equal(test_try_compile(text, &rs, &diags), -EINVAL);
	ex_diags_done(&diags);
}

static struct ex_flow flow_to(const char *ip, uint16_t port, const struct ex_span *name)
{
	struct ex_flow f = test_flow(ip, IPPROTO_TCP, port);

	f.names = name;
	f.n_names = name ? 1 : 0;
	return f;
}

static struct ex_decision ask(const struct ex_ruleset *rs, const struct ex_flow *f, bool tls,
			      const char *method, const char *path, const char *host)
{
	struct ex_span h = ex_span_str(host);
	struct ex_http_request q = { .tls = tls,
				     .sni = h,
				     .method = ex_span_str(method),
				     .path = ex_span_str(path),
				     .host = h,
				     .authority = h };

	return ex_judge_http(rs, f, &q);
}

#define ALLOW(d)                                                                                   \
	do {                                                                                       \
		struct ex_decision d_ = (d);                                                       \
		assert_int_equal(d_.verdict, EX_V_ALLOW);                                          \
		assert_string_equal(ex_reason_word(d_.reason), "allowed");                         \
	} while (0)
#define RECORDED(d, v, why)                                                                        \
	do {                                                                                       \
		struct ex_decision d_ = (d);                                                       \
		assert_int_equal(d_.verdict, v);                                                   \
		assert_string_equal(ex_reason_word(d_.reason), why);                               \
	} while (0)
#define DENY(d, why) RECORDED(d, EX_V_DENY, why)

static void test_every_preset_compiles_and_denies_as_well(void **state)
{
	(void)state;
	for (size_t i = 0; i < ex_preset_count(); i++) {
		struct ex_preset p = ex_preset_at(i);
		struct ex_ruleset *rs;
		char text[400];

		snprintf(text, sizeof(text), OWN "  egress: [{preset: '%s'}]\n", p.name);
		if (memmem(p.text, p.len, "denyOnly: true", 14)) {
			refused(text);
		} else {
			rs = test_compile(text);
			assert_true(ex_ruleset_n_rules(rs) > 0);
			ex_ruleset_unref(rs);
		}
		snprintf(text, sizeof(text), OWN "  egressDeny: [{preset: '%s'}]\n", p.name);
		rs = test_compile(text);
		ex_ruleset_unref(rs);
	}
	refused(OWN "  egress: [{preset: llm:nobody}]\n");
	refused(OWN "  egress: [{preset: metadata, toPorts: [{ports: [{port: '1'}]}]}]\n");
	refused(HEAD "  egress: [{preset: metadata}]\n");
}

static void test_openai_preset(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  egress: [{preset: 'llm:openai'}]\n"
				 "  egressDeny: [{preset: 'llm:openai-uploads'}]\n");
	struct ex_span name = EX_SPAN("api.openai.com");
	struct ex_flow f = flow_to("198.51.100.7", 443, &name);

	(void)state;
	ALLOW(ask(rs, &f, true, "POST", "/v1/chat/completions", "api.openai.com"));
	ALLOW(ask(rs, &f, true, "POST", "/v1/responses?x=1", "api.openai.com"));
	ALLOW(ask(rs, &f, true, "GET", "/v1/models/gpt", "api.openai.com"));
	DENY(ask(rs, &f, true, "GET", "/v1/chat/completions", "api.openai.com"), "http-denied");
	DENY(ask(rs, &f, true, "POST", "/v1/files", "api.openai.com"), "policy-deny");
	DENY(ask(rs, &f, true, "POST", "/v1/batches?x", "api.openai.com"), "policy-deny");
	DENY(ask(rs, &f, true, "POST", "/v1/chat/completions/x", "api.openai.com"), "http-denied");
	ex_ruleset_unref(rs);
}

static void assert_upload(const char *name, const char *host, const char *path, const char *why)
{
	struct ex_span span = ex_span_str(host);
	struct ex_flow f = flow_to("198.51.100.7", 443, &span);
	char text[400];
	struct ex_ruleset *rs;

	snprintf(text, sizeof(text), OWN "  egress: [{preset: 'llm:%s'}]\n%s%s%s", name,
		 why ? "  egressDeny: [{preset: 'llm:" : "", why ? name : "",
		 why ? "-uploads'}]\n" : "");
	rs = test_compile(text);
	DENY(ask(rs, &f, true, "POST", path, host), why ? why : "http-denied");
	ex_ruleset_unref(rs);
}

/* Left out by the one preset, denied by the other. */
static void test_90_presets_leave_uploads_out(void **state)
{
	static const struct {
		const char *preset, *host, *allowed, *uploads[6];
	} rows[] = {
		{ "openai",
		  "api.openai.com",
		  "/v1/chat/completions",
		  { "/v1/files", "/v1/uploads/u/parts", "/v1/containers/c/files",
		    "/v1/vector_stores", "/v1/batches", "/v1/fine_tuning/jobs" } },
		{ "anthropic",
		  "api.anthropic.com",
		  "/v1/messages",
		  { "/v1/files", "/v1/messages/batches" } },
		{ "gemini",
		  "generativelanguage.googleapis.com",
		  "/v1beta/models/g:generateContent",
		  { "/upload/v1beta/files", "/v1beta/files", "/v1beta/cachedContents" } },
		{ "mistral",
		  "api.mistral.ai",
		  "/v1/chat/completions",
		  { "/v1/libraries/l/documents", "/v1/files" } },
		{ "groq",
		  "api.groq.com",
		  "/openai/v1/chat/completions",
		  { "/openai/v1/files", "/openai/v1/batches" } },
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(rows); i++) {
		struct ex_span name = ex_span_str(rows[i].host);
		struct ex_flow f = flow_to("198.51.100.7", 443, &name);
		struct ex_ruleset *rs;
		char text[400];

		snprintf(text, sizeof(text), OWN "  egress: [{preset: 'llm:%s'}]\n",
			 rows[i].preset);
		rs = test_compile(text);
		ALLOW(ask(rs, &f, true, "POST", rows[i].allowed, rows[i].host));
		ex_ruleset_unref(rs);
		for (size_t k = 0; k < 6 && rows[i].uploads[k]; k++) {
			assert_upload(rows[i].preset, rows[i].host, rows[i].uploads[k], NULL);
			assert_upload(rows[i].preset, rows[i].host, rows[i].uploads[k],
				      "policy-deny");
		}
	}
}

/* Widening the allow rule does not lift the deny list. */
static void test_deny_by_request_beats_allow(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  egress:\n"
				 "  - toFQDNs: [{matchName: api.openai.com}]\n"
				 "    toPorts: [{ports: [{port: '443', protocol: TCP}]}]\n"
				 "  egressDeny: [{preset: 'llm:openai-uploads'}]\n");
	struct ex_span name = EX_SPAN("api.openai.com"), other = EX_SPAN("x.example");
	struct ex_flow f = flow_to("198.51.100.7", 443, &name);

	(void)state;
	/* what was carried unread has to be read now */
	assert_int_equal(ex_judge_l4(rs, &f).verdict, EX_V_STEER);
	assert_int_equal(ex_judge_app(rs, &f, EX_APP_TLS, name).verdict, EX_V_STEER);
	assert_true(ex_ruleset_intercepts(rs, name));
	assert_false(ex_ruleset_intercepts(rs, other));
	ALLOW(ask(rs, &f, true, "POST", "/v1/chat/completions", "api.openai.com"));
	DENY(ask(rs, &f, true, "POST", "/v1/files/x", "api.openai.com"), "policy-deny");
	ex_ruleset_unref(rs);
}

static void test_deny_by_name(void **state)
{
	struct ex_ruleset *rs = test_compile(
		OWN "  egress: [{toEntities: [world]}]\n"
		    "  egressDeny: [{toFQDNs: [{matchPattern: '**.evil.example'}]}]\n");
	struct ex_span good = EX_SPAN("good.example"), evil = EX_SPAN("a.b.evil.example");
	struct ex_flow f = flow_to("198.51.100.7", 443, NULL);
	struct ex_flow u = test_flow("198.51.100.7", IPPROTO_UDP, 443);

	(void)state;
	DENY(ex_judge_dns(rs, evil), "policy-deny");
	ALLOW(ex_judge_dns(rs, good));
	assert_int_equal(ex_judge_l4(rs, &f).verdict, EX_V_STEER);
	ALLOW(ex_judge_l4(rs, &u));
	u.names = &evil;
	u.n_names = 1;
	DENY(ex_judge_l4(rs, &u), "policy-deny");
	ALLOW(ex_judge_app(rs, &f, EX_APP_TLS, good));
	DENY(ex_judge_app(rs, &f, EX_APP_TLS, evil), "policy-deny");
	DENY(ex_judge_app(rs, &f, EX_APP_TLS, none), "sni-missing");
	ALLOW(ex_judge_app(rs, &f, EX_APP_OTHER, none));
	assert_int_equal(ex_judge_app(rs, &f, EX_APP_HTTP, none).verdict, EX_V_STEER);
	ALLOW(ask(rs, &f, false, "GET", "/", "good.example"));
	DENY(ask(rs, &f, false, "GET", "/", "a.b.evil.example"), "policy-deny");
	/* an endpoint is not what names are about, and the host stays closed */
	DENY(test_l4(rs, "10.9.0.1", IPPROTO_TCP, 443), "default-deny");
	ex_ruleset_unref(rs);
}

/* Its name may be asked for, since other ports are left; and no bytes of this one tell a name. */
static void test_deny_by_name_of_a_port(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  egress: [{toEntities: [world]}]\n"
				 "  egressDeny:\n  - toFQDNs: [{matchName: evil.example}]\n"
				 "    toPorts:\n    - ports: [{port: '22', protocol: TCP}]\n"
				 "    - ports: [{port: '80', protocol: TCP}]\n"
				 "      rules: {http: [{method: PUT}]}\n");
	struct ex_span evil = EX_SPAN("evil.example"), good = EX_SPAN("good.example");
	struct ex_flow f = flow_to("198.51.100.7", 22, &evil);

	(void)state;
	ALLOW(ex_judge_dns(rs, evil));
	assert_int_equal(ex_judge_l4(rs, &f).verdict, EX_V_STEER);
	DENY(ex_judge_app(rs, &f, EX_APP_OTHER, none), "policy-deny");
	f.port = 80;
	DENY(ex_judge_app(rs, &f, EX_APP_OTHER, none), "unknown-protocol");
	f.port = 23;
	ALLOW(ex_judge_l4(rs, &f));
	f = flow_to("198.51.100.7", 22, &good);
	ALLOW(ex_judge_app(rs, &f, EX_APP_OTHER, none));
	f = flow_to("198.51.100.7", 22, NULL);
	ALLOW(ex_judge_app(rs, &f, EX_APP_OTHER, none));
	ex_ruleset_unref(rs);
}

static void test_deny_by_request_to_addresses(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  egress: [{toCIDR: [198.51.100.0/24]}]\n"
				 "  egressDeny:\n  - toCIDR: [198.51.100.0/25]\n"
				 "    toPorts: [{ports: [{port: '80', protocol: TCP}],"
				 " rules: {http: [{method: PUT}]}}]\n");
	struct ex_flow f = flow_to("198.51.100.7", 80, NULL),
		       g = flow_to("198.51.100.200", 80, NULL);

	(void)state;
	assert_int_equal(ex_judge_l4(rs, &f).verdict, EX_V_STEER);
	ALLOW(ex_judge_l4(rs, &g));
	assert_int_equal(ex_judge_app(rs, &f, EX_APP_HTTP, none).verdict, EX_V_STEER);
	DENY(ex_judge_app(rs, &f, EX_APP_OTHER, none), "unknown-protocol");
	ALLOW(ask(rs, &f, false, "GET", "/", "x"));
	DENY(ask(rs, &f, false, "PUT", "/", "x"), "policy-deny");
	ALLOW(ask(rs, &g, false, "PUT", "/", "x"));
	ex_ruleset_unref(rs);
	refused(OWN "  egressDeny:\n  - toPorts: [{ports: [{port: '80', protocol: TCP}],"
		    " rules: {http: []}}]\n");
	refused(OWN "  egressDeny:\n  - toPorts: [{ports: [{port: '53', protocol: UDP}],"
		    " rules: {dns: [{matchName: a}]}}]\n");
}

/* One that is too long to be read in each way may be the one that is denied. */
static void test_deny_path_that_is_too_long_to_be_read(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  egress: [{toCIDR: [198.51.100.0/24]}]\n"
				 "  egressDeny:\n  - toCIDR: [198.51.100.0/25]\n"
				 "    toPorts: [{ports: [{port: '80', protocol: TCP}],"
				 " rules: {http: [{path: /secret}]}}]\n");
	struct ex_flow f = flow_to("198.51.100.7", 80, NULL);
	static char path[EX_PATH_TEXT + 2];

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	DENY(ask(rs, &f, false, "GET", path, "x"), "policy-deny");
	path[EX_PATH_TEXT] = '\0';
	ALLOW(ask(rs, &f, false, "GET", path, "x"));
	DENY(ask(rs, &f, false, "GET", "/secret", "x"), "policy-deny");
	ex_ruleset_unref(rs);
}

static void test_audit_policy_records_and_allows(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  enforcement: audit\n  egress:\n"
				 "  - toCIDR: [198.51.100.0/24]\n"
				 "    toPorts: [{ports: [{port: '80', protocol: TCP}],"
				 " rules: {http: [{method: GET}]}}]\n"
				 "  egressDeny: [{toCIDR: [203.0.113.0/24]}]\n");
	struct ex_flow f = flow_to("198.51.100.7", 80, NULL);

	(void)state;
	RECORDED(test_l4(rs, "8.8.8.8", IPPROTO_TCP, 1), EX_V_ALLOW, "default-deny");
	RECORDED(test_l4(rs, "203.0.113.1", IPPROTO_TCP, 1), EX_V_ALLOW, "policy-deny");
	DENY(test_l4(rs, "169.254.169.254", IPPROTO_TCP, 80), "reserved-deny");
	RECORDED(test_l4(rs, "10.9.0.1", IPPROTO_TCP, 1), EX_V_ALLOW, "default-deny");
	DENY(test_l4(rs, "192.168.7.7", IPPROTO_TCP, 80), "default-deny"); /* the host */
	assert_int_equal(ex_judge_l4(rs, &f).verdict, EX_V_STEER);
	ALLOW(ask(rs, &f, false, "GET", "/", "x"));
	RECORDED(ask(rs, &f, false, "PUT", "/", "x"), EX_V_ALLOW, "http-denied");
	RECORDED(ex_judge_app(rs, &f, EX_APP_OTHER, none), EX_V_ALLOW, "unknown-protocol");
	RECORDED(ex_judge_dns(rs, EX_SPAN("a.example")), EX_V_ALLOW, "default-deny");
	ex_ruleset_unref(rs);
}

/* Names as requests: what an auditing list would deny may be asked for, and is recorded. */
static void test_audit_records_names(void **state)
{
	static const char list[] = "  - toPorts: [{ports: [{port: '53', protocol: UDP}],"
				   " rules: {dns: [{matchName: a.example}]}}]\n";
	static const struct {
		const char *first, *last;
		enum ex_verdict verdict;
	} cases[] = {
		{ "  enforcement: audit\n  egress:\n", "", EX_V_ALLOW },
		{ "  egress:\n", "    enforcement: audit\n", EX_V_ALLOW },
		{ "  egress:\n", "", EX_V_DENY },
		{ "  egress:\n", /* one that enforces decides */
		  "    enforcement: audit\n  - toPorts: [{ports: [{port: '53', protocol: UDP}],"
		  " rules: {dns: [{matchName: b.example}]}}]\n",
		  EX_V_DENY },
		{ "  enforcement: audit\n  egress:\n",
		  "---\n" OWN "  egress: [{toPorts: [{ports: [{port: '53', protocol: UDP}],"
		  " rules: {dns: [{matchName: a.example}]}}]}]\n",
		  EX_V_DENY },
	};
	char policy[1000];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		struct ex_ruleset *rs;

		snprintf(policy, sizeof(policy), OWN "%s%s%s", cases[i].first, list, cases[i].last);
		rs = test_compile(policy);
		ALLOW(ex_judge_dns(rs, EX_SPAN("a.example")));
		RECORDED(ex_judge_dns(rs, EX_SPAN("c.example")), cases[i].verdict,
			 "dns-name-denied");
		DENY(ex_judge_dns(rs, EX_SPAN("metadata.google.internal")), "reserved-deny");
		ex_ruleset_unref(rs);
	}
}

static void test_node_and_kube_presets(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  egress: [{toEntities: [all]}]\n"
				 "  egressDeny: [{preset: node}, {preset: kube}]\n");
	static const uint16_t shut[] = { 10250, 10255, 10256, 2379, 2380, 4194, 9100, 6443 };
	static const char *const names[] = { "kubernetes", "kubernetes.default.svc",
					     "kubernetes.default.svc.cluster.local" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(shut); i++) {
		DENY(test_l4(rs, "10.0.0.1", IPPROTO_TCP, shut[i]), "policy-deny");
		DENY(test_l4(rs, "2001:db8::1", IPPROTO_TCP, shut[i]), "policy-deny");
		assert_int_not_equal(test_l4(rs, "10.0.0.1", IPPROTO_UDP, shut[i]).verdict,
				     EX_V_DENY);
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++)
		DENY(ex_judge_dns(rs, ex_span_str(names[i])), "policy-deny");
	assert_int_not_equal(test_l4(rs, "10.0.0.1", IPPROTO_TCP, 2381).verdict, EX_V_DENY);
	assert_int_not_equal(ex_judge_dns(rs, EX_SPAN("kubernetes.io")).verdict, EX_V_DENY);
	ex_ruleset_unref(rs);
	refused(OWN "  egress: [{preset: kube}]\n");
	refused(OWN "  egress: [{preset: metadata}]\n");
}

/* Nothing is accepted and ignored: where audit changes nothing it is refused. */
static void test_audit_without_effect_is_refused(void **state)
{
	(void)state;
	refused(OWN "  egress:\n  - toCIDR: [198.51.100.0/24]\n    enforcement: audit\n");
	refused(OWN "  egress:\n  - toCIDR: [198.51.100.0/24]\n    enforcement: audit\n"
		    "    toPorts: [{ports: [{port: '80', protocol: TCP}]}]\n");
	refused(OWN "  enforcement: audit\n  egress:\n  - toCIDR: [198.51.100.0/24]\n"
		    "    enforcement: enforce\n");
	ex_ruleset_unref(test_compile(OWN
				      "  egress:\n  - toCIDR: [198.51.100.0/24]\n"
				      "    enforcement: audit\n    tls: intercept\n"
				      "    toPorts: [{ports: [{port: '443', protocol: TCP}]}]\n"));
	ex_ruleset_unref(test_compile(OWN
				      "  enforcement: audit\n  egress:\n"
				      "  - toCIDR: [198.51.100.0/24]\n    enforcement: audit\n"));
}

static void test_audit_never_weakens_an_enforcing_policy(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  enforcement: audit\n  egress: [{toEntities: [all]}]\n"
				 "  egressDeny: [{toCIDR: [198.51.100.0/24]}]\n"
				 "---\n" OWN "  egress: [{toCIDR: [198.51.100.0/24]}]\n");

	(void)state;
	DENY(test_l4(rs, "8.8.8.8", IPPROTO_TCP, 1), "default-deny");
	RECORDED(test_l4(rs, "198.51.100.1", IPPROTO_TCP, 1), EX_V_ALLOW, "policy-deny");
	ex_ruleset_unref(rs);
	/* one list audits, the other enforces: the enforcing one decides */
	rs = test_compile(OWN "  egress:\n"
			      "  - toCIDR: [198.51.100.0/24]\n    enforcement: audit\n"
			      "    toPorts: [{ports: [{port: '80', protocol: TCP}],"
			      " rules: {http: [{method: GET}]}}]\n"
			      "  - toCIDR: [198.51.100.0/25]\n"
			      "    toPorts: [{ports: [{port: '80', protocol: TCP}],"
			      " rules: {http: [{method: HEAD}]}}]\n");
	struct ex_flow f = flow_to("198.51.100.7", 80, NULL),
		       g = flow_to("198.51.100.200", 80, NULL);

	ALLOW(ask(rs, &f, false, "GET", "/", "x"));
	ALLOW(ask(rs, &f, false, "HEAD", "/", "x"));
	DENY(ask(rs, &f, false, "PUT", "/", "x"), "http-denied");
	RECORDED(ask(rs, &g, false, "PUT", "/", "x"), EX_V_ALLOW, "http-denied");
	ex_ruleset_unref(rs);
}

static void test_audit_does_not_loosen_the_name_binding(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  egress:\n"
				 "  - toFQDNs: [{matchName: a.example}]\n    enforcement: audit\n"
				 "    toPorts: [{ports: [{port: '443', protocol: TCP}],"
				 " rules: {http: [{method: GET}]}}]\n");
	struct ex_span a = EX_SPAN("a.example"), b = EX_SPAN("b.example");
	struct ex_flow f = flow_to("198.51.100.7", 443, &a);

	(void)state;
	RECORDED(ask(rs, &f, true, "PUT", "/", "a.example"), EX_V_ALLOW, "http-denied");
	DENY(ex_judge_app(rs, &f, EX_APP_TLS, b), "sni-denied");
	DENY(ask(rs, &f, true, "GET", "/", "b.example"), "host-denied");
	DENY(ex_judge_dns(rs, b), "dns-name-denied");
	ex_ruleset_unref(rs);
}

/* Where only serverNames bind, the binding is what the list says, and audited like it. */
static void test_audit_records_an_unresolved_server_name(void **state)
{
	static const char text[] = OWN "  enforcement: %s\n  egress:\n"
				       "  - toPorts: [{ports: [{port: '443', protocol: TCP}],"
				       " serverNames: [a.example]}]\n";
	struct ex_span a = EX_SPAN("a.example"), b = EX_SPAN("b.example");
	struct ex_flow f = flow_to("198.51.100.7", 443, &a);
	struct ex_ruleset *rs;
	char policy[1000];

	(void)state;
	for (int enforce = 0; enforce < 2; enforce++) {
		enum ex_verdict v = enforce ? EX_V_DENY : EX_V_ALLOW;

		snprintf(policy, sizeof(policy), text, enforce ? "enforce" : "audit");
		rs = test_compile(policy);
		f.n_names = 1;
		ALLOW(ex_judge_app(rs, &f, EX_APP_TLS, a));
		RECORDED(ex_judge_app(rs, &f, EX_APP_TLS, b), v, "sni-denied");
		f.n_names = 0;
		RECORDED(ex_judge_app(rs, &f, EX_APP_TLS, a), v, "address-not-of-name");
		ex_ruleset_unref(rs);
	}
}

static void test_tls_mode(void **state)
{
	struct ex_ruleset *rs =
		test_compile(OWN "  egress:\n"
				 "  - toFQDNs: [{matchName: a.example}]\n    tls: intercept\n"
				 "    toPorts: [{ports: [{port: '443', protocol: TCP}]}]\n"
				 "  - toFQDNs: [{matchName: b.example}]\n    tls: passthrough\n"
				 "    toPorts: [{ports: [{port: '443', protocol: TCP}]}]\n");
	struct ex_span a = EX_SPAN("a.example"), b = EX_SPAN("b.example");
	struct ex_flow fa = flow_to("198.51.100.7", 443, &a), fb = flow_to("198.51.100.7", 443, &b);

	(void)state;
	assert_int_equal(ex_judge_app(rs, &fa, EX_APP_TLS, a).verdict, EX_V_STEER);
	ALLOW(ask(rs, &fa, true, "PUT", "/", "a.example"));
	DENY(ask(rs, &fa, true, "PUT", "/", "b.example"), "host-denied");
	ALLOW(ex_judge_app(rs, &fb, EX_APP_TLS, b));
	assert_true(ex_ruleset_intercepts(rs, a));
	assert_false(ex_ruleset_intercepts(rs, b));
	ex_ruleset_unref(rs);
	refused(OWN "  egress:\n  - toFQDNs: [{matchName: a.example}]\n    tls: intercept\n");
	refused(OWN "  egress:\n  - tls: intercept\n"
		    "    toPorts: [{ports: [{port: '53', protocol: TCP}],"
		    " rules: {dns: [{matchName: a.example}]}}]\n");
	refused(OWN "  egress:\n  - toEndpoints: [{}]\n    tls: intercept\n"
		    "    toPorts: [{ports: [{port: https}]}]\n");
	refused(OWN "  egress:\n  - tls: passthrough\n"
		    "    toPorts: [{ports: [{port: '443', protocol: TCP}],"
		    " rules: {http: [{method: GET}]}}]\n");
	refused(HEAD "  egress:\n  - tls: intercept\n"
		     "    toPorts: [{ports: [{port: '443', protocol: TCP}]}]\n");
}

static void test_metadata_names_are_refused(void **state)
{
	static const char *const names[] = { "metadata.google.internal", "metadata.goog",
					     "instance-data", "metadata" };
	struct ex_ruleset *rs =
		test_compile(HEAD "  egress:\n  - toFQDNs: [{matchPattern: '*'}]\n");

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++)
		DENY(ex_judge_dns(rs, ex_span_str(names[i])), "reserved-deny");
	ALLOW(ex_judge_dns(rs, ex_span_str("metadata.example")));
	ex_ruleset_unref(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_preset_compiles_and_denies_as_well),
		cmocka_unit_test(test_openai_preset),
		cmocka_unit_test(test_90_presets_leave_uploads_out),
		cmocka_unit_test(test_deny_by_request_beats_allow),
		cmocka_unit_test(test_deny_by_name),
		cmocka_unit_test(test_deny_by_name_of_a_port),
		cmocka_unit_test(test_deny_by_request_to_addresses),
		cmocka_unit_test(test_deny_path_that_is_too_long_to_be_read),
		cmocka_unit_test(test_audit_policy_records_and_allows),
		cmocka_unit_test(test_audit_records_names),
		cmocka_unit_test(test_node_and_kube_presets),
		cmocka_unit_test(test_audit_without_effect_is_refused),
		cmocka_unit_test(test_audit_never_weakens_an_enforcing_policy),
		cmocka_unit_test(test_audit_does_not_loosen_the_name_binding),
		cmocka_unit_test(test_audit_records_an_unresolved_server_name),
		cmocka_unit_test(test_tls_mode),
		cmocka_unit_test(test_metadata_names_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
