/* SPDX-License-Identifier: Apache-2.0 */
/* The normal form of paths and of Host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/types.h>

#include "agent/http/authority.h"
#include "agent/http/http1.h"

struct pair {
	const char *in, *out; /* out NULL: refused */
};

static void assert_normal(const struct pair *t)
{
	char out[512], again[512];
	struct ex_span in = ex_span_str(t->in);
	ssize_t n = ex_h1_normalise(in, out, in.len);

	if (!t->out) {
		if (n >= 0)
			fail_msg("accepted %s as %.*s", t->in, (int)n, out);
		return;
	}
	if (n < 0)
		fail_msg("refused %s", t->in);
	assert_int_equal(n, strlen(t->out));
	assert_memory_equal(out, t->out, (size_t)n);
	/* The normal form is its own normal form. */
	assert_int_equal(ex_h1_normalise((struct ex_span){ out, (size_t)n }, again, sizeof(again)),
			 n);
	assert_memory_equal(out, again, (size_t)n);
}

static void assert_normals(const struct pair *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_normal(&t[i]);
}

static void test_normal_paths_are_kept(void **state)
{
	static const struct pair t[] = {
		{ "/", "/" },
		{ "/v1/chat/completions", "/v1/chat/completions" },
		{ "/v1/", "/v1/" },
		{ "/a/...b/c", "/a/...b/c" },
		{ "/a/%20b", "/a/%20b" },
		{ "/.well-known/x", "/.well-known/x" },
		{ "/a..b/c.", "/a..b/c." },
		{ "/@a%2fb", "/@a%2Fb" },
		{ "/a%2F", "/a%2F" },
		{ "/..a", "/..a" },
		{ "/x:y@z!$&'()*+,=~", "/x:y@z!$&'()*+,=~" },
		{ "/?", "/?" },
		{ "/a?b?c/../d//e", "/a?b?c/../d//e" },
		{ "/a?x=[1]|{2}`^", "/a?x=[1]|{2}`^" },
	};
	(void)state;
	assert_normals(t, EX_ARRAY_SIZE(t));
}

static void test_attack_07_escapes_have_one_spelling(void **state)
{
	static const struct pair t[] = {
		{ "/%61%5a%30%2d%2E%5f%7ex", "/aZ0-._~x" },
		{ "/v1/ch%61t", "/v1/chat" },
		{ "/%c3%a4", "/%C3%A4" },
		{ "/a%20b%3a%3F%23", "/a%20b%3A%3F%23" },
		{ "/a;x=1", "/a;x=1" },
		{ "/a%3bx", "/a%3Bx" },
		{ "/?q=%41%2f%25%5c%0a", "/?q=A%2F%25%5C%0A" },
		{ "/?q=%2541", "/?q=%2541" },
		{ "/%f0%9f%98%80", "/%F0%9F%98%80" },
	};
	(void)state;
	assert_normals(t, EX_ARRAY_SIZE(t));
}

