/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3) without the library: a datagram to the socket in $NOTIFY_SOCKET. */
#ifndef EXEAT_AGENT_NODE_NOTIFY_H
#define EXEAT_AGENT_NODE_NOTIFY_H

/* "READY=1", "STOPPING=1", "STATUS=...". Nothing happens when nobody wants to know. */
void ex_notify(const char *state);

#endif
