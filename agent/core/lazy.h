/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch for what may wait a little: it is taken some milliseconds after it came, with all that
 * came meanwhile, so that a thousand writes a second are not a thousand wake-ups. Edge-triggered: a
 * writer wakes us when there was nothing before, and may wake us again when it cannot wait any
 * longer; then all is taken at once.
 */
#ifndef EXEAT_AGENT_CORE_LAZY_H
#define EXEAT_AGENT_CORE_LAZY_H

#include "agent/core/loop.h"

struct ex_lazy {
	uint32_t ms;                   /* 0 = at once; may be changed at any time */
	bool (*fn)(struct ex_lazy *l); /* takes what is there. False: not all of it */
	struct ex_loop *loop;          /* private, as what follows */
	struct ex_watch watch;
	struct ex_timer due;
};

/* fn and ms are set before. What is there already counts as having come now. */
EX_MUST_CHECK int ex_lazy_start(struct ex_loop *loop, struct ex_lazy *l, int fd);

/* Takes what is there, now. */
void ex_lazy_run(struct ex_lazy *l);

#endif
