/* SPDX-License-Identifier: Apache-2.0 */
/* The headers that no rule may name are the ones that the proxy takes out of requests. */
#include "policy_helper.h"

#include <errno.h>
#include <stdio.h>

#include "agent/http/fields.h"
#include "agent/http/http1.h"
#include "policy/header.h"

static bool is_forwarded(const char *name)
{
	struct ex_header h = { ex_span_str(name), EX_SPAN("a-value") };
	struct ex_h1_head head = { .method = EX_SPAN("GET"),
				   .path = EX_SPAN("/"),
				   .authority = EX_SPAN("a.example"),
				   .headers = &h,
				   .n_headers = 1 };
	struct ex_buf out = { 0 };
	bool found;

	assert_int_equal(ex_h1_put_request(&out, &head, false, false), 0);
	found = memmem(ex_buf_ptr(&out), ex_buf_len(&out), "a-value", 7) != NULL;
	ex_buf_done(&out);
	return found;
}

/* Carried on by another way than as one of the fields; odd spellings of them are refused. */
static bool is_written_anew(const char *name)
{
	static const char *const names[] = { "host", "content-length", "upgrade" };

	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++) {
		if (ex_field_is(ex_span_str(name), names[i]))
			return true;
	}
	return false;
}

static void check_name(const char *name)
{
	struct ex_span s = ex_span_str(name);
	bool removed = ex_header_is_removed(s);

	if (is_written_anew(name) ? removed : removed == is_forwarded(name))
		fail_msg("%s: removed for the policy: %d", name, removed);
	if (ex_field_is_override(s) && !removed)
		fail_msg("%s: overrides, and a rule may name it", name);
}

/* Every byte of a token in place of the hyphens. */
static void check_spellings(const char *name)
{
	for (int c = '!'; c <= '~'; c++) {
		char odd[100];

		if (strchr("\"(),/:;<=>?@[\\]{}", c))
			continue;
		(void)snprintf(odd, sizeof(odd), "%s", name);
		for (char *p = odd; *p; p++)
			*p = *p == '-' ? (char)c : *p;
		check_name(odd);
	}
}

static void test_headers_that_no_rule_may_name_are_those_not_forwarded(void **state)
{
	static const char *const others[] = {
		"te",      "trailer",         "host",   "content-length", "expect",
		"upgrade", "x-forwarded-for", "cookie", "accept",         "authorization",
		"tea",     "x-hosts",
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(others); i++)
		check_name(others[i]);
}

/* Each name that stands in the list. */
static void test_every_name_that_is_known(void **state)
{
	FILE *f = fopen("policy/field.c", "r");
	char line[400], name[100];
	size_t n = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		for (const char *p = line; (p = strstr(p, "FIELD(\"")); n++) {
			p += strlen("FIELD(\"");
			(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "\""), p);
			check_name(name);
			check_spellings(name);
		}
	}
	fclose(f);
	assert_true(n >= 29);
}

static void check_rule(const char *rule, int want)
{
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	char text[1000];

	(void)snprintf(text, sizeof(text),
		       HEAD "  egress:\n  - toFQDNs: [{matchName: a.example}]\n"
			    "    toPorts:\n    - ports: [{port: '443', protocol: TCP}]\n"
			    "      rules: {http: [{%s}]}\n",
		       rule);
	if (test_try_compile(text, &rs, &diags) != want)
		fail_msg("%s: not %d", rule, want);
	ex_diags_done(&diags);
	ex_ruleset_unref(rs);
}

static void test_a_rule_that_names_a_removed_header_is_refused(void **state)
{
	(void)state;
	check_rule("headers: ['Forwarded: for=me']", -EINVAL);
	check_rule("headers: [x_http_method_override]", -EINVAL);
	check_rule("headerMatches: [{name: Proxy-Authorization, value: x}]", -EINVAL);
	check_rule("headers: ['X-Forwarded-For: me']", 0);
	check_rule("headers: ['Upgrade: websocket']", 0);
	check_rule("headerMatches: [{name: Authorization, value: x}]", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers_that_no_rule_may_name_are_those_not_forwarded),
		cmocka_unit_test(test_every_name_that_is_known),
		cmocka_unit_test(test_a_rule_that_names_a_removed_header_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
