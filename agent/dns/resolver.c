/* SPDX-License-Identifier: Apache-2.0 */
/*
 * c-ares on our loop: which server is asked, in which way, and when to ask again.
 *
 * A reply that does not repeat the case of the letters may be forged, so the query is made again
 * over TCP, as it is when the reply was cut. A server that changes the case there as well, time and
 * again, is one that does so, and is then asked in lower case; so is, at once, one that does not
 * answer over TCP. Queries that were left over when a server closed its connection are made again.
 */
#include <errno.h>

#include "agent/dns/resolver_question.h"
#include "agent/dns/resolver_zone.h"

enum {
	ZONES_MAX = 8,
	PENDING_MAX = 4096, /* with those that were cancelled: they end by themselves */
	CASE_CHANGES_MAX = 16,
	AGAIN_MS = 4500, /* so long it is asked anew, where a server closes, and of others */
	TICK_MS = 100,
};

struct ex_resolver {
	struct ex_loop *loop;
	ex_resolver_dial_fn dial;
	void *dial_arg;
	struct ex_timer tick; /* runs while anything is pending */
	struct ex_defer free_later;
	unsigned pending;
	bool dead, ticking;
	unsigned depth; /* answering what could not be moved */
	bool moving;    /* queries are about to be made to other servers: those that have ended */
	struct ex_resolve *moved;
	struct ex_chance chance;
	size_t n_zones;
	struct ex_zone *zones[ZONES_MAX];
};

struct ex_resolve {
	struct ex_lane *lane;
	struct ex_resolve *next;                                     /* while it is moved */
	void (*fn)(void *arg, int err, const void *msg, size_t len); /* NULL: cancelled */
	void *arg;
	bool edns, starting;
	bool plain;       /* in lower case: the last try */
	bool cut;         /* the reply did not fit into a datagram */
	unsigned replies; /* on its lane, before it */
	uint64_t began;   /* ms */
	int err;          /* of a query that failed while starting */
	struct ex_question question;
};

static void on_reply(void *arg, int status, int timeouts, unsigned char *msg, int len);

static bool is_below(const char *name, const char *suffix)
{
	size_t len = strlen(name), tail = strlen(suffix);

	return tail == 0 || (len >= tail && strcmp(name + len - tail, suffix) == 0 &&
			     (len == tail || name[len - tail - 1] == '.'));
}

/* The longest suffix wins. */
static struct ex_zone *pick_zone(const struct ex_resolver *r, const char *name)
{
	struct ex_zone *best = NULL;

	for (size_t i = 0; i < r->n_zones; i++) {
		struct ex_zone *z = r->zones[i];

		if (is_below(name, z->suffix) &&
		    (!best || strlen(z->suffix) > strlen(best->suffix)))
			best = z;
	}
	return best;
}

/* ---- queries ---- */

/* Without a channel the query ends here: whoever asks again must not take the odd reply instead. */
static int send_query(struct ex_resolve *q)
{
	const struct ex_zone *z = q->lane->zone;
	bool plain = q->plain || z->case_changes >= CASE_CHANGES_MAX;
	int r = -ENOMEM;

	if (ex_lane_open(q->lane))
		r = ex_question_draw(&q->question, &z->r->chance, plain);
	if (r < 0)
		return r;
	q->starting = true;
	q->err = 0;
	ex_channel_send(&q->lane->channel, q->question.msg,
			(int)ex_question_finish(&q->question, q->edns), on_reply, q);
	q->starting = false;
	return q->err;
}

static void finish(struct ex_resolve *q, int err, const void *msg, size_t len)
{
	q->lane->pending--;
	q->lane->zone->r->pending--;
	if (q->fn && !q->lane->zone->r->dead)
		q->fn(q->arg, err, msg, len);
	free(q);
}

static void enter(struct ex_resolve *q, struct ex_lane *l)
{
	ex_lane_enter(l);
	q->lane = l;
	q->replies = l->replies;
}

