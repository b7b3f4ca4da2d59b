// SPDX-License-Identifier: Apache-2.0
/*
 * c-ares on our loop.
 *
 * c-ares 1.18 keeps one UDP socket per server open as long as any query waits, so under load one
 * source port would serve for hours. A resolver therefore has a pool of channels: one channel takes
 * PER_PORT queries, then the next idle one is used; an idle channel has no socket, so that its next
 * query leaves from a fresh port. Query ids come from getrandom(), not from c-ares' generator, and
 * so does the case of the name's letters (draft-vixie-dnsext-dns0x20): a reply that does not repeat
 * it may be forged, so the query is made again over TCP, by the one channel that has nothing else.
 * A server that changes the case time and again is one that does so, and is then asked in lower
 * case.
 */
#include <errno.h>
#include <sys/random.h>

#include "agent/dns/resolver_channel.h"
#include "agent/dns/wire.h"

enum {
	UDP_CHANNELS = 8,
	TCP_CHANNEL = UDP_CHANNELS, /* the last one */
	CHANNELS,
	PER_PORT = 32,
	PENDING_MAX = 4096, /* of all workloads */
	CASE_CHANGES_MAX = 16,
	TICK_MS = 50,
};

struct lane { /* a channel and what is under way on it */
	struct ex_channel channel;
	struct ex_resolver *r;
	unsigned pending; /* queries not answered yet */
	unsigned used;    /* queries since it was idle */
};

struct ex_resolver {
	struct ex_loop *loop;
	struct ex_timer tick; /* runs while anything is pending */
	struct ex_defer free_later;
	struct lane *current;
	unsigned pending;
	unsigned case_changes; /* replies that did not repeat the name as it was sent */
	bool dead, ticking;
	struct lane lanes[CHANNELS];
};

struct ex_resolve {
	struct lane *lane;
	void (*fn)(void *arg, int err, const void *msg, size_t len); /* NULL: cancelled */
	void *arg;
	bool edns, starting;
	int err; /* of a query that failed while starting */
	uint16_t type;
	char name[EX_DNS_NAME_MAX + 1]; /* as sent */
};

static void on_reply(void *arg, int status, int timeouts, unsigned char *msg, int len);

/* The current channel until its port is worn; then an idle one; else the least busy. */
static struct lane *pick_lane(struct ex_resolver *r)
{
	struct lane *best = r->current;

	if (best->pending == 0 || best->used < PER_PORT)
		return best;
	for (size_t i = 0; i < UDP_CHANNELS; i++)
		if (r->lanes[i].pending < best->pending)
			best = &r->lanes[i];
	r->current = best;
	return best;
}

/* ---- queries ---- */

/* Gives each letter a case by chance, the id as well. */
static int draw(struct ex_resolve *q, uint16_t *ret_id)
{
	uint8_t bits[2 + (EX_DNS_NAME_MAX + 7) / 8];
	const struct ex_resolver *r = q->lane->r;
	size_t len = strlen(q->name);

	if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
		return -EIO;
	memcpy(ret_id, bits, sizeof(*ret_id));
	if (r->case_changes >= CASE_CHANGES_MAX)
		return 0;
	for (size_t i = 0; i < len; i++)
		if (q->name[i] >= 'a' && q->name[i] <= 'z' && bits[2 + i / 8] >> (i % 8) & 1)
			q->name[i] = (char)(q->name[i] - ('a' - 'A'));
	return 0;
}

static int send_query(struct ex_resolve *q)
{
	unsigned char *msg;
	uint16_t id;
	int len, r;

	r = draw(q, &id);
	if (r < 0)
		return r;
	if (ares_create_query(q->name, EX_DNS_CLASS_IN, q->type, id, 1, &msg, &len,
			      q->edns ? EX_DNS_UDP_MAX : 0) != ARES_SUCCESS)
		return -EINVAL;
	q->starting = true;
	q->err = 0;
	ex_channel_send(&q->lane->channel, msg, len, on_reply, q);
	q->starting = false;
	ares_free_string(msg);
	return q->err;
}

static void finish(struct ex_resolve *q, int err, const void *msg, size_t len)
{
	q->lane->pending--;
	q->lane->r->pending--;
	if (q->fn && !q->lane->r->dead)
		q->fn(q->arg, err, msg, len);
	free(q);
}

/*
 * A server that does not know EDNS says FORMERR, without an OPT record. c-ares repeats the query by
 * itself the first time on a channel and then leaves it to us.
 */
static bool refuses_edns(const struct ex_resolve *q, const unsigned char *msg, int len)
{
	return q->edns && len >= EX_DNS_HEADER && (msg[3] & EX_DNS_RCODE) == EX_DNS_FORMERR &&
	       msg[10] == 0 && msg[11] == 0;
}

