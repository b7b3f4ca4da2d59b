/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection: accept, events, timers, end. What happens between is in sniff.c,
 * http.c, h2.c and stream.c. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>

#include "agent/core/sockaddr.h"
#include "agent/proxy/ask.h"
#include "agent/proxy/bridge.h"
#include "agent/proxy/conn.h"
#include "agent/proxy/dial.h"
#include "agent/proxy/leg.h"
#include "agent/proxy/reuse.h"
#include "agent/proxy/unread.h"
#include "agent/tls/session.h"

#define ROUNDS_MAX 16 /* steps of one connection before others get their turn */

#define SNIFF_PROBE_MS 300           /* after this silence the server may be meant to speak first */
#define HANDSHAKE_MS   10000         /* certificate and TLS handshake with the client */
#define DIAL_MS        10000         /* connect and TLS handshake with the server */
#define IDLE_MS        (3600 * 1000) /* a request under way, or a stream, without a byte */
#define HALF_MS        (115 * 1000)  /* the same, where the client has ended, or was told the end */
#define LINGER_MS      30000

static void free_names(struct ex_conn *c)
{
	if (c->names != c->few_names)
		free(c->names);
}

static void conn_free(struct ex_defer *d)
{
	struct ex_conn *c = ex_container_of(d, struct ex_conn, free_later);

	free_names(c);
	ex_conn_drop_hello(c);
	free(c->own_sni);
	ex_slab_put(&c->px->slab, c, sizeof(*c));
}

static bool is_dialling(const struct ex_conn *c)
{
	return c->server.state != EX_SIDE_CLOSED && !ex_side_ready(&c->server);
}

/* Legal moves; everything may end. */
static bool may_follow(enum ex_conn_state from, enum ex_conn_state to)
{
	static const uint16_t next[] = {
		[EX_CONN_SNIFF] = 1 << EX_CONN_MINT | 1 << EX_CONN_HANDSHAKE | 1 << EX_CONN_HTTP |
				  1 << EX_CONN_H2 | 1 << EX_CONN_STREAM | 1 << EX_CONN_LINGER,
		[EX_CONN_MINT] = 1 << EX_CONN_HANDSHAKE | 1 << EX_CONN_LINGER,
		[EX_CONN_HANDSHAKE] = 1 << EX_CONN_HTTP | 1 << EX_CONN_H2,
		[EX_CONN_H2] = 1 << EX_CONN_LINGER,
		[EX_CONN_HTTP] = 1 << EX_CONN_STREAM | 1 << EX_CONN_LINGER,
		[EX_CONN_STREAM] = 0,
		[EX_CONN_LINGER] = 0,
		[EX_CONN_CLOSED] = 0,
	};

	return to == EX_CONN_CLOSED || (next[from] & 1 << to);
}

void ex_conn_set_state(struct ex_conn *c, enum ex_conn_state state)
{
	static const uint64_t timeout[] = {
		[EX_CONN_MINT] = HANDSHAKE_MS, [EX_CONN_HANDSHAKE] = HANDSHAKE_MS,
		[EX_CONN_H2] = IDLE_MS,        [EX_CONN_HTTP] = EX_CONN_HEAD_MS,
		[EX_CONN_STREAM] = IDLE_MS,    [EX_CONN_LINGER] = LINGER_MS,
		[EX_CONN_CLOSED] = 0,
	};

	assert(may_follow(c->state, state));
	if (state == EX_CONN_HANDSHAKE)
		ex_turn_began(&c->px->turns);
	else if (c->state == EX_CONN_HANDSHAKE)
		ex_turn_over(&c->px->turns);
	c->state = state;
	if (state == EX_CONN_STREAM)
		c->client.edge = c->server.edge = true;
	/* While the server is being dialled its own timer runs. */
	if (timeout[state] && !(state == EX_CONN_STREAM && is_dialling(c)))
		ex_conn_set_timeout(c, timeout[state]);
}

void ex_conn_set_timeout(struct ex_conn *c, uint64_t ms)
{
	/* Without a timer a connection could stay for ever: end it instead. */
	if (ex_timer_start(c->px->loop, &c->timer, ms) < 0)
		ex_conn_close(c);
}

void ex_conn_close(struct ex_conn *c)
{
	struct ex_loop *loop = c->px->loop;

	if (c->state == EX_CONN_CLOSED)
		return;
	ex_conn_set_state(c, EX_CONN_CLOSED);
	ex_ask_cancel(c->px->ask, c);
	ex_timer_stop(loop, &c->timer);
	ex_timer_stop(loop, &c->again);
	ex_conn_stop_pipe(c, &c->client, &c->server);
	ex_conn_stop_pipe(c, &c->server, &c->client);
	ex_conn_need_server(c);
	ex_turn_leave(&c->px->turns, c);
	ex_side_close(&c->client, loop);
	ex_side_hang_up(&c->server, loop, c->px->ask);
	ex_legs_close(c);
	ex_conn_http_done(c);
	ex_link_remove(&c->link);
	c->px->n_conns--;
	ex_proxy_tidy(c->px);
	ex_defer(loop, &c->free_later);
}

