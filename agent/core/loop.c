/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop; loop.h has the contract.
 *
 * epoll data carries (slot, generation): a slot is reused only under a new generation, so an event
 * that was fetched before its watch stopped finds another generation and is dropped.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#include "agent/core/loop.h"

#define BATCH 256 /* events per poll: bounds the time between two looks at the timers */

struct slot {
	struct ex_watch *watch;
	uint32_t generation;
	uint32_t next_free;
};

struct due {
	uint64_t at; /* not later than the timer's own: see ex_timer_start() */
	struct ex_timer *timer;
};

struct ex_loop {
	int epoll;
	bool quit;
	uint64_t now;
	struct slot *slots;
	uint32_t n_slots, free_slot; /* slot 0 is never used: it means "not started" */
	struct due *heap;
	size_t n_timers, cap_timers;
	struct ex_defer *first, **last;
	struct ex_timer *quiet; /* NULL: nobody asked */
	uint64_t quiet_ms;
};

uint64_t ex_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int ex_loop_new(struct ex_loop **ret)
{
	struct ex_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		free(loop);
		return -errno;
	}
	loop->last = &loop->first;
	loop->now = ex_clock_ms();
	*ret = loop;
	return 0;
}

void ex_loop_free(struct ex_loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll);
	free(loop->slots);
	free(loop->heap);
	free(loop);
}

uint64_t ex_loop_now(const struct ex_loop *loop)
{
	return loop->now;
}

void ex_loop_quit(struct ex_loop *loop)
{
	loop->quit = true;
}

/* ---- watches ---- */

static int grow_slots(struct ex_loop *loop)
{
	uint32_t n = loop->n_slots ? loop->n_slots * 2 : 64;
	struct slot *slots = realloc(loop->slots, n * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = loop->n_slots; i < n; i++)
		slots[i] = (struct slot){ .next_free = i + 1 < n ? i + 1 : 0 };
	loop->free_slot = loop->n_slots ? loop->n_slots : 1;
	loop->slots = slots;
	loop->n_slots = n;
	return 0;
}

static uint64_t slot_token(const struct ex_loop *loop, uint32_t slot)
{
	return (uint64_t)loop->slots[slot].generation << 32 | slot;
}

int ex_watch_start(struct ex_loop *loop, struct ex_watch *w, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	int r;

	if (!loop->free_slot) {
		r = grow_slots(loop);
		if (r < 0)
			return r;
	}
	w->slot = loop->free_slot;
	ev.data.u64 = slot_token(loop, w->slot);
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		r = -errno;
		w->slot = 0;
		w->fd = -1;
		return r;
	}
	loop->free_slot = loop->slots[w->slot].next_free;
	loop->slots[w->slot].watch = w;
	w->fd = fd;
	w->events = events;
	return 0;
}

void ex_watch_set(struct ex_loop *loop, struct ex_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events };

	if (!w->slot || w->events == events)
		return;
	ev.data.u64 = slot_token(loop, w->slot);
	/* The fd is ours and registered; only a programming error can make this fail. */
	if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, w->fd, &ev) < 0)
		abort();
	w->events = events;
}

static void release_slot(struct ex_loop *loop, struct ex_watch *w)
{
	struct slot *s = &loop->slots[w->slot];

	s->watch = NULL;
	s->generation++;
	s->next_free = loop->free_slot;
	loop->free_slot = w->slot;
	w->slot = 0;
	w->fd = -1;
	w->events = 0;
}

