/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS handshakes with clients, some at a time. Each takes 50 KiB until it is over, three times what
 * is left of it then, and of those that come at once none is over sooner when all begin. The others
 * wait in the order they came. Clients that stand still hold them up a little, not for long.
 */
#ifndef EXEAT_AGENT_PROXY_TURNS_H
#define EXEAT_AGENT_PROXY_TURNS_H

#include "agent/core/list.h"
#include "agent/core/loop.h"

struct ex_conn;

struct ex_turns {
	struct ex_loop *loop;
	struct ex_link *first, **last;
	struct ex_defer next;   /* begins what may begin */
	struct ex_timer anyway; /* begins one, whatever the others do */
	size_t n;               /* under way */
};

void ex_turns_init(struct ex_turns *t, struct ex_loop *loop);

/* False: not yet; ex_conn_intercept() is called again when it is its turn. */
bool ex_turn_take(struct ex_turns *t, struct ex_conn *c);

/* It began, or is over. */
void ex_turn_began(struct ex_turns *t);
void ex_turn_over(struct ex_turns *t);

/* It waits no longer, if it did. */
void ex_turn_leave(struct ex_turns *t, struct ex_conn *c);

#endif