static bool repeats_name(const struct ex_resolve *q, const unsigned char *msg, int len)
{
	struct ex_dns_cursor c = { msg, (size_t)len, EX_DNS_HEADER, true };
	char name[EX_DNS_NAME_MAX + 1];

	return len >= EX_DNS_HEADER && ex_dns_read_name(&c, false, NULL, name) &&
	       strcmp(name, q->name) == 0;
}

static void move_to(struct ex_resolve *q, struct lane *ch)
{
	q->lane->pending--;
	ch->pending++;
	q->lane = ch;
}

/* Is this reply a reason to ask again in another way? Each reason can come but once. */
static bool asks_again(struct ex_resolve *q, const unsigned char *msg, int len)
{
	struct ex_resolver *r = q->lane->r;
	struct lane *tcp = &r->lanes[TCP_CHANNEL];

	if (q->lane != tcp && !repeats_name(q, msg, len)) {
		r->case_changes += r->case_changes < CASE_CHANGES_MAX;
		move_to(q, tcp);
		return true;
	}
	if (!refuses_edns(q, msg, len))
		return false;
	q->edns = false;
	return true;
}

static int error_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct ex_resolve *q = arg;
	int err = error_of(status);

	(void)timeouts;
	if (q->starting) {
		q->err = err ? err : -EIO;
		return;
	}
	if (err == 0 && !q->lane->r->dead && asks_again(q, msg, len)) {
		err = send_query(q);
		if (err == 0)
			return;
	}
	if (err)
		finish(q, err, NULL, 0);
	else
		finish(q, 0, msg, (size_t)len);
}

int ex_resolver_query(struct ex_resolver *r, const char *name, uint16_t type,
		      void (*fn)(void *arg, int err, const void *msg, size_t len), void *arg,
		      struct ex_resolve **ret)
{
	struct ex_resolve *q;
	size_t len = strlen(name);
	int err;

	if (r->dead || r->pending >= PENDING_MAX)
		return -EBUSY;
	if (len == 0 || len > EX_DNS_NAME_MAX)
		return -EINVAL;
	if (!r->ticking) { /* without a tick nothing would ever time out */
		err = ex_timer_start(r->loop, &r->tick, TICK_MS);
		if (err < 0)
			return err;
		r->ticking = true;
	}
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	*q = (struct ex_resolve){
		.lane = pick_lane(r), .fn = fn, .arg = arg, .edns = true, .type = type
	};
	memcpy(q->name, name, len + 1);
	err = send_query(q);
	if (err < 0) {
		free(q);
		return err;
	}
	q->lane->used = q->lane->pending == 0 ? 1 : q->lane->used + 1;
	q->lane->pending++;
	r->pending++;
	*ret = q;
	return 0;
}

void ex_resolver_cancel(struct ex_resolve *q)
{
	q->fn = NULL; /* c-ares cannot forget one query; it ends by itself */
}

/* ---- life ---- */

/* A steady tick instead of ares_timeout(), which walks all queries each time. */
static void on_tick(struct ex_timer *t)
{
	struct ex_resolver *r = ex_container_of(t, struct ex_resolver, tick);

	for (size_t i = 0; i < CHANNELS && !r->dead; i++)
		if (r->lanes[i].pending > 0)
			ex_channel_check_timeouts(&r->lanes[i].channel);
	r->ticking = r->pending > 0 && !r->dead && ex_timer_start(r->loop, t, TICK_MS) == 0;
}

static void destroy(struct ex_resolver *r)
{
	r->dead = true;
	for (size_t i = 0; i < CHANNELS; i++)
		ex_channel_close(&r->lanes[i].channel);
	ex_timer_stop(r->loop, &r->tick);
	free(r);
}

static void free_deferred(struct ex_defer *d)
{
	destroy(ex_container_of(d, struct ex_resolver, free_later));
}

int ex_resolver_new(struct ex_loop *loop, const struct ex_resolver_server *servers, size_t n,
		    struct ex_resolver **ret)
{
	struct ex_resolver *r;
	int err = 0;

	if (n == 0)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->tick.fn = on_tick;
	r->free_later.fn = free_deferred;
	r->current = &r->lanes[0];
	n = n < EX_CHANNEL_SERVERS ? n : EX_CHANNEL_SERVERS;
	for (size_t i = 0; i < CHANNELS && err == 0; i++) {
		r->lanes[i].r = r;
		err = ex_channel_open(&r->lanes[i].channel, loop, servers, n,
				      i == TCP_CHANNEL ? ARES_FLAG_USEVC : 0);
	}
	if (err < 0) {
		destroy(r);
		return err;
	}
	*ret = r;
	return 0;
}

void ex_resolver_free(struct ex_resolver *r)
{
	if (!r)
		return;
	r->dead = true;
	for (size_t i = 0; i < CHANNELS; i++)
		if (r->lanes[i].channel.depth > 0) { /* called from a reply */
			ex_defer(r->loop, &r->free_later);
			return;
		}
	destroy(r);
}