static void test_attack_07_08_treacherous_paths_are_refused(void **state)
{
	static const struct pair t[] = {
		{ "/v1/chat/../files", NULL },
		{ "/..", NULL },
		{ "/.", NULL },
		{ "/a/./b", NULL },
		{ "/a/..", NULL },
		{ "/%2e%2e/files", NULL },
		{ "/.%2e/x", NULL },
		{ "/%2E/x", NULL },
		{ "//v1", NULL },
		{ "/v1//chat", NULL },
		{ "/v1//", NULL },
		{ "/a%2f..", NULL },
		{ "/..%2fa", NULL },
		{ "/a%2F.%2Fb", NULL },
		{ "/a/..%2Fb", NULL },
		{ "/a%2F../b", NULL },
		{ "/a%2F%2e%2e%2fb", NULL },
		{ "/a%2F%2Fb", NULL },
		{ "/a/%2Fb", NULL },
		{ "/a%2F/b", NULL },
		{ "/%2Fa", NULL },
		{ "/%2f", NULL },
		{ "/a%2F;x/b", NULL },
		{ "/a%252Fb", NULL },
		{ "/a%5cb", NULL },
		{ "/a\\b", NULL },
		{ "/a%00", NULL },
		{ "/?a=%00", NULL },
		{ "/%252e%252e/x", NULL },
		{ "/a%25", NULL },
		{ "/a%", NULL },
		{ "/a%2", NULL },
		{ "/a%zz", NULL },
		{ "/a?%", NULL },
		{ "/a?%g0", NULL },
		{ "/a#b", NULL },
		{ "/a?b#c", NULL },
		{ "/..;/b", NULL },
		{ "/..;x=1/b", NULL },
		{ "/.;/b", NULL },
		{ "/;/b", NULL },
		{ "/a/;x", NULL },
		{ "/..%3b/b", NULL },
		{ "/%c0%ae%c0%ae/b", NULL },
		{ "/%c0%af", NULL },
		{ "/%e0%80%af", NULL },
		{ "/%ff", NULL },
		{ "/%c3", NULL },
		{ "/%c3a", NULL },
		{ "/%ed%a0%80", NULL },
		{ "/%f4%90%80%80", NULL },
		{ "/%0d%0a", NULL },
		{ "/%7f", NULL },
		{ "/a b", NULL },
		{ "/\"", NULL },
		{ "/<", NULL },
		{ "/\t", NULL },
		{ "/\x7f", NULL },
		{ "/\xc3\xa4", NULL },
		{ "/?\xc3\xa4", NULL },
		{ "", NULL },
		{ "a", NULL },
		{ "*", NULL },
		{ "http://a/", NULL },
		{ "?", NULL },
		{ "/{a}", NULL },
		{ "/%e2%80", NULL },
	};
	(void)state;
	assert_normals(t, EX_ARRAY_SIZE(t));
}

static void test_attack_07_segments_that_windows_shortens_are_refused(void **state)
{
	static const struct pair t[] = {
		{ "/a/..%20/b", NULL },     { "/a/...", NULL },    { "/a/. ./b", NULL },
		{ "/a/.%20./b", NULL },     { "/a/%20/b", NULL },  { "/a/..%20;x/b", NULL },
		{ "/a/%2e%2e%20", NULL },   { "/a/..../b", NULL }, { "/a/b%20/c", "/a/b%20/c" },
		{ "/a/b../c", "/a/b../c" },
	};
	(void)state;
	assert_normals(t, EX_ARRAY_SIZE(t));
}

/* nginx with "proxy_pass http://next$uri" sends "/a/..?" on: that is "/" to the next one. */
static void test_attack_07_dots_where_the_path_ends_once_unescaped(void **state)
{
	static const struct pair t[] = {
		{ "/a/..%3F", NULL },         { "/a/..%23", NULL },
		{ "/a/..%3fx/y?z", NULL },    { "/a/%2e%2e%3f", NULL },
		{ "/a/.%23/b", NULL },        { "/a/..%20%3F", NULL },
		{ "/a%2F..%3F", NULL },       { "/%EF%BC%8E.%23", NULL },
		{ "/a/b..%3F", "/a/b..%3F" }, { "/a/..b%3F", "/a/..b%3F" },
		{ "/a/%3F..", "/a/%3F.." },   { "/a/%23", "/a/%23" },
		{ "/a/..%3A", "/a/..%3A" },   { "/a?..%3F", "/a?..%3F" },
	};
	(void)state;
	assert_normals(t, EX_ARRAY_SIZE(t));
}

