/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of a worker, out of the ring it writes them into. While some come they are fetched every
 * few milliseconds, so that the worker need not say each time that there are some; less often while
 * they go on to come, but not so many that each time is worth it. When none came it is to say so.
 * What it wrote before it died is fetched after.
 */
#include <errno.h>

#include "agent/audit/pack.h"
#include "agent/keeper/keeper_priv.h"

#define DRAIN_MS     10
#define DRAIN_MS_MAX 160
#define MANY         128

/* By number, as the worker counts: before the one that it was sent, or that one. */
static const struct ex_ruleset *ruleset_of(const struct ex_worker *w, uint32_t number)
{
	if (w->next && number == w->next_id)
		return w->next;
	return number == w->next_id - (w->next != NULL) ? w->rs : NULL;
}

/* How many; negative: something that is no record. */
static int take_entries(struct ex_worker *w, uint32_t until)
{
	uint8_t entry[EX_AUDIT_PACKED_MAX];
	struct ex_audit_record rec;
	uint32_t number;
	int r = 0, n, count = 0;

	while (r == 0 && (n = ex_ring_take(&w->ring, until, &number, entry, sizeof(entry))) != 0) {
		const struct ex_ruleset *rs = ruleset_of(w, number);
		struct ex_span left = { (const char *)entry, (size_t)n };

		if (n < 0 || !rs || !ex_audit_unpack(&left, &rec) || left.len)
			return -EBADMSG;
		r = ex_worker_take_record(w, rs, &rec);
		count++;
	}
	return r < 0 ? r : count;
}

static void announce(const struct ex_keeper *k, bool begin)
{
	if (k->cfg.ops->records)
		k->cfg.ops->records(k->cfg.arg, begin);
}

/* The same. */
static int drain(struct ex_worker *w)
{
	uint32_t until;
	int r;

	if (!w->ring.memory || !w->keeper->gate)
		return 0;
	r = ex_ring_look(&w->ring, &until);
	if (r == 0) {
		announce(w->keeper, true);
		r = take_entries(w, until);
		announce(w->keeper, false);
	}
	if (r >= 0)
		ex_ring_release(&w->ring);
	else
		ex_ring_unmap(&w->ring); /* nothing that follows can be told from the rest */
	return r;
}

/*
 * A lonely one is had at once, as it was told of; what follows it soon may wait a little: to be
 * woken costs more than some dozens of records.
 */
static void set_pause(struct ex_worker *w, int n)
{
	if (n == 0 || n > MANY || !w->drain_ms)
		w->drain_ms = DRAIN_MS;
	else if (w->drain_ms < DRAIN_MS_MAX)
		w->drain_ms *= 2;
}

int ex_worker_drain(struct ex_worker *w)
{
	int n = drain(w);

	/* Also when there were none: who has looked is awake, and only the timer lets it sleep. */
	w->drain_ms = DRAIN_MS;
	if (n >= 0 && w->ring.memory && ex_worker_is_alive(w) &&
	    ex_timer_start(w->keeper->cfg.loop, &w->drain, DRAIN_MS) < 0)
		return -ENOMEM;
	return n < 0 ? n : 0;
}

void ex_worker_on_drain(struct ex_timer *t)
{
	struct ex_worker *w = ex_container_of(t, struct ex_worker, drain);
	int n = drain(w);

	set_pause(w, n);
	if (n < 0)
		ex_worker_lose(w, "sent what it must not and was ended");
	else if (!w->ring.memory || (n == 0 && ex_ring_sleep(&w->ring)))
		return;
	else if (ex_timer_start(w->keeper->cfg.loop, t, w->drain_ms) < 0)
		ex_worker_lose(w, "cannot be listened to and was ended");
}
