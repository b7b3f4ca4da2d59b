/* SPDX-License-Identifier: Apache-2.0 */
/* Learning: records to uses, paths to patterns, and nothing hostile into a policy. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "agent/learn/path.h"
#include "agent/learn/policy.h"
#include "agent/learn/write.h"
#include "policy/compile.h"
#include "policy/ruleset.h"

static const char *pattern_of(const char *path)
{
	static char out[EX_LEARN_PATTERN_MAX];
	struct ex_learn_paths p = { 0 };

	assert_int_equal(ex_learn_paths_add(&p, "GET", path, "t"), 0);
	assert_int_equal(p.n, 1);
	ex_learn_pattern(&p.v[0], out);
	ex_learn_paths_done(&p);
	return out;
}

static void test_what_names_one_of_many_becomes_a_class(void **state)
{
	(void)state;
	assert_string_equal(pattern_of("/v1/items/42"), "/v1/items/[0-9]+");
	assert_string_equal(pattern_of("/a/9f1c2f4e-5c1d-4d8a-9a51-3d0f8f2b7a11/b"),
			    "/a/[0-9a-fA-F-]{36}/b");
	assert_string_equal(pattern_of("/sha/da39a3ee5e6b4b0d3255bfef95601890afd80709"),
			    "/sha/[0-9a-fA-F]+");
	assert_string_equal(pattern_of("/f/file-Ab3dE5gH7jK9mN1pQ3"), "/f/[A-Za-z0-9_-]+");
}

static void test_everything_else_stays_literal(void **state)
{
	(void)state;
	assert_string_equal(pattern_of("/"), "/");
	assert_string_equal(pattern_of("/v1/chat/completions"), "/v1/chat/completions");
	assert_string_equal(pattern_of("/a.b+c*(d)[e]{f}^g$h|i\\j"),
			    "/a\\.b\\+c\\*\\(d\\)\\[e\\]\\{f\\}\\^g\\$h\\|i\\\\j");
	assert_string_equal(pattern_of("/1.2.3/x"), "/1\\.2\\.3/x");
	assert_string_equal(pattern_of("//x//"), "//x//");
	assert_string_equal(pattern_of("/deadbeef"), "/deadbeef");
	assert_string_equal(pattern_of("/a?x=*"), "/a\\?.*");
}

static void test_attack_98_what_cannot_stand_in_a_policy_is_refused(void **state)
{
	static const char *const bad[] = { "", "x", "/a\nb", "/a b", "/\x1b[2J", "/\xff", "*" };
	struct ex_learn_paths p = { 0 };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++)
		assert_int_equal(ex_learn_paths_add(&p, "GET", bad[i], "t"), -EINVAL);
	assert_int_equal(ex_learn_paths_add(&p, "G\nT", "/", "t"), -EINVAL);
	assert_int_equal(ex_learn_paths_add(&p, "", "/", "t"), -EINVAL);
	/* tokens of HTTP that are patterns */
	assert_int_equal(ex_learn_paths_add(&p, ".*", "/", "t"), -EINVAL);
	assert_int_equal(ex_learn_paths_add(&p, "GET|POST", "/", "t"), -EINVAL);
	assert_int_equal(ex_learn_paths_add(&p, "G.T", "/", "t"), -EINVAL);
	assert_int_equal(p.n, 0);
	assert_int_equal(ex_learn_paths_add(&p, "M-SEARCH", "/", "t"), 0);
	ex_learn_paths_done(&p);
}

