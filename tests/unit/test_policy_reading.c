/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers read in more than one way. A rule that allows is met by every reading, or names what
 * has several; one that denies by any. (%2F: test_policy_slash.c.)
 */
#include "policy_helper.h"

#include <stdio.h>

#define ALLOW(list)      OWN_HEAD "  egress:\n" TO_80 "      rules: {http: [" list "]}\n"
#define ALLOW_DENY(a, d) ALLOW(a) "  egressDeny:\n" TO_80 "      rules: {http: [" d "]}\n"
#define DENIED(list)     ALLOW_DENY("{}", list)
#define ALL_BUT(unread)  OWN_HEAD "  egress:\n  - toCIDR: [10.0.0.0/8]\n" unread
#define F(name, value)                                                                             \
	{                                                                                          \
		EX_SPAN(name), EX_SPAN(value)                                                      \
	}

struct row {
	const char *policy, *path;
	bool allow;
	struct ex_header f[3];
	const char *authority;
};

static struct ex_decision judge(const struct ex_ruleset *rs, const struct row *row)
{
	struct ex_flow flow = test_flow("10.1.2.3", IPPROTO_TCP, 80);
	struct ex_http_request req = {
		.method = EX_SPAN("PUT"),
		.path = ex_span_str(row->path),
		.host = EX_SPAN("a.test"),
		.authority = ex_span_str(row->authority ? row->authority : "a.test"),
		.headers = row->f,
	};
	struct ex_header_edits edits;

	while (req.n_headers < EX_ARRAY_SIZE(row->f) && row->f[req.n_headers].name.ptr)
		req.n_headers++;
	return ex_judge_http_edits(rs, &flow, &req, &edits);
}

static void assert_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ex_ruleset *rs = test_compile(rows[i].policy);

		if ((judge(rs, &rows[i]).verdict == EX_V_ALLOW) != rows[i].allow)
			fail_msg("row %zu: %s %s\n%s", i, rows[i].path,
				 rows[i].allow ? "denied" : "allowed", rows[i].policy);
		ex_ruleset_unref(rs);
	}
}

/* ---- paths ---- */

