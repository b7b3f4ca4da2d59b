/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of a worker, out of the ring it writes them into. While some come they are fetched every
 * few milliseconds, so that the worker need not say each time that there are some; when none came
 * it is to say so. What it wrote before it died is fetched after.
 */
#include <errno.h>

#include "agent/audit/pack.h"
#include "agent/keeper/keeper_priv.h"

#define DRAIN_MS 10

/* By number, as the worker counts: before the one that it was sent, or that one. */
static const struct ex_ruleset *ruleset_of(const struct ex_worker *w, uint32_t number)
{
	if (w->next && number == w->next_id)
		return w->next;
	return number == w->next_id - (w->next != NULL) ? w->rs : NULL;
}

static int take_entry(struct ex_worker *w, uint32_t number, struct ex_span entry)
{
	const struct ex_ruleset *rs = ruleset_of(w, number);
	struct ex_audit_record rec;

	if (!rs || !ex_audit_unpack(&entry, &rec) || entry.len)
		return -EBADMSG;
	return ex_worker_take_record(w, rs, &rec);
}

/* How many there were; negative: something that is no record. */
static int drain(struct ex_worker *w)
{
	uint8_t entry[EX_AUDIT_PACKED_MAX];
	uint32_t until, number;
	int r, n, count = 0;

	if (!w->ring.memory || !w->keeper->gate)
		return 0;
	r = ex_ring_look(&w->ring, &until);
	while (r == 0) {
		n = ex_ring_take(&w->ring, until, &number, entry, sizeof(entry));
		if (n <= 0) {
			r = n;
			break;
		}
		r = take_entry(w, number, (struct ex_span){ (const char *)entry, (size_t)n });
		count++;
	}
	if (r == 0)
		ex_ring_release(&w->ring);
	else
		ex_ring_unmap(&w->ring); /* nothing that follows can be told from the rest */
	return r < 0 ? r : count;
}

int ex_worker_drain(struct ex_worker *w)
{
	int n = drain(w);

	/* Also when there were none: who has looked is awake, and only the timer lets it sleep. */
	if (n >= 0 && w->ring.memory && ex_worker_is_alive(w) &&
	    ex_timer_start(w->keeper->cfg.loop, &w->drain, DRAIN_MS) < 0)
		return -ENOMEM;
	return n < 0 ? n : 0;
}

void ex_worker_on_drain(struct ex_timer *t)
{
	struct ex_worker *w = ex_container_of(t, struct ex_worker, drain);
	int n = drain(w);

	if (n < 0)
		ex_worker_lose(w, "sent what it must not and was ended");
	else if (!w->ring.memory || (n == 0 && ex_ring_sleep(&w->ring)))
		return;
	else if (ex_timer_start(w->keeper->cfg.loop, t, DRAIN_MS) < 0)
		ex_worker_lose(w, "cannot be listened to and was ended");
}
