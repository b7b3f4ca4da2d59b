/* SPDX-License-Identifier: Apache-2.0 */
/* headerMatches with mismatch and secret: what matches, what is done, and that no secret shows. */
#include "policy_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/header.h"

#define RULE(matches)                                                                              \
	HEAD "  egress:\n  - toCIDR: [1.0.0.0/8]\n    toPorts:\n"                                  \
	     "    - ports: [{port: '80', protocol: TCP}]\n"                                        \
	     "      rules: {http: [{method: GET, headerMatches: [" matches "]}]}\n"

static const struct ex_secret token = { .ns = "ns", .name = "token", .value = EX_SPAN("tok-42") };

static int try_compile(const char *text, const struct ex_compile_input *more,
		       struct ex_ruleset **rs, struct ex_diags *diags)
{
	struct ex_compile_input in = *more;

	in.deny_metadata = true;
	return ex_compile_text(text, strlen(text), NULL, 0, &in, rs, diags);
}

static struct ex_ruleset *compile(const char *text)
{
	const struct ex_compile_input in = { .secrets = &token, .n_secrets = 1 };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	int r = try_compile(text, &in, &rs, &diags);

	if (r < 0)
		ex_diags_print(&diags, stderr);
	ex_diags_done(&diags);
	assert_int_equal(r, 0);
	return rs;
}

/* ---- one request through one policy ---- */

#define FIELDS_MAX 8

struct request {
	struct ex_header fields[FIELDS_MAX];
	size_t n;
};

static struct request request_of(const char *const *lines)
{
	struct request r = { .n = 0 };

	for (; *lines; lines++) {
		const char *colon = strchr(*lines, ':');

		r.fields[r.n].name = (struct ex_span){ *lines, (size_t)(colon - *lines) };
		r.fields[r.n++].value = ex_span_str(colon + 1);
	}
	return r;
}

static struct ex_decision judge(const struct ex_ruleset *rs, const struct request *r,
				struct ex_header_edits *edits)
{
	struct ex_flow flow = test_flow("1.0.0.1", IPPROTO_TCP, 80);
	struct ex_http_request req = { .method = EX_SPAN("GET"),
				       .path = EX_SPAN("/"),
				       .host = EX_SPAN("1.0.0.1"),
				       .authority = EX_SPAN("1.0.0.1"),
				       .headers = r->fields,
				       .n_headers = r->n };

	return ex_judge_http_edits(rs, &flow, &req, edits);
}

/* What reaches the server, a line a field; "denied" when nothing does. */
static const char *sent(const char *policy, const char *const *lines)
{
	static char out[1024];
	struct ex_ruleset *rs = compile(policy);
	struct request r = request_of(lines);
	struct ex_header_edits edits;
	struct ex_decision d = judge(rs, &r, &edits);
	ssize_t n = ex_headers_edit(&edits, r.fields, NULL, r.n, FIELDS_MAX);
	size_t len = 0;

	assert_true(n >= 0);
	out[0] = '\0';
	for (size_t i = 0; i < (size_t)n; i++)
		len += (size_t)snprintf(out + len, sizeof(out) - len, "%.*s:%.*s\n",
					(int)r.fields[i].name.len, r.fields[i].name.ptr,
					(int)r.fields[i].value.len, r.fields[i].value.ptr);
	ex_ruleset_unref(rs);
	return d.verdict == EX_V_ALLOW ? out : "denied";
}

#define SENT(matches, ...) sent(RULE(matches), (const char *const[]){ __VA_ARGS__, NULL })
#define NONE               "a:1"

static void test_without_mismatch_the_rule_fails(void **state)
{
	(void)state;
	assert_string_equal(SENT("{name: X-T, value: v}", "x-t:v"), "x-t:v\n");
	assert_string_equal(SENT("{name: X-T, value: v}", "x-t:w"), "denied");
	assert_string_equal(SENT("{name: X-T, value: v}", NONE), "denied");
	assert_string_equal(SENT("{name: X-T, value: v}", "x-t:v", "x-t:v"), "denied");
	assert_string_equal(SENT("{name: X-T}", "X-t:"), "X-t:\n");
	assert_string_equal(SENT("{name: X-T}", NONE), "denied");
}

static void test_log_passes_and_changes_nothing(void **state)
{
	(void)state;
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: LOG}", "x-t:w"), "x-t:w\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: LOG}", NONE), "a:1\n");
	assert_string_equal(SENT("{name: X-T, mismatch: LOG}", NONE), "a:1\n");
}

