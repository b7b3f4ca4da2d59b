/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/http/http2_leg.h"
#include "agent/proxy/bridge.h"
#include "agent/proxy/dial.h"
#include "agent/proxy/leg.h"
#include "agent/proxy/pool.h"
#include "agent/proxy/reuse.h"
#include "agent/tls/session.h"

#define DIAL_MS 10000 /* connect and TLS handshake with the server */

struct ex_leg {
	struct ex_link link; /* in c->legs */
	struct ex_conn *c;
	struct ex_h2_leg *http;
	struct ex_side side;
	struct ex_timer timer; /* while dialling */
	struct ex_defer free_later;
};

static struct ex_leg *leg_of(struct ex_link *l)
{
	return ex_container_of(l, struct ex_leg, link);
}

static void leg_free(struct ex_defer *d)
{
	free(ex_container_of(d, struct ex_leg, free_later));
}

static void hang_up(struct ex_leg *leg)
{
	ex_timer_stop(leg->c->px->loop, &leg->timer);
	ex_side_hang_up(&leg->side, leg->c->px->loop, leg->c->px->ask);
}

static void drop(struct ex_leg *leg)
{
	struct ex_conn *c = leg->c;

	hang_up(leg);
	ex_h2_leg_free(leg->http);
	ex_link_remove(&leg->link);
	c->n_legs--;
	c->px->n_conns--;
	ex_defer(c->px->loop, &leg->free_later);
}

void ex_legs_close(struct ex_conn *c)
{
	while (c->legs)
		drop(leg_of(c->legs));
}

/* ---- dialling ---- */

static void dial_failed(struct ex_leg *leg, int err)
{
	char why[EX_DIAL_WHY];

	ex_h2_leg_failed(leg->http, ex_dial_reason(&leg->side, err, why), why);
	hang_up(leg);
	/* The client resolves the name anew for the next connection. */
	if (err == -ESTALE)
		ex_h2_relay_close(leg->c->h2, false);
}

/*
 * A server that speaks HTTP/2 only, and is asked as someone else than the connection that streams
 * share. A WebSocket is not translated.
 */
static bool may_bridge(const struct ex_leg *leg)
{
	return leg->c->origin_h2 && !ex_h2_leg_is_websocket(leg->http);
}

static int connected(struct ex_leg *leg)
{
	struct ex_conn *c = leg->c;

	if (c->tls)
		return ex_side_start_tls(&leg->side, c->px->tls, c->sni,
					 ex_h2_leg_identity(leg->http), may_bridge(leg));
	ex_timer_stop(c->px->loop, &leg->timer);
	return 0;
}

static void on_dialled(void *arg, const union ex_ipc_message *answer, int *fd)
{
	struct ex_leg *leg = ex_container_of(arg, struct ex_leg, side);
	struct ex_conn *c = leg->c;
	int r = ex_side_dialled(&leg->side, c->px->loop, answer, fd, c->tls);

	if (r == 0 && ex_side_ready(&leg->side))
		r = connected(leg);
	if (r < 0)
		dial_failed(leg, r);
	ex_conn_run(c);
}

static void dial(struct ex_leg *leg)
{
	struct ex_conn *c = leg->c;
	int r = ex_side_dial(&leg->side, c->px->ask, &c->flow, true, on_dialled);

	if (r == 0)
		r = ex_timer_start(c->px->loop, &leg->timer, DIAL_MS);
	if (r < 0)
		dial_failed(leg, r);
}

static bool dial_h2(struct ex_leg *leg)
{
	if (!ex_conn_turn_to_h2(leg->c, ex_h2_leg_is_websocket(leg->http)))
		return false;
	hang_up(leg);
	dial(leg);
	return true;
}

static int ready(struct ex_leg *leg)
{
	ex_timer_stop(leg->c->px->loop, &leg->timer);
	return leg->side.tls && ex_tls_is_h2(leg->side.tls) ? ex_bridge_begin(&leg->side) : 0;
}

static void shake_hands(struct ex_leg *leg)
{
	int r = ex_side_shake_hands(&leg->side, leg->c->px->ask);

	if (r == -ENOPROTOOPT && dial_h2(leg))
		return;
	if (r == 1)
		r = ready(leg);
	if (r < 0)
		dial_failed(leg, r);
}

static void on_timeout(struct ex_timer *t)
{
	struct ex_leg *leg = ex_container_of(t, struct ex_leg, timer);
	struct ex_conn *c = leg->c;

	dial_failed(leg, -ETIMEDOUT);
	ex_conn_run(c);
}

static void on_event(struct ex_watch *w, uint32_t events)
{
	struct ex_leg *leg = ex_container_of(w, struct ex_leg, side.watch);
	struct ex_conn *c = leg->c;
	int r = 0;

	if (leg->side.state == EX_SIDE_CONNECTING) {
		r = ex_side_connected(&leg->side);
		if (r == 0)
			r = connected(leg);
	}
	if (r < 0) {
		dial_failed(leg, r);
		events = 0;
	}
	ex_side_note(&leg->side, events);
	ex_conn_run(c);
}

/* ---- opening ---- */