static void test_attack_07_dots_that_servers_fold_are_refused(void **state)
{
	static const struct pair t[] = {
		{ "/a/%ef%bc%8e%ef%bc%8e/b", NULL },
		{ "/a/.%ef%bc%8e/b", NULL },
		{ "/a/%E2%80%A5/b", NULL },
		{ "/a/%E2%80%A4%E2%80%A4/b", NULL },
		{ "/a/%EF%B9%92%EF%B9%92;x/b", NULL },
		{ "/a%EF%BC%8F..%EF%BC%8Fb", NULL },
		{ "/a/..%EF%BC%8Fb", NULL },
		{ "/a%EF%BC%8F../b", NULL },
		{ "/a%EF%BC%8F..", NULL },
		{ "/a/..%EF%BC%BCb", NULL },
		{ "/a/..%E2%88%95b", NULL },
		{ "/a/..%EF%B9%A8b", NULL },
		{ "/a/..%C2%A5b", NULL },
		{ "/a/..%E2%82%A9b", NULL },
		{ "/a/..%E2%88%96b", NULL },
		{ "/a/9.%C2%A5b", "/a/9.%C2%A5b" },
		{ "/a/%C2%A5", "/a/%C2%A5" },
		{ "/a/..%E2%81%84b", NULL },
		{ "/a/..%2F%EF%BC%8Fb", NULL },
		{ "/a%EF%BC%8F%2F", "/a%EF%BC%8F%2F" },
		{ "/wiki/Fate%EF%BC%8FZero", "/wiki/Fate%EF%BC%8FZero" },
		{ "/wiki/%EF%BC%8F", "/wiki/%EF%BC%8F" },
		{ "/wiki/A%EF%BC%8F%EF%BC%8FB", "/wiki/A%EF%BC%8F%EF%BC%8FB" },
		{ "/wiki/No%EF%BC%8E1", "/wiki/No%EF%BC%8E1" },
		{ "/wiki/%E2%80%A6", "/wiki/%E2%80%A6" },
		{ "/wiki/1%E2%81%842", "/wiki/1%E2%81%842" },
	};
	(void)state;
	assert_normals(t, EX_ARRAY_SIZE(t));
}

static void test_attack_34_query_may_not_override_the_method(void **state)
{
	static const struct pair t[] = {
		{ "/a?_method=DELETE", NULL },
		{ "/a?x=1&_method=DELETE", NULL },
		{ "/a?x=1;_METHOD=DELETE", NULL },
		{ "/a?%5Fm%65thod=DELETE", NULL },
		{ "/a?_method", NULL },
		{ "/a?&_method&", NULL },
		{ "/a?X-HTTP-Method-Override=PUT", NULL },
		{ "/a?x_http_method=PUT", NULL },
		{ "/a?_HttpMethod=PUT", NULL },
		{ "/a?.method=DELETE", NULL },
		{ "/a?%2Emethod=DELETE", NULL },
		{ "/a?+_method=DELETE", NULL },
		{ "/a?%20_method=DELETE", NULL },
		{ "/a?x=1&%20.method=DELETE", NULL },
		{ "/a?[_method]=DELETE", NULL },
		{ "/a?%5b_method%5d=DELETE", NULL },
		{ "/a?_method[]=DELETE", NULL },
		{ "/a?$httpMethod=DELETE", NULL },
		{ "/a?$httpHeaders=Authorization:x", NULL },
		{ "/a?x&%24httpheaders=X-HTTP-Method-Override%3ADELETE", NULL },
		{ "/a?httpHeaders=x", "/a?httpHeaders=x" },
		{ "/a?method[]=x", "/a?method[]=x" },
		{ "/a?method.x=x", "/a?method.x=x" },
		{ "/a?httpmethod=x", "/a?httpmethod=x" },
		{ "/a?_methods=x", "/a?_methods=x" },
		{ "/a?_method_override_of_mine=x", "/a?_method_override_of_mine=x" },
		{ "/a?my_method=x", "/a?my_method=x" },
		{ "/a?x=_method", "/a?x=_method" },
		{ "/a?x=1=_method=2", "/a?x=1=_method=2" },
		{ "/_method=x", "/_method=x" },
		/* also where a server makes a query of the path, or unescapes it and splits it then
		 */
		{ "/a&_method=DELETE", NULL },
		{ "/a/b%26_method%3DDELETE?c", NULL },
		{ "/a%3F_method=DELETE", NULL },
		{ "/a%3F_method", NULL },
		{ "/a%3Fx=1%26_method=DELETE/b", NULL },
		{ "/a;_method=DELETE", NULL },
		{ "/a&%5b_method%5D=DELETE", NULL },
		{ "/a&b=_method", "/a&b=_method" },
		{ "/a%26b%3D%C3%A4/_method=c", "/a%26b%3D%C3%A4/_method=c" },
		{ "/a?method=x&=_method", "/a?method=x&=_method" },
	};
	(void)state;
	assert_normals(t, EX_ARRAY_SIZE(t));
}

