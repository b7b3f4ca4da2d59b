/* SPDX-License-Identifier: Apache-2.0 */
/* What is not used goes back, and nothing else changes by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <openssl/evp.h>

#include "agent/core/buf.h"
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

static void test_buffers_in_use_keep_their_bytes_and_spare_ones_go(void **state)
{
	struct ex_buf kept = { 0 }, done = { 0 };
	char bytes[64 * 1024];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(ex_buf_append(&kept, bytes, sizeof(bytes)), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ex_buf_append(&done, bytes, sizeof(bytes)), 0);
		assert_memory_equal(ex_buf_ptr(&done), bytes, sizeof(bytes));
		ex_buf_done(&done);
		ex_settle();
	}
	assert_int_equal(ex_buf_len(&kept), sizeof(bytes));
	assert_memory_equal(ex_buf_ptr(&kept), bytes, sizeof(bytes));
	ex_buf_done(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages_of_files_go_back),
		cmocka_unit_test(test_all_is_there_as_before),
		cmocka_unit_test(test_buffers_in_use_keep_their_bytes_and_spare_ones_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
