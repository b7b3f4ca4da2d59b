/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event loop: epoll, timers, deferred work. One per thread, no locks.
 *
 * An iteration runs in this order: poll -> now -> I/O -> timers -> deferred. A watch or timer is
 * embedded in its owner. Stopping one from any callback is safe: its stale events of the same batch
 * are dropped. Memory of an owner may be freed only from a deferred callback.
 */
#ifndef EXEAT_AGENT_CORE_LOOP_H
#define EXEAT_AGENT_CORE_LOOP_H

#include "exeat/util.h"

struct ex_loop;

struct ex_watch {
	int fd;          /* -1 while stopped; the owner's, see ex_watch_close() */
	uint32_t events; /* EPOLLIN | EPOLLOUT | ... as last set; level-triggered without EPOLLET */
	void (*fn)(struct ex_watch *w, uint32_t events);
	uint32_t slot; /* private */
};

struct ex_timer {
	void (*fn)(struct ex_timer *t);
	uint64_t at;  /* 0 = stopped; else private: ms on the loop's clock */
	size_t index; /* private: place in the heap */
};

struct ex_defer {
	void (*fn)(struct ex_defer *d);
	struct ex_defer *next; /* private */
	bool queued;           /* private */
};

EX_MUST_CHECK int ex_loop_new(struct ex_loop **ret);
void ex_loop_free(struct ex_loop *loop);

/* Runs until ex_loop_quit(); 0 or negative errno. */
int ex_loop_run(struct ex_loop *loop);
void ex_loop_quit(struct ex_loop *loop);

/* Milliseconds of CLOCK_MONOTONIC: now, and at the start of this iteration. */
uint64_t ex_clock_ms(void);
uint64_t ex_loop_now(const struct ex_loop *loop);

/*
 * w->fn is set before the call. events may be 0: only errors and hang-ups are reported. A change of
 * events reports again what is there, even with EPOLLET.
 */
EX_MUST_CHECK int ex_watch_start(struct ex_loop *loop, struct ex_watch *w, int fd, uint32_t events);
void ex_watch_set(struct ex_loop *loop, struct ex_watch *w, uint32_t events);
void ex_watch_stop(struct ex_loop *loop, struct ex_watch *w);

/* Stops it and closes its fd. There must be no other copy of that: only then epoll forgets it. */
void ex_watch_close(struct ex_loop *loop, struct ex_watch *w);

/* fd and events of from, which is stopped, are to's, whose fn is set. The kernel is not asked. */
void ex_watch_move(struct ex_loop *loop, struct ex_watch *from, struct ex_watch *to);

/* (Re)starts; fires once. -ENOMEM only. */
EX_MUST_CHECK int ex_timer_start(struct ex_loop *loop, struct ex_timer *t, uint64_t ms);
void ex_timer_stop(struct ex_loop *loop, struct ex_timer *t);

/*
 * t fires when no event has come for ms, and again after the next silence that follows an event.
 * Its fn is set by the caller, who keeps it in place.
 */
void ex_loop_on_quiet(struct ex_loop *loop, struct ex_timer *t, uint64_t ms);

/* Runs d->fn once, after the I/O of this iteration. Queuing twice is one run. */
void ex_defer(struct ex_loop *loop, struct ex_defer *d);

#endif
