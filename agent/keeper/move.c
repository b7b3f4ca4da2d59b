/* SPDX-License-Identifier: Apache-2.0 */
/* The same policy with other endpoints around it. */
#include <errno.h>
#include <fcntl.h>

#include "agent/keeper/keeper_priv.h"
#include "policy/prefix.h"

/* Until workers hear of endpoints that they are not asked about: not all of them at once. */
#define MOVED_MS        3000
#define MOVED_SPREAD_MS 2000

void ex_keeper_tell_all(struct ex_keeper *k)
{
	ex_timer_stop(k->cfg.loop, &k->moved);
	k->moving = false;
	for (unsigned i = 0; i < k->n_workers; i++)
		ex_worker_follow(&k->workers[i]);
}

void ex_keeper_on_moved(struct ex_timer *t)
{
	ex_keeper_tell_all(ex_container_of(t, struct ex_keeper, moved));
}

/* Does the workload know one of these addresses by name, or did it lately? */
static bool is_known_by_name(struct ex_keeper *k, const struct ex_dest_entry *v, size_t n)
{
	struct ex_span name;

	for (size_t i = 0; i < n; i++)
		if (ex_names_of(k->names, &v[i].ip, 0, &name, 1))
			return true;
	return false;
}

/* An address is judged as the IPv4 address that it embeds: where that one goes, it goes. */
static int is_of_embedded(void *arg, const struct ex_ip *ip, const struct ex_names_known *known,
			  size_t n)
{
	const struct ex_delta *d = *(const struct ex_delta *const *)arg;
	struct ex_ip hidden;

	(void)known;
	(void)n;
	if (!ex_ip_embedded(ip, &hidden))
		return 0;
	for (size_t i = 0; i < d->put.n_dests; i++)
		if (ex_ip_eq(&d->put.dests[i].ip, &hidden))
			return 1;
	for (size_t i = 0; i < d->n_gone; i++)
		if (ex_ip_eq(&d->gone[i].ip, &hidden))
			return 1;
	return 0;
}

static bool names_are_about(struct ex_keeper *k, const struct ex_delta *d)
{
	if (ex_delta_is_empty(d))
		return false;
	return is_known_by_name(k, d->put.dests, d->put.n_dests) ||
	       is_known_by_name(k, d->gone, d->n_gone) ||
	       ex_names_each(k->names, 0, is_of_embedded, &d);
}

/*
 * The rest of a move: rules, ids and classes of names are what they were. A proxy that is not asked
 * about these addresses may go on with what it has: what passes is the kernel's to say, and ours
 * (judge_flow()). Others are many, and to compile for each of them each time would leave no time
 * for anything else.
 */
static void follow_later(struct ex_keeper *k)
{
	if (k->moving)
		return;
	k->moving = true;
	if (ex_timer_start(k->cfg.loop, &k->moved, MOVED_MS + k->cfg.uid * 37 % MOVED_SPREAD_MS) <
	    0)
		ex_keeper_on_moved(&k->moved);
}

int ex_keeper_move(struct ex_keeper *k, struct ex_ruleset *rs, int bundle,
		   const struct ex_delta *egress, const struct ex_delta *ingress)
{
	EX_AUTO_CLOSE int own = fcntl(bundle, F_DUPFD_CLOEXEC, 0);
	int r;

	if (own < 0 || !k->gate)
		return -EINVAL;
	/* The name classes of the others are of addresses that are an endpoint's now, or were. */
	if (names_are_about(k, egress))
		return ex_keeper_swap(k, rs, bundle);
	r = ex_gate_update(k->gate, k->ifindex, egress, ingress);
	if (r < 0)
		return r;
	ex_keeper_take_ruleset(k, rs, EX_TAKE_FD(own));
	if (egress->steers)
		ex_keeper_follow_all(k);
	else if (!ex_delta_is_empty(egress))
		follow_later(k);
	return 0;
}