static void test_attack_07_an_allow_is_met_without_parameters_too(void **state)
{
	static const struct row rows[] = {
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/a.png", .allow = true },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/admin;.png", .allow = false },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/admin%3B.png", .allow = false },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/admin%3F.png", .allow = false },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/admin%23.png", .allow = false },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/a.png;x.png", .allow = true },
		/* cut off where only one of them counts */
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/a.png%3Badmin;.png", .allow = false },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/a.png;/admin%3B.png", .allow = false },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/a.png%23/admin%3F.png", .allow = false },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/a.png%3F/admin%23.png", .allow = false },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/a;x/b.png", .allow = true },
		{ ALLOW("{path: '/[^?]*\\.png'}"), "/a%20b.png", .allow = true },
		{ ALLOW("{path: '/[^;?]*\\.png'}"), "/admin%3B.png", .allow = false },
		{ ALLOW("{path: '/m/[^/?]+/invoke'}"), "/m/x%3Fy/invoke", .allow = false },
		{ ALLOW("{path: '/m/[^/?]+/invoke'}"), "/m/x%3Ay/invoke", .allow = true },
		/* unescaped before it is split: a query */
		{ ALLOW("{path: '/[^?]*'}"), "/ok%3Fop=delete", .allow = false },
		{ ALLOW("{path: '/ok(\\?a=.*)?'}"), "/ok%3Fa=1", .allow = false },
		{ ALLOW("{path: '/wiki/[^?%]*(%3F)?'}"), "/wiki/What%3F", .allow = true },
		{ ALLOW("{path: '/wiki/[^?%]*(%3F)?'}"), "/wiki/What%3Fx", .allow = false },
		{ ALLOW("{path: '/wiki/.*'}"), "/wiki/What%3F", .allow = true },
		{ ALLOW("{path: '/wiki/.*'}"), "/wiki/C%23;x?y=%3F", .allow = true },
		{ ALLOW("{path: '/users/[^/]+/avatar'}"), "/users/1;/avatar", .allow = true },
		{ ALLOW("{path: '/users/[^/]+/avatar'}"), "/users/1%23/avatar", .allow = false },
		{ ALLOW("{method: PUT}"), "/a;b%3F%23", .allow = true },
		/* a rule that names it has thought of it */
		{ ALLOW("{path: '/m;v=1'}"), "/m;v=1", .allow = true },
		{ ALLOW("{path: '/m;v=1'}"), "/m;v=2", .allow = false },
		{ ALLOW("{path: '/wiki/What%3F'}"), "/wiki/What%3F", .allow = true },
		{ ALLOW("{path: '/wiki/C%23'}"), "/wiki/C%23", .allow = true },
		{ ALLOW("{path: '/wiki/C%23'}"), "/wiki/C%3F", .allow = false },
		/* ... where it names it, and nowhere else */
		{ ALLOW("{path: '/a;v/[^?]*\\.png'}"), "/a;v/b.png", .allow = true },
		{ ALLOW("{path: '/a;v/[^?]*\\.png'}"), "/a;v/admin;.png", .allow = false },
		{ ALLOW("{path: '/a;v/[^?]*\\.png'}"), "/a;v/admin%3F.png", .allow = false },
		{ ALLOW("{path: '/a;v/[^?]*\\.png'}"), "/a;v/c;x/b.png", .allow = true },
		{ ALLOW("{path: '/a;v|/[^?]*\\.png'}"), "/admin;.png", .allow = false },
		{ ALLOW("{path: '/[;a-z]*\\.png'}"), "/admin;.png", .allow = false },
		{ ALLOW("{path: '/[;A-Z]*\\.PNG'}"), "/ADMIN;.PNG", .allow = false },
		{ ALLOW("{path: '/[^?]*(;|%3B)v\\.png'}"), "/a;v.png", .allow = true },
		{ ALLOW("{path: '/[^?]*(;|%3B)v\\.png'}"), "/a%3Bv.png", .allow = true },
		{ ALLOW("{path: '/[^?]*(;|%3B)v\\.png'}"), "/a;b;v.png", .allow = false },
		{ ALLOW("{path: '/a(;v)*'}"), "/a;v;v;v;v;v;v;v;v", .allow = true },
		{ ALLOW("{path: '/a(;v)*x'}"), "/a;v;v;v;v;v;v;v;vx", .allow = true },
		/* beyond what is looked at it is like any */
		{ ALLOW("{path: '/a(;v)*x'}"), "/a;v;v;v;v;v;v;v;v;vx", .allow = false },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

