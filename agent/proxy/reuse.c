/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server may end an idle connection in the very moment when a request is on its way, and nobody
 * knows then whether it was read. What may be sent twice is sent once more (RFC 9110 9.2.1); what
 * may not is answered with 502, unless not a byte of it had left. So any request may have a
 * connection that was idle, if only for a moment (pool.c) and found open just now.
 */
#include "agent/proxy/reuse.h"
#include "agent/proxy/pool.h"

#define LOOK_MS      50 /* a connection that was used just now is not looked at */
#define LOOKS_MAX    64 /* at spare ones, for one that would do */
#define PART_AT_ONCE 32 /* each takes some 20 us, and others wait meanwhile */

struct ex_pool_key ex_conn_pool_key(const struct ex_conn *c)
{
	struct ex_pool_key key = { .ip = c->flow.dst,
				   .port = c->flow.port,
				   .identity = c->identity };

	if (c->tls)
		key.name = c->sni;
	return key;
}

static bool has_ended(struct ex_side *s)
{
	s->readable = true;
	return ex_side_fill(s) != 0 || !ex_side_is_idle(s);
}

void ex_conn_look_at_server(struct ex_conn *c, const struct ex_h1_head *head, uint32_t identity)
{
	struct ex_side *s = &c->server;

	ex_conn_need_server(c);
	/* One that was opened as another is for the requests of that one. */
	if (c->identity != identity)
		ex_conn_hang_up(c);
	c->identity = identity;

	if (!c->x.used || !ex_side_ready(s) || ex_buf_len(&s->out) || ex_h1_may_repeat(head) ||
	    ex_loop_now(c->px->loop) - c->x.idle_since < LOOK_MS)
		return;
	if (has_ended(s))
		ex_conn_hang_up(c);
}

/* ---- spare servers ---- */

static struct ex_conn *conn_of(struct ex_link *spare)
{
	return ex_container_of(spare, struct ex_conn, spare);
}

void ex_conn_need_server(struct ex_conn *c)
{
	ex_link_remove(&c->spare);
}

/* Of so many the latest, which is the least likely to be ended in this moment, or to be dialled. */
static struct ex_conn *find_alike(struct ex_link *l, const struct ex_pool_key *key)
{
	for (size_t i = 0; l && i < LOOKS_MAX; i++, l = l->next) {
		struct ex_conn *c = conn_of(l);
		struct ex_pool_key has = ex_conn_pool_key(c);

		if (ex_pool_key_eq(&has, key))
			return c;
	}
	return NULL;
}

/* From a client that waits to one whose request waits, and which is not dialled any more. */
static void lend(struct ex_conn *from, struct ex_conn *to)
{
	struct ex_buf unsent = to->server.out;

	to->server.out = (struct ex_buf){ 0 };
	ex_conn_hang_up(to);
	to->server.out = unsent;
	ex_conn_need_server(from);
	ex_side_move(to->px->loop, &from->server, &to->server);
	to->x.reused = true;
}

static bool take_spare(struct ex_conn *c, const struct ex_pool_key *key)
{
	struct ex_conn *from;

	while ((from = find_alike(c->px->spares, key))) {
		if (!has_ended(&from->server)) {
			lend(from, c);
			return true;
		}
		ex_conn_hang_up(from);
	}
	return false;
}

/* Its own server may come before one is spare; until TLS begins with it, little is lost. */
static void wait_for_spare(struct ex_conn *c)
{
	if (c->tls && c->px->n_conns > EX_CONNS_BUSY && !c->x.upgrade && !c->origin_h2)
		ex_link_add(&c->px->waiters, &c->spare);
}

/* True: somebody has it now, who goes on when this turn is over. */
static bool give_to_waiter(struct ex_conn *from)
{
	struct ex_pool_key key = ex_conn_pool_key(from);
	struct ex_conn *to = find_alike(from->px->waiters, &key);

	if (!to || has_ended(&from->server))
		return false;
	lend(from, to);
	ex_conn_set_timeout(to, EX_CONN_REQUEST_MS);
	if (to->state != EX_CONN_CLOSED && ex_timer_start(to->px->loop, &to->again, 0) < 0)
		ex_conn_reset(to);
	return true;
}

