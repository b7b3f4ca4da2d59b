/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a. It has no key: where a workload chooses the bytes, a collision must cost only itself. */
#ifndef EXEAT_HASH_H
#define EXEAT_HASH_H

#include "util.h"

#define EX_HASH_START 0xcbf29ce484222325u

static inline uint64_t ex_hash_step(uint64_t h, uint32_t v)
{
	return (h ^ v) * 0x100000001b3u;
}

static inline uint64_t ex_hash(struct ex_span s)
{
	uint64_t h = EX_HASH_START;

	for (size_t i = 0; i < s.len; i++)
		h = ex_hash_step(h, (unsigned char)s.ptr[i]);
	return h;
}

#endif
