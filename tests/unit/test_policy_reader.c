/* SPDX-License-Identifier: Apache-2.0 */
/* What the proxy's reader refuses before any rule is asked, `exeat policy` knows, too. */
#include "policy_helper.h"

#include "agent/http/probe.h"
#include "policy/explain.h"

#define HEADERS_MAX 4

static const struct {
	const char *to, *method;
	const char *headers[HEADERS_MAX];
	const char *reason;
} rows[] = {
	{ "http://10.0.0.1/", "GET", { NULL }, "allowed" },
	{ "http://10.0.0.1/", "DELETE", { NULL }, "allowed" },
	/* methods */
	{ "http://10.0.0.1/", "CONNECT", { NULL }, "upgrade-denied" },
	{ "http://10.0.0.1/", "TRACE", { NULL }, "http-denied" },
	{ "http://10.0.0.1/", "PRI", { NULL }, "h2-unsupported" },
	{ "http://10.0.0.1/", "get", { NULL }, "http-malformed" },
	{ "http://10.0.0.1/", "BREW", { NULL }, "http-malformed" },
	{ "http://10.0.0.1/", "GET /x HTTP/1.1\r\nA: b\r\n\r\nGET", { NULL }, "http-malformed" },
	{ "http://10.0.0.1/", "", { NULL }, "http-malformed" },
	/* targets */
	{ "http://10.0.0.1/a/../b", "GET", { NULL }, "http-malformed" },
	{ "http://10.0.0.1/a//b", "GET", { NULL }, "http-malformed" },
	{ "http://10.0.0.1/%00", "GET", { NULL }, "http-malformed" },
	{ "http://10.0.0.1/a b", "GET", { NULL }, "http-malformed" },
	{ "http://10.0.0.1/%7Ea", "GET", { NULL }, "allowed" },
	/* Host */
	{ "http://10.0.0.1:80/", "GET", { NULL }, "allowed" },
	{ "http://10.0.0.1:8080/", "GET", { NULL }, "allowed" },
	/* framing */
	{ "http://10.0.0.1/", "POST", { "Content-Length", "3" }, "allowed" },
	{ "http://10.0.0.1/", "POST", { "Content-Length", "+3" }, "http-malformed" },
	{ "http://10.0.0.1/", "POST", { "Content-Length", "03" }, "http-malformed" },
	{ "http://10.0.0.1/",
	  "POST",
	  { "Content-Length", "3", "Transfer-Encoding", "chunked" },
	  "http-malformed" },
	{ "http://10.0.0.1/", "POST", { "Transfer-Encoding", "chunked" }, "allowed" },
	{ "http://10.0.0.1/", "POST", { "Transfer-Encoding", "gzip, chunked" }, "http-malformed" },
	{ "http://10.0.0.1/", "POST", { "Transfer-Encoding", "Chunked " }, "allowed" },
	{ "http://10.0.0.1/", "POST", { "Transfer_Encoding", "chunked" }, "http-malformed" },
	{ "http://10.0.0.1/", "GET", { "Expect", "101-dance" }, "http-malformed" },
	/* bytes and names */
	{ "http://10.0.0.1/", "GET", { "X-A", "\x01" }, "http-malformed" },
	{ "http://10.0.0.1/", "GET", { "X-A", "b\r\nHost: c" }, "http-malformed" },
	{ "http://10.0.0.1/", "GET", { "X A", "b" }, "http-malformed" },
	{ "http://10.0.0.1/", "GET", { "X-A", "b", "X_A", "c" }, "http-malformed" },
	{ "http://10.0.0.1/", "GET", { "X_A", "b" }, "allowed" },
	/* upgrades */
	{ "http://10.0.0.1/",
	  "GET",
	  { "Upgrade", "websocket", "Connection", "Upgrade" },
	  "allowed" },
	{ "http://10.0.0.1/",
	  "POST",
	  { "Upgrade", "websocket", "Connection", "Upgrade" },
	  "upgrade-denied" },
	{ "http://10.0.0.1/",
	  "GET",
	  { "Upgrade", "tls", "Connection", "Upgrade" },
	  "upgrade-denied" },
	{ "http://10.0.0.1/",
	  "GET",
	  { "Upgrade", "h2c", "Connection", "Upgrade" },
	  "h2-unsupported" },
	{ "http://10.0.0.1/", "GET", { "HTTP2-Settings", "x" }, "h2-unsupported" },
	{ "http://10.0.0.1/", "GET", { "Connection", "x-a" }, "http-malformed" },
};

