/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake of a WebSocket (RFC 6455 4.1, 4.2.2): no secret, but SHA-1, which OpenSSL has. */
#ifndef EXEAT_AGENT_TLS_WEBSOCKET_H
#define EXEAT_AGENT_TLS_WEBSOCKET_H

#include "exeat/util.h"

#define EX_WS_KEY_LEN    24
#define EX_WS_ACCEPT_LEN 28

/* A fresh Sec-WebSocket-Key. 0 or -EIO. */
EX_MUST_CHECK int ex_ws_key(char key[static EX_WS_KEY_LEN + 1]);

/* The Sec-WebSocket-Accept that answers it. 0 or -EIO. */
EX_MUST_CHECK int ex_ws_accept(const char key[static EX_WS_KEY_LEN + 1],
			       char accept[static EX_WS_ACCEPT_LEN + 1]);

#endif
