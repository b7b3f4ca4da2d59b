/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden messages: each tests/unit/golden/policy/NAME.yaml is compiled and what ex_diags_print()
 * says must be NAME.out, byte for byte. EX_GOLDEN_UPDATE=1 writes the .out files instead.
 */
#include "policy_helper.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#define DIR_GOLDEN "tests/unit/golden/policy"

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(text);
	*len = 0;
	if (f) {
		*len = fread(text, 1, 65535, f);
		fclose(f);
	}
	return text;
}

static char *messages_of(const char *path)
{
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	char *text, *out = NULL;
	size_t len, out_len;
	FILE *f;
	int r;

	text = slurp(path, &len);
	r = test_try_compile(text, &rs, &diags);
	f = open_memstream(&out, &out_len);
	assert_non_null(f);
	ex_diags_print(&diags, f);
	fprintf(f, "%s\n", r == 0 ? "accepted" : "refused");
	fclose(f);
	/* an error without a reason, or a success with one, is a bug whatever the golden file says
	 */
	if (r < 0)
		assert_true(diags.n > 0);
	for (size_t i = 0; r == 0 && i < diags.n; i++)
		assert_true(diags.items[i].warning);
	ex_ruleset_unref(rs);
	ex_diags_done(&diags);
	free(text);
	return out;
}

static void check_golden(const char *name)
{
	char in[512], out[512];
	char *got, *want;
	size_t len;

	snprintf(in, sizeof(in), DIR_GOLDEN "/%s", name);
	snprintf(out, sizeof(out), DIR_GOLDEN "/%.*s.out", (int)strlen(name) - 5, name);
	got = messages_of(in);
	if (getenv("EX_GOLDEN_UPDATE")) {
		FILE *f = fopen(out, "w");

		assert_non_null(f);
		fputs(got, f);
		fclose(f);
	}
	want = slurp(out, &len);
	if (strcmp(got, want) != 0)
		fail_msg("%s:\n--- want\n%s--- got\n%s", in, want, got);
	free(got);
	free(want);
}

static void test_messages(void **state)
{
	struct dirent **list;
	int n = scandir(DIR_GOLDEN, &list, NULL, alphasort), seen = 0;

	(void)state;
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		const char *dot = strrchr(list[i]->d_name, '.');

		if (dot && strcmp(dot, ".yaml") == 0) {
			check_golden(list[i]->d_name);
			seen++;
		}
		free(list[i]);
	}
	free(list);
	assert_true(seen >= 10);
}

static void test_missing_file_and_directory(void **state)
{
	const char *files[] = { "tests/unit/golden/policy/there-is-none.yaml", "tests" };
	struct ex_compile_input in = { .files = files, .n_files = 2 };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	(void)state;
	assert_int_equal(ex_compile(&in, &rs, &diags), -EINVAL);
	assert_null(rs);
	assert_int_equal(diags.n, 2);
	assert_string_equal(diags.items[0].message, "cannot read: No such file or directory");
	assert_string_equal(diags.items[1].message, "cannot read: Is a directory");
	ex_diags_done(&diags);
}

static void test_no_file_is_refused(void **state)
{
	struct ex_compile_input in = { 0 };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	(void)state;
	assert_int_equal(ex_compile(&in, &rs, &diags), -ENOENT);
	assert_true(diags.n == 1);
	ex_diags_done(&diags);
}

static void test_nul_byte_and_controls_are_escaped(void **state)
{
	static const char text[] =
		HEAD "  egress:\n  - toFQDNs: [{matchName: \"a\\x1b[31m\\r\\n\"}]\n"
		     "  - toFQDNs: [{matchName: \"evil.com\\0.allowed.com\"}]\n";
	struct ex_compile_input in = { 0 };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	(void)state;
	assert_int_equal(ex_compile_text(text, sizeof(text) - 1, NULL, 0, &in, &rs, &diags),
			 -EINVAL);
	for (size_t i = 0; i < diags.n; i++) {
		for (const char *p = diags.items[i].message; *p; p++)
			assert_true(*p >= 0x20 && *p < 0x7f);
	}
	assert_true(diags.n >= 1);
	ex_diags_done(&diags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_missing_file_and_directory),
		cmocka_unit_test(test_no_file_is_refused),
		cmocka_unit_test(test_nul_byte_and_controls_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
