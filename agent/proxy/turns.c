/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/conn.h"

#define AT_ONCE   32
#define ANYWAY_MS 5

static struct ex_conn *conn_of(struct ex_link *turn)
{
	return ex_container_of(turn, struct ex_conn, turn);
}

static void begin(struct ex_turns *t)
{
	struct ex_conn *c = conn_of(t->first);

	ex_turn_leave(t, c);
	ex_conn_intercept(c);
	ex_conn_run(c);
}

static void on_next(struct ex_defer *d)
{
	struct ex_turns *t = ex_container_of(d, struct ex_turns, next);

	while (t->first && t->n < AT_ONCE)
		begin(t);
}

static void on_anyway(struct ex_timer *timer)
{
	struct ex_turns *t = ex_container_of(timer, struct ex_turns, anyway);

	if (t->first)
		begin(t);
	if (t->first && ex_timer_start(t->loop, timer, ANYWAY_MS) < 0)
		ex_conn_reset(conn_of(t->first));
}

void ex_turns_init(struct ex_turns *t, struct ex_loop *loop)
{
	*t = (struct ex_turns){
		.loop = loop, .last = &t->first, .next.fn = on_next, .anyway.fn = on_anyway
	};
}

bool ex_turn_take(struct ex_turns *t, struct ex_conn *c)
{
	if (t->n < AT_ONCE)
		return true;
	/* Without the timer it might wait for ever. */
	if (!t->first && ex_timer_start(t->loop, &t->anyway, ANYWAY_MS) < 0)
		return true;
	ex_link_add(t->last, &c->turn);
	t->last = &c->turn.next;
	return false;
}

void ex_turn_began(struct ex_turns *t)
{
	t->n++;
}

void ex_turn_over(struct ex_turns *t)
{
	t->n--;
	if (t->first)
		ex_defer(t->loop, &t->next);
}

void ex_turn_leave(struct ex_turns *t, struct ex_conn *c)
{
	if (t->last == &c->turn.next)
		t->last = c->turn.at;
	ex_link_remove(&c->turn);
}
