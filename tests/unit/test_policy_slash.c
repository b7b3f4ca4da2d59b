/* SPDX-License-Identifier: Apache-2.0 */
/* %2F in a path: only a rule that names it lets it pass, and a deny is not walked around with it.
 */
#include "policy_helper.h"

#define LIST(paths)                                                                                \
	HEAD "  egress:\n"                                                                         \
	     "  - toCIDR: [10.0.0.0/8]\n"                                                          \
	     "    toPorts:\n"                                                                      \
	     "    - ports: [{port: \"80\", protocol: TCP}]\n"                                      \
	     "      rules: {http: [" paths "]}\n"

struct row {
	const char *rule, *path;
	bool allow;
};

static void assert_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ex_ruleset *rs = test_compile(rows[i].rule);

		if (test_get(rs, rows[i].path) != rows[i].allow)
			fail_msg("%s %s\n%s", rows[i].path, rows[i].allow ? "denied" : "allowed",
				 rows[i].rule);
		ex_ruleset_unref(rs);
	}
}

static void test_only_a_rule_that_names_it_allows_it(void **state)
{
	static const struct row rows[] = {
		{ LIST("{path: '/@s%2Fname'}"), "/@s%2Fname", true },
		{ LIST("{path: '/@s%2Fname'}"), "/@s/name", false },
		{ LIST("{path: '/@s/name'}"), "/@s%2Fname", false },
		{ LIST("{path: '/@[a-z]+%2F[a-z]+'}"), "/@scope%2Fname", true },
		{ LIST("{path: '/@[a-z]+(/|%2F)[a-z]+'}"), "/@scope%2Fname", true },
		{ LIST("{path: '/@[a-z]+(/|%2F)[a-z]+'}"), "/@scope/name", true },
		/* by wildcards of all kinds */
		{ LIST("{path: '/.*'}"), "/a%2Fb", false },
		{ LIST("{path: '/.*'}"), "/a/b", true },
		{ LIST("{path: '/[^/]+'}"), "/a%2Fb", false },
		{ LIST("{path: '/[^/]+'}"), "/ab", true },
		{ LIST("{path: '/[%2Fa-z]+'}"), "/a%2Fb", false },
		{ LIST("{path: '/a%..b'}"), "/a%2Fb", false },
		{ LIST("{path: '/a%2[0-9A-F]b'}"), "/a%2Fb", false },
		{ LIST("{method: GET}"), "/a%2Fb", false },
		{ LIST("{method: GET}"), "/a/b", true },
		{ LIST("{}"), "/a%2Fb", false },
		/* by a rule that names another one */
		{ LIST("{path: '/a%2Fb|/c/.*'}"), "/c/d%2Fe", false },
		{ LIST("{path: '/a%2Fb|/c/.*'}"), "/c/d/e", true },
		{ LIST("{path: '/a%2Fb.*'}"), "/a%2Fbc%2Fd", false },
		{ LIST("{path: '/a%2Fb.*'}"), "/a%2Fbc/d", true },
		{ LIST("{path: '/[^/]*%2F[^/]*'}"), "/a%2Fb%2Fc", false },
		{ LIST("{path: '/a%2Fb%2Fc'}"), "/a%2Fb%2Fc", true },
		/* the rule that names it denies for another reason, the other has no say */
		{ LIST("{method: POST, path: '/a%2Fb'}, {path: '/.*'}"), "/a%2Fb", false },
		{ LIST("{method: GET, path: '/a%2Fb'}, {path: '/.*'}"), "/a%2Fb", true },
		/* in the query it is nobody's separator */
		{ LIST("{path: '/a\\?.*'}"), "/a?b=%2F%2Fc", true },
		{ LIST("{path: '/a\\?.*'}"), "/a%2F?b=", false },
		{ LIST("{path: '/a%2Fb\\?.*'}"), "/a%2Fb?c=%2F", true },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

static void test_deny_it_where_no_rule_reads_paths(void **state)
{
	static const char l4[] = HEAD "  egress:\n"
				      "  - toCIDR: [10.0.0.0/8]\n";
	static const char both[] = LIST("{path: '/a%2Fb'}") "  - toCIDR: [10.0.0.0/8]\n";
	static const char open[] = HEAD "  enableDefaultDeny: {egress: false}\n"
					"  egressDeny:\n"
					"  - toCIDR: [192.0.2.0/24]\n";
	static const struct row rows[] = {
		{ l4, "/a/b", true },      { l4, "/a%2Fb", false }, { both, "/a%2Fb", true },
		{ both, "/a%2Fc", false }, { open, "/a/b", true },  { open, "/a%2Fb", false },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

/* Each costs a match, so there is a bound; a path beyond it is denied. */
static void test_deny_more_of_them_than_are_looked_at(void **state)
{
	static const char rule[] = LIST("{path: '/a(%2Fa)*'}");
	static const struct row rows[] = {
		{ rule, "/a%2Fa%2Fa%2Fa%2Fa%2Fa%2Fa%2Fa%2Fa", true },
		{ rule, "/a%2Fa%2Fa%2Fa%2Fa%2Fa%2Fa%2Fa%2Fa%2Fa", false },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

#define DENY_HTTP(path)                                                                            \
	OWN_HEAD "  egress:\n" TO_80 "      rules: {http: [{path: '/a%2F.*'}, {path: '/.*'}]}\n"   \
		 "  egressDeny:\n" TO_80 "      rules: {http: [{path: '" path "'}]}\n"

static void test_a_deny_is_met_by_every_reading(void **state)
{
	static const struct row rows[] = {
		{ DENY_HTTP("/a/secret"), "/a/secret", false },
		{ DENY_HTTP("/a/secret"), "/a%2Fsecret", false },
		{ DENY_HTTP("/a%2Fsecret"), "/a%2Fsecret", false },
		{ DENY_HTTP("/a.*/secret"), "/a%2Fb/secret", false },
		{ DENY_HTTP("/a/secret"), "/a/secret;x", false },
		{ DENY_HTTP("/a/secret"), "/a/secret;x=1;y", false },
		{ DENY_HTTP("/a/secret"), "/a;x/secret", false },
		{ DENY_HTTP("/a/secret"), "/a;x%2Fsecret;y", false },
		{ DENY_HTTP("/a/secret"), "/a%2Fsecret;y", false },
		{ DENY_HTTP("/a/secret"), "/a;%2F/secret", false },
		{ DENY_HTTP("/a/secret.*"), "/a/secret;x?y", false },
		{ DENY_HTTP("/a/secret;x"), "/a/secret;x", false },
		{ DENY_HTTP("/a/secret"), "/a/other;/secret", true },
		{ DENY_HTTP("/a/secret"), "/a/other?;/a/secret", true },
		{ DENY_HTTP("/a/secret"), "/a/x;secret", true },
		{ DENY_HTTP("/a/secret"), "/a%2Fother", true },
		{ DENY_HTTP("/a/secret"), "/a/other", true },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_a_rule_that_names_it_allows_it),
		cmocka_unit_test(test_deny_it_where_no_rule_reads_paths),
		cmocka_unit_test(test_deny_more_of_them_than_are_looked_at),
		cmocka_unit_test(test_a_deny_is_met_by_every_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