static void test_one_segment_with_many_values_becomes_any(void **state)
{
	struct ex_learn_paths p = { 0 };
	char path[64], out[EX_LEARN_PATTERN_MAX];

	(void)state;
	for (int i = 0; i < 7; i++) {
		snprintf(path, sizeof(path), "/pkg/name-%c/meta", 'a' + i);
		assert_int_equal(ex_learn_paths_add(&p, "GET", path, "t"), 0);
	}
	assert_int_equal(ex_learn_paths_merge(&p), 0);
	assert_int_equal(p.n, 7); /* one fewer than it takes */
	assert_int_equal(ex_learn_paths_add(&p, "GET", "/pkg/name-z/meta", "t"), 0);
	assert_int_equal(ex_learn_paths_add(&p, "PUT", "/pkg/name-z/meta", "t"), 0);
	assert_int_equal(ex_learn_paths_add(&p, "GET", "/pkg/name-z/data", "t"), 0);
	assert_int_equal(ex_learn_paths_add(&p, "GET", "/pkg/name-z", "t"), 0);
	assert_int_equal(ex_learn_paths_merge(&p), 0);
	assert_int_equal(p.n, 4);
	for (size_t i = 0; i < p.n; i++) {
		ex_learn_pattern(&p.v[i], out);
		if (p.v[i].count == 8)
			assert_string_equal(out, "/pkg/[^/]+/meta");
	}
	ex_learn_paths_done(&p);
}

/* A workload chooses its paths. */
static void test_attack_150_long_paths_are_merged_in_time(void **state)
{
	struct ex_learn_paths p = { 0 };
	time_t begun = time(NULL);
	char path[256];

	(void)state;
	for (int i = 0; i < 100; i++)
		memcpy(path + i * 2, "/a", 2);
	for (int i = 0; i < 2000; i++) {
		snprintf(path + 200, sizeof(path) - 200, "/x%db/y%db", i, i);
		assert_int_equal(ex_learn_paths_add(&p, "GET", path, "t"), 0);
	}
	assert_int_equal(ex_learn_paths_merge(&p), 0);
	assert_int_equal(p.n, 2000); /* each differs in two segments */
	assert_true(time(NULL) - begun < 60);
	ex_learn_paths_done(&p);
}

/* ---- records ---- */
static void take(struct ex_learn *l, const char *line)
{
	assert_int_equal(ex_learn_line(l, ex_span_str(line)), 0);
}

#define HEAD "{\"time\":\"2026-11-22T17:00:00.123Z\",\"type\":\"verdict\",\"seq\":1,"
#define DNS(name, ip)                                                                              \
	HEAD "\"verdict\":\"allow\",\"app\":\"dns\",\"proto\":\"udp\",\"dst\":\"192.0.0.1\","      \
	     "\"dport\":53,\"name\":\"" name "\",\"answers\":[\"" ip "\"]}"
#define GET(name, ip, path)                                                                        \
	HEAD "\"verdict\":\"allow\",\"app\":\"http\",\"proto\":\"tcp\",\"dst\":\"" ip              \
	     "\",\"dport\":443,\"sni\":\"" name "\",\"host\":\"" name                              \
	     "\",\"method\":\"GET\",\"path\":\"" path "\"}"

static char *policy_of(struct ex_learn *l, enum ex_learn_format format)
{
	struct ex_learn_title t = { .name = "t", .command = "x\ny: [\x1b", .format = format };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(ex_learn_finish(l), 0);
	ex_learn_write_policy(l, &t, f);
	assert_int_equal(fclose(f), 0);
	return text;
}

static bool compiles(const char *text)
{
	struct ex_text file = { "t.yaml", ex_span_str(text) };
	struct ex_compile_input in = { .texts = &file, .n_texts = 1, .deny_metadata = true };
	struct ex_diags diags = { 0 };
	struct ex_ruleset *rs = NULL;
	int r = ex_compile(&in, &rs, &diags);

	if (r < 0)
		ex_diags_print(&diags, stderr);
	ex_diags_done(&diags);
	ex_ruleset_unref(rs);
	return r == 0;
}