static struct ex_probe probe_of(size_t i)
{
	struct ex_probe p;
	const char *wrong = ex_probe_parse(rows[i].to, &p);

	if (wrong)
		fail_msg("%s: %s", rows[i].to, wrong);
	snprintf(p.method, sizeof(p.method), "%s", rows[i].method);
	for (size_t k = 0; k < HEADERS_MAX && rows[i].headers[k]; k += 2)
		p.headers[p.n_headers++] =
			(struct ex_header){ ex_span_str(rows[i].headers[k]),
					    ex_span_str(rows[i].headers[k + 1]) };
	ex_probe_read(&p);
	return p;
}

static void check_rows(const struct ex_ruleset *rs)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(rows); i++) {
		struct ex_probe p = probe_of(i);
		struct ex_rule_status *v;
		enum ex_step step;
		struct ex_decision d = ex_probe_judge(rs, &p, &step);
		bool applies = false;

		if (strcmp(ex_reason_word(d.reason), rows[i].reason) != 0)
			fail_msg("row %zu, %s %s %s: %s, want %s", i, rows[i].method, rows[i].to,
				 rows[i].headers[0] ? rows[i].headers[0] : "",
				 ex_reason_word(d.reason), rows[i].reason);
		/* no rule is said to apply to what is refused unread */
		assert_int_equal(ex_probe_rules(rs, &p, &v), 0);
		for (uint32_t k = 1; k < ex_ruleset_n_rules(rs); k++)
			applies |= v[k].failed == EX_FAILED_NONE;
		assert_int_equal(applies, p.refused == EX_R_UNSPEC);
		free(v);
	}
}

static void test_refused_before_any_rule(void **state)
{
	struct ex_ruleset *rs = test_compile(
		HEAD "  egress:\n  - toCIDR: [10.0.0.0/8]\n    toPorts:\n"
		     "    - ports: [{port: '80', protocol: TCP}, {port: '8080', protocol: TCP}]\n"
		     "      rules: {http: [{path: '/.*'}]}\n");

	(void)state;
	check_rows(rs);
	ex_ruleset_unref(rs);
}

/* Where no rule reads requests, bytes are carried unread. */
static void test_unread_is_not_refused(void **state)
{
	struct ex_ruleset *rs = test_compile(HEAD "  egress:\n  - toCIDR: [10.0.0.0/8]\n");
	enum ex_step step;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(rows); i++) {
		struct ex_probe p = probe_of(i);

		assert_int_equal(ex_probe_judge(rs, &p, &step).verdict, EX_V_ALLOW);
	}
	ex_ruleset_unref(rs);
}

static void test_request_is_shown_as_it_is_judged(void **state)
{
	struct ex_probe p;

	(void)state;
	assert_null(ex_probe_parse("https://API.example.com.:443/%7euser/%c3%a4?%41", &p));
	ex_probe_read(&p);
	assert_int_equal(p.refused, EX_R_UNSPEC);
	assert_string_equal(p.path, "/~user/%C3%A4?A");
	assert_string_equal(p.host, "api.example.com");
	assert_string_equal(p.authority, "api.example.com:443");
	assert_null(ex_probe_parse("http://[2001:DB8::1]:8080/", &p));
	ex_probe_read(&p);
	assert_string_equal(p.host, "2001:db8::1");
	assert_string_equal(p.authority, "[2001:db8::1]:8080");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_before_any_rule),
		cmocka_unit_test(test_unread_is_not_refused),
		cmocka_unit_test(test_request_is_shown_as_it_is_judged),
	};

	ex_probe_use_reader(ex_h1_probe);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
