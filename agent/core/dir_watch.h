/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when something in a directory may have changed: files written, renamed, removed, links
 * swapped, also where they lead to, files mounted in it, the directory itself made, replaced or
 * mounted on, or another one by its path. What changed is for the reader to find out. A file may be
 * watched just so.
 */
#ifndef EXEAT_AGENT_CORE_DIR_WATCH_H
#define EXEAT_AGENT_CORE_DIR_WATCH_H

#include "agent/core/loop.h"

struct ex_dir_watch;

/* fn is called debounce_ms after the first of a burst of changes. dirs are borrowed. */
EX_MUST_CHECK int ex_dir_watch_new(struct ex_loop *loop, const char *const *dirs, size_t n,
				   uint32_t debounce_ms, void (*fn)(void *arg), void *arg,
				   struct ex_dir_watch **ret);
void ex_dir_watch_free(struct ex_dir_watch *w);

#endif