/* A client that has authenticated the connection would have to do it again. */
void ex_conn_spare_server(struct ex_conn *c)
{
	if (!c->server.tls || !ex_side_ready(&c->server) || c->server.bridge || c->x.bound ||
	    c->spare.at || ex_buf_len(&c->server.out) || give_to_waiter(c))
		return;
	ex_link_add(&c->px->spares, &c->spare);
}

void ex_spares_clear(struct ex_proxy *px)
{
	while (px->spares)
		ex_link_remove(px->spares);
	while (px->waiters)
		ex_link_remove(px->waiters);
}

bool ex_spares_part(struct ex_proxy *px)
{
	uint64_t now = ex_loop_now(px->loop);
	struct ex_link *next;
	size_t n = 0;

	for (struct ex_link *l = px->spares; l; l = next) {
		struct ex_conn *c = conn_of(l);

		next = l->next;
		if (now - c->x.idle_since < EX_POOL_IDLE_MS)
			ex_proxy_tidy(px); /* looks again */
		else if (n++ < PART_AT_ONCE)
			ex_conn_hang_up(c);
		else
			return true;
	}
	return false;
}

/* ---- finding one ---- */

int ex_conn_find_server(struct ex_conn *c, const struct ex_h1_head *head)
{
	struct ex_pool_key key = ex_conn_pool_key(c);
	int r;

	c->x.reused = c->x.used && c->server.fd >= 0;
	if (c->server.state != EX_SIDE_CLOSED)
		return 0;
	/* An upgraded connection is not kept, so it need not be one that was. */
	c->x.reused = !head->upgrade.len &&
		      (ex_pool_take(c->px->pool, &key, &c->server) || take_spare(c, &key));
	if (c->x.reused)
		return 0;
	r = ex_conn_dial(c);
	if (r == 0)
		wait_for_spare(c);
	return r;
}

bool ex_conn_repeat(struct ex_conn *c)
{
	const struct ex_h1_head *head = ex_h1_head(c->x.req);
	struct ex_header_edits edits;
	struct ex_h1 *fresh;

	/* A server that was told of the client's end may have ended for that. */
	if (!c->x.reused || c->x.answered || c->server.finished || !ex_h1_may_repeat(head) ||
	    ex_conn_judge(c, head, &edits).verdict != EX_V_ALLOW ||
	    ex_identity_of(&c->px->identities, &edits) != c->identity ||
	    ex_h1_new(false, &fresh) < 0)
		return false;
	ex_h1_free(c->x.res);
	c->x.res = fresh;
	c->x.reused = false;
	ex_conn_hang_up(c);
	return ex_conn_send_head(c, head, &edits) == 0 && ex_conn_dial(c) == 0;
}

/* What is to be written goes to another connection. */
static bool dial_anew(struct ex_conn *c)
{
	struct ex_buf unsent = c->server.out;

	c->server.out = (struct ex_buf){ 0 };
	ex_conn_hang_up(c);
	c->server.out = unsent;
	if (ex_conn_dial(c) < 0)
		ex_buf_done(&c->server.out);
	return c->server.state == EX_SIDE_DIALLING;
}

bool ex_conn_write_anew(struct ex_conn *c)
{
	if (c->state != EX_CONN_HTTP || !c->x.active || !c->x.reused || c->x.answered ||
	    c->server.wrote || c->client.pipe)
		return false;
	c->x.reused = false;
	return dial_anew(c);
}

bool ex_conn_turn_to_h2(struct ex_conn *c, bool websocket)
{
	if (c->origin_h1 || c->origin_h2 || websocket)
		return false;
	c->origin_h2 = true;
	return true;
}

bool ex_conn_dial_h2(struct ex_conn *c)
{
	return c->state == EX_CONN_HTTP && ex_conn_turn_to_h2(c, c->x.upgrade) && dial_anew(c);
}

/* One that has answered all it was asked, and nothing else, is kept for the next connection. */
void ex_conn_part(struct ex_conn *c)
{
	struct ex_pool_key key = ex_conn_pool_key(c);
	struct ex_side *s = &c->server;

	if (ex_side_ready(s) && ex_side_is_idle(s) && !ex_buf_len(&s->out) && c->x.used &&
	    !c->x.server_close && !c->x.bound && !s->bridge)
		ex_pool_put(c->px->pool, &key, s);
	ex_conn_linger(c);
}
