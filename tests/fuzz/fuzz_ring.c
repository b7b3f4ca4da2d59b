/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of a ring and a writer that was taken over: it has put any bytes into the memory and
 * says any place. No crash; never more is taken than was there when it was looked at; an entry that
 * is taken is as long as it says.
 *
 * Input: the reader's place (4 bytes), how far on the writer says it is (4), then rounds of bytes
 * that stand from the reader's place on.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "agent/audit/pack.h"
#include "agent/core/ring.h"
#include "tests/fuzz/fuzz.h"

struct memory { /* as ring.c has it */
	_Alignas(64) _Atomic uint32_t head;
	_Alignas(64) _Atomic uint32_t tail;
	_Atomic uint32_t asleep;
	_Alignas(64) uint8_t bytes[EX_RING_SIZE];
};

static struct ex_ring ring;

static void drain(void)
{
	uint8_t entry[EX_AUDIT_PACKED_MAX];
	uint32_t until, tag, from = ring.at, taken = 0;
	struct ex_audit_record rec;
	int n = ex_ring_look(&ring, &until);

	while (n == 0 && (n = ex_ring_take(&ring, until, &tag, entry, sizeof(entry))) > 0) {
		struct ex_span in = { (const char *)entry, (size_t)n };

		CHECK((size_t)n <= sizeof(entry));
		taken += (uint32_t)n + 8;
		CHECK(taken <= ring.at - from && ring.at - from <= until - from);
		CHECK(until - from <= EX_RING_SIZE);
		(void)ex_audit_unpack(&in, &rec);
		n = 0;
	}
	ex_ring_release(&ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory *m;
	uint32_t at, on;

	if (!ring.memory) {
		int fd = ex_ring_new();

		CHECK(fd >= 0 && ex_ring_map(&ring, fd) == 0);
		close(fd);
	}
	m = (struct memory *)(void *)ring.memory;
	if (size < 8)
		return 0;
	memcpy(&at, data, 4);
	memcpy(&on, data + 4, 4);
	ring.at = at & ~7u;
	for (size_t i = 8; i < size; i++)
		m->bytes[(ring.at + (i - 8)) % EX_RING_SIZE] = data[i];
	/* mostly within what was given */
	on = at & 1 ? on : (uint32_t)(on % (size + 16)) & ~7u;
	atomic_store(&m->head, ring.at + on);
	at = ring.at;
	drain();
	for (size_t i = 8; i < size; i++)
		m->bytes[(at + (i - 8)) % EX_RING_SIZE] = 0;
	return 0;
}