static void test_add_leaves_what_is_there(void **state)
{
	(void)state;
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: ADD}", NONE), "a:1\nx-t:v\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: ADD}", "X-T:v"), "X-T:v\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: ADD}", "X-T:w", NONE),
			    "X-T:w\na:1\nx-t:v\n");
}

static void test_delete_takes_the_wrong_value_only(void **state)
{
	(void)state;
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: DELETE}", "X-T:w", NONE),
			    "a:1\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: DELETE}", "X-T:v", NONE),
			    "X-T:v\na:1\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: DELETE}", NONE), "a:1\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: DELETE}", "x-t:v", "X-T:w"), "");
}

/* Also where the field itself is not there: some server reads the other one as it. */
static void test_delete_takes_what_is_only_spelled_like_it(void **state)
{
	(void)state;
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: DELETE}", "X_T:w", NONE),
			    "a:1\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: DELETE}", "x.t:v", NONE),
			    "a:1\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: DELETE}", "X-U:w", NONE),
			    "X-U:w\na:1\n");
}

static void test_replace_leaves_one_field_with_the_value(void **state)
{
	(void)state;
	assert_string_equal(
		SENT("{name: X-T, value: v, mismatch: REPLACE}", "X-T:w", "x-t:z", NONE),
		"a:1\nx-t:v\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: REPLACE}", NONE), "a:1\nx-t:v\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: REPLACE}", "X-T:v"), "X-T:v\n");
}

/* A server may read X_T as X-T. */
static void test_no_look_alike_survives(void **state)
{
	(void)state;
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: REPLACE}", "X_T:w"), "x-t:v\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: ADD}", "X_T:w"), "x-t:v\n");
	assert_string_equal(SENT("{name: X-T, value: v, mismatch: ADD}", "X_T:w", "x-t:w"),
			    "x-t:w\nx-t:v\n");
}

static void test_secret_goes_before_value(void **state)
{
	(void)state;
	assert_string_equal(SENT("{name: x, secret: {namespace: ns, name: token}}", "x:tok-42"),
			    "x:tok-42\n");
	assert_string_equal(SENT("{name: x, secret: {namespace: ns, name: token}}", "x:tok-43"),
			    "denied");
	assert_string_equal(
		SENT("{name: x, value: v, secret: {name: token}, mismatch: REPLACE}", "x:v"),
		"x:tok-42\n");
}

static void test_missing_secret_never_matches(void **state)
{
	(void)state;
	assert_string_equal(SENT("{name: x, secret: {name: other}}", "x:"), "denied");
	assert_string_equal(SENT("{name: x, secret: {name: other}}", "x:1"), "denied");
	assert_string_equal(SENT("{name: x, secret: {namespace: b, name: token}}", "x:tok-42"),
			    "denied");
	assert_string_equal(SENT("{name: x, secret: {name: other}, mismatch: LOG}", "x:1"),
			    "denied");
	assert_string_equal(SENT("{name: x, secret: {name: other}, mismatch: REPLACE}", "x:1"),
			    "denied");
	/* a value stands in for it */
	assert_string_equal(SENT("{name: x, value: v, secret: {name: other}}", "x:v"), "x:v\n");
	assert_string_equal(SENT("{name: x, value: v, secret: {name: other}}", "x:w"), "denied");
}

static void test_all_conditions_of_a_rule_have_to_hold(void **state)
{
	(void)state;
	assert_string_equal(
		SENT("{name: x, value: v, mismatch: REPLACE}, {name: y, value: w}", "x:1"),
		"denied");
	assert_string_equal(
		SENT("{name: x, value: v, mismatch: REPLACE}, {name: y, value: w}", "x:1", "y:w"),
		"y:w\nx:v\n");
}

#define TWO(a, b)                                                                                  \
	HEAD "  egress:\n  - toCIDR: [1.0.0.0/8]\n    toPorts:\n"                                  \
	     "    - ports: [{port: '80', protocol: TCP}]\n"                                        \
	     "      rules: {http: [{" a "}, {" b "}]}\n"
#define SENT2(a, b, ...) sent(TWO(a, b), (const char *const[]){ __VA_ARGS__, NULL })