/* The connection by which it was found out what the server speaks has carried nothing yet. */
static bool take_first(struct ex_leg *leg)
{
	struct ex_conn *c = leg->c;

	if (!c->origin_h1 || !ex_side_ready(&c->server) || !ex_side_is_idle(&c->server) ||
	    c->identity != ex_h2_leg_identity(leg->http))
		return false;
	ex_side_move(c->px->loop, &c->server, &leg->side);
	return true;
}

static struct ex_pool_key pool_key(const struct ex_leg *leg)
{
	struct ex_pool_key key = ex_conn_pool_key(leg->c);

	key.identity = ex_h2_leg_identity(leg->http);
	return key;
}

static bool take_idle(struct ex_leg *leg)
{
	struct ex_pool_key key = pool_key(leg);

	if (!ex_h2_leg_may_reuse(leg->http) || !ex_pool_take(leg->c->px->pool, &key, &leg->side))
		return false;
	ex_h2_leg_reuses(leg->http);
	return true;
}

static void open_leg(struct ex_conn *c, struct ex_h2_leg *http)
{
	struct ex_leg *leg = calloc(1, sizeof(*leg));

	if (!leg) {
		ex_h2_leg_failed(http, EX_R_INTERNAL, "out of memory");
		ex_h2_leg_free(http);
		return;
	}
	leg->c = c;
	leg->http = http;
	leg->timer.fn = on_timeout;
	leg->free_later.fn = leg_free;
	ex_side_init(&leg->side, on_event);
	ex_link_add(&c->legs, &leg->link);
	c->n_legs++;
	c->px->n_conns++; /* one descriptor more, as a connection takes two */
	if (!take_first(leg) && !take_idle(leg))
		dial(leg);
}

static bool open_legs(struct ex_conn *c)
{
	struct ex_h2_leg *http;
	bool moved = false;

	while (c->n_legs < EX_LEGS_MAX && (http = ex_h2_relay_next_leg(c->h2))) {
		moved = true;
		if (c->px->n_conns < c->px->max_conns) {
			open_leg(c, http);
			continue;
		}
		ex_h2_leg_failed(http, EX_R_LIMIT, "too many requests under way");
		ex_h2_leg_free(http);
	}
	return moved;
}

/* ---- running ---- */

static void keep(struct ex_leg *leg)
{
	struct ex_pool_key key = pool_key(leg);

	if (ex_side_ready(&leg->side) && ex_side_is_idle(&leg->side) &&
	    !ex_buf_len(&leg->side.out) && !leg->side.bridge)
		ex_pool_put(leg->c->px->pool, &key, &leg->side);
	drop(leg);
}

/* Goes on with the request, or ends the leg. True when something changed. */
static bool settle(struct ex_leg *leg)
{
	switch (ex_h2_leg_state(leg->http)) {
	case EX_LEG_RUNS:
		return false;
	case EX_LEG_REPEAT:
		hang_up(leg);
		ex_h2_leg_resume(leg->http);
		dial(leg);
		return true;
	case EX_LEG_KEEP:
		keep(leg);
		return true;
	case EX_LEG_CLOSE:
		break;
	}
	drop(leg);
	return true;
}

static bool read_side(struct ex_leg *leg)
{
	struct ex_side *s = &leg->side;
	int r = ex_side_fill(s);
	size_t n;

	if (r < 0)
		ex_side_broke(s);
	if (!ex_side_ready(s))
		return false;
	n = ex_h2_leg_feed(leg->http, ex_buf_ptr(&s->in), ex_buf_len(&s->in));
	ex_buf_consume(&s->in, n);
	if (s->eof && !ex_buf_len(&s->in))
		ex_h2_leg_eof(leg->http, s->broken);
	return r != 0 || n > 0;
}

static bool write_side(struct ex_leg *leg)
{
	struct ex_side *s = &leg->side;
	bool moved = false;
	int r;

	if (!ex_buf_len(&s->out))
		moved = ex_h2_leg_pull(leg->http, &s->out);
	r = ex_side_flush(s);
	/* The server may have answered before it stopped reading. */
	if (r < 0)
		ex_buf_consume(&s->out, ex_buf_len(&s->out));
	if (ex_h2_leg_is_finished(leg->http) && ex_side_ready(s) && !ex_buf_len(&s->out))
		ex_side_finish(s);
	return moved || r != 0;
}

static bool run_leg(struct ex_leg *leg)
{
	struct ex_side *s = &leg->side;
	bool moved = false;

	if (s->state == EX_SIDE_HANDSHAKING)
		shake_hands(leg);
	if (ex_side_ready(s)) {
		moved = write_side(leg);
		moved |= read_side(leg);
	}
	return settle(leg) || moved;
}

bool ex_legs_run(struct ex_conn *c)
{
	bool moved = open_legs(c);
	struct ex_link *next;

	for (struct ex_link *l = c->legs; l; l = next) {
		next = l->next;
		moved |= run_leg(leg_of(l));
	}
	return moved;
}

void ex_legs_update(struct ex_conn *c)
{
	for (struct ex_link *l = c->legs; l; l = l->next)
		ex_side_update(&leg_of(l)->side, c->px->loop);
}