void ex_watch_stop(struct ex_loop *loop, struct ex_watch *w)
{
	if (!w->slot)
		return;
	(void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	release_slot(loop, w);
}

void ex_watch_close(struct ex_loop *loop, struct ex_watch *w)
{
	if (!w->slot)
		return;
	close(w->fd);
	release_slot(loop, w);
}

void ex_watch_move(struct ex_loop *loop, struct ex_watch *from, struct ex_watch *to)
{
	to->fd = from->fd;
	to->events = from->events;
	to->slot = from->slot;
	if (to->slot)
		loop->slots[to->slot].watch = to;
	from->fd = -1;
	from->events = 0;
	from->slot = 0;
}

/* ---- timers: a binary heap by time ---- */

static void heap_put(struct ex_loop *loop, size_t i, struct due d)
{
	loop->heap[i] = d;
	d.timer->index = i;
}

static void heap_up(struct ex_loop *loop, size_t i)
{
	struct due d = loop->heap[i];

	while (i > 0 && loop->heap[(i - 1) / 2].at > d.at) {
		heap_put(loop, i, loop->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(loop, i, d);
}

static void heap_down(struct ex_loop *loop, size_t i)
{
	struct due d = loop->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= loop->n_timers)
			break;
		if (child + 1 < loop->n_timers && loop->heap[child + 1].at < loop->heap[child].at)
			child++;
		if (loop->heap[child].at >= d.at)
			break;
		heap_put(loop, i, loop->heap[child]);
		i = child;
	}
	heap_put(loop, i, d);
}

/*
 * Timers mostly measure silence: they are moved on with every message and hardly ever fire. So one
 * that is put off stays where it is in the heap, and finds its place when its old time has come.
 */
int ex_timer_start(struct ex_loop *loop, struct ex_timer *t, uint64_t ms)
{
	uint64_t at = loop->now + ms;

	if (t->at) {
		t->at = at;
		if (at < loop->heap[t->index].at) {
			loop->heap[t->index].at = at;
			heap_up(loop, t->index);
		}
		return 0;
	}
	if (loop->n_timers == loop->cap_timers) {
		size_t cap = loop->cap_timers ? loop->cap_timers * 2 : 64;
		struct due *heap = realloc(loop->heap, cap * sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		loop->heap = heap;
		loop->cap_timers = cap;
	}
	t->at = at;
	heap_put(loop, loop->n_timers++, (struct due){ at, t });
	heap_up(loop, t->index);
	return 0;
}

void ex_timer_stop(struct ex_loop *loop, struct ex_timer *t)
{
	struct due moved;
	size_t i = t->index;

	if (!t->at)
		return;
	t->at = 0;
	moved = loop->heap[--loop->n_timers];
	if (moved.timer == t)
		return;
	heap_put(loop, i, moved);
	heap_up(loop, i);
	heap_down(loop, moved.timer->index);
}

/* Fires what was due when the round began: a timer that restarts itself waits for the next round.
 */
static void run_timers(struct ex_loop *loop)
{
	size_t rounds = loop->n_timers;

	while (rounds-- && loop->n_timers && loop->heap[0].at <= loop->now) {
		struct ex_timer *t = loop->heap[0].timer;

		if (t->at != loop->heap[0].at) {
			loop->heap[0].at = t->at;
			heap_down(loop, 0);
			continue;
		}
		ex_timer_stop(loop, t);
		t->fn(t);
	}
}

/* It is put off with every message, as others are. Without memory for it nobody is told. */
static void heard(struct ex_loop *loop)
{
	if (loop->quiet)
		(void)!ex_timer_start(loop, loop->quiet, loop->quiet_ms);
}

void ex_loop_on_quiet(struct ex_loop *loop, struct ex_timer *t, uint64_t ms)
{
	loop->quiet = t;
	loop->quiet_ms = ms;
	heard(loop);
}

/* ---- deferred work ---- */

void ex_defer(struct ex_loop *loop, struct ex_defer *d)
{
	if (d->queued)
		return;
	d->queued = true;
	d->next = NULL;
	*loop->last = d;
	loop->last = &d->next;
}

static void run_deferred(struct ex_loop *loop)
{
	while (loop->first) {
		struct ex_defer *d = loop->first;

		loop->first = d->next;
		if (!loop->first)
			loop->last = &loop->first;
		d->queued = false;
		d->fn(d); /* may free d */
	}
}

/* ---- the iteration ---- */

static int poll_timeout(const struct ex_loop *loop)
{
	uint64_t wait;

	if (loop->first || loop->quit)
		return 0;
	if (!loop->n_timers)
		return -1;
	if (loop->heap[0].at <= loop->now)
		return 0;
	wait = loop->heap[0].at - loop->now;
	return wait > 60000 ? 60000 : (int)wait;
}

static int poll_once(struct ex_loop *loop)
{
	struct epoll_event batch[BATCH] EX_UNSET;
	int n = epoll_wait(loop->epoll, batch, BATCH, poll_timeout(loop));

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->now = ex_clock_ms();
	if (n > 0)
		heard(loop);
	for (int i = 0; i < n; i++) {
		uint32_t slot = (uint32_t)batch[i].data.u64;
		uint32_t generation = (uint32_t)(batch[i].data.u64 >> 32);
		struct ex_watch *w = loop->slots[slot].watch;

		if (w && loop->slots[slot].generation == generation)
			w->fn(w, batch[i].events);
	}
	return 0;
}

int ex_loop_run(struct ex_loop *loop)
{
	int r = 0;

	loop->quit = false;
	while (!loop->quit && r == 0) {
		loop->now = ex_clock_ms();
		r = poll_once(loop);
		/* What is due is what was due when the events were looked at: nobody is late
		 * because we were, and did not see what he sent in time. */
		run_timers(loop);
		run_deferred(loop);
	}
	return r;
}
