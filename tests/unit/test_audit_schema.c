/* SPDX-License-Identifier: Apache-2.0 */
/* docs/audit.schema.json knows what is written. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "exeat/reasons.h"
#include "exeat/util.h"

/* All that was written to fd; the caller frees. */
static char *slurp(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *s = calloc(1, (size_t)size + 1);

	assert_non_null(s);
	assert_int_equal(pread(fd, s, (size_t)size, 0), size);
	return s;
}

static void test_schema_knows_every_reason(void **state)
{
	static const char *const words[] = {
#define X(num, sym, word, text) "\"" word "\"",
		EX_REASONS(X)
#undef X
	};
	int fd = open("docs/audit.schema.json", O_RDONLY | O_CLOEXEC);
	char *text;

	(void)state;
	if (fd < 0)
		skip(); /* not run from the project's root */
	text = slurp(fd);
	for (size_t i = 0; i < EX_ARRAY_SIZE(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("docs/audit.schema.json lacks %s", words[i]);
	free(text);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_knows_every_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
