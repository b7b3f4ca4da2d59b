/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers come and go with every wake-up, so the allocator keeps what is freed (proxy.c). After a
 * moment, when it is a lot, the pages go back to the system; what idle connections can do without
 * is freed before.
 */
#include <malloc.h>

#include "agent/proxy/reuse.h"

#define TIDY_MS  2000
#define A_LOT    (256 * 1024)
#define KEEP_TOP (64 * 1024)

static void on_tidy(struct ex_timer *t)
{
	struct ex_proxy *px = ex_container_of(t, struct ex_proxy, tidy);

	if (ex_spares_part(px))
		(void)!ex_timer_start(px->loop, t, 1);
	else if (mallinfo2().fordblks > A_LOT)
		(void)malloc_trim(KEEP_TOP);
}

void ex_proxy_tidy(struct ex_proxy *px)
{
	if (px->tidy.at)
		return;
	px->tidy.fn = on_tidy;
	(void)!ex_timer_start(px->loop, &px->tidy, TIDY_MS); /* then another time */
}
