/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/slab.h"

#define BLOCK (16 * 1024)
#define ALIGN 16

#if EX_ASAN

/* Each by itself, so that the sanitizer sees when one is used that was put back. */
void *ex_slab_get(struct ex_slab *slab, size_t size)
{
	(void)slab;
	return calloc(1, size);
}

void ex_slab_put(struct ex_slab *slab, void *object, size_t size)
{
	(void)slab;
	(void)size;
	free(object);
}

#else

static void add_block(struct ex_slab *slab, size_t size)
{
	size_t step = (size + ALIGN - 1) / ALIGN * ALIGN;
	char *block = malloc(BLOCK);

	for (size_t at = 0; block && at + step <= BLOCK; at += step)
		ex_slab_put(slab, block + at, size);
}

void *ex_slab_get(struct ex_slab *slab, size_t size)
{
	void *object;

	if (!slab->free)
		add_block(slab, size);
	object = slab->free;
	if (object) {
		memcpy(&slab->free, object, sizeof(slab->free));
		memset(object, 0, size);
	}
	return object;
}

/* What it held is wiped: names and addresses of one connection are not the next one's. */
void ex_slab_put(struct ex_slab *slab, void *object, size_t size)
{
	if (!object)
		return;
	memset(object, 0, size);
	memcpy(object, &slab->free, sizeof(slab->free));
	slab->free = object;
}

#endif