/* Every rule that is met has its say; one that is not met has none. */
static void test_actions_of_all_matching_rules(void **state)
{
	(void)state;
	assert_string_equal(
		SENT2("path: /, headerMatches: [{name: x, value: '1', mismatch: ADD}]",
		      "method: GET, headerMatches: [{name: y, value: '2', mismatch: ADD}]", NONE),
		"a:1\nx:1\ny:2\n");
	assert_string_equal(
		SENT2("path: /no, headerMatches: [{name: x, value: '1', mismatch: ADD}]",
		      "method: GET, headerMatches: [{name: y, value: '2', mismatch: ADD}]", NONE),
		"a:1\ny:2\n");
	assert_string_equal(SENT2("headerMatches: [{name: x, value: '1', mismatch: ADD}]",
				  "headerMatches: [{name: x, value: '1', mismatch: ADD}]", NONE),
			    "a:1\nx:1\n");
	/* of two that write the same field the later one wins */
	assert_string_equal(SENT2("headerMatches: [{name: x, value: '1', mismatch: REPLACE}]",
				  "headerMatches: [{name: x, value: '2', mismatch: REPLACE}]",
				  NONE),
			    "a:1\nx:2\n");
	/* what one rule writes does not make another match */
	assert_string_equal(
		SENT2("path: /no, headerMatches: [{name: x, value: '1', mismatch: ADD}]",
		      "headerMatches: [{name: x, value: '1'}]", NONE),
		"denied");
	assert_string_equal(SENT2("headerMatches: [{name: x, value: '1', mismatch: ADD}]",
				  "headers: ['x: 1'], headerMatches: [{name: z, value: '1', "
				  "mismatch: ADD}]",
				  NONE),
			    "a:1\nx:1\n");
}

/* At the port of HTTPS a secret is for TLS only: the workload may not have it sent in the clear. */
static void test_secret_is_not_sent_in_the_clear_to_https(void **state)
{
	static const char text[] =
		HEAD "  egress:\n  - toCIDR: [1.0.0.0/8]\n    toPorts:\n"
		     "    - ports: [{port: '443', protocol: TCP}, {port: '8080', protocol: TCP}]\n"
		     "      rules: {http: [{headerMatches: [{name: x, secret: {name: token}, "
		     "mismatch: REPLACE}]}]}\n";
	struct ex_ruleset *rs = compile(text);
	struct ex_flow flow = test_flow("1.0.0.1", IPPROTO_TCP, 443);
	struct ex_http_request req = { .tls = true,
				       .sni = EX_SPAN("a.example"),
				       .method = EX_SPAN("GET"),
				       .path = EX_SPAN("/"),
				       .host = EX_SPAN("a.example"),
				       .authority = EX_SPAN("a.example") };
	struct ex_header_edits edits;

	(void)state;
	assert_int_equal(ex_judge_http_edits(rs, &flow, &req, &edits).verdict, EX_V_ALLOW);
	assert_int_equal(edits.n, 1);
	req.tls = false;
	assert_int_equal(ex_judge_http_edits(rs, &flow, &req, &edits).verdict, EX_V_DENY);
	flow.port = 8080;
	assert_int_equal(ex_judge_http_edits(rs, &flow, &req, &edits).verdict, EX_V_ALLOW);
	ex_ruleset_unref(rs);
}

static void test_who_cannot_edit_is_told_no(void **state)
{
	struct ex_ruleset *rs = compile(RULE("{name: x, value: v, mismatch: REPLACE}"));
	struct ex_flow flow = test_flow("1.0.0.1", IPPROTO_TCP, 80);
	struct ex_header x = { EX_SPAN("x"), EX_SPAN("v") };
	struct ex_http_request req = { .method = EX_SPAN("GET"),
				       .path = EX_SPAN("/"),
				       .host = EX_SPAN("1.0.0.1"),
				       .authority = EX_SPAN("1.0.0.1") };

	(void)state;
	assert_int_equal(ex_judge_http(rs, &flow, &req).verdict, EX_V_DENY);
	req.headers = &x;
	req.n_headers = 1;
	assert_int_equal(ex_judge_http(rs, &flow, &req).verdict, EX_V_ALLOW);
	ex_ruleset_unref(rs);
	rs = compile(RULE("{name: x, value: v, mismatch: LOG}"));
	req.n_headers = 0;
	assert_int_equal(ex_judge_http(rs, &flow, &req).verdict, EX_V_ALLOW);
	ex_ruleset_unref(rs);
}