/* What was broken off must not look like a whole, on either side. */
void ex_conn_reset(struct ex_conn *c)
{
	ex_side_set_abrupt(&c->client, true);
	ex_side_set_abrupt(&c->server, true);
	ex_conn_close(c);
}

void ex_conn_linger(struct ex_conn *c)
{
	ex_conn_hang_up(c);
	ex_conn_set_state(c, EX_CONN_LINGER);
}

/* Throws away what the client still sends, so that its system does not answer with a reset that
 * overtakes our last bytes. */
static bool step_linger(struct ex_conn *c)
{
	bool moved = ex_buf_len(&c->client.in) > 0, over;

	ex_buf_consume(&c->client.in, ex_buf_len(&c->client.in));
	if (ex_buf_len(&c->client.out))
		return moved;
	ex_side_set_abrupt(&c->client, false);
	over = c->client.eof || (c->x.last && c->x.req_done && !moved);
	if (c->client.tls || !over) /* else closing tells it */
		ex_side_finish(&c->client);
	if (over && !c->client.telling) {
		ex_conn_close(c);
		return false;
	}
	return moved;
}

/* ---- events ---- */

static bool step_handshake(struct ex_conn *c)
{
	static const struct ex_decision broken = { EX_V_DENY, EX_R_TLS_HANDSHAKE, 0 };
	int r = ex_side_handshake(&c->client);

	if (r < 0) {
		ex_conn_audit(c, EX_AUDIT_TLS, &broken, NULL, 0, ex_tls_error(c->client.tls));
		ex_unread_add(c->px->unread, c->sni);
		ex_conn_close(c);
		return false;
	}
	if (r == 0)
		return false;
	r = ex_tls_is_h2(c->client.tls) ? ex_conn_h2_begin(c) : ex_conn_http_begin(c);
	if (r < 0)
		ex_conn_reset(c);
	return true;
}

static bool step(struct ex_conn *c)
{
	switch (c->state) {
	case EX_CONN_SNIFF:
		return ex_conn_sniff(c);
	case EX_CONN_MINT:
		return false;
	case EX_CONN_HANDSHAKE:
		return step_handshake(c);
	case EX_CONN_HTTP:
		return ex_conn_http(c);
	case EX_CONN_H2:
		return ex_conn_h2(c);
	case EX_CONN_STREAM:
		return ex_conn_stream(c);
	case EX_CONN_LINGER:
		return step_linger(c);
	case EX_CONN_CLOSED:
		break;
	}
	return false;
}

static int server_ready(struct ex_conn *c)
{
	ex_conn_set_timeout(c, IDLE_MS);
	if (c->state == EX_CONN_H2)
		ex_conn_origin_known(c);
	else if (c->server.tls && ex_tls_is_h2(c->server.tls))
		return ex_bridge_begin(&c->server);
	return 0;
}

/* Connect, then TLS: 0 or negative errno. */
static int advance_dial(struct ex_conn *c)
{
	int r;

	if (c->server.state != EX_SIDE_HANDSHAKING)
		return 0;
	r = ex_side_shake_hands(&c->server, c->px->ask);
	if (r == -ENOPROTOOPT && ex_conn_dial_h2(c))
		return 0;
	if (r == 1)
		r = server_ready(c);
	return r < 0 ? r : 0;
}

/* Fill, step, flush: true when something moved. */
static bool run_round(struct ex_conn *c)
{
	int in, up, r = advance_dial(c);
	bool moved;

	if (r < 0) {
		ex_conn_dial_failed(c, r);
		return true;
	}
	in = ex_side_fill(&c->client);
	up = ex_side_fill(&c->server);
	if (in < 0)
		ex_side_broke(&c->client);
	if (up < 0)
		ex_side_broke(&c->server);
	moved = in > 0 || up > 0;
	moved |= step(c);
	if (c->state == EX_CONN_CLOSED)
		return false;
	in = ex_side_flush(&c->client);
	up = ex_side_flush(&c->server);
	if (in < 0 || (up < 0 && c->state == EX_CONN_STREAM)) {
		ex_conn_reset(c);
		return false;
	}
	/* The server may have answered before it stopped reading. */
	if (up < 0 && !ex_conn_write_anew(c))
		ex_buf_consume(&c->server.out, ex_buf_len(&c->server.out));
	return moved || in > 0 || up != 0;
}

