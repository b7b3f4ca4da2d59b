/* SPDX-License-Identifier: Apache-2.0 */
/*
 * c-ares on our loop.
 *
 * c-ares 1.18 keeps one UDP socket per server open as long as any query waits, so under load one
 * source port would serve for hours. A resolver therefore has a pool of channels: one channel takes
 * queries for PORT_MS, PER_PORT of them at most; then the next idle one is used, with a fresh
 * socket and port. What a port must not have is time to be found: that is the bound which counts,
 * as who looks for it may ask as slowly as they like. A socket for each query would cost the proxy
 * and its parent more than all the rest of an answer. Query ids come from getrandom(), not from
 * c-ares' generator, and so does the case of the name's letters (draft-vixie-dnsext-dns0x20): a
 * reply that does not repeat it may be forged, so the query is made again over TCP, as it is when
 * the reply was cut. A server that changes the case there as well, time and again, is one that does
 * so, and is then asked in lower case; so is, at once, one that does not answer over TCP.
 *
 * TCP has channels of its own. c-ares puts all queries of a channel on one connection, and has no
 * patience with a server that closes it after the first answer, as many do: so few queries share
 * one, and those that were left over are made again.
 */
#include <errno.h>
#include <sys/random.h>

#include "agent/dns/resolver_channel.h"
#include "agent/dns/wire.h"

enum {
	/* So many that one is idle again before the last is worn, as fast as a gate may ask and
	 * however long each waits for an answer. */
	UDP_CHANNELS = 16,
	TCP_CHANNELS = 8, /* the last ones */
	CHANNELS = UDP_CHANNELS + TCP_CHANNELS,
	ZONES_MAX = 8,
	PER_PORT = 256,
	PORT_MS = 1000,
	PENDING_MAX = 4096, /* with those that were cancelled: they end by themselves */
	CASE_CHANGES_MAX = 16,
	AGAIN_MS = 4500, /* so long it is asked anew, where a server closes, and of others */
	TICK_MS = 100,
	RANDOM_BYTES = 512, /* had at once */
	OPT_BYTES = 11,
	QUERY_MAX = EX_DNS_HEADER + EX_DNS_WIRE_NAME_MAX + 4 + OPT_BYTES,
};

struct zone;

struct lane { /* a channel and what is under way on it */
	struct ex_channel channel;
	struct zone *zone;
	unsigned pending; /* queries not answered yet */
	unsigned used;    /* queries from its port; 0: it has none */
	uint64_t since;   /* ms: the first of them */
	unsigned replies; /* so far */
};

struct zone { /* the servers for one suffix */
	struct ex_resolver *r;
	char suffix[EX_RESOLVER_SUFFIX_MAX + 1];
	size_t n_servers;
	struct ex_resolver_server servers[EX_CHANNEL_SERVERS];
	unsigned case_changes; /* times that TCP did not help: no reply, or not the name as sent */
	struct lane *current;
	struct lane lanes[CHANNELS];
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
	size_t n_random; /* not used yet */
	uint8_t random[RANDOM_BYTES];
	size_t n_zones;
	struct zone *zones[ZONES_MAX];
};

struct ex_resolve {
	struct lane *lane;
	struct ex_resolve *next;                                     /* while it is moved */
	void (*fn)(void *arg, int err, const void *msg, size_t len); /* NULL: cancelled */
	void *arg;
	bool edns, starting;
	bool plain;             /* in lower case: the last try */
	bool cut;               /* the reply did not fit into a datagram */
	unsigned replies;       /* on its lane, before it */
	uint64_t began;         /* ms */
	int err;                /* of a query that failed while starting */
	size_t name_len, len;   /* of the name as it is sent, and of all but the OPT record */
	uint8_t msg[QUERY_MAX]; /* as sent, with room for one */
};

static void on_reply(void *arg, int status, int timeouts, unsigned char *msg, int len);

static bool is_tcp(const struct lane *l)
{
	return l >= &l->zone->lanes[UDP_CHANNELS];
}

static bool is_worn(const struct lane *l)
{
	return l->used >= PER_PORT ||
	       (l->used && ex_loop_now(l->zone->r->loop) - l->since >= PORT_MS);
}

