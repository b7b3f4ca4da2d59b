/* SPDX-License-Identifier: Apache-2.0 */
/* What only the start took goes back, and nothing else changes by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <openssl/evp.h>

#include "agent/core/settle.h"
#include "exeat/util.h"

static const char *const relocated[] = { "one", "two", "three" };
static int written = 1;

static const void *digest(unsigned char out[static 32])
{
	assert_int_equal(EVP_Digest("exeat", 5, out, NULL, EVP_sha256(), NULL), 1);
	return out;
}

static unsigned long file_kib(void)
{
	unsigned long kib = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssFile: %lu", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

static void test_pages_of_files_go_back(void **state)
{
	unsigned char out[32];
	unsigned long before;

	(void)state;
	digest(out);
	before = file_kib();
	ex_settle();
	assert_true(file_kib() < before / 2);
}

static void test_all_is_there_as_before(void **state)
{
	static int local = 2;
	unsigned char before[32], after[32];
	char *heap = strdup("three");

	(void)state;
	assert_non_null(heap);
	written = local = 3;
	digest(before);
	ex_settle();
	ex_settle();
	assert_int_equal(written, 3);
	assert_int_equal(local, 3);
	for (size_t i = 0; i < EX_ARRAY_SIZE(relocated); i++)
		assert_int_equal(strlen(relocated[i]), i < 2 ? 3 : 5);
	assert_string_equal(heap, relocated[2]);
	assert_memory_equal(digest(after), before, sizeof(before));
	free(heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages_of_files_go_back),
		cmocka_unit_test(test_all_is_there_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
