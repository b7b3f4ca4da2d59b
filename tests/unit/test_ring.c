/* SPDX-License-Identifier: Apache-2.0 */
/* A ring between processes: an honest writer loses nothing, a hostile one gains nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "agent/core/ring.h"

#define HEAD 8 /* bytes of an entry's head */
#define MAX  2048

/* Where a hostile writer writes: as ring.c lays it out. */
struct memory {
	_Alignas(64) _Atomic uint32_t head;
	_Alignas(64) _Atomic uint32_t tail;
	_Atomic uint32_t asleep;
	_Alignas(64) uint8_t bytes[EX_RING_SIZE];
};

static struct ex_ring writer, reader;
static struct memory *memory;

static int set_up(void **state)
{
	int fd = ex_ring_new();

	(void)state;
	if (fd < 0 || ex_ring_map(&writer, fd) < 0 || ex_ring_map(&reader, fd) < 0)
		return -1;
	memory = (struct memory *)(void *)writer.memory;
	return close(fd);
}

static int tear_down(void **state)
{
	(void)state;
	ex_ring_unmap(&writer);
	ex_ring_unmap(&reader);
	return 0;
}

/* What ex_ring_take() says, after a look. */
static int take(uint32_t *tag, void *entry, size_t cap)
{
	uint32_t until;
	int r = ex_ring_look(&reader, &until);

	return r < 0 ? r : ex_ring_take(&reader, until, tag, entry, cap);
}

static int take_any(void)
{
	uint8_t entry[MAX];
	uint32_t tag;

	return take(&tag, entry, sizeof(entry));
}

/* ---- an honest one ---- */

static void test_what_is_put_is_taken_in_order(void **state)
{
	char entry[MAX];
	uint32_t tag;

	(void)state;
	assert_int_equal(take_any(), 0);
	assert_true(ex_ring_put(&writer, 7, "one", 3));
	assert_true(ex_ring_put(&writer, 8, "eleven bytes", 12));
	assert_int_equal(take(&tag, entry, sizeof(entry)), 3);
	assert_int_equal(tag, 7);
	assert_memory_equal(entry, "one", 3);
	assert_int_equal(take(&tag, entry, sizeof(entry)), 12);
	assert_int_equal(tag, 8);
	assert_memory_equal(entry, "eleven bytes", 12);
	assert_int_equal(take_any(), 0);
}

static void test_entries_of_every_length_go_over_the_wrap(void **state)
{
	uint8_t in[MAX], out[MAX];
	uint32_t tag, round = 0;

	(void)state;
	/* Places count on over 2^32: it begins shortly before. */
	writer.at = reader.at = 0u - 3 * EX_RING_SIZE;
	atomic_store(&memory->head, writer.at);
	atomic_store(&memory->tail, writer.at);
	for (size_t sum = 0; sum < 8 * EX_RING_SIZE; round++) {
		size_t len = 1 + round * 37 % MAX;

		memset(in, (int)round, len);
		in[0] = (uint8_t)len;
		assert_true(ex_ring_put(&writer, round, in, len));
		assert_int_equal(take(&tag, out, sizeof(out)), len);
		assert_int_equal(tag, round);
		assert_memory_equal(in, out, len);
		ex_ring_release(&reader);
		sum += len;
	}
	assert_true(writer.at < EX_RING_SIZE * 8); /* it has wrapped */
}

static void test_a_full_ring_takes_no_more_and_overwrites_nothing(void **state)
{
	uint8_t entry[1000] = { 0 }, out[MAX];
	uint32_t tag, n = 0;

	(void)state;
	for (; ex_ring_put(&writer, n, entry, sizeof(entry)); n++)
		memcpy(entry, &n, sizeof(n));
	assert_int_equal(n, EX_RING_SIZE / (1000 + HEAD));
	/* What was taken makes room only when it is released. */
	assert_int_equal(take(&tag, out, sizeof(out)), 1000);
	assert_false(ex_ring_put(&writer, n, entry, sizeof(entry)));
	ex_ring_release(&reader);
	assert_true(ex_ring_put(&writer, n, entry, sizeof(entry)));
	for (uint32_t i = 1; i <= n; i++) {
		assert_int_equal(take(&tag, out, sizeof(out)), 1000);
		assert_int_equal(tag, i);
	}
	assert_int_equal(take_any(), 0);
}

