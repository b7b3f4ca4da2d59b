/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is full in the middle of what is written. */
#ifndef EXEAT_TESTS_FULL_DISK_H
#define EXEAT_TESTS_FULL_DISK_H

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

struct full_disk {
	rlim_t had;
	int err; /* standard error, which may be a file as well: nothing of it is told meanwhile */
};

static inline rlim_t disk_limit(rlim_t room)
{
	struct rlimit limit;
	rlim_t had;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	had = limit.rlim_cur;
	limit.rlim_cur = room;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	return had;
}

/* Files have room for so many bytes each, until disk_empty(). */
static inline struct full_disk disk_fill(rlim_t room)
{
	struct full_disk disk = { .err = dup(STDERR_FILENO) };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_true(disk.err >= 0 && null >= 0);
	assert_true(dup2(null, STDERR_FILENO) >= 0);
	close(null);
	assert_ptr_not_equal(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
	disk.had = disk_limit(room);
	return disk;
}

static inline void disk_empty(const struct full_disk *disk)
{
	(void)disk_limit(disk->had);
	assert_true(dup2(disk->err, STDERR_FILENO) >= 0);
	close(disk->err);
}

#endif
