/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of one size that live long, side by side: among buffers that come and go each of them
 * would hold on to a page of its own. Memory is never given back, so their number has to be
 * bounded by whoever asks.
 */
#ifndef EXEAT_AGENT_PROXY_SLAB_H
#define EXEAT_AGENT_PROXY_SLAB_H

#include "exeat/util.h"

struct ex_slab {
	void *free; /* the first; each points to the next one */
};

/* All zero, aligned as by malloc(); NULL when out of memory. size is always the same. */
void *ex_slab_get(struct ex_slab *slab, size_t size);
void ex_slab_put(struct ex_slab *slab, void *object, size_t size); /* accepts NULL */

#endif