static void test_nul_in_target_is_refused(void **state)
{
	char out[8];

	(void)state;
	assert_true(ex_h1_normalise((struct ex_span){ "/a\0b", 4 }, out, sizeof(out)) < 0);
	assert_true(ex_h1_normalise((struct ex_span){ "/?\0b", 4 }, out, sizeof(out)) < 0);
	assert_int_equal(ex_h1_normalise((struct ex_span){ "/abc", 4 }, out, 3), -EINVAL);
}

static void assert_authorities(const struct pair *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char out[EX_AUTHORITY_MAX + 1];
		struct ex_authority a;
		int r = ex_authority_parse(ex_span_str(t[i].in), &a);

		if (!t[i].out) {
			if (r == 0)
				fail_msg("accepted %s", t[i].in);
			continue;
		}
		if (r < 0)
			fail_msg("refused %s", t[i].in);
		assert_int_equal(ex_authority_write(&a, out), strlen(t[i].out));
		assert_string_equal(out, t[i].out);
	}
}

static void test_attack_03_host_case_and_trailing_dot_are_one(void **state)
{
	static const struct pair t[] = {
		{ "api.openai.com", "api.openai.com" },
		{ "API.OpenAI.com", "api.openai.com" },
		{ "api.openai.com.", "api.openai.com" },
		{ "api.openai.com.:443", "api.openai.com:443" },
		{ "api.openai.com:65535", "api.openai.com:65535" },
		{ "_dmarc.a_b.example", "_dmarc.a_b.example" },
		{ "localhost", "localhost" },
		{ "192.0.2.1", "192.0.2.1" },
		{ "192.0.2.1:8080", "192.0.2.1:8080" },
		{ "[2001:DB8:0:0::1]:443", "[2001:db8::1]:443" },
		{ "[::1]", "[::1]" },
		{ "xn--mnchen-3ya.example", "xn--mnchen-3ya.example" },
		{ "1a.2b", "1a.2b" },
	};
	(void)state;
	assert_authorities(t, EX_ARRAY_SIZE(t));
}

static void test_attack_04_05_11_odd_hosts_are_refused(void **state)
{
	static const struct pair t[] = {
		{ "[example.com]", NULL },
		{ "allowed.com@evil.com", NULL },
		{ "user:pw@evil.com", NULL },
		{ "evil.com\\@allowed.com", NULL },
		{ "evil.com#@allowed.com", NULL },
		{ "a.b/c", NULL },
		{ "a.b?c", NULL },
		{ "a%2eb", NULL },
		{ "a b", NULL },
		{ "a.b,c.d", NULL },
		{ "a\tb", NULL },
		{ ".", NULL },
		{ "", NULL },
		{ "a..b", NULL },
		{ "a.b..", NULL },
		{ ".a", NULL },
		{ "-a.b", NULL },
		{ "a-.b", NULL },
		{ "a.b:", NULL },
		{ "a.b:0", NULL },
		{ "a.b:080", NULL },
		{ "a.b:65536", NULL },
		{ "a.b:443x", NULL },
		{ "a.b:+1", NULL },
		{ "a.b:1:2", NULL },
		{ ":80", NULL },
		{ "::1", NULL },
		{ "[::1", NULL },
		{ "[::1]x", NULL },
		{ "[::1]:", NULL },
		{ "[]", NULL },
		{ "[192.0.2.1]", NULL },
		{ "m\xc3\xbcnchen.example", NULL },
		{ "*.example.com", NULL },
		{ "http://a.b", NULL },
		{ "a.b;c", NULL },
	};
	(void)state;
	assert_authorities(t, EX_ARRAY_SIZE(t));
}

