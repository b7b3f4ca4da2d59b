/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are there whole, or as they were before; and files read whole. */
#ifndef EXEAT_AGENT_CORE_STATE_FILE_H
#define EXEAT_AGENT_CORE_STATE_FILE_H

#include <sys/types.h>

#include "exeat/util.h"

#define EX_STATE_FILE_MAX (1 << 20)

/* dir/name: written beside it, synced, renamed. 0 or negative errno. */
EX_MUST_CHECK int ex_state_file_write(int dir, const char *name, mode_t mode, struct ex_span bytes);

/*
 * What a regular file has that is open at its beginning, NUL-terminated; the caller frees. -EFBIG
 * beyond max; -EAGAIN when it becomes shorter meanwhile; -EISDIR or -EINVAL when it is none.
 */
EX_MUST_CHECK int ex_file_read(int fd, size_t max, char **ret, size_t *ret_len);

/*
 * -EBUSY when somebody has the file open for writing; else 0, and whoever opens it so waits until
 * fd is closed. Also 0 where the kernel cannot tell (pipes, some file systems).
 */
EX_MUST_CHECK int ex_file_hold(int fd);

/* ex_file_read() by name, which is no link; up to EX_STATE_FILE_MAX. */
EX_MUST_CHECK int ex_state_file_read(int dir, const char *name, char **ret, size_t *ret_len);

/* The same of a file that may have max bytes. */
EX_MUST_CHECK int ex_state_file_read_large(int dir, const char *name, size_t max, char **ret,
					   size_t *ret_len);

#endif