static void test_both_formats_compile(void **state)
{
	(void)state;
	for (int format = EX_LEARN_EGRESS; format <= EX_LEARN_CNP; format++) {
		static struct ex_learn l;
		char *text;

		take(&l, DNS("a.example", "203.0.113.1"));
		take(&l, DNS("unused.example", "203.0.113.2"));
		take(&l, GET("a.example", "203.0.113.1", "/it's"));
		take(&l, GET("not-asked.example", "2001:db8::1", "/v6"));
		take(&l, HEAD "\"verdict\":\"audit\",\"reason\":\"sni-missing\",\"app\":\"tls\","
			      "\"proto\":\"tcp\",\"dst\":\"203.0.113.9\",\"dport\":443}");
		take(&l, HEAD "\"verdict\":\"allow\",\"app\":\"l4\",\"proto\":\"udp\","
			      "\"dst\":\"203.0.113.1\",\"dport\":123}");
		text = policy_of(&l, (enum ex_learn_format)format);
		assert_true(compiles(text));
		assert_non_null(strstr(text, "path: '/it''s'"));
		assert_non_null(strstr(text, "2001:db8::1/128"));
		assert_non_null(strstr(text, "203.0.113.9/32"));
		assert_non_null(strstr(text, "matchName: unused.example"));
		assert_null(strstr(text, "not-asked.example")); /* DNS did not bind it */
		assert_non_null(strstr(text, "port: \"123\"")); /* by the name of the address */
		assert_null(strstr(text, "203.0.113.1/32"));
		free(text);
		ex_learn_done(&l);
	}
}

static void test_attack_98_a_hostile_log_makes_no_rule(void **state)
{
	static struct ex_learn l;
	char *text;

	(void)state;
	take(&l, DNS("a\\n- toEntities: [world]", "203.0.113.1"));
	take(&l, DNS("*", "203.0.113.1"));
	take(&l, DNS("UPPER.example", "203.0.113.1"));
	take(&l, GET("x\\ny.example", "203.0.113.1", "/"));
	take(&l, GET("a.example", "0.0.0.0/0", "/"));
	take(&l, GET("a.example", "203.0.113.1", "/a\\n- toEntities: [world]"));
	take(&l, HEAD "\"verdict\":\"deny\",\"reason\":\"x\\n  egress:\",\"app\":\"l4\","
		      "\"proto\":\"\\n\",\"dst\":\"\\u001b[2J\",\"dport\":1}");
	take(&l, HEAD "\"verdict\":\"perhaps\",\"app\":\"http\"}"); /* as a denial */
	take(&l, HEAD "\"verdict\":\"allow\",\"app\":\"tls\",\"proto\":\"a\\nb: \",\"dst\":"
		      "\"203.0.113.1\",\"dport\":443}");
	assert_true(ex_learn_line(&l, EX_SPAN("nonsense")) < 0);
	text = policy_of(&l, EX_LEARN_EGRESS);
	assert_null(strstr(text, "\n- toEntities"));
	assert_null(strstr(text, "\x1b"));
	assert_null(strstr(text, "/0"));
	assert_null(strstr(text, "matchName: *"));
	assert_null(strstr(text, "B: "));
	assert_true(compiles(text));
	free(text);
	ex_learn_done(&l);
}

static void test_attack_98_names_that_yaml_reads_otherwise_are_quoted(void **state)
{
	static const char *const names[] = { "null", "true", "no", "1e5", "0x10.0x1", "-", "-a.b" };
	static struct ex_learn l;
	char *text, line[512];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++) {
		snprintf(line, sizeof(line),
			 HEAD "\"verdict\":\"allow\",\"app\":\"dns\",\"proto\":\"udp\","
			      "\"dst\":\"192.0.0.1\",\"dport\":53,\"name\":\"%s\"}",
			 names[i]);
		take(&l, line);
	}
	take(&l, DNS("3.example", "203.0.113.1"));
	take(&l, GET("3.example", "203.0.113.1", "/"));
	text = policy_of(&l, EX_LEARN_CNP);
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++) {
		snprintf(line, sizeof(line), "matchName: '%s'", names[i]);
		assert_non_null(strstr(text, line));
	}
	assert_non_null(strstr(text, "matchName: '3.example'"));
	assert_true(compiles(text));
	free(text);
	ex_learn_done(&l);
}