static void test_what_never_fits_is_refused(void **state)
{
	static uint8_t large[EX_RING_SIZE];

	(void)state;
	assert_false(ex_ring_put(&writer, 0, large, sizeof(large)));
	assert_false(ex_ring_put(&writer, 0, large, SIZE_MAX));
	assert_int_equal(take_any(), 0);
}

static void test_the_reader_is_woken_once_when_it_sleeps(void **state)
{
	(void)state;
	assert_false(ex_ring_must_wake(&writer));
	assert_true(ex_ring_sleep(&reader));
	assert_true(ex_ring_put(&writer, 0, "x", 1));
	assert_true(ex_ring_must_wake(&writer));
	assert_true(ex_ring_put(&writer, 0, "x", 1));
	assert_false(ex_ring_must_wake(&writer));
	assert_false(ex_ring_sleep(&reader)); /* there is something to take */
	assert_false(ex_ring_must_wake(&writer));
	assert_int_equal(take_any(), 1);
	assert_false(ex_ring_sleep(&reader));
	assert_int_equal(take_any(), 1);
	assert_true(ex_ring_sleep(&reader));
}

static void test_the_reader_is_woken_once_when_it_is_half_full(void **state)
{
	uint8_t entry[1000] = { 0 };
	size_t n = 0, woken = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (n = 0; n < 200; n++) {
			assert_true(ex_ring_put(&writer, 0, entry, sizeof(entry)));
			woken += ex_ring_must_wake(&writer);
		}
		assert_int_equal(woken, round + 1);
		while (take_any() > 0)
			;
		ex_ring_release(&reader);
	}
}

/* ---- two processes ---- */

#define MANY 200000u

static void write_many(void)
{
	uint32_t entry[64];

	for (uint32_t i = 0; i < MANY; i++) {
		size_t n = 1 + i % EX_ARRAY_SIZE(entry);

		for (size_t k = 0; k < n; k++)
			entry[k] = i;
		while (!ex_ring_put(&writer, i, entry, n * sizeof(entry[0])))
			sched_yield();
	}
}

static pid_t fork_writer(void (*fn)(void))
{
	int fd = ex_ring_new();
	pid_t pid;

	/* Its memory does not come along: it maps it itself. */
	tear_down(NULL);
	if (ex_ring_map(&reader, fd) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		if (ex_ring_map(&writer, fd) == 0)
			fn();
		_exit(0);
	}
	close(fd);
	return pid;
}

