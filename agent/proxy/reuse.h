/* SPDX-License-Identifier: Apache-2.0 */
/* Which server connection carries a request of HTTP/1.1, and what becomes of it afterwards. */
#ifndef EXEAT_AGENT_PROXY_REUSE_H
#define EXEAT_AGENT_PROXY_REUSE_H

#include "agent/proxy/conn.h"

/*
 * Before the head is written: the connection at hand is given up when it has ended, or was opened
 * as another identity.
 */
void ex_conn_look_at_server(struct ex_conn *c, const struct ex_h1_head *head, uint32_t identity);

/* The head is written: an idle connection, or a new one. 0 or negative errno. */
EX_MUST_CHECK int ex_conn_find_server(struct ex_conn *c, const struct ex_h1_head *head);

/* No answer came: true when the same request is under way on a new connection. */
bool ex_conn_repeat(struct ex_conn *c);

/* The same when writing has failed, with all that is to be written still there. */
bool ex_conn_write_anew(struct ex_conn *c);

/*
 * The server has refused HTTP/1.1. True, once, when it is to be spoken with in HTTP/2 from now on:
 * not when it spoke HTTP/1.1 before, and not for a WebSocket.
 */
bool ex_conn_turn_to_h2(struct ex_conn *c, bool websocket);

/* The same for a request of HTTP/1.1: true when it is asked anew; bridge.h speaks with it then. */
bool ex_conn_dial_h2(struct ex_conn *c);

/* The client needs the server no more. */
void ex_conn_part(struct ex_conn *c);

/*
 * Where many connections are open, most of their clients wait; a server's inside TLS takes most of
 * the memory then. So one that waits with its client is spare: another client's request that would
 * have it from the pool may have it, before a new one is made or while it is being dialled; and
 * when it was spare for as long as the pool would keep it, it is closed.
 */
void ex_conn_spare_server(struct ex_conn *c);

/* It is not, or no more: its own client needs it, or it is gone. Nor does c wait for one. */
void ex_conn_need_server(struct ex_conn *c);

/* Closes those that were spare for long, a few at a time: true when there are more. */
bool ex_spares_part(struct ex_proxy *px);

/* None is spare any more: another policy may not allow what they were opened for. */
void ex_spares_clear(struct ex_proxy *px);

#endif
