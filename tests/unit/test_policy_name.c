/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Name patterns: the documented examples, and random patterns against the regular expression that
 * the pattern stands for, matched by RE2.
 */
#include "policy_helper.h"

#include <stdio.h>

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static bool match(const char *pattern, const char *name)
{
	struct ex_arena a = { 0 };
	struct ex_name_pattern p;
	bool r;

	assert_null(ex_name_pattern_parse(pattern, strlen(pattern), true, &a, &p));
	r = ex_name_match(&p, ex_span_str(name));
	ex_arena_done(&a);
	return r;
}

static bool match_sni(const char *pattern, const char *name)
{
	struct ex_arena a = { 0 };
	struct ex_name_pattern p;
	bool r;

	assert_null(ex_sni_pattern_parse(pattern, strlen(pattern), &a, &p));
	r = ex_name_match(&p, ex_span_str(name));
	ex_arena_done(&a);
	return r;
}

static void test_documented_patterns(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool want;
	} rows[] = {
		{ "cilium.io", "cilium.io", true },
		{ "CILIUM.io.", "cilium.io", true },
		{ "cilium.io", "evilcilium.io", false },
		{ "cilium.io", "cilium.ioo", false },
		{ "*", "a", true },
		{ "*", "a.b.c", true },
		{ "**.", "a.b", true },
		{ "*.", "", true },
		{ "*", "", true },
		{ "*.cilium.io", "www.cilium.io", true },
		{ "*.cilium.io", "cilium.io", false },
		{ "*.cilium.io", "a.b.cilium.io", false },
		{ "**.cilium.io", "app.cilium.io", true },
		{ "**.cilium.io", "a.b.cilium.io", true },
		{ "**.cilium.io", "cilium.io", false },
		{ "***.cilium.io", "a.b.cilium.io", true },
		{ "*cilium.io", "cilium.io", true },
		{ "*cilium.io", "subcilium.io", true },
		{ "*cilium.io", "www.cilium.io", false },
		{ "**cilium.io", "subcilium.io", true },
		{ "**cilium.io", "a.cilium.io", false },
		{ "sub*.cilium.io", "sub.cilium.io", true },
		{ "sub*.cilium.io", "subdomain.cilium.io", true },
		{ "sub*.cilium.io", "su.cilium.io", false },
		{ "a.**.io", "a.b.io", true },
		{ "a.**.io", "a.b.c.io", false },
		{ "a*b*c", "axbxbc", true },
		{ "a*b*c", "axbxbd", false },
		{ "example.*", "example.com", true },
		{ "example.*", "example.co.uk", false },
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(rows); i++) {
		if (match(rows[i].pattern, rows[i].name) != rows[i].want)
			fail_msg("%s against %s", rows[i].pattern, rows[i].name);
	}
}

static void test_sni_patterns(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool want;
	} rows[] = {
		{ "a.example", "a.example", true },
		{ "A.example", "a.example", true },
		{ "*", "a.b.c", true },
		{ "**", "a", true },
		{ "*.example.com", "a.example.com", true },
		{ "*.example.com", "a.b.example.com", false },
		{ "**.example.com", "a.b.example.com", true },
		{ "**.example.com", "example.com", false },
		{ "a.**.com", "a.b.com", true },
		{ "a.**.com", "a.b.c.com", true },
		{ "a.**.com", "a.com", false },
		{ "**.b.**", "a.b.c", true },
		{ "**.b.**", "a.c.b.d.e", true },
		{ "**.b.**", "b.c", false },
		{ "**.b.**", "a.b", false },
		{ "fa*.example", "fake.example", true },
		{ "fa*.example", "fb.example", false },
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(rows); i++) {
		if (match_sni(rows[i].pattern, rows[i].name) != rows[i].want)
			fail_msg("%s against %s", rows[i].pattern, rows[i].name);
	}
}

static void test_hostile_names_never_match(void **state)
{
	static const struct ex_span names[] = {
		{ "evil.com\0.example", 17 }, { "a..example", 10 },       { ".example", 8 },
		{ "a.example.", 10 },         { "[a.example]", 11 },      { "a.example:443", 13 },
		{ "a b.example", 11 },        { "\xc3\xa4.example", 10 },
	};
	struct ex_arena a = { 0 };
	struct ex_name_pattern all, tail, sni;

	(void)state;
	assert_null(ex_name_pattern_parse("*", 1, true, &a, &all));
	assert_null(ex_name_pattern_parse("**.example", 10, true, &a, &tail));
	assert_null(ex_sni_pattern_parse("**", 2, &a, &sni));
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++) {
		assert_false(ex_name_match(&all, names[i]));
		assert_false(ex_name_match(&tail, names[i]));
		assert_false(ex_name_match(&sni, names[i]));
	}
	ex_arena_done(&a);
}