/* Escapes of bytes that need none: the byte itself to all but a few. */
static void test_attack_07_an_allow_is_met_without_needless_escapes_too(void **state)
{
	static const struct row rows[] = {
		{ ALLOW("{path: '/m/[^/:]+'}"), "/m/x", .allow = true },
		{ ALLOW("{path: '/m/[^/:]+'}"), "/m/x:delete", .allow = false },
		{ ALLOW("{path: '/m/[^/:]+'}"), "/m/x%3Adelete", .allow = false },
		{ ALLOW("{path: '/m/[^/:]+'}"), "/m/x%20y%22", .allow = true },
		{ ALLOW("{path: '/m/[^/]+'}"), "/m/x%3Adelete", .allow = true },
		{ ALLOW("{path: '/m/[^/:]+(:get)?'}"), "/m/x%3Adelete", .allow = false },
		{ ALLOW("{path: '/m/x:get'}"), "/m/x%3Aget", .allow = false },
		{ ALLOW("{path: '/m/x%3Aget'}"), "/m/x%3Aget", .allow = true },
		{ ALLOW("{path: '/m/x%3Aget'}"), "/m/x:get", .allow = false },
		{ ALLOW("{path: '/[a-z0-9%]+'}"), "/%40me", .allow = false },
		{ ALLOW("{path: '/[a-z0-9%@]+'}"), "/%40me", .allow = true },
		{ ALLOW("{path: '/%40[^/]+'}"), "/%40s%21", .allow = true },
		{ ALLOW("{path: '/%40[^/!]+'}"), "/%40s%21", .allow = false },
		{ ALLOW("{path: '/%40[^/]+%2F.*'}"), "/%40s%2Fn%2C", .allow = true },
		{ ALLOW("{path: '/a;b'}"), "/a%3Bb", .allow = false },
		/* eight are looked at, named or not */
		{ ALLOW("{path: '/[^?]*%3Ax'}"), "/%3A%3A%3A%3A%3A%3A%3A%3Ax", .allow = true },
		{ ALLOW("{path: '/[^?]*%3Ax'}"), "/%3A%3A%3A%3A%3A%3A%3A%3A%3Ax", .allow = false },
		/* named elsewhere, and here taken by a class of escapes */
		{ ALLOW("{path: '/x%3Aget|/m/([a-z]|%[2-7][0-9A-F])+'}"), "/m/x%3Adelete",
		  .allow = false },
		{ ALLOW("{path: '/x%2C|/m/([a-z]|%2[0-9A-F])+'}"), "/m/x%2Cdelete",
		  .allow = false },
		{ ALLOW("{path: '/x%3Aget|/m/([a-z]|%[2-7][0-9A-F])+'}"), "/x%3Aget",
		  .allow = true },
		/* a semicolon in the query parts parameters, to some */
		{ ALLOW("{path: '/m\\?a=[^&]*'}"), "/m?a=b;c", .allow = false },
		{ ALLOW("{path: '/m\\?a=[^&]*(&c)?'}"), "/m?a=b;c", .allow = true },
		{ ALLOW("{path: '/m\\?a=[^&]*(&c)?'}"), "/m?a=b;c;d", .allow = false },
		{ ALLOW("{path: '/m\\?a=b;c'}"), "/m?a=b;c", .allow = true },
		{ ALLOW("{path: '/m\\?a=[^&;]*;c=[^&]*'}"), "/m?a=b;c=d", .allow = true },
		{ ALLOW("{path: '/m\\?a=[^&;]*;c=[^&]*'}"), "/m?a=b;c=d;e", .allow = false },
		{ ALLOW("{path: '/m;v\\?a=.*'}"), "/m;v?a=b;c", .allow = true },
		{ ALLOW("{path: '/.*'}"), "/m;v?a=b;c", .allow = true },
		/* in the query it is a value's */
		{ ALLOW("{path: '/m\\?a=[^:]*'}"), "/m?a=b%3Ac", .allow = true },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

static void test_attack_07_a_deny_is_met_by_every_reading(void **state)
{
	static const struct row rows[] = {
		{ DENIED("{path: '/shut'}"), "/shut", .allow = false },
		{ DENIED("{path: '/shut'}"), "/shut?", .allow = false },
		{ DENIED("{path: '/shut'}"), "/shut?x=y", .allow = false },
		{ DENIED("{path: '/shut'}"), "/shut%3Bx", .allow = false },
		{ DENIED("{path: '/shut'}"), "/shut%3Fx", .allow = false },
		{ DENIED("{path: '/shut'}"), "/shut%23x?y", .allow = false },
		{ DENIED("{path: '/shut/in'}"), "/shut%3Bx/in;y?z", .allow = false },
		{ DENIED("{path: '/shut\\?x=y'}"), "/shut?x=y", .allow = false },
		{ DENIED("{path: '/shut\\?x=y'}"), "/shut;a?x=y", .allow = false },
		{ DENIED("{path: '/shut\\?x=y'}"), "/shut?x=z", .allow = true },
		{ DENIED("{path: '/shut\\?x=y'}"), "/shut%3Fx=y", .allow = false },
		{ DENIED("{path: '/shut\\?x=y'}"), "/shut%3Fx%3Dy?z", .allow = false },
		{ DENIED("{path: '/shut\\?x=y'}"), "/shut;a%3Fx=y", .allow = false },
		{ DENIED("{path: '/shut\\?x=y'}"), "/shut%3Fx=z", .allow = true },
		{ DENIED("{path: '/shut\\?(.*&)?x=y'}"), "/shut?a;x=y", .allow = false },
		{ DENIED("{path: '/shut\\?(.*&)?x=y'}"), "/shut?a;ax=y", .allow = true },
		{ DENIED("{path: '/shut\\?(.*&)?x=y'}"), "/shut;a%23?a;x=y", .allow = false },
		{ DENIED("{path: '/shut\\?x;y'}"), "/shut;a?x;y", .allow = false },
		{ DENIED("{path: '/shut\\?x;y'}"), "/shut;a?x&y", .allow = true },
		{ DENIED("{path: '/shut', headers: [X-A]}, {path: '/shut'}"), "/shut;x?y",
		  .allow = false },
		{ DENIED("{path: '/shut', headers: [X-A]}, {path: '/x'}"), "/shut;x?y",
		  .allow = true },
		{ DENIED("{path: '/shut'}"), "/open?/shut", .allow = true },
		{ DENIED("{path: '/shut'}"), "/open%3F/shut", .allow = true },
		{ DENIED("{path: '/shut'}"), "/shutter;x?y", .allow = true },
		{ DENIED("{path: '/m/.*:delete'}"), "/m/x:delete", .allow = false },
		{ DENIED("{path: '/m/.*:delete'}"), "/m/x%3Adelete", .allow = false },
		{ DENIED("{path: '/m/.*:delete'}"), "/m/x%3Adelete;y?z", .allow = false },
		{ DENIED("{path: '/m/.*:delete'}"), "/m/x%3Bdelete", .allow = true },
		{ DENIED("{path: '/@me/a'}"), "/%40me%2Fa", .allow = false },
		{ DENIED("{path: '/a;b'}"), "/a%3Bb", .allow = false },
		{ DENIED("{path: '/%40me'}"), "/%40me", .allow = false },
		/* attack 131: what can only come as an escape, and what is one in a query */
		{ DENIED("{path: '/x y'}"), "/x%20y", .allow = false },
		{ DENIED("{path: '/x y'}"), "/x%22y", .allow = true },
		{ DENIED("{path: '/x%20y'}"), "/x%20y", .allow = false },
		{ DENIED("{path: '/x%20y:z'}"), "/x%20y%3Az", .allow = false },
		{ DENIED("{path: '/\xc3\xa9'}"), "/%C3%A9", .allow = false },
		{ DENIED("{path: '/\xc3\xa9'}"), "/%C3%A8", .allow = true },
		{ DENIED("{path: '/s/\xc3\xa9'}"), "/s%2F%C3%A9;x?y", .allow = false },
		{ DENIED("{path: '/s\\?a=b:c'}"), "/s?a=b%3Ac", .allow = false },
		{ DENIED("{path: '/s\\?a=b:c'}"), "/s?a=b%3Bc", .allow = true },
		{ DENIED("{path: '/s\\?a=b%3Ac'}"), "/s?a=b%3Ac", .allow = false },
		{ DENIED("{path: '/s\\?a=b/c(&.*)?'}"), "/s?a=b%2Fc;d", .allow = false },
		{ DENIED("{path: '/s\\?a=b c'}"), "/s?a=b+c", .allow = false },
		{ DENIED("{path: '/s\\?a=b c'}"), "/s?a=b%20c", .allow = false },
		{ DENIED("{path: '/s\\?a=b\\+c'}"), "/s?a=b%2Bc", .allow = false },
		{ DENIED("{path: '/s\\?a=b\\+c'}"), "/s?a=b+c", .allow = false },
		{ DENIED("{path: '/s\\?a=b\\+c'}"), "/s?a=b%20c", .allow = true },
		{ DENIED("{path: '/s\\?a=%b'}"), "/s?a=%25b", .allow = false },
		{ DENIED("{path: '/s b'}"), "/s+b", .allow = true },
		/* an allow is as it was */
		{ ALLOW("{path: '/x y'}"), "/x%20y", .allow = false },
		{ ALLOW("{path: '/x%20y'}"), "/x%20y", .allow = true },
		{ ALLOW("{path: '/s\\?a=b:c'}"), "/s?a=b%3Ac", .allow = false },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

/* Each rule costs a match for each reading: what would take too many is not looked into. */
static void test_a_long_path_with_many_readings_is_denied(void **state)
{
	static const char *const policies[] = { DENIED("{path: '/shut'}"), ALLOW("{path: '/.*'}"),
						DENIED("{method: GET, path: '/shut'}") };
	static const struct {
		const char *path;
		size_t len;
		bool allow[3];
	} rows[] = {
		{ "/a?", 8192, { true, true, true } },
		{ "/a;b%3Ac?", 4000, { true, true, true } },
		{ "/a;b%3Ac?", 5000, { false, true, true } },
		{ "/a;b%3Ac%3Bd%3Fe%23f?", 400, { true, true, true } },
		{ "/a;b%3Ac%3Bd%3Fe%23f?", 2000, { false, false, true } },
	};
	char path[8193];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(rows); i++) {
		memset(path, 'x', rows[i].len);
		path[rows[i].len] = '\0';
		memcpy(path, rows[i].path, strlen(rows[i].path));
		for (size_t k = 0; k < EX_ARRAY_SIZE(policies); k++)
			assert_rows(&(struct row){ policies[k], path, .allow = rows[i].allow[k] },
				    1);
	}
}

/* A long list is searched by an index, which has to know the readings as well. */
static void test_a_long_list_of_denies_is_met_by_every_reading(void **state)
{
	static const char *const denied[] = { "/shut/7",       "/shut/7;x",     "/shut;x/7",
					      "/shut/7%3Bx",   "/shut/7?x",     "/shut/7;?",
					      "/shut/7%3Fx?y", "/under/7/a;b?c" };
	static const char *const allowed[] = { "/shut/40", "/shut/40;x", "/x;/shut/7",
					       "/?/shut/7" };
	char policy[4096] = ALLOW("{}") "  egressDeny:\n" TO_80 "      rules: {http: [";
	struct ex_ruleset *rs;

	(void)state;
	for (int i = 0; i < 30; i++) {
		size_t len = strlen(policy);

		(void)snprintf(policy + len, sizeof(policy) - len,
			       "{path: '/shut/%d'}, {path: '/under/%d/.*'}%s", i, i,
			       i < 29 ? ", " : "]}\n");
	}
	rs = test_compile(policy);
	for (size_t i = 0; i < EX_ARRAY_SIZE(denied); i++)
		assert_int_equal(judge(rs, &(struct row){ .path = denied[i] }).verdict, EX_V_DENY);
	for (size_t i = 0; i < EX_ARRAY_SIZE(allowed); i++)
		assert_int_equal(judge(rs, &(struct row){ .path = allowed[i] }).verdict,
				 EX_V_ALLOW);
	ex_ruleset_unref(rs);
}

/* ---- Host and fields of denies ---- */

static void test_a_deny_by_host_is_met_with_and_without_the_port(void **state)
{
	static const struct row rows[] = {
		{ DENIED("{host: 'a\\.test'}"), "/", false, .authority = "a.test" },
		{ DENIED("{host: 'a\\.test'}"), "/", false, .authority = "a.test:80" },
		{ DENIED("{host: 'a\\.test:80'}"), "/", false, .authority = "a.test" },
		{ DENIED("{host: 'a\\.test:80'}"), "/", false, .authority = "a.test:80" },
		{ DENIED("{host: '\\[::1\\]'}"), "/", false, .authority = "[::1]:80" },
		{ DENIED("{host: '\\[::1\\]'}"), "/", false, .authority = "[::1]" },
		{ DENIED("{host: 'a\\.test:81'}"), "/", true, .authority = "a.test" },
		{ DENIED("{host: 'b\\.test'}"), "/", true, .authority = "a.test:80" },
		{ DENIED("{host: 'a'}"), "/", true, .authority = "a.test:80" },
		/* an allow is about what is sent */
		{ ALLOW("{host: 'a\\.test'}"), "/", true, .authority = "a.test" },
		{ ALLOW("{host: 'a\\.test'}"), "/", false, .authority = "a.test:80" },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

static void test_a_deny_by_header_is_met_by_any_field_of_that_name(void **state)
{
	static const char named[] = DENIED("{headers: ['X-Op delete']}");
	static const char there[] = DENIED("{headers: ['X-Op']}");
	static const char match[] = DENIED("{headerMatches: [{name: X-Op, value: delete}]}");
	static const char secret[] =
		DENIED("{headerMatches: [{name: X-Op, secret: {name: none}}]}");
	static const struct row rows[] = {
		{ named, "/", .allow = true },
		{ named, "/", true, .f = { F("x-op", "get") } },
		{ named, "/", false, .f = { F("x-op", "delete") } },
		{ named, "/", false, .f = { F("x_op", "delete") } },
		{ named, "/", false, .f = { F("X.OP", "delete") } },
		{ named, "/", false, .f = { F("x-op", "get"), F("x-op", "delete") } },
		{ named, "/", false, .f = { F("x-op", "delete"), F("x-op", "get") } },
		{ named, "/", true, .f = { F("x-ops", "delete") } },
		/* one field with both is the same as two */
		{ named, "/", false, .f = { F("x-op", "get, delete") } },
		{ named, "/", false, .f = { F("x-op", "delete ,get") } },
		{ named, "/", false, .f = { F("x-op", "get,\tdelete\t,put") } },
		{ named, "/", false, .f = { F("x-op", ",delete") } },
		{ named, "/", true, .f = { F("x-op", "get, deleted, undelete,") } },
		/* so it is where the value is a list itself */
		{ DENIED("{headers: ['X-Op a, b']}"), "/", false, .f = { F("x-op", "a, b") } },
		{ DENIED("{headers: ['X-Op a, b']}"), "/", false, .f = { F("x-op", "a ,b") } },
		{ DENIED("{headers: ['X-Op a, b']}"), "/", false,
		  .f = { F("x-op", "0, a, b, c") } },
		{ DENIED("{headers: ['X-Op a, b']}"), "/", false, .f = { F("x-op", "a, a, b") } },
		{ DENIED("{headers: ['X-Op a, b']}"), "/", false,
		  .f = { F("x-op", "0,a"), F("accept", "a"), F("x_op", "b,c") } },
		{ DENIED("{headers: ['X-Op a, b']}"), "/", false, .f = { F("x-op", "a,,b") } },
		{ DENIED("{headers: ['X-Op a, b']}"), "/", true, .f = { F("x-op", "a, c, b") } },
		{ DENIED("{headers: ['X-Op a, b']}"), "/", true, .f = { F("x-op", "a") } },
		{ DENIED("{headers: ['X-Op a, b']}"), "/", true, .f = { F("x-op", "b, a") } },
		{ DENIED("{headers: ['X-Op a']}"), "/", false,
		  .f = { F("x-op", "0"), F("x-op", "a,") } },
		/* values are in no expression that could say it */
		{ named, "/", false, .f = { F("x-op", "Delete") } },
		{ named, "/", false, .f = { F("x-op", "get; delete") } },
		{ DENIED("{headers: ['Content-Type text/xml']}"), "/", false,
		  .f = { F("content-type", "Text/XML;charset=utf-8") } },
		{ DENIED("{headers: ['Cookie a=1; b=2']}"), "/", false,
		  .f = { F("cookie", "a=1"), F("cookie", "b=2") } },
		{ DENIED("{headers: ['Cookie a=1; b=2']}"), "/", true,
		  .f = { F("cookie", "a=1"), F("cookie", "b=3") } },
		{ there, "/", false, .f = { F("x_op", "") } },
		{ there, "/", true, .f = { F("xop", "") } },
		{ match, "/", false, .f = { F("x-op", "delete") } },
		{ match, "/", false, .f = { F("x-op", "get"), F("X_Op", "delete") } },
		{ match, "/", true, .f = { F("x-op", "get") } },
		/* of a value that nobody knows every one is denied */
		{ secret, "/", false, .f = { F("x-op", "get") } },
		{ secret, "/", true, .f = { F("x-other", "get") } },
		/* of an allow one field, as it is spelled, has the value */
		{ ALLOW("{headers: ['X-Op get']}"), "/", true, .f = { F("x-op", "get") } },
		{ ALLOW("{headers: ['X-Op get']}"), "/", false, .f = { F("x_op", "get") } },
		{ ALLOW("{headers: ['X-Op get']}"), "/", false,
		  .f = { F("x-op", "get"), F("x-op", "delete") } },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

/* ---- fields that name another object ---- */

static void test_attack_34_another_object_is_allowed_by_a_rule_that_names_the_field(void **state)
{
	static const char plain[] = ALLOW("{method: PUT, path: '/mine/.*'}");
	static const char named[] =
		ALLOW("{method: PUT, path: '/mine/.*'}, "
		      "{method: PUT, path: '/mine/copy/.*', headers: ['X-Amz-Copy-Source']}");
	static const char valued[] =
		ALLOW("{path: '/mine/.*', headers: ['x-amz-copy-source /mine/a']}");
	static const char logged[] =
		ALLOW("{path: '/.*', headerMatches: [{name: x-ms-copy-source, mismatch: LOG}]}");
	static const struct row rows[] = {
		{ plain, "/mine/a", .allow = true },
		{ plain, "/mine/a", true, .f = { F("x-amz-meta-source", "/theirs/b") } },
		{ plain, "/mine/a", true, .f = { F("x-amz-copy-source-range", "bytes=0-9") } },
		{ plain, "/mine/a", false, .f = { F("x-amz-copy-source", "/theirs/b") } },
		{ plain, "/mine/a", false, .f = { F("x_amz_copy_source", "/theirs/b") } },
		{ plain, "/mine/a", false, .f = { F("X-Amz-Copy-Source", "") } },
		{ plain, "/mine/a", false, .f = { F("X-Container-Sync-To", "https://evil/") } },
		{ plain, "/mine/a", false, .f = { F("x-oss-callback", "e30=") } },
		{ plain, "/mine/a", false, .f = { F("x-kss-callbackurl", "http://evil/") } },
		{ plain, "/mine/a", false, .f = { F("Upload-Concat", "final;/theirs/b") } },
		{ plain, "/mine/a", false, .f = { F("x-apigw-api-id", "other") } },
		{ plain, "/mine/a", false, .f = { F("X-Found-Cluster", "theirs") } },
		{ plain, "/mine/a", false, .f = { F("x-portkey-custom-host", "http://evil/") } },
		{ plain, "/mine/a", false, .f = { F("Helicone-Target-URL", "http://evil/") } },
		{ plain, "/mine/a", false, .f = { F("Neon-Connection-String", "evil") } },
		{ plain, "/mine/a", false, .f = { F("dapr-app-id", "theirs") } },
		{ plain, "/mine/a", false, .f = { F("X-Vault-Namespace", "theirs/") } },
		{ plain, "/mine/a", true, .f = { F("host", "a.test"), F("helicone-auth", "b") } },
		{ plain, "/mine/a", true, .f = { F("callback", "b"), F("user-agent", "c") } },
		{ plain, "/mine/a", false, .f = { F("x-ms-copy-source", "http://evil.example/") } },
		{ plain, "/mine/a", false,
		  .f = { F("accept", "*/*"), F("x-goog-copy-source", "b/c") } },
		{ named, "/mine/a", .allow = true },
		{ named, "/mine/a", false, .f = { F("x-amz-copy-source", "/theirs/b") } },
		{ named, "/mine/copy/a", .allow = true },
		{ named, "/mine/copy/a", true, .f = { F("x-amz-copy-source", "/theirs/b") } },
		{ named, "/mine/copy/a", false, .f = { F("x-goog-copy-source", "/theirs/b") } },
		{ named, "/mine/copy/a", false,
		  .f = { F("x-amz-copy-source", "/a"), F("x-goog-copy-source", "/b") } },
		/* spelled like it: another field to the rule, the same to some server */
		{ named, "/mine/copy/a", false, .f = { F("x_amz_copy_source", "/theirs/b") } },
		{ valued, "/mine/a", true, .f = { F("x-amz-copy-source", "/mine/a") } },
		{ valued, "/mine/a", false, .f = { F("x-amz-copy-source", "/mine/b") } },
		{ valued, "/mine/a", false,
		  .f = { F("x-amz-copy-source", "/mine/a"), F("x-amz-copy-source", "/mine/b") } },
		{ logged, "/a", true, .f = { F("x-ms-copy-source", "/b") } },
		{ logged, "/a", .allow = true },
		{ logged, "/a", false, .f = { F("x-amz-copy-source", "/b") } },
		/* where requests are read, and no rule says which */
		{ ALL_BUT(""), "/a", .allow = true },
		{ ALL_BUT(""), "/a", false, .f = { F("x-amz-copy-source", "/b") } },
		{ ALLOW("{}"), "/a", false, .f = { F("x-amz-copy-source", "/b") } },
		{ ALLOW_DENY("{headers: ['x-amz-copy-source']}", "{path: '/shut.*'}"), "/a", true,
		  .f = { F("x-amz-copy-source", "/b") } },
		{ ALLOW_DENY("{headers: ['x-amz-copy-source']}", "{path: '/shut.*'}"), "/shut",
		  false, .f = { F("x-amz-copy-source", "/b") } },
		{ ALLOW_DENY("{headers: ['x-amz-copy-source']}",
			     "{headers: ['x-amz-copy-source /shut']}"),
		  "/a", false, .f = { F("x-amz-copy-source", "/shut") } },
	};

	(void)state;
	assert_rows(rows, EX_ARRAY_SIZE(rows));
}

/* What is recorded is what would be denied. */
static void test_audit_mode_records_another_object(void **state)
{
	static const char audit[] = "  enforcement: audit\n";
	struct row row = { .path = "/a", .f = { F("x-amz-copy-source", "/b") } };
	char text[1024];
	struct ex_ruleset *rs;
	struct ex_decision d;

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s", ALLOW("{path: '/.*'}"), audit);
	rs = test_compile(text);
	d = judge(rs, &row);
	assert_int_equal(d.verdict, EX_V_ALLOW);
	assert_int_equal(d.reason, EX_R_HTTP_DENIED);
	row.f[0].name = EX_SPAN("x-other");
	assert_int_equal(judge(rs, &row).reason, EX_R_ALLOWED);
	ex_ruleset_unref(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attack_07_an_allow_is_met_without_parameters_too),
		cmocka_unit_test(test_attack_07_an_allow_is_met_without_needless_escapes_too),
		cmocka_unit_test(test_attack_07_a_deny_is_met_by_every_reading),
		cmocka_unit_test(test_a_long_path_with_many_readings_is_denied),
		cmocka_unit_test(test_a_long_list_of_denies_is_met_by_every_reading),
		cmocka_unit_test(test_a_deny_by_host_is_met_with_and_without_the_port),
		cmocka_unit_test(test_a_deny_by_header_is_met_by_any_field_of_that_name),
		cmocka_unit_test(
			test_attack_34_another_object_is_allowed_by_a_rule_that_names_the_field),
		cmocka_unit_test(test_audit_mode_records_another_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