#define PROGRAM(port, name)                                                                        \
	"{\"type\":\"program\",\"proto\":\"tcp\",\"src\":\"10.0.0.1\",\"sport\":" port             \
	",\"program\":\"" name "\",\"pid\":7}"
#define FLOW(port)                                                                                         \
	HEAD "\"verdict\":\"allow\",\"app\":\"l4\",\"proto\":\"tcp\",\"src\":\"10.0.0.1\",\"sport\":" port \
	     ",\"dst\":\"203.0.113.1\",\"dport\":22}"

static void test_programs_are_told_by_the_flow_they_opened_last(void **state)
{
	static struct ex_learn l;
	char *text;

	(void)state;
	take(&l, PROGRAM("1000", "ssh"));
	take(&l, FLOW("1000"));
	take(&l, PROGRAM("1000", "git")); /* the port again */
	take(&l, PROGRAM("1001", "other"));
	take(&l, FLOW("1000"));
	take(&l, FLOW("1000"));
	take(&l, FLOW("1002")); /* of nobody knows whom */
	text = policy_of(&l, EX_LEARN_EGRESS);
	assert_non_null(strstr(text, "\n  # seen: ssh (1x), git (2x), ? (1x)\n  - toCIDR"));
	assert_null(strstr(text, "other"));
	assert_true(compiles(text));
	free(text);
	ex_learn_done(&l);
}

static void test_attack_98_a_program_of_a_hostile_name_stays_a_comment(void **state)
{
	static struct ex_learn l;
	char *text;

	(void)state;
	take(&l, PROGRAM("1000", "x\\n  - toEntities: [all]\\u001b[2J"));
	take(&l, FLOW("1000"));
	take(&l, PROGRAM("0", "y"));
	take(&l, PROGRAM("70000", "y"));
	take(&l, "{\"type\":\"program\"}");
	text = policy_of(&l, EX_LEARN_EGRESS);
	assert_null(strstr(text, "\n  - toEntities"));
	assert_null(strstr(text, "\x1b"));
	assert_non_null(strstr(text, "# seen: x\\x0a"));
	assert_true(compiles(text));
	free(text);
	ex_learn_done(&l);
}

static void test_losses_are_told(void **state)
{
	static struct ex_learn l;
	char *text;

	(void)state;
	take(&l, "{\"type\":\"lost\",\"lost\":7}");
	text = policy_of(&l, EX_LEARN_EGRESS);
	assert_non_null(strstr(text, "NOT COMPLETE: 7 records were lost"));
	assert_true(compiles(text));
	free(text);
	ex_learn_done(&l);
}

static void test_what_is_passed_unread_has_no_list_of_requests(void **state)
{
	static struct ex_learn l;
	char *text;

	(void)state;
	take(&l, DNS("a.example", "203.0.113.1"));
	take(&l, GET("a.example", "203.0.113.1", "/read"));
	take(&l, HEAD "\"verdict\":\"allow\",\"app\":\"tls\",\"proto\":\"tcp\","
		      "\"dst\":\"203.0.113.1\",\"dport\":443,\"sni\":\"a.example\"}");
	text = policy_of(&l, EX_LEARN_EGRESS);
	assert_null(strstr(text, "path:"));
	assert_true(compiles(text));
	free(text);
	ex_learn_done(&l);
}

/* Without a list it would allow every request. */
static void test_requests_that_cannot_stand_in_a_policy_leave_no_rule(void **state)
{
	static struct ex_learn l;
	char *text;

	(void)state;
	take(&l, DNS("a.example", "203.0.113.1"));
	take(&l, GET("a.example", "203.0.113.1", "*"));
	text = policy_of(&l, EX_LEARN_EGRESS);
	assert_null(strstr(text, "toFQDNs"));
	assert_non_null(strstr(text, "1 records are left out"));
	assert_true(compiles(text));
	free(text);
	ex_learn_done(&l);
}

