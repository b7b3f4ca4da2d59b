/* SPDX-License-Identifier: Apache-2.0 */
/* What every fuzz target has. CHECK() is a finding when it does not hold. */
#ifndef EXEAT_TESTS_FUZZ_H
#define EXEAT_TESTS_FUZZ_H

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

#endif
