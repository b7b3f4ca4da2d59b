/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server connections of an HTTP/2 client whose server speaks HTTP/1.1, one for each request
 * under way (agent/http/http2_leg.h). Bounded in number; more requests wait for one to be over.
 */
#ifndef EXEAT_AGENT_PROXY_LEG_H
#define EXEAT_AGENT_PROXY_LEG_H

#include "agent/proxy/conn.h"

#define EX_LEGS_MAX 32 /* of one connection */

/* Gives connections to requests that wait, as far as there may be more; moves what can be moved. */
bool ex_legs_run(struct ex_conn *c);

/* Sets epoll interest. */
void ex_legs_update(struct ex_conn *c);

/* Gives up all of them. */
void ex_legs_close(struct ex_conn *c);

#endif