static void test_attack_43_44_48_disguised_addresses_are_refused(void **state)
{
	static const struct pair t[] = {
		{ "2852039166", NULL },
		{ "0251.0376.0251.0376", NULL },
		{ "0xa9fea9fe", NULL },
		{ "0xA9.254.169.0xfe", NULL },
		{ "127.1", NULL },
		{ "169.254.43518", NULL },
		{ "1.2.3.4.5", NULL },
		{ "256.1.1.1", NULL },
		{ "01.2.3.4", NULL },
		{ "a.0x", NULL },
		{ "[fe80::1%25eth0]", NULL },
		{ "[fe80::1%eth0]", NULL },
		{ "[v1.fe80::a]", NULL },
	};
	(void)state;
	assert_authorities(t, EX_ARRAY_SIZE(t));
}

/* Who dials "[::ffff:192.0.2.1]" sends packets of IPv4 to 192.0.2.1. */
static void test_attack_44_mapped_address_is_the_one_that_is_dialled(void **state)
{
	static const struct pair t[] = {
		{ "[::ffff:169.254.169.254]", "169.254.169.254" },
		{ "[::FFFF:a9fe:a9fe]:80", "169.254.169.254:80" },
		{ "[0:0:0:0:0:ffff:127.0.0.1]", "127.0.0.1" },
		{ "[::ffff:0:127.0.0.1]", "[::ffff:0:7f00:1]" },
		{ "[64:ff9b::192.0.2.1]", "[64:ff9b::c000:201]" },
		{ "[::ffff:127.1]", NULL },
		{ "[::ffff:0127.0.0.1]", NULL },
		{ "::ffff:127.0.0.1", NULL },
		{ "[127.0.0.1]", NULL },
	};
	(void)state;
	assert_authorities(t, EX_ARRAY_SIZE(t));
}

static void test_attack_01_host_with_nul_is_refused(void **state)
{
	struct ex_authority a;

	(void)state;
	assert_int_equal(ex_authority_parse(EX_SPAN("evil.com\0.allowed.com"), &a), -EINVAL);
	assert_int_equal(ex_authority_parse(EX_SPAN("allowed.com\0"), &a), -EINVAL);
	assert_int_equal(ex_authority_parse(EX_SPAN("[::1\0]"), &a), -EINVAL);
	assert_int_equal(ex_authority_parse(EX_SPAN("192.0.2.1\0"), &a), -EINVAL);
}

static void test_long_labels_and_names_are_refused(void **state)
{
	char name[300];
	struct ex_authority a;

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_int_equal(ex_authority_parse((struct ex_span){ name, 63 }, &a), 0);
	assert_int_equal(ex_authority_parse((struct ex_span){ name, 64 }, &a), -EINVAL);
	for (size_t i = 50; i < sizeof(name); i += 50)
		name[i] = '.';
	assert_int_equal(ex_authority_parse((struct ex_span){ name, 253 }, &a), 0);
	assert_int_equal(ex_authority_parse((struct ex_span){ name, 254 }, &a), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normal_paths_are_kept),
		cmocka_unit_test(test_attack_07_escapes_have_one_spelling),
		cmocka_unit_test(test_attack_07_08_treacherous_paths_are_refused),
		cmocka_unit_test(test_attack_07_segments_that_windows_shortens_are_refused),
		cmocka_unit_test(test_attack_07_dots_where_the_path_ends_once_unescaped),
		cmocka_unit_test(test_attack_07_dots_that_servers_fold_are_refused),
		cmocka_unit_test(test_attack_34_query_may_not_override_the_method),
		cmocka_unit_test(test_nul_in_target_is_refused),
		cmocka_unit_test(test_attack_03_host_case_and_trailing_dot_are_one),
		cmocka_unit_test(test_attack_04_05_11_odd_hosts_are_refused),
		cmocka_unit_test(test_attack_43_44_48_disguised_addresses_are_refused),
		cmocka_unit_test(test_attack_44_mapped_address_is_the_one_that_is_dialled),
		cmocka_unit_test(test_attack_01_host_with_nul_is_refused),
		cmocka_unit_test(test_long_labels_and_names_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
