/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is full in the middle of what is written. */
#ifndef EXEAT_TESTS_FULL_DISK_H
#define EXEAT_TESTS_FULL_DISK_H

#include <signal.h>
#include <sys/resource.h>

/* A file has room for so many bytes from now on; returns for how many it had. */
static inline rlim_t disk_room(rlim_t room)
{
	struct rlimit limit;
	rlim_t had;

	assert_ptr_not_equal(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	had = limit.rlim_cur;
	limit.rlim_cur = room;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	return had;
}

#endif
