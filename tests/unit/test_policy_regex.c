/* SPDX-License-Identifier: Apache-2.0 */
/* Full match, bounded; the fast paths against RE2, RE2 against the C library's own engine. */
#include "policy_helper.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <time.h>

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static bool match(const char *pattern, const char *text)
{
	struct ex_regex *re;
	char err[100];
	bool r;

	assert_int_equal(ex_regex_new(pattern, strlen(pattern), &re, err, sizeof(err)), 0);
	r = ex_regex_match(re, text, strlen(text));
	assert_int_equal(r, ex_regex_match_slow(re, text, strlen(text)));
	ex_regex_free(re);
	return r;
}

static void test_the_whole_text_must_match(void **state)
{
	(void)state;
	assert_true(match("/v1/chat/completions", "/v1/chat/completions"));
	assert_false(match("/v1/chat/completions", "/v1/chat/completions?x"));
	assert_false(match("/v1/chat/completions", "/v1/chat/completionsx"));
	assert_false(match("/v1/chat/completions", "x/v1/chat/completions"));
	assert_false(match("/v1/chat", "/v1/cha"));
	assert_true(match("/", "/"));
	assert_false(match("/", "/a"));
	assert_true(match("/public$", "/public"));
	assert_false(match("/public$", "/public/x"));
	assert_true(match("^/public$", "/public"));
	assert_true(match("GET|POST", "POST"));
	assert_false(match("GET|POST", "GETPOST"));
	assert_false(match("GET|POST", "GETX"));
	assert_true(match("/status.*", "/status/x?y"));
	assert_true(match("/a\\.b", "/a.b"));
	assert_false(match("/a\\.b", "/axb"));
}

static void test_multiline_and_bytes(void **state)
{
	struct ex_regex *re;
	char err[100];

	(void)state;
	assert_int_equal(ex_regex_new("/a.*", 4, &re, err, sizeof(err)), 0);
	assert_false(ex_regex_match(re, "/a\nb", 4));
	assert_true(ex_regex_match(re, "/a\0b", 4) == ex_regex_match_slow(re, "/a\0b", 4));
	assert_false(ex_regex_match(re, "/a\xff", 3));
	assert_true(ex_regex_match(re, "/a\xc3\xa4", 4));
	ex_regex_free(re);
	assert_false(match("/a$", "/a\n"));
}

static void test_bad_patterns_are_refused(void **state)
{
	static const char *const bad[] = { "(",
					   "[",
					   "*a",
					   "a**b(",
					   "\\C",
					   "(?=a)",
					   "\\1",
					   "a{2,1}",
					   "(?P<n",
					   "a{1001}",
					   "((a{1000}){1000}){1000}",
					   "\\" };
	char err[100], *big = calloc(1, EX_REGEX_LEN_MAX + 2);
	struct ex_regex *re;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		err[0] = '\0';
		assert_int_equal(ex_regex_new(bad[i], strlen(bad[i]), &re, err, sizeof(err)),
				 -EINVAL);
		assert_true(err[0]);
	}
	memset(big, 'a', EX_REGEX_LEN_MAX + 1);
	assert_int_equal(ex_regex_new(big, EX_REGEX_LEN_MAX + 1, &re, err, sizeof(err)), -EINVAL);
	free(big);
}

/* What takes exponential time elsewhere. */
static void test_linear_time(void **state)
{
	static const char *const evil[] = { "(a*)*b",   "(a|a)*b",
					    "(a|aa)+b", "(.*)(.*)(.*)(.*)b",
					    "(x+x+)+y", "a?a?a?a?a?a?a?a?a?a?aaaaaaaaaab" };
	size_t len = 200000;
	char *text = malloc(len), err[100];

	(void)state;
	assert_non_null(text);
	memset(text, 'a', len);
	for (size_t i = 0; i < EX_ARRAY_SIZE(evil); i++) {
		struct ex_regex *re;
		clock_t start = clock();

		assert_int_equal(ex_regex_new(evil[i], strlen(evil[i]), &re, err, sizeof(err)), 0);
		assert_false(ex_regex_match(re, text, len));
		assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
		ex_regex_free(re);
	}
	free(text);
}

static void random_text(char *buf, const char *alphabet, size_t max)
{
	size_t n = rnd((uint32_t)max);

	for (size_t i = 0; i < n; i++)
		buf[i] = alphabet[rnd((uint32_t)strlen(alphabet))];
	buf[n] = '\0';
}

/* The part of the syntax in which POSIX and RE2 mean the same, anchored to the whole text. */
static void test_against_posix(void **state)
{
	int compared = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char pattern[16], anchored[32], text[12], err[100];
		struct ex_regex *re;
		regex_t posix;

		random_text(pattern, "ab.*+?|()[]/", 10);
		/* the same signs, other meanings: lazy repetition, empty group and class */
		if (strstr(pattern, "+?") || strstr(pattern, "*?") || strstr(pattern, "??"))
			continue;
		/* the same signs, other meanings: lazy repetition, empty group and class */
		if (strstr(pattern, "+?") || strstr(pattern, "*?") || strstr(pattern, "??") ||
		    strstr(pattern, "()") || strstr(pattern, "[]") ||
		    ex_regex_new(pattern, strlen(pattern), &re, err, sizeof(err)) < 0)
			continue;
		snprintf(anchored, sizeof(anchored), "^(%s)$", pattern);
		if (regcomp(&posix, anchored, REG_EXTENDED | REG_NOSUB) == 0) {
			for (int k = 0; k < 20; k++) {
				random_text(text, "ab/", 8);
				compared++;
				if (ex_regex_match(re, text, strlen(text)) !=
				    (regexec(&posix, text, 0, NULL, 0) == 0))
					fail_msg("%s against %s", pattern, text);
			}
			regfree(&posix);
		}
		ex_regex_free(re);
	}
	assert_true(compared > 10000);
}

static void test_fast_path_gives_the_same_answer(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		char pattern[16], text[12], err[100];
		struct ex_regex *re;

		random_text(pattern, "ab/\xc3\xa4", 5);
		if (rnd(2))
			strncat(pattern, ".*", 3);
		if (ex_regex_new(pattern, strlen(pattern), &re, err, sizeof(err)) < 0)
			continue;
		for (int k = 0; k < 20; k++) {
			random_text(text, "aab/\n\xc3\xa4\x7f", 6);
			assert_int_equal(ex_regex_match(re, text, strlen(text)),
					 ex_regex_match_slow(re, text, strlen(text)));
		}
		ex_regex_free(re);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_whole_text_must_match),
		cmocka_unit_test(test_multiline_and_bytes),
		cmocka_unit_test(test_bad_patterns_are_refused),
		cmocka_unit_test(test_linear_time),
		cmocka_unit_test(test_against_posix),
		cmocka_unit_test(test_fast_path_gives_the_same_answer),
	};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 10);
	printf("# seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
