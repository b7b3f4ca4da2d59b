/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dns/resolver_zone.h"

#define PER_PORT 256 /* queries from one port, at most */

bool ex_lane_is_tcp(const struct ex_lane *l)
{
	return l >= &l->zone->lanes[EX_ZONE_UDP];
}

static bool is_worn(const struct ex_lane *l)
{
	return l->used >= PER_PORT ||
	       (l->used && ex_loop_now(l->channel.loop) - l->since >= EX_ZONE_PORT_MS);
}

/* Gives its port up. Not while queries wait for their answers there, or in one of its replies. */
static bool renew(struct ex_lane *l)
{
	if (l->pending > 0 || l->channel.depth > 0 || ex_channel_renew(&l->channel) < 0)
		return false;
	l->used = 0;
	return true;
}

/* For good, or until it is opened again. */
static void shut(struct ex_lane *l)
{
	ex_channel_close(&l->channel);
	l->used = 0;
}

/* A channel takes 74 KiB: most are opened when there is that much to ask, if ever. */
bool ex_lane_open(struct ex_lane *l)
{
	const struct ex_zone *z = l->zone;
	int flags = ex_lane_is_tcp(l) ? ARES_FLAG_USEVC : ARES_FLAG_STAYOPEN | ARES_FLAG_IGNTC;

	if (l->channel.ares)
		return true;
	if (ex_channel_open(&l->channel, z->servers, z->n_servers, flags) == 0)
		return true;
	ex_channel_close(&l->channel);
	return false;
}

void ex_lane_enter(struct ex_lane *l)
{
	if (l->used++ == 0)
		l->since = ex_loop_now(l->channel.loop);
	l->pending++;
}

/* The current channel until its port is worn; then an idle one; else the least busy. */
struct ex_lane *ex_zone_udp(struct ex_zone *z)
{
	struct ex_lane *best = z->current;

	if (!is_worn(best) || renew(best))
		return best;
	for (size_t i = 0; i < EX_ZONE_UDP; i++) {
		struct ex_lane *l = &z->lanes[i];

		if (!ex_lane_open(l))
			continue;
		if (!is_worn(l) || renew(l)) {
			best = l;
			break;
		}
		if (l->pending < best->pending)
			best = l;
	}
	z->current = best;
	return best;
}

struct ex_lane *ex_zone_tcp(struct ex_zone *z)
{
	struct ex_lane *best = &z->lanes[EX_ZONE_UDP];

	for (size_t i = EX_ZONE_UDP + 1; i < EX_ZONE_LANES; i++)
		if (z->lanes[i].pending < best->pending)
			best = &z->lanes[i];
	return best;
}

bool ex_zone_is_in_reply(const struct ex_zone *z)
{
	for (size_t i = 0; i < EX_ZONE_LANES; i++)
		if (z->lanes[i].channel.depth > 0)
			return true;
	return false;
}

void ex_zone_shut(struct ex_zone *z)
{
	for (size_t i = 0; i < EX_ZONE_LANES; i++)
		shut(&z->lanes[i]);
}

static void tick(struct ex_lane *l)
{
	if (l->pending > 0)
		ex_channel_check_timeouts(&l->channel);
	else if (ex_lane_is_tcp(l))
		shut(l);
	else if (is_worn(l))
		(void)renew(l);
}

bool ex_zone_tick(struct ex_zone *z)
{
	bool open = false;

	for (size_t i = 0; i < EX_ZONE_LANES; i++) {
		tick(&z->lanes[i]);
		open |= z->lanes[i].used > 0;
	}
	return open;
}

struct ex_zone *ex_zone_new(struct ex_resolver *r, const char *suffix, struct ex_loop *loop,
			    ex_resolver_dial_fn dial, void *dial_arg)
{
	struct ex_zone *z = calloc(1, sizeof(*z));

	if (!z)
		return NULL;
	z->r = r;
	memcpy(z->suffix, suffix, strlen(suffix) + 1);
	z->current = &z->lanes[0];
	for (size_t i = 0; i < EX_ZONE_LANES; i++) {
		z->lanes[i].zone = z;
		z->lanes[i].channel.loop = loop;
		z->lanes[i].channel.dial = dial;
		z->lanes[i].channel.dial_arg = dial_arg;
	}
	return z;
}

void ex_zone_free(struct ex_zone *z)
{
	if (!z)
		return;
	ex_zone_shut(z);
	free(z);
}