/* To a lane that may not have found out yet whether the server knows EDNS. */
static void move_to(struct ex_resolve *q, struct ex_lane *l)
{
	q->lane->pending--;
	q->edns = true;
	enter(q, l);
}

/* Is this reply a reason to ask again in another way? Each comes but once on a lane. */
static bool asks_again(struct ex_resolve *q, const uint8_t *msg, size_t len)
{
	bool same = ex_question_is_repeated(&q->question, msg, len);
	struct ex_zone *z = q->lane->zone;

	q->lane->replies++;
	if (ex_lane_is_tcp(q->lane)) {
		z->case_changes += !same;
	} else if (ex_reply_is_cut(msg, len) || (!q->plain && !same)) {
		q->cut = ex_reply_is_cut(msg, len);
		move_to(q, ex_zone_tcp(z));
		return true;
	}
	if (!q->edns || !ex_reply_refuses_edns(msg, len))
		return false;
	q->edns = false;
	return true;
}

static bool is_old(const struct ex_resolve *q)
{
	return ex_loop_now(q->lane->zone->r->loop) - q->began >= AGAIN_MS;
}

/* The server has closed the connection, but not without an answer to another query on it. */
static bool connects_again(struct ex_resolve *q, int err)
{
	if (!ex_lane_is_tcp(q->lane) || err == -ETIMEDOUT || q->lane->replies == q->replies ||
	    is_old(q))
		return false;
	move_to(q, ex_zone_tcp(q->lane->zone));
	return true;
}

