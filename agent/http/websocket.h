/* SPDX-License-Identifier: Apache-2.0 */
/* The opening of a WebSocket, as HTTP/1.1 says it (RFC 6455 4). */
#ifndef EXEAT_AGENT_HTTP_WEBSOCKET_H
#define EXEAT_AGENT_HTTP_WEBSOCKET_H

#include "agent/http/http1.h"
#include "agent/tls/websocket.h"

/* Is this the answer of a server that has read the key, and speaks WebSocket from here on? */
bool ex_websocket_opens(const struct ex_h1_head *h, const char key[static EX_WS_KEY_LEN + 1]);

/* The same, of the key in the request that it answers. */
bool ex_websocket_answers(const struct ex_h1_head *h, const struct ex_h1_head *request);

#endif
