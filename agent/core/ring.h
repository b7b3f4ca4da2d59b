/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries from one process to another through memory that both have mapped: one writer, one reader,
 * no lock. The reader trusts nothing that lies there. Its own place is its own; an entry is copied
 * out before it is looked at; where the writer says it is, and how long an entry is, are bounded.
 * The writer trusts the reader.
 *
 * An entry that was written stays when the writer dies; one it was still writing is none.
 *
 *   writer  ex_ring_put(), then ex_ring_must_wake(): the reader is to be told, by other means
 *   reader  ex_ring_look(), ex_ring_take() until 0, ex_ring_release(); ex_ring_sleep() before it
 *           waits to be told
 */
#ifndef EXEAT_AGENT_CORE_RING_H
#define EXEAT_AGENT_CORE_RING_H

#include "exeat/util.h"

#define EX_RING_SIZE (256 * 1024) /* bytes of entries; a power of two */

struct ex_ring_memory;

struct ex_ring {
	struct ex_ring_memory *memory; /* NULL = none */
	uint32_t at;                   /* where this side is; counts on, modulo 2^32 */
	uint32_t told;                 /* writer: where the reader was when it was last told */
};

/* A memory file of the right size, which nobody can change: fd or negative errno. */
EX_MUST_CHECK int ex_ring_new(void);

/* fd may be closed then. Children that this process forks do not have the memory. */
EX_MUST_CHECK int ex_ring_map(struct ex_ring *ring, int fd);
void ex_ring_unmap(struct ex_ring *ring);

/* False: there is no room now. The tag is the caller's. */
EX_MUST_CHECK bool ex_ring_put(struct ex_ring *ring, uint32_t tag, const void *entry, size_t len);

/* Has the reader to be told? It sleeps, or the ring is half full: true once for each. */
EX_MUST_CHECK bool ex_ring_must_wake(struct ex_ring *ring);

/* Where the writer is now. -EBADMSG: nowhere it could be. */
EX_MUST_CHECK int ex_ring_look(struct ex_ring *ring, uint32_t *ret_until);

/*
 * Copies the next entry that was there when it was looked: its length; 0 = all were taken; -EBADMSG
 * when it is none, or longer than cap.
 */
int ex_ring_take(struct ex_ring *ring, uint32_t until, uint32_t *ret_tag, void *entry, size_t cap);

/* The writer may use the room of what was taken. */
void ex_ring_release(struct ex_ring *ring);

/* The writer will tell of the next entry. False: there is one already. */
EX_MUST_CHECK bool ex_ring_sleep(struct ex_ring *ring);

#endif
