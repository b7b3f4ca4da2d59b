/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that are there whole, or as they were before. */
#ifndef EXEAT_AGENT_CORE_STATE_FILE_H
#define EXEAT_AGENT_CORE_STATE_FILE_H

#include "exeat/util.h"

#define EX_STATE_FILE_MAX (1 << 20)

/* dir/name, mode 0600: written beside it, synced, renamed. 0 or negative errno. */
EX_MUST_CHECK int ex_state_file_write(int dir, const char *name, struct ex_span bytes);

/* The same, mode 0644. */
EX_MUST_CHECK int ex_state_file_publish(int dir, const char *name, struct ex_span bytes);

/* All of it, NUL-terminated; the caller frees. -EFBIG beyond EX_STATE_FILE_MAX. */
EX_MUST_CHECK int ex_state_file_read(int dir, const char *name, char **ret, size_t *ret_len);

/* The same of a file that may have max bytes. */
EX_MUST_CHECK int ex_state_file_read_large(int dir, const char *name, size_t max, char **ret,
					   size_t *ret_len);

#endif
