/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses a prefix has, bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/prefix.h"

static const struct ex_ip ip = { { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0x00, 0x7f, 0x80, 0x01, 0xfe, 0x55,
				   0xaa, 0x00, 0xff, 0x13, 0x37 } };

static struct ex_ip flip(unsigned bit)
{
	struct ex_ip other = ip;

	other.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	return other;
}

/* Of every length, and every address one bit away. */
static void test_deny_when_a_bit_of_the_prefix_differs(void **state)
{
	(void)state;
	for (unsigned len = 0; len <= 128; len++) {
		struct ex_prefix p = ex_prefix_make(&ip, (uint8_t)len);

		assert_true(ex_prefix_has(&p, &ip));
		for (unsigned bit = 0; bit < 128; bit++) {
			struct ex_ip other = flip(bit);

			assert_int_equal(ex_prefix_has(&p, &other), bit >= len);
		}
	}
}

/* One that ex_prefix_make() has not made has nothing, rather than more than it says. */
static void test_prefix_with_host_bits_has_no_address(void **state)
{
	const struct ex_prefix p = { ip, 96 };

	(void)state;
	assert_false(ex_prefix_has(&p, &ip));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deny_when_a_bit_of_the_prefix_differs),
		cmocka_unit_test(test_prefix_with_host_bits_has_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