/* All is said, but the client does not have all of it yet. */
static bool awaits_reader(const struct ex_conn *c)
{
	return ((c->state == EX_CONN_HTTP && !c->x.active) || c->state == EX_CONN_LINGER) &&
	       ex_buf_len(&c->client.out);
}

/* In these phases the timer measures silence, not the whole. */
static bool is_moving(const struct ex_conn *c)
{
	if (is_dialling(c))
		return false;
	return c->state == EX_CONN_STREAM || c->state == EX_CONN_H2 ||
	       (c->state == EX_CONN_HTTP && c->x.active) || awaits_reader(c);
}

/*
 * The kernel gate knows a flow of which one end was seen for 120 s, and lets nothing pass after
 * that: both sides have to hear of the end before.
 */
static uint64_t silence(const struct ex_conn *c)
{
	return c->client.eof || c->client.finished ? HALF_MS : IDLE_MS;
}

void ex_conn_run(struct ex_conn *c)
{
	bool awaited = awaits_reader(c);
	int rounds = 0;

	while (c->state != EX_CONN_CLOSED && run_round(c)) {
		if (c->state == EX_CONN_CLOSED || ++rounds < ROUNDS_MAX)
			continue;
		/* TLS may hold bytes that epoll does not see: come back without waiting for it. */
		if (ex_timer_start(c->px->loop, &c->again, 0) < 0)
			ex_conn_reset(c);
		break;
	}
	if (c->state == EX_CONN_CLOSED)
		return;
	if (rounds && is_moving(c))
		ex_conn_set_timeout(c, silence(c));
	else if (awaited && !awaits_reader(c) && !is_dialling(c))
		ex_conn_set_timeout(c, c->state == EX_CONN_HTTP ? EX_CONN_HEAD_MS : LINGER_MS);
	ex_side_update(&c->client, c->px->loop);
	ex_side_update(&c->server, c->px->loop);
	ex_legs_update(c);
}

static void on_client(struct ex_watch *w, uint32_t events)
{
	struct ex_conn *c = ex_container_of(w, struct ex_conn, client.watch);

	ex_side_note(&c->client, events);
	ex_conn_run(c);
}

static int server_connected(struct ex_conn *c)
{
	if (!c->tls)
		return server_ready(c);
	return ex_side_start_tls(&c->server, c->px->tls, c->sni, c->identity,
				 c->state == EX_CONN_H2 || c->origin_h2);
}

static void on_server(struct ex_watch *w, uint32_t events)
{
	struct ex_conn *c = ex_container_of(w, struct ex_conn, server.watch);
	int r;

	if (c->server.state == EX_SIDE_CONNECTING) {
		r = ex_side_connected(&c->server);
		ex_conn_need_server(c);
		if (r == 0)
			r = server_connected(c);
		if (r < 0) {
			ex_conn_dial_failed(c, r);
			events = 0;
		}
	}
	ex_side_note(&c->server, events);
	ex_conn_run(c);
}

static void on_again(struct ex_timer *t)
{
	ex_conn_run(ex_container_of(t, struct ex_conn, again));
}

static void on_timeout(struct ex_timer *t)
{
	static const struct ex_decision late = { EX_V_DENY, EX_R_TIMEOUT, 0 };
	struct ex_conn *c = ex_container_of(t, struct ex_conn, timer);

	if (is_dialling(c)) {
		ex_conn_dial_failed(c, -ETIMEDOUT);
		ex_conn_run(c);
	} else if (c->state == EX_CONN_SNIFF) {
		ex_conn_sniff_timeout(c);
		ex_conn_run(c);
	} else if (c->state == EX_CONN_STREAM) {
		ex_conn_reset(c);
	} else if (c->state == EX_CONN_LINGER || c->state == EX_CONN_H2 ||
		   (c->state == EX_CONN_HTTP && !c->x.active)) {
		ex_conn_close(c);
	} else {
		ex_conn_audit(c, c->state == EX_CONN_HTTP ? EX_AUDIT_HTTP : EX_AUDIT_TLS, &late,
			      NULL, 0, NULL);
		ex_conn_reset(c);
	}
}

/* ---- the server side ---- */

static void on_dialled(void *arg, const union ex_ipc_message *answer, int *fd)
{
	struct ex_conn *c = ex_container_of(arg, struct ex_conn, server);
	int r = ex_side_dialled(&c->server, c->px->loop, answer, fd, c->tls);

	if (r == 0 && ex_side_ready(&c->server))
		r = server_connected(c);
	if (r < 0)
		ex_conn_dial_failed(c, r);
	ex_conn_run(c);
}

