/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What one message is on standard error. */
static void assert_logged(const char *text, const char *want)
{
	int saved = dup(STDERR_FILENO), ends[2];
	char got[2048];
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	ex_error("%s", text);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	n = read(ends[0], got, sizeof(got) - 1);
	close(ends[0]);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, want);
}

static void test_a_message_is_one_line_that_acts_on_no_terminal(void **state)
{
	(void)state;
	assert_logged("caf\xc3\xa9.yaml: no", "exeat: error: caf\xc3\xa9.yaml: no\n");
	assert_logged("a\x1b[31m\nexeat: b\r\x7f\xc2\x9b", "exeat: error: a?[31m?exeat: b????\n");
	assert_logged("", "exeat: error: \n");
}

static void test_a_long_message_is_cut(void **state)
{
	char text[3000], want[1025];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memset(want, 'x', sizeof(want));
	memcpy(want, "exeat: error: ", 14);
	want[1022] = '\n';
	want[1023] = '\0';
	assert_logged(text, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_is_one_line_that_acts_on_no_terminal),
		cmocka_unit_test(test_a_long_message_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