/* Each destination may have many kinds, and there may be many destinations. */
static void test_attack_150_kinds_of_requests_have_a_bound(void **state)
{
	static struct ex_learn l;
	char line[512], *text;

	(void)state;
	for (int i = 0; i <= EX_LEARN_PATHS_MAX; i++) {
		snprintf(line, sizeof(line), GET("a", "203.0.113.%d", "/x%db"), i / 4096, i);
		take(&l, line);
	}
	assert_int_equal(l.n_uses, EX_LEARN_PATHS_MAX / 4096 + 1);
	assert_int_equal(l.n_paths, EX_LEARN_PATHS_MAX);
	text = policy_of(&l, EX_LEARN_EGRESS);
	assert_non_null(strstr(text, "1 records are left out"));
	assert_null(strstr(text, "203.0.113.4/32")); /* the last one's, whose request is not kept */
	assert_true(compiles(text));
	free(text);
	ex_learn_done(&l);
}

static void test_the_learning_policy_reads_and_denies_nothing_but_quic_and_metadata(void **state)
{
	struct ex_compile_input in = { .texts = &ex_learn_policy,
				       .n_texts = 1,
				       .deny_metadata = true };
	struct ex_diags diags = { 0 };
	struct ex_flow flow = { .port = 443, .proto = 6 };
	struct ex_span name = EX_SPAN("a.example"), none = { 0 };
	struct ex_ruleset *rs;

	(void)state;
	assert_int_equal(ex_compile(&in, &rs, &diags), 0);
	assert_true(ex_ip_parse("203.0.113.1", &flow.dst));
	assert_int_equal(ex_judge_app(rs, &flow, EX_APP_TLS, name).verdict, EX_V_STEER);
	assert_int_equal(ex_judge_app(rs, &flow, EX_APP_TLS, none).verdict, EX_V_ALLOW);
	assert_int_equal(ex_judge_app(rs, &flow, EX_APP_HTTP, none).verdict, EX_V_STEER);
	assert_int_equal(ex_judge_app(rs, &flow, EX_APP_OTHER, none).verdict, EX_V_ALLOW);
	assert_int_equal(ex_judge_dns(rs, name).verdict, EX_V_ALLOW);
	flow.proto = 17;
	assert_int_equal(ex_judge_l4(rs, &flow).verdict, EX_V_DENY);
	flow.port = 123;
	assert_int_equal(ex_judge_l4(rs, &flow).verdict, EX_V_ALLOW);
	assert_true(ex_ip_parse("169.254.169.254", &flow.dst));
	assert_int_equal(ex_judge_l4(rs, &flow).verdict, EX_V_DENY);
	ex_diags_done(&diags);
	ex_ruleset_unref(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_names_one_of_many_becomes_a_class),
		cmocka_unit_test(test_everything_else_stays_literal),
		cmocka_unit_test(test_attack_98_what_cannot_stand_in_a_policy_is_refused),
		cmocka_unit_test(test_one_segment_with_many_values_becomes_any),
		cmocka_unit_test(test_attack_150_long_paths_are_merged_in_time),
		cmocka_unit_test(test_both_formats_compile),
		cmocka_unit_test(test_attack_98_a_hostile_log_makes_no_rule),
		cmocka_unit_test(test_attack_98_names_that_yaml_reads_otherwise_are_quoted),
		cmocka_unit_test(test_programs_are_told_by_the_flow_they_opened_last),
		cmocka_unit_test(test_attack_98_a_program_of_a_hostile_name_stays_a_comment),
		cmocka_unit_test(test_losses_are_told),
		cmocka_unit_test(test_what_is_passed_unread_has_no_list_of_requests),
		cmocka_unit_test(test_requests_that_cannot_stand_in_a_policy_leave_no_rule),
		cmocka_unit_test(test_attack_150_kinds_of_requests_have_a_bound),
		cmocka_unit_test(
			test_the_learning_policy_reads_and_denies_nothing_but_quic_and_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