static void test_too_many_edits_are_denied(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct request r = request_of((const char *const[]){ NONE, NULL });
	struct ex_header_edits edits;
	struct ex_ruleset *rs;

	(void)state;
	assert_non_null(f);
	fputs(HEAD "  egress:\n  - toCIDR: [1.0.0.0/8]\n    toPorts:\n"
		   "    - ports: [{port: '80', protocol: TCP}]\n      rules: {http: [",
	      f);
	for (int i = 0; i <= EX_HEADER_EDITS_MAX; i++)
		fprintf(f, "{headerMatches: [{name: x-%d, value: v, mismatch: ADD}]},", i);
	fputs("]}\n", f);
	fclose(f);
	rs = compile(text);
	assert_int_equal(judge(rs, &r, &edits).verdict, EX_V_DENY);
	ex_ruleset_unref(rs);
	free(text);
}

static void test_description_has_no_value(void **state)
{
	struct ex_ruleset *rs =
		compile(RULE("{name: Authorization, secret: {name: token}, mismatch: REPLACE},"
			     "{name: x-team, value: blue, mismatch: LOG}"));
	struct request r = request_of((const char *const[]){ "authorization:mine", NULL });
	struct ex_header_edits edits;
	char text[96], cut[12];

	(void)state;
	assert_int_equal(judge(rs, &r, &edits).verdict, EX_V_ALLOW);
	ex_headers_describe(&edits, text, sizeof(text));
	assert_string_equal(text, "REPLACE authorization, LOG x-team");
	ex_headers_describe(&edits, cut, sizeof(cut));
	assert_string_equal(cut, "REPLACE aut");
	ex_ruleset_unref(rs);
}

static void test_edited_fields_are_never_indexed(void **state)
{
	const struct ex_header_edits edits = {
		.v = { { EX_HEADER_REPLACE, EX_SPAN("b"), EX_SPAN("2"), 1 } }, .n = 1
	};
	struct ex_header fields[4] = { { EX_SPAN("a"), EX_SPAN("1") },
				       { EX_SPAN("b"), EX_SPAN("1") },
				       { EX_SPAN("c"), EX_SPAN("1") } };
	bool secret[4] = { false, false, true, false };

	(void)state;
	assert_int_equal(ex_headers_edit(&edits, fields, secret, 3, 4), 3);
	assert_false(secret[0]);
	assert_true(secret[1]); /* c */
	assert_true(secret[2]); /* b */
	assert_int_equal(ex_headers_edit(&edits, fields, NULL, 2, 2), -ENOSPC);
}

/* ---- files ---- */

static char dir[] = "/tmp/exeat-secrets-XXXXXX";

static void put(const char *path, const char *text, size_t len)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	if (!text) {
		assert_int_equal(mkdir(full, 0700), 0);
		return;
	}
	fd = open(full, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static int make_dir(void **state)
{
	static char big[5000];

	(void)state;
	assert_non_null(mkdtemp(dir));
	memset(big, 'a', sizeof(big));
	put("ns", NULL, 0);
	put("other", NULL, 0);
	put("ns/plain", "p-1\n", 4);
	put("ns/mounted", NULL, 0);
	put("ns/mounted/..data", "no", 2);
	put("ns/mounted/token", "m-1", 3);
	put("ns/two", NULL, 0);
	put("ns/two/a", "1", 1);
	put("ns/two/b", "2", 1);
	put("ns/none", NULL, 0);
	put("ns/lines", "hush-1\r\nx: y\n", 13);
	put("ns/empty", "\n", 1);
	put("ns/blank", " hush", 5);
	put("ns/big", big, sizeof(big));
	put("other/plain", "o-1\n", 4);
	put("outside", "out\n", 4);
	return 0;
}

static int remove_dir(void **state)
{
	static const char *const paths[] = {
		"ns/mounted/..data",
		"ns/mounted/token",
		"ns/two/a",
		"ns/two/b",
		"ns/plain",
		"ns/lines",
		"ns/empty",
		"ns/blank",
		"ns/big",
		"other/plain",
		"outside",
		"ns/mounted",
		"ns/two",
		"ns/none",
		"ns",
		"other",
		"",
	};
	char full[256];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(paths); i++) {
		snprintf(full, sizeof(full), "%s/%s", dir, paths[i]);
		assert_int_equal(remove(full), 0);
	}
	return 0;
}

