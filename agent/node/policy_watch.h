/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when something in a directory may have changed: files written, renamed, removed, links
 * swapped, the directory itself made, replaced or mounted on. What changed is for the reader to
 * find out.
 */
#ifndef EXEAT_AGENT_NODE_POLICY_WATCH_H
#define EXEAT_AGENT_NODE_POLICY_WATCH_H

#include "agent/core/loop.h"

struct ex_policy_watch;

/* fn is called debounce_ms after the first of a burst of changes. dirs are borrowed. */
EX_MUST_CHECK int ex_policy_watch_new(struct ex_loop *loop, const char *const *dirs, size_t n,
				      uint32_t debounce_ms, void (*fn)(void *arg), void *arg,
				      struct ex_policy_watch **ret);
void ex_policy_watch_free(struct ex_policy_watch *w);

#endif
