/* SPDX-License-Identifier: Apache-2.0 */
/* Which server connection carries a request of HTTP/1.1, and what becomes of it afterwards. */
#ifndef EXEAT_AGENT_PROXY_REUSE_H
#define EXEAT_AGENT_PROXY_REUSE_H

#include "agent/proxy/conn.h"

/*
 * Before the head is written: the connection at hand is given up when it had its day, or was opened
 * as another identity.
 */
void ex_conn_look_at_server(struct ex_conn *c, const struct ex_h1_head *head, uint32_t identity);

/* The head is written: an idle connection, or a new one. 0 or negative errno. */
EX_MUST_CHECK int ex_conn_find_server(struct ex_conn *c, const struct ex_h1_head *head);

/* An answer has come to nothing: true when the same request is under way on a new connection. */
bool ex_conn_repeat(struct ex_conn *c);

/* The same when writing has failed, with all that is to be written still there. */
bool ex_conn_write_anew(struct ex_conn *c);

/* The server wants no HTTP/1.1: true when it is asked again for HTTP/2, which bridge.h then speaks.
 */
bool ex_conn_dial_h2(struct ex_conn *c);

/* The client needs the server no more. */
void ex_conn_part(struct ex_conn *c);

#endif