/* The value that a secret of the folder has in a rule; NULL: it is not there. */
static void check_file(const char *secret, const char *value)
{
	const struct ex_compile_input in = { .secrets_dir = dir };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	char text[1024];

	snprintf(text, sizeof(text), RULE("{name: x, secret: %s}"), secret);
	assert_int_equal(try_compile(text, &in, &rs, &diags), 0);
	assert_int_equal(diags.n, value ? 0 : 1);
	if (value)
		assert_true(ex_span_eq(ex_ruleset_secret(rs, 0)->value, ex_span_str(value)));
	else
		assert_null(ex_ruleset_secret(rs, 0));
	ex_ruleset_unref(rs);
	ex_diags_done(&diags);
}

static void refuse_file(const char *secret, const char *message)
{
	const struct ex_compile_input in = { .secrets_dir = dir };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	char text[1024];

	snprintf(text, sizeof(text), RULE("{name: x, secret: %s}"), secret);
	assert_int_equal(try_compile(text, &in, &rs, &diags), -EINVAL);
	assert_int_equal(diags.n, 1);
	if (!strstr(diags.items[0].message, message))
		fail_msg("%s", diags.items[0].message);
	assert_null(strstr(diags.items[0].message, "hush"));
	assert_int_equal(diags.items[0].line, 10);
	ex_diags_done(&diags);
}

static void test_secrets_from_files(void **state)
{
	(void)state;
	check_file("{name: plain}", "p-1");
	check_file("{namespace: other, name: plain}", "o-1");
	check_file("{name: mounted}", "m-1");
	check_file("{name: absent}", NULL);
	check_file("{name: none}", NULL);
	check_file("{namespace: nowhere, name: plain}", NULL);
	refuse_file("{name: two}", "has more than one item");
	refuse_file("{name: lines}", "has a character that a header value may not have");
	refuse_file("{name: empty}", "is empty");
	refuse_file("{name: blank}", "begins or ends with a blank");
	refuse_file("{name: big}", "is longer than a header value may be");
	/* a policy cannot point out of the folder */
	refuse_file("{name: ../../outside}", "is no object name");
	refuse_file("{namespace: .., name: outside}", "is no object name");
	refuse_file("{namespace: '.', name: outside}", "is no object name");
	refuse_file("{namespace: /, name: outside}", "is no object name");
}

/* What a bundle needs: those in use, once each. */
static void test_ruleset_lists_the_secrets_in_use(void **state)
{
	const struct ex_secret all[] = { token,
					 { .ns = "ns", .name = "unused", .value = EX_SPAN("u") } };
	const struct ex_compile_input in = { .secrets = all, .n_secrets = 2 };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	(void)state;
	assert_int_equal(try_compile(RULE("{name: x, secret: {name: token}},"
					  "{name: y, secret: {namespace: ns, name: token}}"),
				     &in, &rs, &diags),
			 0);
	assert_string_equal(ex_ruleset_secret(rs, 0)->name, "token");
	assert_string_equal(ex_ruleset_secret(rs, 0)->ns, "ns");
	assert_null(ex_ruleset_secret(rs, 1));
	ex_ruleset_unref(rs);
	ex_diags_done(&diags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_mismatch_the_rule_fails),
		cmocka_unit_test(test_log_passes_and_changes_nothing),
		cmocka_unit_test(test_add_leaves_what_is_there),
		cmocka_unit_test(test_delete_takes_the_wrong_value_only),
		cmocka_unit_test(test_delete_takes_what_is_only_spelled_like_it),
		cmocka_unit_test(test_replace_leaves_one_field_with_the_value),
		cmocka_unit_test(test_no_look_alike_survives),
		cmocka_unit_test(test_secret_goes_before_value),
		cmocka_unit_test(test_missing_secret_never_matches),
		cmocka_unit_test(test_all_conditions_of_a_rule_have_to_hold),
		cmocka_unit_test(test_actions_of_all_matching_rules),
		cmocka_unit_test(test_secret_is_not_sent_in_the_clear_to_https),
		cmocka_unit_test(test_who_cannot_edit_is_told_no),
		cmocka_unit_test(test_too_many_edits_are_denied),
		cmocka_unit_test(test_description_has_no_value),
		cmocka_unit_test(test_edited_fields_are_never_indexed),
		cmocka_unit_test(test_secrets_from_files),
		cmocka_unit_test(test_ruleset_lists_the_secrets_in_use),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