#define C "[-a-zA-Z0-9_]"

/* The pattern as the regular expression its documentation describes, over "name." */
static char *to_regex(const char *pattern)
{
	char *out = NULL;
	size_t len, stars = strspn(pattern, "*"), n = strlen(pattern);
	FILE *f = open_memstream(&out, &len);

	assert_non_null(f);
	if (stars && (pattern[stars] == '\0' || strcmp(pattern + stars, ".") == 0)) {
		fputs("(" C "+[.])+|[.]", f);
		fclose(f);
		return out;
	}
	if (stars >= 2 && pattern[stars] == '.') {
		fputs(C "+([.]" C "+){0,}[.]", f);
		pattern += stars + 1;
	}
	for (; *pattern; pattern++) {
		if (*pattern == '.')
			fputs("[.]", f);
		else if (*pattern != '*')
			fputc(*pattern, f);
		else if (pattern[1] != '*')
			fputs(C "{0,}", f);
	}
	if (n == 0 || pattern[-1] != '.')
		fputs("[.]", f);
	fclose(f);
	return out;
}

static void random_text(char *buf, const char *alphabet, size_t max)
{
	size_t n = 1 + rnd((uint32_t)max - 1);

	for (size_t i = 0; i < n; i++)
		buf[i] = alphabet[rnd((uint32_t)strlen(alphabet))];
	buf[n] = '\0';
}

static void test_random_patterns_against_regex(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		char pattern[12], name[16], dotted[32], err[100];
		struct ex_regex *re;
		char *regex;

		random_text(pattern, "ab.**", 9);
		regex = to_regex(pattern);
		assert_int_equal(ex_regex_new(regex, strlen(regex), &re, err, sizeof(err)), 0);
		for (int k = 0; k < 12; k++) {
			random_text(name, "aabb.", 9);
			/* only what the DNS gate calls canonical: no empty label */
			if (name[0] == '.' || name[strlen(name) - 1] == '.' || strstr(name, ".."))
				continue;
			snprintf(dotted, sizeof(dotted), "%s.", name);
			if (match(pattern, name) != ex_regex_match(re, dotted, strlen(dotted)))
				fail_msg("%s (%s) against %s: %d", pattern, regex, name,
					 match(pattern, name));
		}
		ex_regex_free(re);
		free(regex);
	}
}

/* serverNames in the same way: '**' is a whole label and stands for one or more. */
static void test_random_sni_against_regex(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		char pattern[64] = "", regex[400] = "", name[16], err[100];
		struct ex_regex *re;
		uint32_t n = 1 + rnd(4);

		for (uint32_t k = 0; k < n; k++) {
			static const char *const labels[][2] = {
				{ "a", "a" },        { "b", "b" },     { "*", C "*" },
				{ "a*", "a" C "*" }, { "*b", C "*b" }, { "**", C "+([.]" C "+)*" },
			};
			uint32_t l = rnd(EX_ARRAY_SIZE(labels));

			if (n == 1 && l == 2)
				l = 5;
			snprintf(pattern + strlen(pattern), 20, "%s%s", k ? "." : "", labels[l][0]);
			snprintf(regex + strlen(regex), 60, "%s%s", k ? "[.]" : "", labels[l][1]);
		}
		assert_int_equal(ex_regex_new(regex, strlen(regex), &re, err, sizeof(err)), 0);
		for (int k = 0; k < 12; k++) {
			random_text(name, "aabb...", 11);
			if (name[0] == '.' || name[strlen(name) - 1] == '.' || strstr(name, ".."))
				continue;
			if (match_sni(pattern, name) != ex_regex_match(re, name, strlen(name)))
				fail_msg("%s (%s) against %s", pattern, regex, name);
		}
		ex_regex_free(re);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documented_patterns),
		cmocka_unit_test(test_sni_patterns),
		cmocka_unit_test(test_hostile_names_never_match),
		cmocka_unit_test(test_random_patterns_against_regex),
		cmocka_unit_test(test_random_sni_against_regex),
	};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 10);
	printf("# seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
