/* SPDX-License-Identifier: Apache-2.0 */
/* Values in a sealed memory file; and that nothing of them stays in memory that was freed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/core/pack.h"

#define KEY "-----BEGIN PRIVATE KEY----- for nobody else"

static void test_what_is_packed_is_read(void **state)
{
	struct ex_pack p = { 0 };
	struct ex_unpack u = { 0 };
	char *bytes;
	size_t len;
	int fd;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		ex_pack_u32(&p, i);
		ex_pack_str(&p, KEY);
	}
	fd = ex_pack_seal(&p, "test");
	assert_true(fd >= 0);
	assert_null(p.buf.data);
	assert_int_equal(ex_pack_read(fd, &bytes, &len), 0);
	u = (struct ex_unpack){ .at = bytes, .end = bytes + len };
	for (uint32_t i = 0; i < 5000; i++) {
		assert_int_equal(ex_unpack_u32(&u), i);
		assert_string_equal(ex_unpack_str(&u), KEY);
	}
	assert_int_equal(ex_unpack_done(&u), 0);
	explicit_bzero(bytes, len);
	free(bytes);
	close(fd);
}

/* Whoever gets the same memory next finds nothing there: the allocator's own words apart. */
static void assert_gone(size_t size)
{
	for (int i = 0; i < 64; i++) {
		char *p = malloc(size);

		assert_non_null(p);
		assert_null(memmem(p, size, "PRIVATE KEY", 11));
		free(p);
		size += 512;
	}
}

static void test_keys_do_not_stay_in_freed_memory(void **state)
{
	struct ex_pack p = { 0 };
	int fd;

	(void)state;
	for (int i = 0; i < 1000; i++)
		ex_pack_str(&p, KEY);
	fd = ex_pack_seal(&p, "test");
	assert_true(fd >= 0);
	close(fd);
	assert_gone(4096);
	for (int i = 0; i < 1000; i++)
		ex_pack_str(&p, KEY);
	ex_pack_done(&p);
	assert_gone(4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_packed_is_read),
		cmocka_unit_test(test_keys_do_not_stay_in_freed_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
