/* SPDX-License-Identifier: Apache-2.0 */
/* A folder that a test fills and that goes with it. */
#ifndef EXEAT_TESTS_SCRATCH_H
#define EXEAT_TESTS_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* dir ends in XXXXXX, or in what an earlier call put there. */
static inline int scratch_new(char *dir)
{
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	return mkdtemp(dir) ? 0 : -1;
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int scratch_remove(const char *dir)
{
	return nftw(dir, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
