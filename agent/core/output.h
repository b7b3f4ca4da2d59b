/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that root is told to write, in folders that may be somebody else's. A workload that ran
 * there as that user can have left a symbolic link for the next run: what is written is partly its
 * own words, and would end up where only root may write.
 */
#ifndef EXEAT_AGENT_CORE_OUTPUT_H
#define EXEAT_AGENT_CORE_OUTPUT_H

#include <sys/types.h>

#include "exeat/util.h"

/*
 * As open(2), close-on-exec. Symbolic links on the way have to be root's or the caller's: -ELOOP. A
 * regular file that has a second name: -EMLINK.
 */
EX_MUST_CHECK int ex_output_open(const char *path, int flags, mode_t mode);

/*
 * For a log: made with mode 0600, appended to. A file that standard output or error is, too
 * (/dev/stderr), is written by their position: by another one they would write over each other.
 */
EX_MUST_CHECK int ex_output_append(const char *path);

/* The folder path is in, by the same rule; *ret_name: the name in it, a part of path. */
EX_MUST_CHECK int ex_output_dir(const char *path, const char **ret_name);

/* strerror() that says what these two mean. */
const char *ex_output_error(int err);

#endif