/* Gives its port up. Not while queries wait for their answers there, or in one of its replies. */
static bool renew(struct lane *l)
{
	if (l->pending > 0 || l->channel.depth > 0 || ex_channel_renew(&l->channel) < 0)
		return false;
	l->used = 0;
	return true;
}

/* For good, or until it is opened again. */
static void shut(struct lane *l)
{
	ex_channel_close(&l->channel);
	l->used = 0;
}

/* A channel takes 74 KiB: most are opened when there is that much to ask, if ever. */
static bool make_open(struct lane *l)
{
	struct zone *z = l->zone;
	int flags = is_tcp(l) ? ARES_FLAG_USEVC : ARES_FLAG_STAYOPEN | ARES_FLAG_IGNTC;

	if (l->channel.ares)
		return true;
	if (ex_channel_open(&l->channel, z->servers, z->n_servers, flags) == 0)
		return true;
	ex_channel_close(&l->channel);
	return false;
}

/* The current channel until its port is worn; then an idle one; else the least busy. */
static struct lane *pick_lane(struct zone *z)
{
	struct lane *best = z->current;

	if (!is_worn(best) || renew(best))
		return best;
	for (size_t i = 0; i < UDP_CHANNELS; i++) {
		struct lane *l = &z->lanes[i];

		if (!make_open(l))
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

static struct lane *pick_tcp(struct zone *z)
{
	struct lane *best = &z->lanes[UDP_CHANNELS];

	for (size_t i = UDP_CHANNELS + 1; i < CHANNELS; i++)
		if (z->lanes[i].pending < best->pending)
			best = &z->lanes[i];
	return best;
}

static bool is_below(const char *name, const char *suffix)
{
	size_t len = strlen(name), tail = strlen(suffix);

	return tail == 0 || (len >= tail && strcmp(name + len - tail, suffix) == 0 &&
			     (len == tail || name[len - tail - 1] == '.'));
}

/* The longest suffix wins. */
static struct zone *pick_zone(const struct ex_resolver *r, const char *name)
{
	struct zone *best = NULL;

	for (size_t i = 0; i < r->n_zones; i++) {
		struct zone *z = r->zones[i];

		if (is_below(name, z->suffix) &&
		    (!best || strlen(z->suffix) > strlen(best->suffix)))
			best = z;
	}
	return best;
}

/* ---- queries ---- */

static int take_random(struct ex_resolver *r, uint8_t *ret, size_t len)
{
	if (r->n_random < len) {
		if (getrandom(r->random, RANDOM_BYTES, 0) != RANDOM_BYTES)
			return -EIO;
		r->n_random = RANDOM_BYTES;
	}
	r->n_random -= len;
	memcpy(ret, r->random + r->n_random, len);
	return 0;
}

/* All but id, case and OPT record. False: it is no name, or that of the root. */
static bool write_query(struct ex_resolve *q, const char *name, uint16_t type)
{
	static const uint8_t head[EX_DNS_HEADER] = { [2] = EX_DNS_RD >> 8, [5] = 1 };
	uint8_t *p;

	q->name_len = ex_dns_write_name(name, q->msg + EX_DNS_HEADER);
	if (q->name_len <= 1)
		return false;
	memcpy(q->msg, head, sizeof(head));
	p = q->msg + EX_DNS_HEADER + q->name_len;
	memcpy(p, (uint8_t[4]){ (uint8_t)(type >> 8), (uint8_t)type, 0, EX_DNS_CLASS_IN }, 4);
	q->len = (size_t)(p - q->msg) + 4;
	return true;
}

/* Gives each letter a case by chance, the id as well. Lengths of labels are below any letter. */
static int draw(struct ex_resolve *q)
{
	bool plain = q->plain || q->lane->zone->case_changes >= CASE_CHANGES_MAX;
	uint8_t bits[2 + EX_DNS_WIRE_NAME_MAX / 8 + 1] EX_UNSET, *name = q->msg + EX_DNS_HEADER;
	int r = take_random(q->lane->zone->r, bits, 2 + q->name_len / 8 + 1);

	if (r < 0)
		return r;
	memcpy(q->msg, bits, 2);
	for (size_t i = 0; i < q->name_len; i++) {
		uint8_t lower = name[i] | 0x20, up = bits[2 + i / 8] >> (i % 8) & !plain;

		if (lower >= 'a' && lower <= 'z')
			name[i] = lower ^ (uint8_t)(up << 5);
	}
	return 0;
}

/* EDNS with nothing but a size (RFC 6891). */
static size_t add_opt(struct ex_resolve *q)
{
	static const uint8_t opt[OPT_BYTES] = {
		[2] = EX_DNS_OPT, [3] = EX_DNS_UDP_MAX >> 8, [4] = EX_DNS_UDP_MAX & 0xff
	};

	q->msg[EX_DNS_HEADER - 1] = q->edns; /* one additional record */
	if (!q->edns)
		return q->len;
	memcpy(q->msg + q->len, opt, sizeof(opt));
	return q->len + sizeof(opt);
}

/* Without a channel the query ends here: whoever asks again must not take the odd reply instead. */
static int send_query(struct ex_resolve *q)
{
	int r = make_open(q->lane) ? draw(q) : -ENOMEM;

	if (r < 0)
		return r;
	q->starting = true;
	q->err = 0;
	ex_channel_send(&q->lane->channel, q->msg, (int)add_opt(q), on_reply, q);
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
	return (size_t)len >= EX_DNS_HEADER + q->name_len &&
	       memcmp(msg + EX_DNS_HEADER, q->msg + EX_DNS_HEADER, q->name_len) == 0;
}

static void enter(struct ex_resolve *q, struct lane *l)
{
	if (l->used++ == 0)
		l->since = ex_loop_now(l->zone->r->loop);
	l->pending++;
	q->lane = l;
	q->replies = l->replies;
}

/* To a lane that may not have found out yet whether the server knows EDNS. */
static void move_to(struct ex_resolve *q, struct lane *l)
{
	q->lane->pending--;
	q->edns = true;
	enter(q, l);
}

/*
 * c-ares cuts what is longer than we said we take; once a server has refused EDNS on a channel, to
 * 512 bytes there, whatever later queries say.
 */
static bool is_cut(const unsigned char *msg, int len)
{
	return len >= EX_DNS_UDP_MAX || len == EX_DNS_UDP_MIN ||
	       (len >= EX_DNS_HEADER && msg[2] & EX_DNS_TC >> 8);
}

/* Is this reply a reason to ask again in another way? Each comes but once on a lane. */
static bool asks_again(struct ex_resolve *q, const unsigned char *msg, int len)
{
	struct zone *z = q->lane->zone;

	q->lane->replies++;
	if (is_tcp(q->lane)) {
		z->case_changes += !repeats_name(q, msg, len);
	} else if (is_cut(msg, len) || (!q->plain && !repeats_name(q, msg, len))) {
		q->cut = is_cut(msg, len);
		move_to(q, pick_tcp(z));
		return true;
	}
	if (!refuses_edns(q, msg, len))
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
	if (!is_tcp(q->lane) || err == -ETIMEDOUT || q->lane->replies == q->replies || is_old(q))
		return false;
	move_to(q, pick_tcp(q->lane->zone));
	return true;
}

/* Nobody there over TCP: what every resolver does has to do. */
static bool falls_back(struct ex_resolve *q)
{
	struct zone *z = q->lane->zone;

	if (!is_tcp(q->lane) || q->plain || q->cut)
		return false;
	q->plain = true;
	z->case_changes++;
	move_to(q, pick_lane(z));
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
	if (!r->dead && (err ? connects_again(q, err) || falls_back(q) : asks_again(q, msg, len))) {
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
	struct zone *z = pick_zone(r, name);
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
	*q = (struct ex_resolve){ .lane = pick_lane(z),
				  .fn = fn,
				  .arg = arg,
				  .edns = true,
				  .began = ex_loop_now(r->loop) };
	err = write_query(q, name, type) ? send_query(q) : -EINVAL;
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

	for (size_t i = 0; i < r->n_zones * CHANNELS && !r->dead; i++) {
		struct lane *l = &r->zones[i / CHANNELS]->lanes[i % CHANNELS];

		if (l->pending > 0)
			ex_channel_check_timeouts(&l->channel);
		else if (is_tcp(l))
			shut(l);
		else if (is_worn(l))
			(void)renew(l);
		open |= l->used > 0;
	}
	r->ticking = (r->pending > 0 || open) && !r->dead &&
		     ex_timer_start(r->loop, t, r->pending ? TICK_MS : PORT_MS) == 0;
}

static void destroy(struct ex_resolver *r)
{
	r->dead = true;
	for (size_t i = 0; i < r->n_zones; i++) {
		for (size_t j = 0; j < CHANNELS; j++)
			ex_channel_close(&r->zones[i]->lanes[j].channel);
		free(r->zones[i]);
	}
	ex_timer_stop(r->loop, &r->tick);
	free(r);
}

static void free_deferred(struct ex_defer *d)
{
	destroy(ex_container_of(d, struct ex_resolver, free_later));
}

static struct zone *find_zone(const struct ex_resolver *r, const char *suffix)
{
	for (size_t i = 0; i < r->n_zones; i++)
		if (strcmp(r->zones[i]->suffix, suffix) == 0)
			return r->zones[i];
	return NULL;
}

static int add_zone(struct ex_resolver *r, const char *suffix, struct zone **ret)
{
	struct zone *z;

	if (r->n_zones == ZONES_MAX)
		return -E2BIG;
	z = calloc(1, sizeof(*z));
	if (!z)
		return -ENOMEM;
	z->r = r;
	memcpy(z->suffix, suffix, strlen(suffix) + 1);
	z->current = &z->lanes[0];
	for (size_t i = 0; i < CHANNELS; i++) {
		z->lanes[i].zone = z;
		z->lanes[i].channel.loop = r->loop;
		z->lanes[i].channel.dial = r->dial;
		z->lanes[i].channel.dial_arg = r->dial_arg;
	}
	r->zones[r->n_zones++] = *ret = z;
	return 0;
}

static int add_server(struct ex_resolver *r, const struct ex_resolver_server *s)
{
	struct zone *z = find_zone(r, s->suffix);
	int err = z ? 0 : add_zone(r, s->suffix, &z);

	if (err == 0 && z->n_servers < EX_CHANNEL_SERVERS)
		z->servers[z->n_servers++] = *s;
	return err;
}

/* The one of each that there has to be; the others are opened when they are used. */
static int open_lanes(const struct ex_resolver *r)
{
	for (size_t i = 0; i < r->n_zones; i++)
		if (!make_open(&r->zones[i]->lanes[0]))
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

static bool are_same(const struct zone *z, const struct ex_resolver_server *servers, size_t n)
{
	size_t i = 0;

	while (i < n && i < z->n_servers && ex_resolver_server_eq(&servers[i], &z->servers[i]))
		i++;
	return i == n && n == z->n_servers;
}

/* What its queries were waiting for does not come any more. */
static void move_all(struct zone *z)
{
	struct ex_resolver *r = z->r;
	struct ex_resolve *q;
	int err;

	r->moving = true;
	for (size_t i = 0; i < CHANNELS; i++)
		shut(&z->lanes[i]);
	r->moving = false;
	r->depth++;
	while ((q = r->moved) != NULL) {
		r->moved = q->next;
		q->plain = q->cut = false;
		move_to(q, pick_lane(z));
		err = r->dead ? -ECANCELED : is_old(q) ? -ETIMEDOUT : send_query(q);
		if (err < 0)
			finish(q, err, NULL, 0);
	}
	r->depth--;
}

int ex_resolver_use(struct ex_resolver *r, const struct ex_resolver_server *servers, size_t n)
{
	struct zone *z = find_zone(r, "");
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
	for (size_t i = 0; i < r->n_zones * CHANNELS; i++)
		if (r->zones[i / CHANNELS]->lanes[i % CHANNELS].channel.depth > 0)
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