/* What the client said goes to the server, or TLS begins. */
static bool speaks_first(const struct ex_conn *c)
{
	return c->tls || ex_buf_len(&c->client.in) || ex_buf_len(&c->server.out);
}

int ex_conn_dial(struct ex_conn *c)
{
	int r = ex_side_dial(&c->server, c->px->ask, &c->flow, speaks_first(c), on_dialled);

	if (r == 0)
		ex_conn_set_timeout(c, DIAL_MS);
	return r;
}

void ex_conn_hang_up(struct ex_conn *c)
{
	ex_conn_need_server(c);
	ex_conn_stop_pipe(c, &c->client, &c->server);
	ex_conn_stop_pipe(c, &c->server, &c->client);
	ex_side_hang_up(&c->server, c->px->loop, c->px->ask);
}

/* ---- accept ---- */

/*
 * The names are copied: the binding of name and address is the one that held when the workload
 * connected, for as long as the connection lives.
 */
static int copy_names(struct ex_conn *c)
{
	struct ex_span names[EX_NAMES_PER_ADDR_MAX];
	size_t n = ex_names_of(c->px->names, &c->flow.dst, ex_loop_now(c->px->loop), names,
			       EX_NAMES_PER_ADDR_MAX);
	size_t total = n * sizeof(names[0]);
	char *at;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		total += names[i].len;
	c->names = total <= sizeof(c->few_names) ? c->few_names : malloc(total);
	if (!c->names)
		return -ENOMEM;
	at = (char *)(c->names + n);
	for (size_t i = 0; i < n; i++) {
		memcpy(at, names[i].ptr, names[i].len);
		c->names[i] = (struct ex_span){ at, names[i].len };
		at += names[i].len;
	}
	c->flow.names = c->names;
	c->flow.n_names = n;
	return 0;
}

static struct ex_conn *conn_new(struct ex_proxy *px, int fd, const struct sockaddr_storage *from)
{
	struct ex_conn *c = ex_slab_get(&px->slab, sizeof(*c));

	if (!c)
		return NULL;
	c->px = px;
	c->timer.fn = on_timeout;
	c->again.fn = on_again;
	c->free_later.fn = conn_free;
	ex_side_init(&c->client, on_client);
	ex_side_init(&c->server, on_server);
	c->client.edge = true;
	c->flow.proto = IPPROTO_TCP;
	if (!ex_socket_own(fd, &c->flow.dst, &c->flow.port) ||
	    !ex_sockaddr_read(from, &c->src, &c->sport) || copy_names(c) < 0) {
		free_names(c);
		ex_slab_put(&px->slab, c, sizeof(*c));
		return NULL;
	}
	return c;
}

/* Without the memory for a connection there is what a record takes. */
static void drop(struct ex_proxy *px, int fd, const struct sockaddr_storage *from)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_L4,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = EX_V_DENY,
				       .reason = EX_R_LIMIT,
				       .proto = IPPROTO_TCP };

	if (ex_socket_own(fd, &rec.dst, &rec.dport) && ex_sockaddr_read(from, &rec.src, &rec.sport))
		ex_ask_audit(px->ask, &rec);
	close(fd);
}

void ex_conn_accept(struct ex_proxy *px, int fd, const struct sockaddr_storage *from, bool full)
{
	static const struct ex_decision no_room = { EX_V_DENY, EX_R_LIMIT, 0 };
	struct ex_conn *c = conn_new(px, fd, from);
	struct ex_decision d;

	if (!c) {
		drop(px, fd, from);
		return;
	}
	ex_link_add(&px->conns, &c->link);
	px->n_conns++;
	/* A timer that runs is only put off later, which cannot fail. */
	if (ex_side_open(&c->client, px->loop, fd, false) < 0 ||
	    ex_timer_start(px->loop, &c->timer, SNIFF_PROBE_MS) < 0) {
		ex_conn_audit(c, EX_AUDIT_L4, &no_room, NULL, 0, NULL);
		ex_conn_close(c);
		return;
	}
	d = full ? no_room : ex_judge_l4(px->rs, &c->flow);
	if (d.verdict != EX_V_STEER)
		ex_conn_audit(c, EX_AUDIT_L4, &d, NULL, 0, NULL);
	if (d.verdict == EX_V_ALLOW) {
		ex_conn_set_state(c, EX_CONN_STREAM);
		if (ex_conn_dial(c) < 0)
			ex_conn_dial_failed(c, -ENETUNREACH);
	} else if (d.verdict != EX_V_STEER) {
		ex_conn_reset(c);
	}
	if (c->state != EX_CONN_CLOSED)
		ex_conn_run(c);
}
