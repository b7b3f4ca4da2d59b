/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of the outer namespace. */
#ifndef EXEAT_AGENT_RUN_DIAL_H
#define EXEAT_AGENT_RUN_DIAL_H

#include "exeat/util.h"

/* A non-blocking socket that is connecting, or for UDP connected. scope: see sin6_scope_id. */
EX_MUST_CHECK int ex_dial(const struct ex_ip *ip, uint16_t port, uint8_t proto, uint32_t scope);

/* Would packets to ip stay on this host, whatever interface or route makes it so? */
bool ex_dial_is_own(const struct ex_ip *ip);

#endif
