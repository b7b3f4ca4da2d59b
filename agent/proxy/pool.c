/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/epoll.h>

#include "agent/proxy/pool.h"
#include "agent/tls/name.h"

#define IDLE_MAX 64

struct idle {
	struct ex_pool *pool;
	struct ex_side side;
	struct ex_timer timer;
	struct ex_ip ip;
	uint16_t port;
	char name[EX_SNI_MAX + 1];
	size_t name_len;
	bool used; /* the slot is */
};

struct ex_pool {
	struct ex_loop *loop;
	struct idle idle[IDLE_MAX];
};

static void drop(struct idle *i)
{
	ex_timer_stop(i->pool->loop, &i->timer);
	ex_side_close(&i->side, i->pool->loop);
	i->used = false;
}

/* Nothing is expected but what TLS says for itself: the server ended, or speaks unasked. */
static void on_event(struct ex_watch *w, uint32_t events)
{
	struct idle *i = ex_container_of(w, struct idle, side.watch);

	i->side.readable = true;
	if ((events & (EPOLLHUP | EPOLLERR)) || ex_side_fill(&i->side) != 0)
		drop(i);
	else
		ex_side_update(&i->side, i->pool->loop);
}

static void on_timeout(struct ex_timer *t)
{
	drop(ex_container_of(t, struct idle, timer));
}

int ex_pool_new(struct ex_loop *loop, struct ex_pool **ret)
{
	struct ex_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	for (size_t i = 0; i < IDLE_MAX; i++) {
		p->idle[i].pool = p;
		p->idle[i].timer.fn = on_timeout;
		ex_side_init(&p->idle[i].side, on_event);
	}
	*ret = p;
	return 0;
}

static struct idle *find_free(struct ex_pool *p)
{
	for (size_t i = 0; i < IDLE_MAX; i++)
		if (!p->idle[i].used)
			return &p->idle[i];
	return NULL;
}

void ex_pool_put(struct ex_pool *p, const struct ex_pool_key *key, struct ex_side *s)
{
	struct idle *i = find_free(p);

	if (!i || key->identity || key->name.len > EX_SNI_MAX) {
		ex_side_close(s, p->loop);
		return;
	}
	i->ip = key->ip;
	i->port = key->port;
	i->name_len = key->name.len;
	if (key->name.len)
		memcpy(i->name, key->name.ptr, key->name.len);
	ex_side_move(p->loop, s, &i->side);
	i->used = true;
	ex_side_update(&i->side, p->loop);
	if (ex_timer_start(p->loop, &i->timer, EX_POOL_IDLE_MS) < 0)
		drop(i);
}

bool ex_pool_key_eq(const struct ex_pool_key *a, const struct ex_pool_key *b)
{
	return !a->identity && !b->identity && a->port == b->port && ex_ip_eq(&a->ip, &b->ip) &&
	       ex_span_eq(a->name, b->name);
}

static bool is_for(const struct idle *i, const struct ex_pool_key *key)
{
	const struct ex_pool_key has = { .ip = i->ip,
					 .port = i->port,
					 .name = { i->name, i->name_len } };

	return i->used && ex_pool_key_eq(&has, key);
}

bool ex_pool_take(struct ex_pool *p, const struct ex_pool_key *key, struct ex_side *s)
{
	for (size_t i = 0; i < IDLE_MAX; i++) {
		struct idle *idle = &p->idle[i];

		if (!is_for(idle, key))
			continue;
		ex_timer_stop(p->loop, &idle->timer);
		idle->used = false;
		/*
		 * What came since the last look: an end, or bytes that would be taken for an
		 * answer. Read through TLS, whose session may hold some; its own messages are none.
		 */
		idle->side.readable = true;
		if (ex_side_fill(&idle->side) != 0 || !ex_side_is_idle(&idle->side)) {
			ex_side_close(&idle->side, p->loop);
			continue;
		}
		ex_side_move(p->loop, &idle->side, s);
		return true;
	}
	return false;
}

void ex_pool_clear(struct ex_pool *p)
{
	for (size_t i = 0; i < IDLE_MAX; i++)
		if (p->idle[i].used)
			drop(&p->idle[i]);
}