/* Nobody there over TCP: what every resolver does has to do. */
static bool falls_back(struct ex_resolve *q)
{
	struct ex_zone *z = q->lane->zone;

	if (!ex_lane_is_tcp(q->lane) || q->plain || q->cut)
		return false;
	q->plain = true;
	z->case_changes++;
	move_to(q, ex_zone_udp(z));
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
	struct ex_resolver *r = q->lane->zone->r;
	int err = error_of(status);

	(void)timeouts;
	if (q->starting) {
		q->err = err ? err : -EIO;
		return;
	}
	if (r->moving) {
		q->next = r->moved;
		r->moved = q;
		return;
	}
	if (!r->dead &&
	    (err ? connects_again(q, err) || falls_back(q) : asks_again(q, msg, (size_t)len))) {
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
	struct ex_zone *z = pick_zone(r, name);
	struct ex_resolve *q;
	int err;

	if (r->dead || r->pending >= PENDING_MAX)
		return -EBUSY;
	if (!z)
		return -ENOENT;
	if (!r->ticking || !r->pending) { /* without a tick nothing would ever time out */
		err = ex_timer_start(r->loop, &r->tick, TICK_MS);
		if (err < 0)
			return err;
		r->ticking = true;
	}
	q = malloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	*q = (struct ex_resolve){ .lane = ex_zone_udp(z),
				  .fn = fn,
				  .arg = arg,
				  .edns = true,
				  .began = ex_loop_now(r->loop) };
	err = ex_question_write(&q->question, name, type) ? send_query(q) : -EINVAL;
	if (err < 0) {
		free(q);
		return err;
	}
	enter(q, q->lane);
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
	bool open = false;

	for (size_t i = 0; i < r->n_zones && !r->dead; i++)
		open |= ex_zone_tick(r->zones[i]);
	r->ticking = (r->pending > 0 || open) && !r->dead &&
		     ex_timer_start(r->loop, t, r->pending ? TICK_MS : EX_ZONE_PORT_MS) == 0;
}

static void destroy(struct ex_resolver *r)
{
	r->dead = true;
	for (size_t i = 0; i < r->n_zones; i++)
		ex_zone_free(r->zones[i]);
	ex_timer_stop(r->loop, &r->tick);
	free(r);
}

static void free_deferred(struct ex_defer *d)
{
	destroy(ex_container_of(d, struct ex_resolver, free_later));
}

static struct ex_zone *find_zone(const struct ex_resolver *r, const char *suffix)
{
	for (size_t i = 0; i < r->n_zones; i++)
		if (strcmp(r->zones[i]->suffix, suffix) == 0)
			return r->zones[i];
	return NULL;
}

static int add_zone(struct ex_resolver *r, const char *suffix, struct ex_zone **ret)
{
	struct ex_zone *z;

	if (r->n_zones == ZONES_MAX)
		return -E2BIG;
	z = ex_zone_new(r, suffix, r->loop, r->dial, r->dial_arg);
	if (!z)
		return -ENOMEM;
	r->zones[r->n_zones++] = *ret = z;
	return 0;
}

static int add_server(struct ex_resolver *r, const struct ex_resolver_server *s)
{
	struct ex_zone *z = find_zone(r, s->suffix);
	int err = z ? 0 : add_zone(r, s->suffix, &z);

	if (err == 0 && z->n_servers < EX_CHANNEL_SERVERS)
		z->servers[z->n_servers++] = *s;
	return err;
}

/* The one of each that there has to be; the others are opened when they are used. */
static int open_lanes(const struct ex_resolver *r)
{
	for (size_t i = 0; i < r->n_zones; i++)
		if (!ex_lane_open(&r->zones[i]->lanes[0]))
			return -ENOMEM;
	return 0;
}

int ex_resolver_new(struct ex_loop *loop, const struct ex_resolver_server *servers, size_t n,
		    ex_resolver_dial_fn dial, void *arg, struct ex_resolver **ret)
{
	struct ex_resolver *r;
	int err = 0;

	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->dial = dial;
	r->dial_arg = arg;
	r->tick.fn = on_tick;
	r->free_later.fn = free_deferred;
	for (size_t i = 0; i < n && err == 0; i++)
		err = add_server(r, &servers[i]);
	if (err == 0)
		err = open_lanes(r);
	if (err < 0) {
		destroy(r);
		return err;
	}
	*ret = r;
	return 0;
}

static bool are_same(const struct ex_zone *z, const struct ex_resolver_server *servers, size_t n)
{
	size_t i = 0;

	while (i < n && i < z->n_servers && ex_resolver_server_eq(&servers[i], &z->servers[i]))
		i++;
	return i == n && n == z->n_servers;
}

/* What its queries were waiting for does not come any more. */
static void move_all(struct ex_zone *z)
{
	struct ex_resolver *r = z->r;
	struct ex_resolve *q;
	int err;

	r->moving = true;
	ex_zone_shut(z);
	r->moving = false;
	r->depth++;
	while ((q = r->moved) != NULL) {
		r->moved = q->next;
		q->plain = q->cut = false;
		move_to(q, ex_zone_udp(z));
		err = r->dead ? -ECANCELED : is_old(q) ? -ETIMEDOUT : send_query(q);
		if (err < 0)
			finish(q, err, NULL, 0);
	}
	r->depth--;
}

int ex_resolver_use(struct ex_resolver *r, const struct ex_resolver_server *servers, size_t n)
{
	struct ex_zone *z = find_zone(r, "");
	int err;

	if (n > EX_CHANNEL_SERVERS)
		return -E2BIG;
	if (n == 0 || (z && are_same(z, servers, n)))
		return 0;
	err = z ? 0 : add_zone(r, "", &z);
	if (err < 0)
		return err;
	memcpy(z->servers, servers, n * sizeof(*servers));
	z->n_servers = n;
	z->case_changes = 0;
	move_all(z);
	return 1;
}

static bool is_in_reply(const struct ex_resolver *r)
{
	if (r->depth > 0)
		return true;
	for (size_t i = 0; i < r->n_zones; i++)
		if (ex_zone_is_in_reply(r->zones[i]))
			return true;
	return false;
}

void ex_resolver_free(struct ex_resolver *r)
{
	if (!r)
		return;
	r->dead = true;
	if (is_in_reply(r))
		ex_defer(r->loop, &r->free_later);
	else
		destroy(r);
}