static void test_nothing_is_lost_or_torn_between_processes(void **state)
{
	pid_t pid = fork_writer(write_many);
	uint32_t entry[64], tag, until, i = 0;
	int n, status;

	(void)state;
	assert_true(pid > 0);
	while (i < MANY) {
		assert_int_equal(ex_ring_look(&reader, &until), 0);
		while ((n = ex_ring_take(&reader, until, &tag, entry, sizeof(entry))) > 0) {
			assert_int_equal(tag, i);
			assert_int_equal(n, (1 + i % EX_ARRAY_SIZE(entry)) * sizeof(entry[0]));
			for (size_t k = 0; k < (size_t)n / sizeof(entry[0]); k++)
				assert_int_equal(entry[k], i);
			i++;
		}
		assert_int_equal(n, 0);
		ex_ring_release(&reader);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void write_until_killed(void)
{
	for (uint32_t i = 0;; i++)
		while (!ex_ring_put(&writer, i, &i, sizeof(i)))
			sched_yield();
}

static void test_what_a_killed_writer_wrote_is_there_and_whole(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		pid_t pid = fork_writer(write_until_killed);
		uint32_t value, tag, until, i = 0;
		int n;

		assert_true(pid > 0);
		usleep(1000 + (useconds_t)round * 100);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_int_equal(ex_ring_look(&reader, &until), 0);
		while ((n = ex_ring_take(&reader, until, &tag, &value, sizeof(value))) > 0) {
			assert_int_equal(value, i);
			i++;
		}
		assert_int_equal(n, 0);
	}
}

static void test_a_forked_child_does_not_have_the_memory(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		/* mincore(2) says whether something is mapped there. */
		_exit(mincore(writer.memory, 4096, &(unsigned char){ 0 }) == -1 && errno == ENOMEM
			      ? 0
			      : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- a hostile one ---- */

static void test_places_that_cannot_be_are_refused(void **state)
{
	static const uint32_t heads[] = { 1,          4,         EX_RING_SIZE + HEAD,
					  UINT32_MAX, 0u - HEAD, 0x80000000u };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(heads); i++) {
		atomic_store(&memory->head, heads[i]);
		assert_int_equal(take_any(), -EBADMSG);
	}
	/* and the place of the reader is not to be had there */
	atomic_store(&memory->head, 0);
	atomic_store(&memory->tail, 0x12345678);
	assert_int_equal(take_any(), 0);
}

static void test_lengths_that_lie_are_refused(void **state)
{
	static const uint32_t lens[] = {
		0, 9, 16, MAX + 1, EX_RING_SIZE, UINT32_MAX - 7, UINT32_MAX
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(lens); i++) {
		memcpy(memory->bytes, &lens[i], sizeof(lens[i]));
		atomic_store(&memory->head, 2 * HEAD);
		assert_int_equal(take_any(), -EBADMSG);
		assert_int_equal(reader.at, 0);
	}
	memcpy(memory->bytes, &(uint32_t){ 8 }, 4); /* one that does not */
	assert_int_equal(take_any(), 8);
}

static void test_a_place_that_goes_back_is_refused(void **state)
{
	(void)state;
	assert_true(ex_ring_put(&writer, 0, "12345678", 8));
	assert_int_equal(take_any(), 8);
	atomic_store(&memory->head, HEAD);
	assert_int_equal(take_any(), -EBADMSG);
}

static void test_what_was_looked_at_bounds_what_is_taken(void **state)
{
	uint32_t until, tag, n = 0;
	uint8_t entry[MAX];

	(void)state;
	assert_true(ex_ring_put(&writer, 0, "x", 1));
	assert_int_equal(ex_ring_look(&reader, &until), 0);
	/* Whoever writes on and on does not keep the reader. */
	while (ex_ring_take(&reader, until, &tag, entry, sizeof(entry)) > 0) {
		assert_true(ex_ring_put(&writer, 0, "x", 1));
		n++;
	}
	assert_int_equal(n, 1);
}

/* The smallest entries there are, all over: as long as it can be made to take. */
static void test_the_longest_look_is_bounded(void **state)
{
	uint32_t until, tag, n = 0;
	uint8_t entry[MAX];

	(void)state;
	for (size_t at = 0; at < EX_RING_SIZE; at += 2 * HEAD)
		memcpy(memory->bytes + at, &(uint32_t){ 1 }, 4);
	atomic_store(&memory->head, EX_RING_SIZE);
	assert_int_equal(ex_ring_look(&reader, &until), 0);
	while (ex_ring_take(&reader, until, &tag, entry, sizeof(entry)) > 0)
		n++;
	assert_int_equal(n, EX_RING_SIZE / (2 * HEAD));
}

static void test_the_memory_keeps_its_size(void **state)
{
	int fd = ex_ring_new(), other = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct ex_ring ring = { 0 };

	(void)state;
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 30), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	/* One of another make is not mapped. */
	assert_int_equal(ftruncate(other, sizeof(struct memory)), 0);
	assert_int_equal(ex_ring_map(&ring, other), -EPERM);
	assert_int_equal(ex_ring_map(&ring, STDIN_FILENO) < 0, 1);
	close(fd);
	close(other);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_put_is_taken_in_order),
		TEST(test_entries_of_every_length_go_over_the_wrap),
		TEST(test_a_full_ring_takes_no_more_and_overwrites_nothing),
		TEST(test_what_never_fits_is_refused),
		TEST(test_the_reader_is_woken_once_when_it_sleeps),
		TEST(test_the_reader_is_woken_once_when_it_is_half_full),
		TEST(test_nothing_is_lost_or_torn_between_processes),
		TEST(test_what_a_killed_writer_wrote_is_there_and_whole),
		TEST(test_a_forked_child_does_not_have_the_memory),
		TEST(test_places_that_cannot_be_are_refused),
		TEST(test_lengths_that_lie_are_refused),
		TEST(test_a_place_that_goes_back_is_refused),
		TEST(test_what_was_looked_at_bounds_what_is_taken),
		TEST(test_the_longest_look_is_bounded),
		TEST(test_the_memory_keeps_its_size),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
