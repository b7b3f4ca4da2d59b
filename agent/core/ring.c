/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Without these the writer could take pages away from under the reader, whose access would kill it.
 */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

#define LINE 64 /* bytes of a cache line */

/* Each side writes its own line. */
struct ex_ring_memory {
	_Alignas(LINE) _Atomic uint32_t head; /* the writer's place */
	_Alignas(LINE) _Atomic uint32_t tail; /* the reader's: as the writer is to know it */
	_Atomic uint32_t asleep;              /* the reader waits to be told */
	_Alignas(LINE) uint8_t bytes[EX_RING_SIZE];
};

struct head { /* of an entry; at a multiple of its size, so that it never wraps */
	uint32_t len, tag;
};

_Static_assert((EX_RING_SIZE & (EX_RING_SIZE - 1)) == 0, "places wrap where the ring does");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "between processes");

/* With its head, up to where the next one begins. */
static uint32_t room_of(size_t len)
{
	return (uint32_t)(sizeof(struct head) + (len + sizeof(struct head) - 1) /
							sizeof(struct head) * sizeof(struct head));
}

/* ---- the memory ---- */

int ex_ring_new(void)
{
	EX_AUTO_CLOSE int fd = memfd_create("exeat-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, sizeof(struct ex_ring_memory)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return EX_TAKE_FD(fd);
}

int ex_ring_map(struct ex_ring *ring, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS), r = 0;
	struct stat st;
	void *p;

	if (seals < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((seals & SEALS) != SEALS || st.st_size != sizeof(struct ex_ring_memory))
		return -EPERM;
	p = mmap(NULL, sizeof(struct ex_ring_memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	if (madvise(p, sizeof(struct ex_ring_memory), MADV_DONTFORK) < 0) {
		r = -errno;
		munmap(p, sizeof(struct ex_ring_memory));
		return r;
	}
	*ring = (struct ex_ring){ .memory = p, .told = UINT32_MAX };
	return 0;
}

void ex_ring_unmap(struct ex_ring *ring)
{
	if (ring->memory)
		munmap(ring->memory, sizeof(*ring->memory));
	*ring = (struct ex_ring){ 0 };
}

/* How much lies before the place where the bytes wrap. */
static size_t before_wrap(uint32_t at, size_t len)
{
	size_t left = EX_RING_SIZE - at % EX_RING_SIZE;

	return len < left ? len : left;
}

/* ---- the writer ---- */

static void copy_in(struct ex_ring_memory *m, uint32_t at, const void *from, size_t len)
{
	size_t first = before_wrap(at, len);

	memcpy(m->bytes + at % EX_RING_SIZE, from, first);
	memcpy(m->bytes, (const uint8_t *)from + first, len - first);
}

static uint32_t used(const struct ex_ring *ring)
{
	return ring->at - atomic_load_explicit(&ring->memory->tail, memory_order_acquire);
}

bool ex_ring_put(struct ex_ring *ring, uint32_t tag, const void *entry, size_t len)
{
	const struct head head = { .len = (uint32_t)len, .tag = tag };
	struct ex_ring_memory *m = ring->memory;

	if (len > EX_RING_SIZE / 2 || room_of(len) > EX_RING_SIZE - used(ring))
		return false;
	copy_in(m, ring->at, &head, sizeof(head));
	copy_in(m, ring->at + (uint32_t)sizeof(head), entry, len);
	ring->at += room_of(len);
	/* From here on it is there, whatever becomes of this process. */
	atomic_store_explicit(&m->head, ring->at, memory_order_release);
	return true;
}

bool ex_ring_must_wake(struct ex_ring *ring)
{
	struct ex_ring_memory *m = ring->memory;
	uint32_t tail;

	/* Either it sees the entry before it sleeps, or we see that it does: see ex_ring_sleep().
	 */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&m->asleep, memory_order_relaxed)) {
		atomic_store_explicit(&m->asleep, 0, memory_order_relaxed);
		return true;
	}
	tail = ring->at - used(ring);
	if (ring->at - tail < EX_RING_SIZE / 2 || ring->told == tail)
		return false;
	ring->told = tail;
	return true;
}

/* ---- the reader ---- */

int ex_ring_look(struct ex_ring *ring, uint32_t *ret_until)
{
	struct ex_ring_memory *m = ring->memory;
	uint32_t head;

	atomic_store_explicit(&m->asleep, 0, memory_order_relaxed);
	head = atomic_load_explicit(&m->head, memory_order_acquire);
	if (head - ring->at > EX_RING_SIZE || head % sizeof(struct head))
		return -EBADMSG;
	*ret_until = head;
	return 0;
}

/* The writer may change the bytes meanwhile. What is looked at later is the copy, not read again.
 */
static void copy_out(const struct ex_ring_memory *m, uint32_t at, void *to, size_t len)
{
	size_t first = before_wrap(at, len);

	memcpy(to, m->bytes + at % EX_RING_SIZE, first);
	memcpy((uint8_t *)to + first, m->bytes, len - first);
	__asm__ volatile("" : : "r"(to) : "memory");
}

int ex_ring_take(struct ex_ring *ring, uint32_t until, uint32_t *ret_tag, void *entry, size_t cap)
{
	uint32_t left = until - ring->at;
	struct head head;

	if (left == 0)
		return 0;
	if (left < sizeof(head) || left > EX_RING_SIZE)
		return -EBADMSG;
	copy_out(ring->memory, ring->at, &head, sizeof(head));
	if (head.len == 0 || head.len > cap || room_of(head.len) > left)
		return -EBADMSG;
	copy_out(ring->memory, ring->at + (uint32_t)sizeof(head), entry, head.len);
	ring->at += room_of(head.len);
	*ret_tag = head.tag;
	return (int)head.len;
}

void ex_ring_release(struct ex_ring *ring)
{
	atomic_store_explicit(&ring->memory->tail, ring->at, memory_order_release);
}

bool ex_ring_sleep(struct ex_ring *ring)
{
	struct ex_ring_memory *m = ring->memory;

	atomic_store_explicit(&m->asleep, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&m->head, memory_order_relaxed) == ring->at)
		return true;
	atomic_store_explicit(&m->asleep, 0, memory_order_relaxed);
	return false;
}
